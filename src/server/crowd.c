/*
 * Clients that share a process. In the evented mood the steps of serve.c are walked as it happens; in
 * a fiber they are walked there.
 */
#include "server/crowd.h"

#include <errno.h>
#include <unistd.h>

#include "base/clock.h"
#include "server/child.h"
#include "server/limits.h"
#include "server/lookup.h"
#include "server/parcels.h"
#include "server/serve.h"
#include "server/status.h"

/* Warm stacks for fibers. */
#define KEEP_STACKS 64

/* ---- counting ---- */

static void
client_came(struct crowd *crowd)
{
	crowd->clients++;
	crowd->taken++;
	board_opened(crowd->srv->board);
	child_title(crowd->srv, true);
}

/* Told of and about to be freed. */
static void
client_left(struct crowd *crowd)
{
	crowd->clients--;
	board_closed(crowd->srv->board);
	if (crowd->clients == 0)
		child_title(crowd->srv, false);
	crowd->quiet_since = 0;
}

/* ---- evented clients ---- */

static void
finishing(struct tend_conn *c)
{
	serve_processed(c->mood->server, c, true);
}

static void
closed(struct tend_conn *c)
{
	struct tend_server *srv = c->mood->server;

	status_took(srv, evented_of(c)->began);
	serve_closed(srv, c);
	client_left(srv->crowd);
}

/* The service has it now, and may keep it for as long as it likes. */
static void
detached(struct tend_conn *c)
{
	struct tend_server *srv = c->mood->server;

	lookup_cancel(c);
	status_took(srv, evented_of(c)->began);
	status_closed(srv, c);
	client_left(srv->crowd);
}

/* The first steps; what follows is told by the loop. */
static void
welcome(struct tend_conn *c)
{
	struct tend_server *srv = c->mood->server;
	struct evented *m = evented_of(c);

	if (!c->open)
		return;
	m->finished = false;
	if (serve_admit(srv, c)) {
		evented_begin(m);
		return;
	}
	m->finished = true;
	serve_processed(srv, c, false);
	tend_close(c);
}

/* Others are served while its name is found out. If it ends before, nothing was begun. */
static void
introduce(struct evented *m)
{
	if (lookup_start(m->c.mood->server, &m->c, welcome))
		evented_hold(m);
	else
		welcome(&m->c);
}

static void
shaken(struct tend_conn *c, int code)
{
	if (code == 0) {
		introduce(evented_of(c));
		return;
	}
	serve_not_shaken(c->mood->server, c, code);
	tend_abort(c);
}

static void
start_evented(struct evented *m)
{
	m->began = status_serving(m->c.mood->server, &m->c);
	/* Of an end that comes before it was let in only `closed` tells. */
	m->finished = true;
	if (m->c.transport->handshake != NULL)
		evented_shake(m);
	else
		introduce(m);
}

/* ---- clients in fibers ---- */

static void
serve_in_fiber(struct tend_conn *c)
{
	serve_opened(c->mood->server, c);
}

/* Its handler, if it had one, has told of everything; only the memory is left. */
static void
fiber_closed(struct tend_conn *c)
{
	struct tend_server *srv = c->mood->server;

	if (evented_of(c)->in_vain) {
		status_took(srv, evented_of(c)->began);
		status_closed(srv, c);
	}
	client_left(srv->crowd);
}

/* One that never speaks was a client all the same. */
static void
await_words(struct evented *m)
{
	m->began = status_serving(m->c.mood->server, &m->c);
	evented_await(m);
}

static void
log_trouble(struct crowd *crowd, const char *what, int code)
{
	int64_t now = clock_now();

	if (crowd->trouble_logged != 0 && now - crowd->trouble_logged < CLOCK_SECOND)
		return;
	crowd->trouble_logged = now;
	tend_log(crowd->srv, TEND_LOG_WARNING, "Cannot serve a client: %s: %s", what,
	    error_reason(code));
}

static void
start_fiber(struct crowd *crowd, struct evented *m)
{
	int r = evented_run(m, serve_in_fiber);

	if (r == 0)
		return;
	log_trouble(crowd, "no stack for its handler (option fiber_stack)", r);
	limits_leave(crowd->srv, &m->c);
	tend_abort(&m->c);
	evented_forget(m);
	client_left(crowd);
}

/* ---- meeting them ---- */

void
crowd_take(struct crowd *crowd, const struct listener *from, int fd, const struct addr *peer)
{
	struct tend_server *srv = crowd->srv;
	struct evented *m;
	uint32_t place;
	enum tend_refusal why = limits_enter(srv, peer, &place);
	int64_t begun;
	int r;

	if (why != TEND_REFUSAL_NONE) {
		serve_turn_away(srv, &srv->seat, fd, from, peer, why,
		    &crowd->mood.conns->drains);
		return;
	}
	r = evented_new(&m, &crowd->mood, fd, from, peer);
	if (r < 0) {
		limits_leave_place(srv, place);
		log_trouble(crowd, "its connection", r);
		return;
	}
	m->c.place = place;
	m->c.unknown = true;
	client_came(crowd);
	begun = conns_clock(crowd->mood.conns);
	if (crowd->mood.fibers != NULL && srv->settings.value.defer_accept)
		await_words(m);
	else if (crowd->mood.fibers != NULL)
		start_fiber(crowd, m);
	else
		start_evented(m);
	conns_took(crowd->mood.conns, m, begun);
}

