/*
 * Every byte comes back, with libev. It leaves reading and writing to its user, so this is
 * bare/epoll_echo.c with ev_io for the events: one read an event, the answer at once, and a watcher for
 * writing only after a write that was cut short.
 */
#include "../bare/bare.h"

#include <errno.h>
#include <ev.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

struct client {
	ev_io io; /* first: a watcher is its client */
	char *rest;
	size_t size, sent;
};

static void
leave(struct ev_loop *loop, struct client *c)
{
	ev_io_stop(loop, &c->io);
	close(c->io.fd);
	free(c->rest);
	free(c);
}

static void
watch(struct ev_loop *loop, struct client *c, int events)
{
	ev_io_stop(loop, &c->io);
	ev_io_set(&c->io, c->io.fd, events);
	ev_io_start(loop, &c->io);
}

static void
keep_rest(struct ev_loop *loop, struct client *c, const char *data, size_t size)
{
	c->rest = malloc(size);
	if (c->rest == NULL)
		bare_fail("allocate");
	memcpy(c->rest, data, size);
	c->size = size;
	c->sent = 0;
	watch(loop, c, EV_WRITE);
}

static void
send_rest(struct ev_loop *loop, struct client *c)
{
	ssize_t n = write(c->io.fd, c->rest + c->sent, c->size - c->sent);

	if (n < 0 && errno != EAGAIN) {
		leave(loop, c);
		return;
	}
	c->sent += n > 0 ? (size_t)n : 0;
	if (c->sent < c->size)
		return;
	free(c->rest);
	c->rest = NULL;
	watch(loop, c, EV_READ);
}

static void
echo(struct ev_loop *loop, struct client *c)
{
	static char buffer[BARE_ROOM];
	ssize_t n = read(c->io.fd, buffer, sizeof(buffer)), sent;

	if (n < 0 && (errno == EAGAIN || errno == EINTR))
		return;
	if (n <= 0) {
		leave(loop, c);
		return;
	}
	sent = write(c->io.fd, buffer, (size_t)n);
	if (sent == n)
		return;
	if (sent < 0 && errno != EAGAIN)
		leave(loop, c);
	else
		keep_rest(loop, c, buffer + (sent > 0 ? sent : 0), (size_t)(n - (sent > 0 ? sent : 0)));
}

static void
ready(struct ev_loop *loop, ev_io *io, int events)
{
	struct client *c = (struct client *)(void *)io;

	if (events & EV_WRITE)
		send_rest(loop, c);
	else
		echo(loop, c);
}

static void
meet(struct ev_loop *loop, ev_io *listener, int events)
{
	int fd = accept4(listener->fd, NULL, NULL, SOCK_CLOEXEC | SOCK_NONBLOCK);
	struct client *c;

	(void)events;
	if (fd < 0 && (errno == EAGAIN || errno == ECONNABORTED || errno == EINTR))
		return;
	if (fd < 0)
		bare_fail("accept");
	c = calloc(1, sizeof(*c));
	if (c == NULL)
		bare_fail("allocate");
	ev_io_init(&c->io, ready, fd, EV_READ);
	ev_io_start(loop, &c->io);
}

int
main(int argc, char **argv)
{
	struct bare_options o = bare_parse(argc, argv);
	struct ev_loop *loop = ev_default_loop(EVFLAG_AUTO);
	int fd = bare_listen(o.port);
	ev_io listener;

	if (loop == NULL)
		bare_fail("make a loop");
	bare_unblock(fd);
	ev_io_init(&listener, meet, fd, EV_READ);
	ev_io_start(loop, &listener);
	return ev_run(loop, 0) ? 1 : 0;
}
