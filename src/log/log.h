/*
 * The log of one server: a threshold, a sink and the form of a line. Writing never fails visibly
 * and never blocks for long. Every byte that could disturb a terminal or a second line is
 * escaped.
 *
 *	2026/11/20-16:57:10 CONNECT TCP Peer: "[127.0.0.1]:4711" Local: "[127.0.0.1]:20203" [1234]
 *
 * The time comes first and the pid last, so that tools that read Net::Server's lines read ours.
 */
#ifndef TEND_LOG_LOG_H
#define TEND_LOG_LOG_H

#include <tend/log.h>

#include "base/error.h"

/* Takes the place of the sink: one line, escaped, without time, pid and newline (NS-LOG-06). */
typedef void (*log_hook_fn)(void *data, enum tend_log_level level, const char *line);

struct logger {
	int           level;      /* threshold; 0 writes nothing but errors of the start */
	int           fd;         /* where lines go; -1: nowhere */
	bool          fd_is_ours; /* opened here, closed here */
	char         *path;       /* of the log file; NULL: standard error */
	log_hook_fn   hook;
	void         *hook_data;
	unsigned long lost;       /* lines that could not be written since the last that could */
	int           lost_code;  /* why the last of them was lost: a negative errno */
	bool          torn;       /* ... and a piece of it stands at the end of the log */
	bool          may_block;  /* no regular file: a reader who stopped must not stop us */
};

/* A logger that writes to standard error at the default threshold. Cannot fail. */
void logger_init(struct logger *l);
void logger_done(struct logger *l);

/*
 * Opens the file (append, created when missing, close-on-exec) and sends lines there from now
 * on. A relative path is completed with the working directory. On failure the logger goes on as
 * it was.
 * Context: start; no other thread may be writing.
 */
int logger_open_file(struct logger *l, const char *path, struct error *e);

/*
 * Opens the file again by its path, after a rotation. The old one stays in use on failure. The
 * descriptor keeps its number, so other threads may be writing meanwhile; a process that was
 * forked before must call it for itself. Nothing to do when lines go to standard error.
 */
int logger_reopen(struct logger *l, struct error *e);

/* Sends lines nowhere (setsid without a log, NS-DMN-01). */
void logger_silence(struct logger *l);

/*
 * One write(2) a line. A line that cannot be written (disk full, reader gone, a pipe that stays
 * full for a tenth of a second) is counted in `lost`, and the next that can be is preceded by
 * one that says how many. errno is left alone. SIGPIPE must be ignored by the process.
 * Context: any process or thread, also right after fork; not a signal handler. Needs some 10 KiB
 * of stack.
 */
void logger_write(struct logger *l, enum tend_log_level level, const char *format, ...)
	TEND_PRINTF(3, 4);
void logger_vwrite(struct logger *l, enum tend_log_level level, const char *format, va_list args)
	TEND_PRINTF(3, 0);

/* True when a line of this level would be written: spares the caller the work of making it. */
static inline bool
logger_wants(const struct logger *l, enum tend_log_level level)
{
	return (int)level <= l->level && l->level > 0;
}

#endif
