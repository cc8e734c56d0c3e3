/*
 * The log of one server: which lines are written, and what becomes of those that cannot be. The
 * form of a line is format.c's, the place it goes to a sink's; whoever runs the server decides what
 * to log at which level.
 */
#include "log/log.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "log/format.h"
#include "log/journal.h"
#include "log/line.h"
#include "log/sink.h"
#include "log/syslog.h"

#define PATIENCE_MS 100 /* for a reader who is slow, before lines are given up */
#define NOTICE_SIZE (SINK_HEAD_MAX + FORMAT_HEAD_MAX + 200)

/* ---- opening and closing ---- */

void
logger_init(struct logger *l)
{
	memset(l, 0, sizeof(*l));
	l->level = TEND_LOG_NOTICE;
	l->format = &format_text;
	l->sink = &sink_stderr;
	l->server = "tend";
	l->fd = STDERR_FILENO;
	l->may_block = sink_file_may_block(STDERR_FILENO);
	/* Now, while the zone files can be reached: a chroot may come (NS-DMN-18). */
	tzset();
}

void
logger_silence(struct logger *l)
{
	if (l->sink->close != NULL)
		l->sink->close(l);
	l->sink = &sink_nowhere;
	l->state = NULL;
	l->fd = -1;
}

void
logger_done(struct logger *l)
{
	logger_silence(l);
	log_shared_free(l->shared);
	l->shared = NULL;
}

void
logger_use_hook(struct logger *l, log_hook_fn hook, void *data)
{
	logger_silence(l);
	l->sink = &sink_hook;
	l->hook = hook;
	l->hook_data = data;
}

int
logger_check(const struct log_options *o, struct error *e)
{
	struct syslog_setup unused;

	return syslog_parse(&unused, o, e);
}

static bool
is_said(const char *value)
{
	return value != NULL && value[0] != '\0';
}

int
logger_open(struct logger *l, const struct log_options *o, struct error *e)
{
	if (o->format != NULL)
		l->format = format_find(o->format);
	if (l->shared == NULL)
		l->shared = log_shared_new();
	if (l->sink == &sink_hook)
		return 0;
	if (is_said(o->file))
		return sink_find(o->file)->open(l, o, e);
	if (l->sink == &sink_stderr &&
	    journal_is_stderr(o->journal != NULL ? o->journal : JOURNAL_SOCKET))
		return sink_journal.open(l, o, e);
	return 0;
}

int
logger_open_file(struct logger *l, const char *path, struct error *e)
{
	return sink_file.open(l, &(struct log_options){ .file = path }, e);
}

void
logger_keep_errors(struct logger *l, const struct log_options *o)
{
	logger_silence(l);
	if (sink_syslog.open(l, o, NULL) == 0)
		l->sink = &sink_syslog_errors;
}

bool
logger_is_stderr(const struct logger *l)
{
	return l->sink == &sink_stderr;
}

bool
logger_can_reopen(const struct logger *l)
{
	return l->sink->reopen != NULL;
}

int
logger_reopen(struct logger *l, struct error *e)
{
	if (l->sink->reopen == NULL)
		return 0;
	SHARED_SET(l->opened, SHARED_GET(logger_shared(l)->opened));
	return l->sink->reopen(l, e);
}

void
logger_reopen_elsewhere(struct logger *l)
{
	l->opened = __atomic_add_fetch(&logger_shared(l)->opened, 1, __ATOMIC_RELAXED);
}

void
logger_before_fork(struct logger *l)
{
	if (l->sink->before_fork != NULL)
		l->sink->before_fork(l);
}

void
logger_enter_root(struct logger *l, const char *root)
{
	size_t length = strlen(root);

	while (length > 0 && root[length - 1] == '/')
		length--;
	if (l->path != NULL && strncmp(l->path, root, length) == 0 && l->path[length] == '/')
		memmove(l->path, l->path + length, strlen(l->path + length) + 1);
}

