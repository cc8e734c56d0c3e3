/*
 * What a line of the log is made of, in a buffer of the caller: text made safe, and the time in its
 * forms. Nothing here is shared between threads and nothing is allocated, so a line can be made
 * right after fork and on a small stack.
 */
#ifndef TEND_LOG_LINE_H
#define TEND_LOG_LINE_H

#include <stdarg.h>
#include <time.h>

#include <tend/base.h>

#define LINE_SIZE 8192 /* the longest line, its newline counted */

/*
 * Writes the text into `size` (at least 8) bytes and returns its length. Bytes that could
 * disturb a terminal or begin a second line become %XX, one newline at the end is dropped, and
 * what does not fit is cut with "...". `quoted`: the text will stand between double quotes, so
 * these and the backslash get a backslash in front. Always ended with NUL.
 */
size_t line_text(char *text, size_t size, bool quoted, const char *format, ...) TEND_PRINTF(4, 5);
size_t line_vtext(char *text, size_t size, bool quoted, const char *format, va_list args)
	TEND_PRINTF(4, 0);

/* The times that can stand in a line, local time. Each writes its length and no NUL. */
#define LINE_TIME 19       /* "2026/11/20-16:57:10" */
#define LINE_TIME_BSD 15   /* "Nov 20 16:57:10" */
#define LINE_TIME_ISO 29   /* "2026-11-20T16:57:10.123+01:00" */

void line_time(char *at, time_t when);
void line_time_bsd(char *at, time_t when);
void line_time_iso(char *at, const struct timespec *when);

/* Threads are going to write lines, and to fork: their children may go on writing. 0 or -ENOMEM. */
int line_use_threads(void);

#endif
