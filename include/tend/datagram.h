/*
 * Datagrams on a loop: UDP and Unix datagram sockets, with or without a server around them. One
 * call of a hook for each datagram, whatever its size, none at all included; its sender belongs to
 * it, so answers to many senders cannot be mixed up. They are received in batches into memory that
 * all sockets of a loop share, and sent in batches at the end of the turn; an idle socket has no
 * buffers.
 *
 *	static void
 *	arrived(struct tend_datagrams *s, const struct tend_datagram *d)
 *	{
 *		tend_datagrams_send_to(s, d->from, d->data, d->size);
 *	}
 *
 * Context: the thread of the loop. Every call may be made from any hook. A socket that is stopped
 * goes quiet at once, and its memory is freed at the end of the turn; so it is when its loop is freed.
 */
#ifndef TEND_DATAGRAM_H
#define TEND_DATAGRAM_H

#include <stdint.h>
#include <sys/socket.h>

#include <tend/base.h>
#include <tend/loop.h>

TEND_BEGIN_DECLS

/*
 * Where a datagram came from and what it was sent to; as it stands it is the way back. Yours to
 * copy, for an answer that is given later.
 */
struct tend_route {
	struct sockaddr_storage peer;
	socklen_t               peer_length;  /* 0: a Unix socket without a name; it cannot be answered */
	socklen_t               local_length; /* 0: the one address that the socket is bound to */
	struct sockaddr_storage local;        /* of a socket bound to all addresses: which of them */
};

/* One datagram. Valid until the hook returns. */
struct tend_datagram {
	const void              *data;
	size_t                   size;      /* may be 0 */
	bool                     truncated; /* it was longer than 65536 bytes; what is here is the beginning */
	const struct tend_route *from;
	void                    *reserved[4];
};

/* A socket for datagrams. */
struct tend_datagrams;

/* What happens to it. Each may be NULL; `arrived` may not. */
struct tend_datagram_hooks {
	void (*arrived)(struct tend_datagrams *s, const struct tend_datagram *d);
	/* The system has told of an error, a negative errno: nobody listens where something was sent to
	   (-ECONNREFUSED, on a connected socket), or a queued datagram could not be sent. The socket
	   goes on. At most one call a turn for errors of sending; all are counted. */
	void (*failed)(struct tend_datagrams *s, int error);
	/* Something was refused with -ENOBUFS, and now the queue is empty. */
	void (*drained)(struct tend_datagrams *s);
	void *reserved[4];
};

/*
 * A socket bound to `where`: "127.0.0.1:53", "[::1]:0" (port 0 has the kernel choose), "0.0.0.0:53",
 * "/run/x.sock", "@abstract". Borrows `hooks`. "[::]:53" is for IPv6 alone; adopt a socket of yours
 * for both. 0, -EINVAL: no such address, or -errno of socket or bind.
 */
TEND_API int tend_datagrams_start(struct tend_datagrams **into, struct tend_loop *loop,
	const char *where, const struct tend_datagram_hooks *hooks, void *data);
/* On a datagram socket of your own, bound and connected as you like, which it takes, on failure too.
   -EPROTOTYPE: it is no datagram socket. -EEXIST: it is on the loop already, and stays whose it is. */
TEND_API int tend_datagrams_adopt(struct tend_datagrams **into, struct tend_loop *loop, int fd,
	const struct tend_datagram_hooks *hooks, void *data);
/* Tries once more to send what is queued, then closes. The file of a Unix socket that
   tend_datagrams_start() made is removed. NULL is accepted. */
TEND_API void tend_datagrams_stop(struct tend_datagrams *s);

/*
 * From now on there is one peer: tend_datagrams_send() sends to it, nothing of others is received,
 * and its refusal is told through `failed`. Written as above; NULL: there is none any more. 0 or
 * -errno.
 */
TEND_API int tend_datagrams_connect(struct tend_datagrams *s, const char *where);

/*
 * Sends a datagram: to the peer that the socket is connected to, or along a route. Copies. It
 * leaves at the end of the turn, or sooner when there are many. 0 means that it was taken, not that
 * it arrives. Otherwise it was not taken:
 *	-EDESTADDRREQ  no peer: not connected, or a route without one
 *	-EMSGSIZE      larger than a datagram can be
 *	-ENOBUFS       the kernel takes no more, and as much is queued as may be; `drained` tells when
 *	               there is room
 *	-EAGAIN        a receiver on this machine has no room (Unix sockets that are not connected:
 *	               nobody would be told when it has); try later, or do without
 *	-ENOMEM, -ENOTCONN (stopped), or another -errno of a Unix socket
 */
TEND_API int tend_datagrams_send(struct tend_datagrams *s, const void *data, size_t size);
TEND_API int tend_datagrams_send_to(struct tend_datagrams *s, const struct tend_route *to,
	const void *data, size_t size);

/* Bytes that may be queued while the kernel takes no more, of datagrams and what they need (0: 1 MiB). */
TEND_API void tend_datagrams_set_queue(struct tend_datagrams *s, size_t bytes);

/* "127.0.0.1:4711", the port that was chosen in it; "unix:/run/x.sock". Valid until it stops. */
TEND_API const char *tend_datagrams_address(const struct tend_datagrams *s);
TEND_API void *tend_datagrams_data(const struct tend_datagrams *s);
TEND_API struct tend_loop *tend_datagrams_loop(const struct tend_datagrams *s);
/* The socket, for options of its own; it stays ours. -1 once stopped. */
TEND_API int tend_datagrams_fd(const struct tend_datagrams *s);

struct tend_datagram_stats {
	uint64_t received, truncated;
	uint64_t sent;    /* the kernel took them */
	uint64_t refused; /* never taken: -ENOBUFS or -EAGAIN was returned */
	uint64_t lost;    /* taken, and then the kernel would not have them */
	uint64_t errors;  /* that the system told of: see `failed` */
	size_t   queued;  /* bytes, now */
	uint64_t reserved[4];
};
TEND_API void tend_datagrams_stats(const struct tend_datagrams *s, struct tend_datagram_stats *into);

/* A way to `where`, written as above. 0, -EINVAL, -ENAMETOOLONG. */
TEND_API int tend_route_set(struct tend_route *into, const char *where);
/* The peer as text: "192.0.2.1:4711", "unix:/run/x.sock", "" for none. Returns `into`. */
TEND_API char *tend_route_text(const struct tend_route *r, char *into, size_t size);

TEND_END_DECLS

#endif
