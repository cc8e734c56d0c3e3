/* Transports of the application's own: put on, taken off, and what they stand on. */
#include "net/layer.h"

#include <errno.h>
#include <poll.h>
#include <stdlib.h>
#include <string.h>

#include "net/conn_queue.h"
#include "net/evented.h"

/* ---- what a transport stands on ---- */

/* Where a call stood that goes one down. */
struct step {
	const struct tend_transport *transport;
	struct layer                *layer;
};

static struct step
step_down(struct tend_conn *c)
{
	struct step s = { c->transport, c->transport_data };

	c->transport = s.layer->below;
	c->transport_data = s.layer->below_data;
	return s;
}

static void
step_up(struct tend_conn *c, struct step s)
{
	c->transport = s.transport;
	c->transport_data = s.layer;
}

ssize_t
tend_below_read(struct tend_conn *c, void *into, size_t size)
{
	struct layer *l = conn_layer(c);
	struct step s;
	ssize_t n;

	if (l == NULL)
		return -EINVAL;
	if (buf_length(&l->held) > 0) {
		n = (ssize_t)(size < buf_length(&l->held) ? size : buf_length(&l->held));
		memcpy(into, buf_data(&l->held), (size_t)n);
		buf_consume(&l->held, (size_t)n);
		if (buf_length(&l->held) == 0)
			buf_done(&l->held);
		return n;
	}
	if (l->ended)
		return 0;
	s = step_down(c);
	n = c->transport->read(c, into, size);
	step_up(c, s);
	return n;
}

ssize_t
tend_below_write(struct tend_conn *c, const struct iovec *parts, int count)
{
	struct step s;
	ssize_t n;

	if (conn_layer(c) == NULL)
		return -EINVAL;
	s = step_down(c);
	n = c->transport->write(c, parts, count);
	step_up(c, s);
	return n;
}

size_t
tend_below_pending(struct tend_conn *c)
{
	struct layer *l = conn_layer(c);
	struct step s;
	size_t n = 0;

	if (l == NULL)
		return 0;
	/* The end counts: no event may tell of it again. */
	if (buf_length(&l->held) > 0 || l->ended)
		return buf_length(&l->held) + l->ended;
	s = step_down(c);
	if (c->transport->pending != NULL)
		n = c->transport->pending(c);
	step_up(c, s);
	return n;
}

int
tend_below_shutdown(struct tend_conn *c)
{
	struct step s;
	int r;

	if (conn_layer(c) == NULL)
		return -EINVAL;
	s = step_down(c);
	r = c->transport->shutdown(c);
	step_up(c, s);
	return r;
}

void *
tend_conn_transport_data(const struct tend_conn *c)
{
	const struct layer *l = conn_layer(c);

	return l != NULL ? l->data : NULL;
}

bool
conn_is_plain(const struct tend_conn *c)
{
	const struct tend_transport *t = c->transport, *last = c->listener->transport;
	const struct layer *l = c->transport_data;

	for (; (t->traits & TEND_TRANSPORT_PLAIN) != 0 && t != last; l = l->below_data)
		t = l->below;
	return (t->traits & TEND_TRANSPORT_PLAIN) != 0;
}

/* ---- on and off ---- */

/* The uppermost is done; what is left of it is the caller's. */
static struct layer *
lift(struct tend_conn *c)
{
	if (c->transport->done != NULL)
		c->transport->done(c);
	return step_down(c).layer;
}

static void
layer_free(struct layer *l)
{
	buf_done(&l->held);
	free(l);
}

void
conn_transport_done(struct tend_conn *c)
{
	while (conn_layer(c) != NULL)
		layer_free(lift(c));
	if (c->transport->done != NULL)
		c->transport->done(c);
}

/* What was taken and does not stay. */
static void
let_go(struct tend_conn *c, const struct tend_transport *t, void *data)
{
	struct layer l = { .data = data };
	struct step before = { c->transport, c->transport_data };

	if (t == NULL || t->done == NULL)
		return;
	c->transport = t;
	/* cppcheck-suppress autoVariables ; it is only there for the call */
	c->transport_data = &l;
	t->done(c);
	step_up(c, before);
}

