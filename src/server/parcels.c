/*
 * One datagram as one client (MX-132): from the socket that gave it, through the steps of serve.c,
 * to the answer that leaves by the way it came.
 */
#include "server/parcels.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/clock.h"
#include "net/datagram.h"
#include "net/parcel.h"
#include "server/limits.h"
#include "server/serve.h"
#include "server/status.h"

struct port {
	struct parcels        *parcels;
	const struct listener *listener;
	struct tend_datagrams *socket;
};

/* What a client that is a datagram is made of, beside its connection. */
struct visit {
	struct parcel            parcel; /* first: the connection leads here */
	struct port             *port;
	const struct tend_route *from;
};

/* The same where it outlives the call that brought it: all in one piece of memory. */
struct stay {
	struct visit      visit;
	struct tend_route from;
	char              data[];
};

struct parcels {
	struct tend_server *srv;
	struct parcels_owner   owner;
	struct tend_datagram_hooks hooks;
	struct conn_mood    mood;  /* of those that are served at once */
	struct tend_conn    conn;  /* one after the other, with warm buffers */
	struct visit        visit;
	struct evented_mood fiber_mood;
	void (*close_watch)(struct tend_conn *c, bool lives_on); /* of that */
	int (*wait)(struct tend_conn *c, unsigned events, int64_t deadline);
	size_t              staying; /* in fibers */
	bool                in_fibers;
	bool                closed;
	int64_t             trouble_logged;
	size_t              count;
	struct port         ports[];
};

static struct visit *
visit_of(const struct tend_conn *c)
{
	return c->transport_data;
}

static struct parcels *
parcels_of(const struct tend_conn *c)
{
	return visit_of(c)->port->parcels;
}

/* ---- the log ---- */

/* A line a second: it is senders who decide how many there would be. */
static bool
may_log(struct parcels *all)
{
	int64_t now = clock_now();

	if (all->trouble_logged != 0 && now - all->trouble_logged < CLOCK_SECOND)
		return false;
	all->trouble_logged = now;
	return true;
}

static void
log_spoilt(struct parcels *all, struct tend_conn *c)
{
	if (may_log(all))
		tend_log(all->srv, TEND_LOG_WARNING,
		    "The answer to %s is longer than the %zu bytes of a datagram: nothing was sent",
		    tend_peer(c), parcel_of(c)->most);
}

static void
log_unserved(struct parcels *all, int code)
{
	if (may_log(all))
		tend_log(all->srv, TEND_LOG_WARNING, "Cannot serve a datagram: %s", error_reason(code));
}

/* A handler that was in the way of all others. */
static void
look_at_stall(struct parcels *all, const struct addr *peer, int64_t begun)
{
	const struct conns *conns = all->owner.conns;
	int64_t took = conns_clock(conns) - begun;
	char text[ADDR_TEXT_MAX];

	if (conns->stall == 0 || took < conns->stall)
		return;
	addr_text(peer, text);
	tend_log(all->srv, TEND_LOG_WARNING,
	    "Serving %s held up all other clients for %.3f s (option stall_warning)", text,
	    clock_to_seconds(took));
}

/* ---- a client ---- */

/* Losing an answer is what may happen to datagrams; the socket counts. */
static int
send_answer(struct tend_conn *c, const void *data, size_t size)
{
	const struct visit *v = visit_of(c);

	return tend_datagrams_send_to(v->port->socket, v->from, data, size);
}

static void
make_visit(struct visit *v, struct port *port, const struct tend_route *from, const void *data,
	size_t size)
{
	v->port = port;
	v->from = from;
	v->parcel.most = datagrams_largest(port->socket);
	v->parcel.send = send_answer;
	parcel_put(&v->parcel, data, size);
}

static void
peer_of(const struct port *port, const struct tend_route *from, struct addr *into)
{
	*into = (struct addr){ .length = from->peer_length };
	if (from->peer_length > 0) {
		memcpy(&into->u, &from->peer, from->peer_length);
		return;
	}
	/* A unix client without a name, as accept() tells of it. */
	into->length = sizeof(into->u.any.sa_family);
	into->u.any.sa_family = port->listener->addr.u.any.sa_family;
}

/* Both ends, where the connection cannot ask its socket, which is everybody's. */
static void
tell_addresses(struct tend_conn *c, const struct port *port, const struct tend_route *from,
	const struct addr *peer)
{
	struct conn_extras *x;

	if (from->local_length == 0 && c->peer.length > 0)
		return;
	x = conn_extras(c);
	if (x == NULL)
		return;
	if (c->peer.length == 0)
		x->peer = *peer;
	if (from->local_length == 0)
		return;
	x->local.length = from->local_length;
	memcpy(&x->local.u, &from->local, from->local_length);
	addr_set_port(&x->local, addr_port(&port->listener->addr));
}

