/*
 * Lines for syslog, in the form that libc and Sys::Syslog give them: "<29>Nov 20 16:57:10 ident[7]:
 * text". Never by libc's syslog(), which waits for as long as the collector likes (NS-LOG-45).
 */
#include "log/syslog.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "log/line.h"
#include "log/sink.h"

struct syslog {
	struct syslog_setup setup;
	struct collector    collector;
	int                 console;
};

static const char *const names[] = { "syslog", "Sys::Syslog", "Net::Server::Log::Sys::Syslog",
	NULL };

static int
open_console(struct syslog *s, struct error *e)
{
	bool only = s->setup.way == SYSLOG_CONSOLE;

	if (!only && !s->setup.console_too)
		return 0;
	s->console = open(only ? s->setup.host : "/dev/console",
	    O_WRONLY | O_NOCTTY | O_NONBLOCK | O_CLOEXEC);
	if (s->console >= 0 || !only)
		return 0;
	return error_set(e, EX_UNAVAILABLE, -errno,
	    "cannot open %s for the log (option syslog_logsock): %s", s->setup.host,
	    error_reason(-errno));
}

static void
free_syslog(struct syslog *s)
{
	collector_close(&s->collector);
	if (s->console >= 0)
		close(s->console);
	free(s);
}

static int
open_syslog(struct logger *l, const struct log_options *o, struct error *e)
{
	struct syslog *s = calloc(1, sizeof(*s));
	int r;

	if (s == NULL)
		return error_set(e, EX_OSERR, -ENOMEM, "out of memory");
	s->console = s->collector.fd = -1;
	r = syslog_parse(&s->setup, o, e);
	if (r == 0)
		r = syslog_resolve(&s->setup, &s->collector, e);
	if (r == 0)
		r = open_console(s, e);
	if (r == 0 && s->setup.way != SYSLOG_CONSOLE) {
		r = collector_open(&s->collector, logger_shared(l));
		if (r < 0)
			error_set(e, EX_OSERR, r, "cannot make a socket: %s", error_reason(r));
	}
	if (r < 0) {
		free_syslog(s);
		return r;
	}
	logger_silence(l);
	l->sink = &sink_syslog;
	l->state = s;
	return 0;
}

static void
close_syslog(struct logger *l)
{
	free_syslog(l->state);
}

/* After a collector moved, or to stop waiting for the end of a pause. */
static int
reopen_syslog(struct logger *l, struct error *e)
{
	struct syslog *s = l->state;

	(void)e;
	if (s->setup.way != SYSLOG_CONSOLE)
		collector_refresh(&s->collector, logger_shared(l));
	return 0;
}

static void
before_fork(struct logger *l)
{
	struct syslog *s = l->state;

	if (s->setup.way != SYSLOG_CONSOLE)
		collector_follow(&s->collector, logger_shared(l));
}

/* NS-LOG-44: err, warning, notice, info and debug follow one another, in syslog as here. */
static size_t
head(const struct logger *l, char *at, const struct format_facts *facts)
{
	const struct syslog_setup *setup = &((const struct syslog *)l->state)->setup;
	char *p = at + sprintf(at, "<%u>", setup->facility | (3 + (unsigned)facts->level));

	line_time_bsd(p, time(NULL));
	p += LINE_TIME_BSD;
	p += sprintf(p, " %s", setup->ident);
	if (setup->with_pid)
		p += sprintf(p, "[%d]", (int)getpid());
	p += sprintf(p, ": ");
	return (size_t)(p - at);
}

/* For eyes: without the number in front. */
static int
write_to(int fd, const char *line, size_t length)
{
	const char *text = (const char *)memchr(line, '>', length) + 1;
	size_t done;

	return sink_write(fd, true, text, length - (size_t)(text - line), 0, &done);
}

static int
put(struct logger *l, enum tend_log_level level, char *line, size_t length, int patience_ms)
{
	struct syslog *s = l->state;

	(void)level;
	if (s->setup.way == SYSLOG_CONSOLE)
		return write_to(s->console, line, length);
	return collector_put(&s->collector, logger_shared(l), line, length, patience_ms);
}

/* The options perror and cons. */
static void
copy(struct logger *l, char *line, size_t length, bool lost)
{
	struct syslog *s = l->state;

	line[length - 1] = '\n';
	if (s->setup.stderr_too)
		write_to(STDERR_FILENO, line, length);
	if (lost && s->setup.way != SYSLOG_CONSOLE && s->console >= 0)
		write_to(s->console, line, length);
}

const struct sink sink_syslog = {
	.name = "syslog",
	.names = names,
	.traits = SINK_DATED,
	.open = open_syslog,
	.close = close_syslog,
	.reopen = reopen_syslog,
	.before_fork = before_fork,
	.head = head,
	.put = put,
	.copy = copy,
};

/* Where a server has no log: what ends it is told all the same (NS-DMN-07). */
const struct sink sink_syslog_errors = {
	.name = "syslog, errors only",
	.traits = SINK_DATED | SINK_ERRORS_ONLY,
	.close = close_syslog,
	.head = head,
	.put = put,
	.copy = copy,
};