/* Whoever read it under the old transport would take it for the client's word under the new one. */
static void
hold_input(struct tend_conn *c, struct layer *l)
{
	conn_take_back(c);
	conn_stdio_forget(c);
	if (buf_length(&c->in) > 0) {
		l->held = c->in;
		c->in = (struct buf){ NULL, 0, 0, 0 };
	}
	l->ended = c->input_ended;
	c->input_ended = false;
}

/* Nothing is known of the way that bytes take now. */
static void
start_anew(struct tend_conn *c)
{
	c->drained = false;
	c->balks = 0;
	c->want = 0;
	c->read_want = 0;
	if (!conn_is_plain(c) && c->mood->wrapped != NULL)
		c->mood->wrapped(c);
}

static int
push(struct tend_conn *c, const struct tend_transport *t, void *data)
{
	struct layer *l = calloc(1, sizeof(*l));

	if (l == NULL) {
		let_go(c, t, data);
		return -ENOMEM;
	}
	l->below = c->transport;
	l->below_data = c->transport_data;
	l->data = data;
	hold_input(c, l);
	c->transport = t;
	c->transport_data = l;
	start_anew(c);
	return 0;
}

/* What it left lying of the input below is there to be read again. */
static int
pop(struct tend_conn *c)
{
	struct layer *l = lift(c);
	int r = buf_append(&c->in, buf_data(&l->held), buf_length(&l->held));

	c->input_ended |= l->ended;
	layer_free(l);
	start_anew(c);
	return r;
}

/* ---- what is public ---- */

static bool
is_whole(const struct tend_transport *t)
{
	return t->read != NULL && t->write != NULL && t->pending != NULL && t->shutdown != NULL &&
	    (t->traits & ~(unsigned)TEND_TRANSPORT_PLAIN) == 0;
}

static int
check(struct tend_conn *c, const struct tend_transport *t)
{
	int r = conn_writable(c);

	if (r < 0)
		return r;
	if ((t != NULL && !is_whole(t)) || conn_is_datagram(c))
		return -EINVAL;
	if (c->mood->wait == conn_wait_never)
		return -EAGAIN;
	if (conn_is_evented(c) && (r = evented_may_change(evented_of(c))) < 0)
		return r;
	return c->input_error;
}

/* A function of the queue that runs is at the place where the old transport ends. */
static int
let_output_leave(struct tend_conn *c)
{
	bool waits = c->mood->changed == NULL;
	int r;

	if (c->reading || (waits && !conn_may_wait(c)))
		return -EBUSY;
	if (c->sending != SENDING_NOT)
		return !waits && conn_queue_is_at_end(c) ? 0 : -EBUSY;
	r = tend_flush(c);
	return r == -EAGAIN ? -EBUSY : r;
}

/* Where nobody waits it goes on by itself. A connection whose handshake failed is of no use. */
static int
shake_hands(struct tend_conn *c, bool shakes)
{
	int r = 0;

	if (c->mood->changed != NULL)
		c->mood->changed(c, shakes);
	else if (shakes)
		r = conn_handshake(c);
	if (r < 0) {
		c->input_error = (int16_t)r;
		conn_break(c, r);
	}
	return r;
}

int
tend_conn_set_transport(struct tend_conn *c, const struct tend_transport *t, void *data)
{
	int r = check(c, t);

	if (r == 0)
		r = let_output_leave(c);
	/* A function of the queue may have changed everything. */
	if (r == 0)
		r = check(c, t);
	if (r == 0 && t != NULL)
		r = push(c, t, data);
	else if (r == 0 && conn_layer(c) != NULL)
		r = pop(c);
	else
		let_go(c, t, data);
	return r < 0 ? r : shake_hands(c, t != NULL && t->handshake != NULL);
}
