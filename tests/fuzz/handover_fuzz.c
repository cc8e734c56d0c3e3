/*
 * The text of a handover, fed with anything. What is taken is written again and taken again, and says
 * the same; what is refused leaves nothing.
 */
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "process/handover.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void
require(bool true_always)
{
	if (!true_always)
		abort();
}

static void
check_again(const struct handover *h)
{
	char *text = handover_format(h), *again;
	struct handover copy;

	require(text != NULL && handover_parse(&copy, text, NULL) == 0);
	again = handover_format(&copy);
	require(again != NULL && strcmp(text, again) == 0);
	require(copy.listener_count == h->listener_count && copy.child_count == h->child_count);
	free(text);
	free(again);
	handover_done(&copy);
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	char *text = strndup((const char *)data, size);
	struct error e = { .code = 0 };
	struct handover h;

	if (text == NULL)
		return 0;
	if (handover_parse(&h, text, &e) == 0)
		check_again(&h);
	else
		require(e.code < 0 && e.text[0] != '\0' && h.listeners == NULL && h.children == NULL);
	handover_done(&h);
	free(text);
	return 0;
}
