/*
 * A client on a pair of descriptors that are no socket: what a super-server or a shell may give to
 * INET as standard input and output. The connection's own descriptor is the one to read from.
 */
#include <errno.h>
#include <poll.h>
#include <stdlib.h>
#include <unistd.h>

#include "base/clock.h"
#include "net/conn.h"
#include "net/pipe.h"

/* What fits into a pipe that poll() calls writable, without waiting. */
#define PIECE 4096

struct pipe_end {
	int out;
};

static ssize_t
pipe_read(struct tend_conn *c, void *into, size_t size)
{
	struct pollfd ready = { .fd = conn_fd(c), .events = POLLIN };
	ssize_t n;

	/* The descriptor may be shared with others and is left as it is: it waits when read. */
	if (poll(&ready, 1, 0) == 0) {
		conn_want(c, POLLIN);
		return -EAGAIN;
	}
	do
		n = read(conn_fd(c), into, size);
	while (n < 0 && errno == EINTR);
	return n >= 0 ? n : -errno;
}

/* The wait is for another descriptor than the connection's, so it is done here. */
static int
wait_for_room(struct tend_conn *c, int out)
{
	int in = c->fd, r;

	c->fd = out;
	r = conn_wait(c, POLLOUT, c->idle);
	c->fd = in;
	return r;
}

static ssize_t
pipe_write(struct tend_conn *c, const struct iovec *parts, int count)
{
	const struct pipe_end *end = c->transport_data;
	size_t size = parts[0].iov_len < PIECE ? parts[0].iov_len : PIECE;
	ssize_t n;
	int r = wait_for_room(c, end->out);

	(void)count;
	if (r < 0)
		return r;
	do
		n = write(end->out, parts[0].iov_base, size);
	while (n < 0 && errno == EINTR);
	return n >= 0 ? n : -errno;
}

static int
pipe_shutdown(struct tend_conn *c)
{
	struct pipe_end *end = c->transport_data;

	if (end->out >= 0)
		close(end->out);
	end->out = -1;
	return 0;
}

static void
pipe_done(struct tend_conn *c)
{
	pipe_shutdown(c);
	free(c->transport_data);
	c->transport_data = NULL;
}

const struct tend_transport transport_pipe = {
	.name = "pipe",
	.traits = TEND_TRANSPORT_PLAIN,
	.read = pipe_read,
	.write = pipe_write,
	.shutdown = pipe_shutdown,
	.done = pipe_done,
};

int
pipe_attach(struct tend_conn *c, int out)
{
	struct pipe_end *end = malloc(sizeof(*end));

	if (end == NULL) {
		close(out);
		return -ENOMEM;
	}
	end->out = out;
	c->transport_data = end;
	return 0;
}
