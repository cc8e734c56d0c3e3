/* Listening, reading, answering and losing patience at a desk. */
#include "server/desk.h"

#include <errno.h>
#include <sys/socket.h>
#include <unistd.h>

#include "net/accept.h"
#include "net/rights.h"
#include "server/accept.h"

#define PARTING 1.0 /* seconds for a client that goes on after the last answer */

static void
dismiss(struct desk_client *c)
{
	tend_watch_stop(&c->watch);
	tend_timer_stop(&c->deadline);
	buf_done(&c->in);
	buf_done(&c->out);
	close(c->fd);
	c->fd = -1;
}

/* ---- one exchange ---- */

/* Sends what the client takes. False: it is gone. */
static bool
send_some(struct desk_client *c)
{
	while (buf_length(&c->out) > 0) {
		ssize_t n = send(c->fd, buf_data(&c->out), buf_length(&c->out),
		    MSG_DONTWAIT | MSG_NOSIGNAL);

		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0)
			return errno == EAGAIN;
		buf_consume(&c->out, (size_t)n);
	}
	return true;
}

/* Reads once. False: the client is gone, or says more than anybody has to say. */
static bool
read_some(struct desk_client *c)
{
	size_t room = DESK_INPUT - buf_length(&c->in);
	ssize_t n;

	if (room == 0 || buf_reserve(&c->in, room) < 0)
		return false;
	n = recv(c->fd, buf_room(&c->in), room, MSG_DONTWAIT);
	if (n > 0)
		buf_added(&c->in, (size_t)n);
	return n > 0 || (n < 0 && (errno == EAGAIN || errno == EINTR));
}

/*
 * Answers requests one by one, and looks at the next when the answer to the one before has been
 * taken: so there is never more than one answer in memory.
 */
static bool
answer_all(struct desk_client *c)
{
	while (buf_length(&c->out) == 0 && buf_length(&c->in) > 0 && !c->last) {
		size_t before = buf_length(&c->in);

		c->desk->answer(c, c->desk->data);
		if (buf_length(&c->in) == before && !c->last)
			break;
		/* A complete exchange earns time for the next. */
		tend_timer_start(c->desk->loop, &c->deadline, c->desk->patience);
		if (!send_some(c))
			return false;
	}
	return true;
}

/*
 * The last answer is sent. A close while the client is still sending would be told to it as a reset,
 * which may overtake the answer.
 */
static bool
part(struct desk_client *c)
{
	if (!c->parting) {
		c->parting = true;
		tend_timer_start(c->desk->loop, &c->deadline, PARTING);
		if (shutdown(c->fd, SHUT_WR) < 0)
			return false;
	}
	buf_clear(&c->in);
	return read_some(c);
}

/* False: there is nothing more to say to each other. */
static bool
converse(struct desk_client *c)
{
	if (!c->parting && !(buf_length(&c->out) > 0 ? send_some(c) : read_some(c)))
		return false;
	if (!c->parting && !answer_all(c))
		return false;
	if (c->last && buf_length(&c->out) == 0)
		return part(c);
	return true;
}

static void
attend(struct tend_watch *w, unsigned events)
{
	struct desk_client *c = w->data;

	(void)events;
	if (!converse(c) ||
	    tend_watch_change(w, buf_length(&c->out) > 0 ? TEND_WRITE : TEND_READ) < 0)
		dismiss(c);
}

static void
lose_patience(struct tend_timer *t)
{
	dismiss(t->data);
}

/* ---- coming ---- */

static struct desk_client *
free_place(struct desk *d)
{
	size_t i;

	for (i = 0; i < DESK_CLIENTS; i++)
		if (d->clients[i].fd < 0)
			return &d->clients[i];
	return NULL;
}

/* What is said without a place at the desk goes out at once or not at all. */
static void
send_away(const struct desk *d, int fd)
{
	if (d->farewell != NULL)
		(void)!send(fd, d->farewell, strlen(d->farewell), MSG_DONTWAIT | MSG_NOSIGNAL);
	close(fd);
}

static void
identify(struct desk_client *c)
{
	struct ucred who = { .pid = 0, .uid = (uid_t)-1 };
	socklen_t size = sizeof(who);

	/* Of a TCP client nobody knows more than its address. */
	if (getsockopt(c->fd, SOL_SOCKET, SO_PEERCRED, &who, &size) < 0)
		who = (struct ucred){ .uid = (uid_t)-1 };
	c->uid = who.uid;
	c->pid = who.pid;
}

