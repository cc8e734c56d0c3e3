/*
 * Listening on a loop: clients are accepted until there are no more, within a budget, and become
 * connections of the evented mood.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

#include "net/accept.h"
#include "net/evented.h"

/* So many clients of one listener in a turn. */
#define BUDGET 64
/* So long it is left alone when there are no descriptors. */
#define PAUSE 0.1

struct tend_listener {
	struct tend_loop  *loop;
	struct conns      *conns;
	struct tend_watch  watch;
	struct tend_timer  pause;
	bool               inside; /* its own callback runs, which frees it in the end */
	int                fd;
	const struct tend_conn_hooks *hooks;
	void              *data;
	char               path[sizeof(((struct sockaddr_un *)0)->sun_path)]; /* to be removed */
	char               address[ADDR_TEXT_MAX];
};

static void
welcome(struct tend_listener *l, int fd, const struct addr *peer)
{
	struct evented *m;

	if (evented_new(&m, l->conns->plain, fd, &socket_listener, peer) < 0)
		return;
	m->hooks = l->hooks;
	m->c.user = l->data;
	m->inside = true;
	if (m->hooks->accepted != NULL)
		m->hooks->accepted(&m->c);
	m->inside = false;
	evented_begin(m);
}

static void
clients_come(struct tend_watch *w, unsigned events)
{
	struct tend_listener *l = w->data;
	struct addr peer;
	int i, fd = -1;

	(void)events;
	l->inside = true;
	/* Until a client's hook stops it, or frees the loop. */
	for (i = 0; i < BUDGET && w->loop != NULL && (fd = accept_client(l->fd, &peer)) >= 0; i++)
		welcome(l, fd, &peer);
	l->inside = false;
	if (l->fd < 0) {
		free(l);
		return;
	}
	/* Watching a queue that cannot be emptied would spin. */
	if (w->loop == NULL || fd >= 0 || fd == -EAGAIN)
		return;
	tend_watch_change(w, 0);
	tend_timer_start(l->loop, &l->pause, PAUSE);
}

static void
pause_is_over(struct tend_timer *t)
{
	struct tend_listener *l = t->data;

	if (tend_watch_change(&l->watch, TEND_READ) < 0)
		tend_timer_start(l->loop, t, PAUSE);
}

int
tend_listener_adopt(struct tend_listener **into, struct tend_loop *loop, int fd,
	const struct tend_conn_hooks *hooks, void *data)
{
	struct tend_listener *l;
	struct addr bound;
	int r = -ENOMEM;

	if (watch_is_on(loop, fd))
		return -EEXIST; /* it is somebody else's */
	l = calloc(1, sizeof(*l));
	if (l == NULL || (l->conns = conns_of(loop)) == NULL)
		goto fail;
	l->loop = loop;
	l->hooks = hooks;
	l->data = data;
	l->fd = fd;
	tend_watch_init(&l->watch, clients_come, l);
	tend_timer_init(&l->pause, pause_is_over, l);
	r = hooks->readable == NULL ? -EINVAL : tend_watch_start(loop, &l->watch, fd, TEND_READ);
	if (r < 0)
		goto fail;
	if (addr_of_socket(&bound, fd) == 0)
		addr_text(&bound, l->address);
	*into = l;
	return 0;

fail:
	free(l);
	if (fd >= 0)
		close(fd);
	return r;
}

static int
open_socket(const struct addr *at)
{
	int fd = addr_bound_socket(at, SOCK_STREAM), r;

	if (fd < 0 || listen(fd, SOMAXCONN) == 0)
		return fd;
	r = -errno;
	close(fd);
	return r;
}

int
tend_listener_start(struct tend_listener **into, struct tend_loop *loop, const char *where,
	const struct tend_conn_hooks *hooks, void *data)
{
	struct addr at;
	int fd, r = addr_parse(&at, where);

	if (r < 0)
		return r;
	fd = open_socket(&at);
	if (fd < 0)
		return fd;
	r = tend_listener_adopt(into, loop, fd, hooks, data);
	if (r == 0 && at.u.any.sa_family == AF_UNIX)
		memcpy((*into)->path, at.u.un.sun_path, sizeof((*into)->path));
	return r;
}

void
tend_listener_stop(struct tend_listener *l)
{
	if (l == NULL || l->fd < 0)
		return;
	tend_watch_stop(&l->watch);
	tend_timer_stop(&l->pause);
	close(l->fd);
	l->fd = -1;
	if (l->path[0] != '\0')
		unlink(l->path);
	if (!l->inside)
		free(l);
}

const char *
tend_listener_address(const struct tend_listener *l)
{
	return l->address;
}