/* Its answer has left, or never will. */
static void
closing(struct tend_conn *c, bool lives_on)
{
	(void)lives_on;
	if (parcel_of(c)->spoilt)
		log_spoilt(parcels_of(c), c);
	limits_leave(c->mood->server, c);
}

/* ---- served at once ---- */

static struct tend_conn *
open_visit(struct parcels *all, struct port *port, const struct tend_datagram *from, const struct addr *peer)
{
	struct tend_conn *c = &all->conn;

	make_visit(&all->visit, port, from->from, from->data, from->size);
	conn_open(c, -1, port->listener, peer, &all->mood);
	c->transport_data = &all->visit;
	tell_addresses(c, port, from->from, peer);
	return c;
}

static void
serve_at_once(struct parcels *all, struct port *port, const struct tend_datagram *from,
	const struct addr *peer, uint32_t place)
{
	struct tend_conn *c = open_visit(all, port, from, peer);

	c->place = place;
	all->owner.came(all->srv);
	serve_datagram(all->srv, c, from->data, from->size);
	all->owner.left(all->srv);
}

/* The hook `full` may have a word for it. */
static void
turn_away(struct parcels *all, struct port *port, const struct tend_datagram *from,
	const struct addr *peer, enum tend_refusal why)
{
	struct tend_server *srv = all->srv;
	struct tend_conn *c;

	if (srv->hooks->full == NULL && srv->hooks->closed == NULL)
		return;
	c = open_visit(all, port, from, peer);
	c->refusal = (uint8_t)why;
	if (srv->hooks->full != NULL)
		srv->hooks->full(c);
	conn_close(c);
	serve_closed(srv, c);
}

/* ---- served in a fiber ---- */

/* For more of it, or for room, nobody has to wait; to sleep is something else. */
static int
wait_in_fiber(struct tend_conn *c, unsigned events, int64_t deadline)
{
	struct parcels *all = ((struct tend_server *)c->mood->server)->parcels;

	if (events != 0 && conn_is_datagram(c))
		return 0;
	return all->wait(c, events, deadline);
}

/* The descriptor is one of several for the same socket: closing it takes nothing off the poller. */
static void
closing_in_fiber(struct tend_conn *c, bool lives_on)
{
	struct parcels *all = ((struct tend_server *)c->mood->server)->parcels;
	bool datagram = conn_is_datagram(c);

	if (datagram)
		closing(c, lives_on);
	all->close_watch(c, lives_on || datagram);
}

static void
stop_sockets(struct parcels *all)
{
	size_t i;

	for (i = 0; i < all->count; i++) {
		tend_datagrams_stop(all->ports[i].socket);
		all->ports[i].socket = NULL;
	}
}

static void
leave(struct parcels *all, struct stay *s)
{
	buf_done(&s->visit.parcel.answer);
	free(s);
	all->staying--;
	if (all->closed && all->staying == 0)
		stop_sockets(all);
}

/* Its handler has told of everything; only the memory is left. */
static void
fiber_closed(struct tend_conn *c)
{
	struct parcels *all = parcels_of(c);

	leave(all, (struct stay *)visit_of(c));
	all->owner.left(all->srv);
}

static void
serve_in_fiber(struct tend_conn *c)
{
	const struct parcel *p = parcel_of(c);

	serve_datagram(c->mood->server, c, p->data, p->size);
}

static struct stay *
make_stay(struct parcels *all, struct port *port, const struct tend_datagram *from)
{
	struct stay *s = calloc(1, sizeof(*s) + from->size);

	if (s == NULL)
		return NULL;
	memcpy(s->data, from->data, from->size);
	s->from = *from->from;
	make_visit(&s->visit, port, &s->from, s->data, from->size);
	all->staying++;
	return s;
}

/* A connection as others in fibers are, on a descriptor of its own for the one socket. */
static int
begin_stay(struct parcels *all, struct stay *s, const struct addr *peer, uint32_t place)
{
	struct port *port = s->visit.port;
	int fd = fcntl(tend_datagrams_fd(port->socket), F_DUPFD_CLOEXEC, 0), r;
	struct evented *m;

	if (fd < 0)
		return -errno;
	r = evented_new(&m, &all->fiber_mood, fd, port->listener, peer);
	if (r < 0)
		return r;
	m->c.transport_data = s;
	m->c.place = place;
	m->c.unknown = true;
	tell_addresses(&m->c, port, &s->from, peer);
	all->owner.came(all->srv);
	r = evented_run(m, serve_in_fiber);
	if (r == 0)
		return 0;
	/* The caller gives back what it has. */
	m->c.place = 0;
	tend_abort(&m->c);
	evented_forget(m);
	all->owner.left(all->srv);
	return r;
}

static void
serve_with_fiber(struct parcels *all, struct port *port, const struct tend_datagram *from,
	const struct addr *peer, uint32_t place)
{
	struct stay *s = make_stay(all, port, from);
	int r = s != NULL ? begin_stay(all, s, peer, place) : -ENOMEM;

	if (r == 0)
		return;
	log_unserved(all, r);
	limits_leave_place(all->srv, place);
	if (s != NULL)
		leave(all, s);
}

