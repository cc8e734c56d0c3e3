/*
 * The fiber mood: a handler of blocking calls in a fiber of its own. A call that cannot go on has the
 * loop watch for what it needs and suspends; the event, the timer or the server's end resume it. In
 * between the process belongs to the others.
 *
 * Only its own handler reads and waits for a connection. What others write to it (a chat) is queued and leaves
 * as in the evented mood; closing it ends the wait of its handler.
 */
#include <errno.h>
#include <poll.h>
#include <sys/epoll.h>
#include <unistd.h>

#include "net/evented.h"

/* Output of a stopping server may still leave for so long. */
#define CANCELLED_OUTPUT (1 * CLOCK_SECOND)

static struct tend_loop *
loop_of(const struct evented *m)
{
	return evented_mood_of(&m->c)->conns->loop;
}

HOT static bool
is_own(struct tend_conn *c)
{
	const struct evented *m = evented_of(c);

	return m->phase == EVENTED_FIBER && m->fiber != NULL && fiber_current() == m->fiber;
}

HOT static void
arm_at(struct evented *m, int64_t at)
{
	if (at == CLOCK_NEVER || (tend_timer_running(&m->timer) && m->timer.at <= at))
		return;
	timer_start_at(loop_of(m), &m->timer, at);
}

HOT static void
arm(struct evented *m)
{
	arm_at(m, m->until);
}

/* Output that others have queued waits for a moment that its transport has said. */
static bool
sends_later(const struct evented *m)
{
	return (m->c.write_want & CONN_LATER) != 0 && m->c.sending == SENDING_NOT &&
	    m->phase == EVENTED_FIBER;
}

/* For what the handler waits, and for output that others have queued. */
HOT static int
watch(struct evented *m)
{
	unsigned events = m->waiting;

	if (!m->suspended || (m->waiting & TEND_WRITE) == 0)
		events |= evented_bits(m->c.write_want);
	if (sends_later(m))
		arm_at(m, m->c.extras->again_at);
	return tend_watch_change(&m->watch, events);
}

/* The handler is to end: the server stops, or somebody else has closed its client. */
static bool
is_cancelled(const struct evented *m)
{
	return m->kicked || (m->is_outgoing && m->party->kicked) || evented_mood_of(&m->c)->cancelled;
}

/* Suspends until somebody resumes it or the moment has come. */
HOT static int
suspend_until(struct evented *m, unsigned events, int64_t until)
{
	int r;

	m->waiting = (uint8_t)events;
	m->until = until;
	m->suspended = true;
	r = watch(m);
	if (r < 0) {
		m->suspended = false;
		return r;
	}
	if (m->is_outgoing)
		m->party->party = m;
	arm(m);
	conns_shed(evented_mood_of(&m->c)->conns, &m->c);
	fiber_suspend();
	return m->result;
}

HOT static int
wait_in_fiber(struct tend_conn *c, unsigned events, int64_t deadline)
{
	struct evented *m = evented_of(c);
	int64_t now = loop_now(loop_of(m));

	if (!is_own(c))
		return -EAGAIN;
	if (is_cancelled(m)) {
		if ((events & POLLOUT) == 0)
			return -ECANCELED;
		if (deadline > now + CANCELLED_OUTPUT)
			deadline = now + CANCELLED_OUTPUT;
	}
	if (deadline <= now)
		return -ETIMEDOUT;
	return suspend_until(m, evented_bits(events), deadline);
}

/* What its own handler writes leaves when it waits or returns. */
HOT static void
queued(struct tend_conn *c)
{
	struct evented *m = evented_of(c);

	if (m->phase == EVENTED_FIBER && !is_own(c))
		conns_attend(m);
}

/* See struct tend_loop. */
void
evented_foresee(struct tend_watch *w, unsigned ahead)
{
	const struct evented *m = w->data;

	if (w->fn == evented_event && m->phase == EVENTED_FIBER && m->suspended)
		fiber_foresee(m->fiber, ahead == 1);
}

/* The handler has returned, its connection is closed and released. */
static void
end(struct evented *m)
{
	m->phase = EVENTED_DEAD;
	m->fiber = NULL;
	tend_watch_stop(&m->watch);
	tend_timer_stop(&m->timer);
	conns_attend(m);
}

/* One that was awaited in vain: its handler never hears of it. */
static void
leave_early(struct evented *m, bool abort)
{
	if (abort)
		conn_cut(&m->c);
	else
		conn_part(&m->c);
	m->in_vain = true;
	end(m);
}

