/*
 * The form of one line of the log, built in a buffer of the caller: the time in front, the text
 * made safe, the pid at the end. Nothing here is shared between threads and nothing is
 * allocated, so a line can be made right after fork and on a small stack.
 */
#ifndef TEND_LOG_LINE_H
#define TEND_LOG_LINE_H

#include <stdarg.h>

#include <tend/base.h>

#define LINE_SIZE 8192 /* the longest line, its newline counted */
#define LINE_HEAD 20   /* "2026/11/20-16:57:10 " */
#define LINE_TAIL 14   /* " [2147483647]\n", the longest */

/*
 * Writes the text into `size` (at least 8) bytes and returns its length. Bytes that could
 * disturb a terminal or begin a second line become %XX, one newline at the end is dropped, and
 * what does not fit is cut with "...". Always ended with NUL.
 */
size_t line_text(char *text, size_t size, const char *format, ...) TEND_PRINTF(3, 4);
size_t line_vtext(char *text, size_t size, const char *format, va_list args) TEND_PRINTF(3, 0);

/*
 * Makes a line of a text of `length` bytes that stands LINE_HEAD bytes into `line`; LINE_TAIL +
 * 1 bytes behind the text belong to the line as well. Returns the length of the whole.
 */
size_t line_frame(char *line, size_t length);

#endif
