/*
 * Threads that serve. Each waits for clients by itself, all of them on one set of the kernel's that
 * tells one thread of a client: the one that was busy last, whose memory is warm.
 */
#include "server/crew.h"

#include <errno.h>
#include <sched.h>
#include <signal.h>
#include <stdlib.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include "base/clock.h"
#include "net/accept.h"
#include "server/crew_seat.h"
#include "server/limits.h"
#include "server/serve.h"

/* Where one client came another is hoped for; while they come one by one, only so often. */
#define HOPE_AGAIN 8
/* So many in a row from one listener, at most, while others have clients too. */
#define LOOK_AROUND 4

#define LEAVE UINT32_MAX /* among the numbers of inlets */

struct crew_thread {
	struct crew        *crew;
	pthread_t           id;
	struct crew_thread *next;    /* of those that have ended */
	struct crew_inlet  *hope;    /* may have another client */
	bool                in_vain; /* the last hope was: clients come one by one */
	bool                patient; /* it waits for as long as it takes */
	unsigned            taken;
	struct crew_seat    seat;
};

struct guest {
	int                    fd;
	const struct listener *from;
	struct addr            peer;
};

/* ---- threads: from client to client ---- */

/*
 * A number of clients that is not to be exceeded is counted before they are accepted; whoever finds
 * none gives his ticket back.
 */
static bool
take_ticket(struct crew *crew)
{
	if (crew->most == 0 || atomic_fetch_add(&crew->tickets, 1) < crew->most)
		return true;
	atomic_fetch_sub(&crew->tickets, 1);
	return false;
}

static void
return_ticket(struct crew *crew)
{
	if (crew->most != 0)
		atomic_fetch_sub(&crew->tickets, 1);
}

/* With the last one the worker has had its share. */
static void
use_ticket(struct crew *crew)
{
	if (crew->most != 0 && atomic_fetch_add(&crew->accepted, 1) + 1 >= crew->most)
		server_retire(crew->srv);
}

/* There are more than are allowed, since TTOU. As many leave as are too many. */
static bool
resigns_as_surplus(struct crew *crew)
{
	unsigned n = atomic_load(&crew->alive), allowed = lanes_allowed(crew->srv->lanes);

	while (n > allowed)
		if (atomic_compare_exchange_weak(&crew->alive, &n, n - 1))
			return true;
	return false;
}

/* One is always kept waiting. */
static bool
resigns_as_idle(struct crew *crew)
{
	int n = atomic_load(&crew->waiting);

	while (n > 1)
		if (atomic_compare_exchange_weak(&crew->waiting, &n, n - 1)) {
			atomic_fetch_sub(&crew->alive, 1);
			return true;
		}
	return false;
}

/* The kernel told one thread of clients at this inlet, and tells the next one from now on. */
static void
rearm(struct crew *crew, struct crew_inlet *in)
{
	struct epoll_event ev = {
		.events = EPOLLIN | EPOLLONESHOT,
		.data.u32 = (uint32_t)(in - crew->inlets),
	};

	epoll_ctl(crew->set, EPOLL_CTL_MOD, in->listener->fd, &ev);
}

/* Where one client came there may be another: that try replaces a wait, when it is worth it. */
static void
hope_for_another(struct crew_thread *t, struct crew_inlet *in)
{
	t->taken++;
	t->hope = NULL;
	if (t->crew->inlet_count > 1 && t->taken % LOOK_AROUND == 0)
		return;
	if (!t->in_vain || t->taken % HOPE_AGAIN == 0)
		t->hope = in;
}

/* One that was `woken` by the inlet lets the next one be. */
static bool
admit(struct crew_thread *t, struct crew_inlet *in, bool woken, struct guest *g)
{
	struct crew *crew = t->crew;

	t->hope = NULL;
	g->fd = accept_client(in->listener->fd, &g->peer);
	g->from = in->listener;
	if (!woken)
		t->in_vain = g->fd < 0;
	if (g->fd < 0 && g->fd != -EAGAIN && woken) {
		/* The queue stays readable: to be told of it would only spin. */
		atomic_store(&in->trouble, g->fd);
		crew_call_main(crew);
		return false;
	}
	if (woken)
		rearm(crew, in);
	if (g->fd < 0)
		return false;
	hope_for_another(t, in);
	return true;
}

static bool
try_inlet(struct crew_thread *t, struct crew_inlet *in, bool woken, struct guest *g)
{
	struct crew *crew = t->crew;

	if (!take_ticket(crew)) {
		/* The last ones are out: in a moment they are used, or given back. */
		t->hope = NULL;
		if (woken)
			rearm(crew, in);
		sched_yield();
		return false;
	}
	if (admit(t, in, woken, g)) {
		use_ticket(crew);
		return true;
	}
	return_ticket(crew);
	return false;
}

