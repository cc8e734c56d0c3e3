/*
 * How handlers in threads wait. For input of their client they do so in recv() itself, which is one
 * system call for a message where poll() and a read would be two; for all else in poll().
 */
#include "server/crew_seat.h"

#include <errno.h>
#include <poll.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <sys/time.h>
#include <unistd.h>

#include "base/clock.h"
#include "log/line.h"
#include "net/plain.h"
#include "server/limits.h"
#include "server/status.h"
#include "server/trace.h"

static bool strange;
static _Thread_local struct crew_seat *mine;

/* ---- waiting ---- */

static bool
cancelled(void *data)
{
	const struct crew_seat *s = data;

	return s->crew->srv->stop == STOP_NOW;
}

static void
waits(void *data, bool begins)
{
	const struct crew_seat *s = data;
	struct lanes *lanes = s->crew->srv->lanes;

	/* The lane is the parent's. */
	if (strange)
		return;
	if (begins)
		lanes_pause(lanes, crew_slot(s->crew), s->lane);
	else
		lanes_resume(lanes, crew_slot(s->crew), s->lane);
}

static int
wait_watched(struct tend_conn *c, unsigned events, int64_t deadline)
{
	int r;

	waits(c->mood->data, true);
	r = conn_wait_blocking(c, events, deadline);
	waits(c->mood->data, false);
	return r;
}

/* ---- reading that waits ---- */

/* No kernel's clock ticks slower. */
#define TICK_MOST (10 * CLOCK_MILLISECOND)

static void
tell_kernel(struct crew_seat *s, int64_t patience)
{
	/* It counts in ticks, and the first one is not whole. */
	int64_t us = patience == CLOCK_NEVER ? 0 : (patience + TICK_MOST) / 1000;
	struct timeval tv = { .tv_sec = us / 1000000, .tv_usec = us % 1000000 };

	if (setsockopt(s->seat.conn.fd, SOL_SOCKET, SO_RCVTIMEO, &tv, sizeof(tv)) == 0)
		s->patience = patience;
}

/*
 * Connections that the handler made do not wait in their descriptors; in a child of the handler's
 * own nobody would end the wait; and near the end of its whole time a client has less than its
 * usual one.
 */
HOT static bool
may_wait_to_receive(struct tend_conn *c, int64_t limit)
{
	struct crew_seat *s = c->mood->data;

	if (c != &s->seat.conn || c->transport->read != plain_read || s->exposed || strange ||
	    limit < CLOCK_MILLISECOND)
		return false;
	/* Who has no such time need not look at the clock. */
	if (c->deadline != CLOCK_NEVER && clock_after(clock_now(), limit) > c->deadline)
		return false;
	if (limit != s->patience)
		tell_kernel(s, limit);
	return limit == s->patience;
}

/* The flag first: either the main thread sees it, or this one that it is to end. */
HOT static ssize_t
receive_or_end(struct crew_seat *s, void *into, size_t size)
{
	ssize_t n = -ECANCELED;

	atomic_store(&s->receives, true);
	if (!cancelled(s)) {
		n = recv(s->seat.conn.fd, into, size, 0);
		if (n < 0)
			n = -errno;
	}
	/* Its line of the cache is cold after a wait, and nobody waits for this. */
	atomic_store_explicit(&s->receives, false, memory_order_release);
	return n;
}

HOT static ssize_t
receive(struct tend_conn *c, void *into, size_t size)
{
	struct crew_seat *s = c->mood->data;
	bool watched = c->mood->waits != NULL;
	int64_t until = 0;
	ssize_t n;

	if (watched)
		waits(s, true);
	n = receive_or_end(s, into, size);
	if (watched)
		waits(s, false);
	if (n != -EAGAIN && n != -EINTR)
		return n;
	/* The time is up; or it was a signal, which may have been for others: then it begins anew. So it
	   does where no time was told to the kernel, and somebody has made the descriptor one that does
	   not wait. */
	if (n == -EINTR || s->patience == CLOCK_NEVER)
		until = clock_after(clock_now(), s->patience);
	if (until > c->deadline)
		until = c->deadline;
	n = c->mood->wait(c, POLLIN, until);
	return n == 0 ? plain_read(c, into, size) : n;
}

/* Who else uses the descriptor knows nothing of our patience. */
static void
expose(struct tend_conn *c)
{
	struct crew_seat *s = c->mood->data;

	if (c != &s->seat.conn)
		return;
	s->exposed = true;
	if (s->patience != CLOCK_NEVER)
		tell_kernel(s, CLOCK_NEVER);
}

/* ---- the end of a client ---- */

/* Its place is free before it can see the end: it may come again at once. */
static void
let_go(struct tend_conn *c, bool lives_on)
{
	(void)lives_on;
	limits_leave(c->mood->server, c);
}

/* The main thread waits for a client that may still be sending, not this one. */
static void
hand_over(void *data, int fd)
{
	struct crew_seat *s = data;
	struct crew *crew = s->crew;
	struct crew_handed *h = strange ? NULL : malloc(sizeof(*h));

	if (h == NULL) {
		close(fd);
		return;
	}
	h->fd = fd;
	h->next = atomic_load(&crew->handed);
	while (!atomic_compare_exchange_weak(&crew->handed, &h->next, h))
		;
	crew_call_main(crew);
}

/* ---- seats ---- */

void
crew_seat_open(struct crew_seat *s, struct crew *crew, unsigned lane)
{
	struct tend_server *srv = crew->srv;
	bool watched = srv->settings.value.busy_timeout > 0;

	*s = (struct crew_seat){ .crew = crew, .lane = lane, .patience = CLOCK_NEVER };
	conn_init(&s->seat.conn);
	(void)conn_warm(&s->seat.conn, false); /* they are made later, and farther apart */
	trace_init(srv, &s->tracer);
	s->seat.mood = (struct conn_mood){
		.wait = watched ? wait_watched : conn_wait_blocking,
		.waits = watched ? waits : NULL,
		.may_wait_to_receive = may_wait_to_receive,
		.receive = receive,
		.expose = expose,
		.limits = &srv->limits,
		.server = srv,
		.interrupt_fd = crew->cancel,
		.interrupt_lasts = true,
		.cancelled = cancelled,
		.data = s,
		.lifeline_fd = -1,
		.traced = srv->tracing.word,
		.tracer = &s->tracer,
		.closing = let_go,
		.drain = hand_over,
	};
	status_open_thread(srv, &s->seat.mood, lane);
}

void
crew_seat_take(struct crew_seat *s)
{
	mine = s;
}

void
crew_seat_next(struct crew_seat *s)
{
	s->exposed = false;
	s->patience = CLOCK_NEVER;
}

bool
crew_seat_receives(const struct crew_seat *s)
{
	return atomic_load(&s->receives);
}

bool
crew_is_strange(void)
{
	return strange;
}

/* Whatever the child of a handler does with its client, it is the parent that has it. */
static void
in_the_child(void)
{
	strange = true;
	if (mine == NULL)
		return;
	mine->seat.conn.place = 0;
	mine->seat.mood.traffic = NULL;
	mine->seat.mood.shown = NULL;
	mine->crew->srv->ledger = NULL;
}

static void
only_wake(int signo)
{
	(void)signo;
}

int
crew_seats_prepare(void)
{
	struct sigaction act = { .sa_handler = only_wake };
	int r = line_use_threads();

	/* No SA_RESTART: that it ends the call is all that it is for. */
	if (r == 0 && sigaction(CREW_SIGNAL, &act, NULL) < 0)
		r = -errno;
	return r == 0 ? -pthread_atfork(NULL, NULL, in_the_child) : r;
}