/* A signal does not reach every process in time, nor all of them (a child of Fork hears none). */
static void
follow_reopening(struct logger *l)
{
	unsigned now = SHARED_GET(logger_shared(l)->opened), then = SHARED_GET(l->opened);

	/* One thread does. What went wrong was told by whoever asked for it. */
	if (then != now && __atomic_compare_exchange_n(&l->opened, &then, now, false,
	                       __ATOMIC_RELAXED, __ATOMIC_RELAXED))
		logger_reopen(l, NULL);
}

/* ---- lines ---- */

static const struct format *
format_of(const struct logger *l)
{
	if ((l->sink->traits & SINK_BARE) ||
	    ((l->sink->traits & SINK_DATED) && l->format == &format_text))
		return &format_bare;
	return l->format;
}

/* Makes a line of at most `size` - 1 bytes, its newline counted, and returns its length. */
static size_t TEND_PRINTF(5, 0)
build(const struct logger *l, char *line, size_t size, enum tend_log_level level,
	const char *format, va_list args)
{
	const struct format *f = format_of(l);
	struct format_facts facts = { .level = level, .server = l->server };
	size_t n = 0;

	if (l->client != NULL && (f->asks || (l->sink->traits & SINK_ASKS)))
		facts.client = l->client(l->hook_data);
	if (l->sink->head != NULL)
		n = l->sink->head(l, line, &facts);
	if (f->head != NULL)
		n += f->head(line + n, &facts);
	n += line_vtext(line + n, size - n - FORMAT_TAIL_MAX, f->quoted, format, args);
	if (f->tail != NULL)
		n += f->tail(line + n);
	line[n++] = '\n';
	return n;
}

static int TEND_PRINTF(3, 4)
put_notice(struct logger *l, enum tend_log_level level, const char *format, ...)
{
	char line[NOTICE_SIZE];
	size_t length;
	va_list args;

	va_start(args, format);
	length = build(l, line, sizeof(line), level, format, args);
	va_end(args);
	/* As long as lines are being lost nobody waits for better times. */
	return l->sink->put(l, level, line, length, 0);
}

/* Before the first line after a gap. As long as it cannot be written, nothing else can. */
static int
report_lost(struct logger *l)
{
	struct log_shared *s = logger_shared(l);
	int64_t since = SHARED_GET(s->lost_since);
	unsigned long lines = __atomic_exchange_n(&s->lost, 0, __ATOMIC_RELAXED);
	char when[LINE_TIME + 1] = "";
	int r;

	/* Somebody else tells of them. */
	if (lines == 0)
		return 0;
	line_time(when, (time_t)since);
	r = put_notice(l, TEND_LOG_WARNING, "log: %lu %s lost since %s: %s", lines,
	    lines == 1 ? "line was" : "lines were", when, error_reason(SHARED_GET(s->lost_code)));
	if (r < 0)
		log_shared_lose(s, lines, since, r);
	return r;
}

static void
put_line(struct logger *l, enum tend_log_level level, char *line, size_t length)
{
	struct log_shared *s = logger_shared(l);
	int r = 0;

	if (SHARED_GET(s->lost) > 0)
		r = report_lost(l);
	if (r == 0)
		r = l->sink->put(l, level, line, length, PATIENCE_MS);
	if (r < 0)
		log_shared_lose(s, 1, time(NULL), r);
	if (l->sink->copy != NULL)
		l->sink->copy(l, line, length, r < 0);
}

/* A function of its own, so that a line that nobody wants does not touch the room for one. */
static void __attribute__((noinline)) TEND_PRINTF(3, 0)
write_line(struct logger *l, enum tend_log_level level, const char *format, va_list args)
{
	char line[LINE_SIZE + 1];
	int saved_errno = errno;

	follow_reopening(l);
	put_line(l, level, line, build(l, line, sizeof(line), level, format, args));
	errno = saved_errno;
}

void
logger_vwrite(struct logger *l, enum tend_log_level level, const char *format, va_list args)
{
	if (!logger_wants(l, level) || l->sink == &sink_nowhere ||
	    ((l->sink->traits & SINK_ERRORS_ONLY) && level > TEND_LOG_ERROR))
		return;
	write_line(l, level, format, args);
}

void
logger_write(struct logger *l, enum tend_log_level level, const char *format, ...)
{
	va_list args;

	va_start(args, format);
	logger_vwrite(l, level, format, args);
	va_end(args);
}
