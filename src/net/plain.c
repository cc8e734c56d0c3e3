/*
 * Reading and writing a stream socket without anything in between. Nothing here waits: the
 * calls say so themselves, and the descriptor stays one that waits, for handlers and programs
 * that use it as their standard input and output.
 */
#include "net/plain.h"

#include <errno.h>
#include <poll.h>
#include <sys/socket.h>

#include "net/conn.h"

/* What errno means to the connection, which learns what must be awaited first. */
COLD static int
failed(struct tend_conn *c, int code, unsigned events)
{
	if (code != EAGAIN && code != EWOULDBLOCK)
		return -code;
	conn_want(c, events);
	return -EAGAIN;
}

HOT ssize_t
plain_read(struct tend_conn *c, void *into, size_t size)
{
	ssize_t n;

	do
		n = recv(conn_fd(c), into, size, MSG_DONTWAIT);
	while (UNLIKELY(n < 0 && errno == EINTR));
	return LIKELY(n >= 0) ? n : failed(c, errno, POLLIN);
}

/* A function of its own: threads that sleep in a call find what is on the stack cold. */
ASIDE static ssize_t
send_many(struct tend_conn *c, const struct iovec *parts, int count)
{
	/* sendmsg() and not writev(): a client that is gone must not cost us a SIGPIPE. */
	struct msghdr message = {
		.msg_iov = (struct iovec *)(uintptr_t)parts,
		.msg_iovlen = (size_t)count,
	};
	ssize_t n;

	do
		n = sendmsg(conn_fd(c), &message, MSG_NOSIGNAL | MSG_DONTWAIT);
	while (UNLIKELY(n < 0 && errno == EINTR));
	return LIKELY(n >= 0) ? n : failed(c, errno, POLLOUT);
}

HOT ssize_t
plain_write(struct tend_conn *c, const struct iovec *parts, int count)
{
	ssize_t n;

	/* The kernel need not fetch a description of one piece. */
	if (count != 1)
		return send_many(c, parts, count);
	do
		n = send(conn_fd(c), parts->iov_base, parts->iov_len, MSG_NOSIGNAL | MSG_DONTWAIT);
	while (UNLIKELY(n < 0 && errno == EINTR));
	return LIKELY(n >= 0) ? n : failed(c, errno, POLLOUT);
}

int
plain_shutdown(struct tend_conn *c)
{
	/* ENOTCONN: the client has reset the connection; there is no output left to end. */
	if (shutdown(conn_fd(c), SHUT_WR) == 0 || errno == ENOTCONN)
		return 0;
	return -errno;
}
