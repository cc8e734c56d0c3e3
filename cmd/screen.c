/* Drawing on a terminal without a library for it. */
#include "screen.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <unistd.h>

#define ENTER "\033[?1049h\033[?25l"
#define LEAVE "\033[?25h\033[?1049l"
#define HOME "\033[H"
#define CLEAR_LINE "\033[K"
#define CLEAR_BELOW "\033[J"

#define ENOUGH 1000000 /* rows and columns of what is no screen */
#define LINE_SIZE 1024

static bool
can_draw(void)
{
	const char *term = getenv("TERM");

	return isatty(STDOUT_FILENO) && term != NULL && term[0] != '\0' && strcmp(term, "dumb") != 0;
}

void
screen_measure(struct screen *s)
{
	struct winsize size = { .ws_row = 0 };

	s->rows = s->columns = ENOUGH;
	if (!s->live)
		return;
	s->rows = 24;
	s->columns = 80;
	/* A serial line does not know how large its other end is. */
	if (ioctl(STDOUT_FILENO, TIOCGWINSZ, &size) == 0 && size.ws_row > 0 && size.ws_col > 0) {
		s->rows = size.ws_row;
		s->columns = size.ws_col;
	}
}

/* Keys are to come at once and unseen; signals are still made of them. */
static void
take_keys(struct screen *s)
{
	struct termios mode;

	if (!isatty(STDIN_FILENO) || tcgetattr(STDIN_FILENO, &s->before) < 0)
		return;
	mode = s->before;
	mode.c_lflag &= ~(tcflag_t)(ICANON | ECHO);
	mode.c_cc[VMIN] = 1;
	mode.c_cc[VTIME] = 0;
	s->keys = tcsetattr(STDIN_FILENO, TCSANOW, &mode) == 0;
}

void
screen_open(struct screen *s)
{
	*s = (struct screen){ .live = can_draw() };
	screen_measure(s);
	if (!s->live)
		return;
	take_keys(s);
	fputs(ENTER, stdout);
	fflush(stdout);
}

void
screen_close(struct screen *s)
{
	if (s->keys)
		tcsetattr(STDIN_FILENO, TCSANOW, &s->before);
	s->keys = false;
	if (!s->live)
		return;
	s->live = false;
	fputs(LEAVE, stdout);
	fflush(stdout);
}

void
screen_begin(struct screen *s)
{
	s->row = 0;
	if (s->live)
		fputs(HOME, stdout);
}

void
screen_line(struct screen *s, const char *format, ...)
{
	char line[LINE_SIZE];
	va_list args;

	if (screen_left(s) == 0)
		return;
	va_start(args, format);
	vsnprintf(line, sizeof(line), format, args);
	va_end(args);
	/* No newline after the last row: the screen would scroll. */
	if (s->live && s->row > 0)
		fputs("\n", stdout);
	printf("%.*s%s", s->columns, line, s->live ? CLEAR_LINE : "\n");
	s->row++;
}

void
screen_end(struct screen *s)
{
	fputs(s->live ? CLEAR_BELOW : "\n", stdout);
	fflush(stdout);
}

int
screen_left(const struct screen *s)
{
	return s->row < s->rows ? s->rows - s->row : 0;
}
