/*
 * Transports for tests of tend/transport.h: one that changes every byte and counts, and one that does what
 * the test says.
 */
#ifndef TESTS_UNIT_SCRAMBLE_H
#define TESTS_UNIT_SCRAMBLE_H

#include <errno.h>
#include <string.h>

#include <tend/loop.h>
#include <tend/transport.h>

/* What a connection keeps. */
struct scramble {
	unsigned char key;
	size_t        received, sent;
	unsigned      ended, done;
	unsigned      rounds; /* bytes that the client sends to shake hands */
};

static inline struct scramble *
scramble_of(const struct tend_conn *c)
{
	return (struct scramble *)tend_conn_transport_data(c);
}

static inline void
scramble(void *bytes, size_t size, unsigned char key)
{
	size_t i;

	for (i = 0; i < size; i++)
		((unsigned char *)bytes)[i] ^= key;
}

static inline ssize_t
scramble_read(struct tend_conn *c, void *into, size_t size)
{
	struct scramble *s = scramble_of(c);
	ssize_t n = tend_below_read(c, into, size);

	if (n > 0) {
		scramble(into, (size_t)n, s->key);
		s->received += (size_t)n;
	}
	return n;
}

/* A part at a time. */
static inline ssize_t
scramble_write(struct tend_conn *c, const struct iovec *parts, int count)
{
	struct scramble *s = scramble_of(c);
	unsigned char bytes[1000];
	struct iovec part = { bytes, parts[0].iov_len < sizeof(bytes) ? parts[0].iov_len : sizeof(bytes) };
	ssize_t n;

	(void)count;
	memcpy(bytes, parts[0].iov_base, part.iov_len);
	scramble(bytes, part.iov_len, s->key);
	n = tend_below_write(c, &part, 1);
	if (n > 0)
		s->sent += (size_t)n;
	return n;
}

/* One byte a round, each of which the client sends. */
static inline int
scramble_handshake(struct tend_conn *c)
{
	struct scramble *s = scramble_of(c);
	char byte;
	ssize_t n = 1;

	while (s->rounds > 0 && n > 0) {
		n = tend_below_read(c, &byte, 1);
		if (n == 0 || (n > 0 && byte != 'h'))
			return -EPROTO;
		s->rounds -= n > 0;
	}
	return n < 0 ? (int)n : 0;
}

static inline int
scramble_shutdown(struct tend_conn *c)
{
	scramble_of(c)->ended++;
	return tend_below_shutdown(c);
}

static inline void
scramble_done(struct tend_conn *c)
{
	scramble_of(c)->done++;
}

static const struct tend_transport scrambling = {
	.name = "scrambling",
	.read = scramble_read,
	.write = scramble_write,
	.pending = tend_below_pending,
	.shutdown = scramble_shutdown,
	.done = scramble_done,
};

/* The same, but hands are shaken first. */
static const struct tend_transport shaking = {
	.name = "shaking",
	.handshake = scramble_handshake,
	.read = scramble_read,
	.write = scramble_write,
	.pending = tend_below_pending,
	.shutdown = scramble_shutdown,
	.done = scramble_done,
};

/* Counts, and changes nothing. */
static const struct tend_transport counting = {
	.name = "counting",
	.traits = TEND_TRANSPORT_PLAIN,
	.read = scramble_read,
	.write = scramble_write,
	.pending = tend_below_pending,
	.shutdown = tend_below_shutdown,
	.done = scramble_done,
};

/* ---- transports that do as they are told ---- */

/* What the functions do, in all connections of a test. */
static struct odd {
	ssize_t  read, write; /* returned instead of moving anything; 0: nothing is, but for write_nothing */
	int      handshake, shutdown;
	bool     write_nothing;
	size_t   pending;
	unsigned want;   /* said before; 0: nothing is said */
	double   after;  /* wanted beside; 0: no */
	unsigned calls;
} odd;

static inline void
odd_call(struct tend_conn *c)
{
	odd.calls++;
	if (odd.want != 0)
		tend_conn_want(c, odd.want);
	if (odd.after > 0)
		tend_conn_want_after(c, odd.after);
}

static inline ssize_t
odd_read(struct tend_conn *c, void *into, size_t size)
{
	if (odd.read == 0)
		return tend_below_read(c, into, size);
	odd_call(c);
	return odd.read;
}

static inline ssize_t
odd_write(struct tend_conn *c, const struct iovec *parts, int count)
{
	if (odd.write == 0 && !odd.write_nothing)
		return tend_below_write(c, parts, count);
	odd_call(c);
	return odd.write;
}

static inline size_t
odd_pending(struct tend_conn *c)
{
	return odd.pending + tend_below_pending(c);
}

static inline int
odd_shutdown(struct tend_conn *c)
{
	if (odd.shutdown == 0)
		return tend_below_shutdown(c);
	odd_call(c);
	return odd.shutdown;
}

static inline int
odd_handshake(struct tend_conn *c)
{
	odd_call(c);
	return odd.handshake;
}

static const struct tend_transport odd_one = {
	.name = "odd",
	.read = odd_read,
	.write = odd_write,
	.pending = odd_pending,
	.shutdown = odd_shutdown,
};

/* A byte at a time, with a pause before each. */
static inline ssize_t
odd_write_slowly(struct tend_conn *c, const struct iovec *parts, int count)
{
	struct iovec part = { parts[0].iov_base, 1 };

	(void)count;
	if (odd.calls++ % 2 == 0) {
		tend_conn_want_after(c, 0.01);
		return -EAGAIN;
	}
	return tend_below_write(c, &part, 1);
}

static const struct tend_transport odd_slow = {
	.name = "odd",
	.read = odd_read,
	.write = odd_write_slowly,
	.pending = odd_pending,
	.shutdown = odd_shutdown,
};

static const struct tend_transport odd_shaking = {
	.name = "odd",
	.handshake = odd_handshake,
	.read = odd_read,
	.write = odd_write,
	.pending = odd_pending,
	.shutdown = odd_shutdown,
};

#endif
