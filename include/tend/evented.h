/*
 * Connections on a loop: no call waits, hooks tell what happens. This is what Multiplex gives to a
 * service with the hook `readable`; with the calls of this header it is usable on a loop of your own
 * as well, with or without a server.
 *
 * The calls of tend/conn.h mean the same here, except that none of them waits:
 *	tend_read, tend_take, tend_getline, tend_read_until: -EAGAIN when there is nothing (more) now;
 *		the hook `readable` tells when there is
 *	tend_write, tend_printf: what the kernel does not take is queued and leaves by itself
 *	tend_flush: -EAGAIN when some of it is still queued
 *	tend_close: reads no more, lets what is queued leave, then closes
 *	tend_wait_readable, tend_sleep: -EAGAIN
 *
 * What is written leaves at the end of the turn in one piece, or sooner when it is much. While more
 * than the high mark is queued the connection is not read from, so a client that does not read its
 * answers cannot ask for more; a queue beyond the option max_output (1 MiB where there is no server)
 * ends the connection with -ENOBUFS. What was given with tend_conn_give() is not counted for that: it
 * is memory of yours.
 *
 * Context: the thread of the loop. Every call may be made from any hook, on any connection: one that
 * is closed goes quiet at once, and its memory is freed at the end of the turn.
 */
#ifndef TEND_EVENTED_H
#define TEND_EVENTED_H

#include <tend/base.h>
#include <tend/conn.h>
#include <tend/loop.h>

TEND_BEGIN_DECLS

/* What happens to a connection, in the order of its life. Each may be NULL; `readable` may not. */
struct tend_conn_hooks {
	/* Of a listener's: a client has come. Of tend_conn_connect()'s: the other side has answered; of
	   all: a transport that was put on has shaken hands (tend_conn_set_transport()). */
	void (*accepted)(struct tend_conn *c);
	void (*connected)(struct tend_conn *c);
	/* There is input. Once for each time that more has come, whatever was left lying; again after
	   the others, without a wait, when it took some and stopped before it saw -EAGAIN. */
	void (*readable)(struct tend_conn *c);
	/* What was queued has fallen to the low mark (none, at first). */
	void (*drained)(struct tend_conn *c);
	/* The client has finished sending. Unread input is still there, for the last time; what is
	   written now still leaves. Then the connection closes, unless tend_conn_keep_open(). */
	void (*ended)(struct tend_conn *c);
	/* It broke: `error` is a negative errno. It closes after this. Not called for what is closing
	   already: `closed` and tend_conn_reason() tell. */
	void (*failed)(struct tend_conn *c, int error);
	/* Silent for as long as tend_set_timeout() allows; then again after as long a time. NULL: it
	   closes. When the time of the whole connection is over it closes in any case. */
	void (*timed_out)(struct tend_conn *c);
	/* It is closed. Addresses and user data can be read for the last time. On every path, once. */
	void (*closed)(struct tend_conn *c);
	void *reserved[4];
};

/*
 * A connection on `fd`, a stream socket, which it takes, on failure too. Borrows `hooks`, for the
 * life of the connection. It starts to read at once. 0 or -errno: -EPERM for what is no socket,
 * -EEXIST when the descriptor is on the loop already (and stays whose it is), -EBADF, -ENOMEM,
 * -EINVAL without `readable`, -ECANCELED while the loop is being freed.
 */
TEND_API int tend_conn_new(struct tend_conn **into, struct tend_loop *loop, int fd,
	const struct tend_conn_hooks *hooks, void *data);

/*
 * Connects to `where`: "192.0.2.1:80", "[::1]:80", "/run/x.sock", within `seconds` (TEND_NONE: no
 * limit but the system's). The hook `connected` tells of success, `failed` and `closed` of anything
 * else. What is written before leaves then. -EINVAL: no such address; otherwise -errno of the system.
 */
TEND_API int tend_conn_connect(struct tend_conn **into, struct tend_loop *loop, const char *where,
	double seconds, const struct tend_conn_hooks *hooks, void *data);

/* A place where clients come, on a loop. */
struct tend_listener;