/* Its own handler closes it by waiting, as in the blocking mood. Others ask the handler to. */
static bool
take_over_close(struct tend_conn *c, bool abort)
{
	struct evented *m = evented_of(c);

	if (m->phase == EVENTED_AWAITED) {
		leave_early(m, abort);
		return true;
	}
	if (m->phase != EVENTED_FIBER || is_own(c))
		return false;
	m->kicked = true;
	if (abort) {
		conn_reset_at_close(c);
		conn_break(c, -ENOTCONN);
	}
	conns_attend(m);
	return true;
}

/* The wait of a handler that is to end is over; output that is on its way may still leave. */
static void
hurry(struct evented *m)
{
	int64_t until = clock_after(loop_now(loop_of(m)), CANCELLED_OUTPUT);

	if ((m->waiting & TEND_WRITE) == 0 || m->c.broken != 0) {
		evented_resume(m, -ECANCELED);
	} else if (until < m->until) {
		m->until = until;
		arm(m);
	}
}

static void
retimed(struct tend_conn *c)
{
	(void)c;
}

/* ---- other descriptors ---- */

/* A handler that waits for more than its client, as one that runs a program does. */
struct vigil {
	struct evented   *m;
	struct tend_watch watch;
	bool              over;
};

static void
vigil_over(struct tend_watch *w, unsigned events)
{
	struct vigil *v = w->data;

	(void)events;
	tend_watch_stop(w);
	v->over = true;
	if (v->m->suspended)
		evented_resume(v->m, 0);
}

/* One descriptor that is readable when any of these is ready. */
static int
gather(const struct pollfd *fds, unsigned count)
{
	int set = epoll_create1(EPOLL_CLOEXEC);
	unsigned i;

	for (i = 0; set >= 0 && i < count; i++) {
		/* The kernel's bits are those of poll(). */
		struct epoll_event event = { .events = (uint32_t)fds[i].events };

		if (fds[i].fd >= 0)
			epoll_ctl(set, EPOLL_CTL_ADD, fds[i].fd, &event);
	}
	return set;
}

static int
poll_in_fiber(struct tend_conn *c, struct pollfd *fds, unsigned count, int64_t until, bool deaf)
{
	struct evented *m = evented_of(c);
	struct vigil v = { .m = m };
	int set, r;

	if (is_cancelled(m) && !deaf)
		return -ECANCELED;
	set = gather(fds, count);
	if (set < 0)
		return -errno;
	tend_watch_init(&v.watch, vigil_over, &v);
	r = tend_watch_start(loop_of(m), &v.watch, set, TEND_READ);
	if (r == 0)
		r = suspend_until(m, 0, until);
	tend_watch_stop(&v.watch);
	close(set);
	if (r == -ECANCELED && !deaf)
		return r;
	return poll(fds, count, 0);
}

/* ---- connections out ---- */

/* It belongs to the handler that makes it, as the one that it has already. */
static struct tend_conn *
make(struct tend_conn *from, int fd)
{
	struct evented *m;

	if (evented_new(&m, evented_mood_of(from), fd, &socket_listener, NULL) < 0)
		return NULL;
	m->phase = EVENTED_FIBER;
	m->fiber = fiber_current();
	m->is_outgoing = true;
	m->party = evented_of(from)->is_outgoing ? evented_of(from)->party : evented_of(from);
	return &m->c;
}

static void
unmake(struct tend_conn *c)
{
	evented_forget(evented_of(c));
}

void
evented_mood_init_fiber(struct evented_mood *mood, struct conns *all, struct fiber_pool *fibers)
{
	all->loop->foresee = evented_foresee;
	*mood = (struct evented_mood){
		.mood = {
			.wait = wait_in_fiber,
			.queued = queued,
			.may_wait = is_own,
			.may_read = is_own,
			.close = take_over_close,
			.retimed = retimed,
			.poll = poll_in_fiber,
			.make = make,
			.unmake = unmake,
			.closing = evented_closing,
			.traced = &all->loop->tracing,
			.tracer = &all->loop->tracer,
			.share = EVENTED_SHARE,
			.interrupt_fd = -1,
			.lifeline_fd = -1,
		},
		.conns = all,
		.fibers = fibers,
	};
}

/* ---- running ---- */

struct start {
	struct evented *m;
	void (*body)(struct tend_conn *c);
};

static void
run(void *arg)
{
	struct start s = *(struct start *)arg; /* who started us goes on before we end */

	s.m->fiber = fiber_current();
	s.m->party = NULL;
	s.body(&s.m->c);
	end(s.m);
}

