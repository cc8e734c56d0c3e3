/* Sockets to collectors of lines: connecting, sending, and losing neither time nor count. */
#include "log/collector.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "base/clock.h"
#include "log/sink.h"

#define PROBE_MS 10 /* for the answer of a host where nobody listens for datagrams */

struct collector_target *
collector_add(struct collector *c, const struct addr *a, int type, enum collector_end end)
{
	struct collector_target *t;

	if (c->count == COLLECTOR_TARGETS)
		return NULL;
	t = &c->targets[c->count++];
	*t = (struct collector_target){ .addr = *a, .type = type, .end = end };
	return t;
}

/* ---- connecting ---- */

static int
error_of_socket(int fd)
{
	int code = 0;
	socklen_t size = sizeof(code);

	return getsockopt(fd, SOL_SOCKET, SO_ERROR, &code, &size) < 0 ? -errno : -code;
}

static bool
is_inet_datagram(const struct collector_target *t)
{
	return t->type == SOCK_DGRAM && t->addr.u.any.sa_family != AF_UNIX;
}

/*
 * A datagram that nobody wants is only told of by the next. So after a failure an empty one goes
 * ahead, which collectors pass over.
 */
static int
probe(int fd, int64_t until)
{
	struct pollfd p = { .fd = fd };
	int left = clock_poll_timeout(clock_now(), until);

	if (send(fd, "", 0, MSG_DONTWAIT | MSG_NOSIGNAL) < 0)
		return -errno;
	poll(&p, 1, left < PROBE_MS ? left : PROBE_MS);
	return error_of_socket(fd);
}

static int
connect_to(const struct collector_target *t, bool carefully, int64_t until)
{
	int fd = socket(t->addr.u.any.sa_family, t->type | SOCK_CLOEXEC | SOCK_NONBLOCK, 0), r = 0;

	if (fd < 0)
		return -errno;
	if (connect(fd, &t->addr.u.any, t->addr.length) < 0)
		r = -errno;
	if (r == -EINPROGRESS) {
		r = sink_wait(fd, until);
		if (r == 0)
			r = error_of_socket(fd);
		else if (r == -EAGAIN)
			r = -ETIMEDOUT;
	}
	if (r == 0 && carefully && is_inet_datagram(t))
		r = probe(fd, until);
	if (r == 0)
		return fd;
	close(fd);
	return r;
}

/* Connects to the first target that can be had; what is told of a failure is the first one's. */
static int
reconnect(struct collector *c, bool carefully)
{
	int64_t until = clock_now() + COLLECTOR_CONNECT_MS * CLOCK_MILLISECOND;
	int first = -EDESTADDRREQ, fd;
	size_t i;

	for (i = 0; i < c->count; i++) {
		fd = connect_to(&c->targets[i], carefully, until);
		if (fd >= 0) {
			c->now = &c->targets[i];
			dup3(fd, c->fd, O_CLOEXEC);
			close(fd);
			SHARED_SET(c->down, false);
			return 0;
		}
		/* A path that leads to a socket of the other type: the next target is meant. */
		first = i == 0 || first == -EPROTOTYPE ? fd : first;
	}
	return first;
}

int
collector_open(struct collector *c, struct log_shared *s)
{
	int r;

	/* Holds the number until there is a connection. */
	c->fd = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	if (c->fd < 0)
		return -errno;
	c->now = &c->targets[0];
	r = reconnect(c, false);
	c->down = r < 0;
	log_shared_tried(s, r);
	return 0;
}

void
collector_close(struct collector *c)
{
	if (c->fd >= 0)
		close(c->fd);
	c->fd = -1;
}

void
collector_refresh(struct collector *c, struct log_shared *s)
{
	SHARED_SET(s->retry_at, 0);
	SHARED_SET(c->down, true);
}

/* Why there is no connection, as far as anybody knows. */
static int
lost_before(const struct log_shared *s)
{
	int code = SHARED_GET(s->lost_code);

	return code < 0 ? code : -ENOTCONN;
}

/* Makes a connection that is broken work again, if a try is due. */
static int
mend(struct collector *c, struct log_shared *s, int code)
{
	int r;

	SHARED_SET(c->down, true);
	if (!log_shared_may_try(s))
		return code;
	r = reconnect(c, true);
	log_shared_tried(s, r);
	if (r == 0)
		c->mended = __atomic_add_fetch(&s->mended, 1, __ATOMIC_RELAXED);
	return r;
}

void
collector_follow(struct collector *c, struct log_shared *s)
{
	unsigned mended = SHARED_GET(s->mended);

	if (mended == c->mended)
		return;
	c->mended = mended;
	if (log_shared_may_try(s))
		log_shared_tried(s, reconnect(c, false));
}

/* ---- sending ---- */

/* The other end of a stream may have closed; a send would succeed once more, for nobody. */
static bool
has_ended(const struct collector *c)
{
	char byte;

	return c->now->type == SOCK_STREAM &&
	    recv(c->fd, &byte, 1, MSG_DONTWAIT) == 0;
}

/* A line that was sent in part ends the stream for everybody who shares it: none may go on in it. */
static int
send_once(struct collector *c, const char *bytes, size_t length)
{
	ssize_t n;

	if (has_ended(c))
		return -EPIPE;
	do
		n = send(c->fd, bytes, length, MSG_DONTWAIT | MSG_NOSIGNAL);
	while (n < 0 && errno == EINTR);
	if (n < 0)
		return errno == ENOBUFS ? -EAGAIN : -errno;
	if ((size_t)n == length)
		return 0;
	shutdown(c->fd, SHUT_RDWR);
	SHARED_SET(c->down, true);
	return -EAGAIN;
}

static int
send_line(struct collector *c, char *line, size_t length, int patience_ms)
{
	int r;

	if (c->now->end == END_NUL)
		line[length - 1] = '\0';
	else
		line[length - 1] = '\n';
	if (c->now->end == END_NONE)
		length--;
	r = send_once(c, line, length);
	if (r != -EAGAIN || patience_ms == 0 || SHARED_GET(c->down))
		return r;
	if (patience_ms > COLLECTOR_PATIENCE_MS)
		patience_ms = COLLECTOR_PATIENCE_MS;
	r = sink_wait(c->fd, clock_now() + patience_ms * CLOCK_MILLISECOND);
	return r == 0 ? send_once(c, line, length) : r;
}

int
collector_put(struct collector *c, struct log_shared *s, char *line, size_t length, int patience_ms)
{
	int r;

	if (!SHARED_GET(c->down)) {
		r = send_line(c, line, length, patience_ms);
		/* Too long is too long for any connection. */
		if (r == 0 || r == -EAGAIN || r == -EMSGSIZE)
			return r;
		/* What the kernel tells here is what became of the datagram before. */
		if (r == -ECONNREFUSED && is_inet_datagram(c->now))
			log_shared_lose(s, 1, time(NULL), r);
	} else {
		r = lost_before(s);
	}
	r = mend(c, s, r);
	/* A fresh connection has room; and enough time was spent. */
	return r == 0 ? send_line(c, line, length, 0) : r;
}
