/*
 * What lies between a connection and its transport: calls whose results make sense, whoever wrote the
 * transport, what it waits for, and the trace of what it has moved.
 */
#include <errno.h>
#include <poll.h>

#include "base/clock.h"
#include "net/evented.h"

/* A transport that could not go on so often, although what it had asked for was there, is only asked
   now and then: it would keep a processor busy. */
#define BALKS_MOST 100
#define BALKS_PAUSE (10 * CLOCK_MILLISECOND)

/* The greatest errno there is. */
#define ERROR_MOST 4095

/* Two directions may wait for two moments: the sooner one is for both. */
static int
want_at(struct tend_conn *c, int64_t now, int64_t at)
{
	struct conn_extras *x = conn_extras(c);

	if (x == NULL)
		return -ENOMEM;
	if (x->again_at <= now || x->again_at > at)
		x->again_at = at;
	c->want = (uint8_t)(c->want | CONN_LATER);
	return 0;
}

static int
balk(struct tend_conn *c, unsigned unsaid)
{
	int64_t now;

	if (c->want == 0)
		c->want = (uint8_t)unsaid;
	if (c->balks < BALKS_MOST) {
		c->balks++;
		return -EAGAIN;
	}
	now = clock_now();
	c->want = 0;
	return want_at(c, now, clock_after(now, BALKS_PAUSE)) < 0 ? -EIO : -EAGAIN;
}

int
conn_balked(struct tend_conn *c, ssize_t result, unsigned unsaid)
{
	if (result == -EAGAIN)
		return balk(c, unsaid);
	/* Memory may be had again, but not be asked for without end. */
	if (result == -ENOMEM && c->balks < BALKS_MOST)
		c->balks++;
	else if (result >= 0 || result < -ERROR_MOST || result == -ENOMEM)
		return -EIO;
	return (int)result;
}

int
conn_shake_once(struct tend_conn *c)
{
	int r;

	c->want = 0;
	r = c->transport->handshake(c);
	if (r != 0)
		return conn_balked(c, r, POLLIN);
	c->balks = 0;
	return 0;
}

int
conn_shutdown_once(struct tend_conn *c)
{
	int r;

	c->want = 0;
	r = c->transport->shutdown(c);
	return r != 0 ? conn_balked(c, r, POLLOUT) : 0;
}

/* One that has promised input too often is not believed. */
size_t
conn_ask_pending(struct tend_conn *c)
{
	if (c->input_ended || c->input_error != 0 || c->balks >= BALKS_MOST)
		return 0;
	return c->transport->pending(c);
}

void
tend_conn_want(struct tend_conn *c, unsigned events)
{
	conn_want(c, ((events & TEND_READ) != 0 ? POLLIN : 0U) |
	    ((events & TEND_WRITE) != 0 ? POLLOUT : 0U));
}

int
tend_conn_want_after(struct tend_conn *c, double seconds)
{
	int64_t now = clock_now();

	return want_at(c, now, clock_after(now, clock_from_seconds(seconds)));
}

/* ---- the trace ---- */

void
conn_trace(struct tend_conn *c, enum tend_trace_kind kind, ssize_t result, size_t asked)
{
	const struct tend_trace t = {
		.kind = kind,
		.fd = c->fd,
		.result = result,
		.asked = asked,
		.conn = c,
		.object = c,
	};

	if (!c->untraced)
		tracer_tell(c->mood->tracer, &t);
}

void
conn_trace_close(struct tend_conn *c)
{
	int reason = tend_conn_reason(c);

	conn_trace(c, TEND_TRACE_CLOSE, reason != 0 ? reason : c->input_error, 0);
}

/* What the trace itself writes would bring new lines, which would be written... */
void
conn_hush(struct tend_conn *c)
{
	c->untraced = true;
	if (conn_is_evented(c))
		watch_hush(&evented_of(c)->watch);
}