static void
receive(struct desk *d, int fd)
{
	struct desk_client *c = free_place(d);

	if (c == NULL) {
		send_away(d, fd);
		return;
	}
	c->fd = fd;
	c->last = c->parting = false;
	identify(c);
	if (d->admit != NULL && !d->admit(c, d->data)) {
		send_some(c);
		dismiss(c);
		return;
	}
	if (tend_watch_start(d->loop, &c->watch, fd, TEND_READ) < 0)
		dismiss(c);
	else
		tend_timer_start(d->loop, &c->deadline, d->patience);
}

/* Out of descriptors. Who asks waits in the queue, which would only make us spin. */
static void
take_a_rest(struct desk *d)
{
	size_t i;

	for (i = 0; i < d->count; i++)
		tend_watch_stop(&d->watches[i]);
	tend_timer_start(d->loop, &d->rest, ACCEPT_PAUSE);
}

static void
end_of_rest(struct tend_timer *t)
{
	struct desk *d = t->data;
	size_t i;

	for (i = 0; i < d->count; i++)
		if (tend_watch_start(d->loop, &d->watches[i], d->listeners[i].fd, TEND_READ) < 0)
			tend_timer_start(d->loop, &d->rest, ACCEPT_PAUSE);
}

static void
somebody_came(struct tend_watch *w, unsigned events)
{
	struct desk *d = w->data;
	const struct listener *l = &d->listeners[w - d->watches];
	struct addr peer;
	int fd = accept_client(l->fd, &peer);

	(void)events;
	if (fd >= 0)
		receive(d, fd);
	else if (fd != -EAGAIN)
		take_a_rest(d);
}

/* ---- opening and closing ---- */

void
desk_init(struct desk *d, struct tend_loop *loop)
{
	size_t i;

	d->loop = loop;
	d->count = 0;
	tend_timer_init(&d->rest, end_of_rest, d);
	for (i = 0; i < DESK_CLIENTS; i++) {
		struct desk_client *c = &d->clients[i];

		c->desk = d;
		c->fd = -1;
		tend_watch_init(&c->watch, attend, c);
		tend_timer_init(&c->deadline, lose_patience, c);
	}
}

int
desk_open(struct desk *d, const struct endpoint *where, int fd, struct error *e)
{
	struct listener *l = &d->listeners[d->count];
	int r;

	if (d->count == DESK_LISTENERS && fd >= 0)
		close(fd);
	if (d->count == DESK_LISTENERS)
		return error_set(e, EX_CONFIG, -E2BIG, "more than %d addresses", DESK_LISTENERS);
	r = fd >= 0 ? listener_adopt(l, fd, where, e) : listener_open(l, where, NULL, e);
	if (r == 0 && fd >= 0)
		r = rights_renew(where->rights, l, e);
	if (r < 0)
		return r;
	tend_watch_init(&d->watches[d->count], somebody_came, d);
	r = tend_watch_start(d->loop, &d->watches[d->count], l->fd, TEND_READ);
	if (r < 0) {
		listener_unlink(l);
		listener_close(l);
		return error_set(e, EX_OSERR, r, "cannot watch %s: %s", where->port, error_reason(r));
	}
	d->count++;
	return 0;
}

void
desk_close(struct desk *d)
{
	size_t i;

	for (i = 0; i < DESK_CLIENTS; i++)
		if (d->clients[i].fd >= 0)
			dismiss(&d->clients[i]);
	tend_timer_stop(&d->rest);
	for (i = 0; i < d->count; i++) {
		tend_watch_stop(&d->watches[i]);
		listener_unlink(&d->listeners[i]);
		listener_close(&d->listeners[i]);
	}
	d->count = 0;
}

void
desk_leave(const struct desk *d)
{
	size_t i;

	for (i = 0; i < d->count; i++) {
		close(d->listeners[i].fd);
		if (d->listeners[i].directory >= 0)
			close(d->listeners[i].directory);
	}
	for (i = 0; i < DESK_CLIENTS; i++)
		if (d->clients[i].fd >= 0)
			close(d->clients[i].fd);
}
