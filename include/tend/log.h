/* Writing to the server's log. Levels and their numbers are Net::Server's (NS-LOG-01). */
#ifndef TEND_LOG_H
#define TEND_LOG_H

#include <tend/base.h>

TEND_BEGIN_DECLS

enum tend_log_level {
	TEND_LOG_ERROR,
	TEND_LOG_WARNING,
	TEND_LOG_NOTICE, /* the default threshold */
	TEND_LOG_INFO,
	TEND_LOG_DEBUG,
};

/*
 * Writes one line to the log of the server if `level` passes the threshold (option log_level).
 * Bytes outside printable ASCII, newlines inside the text too, are written as %XX; one newline
 * at the end is dropped. Never blocks for long and never fails visibly.
 *
 * Context: any process or thread of the server; not from a signal handler of your own.
 */
TEND_API void tend_log(struct tend_server *srv, enum tend_log_level level, const char *format, ...)
	TEND_PRINTF(3, 4);
TEND_API void tend_vlog(struct tend_server *srv, enum tend_log_level level, const char *format,
	va_list args) TEND_PRINTF(3, 0);

TEND_END_DECLS

#endif
