/*
 * Lines of the log: whatever a peer makes us say, in every format a line is one line of printable
 * ASCII, and what a reader of JSON or logfmt gets out of it is the text that the other formats show.
 *
 * The first byte is the room for the text, the rest is split at the first NUL into the client's name
 * and the text.
 */
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "log/format.h"
#include "log/line.h"

#define TEXT_MAX 2048

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void
expect(bool holds)
{
	if (!holds)
		abort();
}

/* Reads a quoted string, as JSON and logfmt have it, from behind its first quote. */
static const char *
unquote(const char *from, char *into)
{
	for (; *from != '"'; from++) {
		expect(*from >= ' ' && *from <= '~');
		if (*from == '\\') {
			from++;
			expect(*from == '"' || *from == '\\');
		}
		*into++ = *from;
	}
	*into = '\0';
	return from + 1;
}

/* The value of the key that stands at the end of `before`, or of the last key. */
static const char *
value_of(const char *line, const char *before, char *into)
{
	const char *at = strstr(line, before);

	expect(at != NULL);
	return unquote(at + strlen(before), into);
}

static void
check(const char *name, const char *client_key, const char *message_key, const char *end,
	const char *client, const char *text, size_t room)
{
	struct format_facts facts = { .level = TEND_LOG_INFO, .server = "s", .client = client };
	const struct format *f = format_find(name);
	char line[FORMAT_HEAD_MAX + TEXT_MAX + FORMAT_TAIL_MAX], got[TEXT_MAX], plain[TEXT_MAX];
	const char *rest;
	size_t n = f->head(line, &facts), length, i;

	expect(n <= FORMAT_HEAD_MAX);
	length = line_text(line + n, room, f->quoted, "%s", text);
	expect(length < room);
	n += length;
	n += f->tail(line + n);
	line[n] = '\0';
	for (i = 0; i < n; i++)
		expect(line[i] >= ' ' && line[i] <= '~');
	rest = value_of(line, client_key, got);
	line_text(plain, sizeof(plain), false, "%s", client);
	/* A long name was cut; the beginning must be the same. */
	expect(strcmp(got, plain) == 0 ||
	    (strlen(got) >= 3 && strncmp(got, plain, strlen(got) - 3) == 0 && strstr(got, "...") != NULL));
	/* The client cannot have made a key of its own: the message follows it at once. */
	expect(strncmp(rest, message_key, strlen(message_key)) == 0);
	rest = unquote(rest + strlen(message_key), got);
	expect(strcmp(rest, end) == 0);
	length = line_text(plain, sizeof(plain), false, "%s", text);
	expect(strcmp(got, plain) == 0 ||
	    (strlen(got) >= 3 && strncmp(got, plain, strlen(got) - 3) == 0));
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	char bytes[TEXT_MAX / 4], *text;
	size_t room;

	if (size < 1 || size >= sizeof(bytes))
		return 0;
	room = 8 + (size_t)data[0] * 7;
	memcpy(bytes, data + 1, size - 1);
	bytes[size - 1] = '\0';
	text = bytes + strlen(bytes);
	if (text < bytes + size - 1)
		text++;
	check("json", ",\"client\":\"", ",\"message\":\"", "}", bytes, text, room);
	check("logfmt", " client=\"", " message=\"", "", bytes, text, room);
	return 0;
}
