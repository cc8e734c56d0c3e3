/*
 * Datagram sockets on a loop: their beginning and end, and receiving. A batch is received into the
 * memory of the loop and handed out one by one; a flood is served within a budget, so that others on
 * the loop have their turn.
 */
#include "net/datagram.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

/* So many batches of one socket in a turn. */
#define BATCHES 4
#define QUEUE_MOST (1024 * 1024)

/* ---- receiving ---- */

/* The kernel has written into what it used last time; a change of kind concerns all. */
static void
make_ready(struct post *p, bool with_info)
{
	unsigned i;

	if (p->with_info != with_info)
		p->used = DATAGRAM_BATCH;
	p->with_info = with_info;
	for (i = 0; i < p->used; i++) {
		struct msghdr *m = &p->incoming.messages[i].msg_hdr;

		m->msg_namelen = sizeof(p->routes[i].peer);
		m->msg_control = with_info ? &p->incoming.info[i] : NULL;
		m->msg_controllen = with_info ? sizeof(p->incoming.info[i]) : 0;
	}
	p->used = 0;
}

static void
deliver(struct tend_datagrams *s, unsigned i)
{
	struct post *p = s->post;
	const struct mmsghdr *m = &p->incoming.messages[i];
	struct tend_route *from = &p->routes[i];
	struct tend_datagram d = {
		.data = p->incoming.parts[i].iov_base,
		.size = m->msg_len,
		.truncated = (m->msg_hdr.msg_flags & MSG_TRUNC) != 0,
		.from = from,
	};

	from->peer_length = m->msg_hdr.msg_namelen;
	if (from->peer_length > sizeof(from->peer))
		from->peer_length = sizeof(from->peer);
	packet_info_read(&m->msg_hdr, from);
	s->stats.received++;
	s->stats.truncated += d.truncated;
	s->hooks->arrived(s, &d);
}

static void
tell_error(struct tend_datagrams *s, int error)
{
	s->stats.errors++;
	if (s->hooks->failed != NULL)
		s->hooks->failed(s, error);
}

static unsigned
batch_size(const struct tend_datagrams *s)
{
	unsigned n = s->allowed != NULL ? s->allowed(s->data) : DATAGRAM_BATCH;

	return n < DATAGRAM_BATCH ? n : DATAGRAM_BATCH;
}

/* True when there may be more at once. */
static bool
receive_batch(struct tend_datagrams *s)
{
	struct post *p = s->post;
	unsigned size = batch_size(s);
	int n, i;

	if (size == 0)
		return false;
	make_ready(p, s->with_info);
	n = batch_receive(s->fd, p->incoming.messages, size);
	if (n == -EAGAIN || n == -EWOULDBLOCK)
		return false;
	/* The next one may be a datagram. */
	if (n < 0) {
		tell_error(s, n);
		return true;
	}
	p->used = (unsigned)n;
	for (i = 0; i < n && s->fd >= 0; i++)
		deliver(s, (unsigned)i);
	return (unsigned)n == size;
}

/* Errors that nobody met in receiving or sending. */
static void
take_errors(struct tend_datagrams *s)
{
	unsigned count;
	int error = take_socket_errors(s->fd, &count);

	if (count > 0)
		watch_forget_told(&s->watch);
	if (error == 0)
		return;
	s->stats.errors += count - 1;
	tell_error(s, error);
}

static void
can_send(struct tend_datagrams *s)
{
	s->blocked = false;
	datagrams_flush(s);
	if (!s->blocked)
		datagrams_watch(s);
	post_attend(s);
}

static void
happen(struct tend_watch *w, unsigned events)
{
	struct tend_datagrams *s = w->data;
	int i;

	for (i = 0; (events & TEND_READ) != 0 && s->fd >= 0 && !s->paused && i < BATCHES; i++)
		if (!receive_batch(s))
			break;
	if ((events & (TEND_ERROR | TEND_HANGUP)) != 0 && s->fd >= 0)
		take_errors(s);
	if ((events & TEND_WRITE) != 0 && s->fd >= 0)
		can_send(s);
}

int
datagrams_watch(struct tend_datagrams *s)
{
	unsigned events = s->paused ? 0 : TEND_READ;

	if (s->blocked)
		events |= TEND_WRITE;
	if (s->exclusive)
		events |= TEND_EXCLUSIVE;
	return s->watch.loop != NULL ? tend_watch_change(&s->watch, events)
	                             : tend_watch_start(s->post->loop, &s->watch, s->fd, events);
}

void
datagrams_pause(struct tend_datagrams *s)
{
	s->paused = true;
	if (s->fd >= 0)
		datagrams_watch(s);
}

/* ---- beginning and end ---- */

static int
check_type(int fd)
{
	int type = 0;
	socklen_t size = sizeof(type);

	if (getsockopt(fd, SOL_SOCKET, SO_TYPE, &type, &size) < 0)
		return -errno;
	return type == SOCK_DGRAM ? 0 : -EPROTOTYPE;
}

