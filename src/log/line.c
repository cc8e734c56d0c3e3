/*
 * The pieces of a line of the log. In which order they stand is format.c's business; who writes the
 * line, where to and whether at all is log.c's.
 */
#include "log/line.h"

#include <assert.h>
#include <pthread.h>
#include <stdio.h>
#include <string.h>

#include "base/str.h"

#define CUT "..."
#define CUT_LENGTH (sizeof(CUT) - 1)

static bool
is_marked(char c, bool quoted)
{
	return quoted && (c == '"' || c == '\\');
}

/* How many bytes escape() makes of this one. */
static size_t
escaped_width(char c, bool quoted)
{
	if (is_marked(c, quoted))
		return 2;
	return c >= ' ' && c <= '~' ? 1 : 3;
}

static size_t
escape(char piece[4], char c, bool quoted)
{
	if (!is_marked(c, quoted))
		return str_escape(piece, 4, &c, 1);
	piece[0] = '\\';
	piece[1] = c;
	return 2;
}

/*
 * Escapes the first `from` bytes of `text` where they stand; they grow to `to` bytes. Backwards,
 * so that nothing is overwritten before it was read. Once both ends meet, the rest needs no
 * change.
 */
static void
escape_in_place(char *text, size_t from, size_t to, bool quoted)
{
	char piece[4];

	text[to] = '\0';
	while (from < to) {
		size_t n = escape(piece, text[--from], quoted);

		to -= n;
		memcpy(text + to, piece, n);
	}
}

static size_t
make_safe(char *text, size_t length, size_t size, bool quoted, bool cut)
{
	size_t room = size - 1, whole = 0, kept = 0, kept_whole = 0, i;

	for (i = 0; i < length; i++) {
		whole += escaped_width(text[i], quoted);
		if (whole <= room - CUT_LENGTH) {
			kept = i + 1;
			kept_whole = whole;
		}
	}
	if (whole <= room && !cut) {
		escape_in_place(text, length, whole, quoted);
		return whole;
	}
	escape_in_place(text, kept, kept_whole, quoted);
	memcpy(text + kept_whole, CUT, CUT_LENGTH + 1);
	return kept_whole + CUT_LENGTH;
}

size_t
line_vtext(char *text, size_t size, bool quoted, const char *format, va_list args)
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
		return make_safe(text, length, size, quoted, true);
	if (length > 0 && text[length - 1] == '\n')
		length--;
	return make_safe(text, length, size, quoted, false);
}

size_t
line_text(char *text, size_t size, bool quoted, const char *format, ...)
{
	va_list args;
	size_t length;

	va_start(args, format);
	length = line_vtext(text, size, quoted, format, args);
	va_end(args);
	return length;
}

/*
 * localtime_r() takes a lock of the C library's, and a child would wait for ever for one that another
 * thread held when it was forked. So whoever forks waits until none does.
 */
static pthread_mutex_t zone = PTHREAD_MUTEX_INITIALIZER;

static void
take_zone(void)
{
	pthread_mutex_lock(&zone);
}

static void
give_zone(void)
{
	pthread_mutex_unlock(&zone);
}

int
line_use_threads(void)
{
	return -pthread_atfork(take_zone, give_zone, give_zone);
}

/*
 * Worked out once a second and thread. Not by strftime(), which reads the zone again and so would
 * lose it inside a chroot without zone files (NS-DMN-18); localtime_r() keeps the one that
 * logger_init() has loaded.
 */
static const struct tm *
local_time(time_t when)
{
	static _Thread_local struct {
		bool known;
		time_t second;
		struct tm tm;
	} cache;
	struct tm tm = { 0 };

	if (cache.known && cache.second == when)
		return &cache.tm;
	take_zone();
	if (localtime_r(&when, &tm) != NULL) {
		cache.tm = tm;
		cache.second = when;
		cache.known = true;
	}
	give_zone();
	return &cache.tm;
}

static char *
put_number(char *at, int digits, int number)
{
	int i;

	for (i = digits; i-- > 0; number /= 10)
		at[i] = (char)('0' + number % 10);
	return at + digits;
}

static char *
put_parts(char *at, int first, int second, int third, char between)
{
	at = put_number(at, first > 99 ? 4 : 2, first);
	*at++ = between;
	at = put_number(at, 2, second);
	*at++ = between;
	return put_number(at, 2, third);
}

static char *
put_date(char *at, const struct tm *tm, char between)
{
	return put_parts(at, tm->tm_year + 1900, tm->tm_mon + 1, tm->tm_mday, between);
}

static char *
put_clock(char *at, const struct tm *tm)
{
	return put_parts(at, tm->tm_hour, tm->tm_min, tm->tm_sec, ':');
}

void
line_time(char *at, time_t when)
{
	const struct tm *tm = local_time(when);

	at = put_date(at, tm, '/');
	*at++ = '-';
	put_clock(at, tm);
}

/* The day has no leading zero but a blank (RFC 3164). */
void
line_time_bsd(char *at, time_t when)
{
	static const char months[] = "JanFebMarAprMayJunJulAugSepOctNovDec";
	const struct tm *tm = local_time(when);

	memcpy(at, months + 3 * tm->tm_mon, 3);
	at[3] = at[6] = ' ';
	put_number(at + 4, 2, tm->tm_mday);
	if (at[4] == '0')
		at[4] = ' ';
	put_clock(at + 7, tm);
}

/* RFC 3339. */
void
line_time_iso(char *at, const struct timespec *when)
{
	const struct tm *tm = local_time(when->tv_sec);
	int minutes = (int)(tm->tm_gmtoff / 60);

	at = put_date(at, tm, '-');
	*at++ = 'T';
	at = put_clock(at, tm);
	*at++ = '.';
	at = put_number(at, 3, (int)(when->tv_nsec / 1000000));
	*at++ = minutes < 0 ? '-' : '+';
	minutes = minutes < 0 ? -minutes : minutes;
	at = put_number(at, 2, minutes / 60);
	*at++ = ':';
	put_number(at, 2, minutes % 60);
}