/* ---- opening ---- */

/* A handler that is in the way of all others. It may be one of a connection that the service has made
   itself, which knows of no server. */
static void
stalled(void *data, struct tend_conn *c, int64_t took)
{
	tend_log(data, TEND_LOG_WARNING,
	    "Serving %s held up all other clients for %.3f s (option stall_warning)", tend_peer(c),
	    clock_to_seconds(took));
}

static void
drain(void *data, int fd)
{
	struct tend_server *srv = data;

	drain_start(&srv->crowd->mood.conns->drains, fd);
}

/* In a signal handler: only what is safe there. */
static void
report_overflow(void *data, const void *address)
{
	static const char text[] = "tend: a handler ran over the stack of its fiber; this worker ends "
				   "(raise the option fiber_stack)\n";
	ssize_t n = write(STDERR_FILENO, text, sizeof(text) - 1);

	(void)data;
	(void)address;
	(void)n;
}

/* Its place is free before it can see the end: it may come again at once. */
static void
let_go(struct tend_conn *c, bool lives_on)
{
	struct tend_server *srv = c->mood->server;

	limits_leave(srv, c);
	srv->crowd->close_watch(c, lives_on);
}

static void
heard(struct evented *m)
{
	struct tend_server *srv = m->c.mood->server;

	start_fiber(srv->crowd, m);
}

static int
open_fibers(struct crowd *crowd)
{
	struct tend_server *srv = crowd->srv;
	int r = fiber_pool_open(&crowd->fibers, (size_t)srv->settings.value.fiber_stack, KEEP_STACKS);

	if (r < 0)
		return server_fail(srv, EX_OSERR, r, "cannot make stacks for fibers: %s (option fiber_stack)",
		    error_reason(r));
	fiber_overflow_open(report_overflow, NULL);
	return 0;
}

static int
open_mood(struct crowd *crowd)
{
	struct tend_server *srv = crowd->srv;
	const struct tend_hooks *h = srv->hooks;
	struct conns *all = conns_of(srv->loop);
	int r = 0;

	if (all == NULL)
		return server_fail(srv, EX_OSERR, -ENOMEM, "out of memory");
	all->drains.seconds = srv->settings.value.linger_timeout;
	conns_watch_stalls(all, clock_from_seconds(srv->settings.value.stall_warning), stalled, srv);
	if (h->readable == NULL || parcels_needs_fibers(srv))
		r = open_fibers(crowd);
	if (h->readable != NULL) {
		evented_mood_init(&crowd->mood, all);
		crowd->mood.finishing = finishing;
		crowd->mood.closed = closed;
		crowd->mood.detached = detached;
		crowd->mood.shaken = shaken;
	} else {
		evented_mood_init_fiber(&crowd->mood, all, &crowd->fibers);
		crowd->mood.closed = fiber_closed;
		crowd->mood.heard = heard;
	}
	crowd->hooks = (struct tend_conn_hooks){
		.readable = h->readable,
		.drained = h->drained,
		.ended = h->ended,
		.failed = h->failed,
		.timed_out = h->timed_out,
	};
	crowd->close_watch = crowd->mood.mood.closing;
	crowd->mood.mood.closing = let_go;
	crowd->mood.hooks = &crowd->hooks;
	crowd->mood.mood.limits = &srv->limits;
	crowd->mood.mood.server = srv;
	crowd->mood.mood.data = srv;
	crowd->mood.mood.drain = drain;
	status_open_mood(srv, &crowd->mood.mood, false);
	return r;
}

/* Clients that are datagrams count as others do. */
static void
datagram_came(struct tend_server *srv)
{
	client_came(srv->crowd);
}

static void
datagram_left(struct tend_server *srv)
{
	client_left(srv->crowd);
}

int
crowd_open_parcels(struct crowd *crowd)
{
	const struct parcels_owner owner = {
		.conns = crowd->mood.conns,
		.fibers = &crowd->fibers,
		.most = crowd->most,
		.came = datagram_came,
		.left = datagram_left,
	};

	return parcels_open(crowd->srv, &owner);
}

int
crowd_open(struct crowd *crowd, struct tend_server *srv, unsigned long most)
{
	*crowd = (struct crowd){ .srv = srv, .most = most };
	srv->crowd = crowd;
	return open_mood(crowd);
}

/* ---- the end ---- */

bool
crowd_is_empty(const struct crowd *crowd)
{
	return crowd->clients == 0 && drains_active(&crowd->mood.conns->drains) == 0;
}

void
crowd_dismiss(struct crowd *crowd)
{
	parcels_dismiss(crowd->srv->parcels);
	if (crowd->mood.fibers == NULL) {
		evented_dismiss(&crowd->mood);
		return;
	}
	evented_dismiss_awaited(&crowd->mood);
	evented_cancel_fibers(&crowd->mood);
}

void
crowd_cut_off(struct crowd *crowd)
{
	conns_cut(crowd->mood.conns);
}

struct tend_conn *
tend_conn_first(struct tend_server *srv)
{
	return srv->crowd != NULL ? conns_first(&srv->crowd->mood) : NULL;
}