/* ---- the sockets ---- */

static void
arrived(struct tend_datagrams *socket, const struct tend_datagram *from)
{
	struct port *port = tend_datagrams_data(socket);
	struct parcels *all = port->parcels;
	int64_t begun = conns_clock(all->owner.conns);
	enum tend_refusal why;
	struct addr peer;
	uint32_t place;

	peer_of(port, from->from, &peer);
	why = limits_enter(all->srv, &peer, &place);
	if (why != TEND_REFUSAL_NONE)
		turn_away(all, port, from, &peer, why);
	else if (!all->in_fibers)
		serve_at_once(all, port, from, &peer, place);
	else
		serve_with_fiber(all, port, from, &peer, place);
	look_at_stall(all, &peer, begun);
}

/* What is left of the worker's share: nothing is taken that another would have to serve. */
static unsigned
allowed(void *data)
{
	const struct port *port = data;
	const struct parcels *all = port->parcels;
	unsigned long served = all->srv->requests, most = all->owner.most;

	if (most == 0 || served + DATAGRAM_BATCH <= most)
		return DATAGRAM_BATCH;
	return served < most ? (unsigned)(most - served) : 0;
}

/* With a descriptor of its own: the listener's is let go of before the last client is answered. */
static int
open_port(struct parcels *all, struct port *port)
{
	int fd = fcntl(port->listener->fd, F_DUPFD_CLOEXEC, 0), r;

	if (fd < 0)
		return -errno;
	r = datagrams_new(&port->socket, all->srv->loop, fd, true, &all->hooks, port);
	if (r == 0)
		port->socket->allowed = allowed;
	return r;
}

static void
open_moods(struct parcels *all)
{
	struct tend_server *srv = all->srv;

	all->mood = (struct conn_mood){
		.wait = evented_never_waits,
		.closing = closing,
		.never_waits = true,
		.limits = &srv->limits,
		.server = srv,
		.traced = &srv->loop->tracing,
		.tracer = &srv->loop->tracer,
		.interrupt_fd = -1,
		.lifeline_fd = -1,
	};
	status_open_mood(srv, &all->mood, false);
	evented_mood_init_fiber(&all->fiber_mood, all->owner.conns, all->owner.fibers);
	all->fiber_mood.closed = fiber_closed;
	all->wait = all->fiber_mood.mood.wait;
	all->close_watch = all->fiber_mood.mood.closing;
	all->fiber_mood.mood.wait = wait_in_fiber;
	all->fiber_mood.mood.closing = closing_in_fiber;
	all->fiber_mood.mood.limits = &srv->limits;
	all->fiber_mood.mood.server = srv;
	all->fiber_mood.mood.data = srv;
	status_open_mood(srv, &all->fiber_mood.mood, false);
}

bool
parcels_is_for(const struct listener *l)
{
	return (l->transport->traits & TRANSPORT_DATAGRAM) != 0;
}

static size_t
count_ports(const struct tend_server *srv)
{
	size_t i, n = 0;

	for (i = 0; i < srv->listener_count; i++)
		n += parcels_is_for(&srv->listeners[i]);
	return n;
}

bool
parcels_needs_fibers(const struct tend_server *srv)
{
	return (srv->hooks->datagram == NULL || srv->lookups.reverse) && count_ports(srv) > 0;
}

int
parcels_open(struct tend_server *srv, const struct parcels_owner *owner)
{
	size_t i, count = count_ports(srv);
	struct parcels *all;
	int r = 0;

	if (count == 0)
		return 0;
	all = calloc(1, sizeof(*all) + count * sizeof(all->ports[0]));
	if (all == NULL)
		return -ENOMEM;
	srv->parcels = all;
	all->srv = srv;
	all->owner = *owner;
	all->hooks.arrived = arrived;
	conn_init(&all->conn);
	all->in_fibers = parcels_needs_fibers(srv);
	open_moods(all);
	for (i = 0; r == 0 && i < srv->listener_count; i++) {
		struct port *port = &all->ports[all->count];

		if (!parcels_is_for(&srv->listeners[i]))
			continue;
		*port = (struct port){ .parcels = all, .listener = &srv->listeners[i] };
		all->count++;
		r = open_port(all, port);
	}
	return r;
}

void
parcels_close(struct parcels *all)
{
	size_t i;

	if (all == NULL || all->closed)
		return;
	all->closed = true;
	for (i = 0; i < all->count; i++)
		if (all->ports[i].socket != NULL)
			datagrams_pause(all->ports[i].socket);
	if (all->staying == 0)
		stop_sockets(all);
}

void
parcels_dismiss(struct parcels *all)
{
	if (all != NULL)
		evented_cancel_fibers(&all->fiber_mood);
}
