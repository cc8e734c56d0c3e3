/*
 * Connecting to other servers: by a handler, which waits for it in its own way, and on a loop, where
 * a hook tells.
 */
#include <errno.h>
#include <poll.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/clock.h"
#include "net/evented.h"

/* A connection that a handler made: it ends with the handler's own. */
struct outgoing {
	struct tend_conn *c;
	struct outgoing  *next;
};

/* A socket on its way: 0 when it is there already, else -EINPROGRESS. Closes on failure. */
static int
start(int *fd, const struct addr *to)
{
	int r;

	*fd = socket(to->u.any.sa_family, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	if (*fd < 0)
		return -errno;
	do
		r = connect(*fd, &to->u.any, to->length);
	while (r < 0 && errno == EINTR);
	if (r == 0 || errno == EINPROGRESS)
		return r == 0 ? 0 : -EINPROGRESS;
	/* A unix socket whose queue is full would have to be waited for without being told. */
	r = -errno;
	close(*fd);
	return r == -EAGAIN ? -ECONNREFUSED : r;
}

/* ---- by a handler ---- */

static struct tend_conn *
make(struct tend_conn *from, int fd)
{
	struct tend_conn *c;

	if (from->mood->make != NULL)
		return from->mood->make(from, fd);
	c = calloc(1, sizeof(*c));
	if (c == NULL)
		close(fd);
	else
		conn_open(c, fd, &socket_listener, NULL, from->mood);
	return c;
}

static void
unmake(struct tend_conn *c)
{
	struct conn_mood *mood = c->mood;

	conn_close(c);
	if (mood->unmake != NULL) {
		mood->unmake(c);
		return;
	}
	conn_done(c);
	free(c);
}

void
conn_outgoing_release(struct tend_conn *c)
{
	struct outgoing *o;

	while (c->extras != NULL && (o = c->extras->outgoing) != NULL) {
		c->extras->outgoing = o->next;
		unmake(o->c);
		free(o);
	}
}

static int
wait_for(struct tend_conn *c, int64_t deadline)
{
	int error = 0, r = c->mood->wait(c, POLLOUT, deadline);
	socklen_t size = sizeof(error);

	if (r < 0)
		return r;
	if (getsockopt(c->fd, SOL_SOCKET, SO_ERROR, &error, &size) < 0)
		return -errno;
	return -error;
}

/* Hangs the connection on the one whose handler asked for it. */
static int
adopt(struct tend_conn *from, int fd, struct outgoing **into)
{
	struct outgoing *o = malloc(sizeof(*o));

	if (o == NULL || conn_extras(from) == NULL) {
		free(o);
		close(fd);
		return -ENOMEM;
	}
	o->c = make(from, fd);
	if (o->c == NULL) {
		free(o);
		return -ENOMEM;
	}
	o->next = from->extras->outgoing;
	from->extras->outgoing = o;
	*into = o;
	return 0;
}

int
tend_connect(struct tend_conn *c, const char *where, double seconds, struct tend_conn **into)
{
	int64_t deadline = c->deadline, limit;
	struct outgoing *o;
	struct addr to;
	int fd, r, under_way;

	if (!c->open)
		return -ENOTCONN;
	if (!conn_may_wait(c))
		return -EAGAIN;
	r = addr_parse(&to, where);
	if (r < 0)
		return r;
	under_way = start(&fd, &to);
	if (under_way < 0 && under_way != -EINPROGRESS)
		return under_way;
	r = adopt(c, fd, &o);
	if (r < 0)
		return r;
	limit = seconds < 0 ? CLOCK_NEVER : clock_after(clock_now(), clock_from_seconds(seconds));
	if (under_way < 0)
		r = wait_for(o->c, limit < deadline ? limit : deadline);
	if (r < 0) {
		c->extras->outgoing = o->next;
		tend_abort(o->c);
		unmake(o->c);
		free(o);
		return r;
	}
	*into = o->c;
	return 0;
}

/* ---- on a loop ---- */

int
tend_conn_connect(struct tend_conn **into, struct tend_loop *loop, const char *where, double seconds,
	const struct tend_conn_hooks *hooks, void *data)
{
	struct conns *all = conns_of(loop);
	struct evented *m;
	struct addr to;
	int fd, r;

	if (all == NULL)
		return -ENOMEM;
	r = hooks->readable == NULL ? -EINVAL : addr_parse(&to, where);
	if (r == 0)
		r = start(&fd, &to);
	if (r < 0 && r != -EINPROGRESS)
		return r;
	r = evented_new(&m, all->plain, fd, &socket_listener, &to);
	if (r < 0)
		return r;
	m->hooks = hooks;
	m->c.user = data;
	evented_connect(m, seconds);
	*into = &m->c;
	return 0;
}