/*
 * Listens at `where`, written as above; port 0 has the kernel choose. Clients get `hooks` and `data`,
 * beginning with `accepted`. When descriptors run out it pauses and lets them wait in the queue.
 * 0, or -errno of socket, bind or listen. tend_listener_stop() closes and frees it; its clients live
 * on. It does not go with its loop: it has to be stopped, before or after.
 */
TEND_API int  tend_listener_start(struct tend_listener **into, struct tend_loop *loop,
	const char *where, const struct tend_conn_hooks *hooks, void *data);
/* As above for a socket that listens already, which it takes, on failure too. -EEXIST: it is on the loop
   already, and stays whose it is. */
TEND_API int  tend_listener_adopt(struct tend_listener **into, struct tend_loop *loop, int fd,
	const struct tend_conn_hooks *hooks, void *data);
TEND_API void tend_listener_stop(struct tend_listener *l);
/* "127.0.0.1:4711", the port that was chosen in it. Valid until it stops. */
TEND_API const char *tend_listener_address(const struct tend_listener *l);

/* Other hooks from now on, also in the middle of one; input that was left lying is theirs. Borrows. */
TEND_API void tend_conn_set_hooks(struct tend_conn *c, const struct tend_conn_hooks *hooks);
/* NULL in the blocking mood. */
TEND_API struct tend_loop *tend_conn_loop(struct tend_conn *c);

/*
 * Interest of your own: TEND_READ off stops input, and what has been read already waits; on again
 * delivers it. TEND_WRITE on calls `drained` whenever output could be taken and none is queued.
 * Output that is queued leaves in any case. 0, -ENOTCONN, or -errno.
 */
TEND_API int tend_conn_watch(struct tend_conn *c, unsigned events, bool on);

/* After the client has finished sending the connection stays, until you close it. */
TEND_API void tend_conn_keep_open(struct tend_conn *c, bool keep);

/* Bytes queued above which it is not read from (0: 256 KiB), and at which `drained` is called. */
TEND_API void tend_conn_set_marks(struct tend_conn *c, size_t high, size_t low);

/* Bytes of output that have not left, and bytes of input that were received and not read. */
TEND_API size_t tend_conn_queued(const struct tend_conn *c);
TEND_API size_t tend_conn_buffered(const struct tend_conn *c);

/* Drops what is queued; new output leaves as usual. Markers are told -ECANCELED. */
TEND_API void tend_conn_discard(struct tend_conn *c);

/*
 * Takes the descriptor off the connection, which ends without `closed`: it is yours, non-blocking,
 * and nothing of it is left on the loop. What was received and not read is stored in `*unread`, to be
 * freed by you, and its length in `*size`; both may be NULL when there is none to lose (-EINVAL when
 * there is). The descriptor, or -EBUSY while output is queued, -EINVAL in a mood or over a transport
 * that cannot, -ENOTCONN, -ENOMEM.
 */
TEND_API int tend_conn_detach(struct tend_conn *c, void **unread, size_t *size);

/* TCP_CORK: what is written is held back until it fills packets or the cork is gone; closing removes
   it. Ignored where there is no such thing. */
TEND_API void tend_conn_cork(struct tend_conn *c, bool on);

/* Why it ended: 0 for a regular end, else a negative errno. For the hook `closed`. */
TEND_API int tend_conn_reason(const struct tend_conn *c);

/* "(RW):open to 192.0.2.1:4711", for logs: interest, state, peer (DS-107). Returns `into`. */
TEND_API char *tend_conn_describe(struct tend_conn *c, char *into, size_t size);

/*
 * The open connections, in no order: the clients of a server in this process, or those that were made
 * on a loop with the calls above. A client is among them once it was allowed, and not yet in the hooks
 * `accepted` and `allow`. The current one may be closed on the way, and others too. NULL: no more.
 */
TEND_API struct tend_conn *tend_conn_first(struct tend_server *srv);
TEND_API struct tend_conn *tend_loop_conn_first(struct tend_loop *loop);
TEND_API struct tend_conn *tend_conn_next(struct tend_conn *c);

TEND_END_DECLS

#endif
