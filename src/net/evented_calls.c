/* The calls of tend/evented.h on one connection, and the way from one to the next. */
#include <errno.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

#include "net/conn_queue.h"
#include "net/evented.h"

static bool
hooks_are_used(const struct tend_conn *c)
{
	return conn_is_evented(c) && evented_of((struct tend_conn *)(uintptr_t)c)->phase != EVENTED_FIBER;
}

int
tend_conn_new(struct tend_conn **into, struct tend_loop *loop, int fd,
	const struct tend_conn_hooks *hooks, void *data)
{
	struct conns *all = conns_of(loop);
	struct stat st;
	struct evented *m;
	int r = all == NULL ? -ENOMEM : 0;

	if (hooks->readable == NULL)
		r = -EINVAL;
	else if (r == 0 && fstat(fd, &st) < 0)
		return -errno; /* there is nothing to be taken */
	else if (r == 0 && watch_is_on(loop, fd))
		return -EEXIST; /* it is somebody else's */
	else if (r == 0 && !S_ISSOCK(st.st_mode))
		r = -EPERM;
	if (r < 0) {
		if (fd >= 0)
			close(fd);
		return r;
	}
	r = evented_new(&m, all->plain, fd, &socket_listener, NULL);
	if (r < 0)
		return r;
	m->hooks = hooks;
	m->c.user = data;
	*into = &m->c;
	/* It reads from the next turn on: its owner has not even got the pointer yet. */
	m->phase = EVENTED_OPEN;
	m->active_at = loop_now(loop);
	conns_attend(m);
	return 0;
}

void
tend_conn_set_hooks(struct tend_conn *c, const struct tend_conn_hooks *hooks)
{
	struct evented *m = evented_of(c);

	if (!hooks_are_used(c))
		return;
	m->hooks = hooks;
	/* What the others left lying may be for these. */
	if (c->open && tend_conn_buffered(c) > 0) {
		m->again = true;
		conns_attend(m);
	}
}

struct tend_loop *
tend_conn_loop(struct tend_conn *c)
{
	return conn_is_evented(c) ? evented_mood_of(c)->conns->loop : NULL;
}

/* What has come already is delivered in the next turn, which does not wait. */
static void
read_again(struct evented *m)
{
	m->paused = false;
	if (buf_length(&m->c.in) > m->c.taken || m->c.input_ended)
		m->again = true;
}

int
tend_conn_watch(struct tend_conn *c, unsigned events, bool on)
{
	struct evented *m = evented_of(c);

	if (!c->open)
		return -ENOTCONN;
	if (!hooks_are_used(c))
		return -EINVAL;
	if ((events & TEND_READ) != 0) {
		if (on && m->paused)
			read_again(m);
		m->paused = !on;
	}
	if ((events & TEND_WRITE) != 0)
		m->app_write = on;
	if (!m->inside || m->again)
		conns_attend(m);
	return 0;
}

void
tend_conn_keep_open(struct tend_conn *c, bool keep)
{
	if (hooks_are_used(c))
		evented_of(c)->keep_open = keep;
}

void
tend_conn_set_marks(struct tend_conn *c, size_t high, size_t low)
{
	struct evented *m = evented_of(c);

	if (!hooks_are_used(c) || conn_extras(c) == NULL)
		return;
	c->extras->high = high > UINT32_MAX ? UINT32_MAX : (uint32_t)high;
	c->extras->low = low > UINT32_MAX ? UINT32_MAX : (uint32_t)low;
	conns_attend(m);
}

HOT size_t
tend_conn_queued(const struct tend_conn *c)
{
	return conn_queued(c);
}

HOT size_t
tend_conn_buffered(const struct tend_conn *c)
{
	return buf_length(&c->in) - c->taken;
}

void
tend_conn_discard(struct tend_conn *c)
{
	/* Not the piece that its own handler is in the middle of. */
	if (c->sending == SENDING_PIECE)
		return;
	conn_stdio_drop(c);
	buf_clear(&c->out);
	conn_queue_drop(c);
	/* The kernel may still be full; nobody has to wait for it. */
	if (conn_is_evented(c))
		conns_attend(evented_of(c));
}