/* What it is bound and connected to. */
static int
look_at(struct tend_datagrams *s)
{
	struct addr local, peer;
	int r = addr_of_socket(&local, s->fd);

	if (r < 0)
		return r;
	s->family = local.u.any.sa_family;
	s->connected = addr_of_peer(&peer, s->fd) == 0;
	s->with_info = addr_is_wildcard(&local) && packet_info_ask(s->fd, s->family);
	addr_text(&local, s->address);
	return 0;
}

int
datagrams_new(struct tend_datagrams **into, struct tend_loop *loop, int fd, bool exclusive,
	const struct tend_datagram_hooks *hooks, void *data)
{
	struct tend_datagrams *s = calloc(1, sizeof(*s));
	int r = -ENOMEM;

	if (s == NULL || (s->post = post_of(loop)) == NULL)
		goto fail;
	s->fd = fd;
	s->exclusive = exclusive;
	s->hooks = hooks;
	s->data = data;
	s->end = &s->first;
	s->most = QUEUE_MOST;
	tend_watch_init(&s->watch, happen, s);
	r = hooks->arrived == NULL ? -EINVAL : check_type(fd);
	if (r == 0)
		r = look_at(s);
	if (r == 0)
		r = datagrams_watch(s);
	if (r < 0)
		goto fail;
	link_insert(&s->post->sockets, &s->place);
	*into = s;
	return 0;

fail:
	free(s);
	if (fd >= 0)
		close(fd);
	return r;
}

int
tend_datagrams_adopt(struct tend_datagrams **into, struct tend_loop *loop, int fd,
	const struct tend_datagram_hooks *hooks, void *data)
{
	if (watch_is_on(loop, fd))
		return -EEXIST; /* it is somebody else's */
	return datagrams_new(into, loop, fd, false, hooks, data);
}

/* Where the socket file is that goes with it. */
static int
remember_file(struct tend_datagrams *s, const struct addr *at)
{
	if (at->u.any.sa_family != AF_UNIX || at->u.un.sun_path[0] == '\0')
		return 0;
	s->path = strndup(at->u.un.sun_path, sizeof(at->u.un.sun_path));
	return s->path != NULL ? 0 : -ENOMEM;
}

int
tend_datagrams_start(struct tend_datagrams **into, struct tend_loop *loop, const char *where,
	const struct tend_datagram_hooks *hooks, void *data)
{
	struct tend_datagrams *s;
	struct addr at;
	int fd, r = addr_parse(&at, where);

	if (r < 0)
		return r;
	fd = addr_bound_socket(&at, SOCK_DGRAM);
	if (fd < 0)
		return fd;
	r = datagrams_new(&s, loop, fd, false, hooks, data);
	if (r < 0)
		return r;
	r = remember_file(s, &at);
	if (r < 0)
		tend_datagrams_stop(s);
	else
		*into = s;
	return r;
}

void
tend_datagrams_stop(struct tend_datagrams *s)
{
	if (s == NULL || s->fd < 0)
		return;
	s->blocked = false;
	datagrams_flush(s);
	datagrams_drop(s);
	tend_watch_stop(&s->watch);
	close(s->fd);
	s->fd = -1;
	if (s->path != NULL)
		unlink(s->path);
	free(s->path);
	s->path = NULL;
	/* Freed when nobody has it in his hands any more. */
	link_remove(&s->place);
	link_insert(&s->post->stopped, &s->place);
	tend_later_start(s->post->loop, &s->post->attend);
}

int
tend_datagrams_connect(struct tend_datagrams *s, const char *where)
{
	struct addr to = { .length = sizeof(to.u.any), .u.any.sa_family = AF_UNSPEC };
	int r = where != NULL ? addr_parse(&to, where) : 0;

	if (s->fd < 0)
		return -ENOTCONN;
	if (r < 0)
		return r;
	/* What was queued for the peer before goes to him. */
	datagrams_flush(s);
	if (connect(s->fd, &to.u.any, to.length) < 0)
		return -errno;
	return look_at(s);
}

/* ---- questions ---- */

void
tend_datagrams_set_queue(struct tend_datagrams *s, size_t bytes)
{
	s->most = bytes > 0 ? bytes : QUEUE_MOST;
}

const char *
tend_datagrams_address(const struct tend_datagrams *s)
{
	return s->address;
}

void *
tend_datagrams_data(const struct tend_datagrams *s)
{
	return s->data;
}

struct tend_loop *
tend_datagrams_loop(const struct tend_datagrams *s)
{
	return s->post->loop;
}

int
tend_datagrams_fd(const struct tend_datagrams *s)
{
	return s->fd;
}

void
tend_datagrams_stats(const struct tend_datagrams *s, struct tend_datagram_stats *into)
{
	*into = s->stats;
	into->queued = s->queued;
}

int
tend_route_set(struct tend_route *into, const char *where)
{
	struct addr to;
	int r = addr_parse(&to, where);

	if (r < 0)
		return r;
	memset(into, 0, sizeof(*into));
	memcpy(&into->peer, &to.u, to.length);
	into->peer_length = to.length;
	return 0;
}

char *
tend_route_text(const struct tend_route *r, char *into, size_t size)
{
	char text[ADDR_TEXT_MAX];
	struct addr peer = { .length = r->peer_length, .u.storage = r->peer };

	addr_text(&peer, text);
	snprintf(into, size, "%s", text);
	return into;
}