/* Sleeps until there may be a client. The inlet, or NULL: look again whether to go on. */
static struct crew_inlet *
wait_for_knock(struct crew_thread *t, bool *idle)
{
	struct crew *crew = t->crew;
	struct epoll_event ev;
	int n = epoll_wait(crew->set, &ev, 1, t->patient ? -1 : crew->patience);

	*idle = n == 0;
	if (n <= 0 || ev.data.u32 == LEAVE)
		return NULL;
	t->patient = false;
	return &crew->inlets[ev.data.u32];
}

enum resigned { NOT_AS, AS_SURPLUS, AS_IDLE, AS_ENDING };

/* Until there is a client, or none is to come for this thread. */
static enum resigned
next_client(struct crew_thread *t, struct guest *g)
{
	struct crew *crew = t->crew;
	struct crew_inlet *in;
	bool idle;

	while (crew->srv->stop == STOP_NOT) {
		if (resigns_as_surplus(crew))
			return AS_SURPLUS;
		if (t->hope != NULL) {
			if (try_inlet(t, t->hope, false, g))
				return NOT_AS;
			continue;
		}
		in = wait_for_knock(t, &idle);
		if (in != NULL && resigns_as_surplus(crew)) {
			rearm(crew, in);
			return AS_SURPLUS;
		}
		if (in != NULL && try_inlet(t, in, true, g))
			return NOT_AS;
		if (idle && resigns_as_idle(crew))
			return AS_IDLE;
		t->patient = idle;
	}
	return AS_ENDING;
}

static bool
may_grow(struct crew *crew)
{
	return atomic_load(&crew->alive) < lanes_allowed(crew->srv->lanes);
}

static void
serve(struct crew_thread *t, const struct guest *g)
{
	struct crew *crew = t->crew;
	struct tend_server *srv = crew->srv;
	unsigned slot = crew_slot(crew);
	uint32_t place;
	enum tend_refusal why = limits_enter(srv, &g->peer, &place);

	if (why != TEND_REFUSAL_NONE) {
		serve_turn_away(srv, &t->seat.seat, g->fd, g->from, &g->peer, why, NULL);
		return;
	}
	if (atomic_fetch_sub(&crew->waiting, 1) == 1 && may_grow(crew))
		crew_call_main(crew);
	board_opened(srv->board);
	lanes_busy(srv->lanes, slot, t->seat.lane);
	child_title(srv, true);
	crew_seat_next(&t->seat);
	serve_connection(srv, &t->seat.seat, g->fd, g->from, &g->peer, place);
	/* Its handler forked, and the child came back from it: it is no worker. */
	if (crew_is_strange())
		_exit(srv->client_failed ? EX_SOFTWARE : 0);
	lanes_waiting(srv->lanes, slot, t->seat.lane);
	board_closed(srv->board);
	child_title(srv, board_clients_of(srv->board, slot) > 0);
	atomic_fetch_add(&crew->waiting, 1);
}

/* The last thing that a thread does. */
static void
resign(struct crew_thread *t, enum resigned as)
{
	struct crew *crew = t->crew;

	if (as != AS_IDLE)
		atomic_fetch_sub(&crew->waiting, 1);
	if (as == AS_ENDING)
		atomic_fetch_sub(&crew->alive, 1);
	lanes_end(crew->srv->lanes, crew_slot(crew), t->seat.lane);
	t->next = atomic_load(&crew->ended);
	while (!atomic_compare_exchange_weak(&crew->ended, &t->next, t))
		;
	crew_call_main(crew);
}

static void *
live(void *data)
{
	struct crew_thread *t = data;
	enum resigned as;
	struct guest g;

	crew_seat_take(&t->seat);
	while ((as = next_client(t, &g)) == NOT_AS)
		serve(t, &g);
	resign(t, as);
	return NULL;
}

/* ---- the main thread ---- */

static unsigned
free_lane(const struct crew *crew)
{
	unsigned i;

	for (i = 0; crew->threads[i] != NULL; i++)
		;
	return i;
}

static int
start_thread(struct crew *crew)
{
	struct crew_thread *t = malloc(sizeof(*t));
	int e;

	if (t == NULL)
		return -ENOMEM;
	*t = (struct crew_thread){ .crew = crew };
	crew_seat_open(&t->seat, crew, free_lane(crew));
	atomic_fetch_add(&crew->waiting, 1);
	atomic_fetch_add(&crew->alive, 1);
	lanes_start(crew->srv->lanes, crew_slot(crew), t->seat.lane);
	e = pthread_create(&t->id, NULL, live, t);
	if (e == 0) {
		crew->threads[t->seat.lane] = t;
		crew->count++;
		return 0;
	}
	atomic_fetch_sub(&crew->waiting, 1);
	atomic_fetch_sub(&crew->alive, 1);
	lanes_end(crew->srv->lanes, crew_slot(crew), t->seat.lane);
	conn_done(&t->seat.seat.conn);
	free(t);
	return -e;
}

static void
log_trouble(struct crew *crew, int code)
{
	int64_t now = clock_now();

	if (crew->trouble_logged != 0 && now - crew->trouble_logged < CLOCK_SECOND)
		return;
	crew->trouble_logged = now;
	tend_log(crew->srv, TEND_LOG_WARNING,
	    "Cannot start a thread: %s; going on with %u (option max_servers)", error_reason(code),
	    crew->count);
}

