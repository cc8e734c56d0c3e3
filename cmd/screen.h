/*
 * A terminal that is taken over for a while and given back as it was: the alternate screen, no
 * cursor, keys at once. Where that cannot be (no terminal, TERM is dumb) frames are printed one
 * after the other. No colour, and nothing beyond what every terminal since the VT100 knows.
 */
#ifndef CMD_SCREEN_H
#define CMD_SCREEN_H

#include <stdbool.h>
#include <termios.h>

struct screen {
	bool           live; /* frames take each other's place */
	int            rows, columns;
	int            row; /* of the frame that is being drawn */
	bool           keys; /* standard input is a terminal in our mode */
	struct termios before;
};

void screen_open(struct screen *s);
/* Gives the terminal back. Harmless when it was given back already. */
void screen_close(struct screen *s);

/* The size may have changed. */
void screen_measure(struct screen *s);

/* A frame: begin, lines, end. A line is cut at the edge, and left out below the last row. */
void screen_begin(struct screen *s);
void screen_line(struct screen *s, const char *format, ...)
	__attribute__((format(printf, 2, 3)));
void screen_end(struct screen *s);

/* Rows that are free still; many where frames are printed. */
int  screen_left(const struct screen *s);

#endif
