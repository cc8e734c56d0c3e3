/*
 * The evented mood: from an event of the loop to the hooks of a connection, and from what a hook did
 * to what is waited for next. A connection is a small state machine, one function for each phase;
 * after whatever happened evented_settle() sees to it that output leaves, that the end is the end,
 * and that the loop watches for the right things.
 */
#include "net/evented.h"

#include <errno.h>
#include <netinet/in.h>
#include <poll.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <unistd.h>

static struct conns *
conns(const struct evented *m)
{
	return evented_mood_of(&m->c)->conns;
}

/* ---- time ---- */

/* When it has been silent for too long; CLOCK_NEVER: it may be for ever. */
static int64_t
silent_until(const struct evented *m)
{
	const struct tend_conn *c = &m->c;
	int64_t limit = c->idle, first = c->mood->limits->first_byte;

	if (!c->heard && first > 0 && first < limit && m->phase == EVENTED_OPEN)
		limit = first;
	return limit == CLOCK_NEVER ? CLOCK_NEVER : clock_after(m->active_at + conns(m)->grain, limit);
}

/* When its transport is to be asked again, which wanted some time to pass. */
static int64_t
again_at(const struct evented *m)
{
	const struct tend_conn *c = &m->c;
	unsigned want = c->read_want | c->write_want | (m->phase == EVENTED_SHAKING ? c->want : 0U);

	return (want & CONN_LATER) != 0 ? c->extras->again_at : CLOCK_NEVER;
}

static int64_t
due_time(const struct evented *m)
{
	int64_t until = m->phase == EVENTED_OPEN || m->phase == EVENTED_CLOSING ? silent_until(m)
	                                                                         : CLOCK_NEVER;
	int64_t again = again_at(m);

	if (again < until)
		until = again;
	return until < m->c.deadline ? until : m->c.deadline;
}

/* Timers are lazy: what puts the moment off does not touch them, they look when they fire. */
void
evented_arm(struct evented *m)
{
	int64_t due = due_time(m);

	m->armed = true;
	if (due == CLOCK_NEVER || (tend_timer_running(&m->timer) && m->timer.at <= due))
		return;
	timer_start_at(conns(m)->loop, &m->timer, due);
}

/* ---- what is waited for ---- */

HOT static unsigned
wanted_events(struct evented *m)
{
	struct tend_conn *c = &m->c;
	unsigned events = evented_bits(c->write_want);

	if (m->phase == EVENTED_CONNECTING)
		return TEND_WRITE;
	if (m->phase == EVENTED_SHAKING)
		return evented_bits(c->want);
	if (evented_reads(m))
		events |= evented_bits(conn_read_want(c));
	if (m->app_write && m->phase == EVENTED_OPEN)
		events |= TEND_WRITE;
	return events;
}

/*
 * TCP alone, with nothing over it: on a unix socket a read stops at what came with a descriptor, in SCTP at
 * the end of a message. Nobody is asked before the first wait, which many connections never come to.
 */
static bool
edges_are_enough(struct evented *m)
{
	int protocol = 0;
	socklen_t size = sizeof(protocol);

	if (m->edges == EDGES_UNKNOWN)
		m->edges = getsockopt(m->c.fd, SOL_SOCKET, SO_PROTOCOL, &protocol, &size) == 0 &&
		                   protocol == IPPROTO_TCP
		               ? EDGES_ENOUGH
		               : EDGES_NOT;
	return m->edges == EDGES_ENOUGH && m->c.transport == m->c.listener->transport &&
	    m->c.transport->pending == NULL;
}

HOT int
evented_interest(struct evented *m)
{
	unsigned events = wanted_events(m);

	if (events == TEND_READ && m->phase == EVENTED_OPEN && edges_are_enough(m))
		events |= WATCH_EDGE;
	return watch_change(&m->watch, events);
}

/* ---- output ---- */

