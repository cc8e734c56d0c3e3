/*
 * A transport that makes use of every liberty that tend/transport.h gives it, as TLS does: bytes on the
 * wire are not the client's bytes, reads ask for writability, input lies in wait inside, writes
 * take a few bytes at a time, the handshake and the end take several rounds.
 */
#ifndef TESTS_UNIT_AWKWARD_H
#define TESTS_UNIT_AWKWARD_H

#include <errno.h>
#include <string.h>

#include <tend/loop.h>
#include <tend/transport.h>

#define AWKWARD_KEY 0x5a /* every byte on the wire is changed by it */
#define AWKWARD_READ 5
#define AWKWARD_WRITE 3
#define AWKWARD_WRITE_MOST 3000
#define AWKWARD_ROUNDS 3
#define AWKWARD_HELLO 'h' /* the client sends one for each round */

/* What one connection keeps. */
struct awkward {
	unsigned char store[32]; /* read from the socket, not yet given out */
	size_t        from, to;
	bool          balked_read, balked_write, balked_end;
	size_t        gets_over; /* after so many bytes it writes more at a time; 0: never */
	size_t        written;
	int           rounds; /* of the handshake, that are over */
	unsigned      ended, done;
};

static inline struct awkward *
awkward_of(const struct tend_conn *c)
{
	return (struct awkward *)tend_conn_transport_data(c);
}

static inline int
awkward_balk(struct tend_conn *c, bool *balked)
{
	*balked = !*balked;
	if (!*balked)
		return 0;
	tend_conn_want(c, TEND_WRITE);
	return -EAGAIN;
}

static inline int
awkward_handshake(struct tend_conn *c)
{
	struct awkward *a = awkward_of(c);
	char hello;
	ssize_t n;

	if (a->rounds == AWKWARD_ROUNDS)
		return 0;
	n = tend_below_read(c, &hello, 1);
	if (n < 0)
		return (int)n;
	if (n == 0 || hello != AWKWARD_HELLO)
		return -EPROTO;
	a->rounds++;
	tend_conn_want(c, TEND_WRITE);
	return -EAGAIN;
}

static inline ssize_t
awkward_read(struct tend_conn *c, void *into, size_t size)
{
	struct awkward *a = awkward_of(c);
	size_t i;

	if (a->from == a->to) {
		ssize_t n;

		if (awkward_balk(c, &a->balked_read) < 0)
			return -EAGAIN;
		n = tend_below_read(c, a->store, sizeof(a->store));
		if (n <= 0)
			return n;
		a->from = 0;
		a->to = (size_t)n;
	}
	for (i = 0; i < size && i < AWKWARD_READ && a->from < a->to; i++)
		((unsigned char *)into)[i] = a->store[a->from++] ^ AWKWARD_KEY;
	return (ssize_t)i;
}

static inline ssize_t
awkward_write(struct tend_conn *c, const struct iovec *parts, int count)
{
	struct awkward *a = awkward_of(c);
	bool over_it = a->gets_over != 0 && a->written >= a->gets_over;
	size_t most = over_it ? AWKWARD_WRITE_MOST : AWKWARD_WRITE, at = 0;
	unsigned char bytes[AWKWARD_WRITE_MOST];
	struct iovec part = { bytes, 0 };
	ssize_t n;
	int i = 0;

	if (awkward_balk(c, &a->balked_write) < 0)
		return -EAGAIN;
	while (i < count && part.iov_len < most) {
		if (at == parts[i].iov_len) {
			i++;
			at = 0;
			continue;
		}
		bytes[part.iov_len++] = ((unsigned char *)parts[i].iov_base)[at++] ^ AWKWARD_KEY;
	}
	n = tend_below_write(c, &part, 1);
	if (n > 0)
		a->written += (size_t)n;
	return n;
}

static inline size_t
awkward_pending(struct tend_conn *c)
{
	const struct awkward *a = awkward_of(c);

	return a->to - a->from + tend_below_pending(c);
}

static inline int
awkward_shutdown(struct tend_conn *c)
{
	struct awkward *a = awkward_of(c);

	if (awkward_balk(c, &a->balked_end) < 0)
		return -EAGAIN;
	a->ended++;
	return tend_below_shutdown(c);
}

static inline void
awkward_done(struct tend_conn *c)
{
	awkward_of(c)->done++;
}

static const struct tend_transport transport_awkward = {
	.name = "awkward",
	.handshake = awkward_handshake,
	.read = awkward_read,
	.write = awkward_write,
	.pending = awkward_pending,
	.shutdown = awkward_shutdown,
	.done = awkward_done,
};

#endif
