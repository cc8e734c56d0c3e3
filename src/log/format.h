/*
 * How a line looks: what stands before its text and behind it. One row a format, chosen by the
 * option log_format.
 *
 *	text    2026/11/20-16:57:10 Server closing! [1234]
 *	json    {"time":"2026-11-20T16:57:10.123+01:00","level":"notice","pid":1234,
 *	        "server":"tend","client":"192.0.2.1:4711","message":"Server closing!"}
 *	logfmt  time=2026-11-20T16:57:10.123+01:00 level=notice pid=1234 server="tend"
 *	        client="192.0.2.1:4711" message="Server closing!"
 *
 * A client stands there only while one is served.
 */
#ifndef TEND_LOG_FORMAT_H
#define TEND_LOG_FORMAT_H

#include <tend/log.h>

#define FORMAT_HEAD_MAX 512
#define FORMAT_TAIL_MAX 14 /* " [2147483647]" is the longest, and a newline must follow */

/* What a line may tell besides its text. */
struct format_facts {
	enum tend_log_level level;
	const char         *server;
	const char         *client; /* NULL: none is served */
};

struct format {
	const char *name;
	bool        quoted; /* the text stands between quotes */
	bool        asks;   /* wants to know of a client */
	/* Each writes at `at`, within the limits above, and returns how much. NULL: nothing. */
	size_t (*head)(char *at, const struct format_facts *facts);
	size_t (*tail)(char *at);
};

extern const struct format format_text, format_bare;

/* NULL: there is none of this name. */
const struct format *format_find(const char *name);

/* "error", "warning", "notice", "info", "debug". */
const char *format_level(enum tend_log_level level);

#endif