HOT static void
send_queued(struct evented *m)
{
	struct tend_conn *c = &m->c;
	size_t before = conn_queued(c);

	conn_stdio_flush(c);
	if (conn_unsent(c) > 0 && c->write_want == 0)
		tend_flush(c);
	if (conn_queued(c) < before)
		evented_touch(m);
	if (evented_is_alive(m) && c->ending && conn_unsent(c) == 0 && c->write_want == 0)
		conn_end_output(c);
}

/* Once for each time that the queue has fallen to the mark, and never from inside another hook. */
HOT static void
tell_drained(struct evented *m)
{
	size_t low = m->c.extras != NULL ? m->c.extras->low : 0;

	if (!m->owes_drained || m->phase != EVENTED_OPEN || conn_queued(&m->c) > low)
		return;
	m->owes_drained = false;
	if (m->hooks->drained == NULL)
		return;
	m->inside = true;
	m->hooks->drained(&m->c);
	m->inside = false;
}

/* Somebody wrote. What is written during one of its own hooks leaves right after it. */
HOT static void
queued(struct tend_conn *c)
{
	struct evented *m = evented_of(c);

	m->owes_drained = true;
	if (!m->inside && evented_is_alive(m))
		conns_attend(m);
}

/* ---- silence ---- */

static void
be_silent(struct evented *m)
{
	struct tend_conn *c = &m->c;
	bool over = conn_expired(c);

	if (m->phase != EVENTED_OPEN) {
		c->timed_out = true;
		evented_fail(m, -ETIMEDOUT);
		return;
	}
	evented_touch(m);
	/* It may have spoken while the others kept us from listening. */
	if (!over && evented_reads(m) && evented_try_input(m, CONN_INPUT_CHUNK)) {
		evented_settle(m);
		return;
	}
	c->timed_out = true;
	m->inside = true;
	if (m->hooks->timed_out != NULL)
		m->hooks->timed_out(c);
	m->inside = false;
	if (evented_is_alive(m) && (over ? conn_expired(c) : m->hooks->timed_out == NULL)) {
		m->result = -ETIMEDOUT;
		tend_close(c);
	}
	evented_settle(m);
}

/* ---- phases ---- */

/* The kernel tells of an error that no read or write has met. */
static void
has_failed(struct evented *m)
{
	int error = 0;
	socklen_t size = sizeof(error);

	if (getsockopt(m->c.fd, SOL_SOCKET, SO_ERROR, &error, &size) < 0)
		error = errno;
	if (error != 0)
		evented_fail(m, -error);
	else if (!evented_reads(m))
		evented_fail(m, -ECONNRESET);
}

/*
 * Both directions are closed. Who still reads comes to the end by reading; who has come there, or
 * has told us that he pauses, would never hear of it.
 */
static void
has_hung_up(struct evented *m)
{
	if (evented_reads(m) || m->paused || m->full)
		return;
	if (m->c.output_ended && m->ended)
		tend_close(&m->c);
	else
		evented_fail(m, -EPIPE);
}

static void
happen_to_open(struct evented *m, unsigned events)
{
	struct tend_conn *c = &m->c;

	if ((events & WATCH_MORE) != 0)
		c->more = MORE_MAYBE | MORE_SURELY;
	if ((events & evented_bits(conn_read_want(c))) != 0 && evented_reads(m))
		evented_take_input(m);
	if (m->phase == EVENTED_OPEN && (events & (evented_bits(c->write_want) | TEND_WRITE)) != 0) {
		c->write_want = 0;
		m->owes_drained |= m->app_write;
		send_queued(m);
	}
	if (m->phase == EVENTED_OPEN && (events & TEND_ERROR) != 0)
		has_failed(m);
	if (m->phase == EVENTED_OPEN && (events & TEND_HANGUP) != 0)
		has_hung_up(m);
}

/* Nothing is read any more. */
static void
happen_to_closing(struct evented *m, unsigned events)
{
	if ((events & (TEND_ERROR | TEND_HANGUP)) != 0) {
		evented_fail(m, -EPIPE);
		return;
	}
	m->c.write_want = 0;
}

