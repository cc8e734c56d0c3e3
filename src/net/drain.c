/* Swallowing the input of clients that have heard our last word. */
#include "net/drain.h"

#include <errno.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <unistd.h>

#include "loop/link.h"

#define BYTES_MAX (256 * 1024)

struct drain {
	struct tend_link  link; /* first */
	struct drains    *all;
	int               fd;
	size_t            swallowed;
	struct tend_watch watch;
	struct tend_timer timer;
};

static void
drain_stop(struct drain *one)
{
	tend_watch_stop(&one->watch);
	tend_timer_stop(&one->timer);
	close(one->fd);
	link_remove(&one->link);
	one->all->active--;
	free(one);
}

static void
swallow(struct tend_watch *w, unsigned events)
{
	struct drain *one = w->data;
	char scrap[4096];
	ssize_t n = recv(one->fd, scrap, sizeof(scrap), MSG_DONTWAIT);

	(void)events;
	if (n > 0)
		one->swallowed += (size_t)n;
	if (n == 0 || one->swallowed > BYTES_MAX || (n < 0 && errno != EAGAIN && errno != EINTR))
		drain_stop(one);
}

static void
give_up(struct tend_timer *t)
{
	drain_stop(t->data);
}

void
drains_init(struct drains *d, struct tend_loop *loop, double seconds)
{
	*d = (struct drains){ .loop = loop, .seconds = seconds };
	link_head_init(&d->list);
}

void
drain_start(struct drains *d, int fd)
{
	struct drain *one = d->active < DRAINS_MAX && d->seconds > 0 ? malloc(sizeof(*one)) : NULL;

	if (one == NULL)
		goto close_fd;
	*one = (struct drain){ .all = d, .fd = fd };
	tend_watch_init(&one->watch, swallow, one);
	tend_timer_init(&one->timer, give_up, one);
	if (shutdown(fd, SHUT_WR) < 0 || tend_watch_start(d->loop, &one->watch, fd, TEND_READ) < 0)
		goto free_one;
	link_insert(&d->list, &one->link);
	d->active++;
	tend_timer_start(d->loop, &one->timer, d->seconds);
	return;

free_one:
	free(one);
close_fd:
	close(fd);
}

size_t
drains_active(const struct drains *d)
{
	return d->active;
}

void
drains_done(struct drains *d)
{
	while (d->active > 0)
		drain_stop((struct drain *)d->list.next);
}

void
drains_leave(const struct drains *d)
{
	const struct tend_link *at;

	for (at = d->list.next; at != &d->list; at = at->next)
		close(((const struct drain *)at)->fd);
}
