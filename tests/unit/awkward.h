/*
 * A transport that makes use of every liberty that transport.h gives it, as TLS does: bytes on the
 * wire are not the client's bytes, reads ask for writability, input lies in wait inside, writes
 * take a few bytes at a time, the handshake and the end take several rounds.
 */
#ifndef TESTS_UNIT_AWKWARD_H
#define TESTS_UNIT_AWKWARD_H

#include <errno.h>
#include <poll.h>
#include <string.h>

#include "net/conn.h"
#include "net/plain.h"

#define AWKWARD_KEY 0x5a /* every byte on the wire is changed by it */
#define AWKWARD_READ 5
#define AWKWARD_WRITE 3
#define AWKWARD_ROUNDS 3
#define AWKWARD_HELLO 'h' /* the client sends one for each round */

/* The state of the one connection of a test. */
static struct awkward {
	unsigned char store[32]; /* read from the socket, not yet given out */
	size_t        from, to;
	bool          balked_read, balked_write, balked_end;
	int           rounds; /* of the handshake, that are over */
	unsigned      ended, done;
} awkward;

static inline int
awkward_balk(struct tend_conn *c, bool *balked)
{
	*balked = !*balked;
	if (!*balked)
		return 0;
	conn_want(c, POLLOUT);
	return -EAGAIN;
}

static inline int
awkward_handshake(struct tend_conn *c)
{
	while (awkward.rounds < AWKWARD_ROUNDS) {
		char hello;
		ssize_t n = plain_read(c, &hello, 1);

		if (n < 0)
			return (int)n;
		if (n == 0 || hello != AWKWARD_HELLO)
			return -EPROTO;
		awkward.rounds++;
		conn_want(c, POLLOUT);
		return -EAGAIN;
	}
	return 0;
}

static inline ssize_t
awkward_read(struct tend_conn *c, void *into, size_t size)
{
	size_t i;

	if (awkward.from == awkward.to) {
		ssize_t n;

		if (awkward_balk(c, &awkward.balked_read) < 0)
			return -EAGAIN;
		n = plain_read(c, awkward.store, sizeof(awkward.store));
		if (n <= 0)
			return n;
		awkward.from = 0;
		awkward.to = (size_t)n;
	}
	for (i = 0; i < size && i < AWKWARD_READ && awkward.from < awkward.to; i++)
		((unsigned char *)into)[i] = awkward.store[awkward.from++] ^ AWKWARD_KEY;
	return (ssize_t)i;
}

static inline ssize_t
awkward_write(struct tend_conn *c, const struct iovec *parts, int count)
{
	unsigned char bytes[AWKWARD_WRITE];
	struct iovec part = { .iov_base = bytes };
	size_t at = 0;
	int i = 0;

	if (awkward_balk(c, &awkward.balked_write) < 0)
		return -EAGAIN;
	while (i < count && part.iov_len < sizeof(bytes)) {
		if (at == parts[i].iov_len) {
			i++;
			at = 0;
			continue;
		}
		bytes[part.iov_len++] = ((unsigned char *)parts[i].iov_base)[at++] ^ AWKWARD_KEY;
	}
	return plain_write(c, &part, 1);
}

static inline size_t
awkward_pending(struct tend_conn *c)
{
	(void)c;
	return awkward.to - awkward.from;
}

static inline int
awkward_shutdown(struct tend_conn *c)
{
	if (awkward_balk(c, &awkward.balked_end) < 0)
		return -EAGAIN;
	awkward.ended++;
	return plain_shutdown(c);
}

static inline void
awkward_done(struct tend_conn *c)
{
	(void)c;
	awkward.done++;
}

static const struct transport transport_awkward = {
	.name = "awkward",
	.traits = TRANSPORT_WRAPPED,
	.handshake = awkward_handshake,
	.read = awkward_read,
	.write = awkward_write,
	.pending = awkward_pending,
	.shutdown = awkward_shutdown,
	.done = awkward_done,
};

#endif