static void
happen_to_held(struct evented *m, unsigned events)
{
	(void)m;
	(void)events;
}

static void (*const happen[])(struct evented *m, unsigned events) = {
	[EVENTED_HELD] = happen_to_held,
	[EVENTED_CONNECTING] = evented_has_connected,
	[EVENTED_SHAKING] = evented_go_on_shaking,
	[EVENTED_OPEN] = happen_to_open,
	[EVENTED_CLOSING] = happen_to_closing,
	[EVENTED_AWAITED] = evented_fiber_event,
	[EVENTED_FIBER] = evented_fiber_event,
	[EVENTED_DEAD] = happen_to_held,
};

/* It goes on reading as before: what the hooks of most messages leave behind. */
INLINE bool
only_reads(const struct evented *m)
{
	unsigned wanted = m->watch.wanted;

	return evented_is_calm(m) && (!m->owes_drained || m->hooks->drained == NULL) &&
	    (wanted == TEND_READ || (wanted == (TEND_READ | WATCH_EDGE) && m->c.more == 0));
}

/* True: some of what is queued has left. */
INLINE bool
sends(struct evented *m)
{
	struct tend_conn *c = &m->c;
	size_t before = buf_length(&c->out);

	if (before == 0 || m->phase != EVENTED_OPEN || c->write_want != 0 || !conn_is_simple(c))
		return false;
	conn_send_buffer(c);
	return buf_length(&c->out) < before;
}

/* Until the next event. */
INLINE void
rest(struct conns *all, struct evented *m)
{
	m->owes_drained = false;
	conn_take_back(&m->c);
	conns_shed(all, &m->c);
}

/*
 * The usual event, and what comes of it when the hook has taken all there was and its answer has left. False:
 * there is more to be done.
 */
INLINE bool
hear(struct conns *all, struct evented *m, int64_t now)
{
	struct tend_conn *c = &m->c;
	uint32_t before = evented_consumed(c), received = c->received;

	c->drained = c->starved = false;
	conns_lend(all, c);
	m->inside = true;
	m->hooks->readable(c);
	m->inside = false;
	if (sends(m) || c->received != received)
		m->active_at = now;
	if (LIKELY(only_reads(m) && c->drained && buf_length(&c->in) == c->taken && c->transport->pending == NULL)) {
		rest(all, m);
		return true;
	}
	received = c->received;
	evented_has_heard(m, before);
	if (c->received != received || c->input_ended)
		m->active_at = now;
	return false;
}

HOT void
evented_event(struct tend_watch *w, unsigned events)
{
	struct evented *m = LINK_OWNER(w, struct evented, watch);
	struct conns *all = conns(m);
	int64_t begun = conns_clock_event(all);
	bool settled = false;

	m->c.more |= (events & TEND_READ) != 0 ? MORE_MAYBE : 0;
	if (LIKELY(events == TEND_READ && evented_is_calm(m)))
		settled = hear(all, m, all->stall > 0 ? begun : loop_now(all->loop));
	else
		happen[m->phase](m, events);
	if (!settled && m->phase < EVENTED_AWAITED)
		evented_settle(m);
	conns_took_event(all, m, begun);
}

/* What its transport waits for is there. */
static void
ask_again(struct evented *m)
{
	struct tend_conn *c = &m->c;
	unsigned events = 0;

	if ((c->read_want & CONN_LATER) != 0) {
		c->read_want = 0;
		events |= TEND_READ;
	}
	if ((c->write_want & CONN_LATER) != 0) {
		c->write_want = POLLOUT;
		events |= TEND_WRITE;
	}
	happen[m->phase](m, events);
	evented_settle(m);
}

static void
time_is_up(struct tend_timer *t)
{
	struct evented *m = t->data;
	struct conns *all = conns(m);
	int64_t begun = conns_clock(all), now = loop_now(all->loop);

	m->armed = false;
	if (m->phase >= EVENTED_AWAITED)
		evented_fiber_time(m);
	else if (now >= again_at(m))
		ask_again(m);
	else if (now >= due_time(m))
		be_silent(m);
	else
		evented_arm(m);
	conns_took(all, m, begun);
}

