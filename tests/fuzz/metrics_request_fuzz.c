/*
 * Requests for metrics: a head is found where it ends and nowhere else, what is answered with a page
 * has a path, and bytes that come later do not change what was understood.
 */
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "server/metrics_request.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void
require(bool true_always)
{
	if (!true_always)
		abort();
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct metrics_request whole, head;
	size_t length = metrics_request_parse(&whole, (const char *)data, size);

	if (length == 0)
		return 0;
	require(length <= size && data[length - 1] == '\n');
	require(whole.status >= 200 && whole.status < 600);
	require(whole.status != 200 || whole.path[0] == '/');
	require(strlen(whole.path) <= METRICS_PATH_MAX && strchr(whole.path, '?') == NULL);
	require(metrics_request_parse(&head, (const char *)data, length) == length);
	require(memcmp(&head, &whole, sizeof(head)) == 0);
	require(metrics_request_parse(&head, (const char *)data, length - 1) == 0);
	return 0;
}
