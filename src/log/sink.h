/*
 * Where lines go: a table of functions for each kind of place. A sink never waits for longer than
 * it is told, and never fails visibly: it returns why a line was not taken, and log.c counts.
 */
#ifndef TEND_LOG_SINK_H
#define TEND_LOG_SINK_H

#include "log/format.h"
#include "log/log.h"

#define SINK_HEAD_MAX 800

enum {
	SINK_DATED = 1,       /* tells time and process itself: the format text stays bare */
	SINK_BARE = 2,        /* takes the text alone, whatever the format */
	SINK_ASKS = 4,        /* its head wants to know of a client */
	SINK_ERRORS_ONLY = 8,
};

struct sink {
	const char        *name;
	const char *const *names;  /* values of log_file that mean this one; NULL: none does */
	unsigned           traits;
	/* Opens what `o` asks for and fills in the logger. On failure nothing is changed. */
	int (*open)(struct logger *l, const struct log_options *o, struct error *e);
	void (*close)(struct logger *l);
	/* Opens it anew, after a rotation. NULL: there is nothing to open anew. */
	int (*reopen)(struct logger *l, struct error *e);
	/* A fork is to come. May be NULL. */
	void (*before_fork)(struct logger *l);
	/* What stands before the head of the format: at most SINK_HEAD_MAX bytes. May be NULL. */
	size_t (*head)(const struct logger *l, char *at, const struct format_facts *facts);
	/* One line, its newline counted, which may be overwritten. 0, or a negative errno. */
	int (*put)(struct logger *l, enum tend_log_level level, char *line, size_t length,
	    int patience_ms);
	/* Where a line goes besides, once it was put, or lost. May be NULL. */
	void (*copy)(struct logger *l, char *line, size_t length, bool lost);
};

extern const struct sink sink_nowhere, sink_hook, sink_stderr, sink_file, sink_syslog,
	sink_syslog_errors, sink_journal;

/* False for a regular file: whoever reads it need not be waited for. */
bool sink_file_may_block(int fd);

/* The sink that a value of log_file names; a value that names none is the path of a file. */
const struct sink *sink_find(const char *log_file);

/*
 * Waits until something can be written. 0, or why it is not worth trying: -EAGAIN when `until`,
 * of the monotonic clock, has come.
 */
int sink_wait(int fd, int64_t until);

/*
 * Writes to a descriptor that may have a reader who is slow (`may_block`), waiting `patience_ms` at
 * most for the whole. `done` tells how much was written. 0 or -errno.
 */
int sink_write(int fd, bool may_block, const char *bytes, size_t length, int patience_ms,
	size_t *done);

#endif