/* ---- after whatever happened ---- */

HOT static void
settle_open(struct evented *m)
{
	struct tend_conn *c = &m->c;

	send_queued(m);
	if (evented_is_alive(m) && c->broken != 0)
		evented_fail(m, c->broken);
	if (!evented_is_alive(m))
		return;
	if (m->phase == EVENTED_CLOSING) {
		if (conn_unsent(c) == 0)
			evented_part(m);
		return;
	}
	tell_drained(m);
	/* What the hook wrote leaves next turn: nobody else waits for one that never ends. */
	if (evented_is_alive(m) && conn_unsent(c) > 0 && c->write_want == 0)
		conns_attend(m);
}

static void
settle_all(struct evented *m)
{
	struct tend_conn *c = &m->c;
	int r;

	if (m->phase == EVENTED_OPEN || m->phase == EVENTED_CLOSING)
		settle_open(m);
	if (!evented_is_alive(m))
		return;
	conn_take_back(c);
	m->full = m->full && evented_is_full(m);
	conns_shed(conns(m), c);
	if (m->phase == EVENTED_HELD)
		return;
	if (evented_delivers_again(m))
		conns_attend(m);
	r = evented_interest(m);
	if (r < 0)
		evented_fail(m, r);
	else if (!m->armed || ((c->read_want | c->write_want | c->want) & CONN_LATER) != 0)
		evented_arm(m);
}

HOT void
evented_settle(struct evented *m)
{
	if (sends(m))
		evented_touch(m);
	if (only_reads(m))
		rest(conns(m), m);
	else
		settle_all(m);
}

void
evented_due(struct evented *m)
{
	if (m->phase >= EVENTED_AWAITED) {
		evented_fiber_due(m);
		return;
	}
	if (m->phase == EVENTED_SHAKING && m->shakes)
		evented_go_on_shaking(m, 0);
	evented_deliver_again(m);
	evented_settle(m);
}

/* ---- beginnings ---- */

int
evented_never_waits(struct tend_conn *c, unsigned events, int64_t deadline)
{
	(void)c;
	(void)events;
	(void)deadline;
	return -EAGAIN;
}

static void
retimed(struct tend_conn *c)
{
	struct evented *m = evented_of(c);

	evented_touch(m);
	if (evented_is_alive(m) && m->phase != EVENTED_HELD)
		evented_arm(m);
}

void
evented_mood_init(struct evented_mood *mood, struct conns *all)
{
	*mood = (struct evented_mood){
		.mood = {
			.wait = evented_never_waits,
			.queued = queued,
			.never_waits = true,
			.close = evented_close,
			.changed = evented_changed,
			.retimed = retimed,
			.closing = evented_closing,
			.traced = &all->loop->tracing,
			.tracer = &all->loop->tracer,
			.share = EVENTED_SHARE,
			.interrupt_fd = -1,
			.lifeline_fd = -1,
		},
		.conns = all,
	};
}

int
evented_new(struct evented **into, struct evented_mood *mood, int fd, const struct listener *from,
	const struct addr *peer)
{
	struct evented *m = NULL;
	int r = mood->conns->over ? -ECANCELED : -ENOMEM;

	if (r == -ENOMEM)
		m = calloc(1, sizeof(*m));
	if (m == NULL)
		goto close_fd;
	tend_watch_init(&m->watch, evented_event, m);
	tend_timer_init(&m->timer, time_is_up, m);
	r = watch_hold(mood->conns->loop, &m->watch, fd);
	if (r < 0)
		goto free_memory;
	conn_open(&m->c, fd, from, peer, &mood->mood);
	m->hooks = mood->hooks;
	m->place = fd;
	mood->conns->count++;
	*into = m;
	return 0;

free_memory:
	free(m);
close_fd:
	close(fd);
	return r;
}