int
evented_run(struct evented *m, void (*body)(struct tend_conn *c))
{
	struct evented_mood *mood = evented_mood_of(&m->c);
	struct start s = { m, body };
	struct fiber *f;
	int r;

	m->phase = EVENTED_FIBER;
	mood->mood.left = EVENTED_SHARE;
	conns_lend(mood->conns, &m->c);
	r = fiber_start(mood->fibers, &f, run, &s);
	if (r < 0)
		m->phase = EVENTED_HELD;
	return r < 0 ? r : 0;
}

void
evented_await(struct evented *m)
{
	const struct conn_limits *limits = m->c.mood->limits;
	int64_t patience = m->c.idle;

	if (limits->first_byte > 0 && limits->first_byte < patience)
		patience = limits->first_byte;
	m->phase = EVENTED_AWAITED;
	m->until = clock_after(loop_now(loop_of(m)), patience);
	if (m->c.deadline < m->until)
		m->until = m->c.deadline;
	if (tend_watch_change(&m->watch, TEND_READ) < 0)
		leave_early(m, false);
	else
		arm(m);
}

HOT void
evented_resume(struct evented *m, int result)
{
	struct evented_mood *mood = evented_mood_of(&m->c);

	m->suspended = false;
	if (m->is_outgoing)
		m->party->party = NULL;
	m->waiting = 0;
	m->result = result;
	mood->mood.left = EVENTED_SHARE;
	conns_lend(mood->conns, &m->c);
	fiber_resume(m->fiber);
}

/* ---- what happens to it ---- */

/* Output that others have queued, and that its handler does not know of. */
HOT static void
send_queued(struct evented *m)
{
	struct tend_conn *c = &m->c;

	if (c->sending == SENDING_NOT && conn_unsent(c) > 0 && c->write_want == 0)
		tend_flush(c);
	if (m->phase == EVENTED_FIBER && c->open)
		watch(m);
}

HOT void
evented_fiber_event(struct evented *m, unsigned events)
{
	struct tend_conn *c = &m->c;

	if (m->phase == EVENTED_AWAITED) {
		evented_mood_of(c)->heard(m);
		return;
	}

	if (m->suspended && m->waiting != 0 &&
	    (events & (m->waiting | TEND_ERROR | TEND_HANGUP)) != 0) {
		evented_resume(m, 0);
		return;
	}
	/* Nobody waits for this: not to be told again. The next wait asks anew. */
	if ((events & TEND_WRITE) != 0 && c->write_want != 0 && c->sending == SENDING_NOT) {
		c->write_want = 0;
		send_queued(m);
	}
	watch(m);
}

void
evented_fiber_due(struct evented *m)
{
	struct evented *waits;

	if (m->phase == EVENTED_AWAITED)
		return;
	waits = m->suspended ? m : !m->is_outgoing ? m->party : NULL;
	if (m->kicked && waits != NULL) {
		hurry(waits);
		if (!m->suspended || m->phase != EVENTED_FIBER)
			return;
	}
	send_queued(m);
	/* Its client cannot be spoken to any more; the handler may not be about to. */
	if (m->phase == EVENTED_FIBER && m->c.broken == -ENOBUFS && m->suspended)
		evented_resume(m, -ENOBUFS);
}

void
evented_fiber_time(struct evented *m)
{
	int64_t now = loop_now(loop_of(m));

	if (m->phase == EVENTED_AWAITED && now >= m->until) {
		m->c.timed_out = true;
		leave_early(m, false);
	} else if (m->phase == EVENTED_AWAITED) {
		arm(m);
	}
	if (sends_later(m) && now >= m->c.extras->again_at) {
		m->c.write_want = 0;
		send_queued(m);
	}
	if (!m->suspended)
		return;
	if (now >= m->until)
		evented_resume(m, -ETIMEDOUT);
	else
		arm(m);
}

void
evented_dismiss_awaited(struct evented_mood *mood)
{
	struct tend_watch *w;
	int fd = 0;

	for (; (w = watch_find(mood->conns->loop, evented_event, &fd)) != NULL; fd++) {
		struct evented *m = w->data;

		if (evented_mood_of(&m->c) == mood && m->phase == EVENTED_AWAITED)
			leave_early(m, false);
	}
}

void
evented_cancel_fibers(struct evented_mood *mood)
{
	struct tend_watch *w;
	int fd = 0;

	mood->cancelled = true;
	for (; (w = watch_find(mood->conns->loop, evented_event, &fd)) != NULL; fd++) {
		struct evented *m = w->data;

		if (evented_mood_of(&m->c) == mood && m->phase == EVENTED_FIBER && m->suspended)
			hurry(m);
	}
}
