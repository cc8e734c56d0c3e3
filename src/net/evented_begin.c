/*
 * How a connection of the evented mood begins: on its way to another server, shaking hands, held until
 * somebody says that it may begin; and how it shakes hands once more, when its transport has changed.
 */
#include <errno.h>
#include <poll.h>
#include <sys/socket.h>

#include "net/evented.h"
#include "net/layer.h"

static struct tend_loop *
loop_of(const struct evented *m)
{
	return evented_mood_of(&m->c)->conns->loop;
}

/* ---- what happens ---- */

static int64_t
whole_time(const struct evented *m)
{
	int64_t total = m->c.mood->limits->total;

	return total > 0 ? clock_after(loop_now(loop_of(m)), total) : CLOCK_NEVER;
}

/* The time of the whole connection begins; one that had begun already goes on. */
static void
restore_deadline(struct evented *m)
{
	struct layer *l = conn_layer(&m->c);

	if (l == NULL || l->deadline == 0) {
		m->c.deadline = whole_time(m);
		return;
	}
	m->c.deadline = l->deadline;
	l->deadline = 0;
}

static void
open_now(struct evented *m)
{
	m->phase = EVENTED_OPEN;
	m->armed = false; /* what it waits for is another thing now: evented_settle() sees to that */
	evented_touch(m);
	m->inside = true;
	if (m->hooks->connected != NULL)
		m->hooks->connected(&m->c);
	m->inside = false;
}

static void
shaken(struct evented *m, int code)
{
	struct evented_mood *mood = evented_mood_of(&m->c);

	m->c.write_want = 0;
	m->c.drained = false;
	restore_deadline(m);
	/* Who has it is told of its first handshake only: that of its own transport. */
	if (mood->shaken != NULL && conn_layer(&m->c) == NULL)
		mood->shaken(&m->c, code);
	else if (code < 0)
		evented_fail(m, code);
	else
		open_now(m);
}

void
evented_go_on_shaking(struct evented *m, unsigned events)
{
	int r = conn_shake_once(&m->c);

	(void)events;
	m->shakes = false;
	if (r != -EAGAIN)
		shaken(m, r);
}

void
evented_has_connected(struct evented *m, unsigned events)
{
	int error = 0;
	socklen_t size = sizeof(error);

	(void)events;
	if (getsockopt(m->c.fd, SOL_SOCKET, SO_ERROR, &error, &size) < 0)
		error = errno;
	if (error != 0) {
		evented_fail(m, -error);
		return;
	}
	m->phase = EVENTED_SHAKING;
	if (m->c.transport->handshake != NULL)
		evented_go_on_shaking(m, 0);
	else
		shaken(m, 0);
}

/* ---- its transport has changed ---- */

/* At the end of the turn: not inside of the call that changed it. */
static void
shake_again(struct evented *m)
{
	struct tend_conn *c = &m->c;
	int64_t limit = c->mood->limits->handshake, until = CLOCK_NEVER;

	if (limit > 0)
		until = clock_after(loop_now(loop_of(m)), limit);
	conn_layer(c)->deadline = c->deadline;
	if (until < c->deadline)
		c->deadline = until;
	m->phase = EVENTED_SHAKING;
	m->armed = false;
	conns_attend(m);
}

int
evented_may_change(const struct evented *m)
{
	if (m->phase == EVENTED_CLOSING || m->phase == EVENTED_DEAD)
		return -ENOTCONN;
	return m->phase == EVENTED_SHAKING || m->shakes ? -EBUSY : 0;
}

void
evented_changed(struct tend_conn *c, bool shakes)
{
	struct evented *m = evented_of(c);

	m->shakes = shakes;
	/* It shakes hands when it has come there. */
	if (m->phase == EVENTED_CONNECTING)
		return;
	m->again = true; /* what was received before: no event will tell of it */
	c->more |= MORE_MAYBE; /* a read of the other that came short has told nothing to this one */
	m->armed = false; /* all that it waits for is looked at anew */
	conns_attend(m);
	if (!shakes)
		return;
	/* Nothing is read or written meanwhile, nor the rest of what is being sent. */
	c->write_want = POLLOUT;
	c->drained = true;
	if (m->phase == EVENTED_OPEN)
		shake_again(m);
}

/* ---- what others ask for ---- */

void
evented_connect(struct evented *m, double seconds)
{
	m->phase = EVENTED_CONNECTING;
	m->c.write_want = POLLOUT; /* what is written meanwhile waits */
	m->c.drained = true;
	tend_set_deadline(&m->c, seconds);
	/* In the next turn at the earliest: its owner has not even got the pointer yet. */
	conns_attend(m);
}

void
evented_shake(struct evented *m)
{
	int64_t limit = m->c.mood->limits->handshake;

	m->phase = EVENTED_SHAKING;
	m->c.write_want = POLLOUT; /* what is written meanwhile waits */
	if (limit > 0)
		m->c.deadline = clock_after(loop_now(loop_of(m)), limit);
	evented_go_on_shaking(m, 0);
	evented_settle(m);
}

void
evented_hold(struct evented *m)
{
	if (m->phase != EVENTED_SHAKING)
		return;
	m->phase = EVENTED_HELD;
	tend_timer_stop(&m->timer);
	evented_interest(m);
}

static void
open_and_look(struct evented *m)
{
	m->phase = EVENTED_OPEN;
	m->armed = false;
	evented_touch(m);
	if (evented_reads(m))
		evented_try_input(m, CONN_INPUT_CHUNK);
}

void
evented_begin(struct evented *m)
{
	if (m->phase == EVENTED_DEAD)
		return;
	if (m->shakes)
		shake_again(m);
	else if (m->phase != EVENTED_CLOSING)
		open_and_look(m);
	evented_settle(m);
}
