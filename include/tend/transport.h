/*
 * A transport of your own: how bytes move between a connection and its client, in both directions. A
 * counter, a limit, a cipher, the TLS of a library of your choice. The connection above it keeps its
 * buffers, its deadlines and all its calls, and so does its handler, in every mood.
 *
 * It stands on what the connection had before (tcp, unix, or another of yours), which its functions
 * reach with tend_below_read() and its sisters. What it leaves as it is, it says with one of them:
 *
 *	static ssize_t
 *	count_and_write(struct tend_conn *c, const struct iovec *parts, int count)
 *	{
 *		struct tally *t = tend_conn_transport_data(c);
 *		ssize_t n = tend_below_write(c, parts, count);
 *
 *		if (n > 0)
 *			t->sent += (size_t)n;
 *		return n;
 *	}
 *
 *	static const struct tend_transport counting = {
 *		.name = "counting",
 *		.traits = TEND_TRANSPORT_PLAIN,
 *		.read = tend_below_read,
 *		.write = count_and_write,
 *		.pending = tend_below_pending,
 *		.shutdown = tend_below_shutdown,
 *	};
 */
#ifndef TEND_TRANSPORT_H
#define TEND_TRANSPORT_H

#include <sys/types.h>
#include <sys/uio.h>

#include <tend/base.h>

TEND_BEGIN_DECLS

enum {
	/* Bytes on the descriptor are the client's own: whoever goes around the transport (programs that
	   have the descriptor, tend_conn_detach()) reads and writes what the client means. */
	TEND_TRANSPORT_PLAIN = 1,
};

/*
 * No function waits. One that cannot go on returns -EAGAIN and says with tend_conn_want() what it needs,
 * which may be room to write for a read; it is called again when that is there. A read that says nothing
 * waits for input, a write for room. It must have tried: -EAGAIN that waits for input means that there
 * was none. One that finds again and again that it cannot go on is called only now and then.
 *
 * On failure they return a negative errno, which is the end of that direction, as an end by the system
 * would be; -EINTR is theirs to handle. What makes no sense (more than was asked for, nothing written)
 * ends the connection with -EIO.
 *
 * Of the connection they may ask for the descriptor, for addresses, and for data; they neither read from it nor
 * write to it, and do not close it. A descriptor may be one that waits (it is where calls wait), so who
 * uses it himself says MSG_DONTWAIT, or makes it non-blocking.
 */
struct tend_transport {
	const char *name;   /* "counting" */
	unsigned    traits; /* TEND_TRANSPORT_PLAIN, or 0 */

	/* Called until it returns 0, before anything else is read or written. NULL: none. */
	int (*handshake)(struct tend_conn *c);
	/* Bytes, at most `size`; 0 at the end of input; -EAGAIN or -errno. */
	ssize_t (*read)(struct tend_conn *c, void *into, size_t size);
	/* Bytes taken, from the first part on: at least one. -EAGAIN or -errno. */
	ssize_t (*write)(struct tend_conn *c, const struct iovec *parts, int count);
	/* Not 0 when read() may have something that no event of the descriptor will tell of: what it keeps
	   itself, and tend_below_pending(). */
	size_t (*pending)(struct tend_conn *c);
	/* Ends our output: the client reads the end. 0, -EAGAIN or -errno. All that was written has been
	   taken before; after a failure it may be called in any state, once. */
	int (*shutdown)(struct tend_conn *c);
	/* Frees the data, in this process; says nothing to the client. NULL: nothing to be freed. */
	void (*done)(struct tend_conn *c);

	void *reserved[4];
};

/*
 * Puts a transport over the one that the connection has. Borrows `t` for the life of the connection, takes
 * `data`, on failure too: `done` is called once, then or when the connection closes. NULL takes the
 * uppermost one off again.
 *
 * May be set at any time: in `accepted`, at the beginning of a handler, or in the middle, as STARTTLS does.
 * What was written before leaves by the old one first. What was received and not read is not the client's
 * word any more, but what tend_below_read() gives first; a transport that reads the descriptor itself must
 * find tend_conn_buffered() 0. A line lent by tend_getline() is given back. What a stream of
 * tend_conn_stdio() has read ahead is dropped; the streams go on over the new transport, and
 * descriptors 0 and 1, where they were the client, become the null device unless it is plain.
 *
 * Where calls wait, the handler waits here: for the output to leave and for the handshake, within
 * handshake_timeout. Where they do not (tend/evented.h), -EBUSY means that output is still
 * queued: a function of tend_conn_after_write() is the place then, if nothing is written behind it
 * before it has run. The handshake goes on by itself, and only then are hooks called
 * again: `connected` first, or `failed`. What is written meanwhile waits; who closes before is cut off.
 *
 * 0, or -errno: of the output or of the handshake, which have broken the connection; -EINVAL: a
 * function but handshake and done is missing, or the connection is a datagram; -ENOTCONN; -EPIPE: our
 * output has ended; -ENOMEM; -EBUSY: as above, or while hands are shaken, or from a function of
 * tend_conn_after_write() where calls wait, or not by its own handler; -EAGAIN: this process must not wait (the hook `full`, and `accepted`
 * with accepted_in_parent).
 */
TEND_API int tend_conn_set_transport(struct tend_conn *c, const struct tend_transport *t, void *data);

/* In a transport's functions its own; elsewhere that of the uppermost one. NULL: there is none. */
TEND_API void *tend_conn_transport_data(const struct tend_conn *c);

/* ---- for the functions of a transport ---- */

/*
 * What it stands on, with the same results. After -EAGAIN what is waited for has been said.
 * -EINVAL: there is nothing below.
 */
TEND_API ssize_t tend_below_read(struct tend_conn *c, void *into, size_t size);
TEND_API ssize_t tend_below_write(struct tend_conn *c, const struct iovec *parts, int count);
TEND_API size_t  tend_below_pending(struct tend_conn *c);
TEND_API int     tend_below_shutdown(struct tend_conn *c);

/* What it needs to go on: TEND_READ, TEND_WRITE (tend/loop.h) or both. Before it returns -EAGAIN. */
TEND_API void tend_conn_want(struct tend_conn *c, unsigned events);
/* Or that `seconds` pass, beside what was wanted before. 0 or -ENOMEM. */
TEND_API int tend_conn_want_after(struct tend_conn *c, double seconds);

TEND_END_DECLS

#endif
