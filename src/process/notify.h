/*
 * Talking to the supervisor that started us: systemd's protocol of datagrams (sd_notify) with its
 * watchdog, and the descriptor on which s6 and others wait for a newline. Also the sockets that
 * systemd opened for us. All of it by environment variables, which are gone once they were read:
 * nobody that we start is to speak for us.
 */
#ifndef TEND_PROCESS_NOTIFY_H
#define TEND_PROCESS_NOTIFY_H

#include <stdint.h>
#include <sys/socket.h>
#include <sys/un.h>

#include "base/error.h"

struct notify {
	int                socket;   /* -1: nobody listens */
	struct sockaddr_un to;
	socklen_t          to_length;
	int                ready_fd; /* -1: none, or told already */
	int64_t            watchdog; /* nanoseconds within which it wants to hear of us; 0: never */
};

void notify_init(struct notify *n);

/*
 * Reads NOTIFY_SOCKET, WATCHDOG_USEC and WATCHDOG_PID. `ready_fd`: of s6, open, made close-on-exec; 0:
 * none. -EBADF or -EINVAL with a sentence that names the variable or the option notify_fd.
 * Context: the process that will serve, before a chroot.
 */
int  notify_open(struct notify *n, int ready_fd, struct error *e);
/* Without a word. */
void notify_close(struct notify *n);
/* In a child: the descriptors only, so that it pays for no copy of a page. */
void notify_leave(const struct notify *n);

/*
 * Sends assignments, one a line: "READY=1\nSTATUS=...". Does not wait. 0, also when nobody listens,
 * or -errno.
 */
int notify_send(struct notify *n, const char *format, ...) TEND_PRINTF(2, 3);

/* A newline for s6, once. */
void notify_ready_fd(struct notify *n);

/* A socket that was opened for us. */
struct passed_socket {
	int  fd;
	char name[64]; /* LISTEN_FDNAMES; "" */
};

/*
 * LISTEN_PID, LISTEN_FDS and LISTEN_FDNAMES, when they are for this process. `*list` is the caller's
 * to free; the descriptors are made close-on-exec. How many, or -EINVAL or -ENOMEM with a sentence.
 */
int passed_sockets(struct passed_socket **list, struct error *e);

#endif
