/* Swallowing the input of clients that have heard our last word. */
#include "net/drain.h"

#include <errno.h>
#include <sys/socket.h>
#include <unistd.h>

#define BYTES_MAX (256 * 1024)

static void
drain_stop(struct drain *one)
{
	tend_watch_stop(&one->watch);
	tend_timer_stop(&one->timer);
	close(one->fd);
	one->fd = -1;
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
	size_t i;

	d->loop = loop;
	d->seconds = seconds;
	for (i = 0; i < DRAINS_MAX; i++) {
		d->list[i].fd = -1;
		tend_watch_init(&d->list[i].watch, swallow, &d->list[i]);
		tend_timer_init(&d->list[i].timer, give_up, &d->list[i]);
	}
}

void
drain_start(struct drains *d, int fd)
{
	size_t i;

	for (i = 0; i < DRAINS_MAX && d->list[i].fd >= 0; i++)
		;
	if (i == DRAINS_MAX || d->seconds <= 0 || shutdown(fd, SHUT_WR) < 0 ||
	    tend_watch_start(d->loop, &d->list[i].watch, fd, TEND_READ) < 0) {
		close(fd);
		return;
	}
	d->list[i].fd = fd;
	d->list[i].swallowed = 0;
	tend_timer_start(d->loop, &d->list[i].timer, d->seconds);
}

size_t
drains_active(const struct drains *d)
{
	size_t i, n = 0;

	for (i = 0; i < DRAINS_MAX; i++)
		n += d->list[i].fd >= 0;
	return n;
}

void
drains_done(struct drains *d)
{
	size_t i;

	for (i = 0; i < DRAINS_MAX; i++)
		if (d->list[i].fd >= 0)
			drain_stop(&d->list[i]);
}

void
drains_leave(const struct drains *d)
{
	size_t i;

	for (i = 0; i < DRAINS_MAX; i++)
		if (d->list[i].fd >= 0)
			close(d->list[i].fd);
}