/* Unread input in memory of its own. 0 or -errno. */
static int
take_unread(struct tend_conn *c, void **unread, size_t *size)
{
	size_t n;

	conn_take_back(c);
	n = buf_length(&c->in);
	if (size != NULL)
		*size = n;
	if (unread != NULL)
		*unread = NULL;
	if (n == 0)
		return 0;
	if (unread == NULL || size == NULL)
		return -EINVAL;
	*unread = malloc(n);
	if (*unread == NULL)
		return -ENOMEM;
	memcpy(*unread, buf_data(&c->in), n);
	return 0;
}

int
tend_conn_detach(struct tend_conn *c, void **unread, size_t *size)
{
	struct evented *m = evented_of(c);
	int fd, r;

	if (!c->open)
		return -ENOTCONN;
	if (!hooks_are_used(c) || !conn_is_plain(c) || conn_pending(c) > 0)
		return -EINVAL;
	conn_stdio_flush(c);
	if (conn_unsent(c) > 0)
		tend_flush(c);
	if (!c->open) /* a marker was quicker */
		return -ENOTCONN;
	if (conn_unsent(c) > 0 || c->sending != SENDING_NOT)
		return -EBUSY;
	r = take_unread(c, unread, size);
	if (r < 0)
		return r;
	tend_conn_cork(c, false);
	fd = conn_give_up_fd(c);
	if (evented_mood_of(c)->detached != NULL)
		evented_mood_of(c)->detached(c);
	evented_forget(m);
	fcntl(fd, F_SETFL, fcntl(fd, F_GETFL) | O_NONBLOCK);
	return fd;
}

void
tend_conn_cork(struct tend_conn *c, bool on)
{
	int value = on;

	if (c->open)
		setsockopt(c->fd, IPPROTO_TCP, TCP_CORK, &value, sizeof(value));
}

int
tend_conn_reason(const struct tend_conn *c)
{
	const struct evented *m = evented_of((struct tend_conn *)(uintptr_t)c);

	/* -ENOTCONN is how it is cut off, not why. */
	if (c->broken != 0 && c->broken != -ENOTCONN)
		return c->broken;
	return hooks_are_used(c) ? m->result : 0;
}

char *
tend_conn_describe(struct tend_conn *c, char *into, size_t size)
{
	const struct evented *m = evented_of(c);
	bool known = conn_is_evented(c) && m->watch.loop != NULL;
	const char *peer = tend_peer(c);

	snprintf(into, size, "(%s%s):%s%s%s", known && (m->watch.wanted & TEND_READ) ? "R" : "",
	    known && (m->watch.wanted & TEND_WRITE) ? "W" : "", c->open ? "open" : "closed",
	    peer[0] != '\0' ? " to " : "", peer);
	return into;
}

/* ---- all of them ---- */

static bool
is_listed(const struct evented *m)
{
	return m->c.open && !m->c.unknown && !m->is_outgoing && m->phase != EVENTED_CONNECTING &&
	    m->phase != EVENTED_SHAKING && m->phase != EVENTED_CLOSING && m->phase != EVENTED_AWAITED;
}

static struct tend_conn *
find_from(struct tend_loop *loop, int fd, const struct conn_mood *mood)
{
	struct tend_watch *w;

	for (; (w = watch_find(loop, evented_event, &fd)) != NULL; fd++) {
		struct evented *m = w->data;

		if (is_listed(m) && m->c.mood == mood)
			return &m->c;
	}
	return NULL;
}

struct tend_conn *
tend_loop_conn_first(struct tend_loop *loop)
{
	struct conns *all = conns_find(loop);

	return all != NULL ? find_from(loop, 0, &all->plain->mood) : NULL;
}

struct tend_conn *
conns_first(struct evented_mood *mood)
{
	return find_from(mood->conns->loop, 0, &mood->mood);
}

struct tend_conn *
tend_conn_next(struct tend_conn *c)
{
	if (!conn_is_evented(c))
		return NULL;
	return find_from(evented_mood_of(c)->conns->loop, evented_of(c)->place + 1, c->mood);
}

void
evented_dismiss(struct evented_mood *mood)
{
	struct tend_watch *w;
	int fd = 0;

	for (; (w = watch_find(mood->conns->loop, evented_event, &fd)) != NULL; fd++) {
		struct evented *m = w->data;

		if (m->c.mood != &mood->mood || m->phase == EVENTED_CLOSING)
			continue;
		m->result = -ECANCELED;
		tend_close(&m->c);
	}
}
