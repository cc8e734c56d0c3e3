/*
 * Every byte comes back, from one process with epoll: as few system calls as an echo can have. What
 * Multiplex is held against.
 *
 * Level triggered, so that one read an event is enough; the answer is written at once; the kernel is
 * told that we wait for room only after a write that was cut short, and that client is read from
 * no more until the rest has left. So a client costs no memory unless it reads too slowly.
 */
#include "bare.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <unistd.h>

#define EVENTS 256

/* What a client has not taken yet. */
struct rest {
	size_t size, sent;
	char data[];
};

static int epoll;
static struct rest **rests; /* by descriptor; mostly NULL */
static int rest_count;

static void
watch(int operation, int fd, uint32_t events)
{
	struct epoll_event e = { .events = events, .data.fd = fd };

	if (epoll_ctl(epoll, operation, fd, &e) < 0)
		bare_fail("watch a client");
}

static void
make_room(int fd)
{
	int count = rest_count > 0 ? rest_count : 64;

	if (fd < rest_count)
		return;
	while (count <= fd)
		count *= 2;
	rests = realloc(rests, (size_t)count * sizeof(struct rest *));
	if (rests == NULL)
		bare_fail("allocate");
	memset(rests + rest_count, 0, (size_t)(count - rest_count) * sizeof(struct rest *));
	rest_count = count;
}

static void
meet(int listener)
{
	int fd = accept4(listener, NULL, NULL, SOCK_CLOEXEC | SOCK_NONBLOCK);

	if (fd < 0 && (errno == EAGAIN || errno == ECONNABORTED || errno == EINTR))
		return;
	if (fd < 0)
		bare_fail("accept");
	make_room(fd);
	watch(EPOLL_CTL_ADD, fd, EPOLLIN);
}

static void
leave(int fd)
{
	free(rests[fd]);
	rests[fd] = NULL;
	close(fd);
}

static void
keep_rest(int fd, const char *data, size_t size)
{
	struct rest *r = malloc(sizeof(*r) + size);

	if (r == NULL)
		bare_fail("allocate");
	r->size = size;
	r->sent = 0;
	memcpy(r->data, data, size);
	rests[fd] = r;
	watch(EPOLL_CTL_MOD, fd, EPOLLOUT);
}

static void
echo(int fd)
{
	static char buffer[BARE_ROOM];
	ssize_t n = read(fd, buffer, sizeof(buffer)), sent;

	if (n < 0 && (errno == EAGAIN || errno == EINTR))
		return;
	if (n <= 0) {
		leave(fd);
		return;
	}
	sent = write(fd, buffer, (size_t)n);
	if (sent == n)
		return;
	if (sent < 0 && errno != EAGAIN)
		leave(fd);
	else
		keep_rest(fd, buffer + (sent > 0 ? sent : 0), (size_t)(n - (sent > 0 ? sent : 0)));
}

static void
send_rest(int fd)
{
	struct rest *r = rests[fd];
	ssize_t n = write(fd, r->data + r->sent, r->size - r->sent);

	if (n < 0 && errno != EAGAIN) {
		leave(fd);
		return;
	}
	r->sent += n > 0 ? (size_t)n : 0;
	if (r->sent < r->size)
		return;
	free(r);
	rests[fd] = NULL;
	watch(EPOLL_CTL_MOD, fd, EPOLLIN);
}

int
main(int argc, char **argv)
{
	struct bare_options o = bare_parse(argc, argv);
	struct epoll_event events[EVENTS];
	int listener, i, n, fd;

	epoll = epoll_create1(EPOLL_CLOEXEC);
	listener = bare_listen(o.port);
	bare_unblock(listener);
	watch(EPOLL_CTL_ADD, listener, EPOLLIN);
	for (;;) {
		n = epoll_wait(epoll, events, EVENTS, -1);
		for (i = 0; i < n; i++) {
			fd = events[i].data.fd;
			if (fd == listener)
				meet(listener);
			else if (rests[fd] != NULL)
				send_rest(fd);
			else
				echo(fd);
		}
	}
}