/* One more than serve, up to the maximum: the next client finds somebody waiting. */
static int
grow(struct crew *crew)
{
	struct tend_server *srv = crew->srv;
	int r = 0;

	while (r == 0 && srv->stop == STOP_NOT && atomic_load(&crew->waiting) < 1 &&
	    crew->count < lanes_room(srv->lanes) && may_grow(crew))
		r = start_thread(crew);
	if (r == 0)
		return 0;
	if (crew->count == 0)
		return server_fail(srv, EX_OSERR, r, "cannot start a thread: %s", error_reason(r));
	log_trouble(crew, r);
	return 0;
}

static void
bury(struct crew *crew)
{
	struct crew_thread *t = atomic_exchange(&crew->ended, NULL), *next;

	for (; t != NULL; t = next) {
		next = t->next;
		pthread_join(t->id, NULL);
		crew->threads[t->seat.lane] = NULL;
		crew->count--;
		conn_done(&t->seat.seat.conn);
		free(t);
	}
}

static void
take_over(struct crew *crew)
{
	struct crew_handed *h = atomic_exchange(&crew->handed, NULL), *next;

	for (; h != NULL; h = next) {
		next = h->next;
		drain_start(&crew->drains, h->fd);
		free(h);
	}
}

int
crew_attend(struct crew *crew)
{
	bury(crew);
	take_over(crew);
	return grow(crew);
}

void
crew_try_again(struct crew *crew, struct crew_inlet *in)
{
	atomic_store(&in->trouble, 0);
	rearm(crew, in);
}

/* ---- opening ---- */

static int
add_to_set(struct crew *crew, int fd, uint32_t number)
{
	struct epoll_event ev = { .events = EPOLLIN, .data.u32 = number };

	if (number != LEAVE)
		ev.events |= EPOLLONESHOT;
	return epoll_ctl(crew->set, EPOLL_CTL_ADD, fd, &ev) < 0 ? -errno : 0;
}

static int
open_set(struct crew *crew)
{
	size_t i;
	int r;

	crew->set = epoll_create1(EPOLL_CLOEXEC);
	crew->leave = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
	crew->cancel = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
	if (crew->set < 0 || crew->leave < 0 || crew->cancel < 0)
		return -errno;
	r = add_to_set(crew, crew->leave, LEAVE);
	for (i = 0; r == 0 && i < crew->inlet_count; i++)
		r = add_to_set(crew, crew->inlets[i].listener->fd, (uint32_t)i);
	return r;
}

static int
open_memory(struct crew *crew)
{
	size_t i;

	crew->threads = calloc(lanes_room(crew->srv->lanes), sizeof(struct crew_thread *));
	crew->inlets = calloc(crew->inlet_count, sizeof(*crew->inlets));
	if (crew->threads == NULL || crew->inlets == NULL)
		return -ENOMEM;
	for (i = 0; i < crew->inlet_count; i++)
		crew->inlets[i].listener = &crew->srv->listeners[i];
	return 0;
}

int
crew_open(struct crew *crew, struct tend_server *srv, unsigned long most)
{
	double patience = srv->settings.value.idle_to_minimum;
	int r;

	*crew = (struct crew){ .srv = srv, .most = most, .inlet_count = srv->listener_count };
	crew->patience = patience > 0 ? clock_poll_timeout(0, clock_from_seconds(patience)) : -1;
	drains_init(&crew->drains, srv->loop, srv->settings.value.linger_timeout);
	r = open_memory(crew);
	if (r == 0)
		r = open_set(crew);
	if (r == 0)
		r = crew_seats_prepare();
	if (r < 0)
		return server_fail(srv, EX_OSERR, r, "cannot wait for clients: %s", error_reason(r));
	return grow(crew);
}

/* ---- the end ---- */

static void
ring(int fd)
{
	static const uint64_t one = 1;
	ssize_t n = write(fd, &one, sizeof(one));

	(void)n; /* it can hold so many that it never fails */
}

void
crew_close_door(struct crew *crew)
{
	size_t i;

	/* Before the descriptors are given up: the sockets live on in others, and so would the watch. */
	for (i = 0; i < crew->inlet_count; i++)
		epoll_ctl(crew->set, EPOLL_CTL_DEL, crew->inlets[i].listener->fd, NULL);
	serve_let_go_of_listeners(crew->srv);
	ring(crew->leave);
}

void
crew_cancel(struct crew *crew)
{
	unsigned i;

	ring(crew->cancel);
	for (i = 0; i < lanes_room(crew->srv->lanes); i++)
		if (crew->threads[i] != NULL && crew_seat_receives(&crew->threads[i]->seat))
			pthread_kill(crew->threads[i]->id, CREW_SIGNAL);
}

bool
crew_is_empty(const struct crew *crew)
{
	return crew->count == 0 && drains_active(&crew->drains) == 0;
}
