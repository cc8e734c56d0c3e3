/* Taking a control line to pieces. */
#include "server/control_line.h"

#include <errno.h>
#include <string.h>

#define BLANKS " \t"

/* Bytes above 127 are somebody's UTF-8; control characters are nobody's. */
static bool
is_text(const char *bytes, size_t size)
{
	size_t i;

	for (i = 0; i < size; i++) {
		unsigned char c = (unsigned char)bytes[i];

		if ((c < ' ' && c != '\t') || c == 127)
			return false;
	}
	return true;
}

/* The word at `*at`, ended; `*at` moves to what follows the blanks behind it. */
static const char *
next_word(char **at)
{
	char *word = *at, *end = word + strcspn(word, BLANKS);

	if (*end != '\0')
		*end++ = '\0';
	*at = end + strspn(end, BLANKS);
	return word;
}

int
control_line_parse(struct control_line *into, char room[CONTROL_LINE_MAX + 1], const char *bytes,
	size_t size, struct error *e)
{
	char *at = room;

	*into = (struct control_line){ "", "", "" };
	if (size > 0 && bytes[size - 1] == '\r')
		size--;
	if (size > CONTROL_LINE_MAX)
		return error_set(e, EX_USAGE, -EINVAL, "a line of more than %d bytes",
		    CONTROL_LINE_MAX);
	if (!is_text(bytes, size))
		return error_set(e, EX_USAGE, -EINVAL, "a line with bytes that are no text");
	memcpy(room, bytes, size);
	while (size > 0 && strchr(BLANKS, room[size - 1]) != NULL)
		size--;
	room[size] = '\0';
	at += strspn(at, BLANKS);
	if (*at == '\0')
		return error_set(e, EX_USAGE, -EINVAL, "an empty line");
	into->verb = next_word(&at);
	into->word = next_word(&at);
	into->rest = at;
	return 0;
}
