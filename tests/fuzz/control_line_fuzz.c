/*
 * Lines of the control socket: whatever is accepted consists of pieces of the line, in order, with
 * nothing in them that no line has, and asks for something or is told why it does not.
 */
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "server/commands.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void
require(bool true_always)
{
	if (!true_always)
		abort();
}

static void
check_piece(const char *piece, const char *bytes, size_t size)
{
	require(*piece == '\0' || memmem(bytes, size, piece, strlen(piece)) != NULL);
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	char room[CONTROL_LINE_MAX + 1];
	const char *bytes = (const char *)data;
	struct control_line line;
	struct error e = { .code = 0 };

	if (control_line_parse(&line, room, bytes, size, &e) < 0) {
		require(e.code < 0 && e.text[0] != '\0' && line.verb[0] == '\0');
		return 0;
	}
	require(size <= CONTROL_LINE_MAX + 1 && line.verb[0] != '\0');
	require(strpbrk(line.verb, " \t") == NULL && strpbrk(line.word, " \t") == NULL);
	check_piece(line.verb, bytes, size);
	check_piece(line.word, bytes, size);
	check_piece(line.rest, bytes, size);
	if (command_of(&line, &e) == NULL)
		require(e.code < 0 && e.status == EX_USAGE && e.text[0] != '\0');
	return 0;
}
