/* One HTTP request, of which the first line matters. */
#include "server/metrics_request.h"

#include <string.h>

/* Behind the empty line that ends the head; 0: it has not come. Bare newlines will do. */
static size_t
head_length(const char *bytes, size_t size)
{
	size_t i;

	for (i = 0; i < size; i++) {
		if (bytes[i] != '\n')
			continue;
		if (i + 1 < size && bytes[i + 1] == '\n')
			return i + 2;
		if (i + 2 < size && bytes[i + 1] == '\r' && bytes[i + 2] == '\n')
			return i + 3;
	}
	return 0;
}

static bool
is(const char *bytes, size_t size, const char *word)
{
	return size == strlen(word) && memcmp(bytes, word, size) == 0;
}

static int
take_target(struct metrics_request *into, const char *target, size_t size)
{
	const char *query = memchr(target, '?', size);

	if (query != NULL)
		size = (size_t)(query - target);
	if (size == 0 || target[0] != '/')
		return 400;
	if (size > METRICS_PATH_MAX)
		return 404;
	memcpy(into->path, target, size);
	return 200;
}

static int
take_version(const char *version, size_t size)
{
	if (size != 8 || memcmp(version, "HTTP/", 5) != 0)
		return 400;
	return is(version, size, "HTTP/1.1") || is(version, size, "HTTP/1.0") ? 200 : 505;
}

/* "GET /metrics HTTP/1.1": three words with one blank between them. */
static int
take_line(struct metrics_request *into, const char *line, size_t size)
{
	const char *first = memchr(line, ' ', size), *second;
	const char *end = line + size;
	int status;

	if (first == NULL)
		return 400;
	second = memchr(first + 1, ' ', (size_t)(end - first - 1));
	if (second == NULL)
		return 400;
	status = take_version(second + 1, (size_t)(end - second - 1));
	if (status == 200)
		status = take_target(into, first + 1, (size_t)(second - first - 1));
	if (status != 200)
		return status;
	into->head_only = is(line, (size_t)(first - line), "HEAD");
	return into->head_only || is(line, (size_t)(first - line), "GET") ? 200 : 405;
}

size_t
metrics_request_parse(struct metrics_request *into, const char *bytes, size_t size)
{
	size_t head = head_length(bytes, size), line;

	if (head == 0)
		return 0;
	memset(into, 0, sizeof(*into));
	line = (size_t)((const char *)memchr(bytes, '\n', head) - bytes);
	if (line > 0 && bytes[line - 1] == '\r')
		line--;
	/* A path with a binary zero would end there for us and not for its sender. */
	into->status = memchr(bytes, '\0', head) != NULL ? 400 : take_line(into, bytes, line);
	return head;
}
