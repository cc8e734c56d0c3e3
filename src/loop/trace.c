/* The trace: what is told of, to whom, and as which line. */
#include "loop/trace.h"

#include <errno.h>
#include <stdio.h>

#include "base/error.h"
#include "loop/loop.h"

void
tracer_tell(struct tracer *t, const struct tend_trace *what)
{
	if (t->inside || t->fn == NULL)
		return;
	t->inside = true;
	t->fn(what, t->data);
	t->inside = false;
}

void
tend_loop_set_trace(struct tend_loop *loop, tend_trace_fn fn, void *data)
{
	static const atomic_bool always = true;

	loop->tracer.fn = fn;
	loop->tracer.data = data;
	loop->tracer.on = fn != NULL ? &always : NULL;
	loop->tracing = fn != NULL;
}

void
loop_trace(struct tend_loop *loop, enum tend_trace_kind kind, const void *object, int number)
{
	const struct tend_trace t = { .kind = kind, .fd = -1, .number = number, .object = object };

	tracer_tell(&loop->tracer, &t);
}

/* ---- lines ---- */

static void
event_text(const struct tend_trace *t, char *into, size_t size)
{
	snprintf(into, size, "event %d:%s%s%s%s", t->fd, (t->events & TEND_READ) != 0 ? " read" : "",
	    (t->events & TEND_WRITE) != 0 ? " write" : "", (t->events & TEND_ERROR) != 0 ? " error" : "",
	    (t->events & TEND_HANGUP) != 0 ? " hangup" : "");
}

static void
timer_text(const struct tend_trace *t, char *into, size_t size)
{
	snprintf(into, size, "timer %p", t->object);
}

static void
signal_text(const struct tend_trace *t, char *into, size_t size)
{
	snprintf(into, size, "signal %d", t->number);
}

static void
child_text(const struct tend_trace *t, char *into, size_t size)
{
	snprintf(into, size, "child %d", t->number);
}

static void
move_text(const struct tend_trace *t, const char *what, char *into, size_t size)
{
	if (t->result == -EAGAIN)
		snprintf(into, size, "%s %d: not now", what, t->fd);
	else if (t->result < 0)
		snprintf(into, size, "%s %d: %s", what, t->fd, error_reason((int)t->result));
	else
		snprintf(into, size, "%s %d: %zd of %zu", what, t->fd, t->result, t->asked);
}

static void
read_text(const struct tend_trace *t, char *into, size_t size)
{
	if (t->result == 0)
		snprintf(into, size, "read %d: the end", t->fd);
	else
		move_text(t, "read", into, size);
}

static void
write_text(const struct tend_trace *t, char *into, size_t size)
{
	move_text(t, "write", into, size);
}

static void
close_text(const struct tend_trace *t, char *into, size_t size)
{
	if (t->result < 0)
		snprintf(into, size, "close %d: %s", t->fd, error_reason((int)t->result));
	else
		snprintf(into, size, "close %d", t->fd);
}

char *
tend_trace_text(const struct tend_trace *what, char *into, size_t size)
{
	static void (*const texts[])(const struct tend_trace *t, char *into, size_t size) = {
		[TEND_TRACE_EVENT] = event_text,
		[TEND_TRACE_TIMER] = timer_text,
		[TEND_TRACE_SIGNAL] = signal_text,
		[TEND_TRACE_CHILD] = child_text,
		[TEND_TRACE_READ] = read_text,
		[TEND_TRACE_WRITE] = write_text,
		[TEND_TRACE_CLOSE] = close_text,
	};

	texts[what->kind](what, into, size);
	return into;
}
