/*
 * The line that a client of the control socket sends: a verb, perhaps a word, perhaps the rest of
 * the line as a value. See tend(7).
 */
#ifndef TEND_SERVER_CONTROL_LINE_H
#define TEND_SERVER_CONTROL_LINE_H

#include "base/error.h"

/* Without its newline. */
#define CONTROL_LINE_MAX 1024

/* Pieces of the line; "" where there is none. */
struct control_line {
	const char *verb;
	const char *word;
	const char *rest;
};

/*
 * Takes `size` bytes, a line without its newline, to pieces; `room` has the text that they point
 * into. A carriage return at the end and blanks around the pieces are dropped. -EINVAL and a
 * sentence: it is too long, empty, or has bytes that no line has.
 */
int control_line_parse(struct control_line *into, char room[CONTROL_LINE_MAX + 1], const char *bytes,
	size_t size, struct error *e);

#endif
