/*
 * Short connections with epoll: accept until nobody waits, try to read at once, answer, close. Only a
 * client whose request is not there yet is watched. What Multiplex is held against where clients
 * come and go.
 */
#include "bare.h"

#include <errno.h>
#include <stdbool.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <unistd.h>

#define EVENTS 256

static void
watch(int epoll, int fd)
{
	struct epoll_event e = { .events = EPOLLIN, .data.fd = fd };

	if (epoll_ctl(epoll, EPOLL_CTL_ADD, fd, &e) < 0)
		bare_fail("watch a client");
}

static void
meet_all(int epoll, int listener)
{
	int fd;

	for (;;) {
		fd = accept4(listener, NULL, NULL, SOCK_CLOEXEC | SOCK_NONBLOCK);
		if (fd < 0 && (errno == EINTR || errno == ECONNABORTED))
			continue;
		if (fd < 0 && errno == EAGAIN)
			return;
		if (fd < 0)
			bare_fail("accept");
		if (bare_try(fd))
			close(fd);
		else
			watch(epoll, fd);
	}
}

int
main(int argc, char **argv)
{
	struct bare_options o = bare_parse(argc, argv);
	struct epoll_event events[EVENTS];
	int epoll = epoll_create1(EPOLL_CLOEXEC), listener = bare_listen(o.port), i, n;

	bare_unblock(listener);
	watch(epoll, listener);
	for (;;) {
		n = epoll_wait(epoll, events, EVENTS, -1);
		for (i = 0; i < n; i++) {
			if (events[i].data.fd == listener)
				meet_all(epoll, listener);
			else if (bare_try(events[i].data.fd))
				close(events[i].data.fd);
		}
	}
}
