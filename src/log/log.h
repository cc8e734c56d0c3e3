/*
 * The log of one server: a threshold, a format and a sink. Writing never fails visibly and never
 * blocks for long. Every byte that could disturb a terminal or a second line is escaped.
 *
 *	2026/11/20-16:57:10 CONNECT TCP Peer: "[127.0.0.1]:4711" Local: "[127.0.0.1]:20203" [1234]
 *
 * The time comes first and the pid last, so that tools that read Net::Server's lines read ours.
 */
#ifndef TEND_LOG_LOG_H
#define TEND_LOG_LOG_H

#include <stdatomic.h>

#include <tend/log.h>

#include "base/error.h"
#include "log/shared.h"

struct format;
struct sink;

/* Takes the place of the sink: one line, escaped, without time, pid and newline (NS-LOG-06). */
typedef void (*log_hook_fn)(void *data, enum tend_log_level level, const char *line);

/* The client that is being served where this is called, for formats with fields; NULL: none. */
typedef const char *(*log_client_fn)(void *data);

struct logger {
	int                  level;     /* threshold; 0 writes nothing but errors of the start */
	_Atomic int         *live_level; /* of all processes; from zero on it takes its place. NULL: none */
	const struct format *format;
	const struct sink   *sink;
	const char          *server;    /* its name; borrowed */
	log_hook_fn          hook;
	log_client_fn        client;    /* NULL: nobody knows */
	void                *hook_data; /* of both */
	int                  fd;        /* of file and standard error; -1 */
	char                *path;      /* of a file; NULL: the sink is none */
	bool                 may_block; /* no regular file: a reader who stopped must not stop us */
	void                *state;     /* of syslog and journal */
	struct log_shared   *shared;    /* NULL: no fork is to come, or no memory was left */
	struct log_shared    own;       /* what stands in for it */
	unsigned             opened;    /* as in `shared`, as far as this process has followed */
};

/* The options about the log, as said; what is NULL has its default. */
struct log_options {
	const char *file, *format;
	const char *ident, *facility, *logopt, *logsock; /* syslog_* */
	const char *identifier;                          /* in the journal */
	const char *journal;                             /* its socket; NULL: the system's */
};

/* A logger that writes to standard error at the default threshold. Cannot fail. */
void logger_init(struct logger *l);
void logger_done(struct logger *l);

/* All that can be known of the options before anything is opened. 0 or -EINVAL. */
int logger_check(const struct log_options *o, struct error *e);

/*
 * Sends lines where the options say. Without a log_file that is standard error, or the journal if
 * standard error leads there. A file is appended to, created when missing, and closes on exec; a
 * relative path is completed with the working directory. That nobody listens to syslog is no
 * failure (NS-LOG-45). On failure the logger goes on as it was. A hook keeps its place; then
 * nothing is opened (NS-LOG-33).
 * Context: start, before the first fork; no other thread may be writing.
 */
int logger_open(struct logger *l, const struct log_options *o, struct error *e);
int logger_open_file(struct logger *l, const char *path, struct error *e);

/*
 * Goes on with a file that an earlier image of this process has opened as `opened`, when that is the
 * same path; copies the descriptor. 0 or -errno.
 */
int logger_adopt_file(struct logger *l, const char *path, const char *opened, int fd);

/* Lines go to the program. */
void logger_use_hook(struct logger *l, log_hook_fn hook, void *data);

/* True as long as nothing else was opened. */
bool logger_is_stderr(const struct logger *l);

/* True when there is something that logger_reopen() would open. */
bool logger_can_reopen(const struct logger *l);

/*
 * Opens a file again by its path, after a rotation, or connects to a collector anew. The old one
 * stays in use on failure. The descriptor keeps its number, so other threads may be writing
 * meanwhile.
 */
int logger_reopen(struct logger *l, struct error *e);

/* Lets every other process of the server do the same before its next line. */
void logger_reopen_elsewhere(struct logger *l);

/* The process is about to fork: saves its children work that it can do once. */
void logger_before_fork(struct logger *l);

/* After a chroot: the file is looked for where it can be reached now. */
void logger_enter_root(struct logger *l, const char *root);

/* Sends lines nowhere (setsid without a log, NS-DMN-01), or what ends the server to syslog. */
void logger_silence(struct logger *l);
void logger_keep_errors(struct logger *l, const struct log_options *o);

/*
 * One write(2) a line. A line that cannot be written (disk full, reader gone, a pipe that stays
 * full for a tenth of a second, no collector) is counted, and the next that can be is preceded by
 * one that says how many. errno is left alone. SIGPIPE must be ignored by the process.
 * Context: any process or thread, also right after fork; not a signal handler. Needs some 12 KiB
 * of stack.
 */
void logger_write(struct logger *l, enum tend_log_level level, const char *format, ...)
	TEND_PRINTF(3, 4);
void logger_vwrite(struct logger *l, enum tend_log_level level, const char *format, va_list args)
	TEND_PRINTF(3, 0);

static inline int
logger_level(const struct logger *l)
{
	int live = l->live_level != NULL
	    ? atomic_load_explicit(l->live_level, memory_order_relaxed) : -1;

	return live >= 0 ? live : l->level;
}

/* True when a line of this level would be written: spares the caller the work of making it. */
static inline bool
logger_wants(const struct logger *l, enum tend_log_level level)
{
	int threshold = logger_level(l);

	return (int)level <= threshold && threshold > 0;
}

/* For sinks: what all processes know, or this one alone. */
static inline struct log_shared *
logger_shared(struct logger *l)
{
	return l->shared != NULL ? l->shared : &l->own;
}

#endif
