/*
 * What a line of the log looks like. Who writes it, where to and whether at all is log.c's
 * business.
 */
#include "log/line.h"

#include <assert.h>
#include <stdio.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "base/str.h"

#define CUT "..."
#define CUT_LENGTH (sizeof(CUT) - 1)

/* How many bytes str_escape() makes of this one. */
static size_t
escaped_width(char c)
{
	return c >= ' ' && c <= '~' ? 1 : 3;
}

/*
 * Escapes the first `from` bytes of `text` where they stand; they grow to `to` bytes. Backwards,
 * so that nothing is overwritten before it was read. Once both ends meet, the rest needs no
 * change.
 */
static void
escape_in_place(char *text, size_t from, size_t to)
{
	char piece[4];

	text[to] = '\0';
	while (from < to) {
		size_t n = str_escape(piece, sizeof(piece), &text[--from], 1);

		to -= n;
		memcpy(text + to, piece, n);
	}
}

static size_t
make_safe(char *text, size_t length, size_t size, bool cut)
{
	size_t room = size - 1, whole = 0, kept = 0, kept_whole = 0, i;

	for (i = 0; i < length; i++) {
		whole += escaped_width(text[i]);
		if (whole <= room - CUT_LENGTH) {
			kept = i + 1;
			kept_whole = whole;
		}
	}
	if (whole <= room && !cut) {
		escape_in_place(text, length, whole);
		return whole;
	}
	escape_in_place(text, kept, kept_whole);
	memcpy(text + kept_whole, CUT, CUT_LENGTH + 1);
	return kept_whole + CUT_LENGTH;
}

size_t
line_vtext(char *text, size_t size, const char *format, va_list args)
{
	size_t length;
	int n;

	assert(size > 2 * CUT_LENGTH + 1);
	n = vsnprintf(text, size, format, args);
	/*
	 * A text that cannot be formatted (a wide character, gigabytes) still says where it is
	 * from.
	 */
	if (n < 0)
		n = snprintf(text, size, "%s", format);
	length = (size_t)n < size ? (size_t)n : size - 1;
	if (length < (size_t)n)
		return make_safe(text, length, size, true);
	if (length > 0 && text[length - 1] == '\n')
		length--;
	return make_safe(text, length, size, false);
}

size_t
line_text(char *text, size_t size, const char *format, ...)
{
	va_list args;
	size_t length;

	va_start(args, format);
	length = line_vtext(text, size, format, args);
	va_end(args);
	return length;
}

static char *
put_number(char *at, int digits, int number, char after)
{
	int i;

	for (i = digits; i-- > 0; number /= 10)
		at[i] = (char)('0' + number % 10);
	at[digits] = after;
	return at + digits + 1;
}

/*
 * Local time, made once a second and thread. Not by strftime(), which reads the zone again and
 * so would lose it inside a chroot without zone files (NS-DMN-18); localtime_r() keeps the one
 * that logger_init() has loaded.
 */
static void
put_time(char *at)
{
	static _Thread_local struct {
		time_t second;
		char text[LINE_HEAD + 1];
	} cache = { -1, "0000/00/00-00:00:00 " };
	time_t now = time(NULL);
	struct tm tm;
	char *p;

	if (now != cache.second && localtime_r(&now, &tm) != NULL) {
		p = put_number(cache.text, 4, tm.tm_year + 1900, '/');
		p = put_number(p, 2, tm.tm_mon + 1, '/');
		p = put_number(p, 2, tm.tm_mday, '-');
		p = put_number(p, 2, tm.tm_hour, ':');
		p = put_number(p, 2, tm.tm_min, ':');
		put_number(p, 2, tm.tm_sec, ' ');
		cache.second = now;
	}
	memcpy(at, cache.text, LINE_HEAD);
}

size_t
line_frame(char *line, size_t length)
{
	put_time(line);
	length += LINE_HEAD;
	return length + (size_t)snprintf(line + length, LINE_TAIL + 1, " [%d]\n", (int)getpid());
}
