/*
 * The inside of struct tend_conn: one client's buffers, deadlines and addresses above a transport.
 *
 * Who owns what: the process that serves a client owns its connection; a connection owns its
 * descriptor, its buffers and what its transport keeps. A worker serves one client after another
 * with one connection object, whose buffers stay warm: conn_init() once, then conn_open() and
 * conn_close() for each client, conn_done() in the end.
 *
 * How a call waits is not the connection's business but its mood's: the `wait` function.
 */
#ifndef TEND_NET_CONN_H
#define TEND_NET_CONN_H

#include <errno.h>
#include <poll.h>
#include <stdatomic.h>
#include <stddef.h>
#include <stdio.h>

#include <tend/conn.h>

#include "base/buf.h"
#include "base/clock.h"
#include "loop/trace.h"
#include "net/addr.h"
#include "net/listen.h"
#include "net/transport.h"

/* In nanoseconds; 0 is no limit. Shared by all connections of a server. */
struct conn_limits {
	int64_t handshake;
	int64_t first_byte;
	int64_t idle;
	int64_t total;
	int64_t linger;
	size_t  max_line;   /* bytes */
	size_t  max_output; /* bytes that may be queued where nobody waits; 0: no limit */
};

/* Bytes through transports, in memory that others may look at. */
struct conn_traffic {
	_Atomic uint64_t received, sent;
};

/*
 * Waits until the descriptor is ready for `events` (POLLIN, POLLOUT) or `deadline` of the monotonic
 * clock has come. 0, -ETIMEDOUT, -ECANCELED, -EAGAIN in a mood that never waits, or -errno.
 */
typedef int (*conn_wait_fn)(struct tend_conn *c, unsigned events, int64_t deadline);

/* The mood of a connection: how its calls wait, made by the server, one for a process or thread. */
struct conn_mood {
	/* What each message looks at comes first. Does nobody ever wait? */
	bool                      never_waits;
	const struct conn_limits *limits;
	/* May the caller read? NULL: whoever has the connection. */
	bool (*may_read)(struct tend_conn *c);
	/* Does anybody want to hear of each read and write now? NULL becomes "never" with the first
	   connection, so that this is looked at without a question. */
	const atomic_bool *traced;
	/* For who looks on from outside: bytes that its connections move. NULL: nobody does. */
	struct conn_traffic *traffic;
	/* One connection may move so many bytes before the others get a look; 0: there are none. Where nobody
	   waits it may move what one call does: nothing is ever left. */
	int64_t share, left;
	/* Where many connections share a process: output was queued, and nobody is going to wait for it
	   to leave. NULL in the blocking mood. */
	void (*queued)(struct tend_conn *c);
	/*
	 * Where a read itself may wait: may the next one of this connection, for so long (a
	 * duration)? Then `receive` takes the place of the transport's read, and may return
	 * -ETIMEDOUT or -ECANCELED as well.
	 */
	bool    (*may_wait_to_receive)(struct tend_conn *c, int64_t limit);
	ssize_t (*receive)(struct tend_conn *c, void *into, size_t size);
	/* A wait of the handler's that is not made through `wait` begins, or is over. May be NULL. */
	void (*waits)(void *data, bool begins);
	void *data; /* of `waits`, `cancelled`, `orphaned` and `drain` */
	conn_wait_fn wait;

	void *server; /* struct tend_server; the layers below it do not look inside */
	/* Who hears of reads and writes. */
	struct tracer *tracer;

	/*
	 * For moods in which many connections share a process; NULL in the blocking one. The handler
	 * of a connection waits for other descriptors, as poll() does: the count, or -ECANCELED unless
	 * it is deaf to that...
	 */
	int (*poll)(struct tend_conn *c, struct pollfd *fds, unsigned count, int64_t until, bool deaf);
	/* ...a connection out is made by its handler, and forgotten when that returns... */
	struct tend_conn *(*make)(struct tend_conn *from, int fd);
	void (*unmake)(struct tend_conn *c);
	/* ...a time limit has changed... */
	void (*retimed)(struct tend_conn *c);
	/* ...is the caller one who may wait? ... */
	bool (*may_wait)(struct tend_conn *c);
	/* ...closing must not wait: takes conn_close() over, or says false... */
	bool (*close)(struct tend_conn *c, bool abort);
	/* ...and its transport is another one, which may have to shake hands. NULL: that is waited for. */
	void (*changed)(struct tend_conn *c, bool shakes);

	/* For the blocking mood. A descriptor that becomes readable when a signal has come; what is
	   read from it is of no interest... */
	int   interrupt_fd;
	/* It is many connections' and stays readable: that alone means that handlers are to end. */
	bool  interrupt_lasts;
	/* ...and what is asked then: does the server want its handlers to come to an end? */
	bool (*cancelled)(void *data);
	/* Readable, for ever, once the parent is gone; told once. 0 or -1: there is none. */
	int   lifeline_fd;
	void (*orphaned)(void *data);

	/* Where a read itself may wait: the descriptor is about to be known to others, who may not
	   expect that. */
	void (*expose)(struct tend_conn *c);

	/* What is on the descriptor are no more the client's bytes. May be NULL. */
	void (*wrapped)(struct tend_conn *c);
	/* The descriptor is about to be closed or, if `lives_on`, to be another's. May be NULL. */
	void (*closing)(struct tend_conn *c, bool lives_on);
	/* Takes a descriptor whose client may still be sending, so that nobody waits for it. NULL: the
	   connection lingers itself. */
	void (*drain)(void *data, int fd);

	/* For who looks on from outside: where its one client is shown (struct shown; this layer does
	   not look inside). NULL: nobody does. */
	void *shown;
};

/* A word has one writer, so that an addition costs what it would cost elsewhere. */
static inline void
conn_traffic_add(_Atomic uint64_t *word, size_t n)
{
	atomic_store_explicit(word, atomic_load_explicit(word, memory_order_relaxed) + n,
	    memory_order_relaxed);
}

/* A connection of this mood has moved `n` bytes more. True: now the others get a look. */
static inline bool
conn_spends_share(struct conn_mood *mood, size_t n)
{
	return mood->share != 0 && (mood->left -= (int64_t)n) <= 0;
}

/* Its interrupt_fd is readable: empties it. True when nobody need be asked what that means. */
bool conn_interrupted(const struct conn_mood *mood);

/* The `wait` of a process that must not: -ETIMEDOUT at once. */
int conn_wait_never(struct tend_conn *c, unsigned events, int64_t deadline);

/* poll() on the client and on interrupt_fd. The `wait` of the blocking mood. */
int conn_wait_blocking(struct tend_conn *c, unsigned events, int64_t deadline);

/*
 * Waits in the way of the connection's mood, which must be one that waits, until a descriptor that is
 * not the client's is readable. Returns as conn_wait_fn does.
 */
int conn_wait_for(struct tend_conn *c, int fd, int64_t deadline);

/* Where accept found it; enough for internet addresses and for unix clients without a name. */
struct conn_peer {
	socklen_t length; /* 0: not known here */
	union {
		struct sockaddr     any;
		struct sockaddr_in  v4;
		struct sockaddr_in6 v6;
	} u;
};

struct lookup;

/* What few connections have: memory of its own, so that the others are small. */
struct conn_extras {
	FILE *stdio_in, *stdio_out; /* kept from client to client */

	struct addr peer, local; /* length 0: not asked for yet */
	char       *texts[4];    /* of the addresses, made when first asked for */
	char       *peer_name;   /* NULL: not known */
	unsigned    lookup_result; /* server/lookup.c: what looking it up came to... */
	struct lookup *lookup;     /* ...and one that is under way on the loop */

	struct outgoing *outgoing; /* connections made with tend_connect(): see connect.c */

	uint32_t high, low; /* marks of queued output, evented; high 0: the default */

	struct queue *queue; /* output that is not in `out`: see conn_queue.c */
	struct buf    late;  /* output that must wait for the end of a piece under way */

	int64_t again_at; /* CONN_LATER: when its transport is to be asked again */
};

/*
 * MORE_MAYBE: the last read took all that it asked for, or there has been none since there was news.
 * MORE_SURELY: a read that comes short is not the last one; there is more until one brings nothing.
 */
enum { MORE_MAYBE = 1, MORE_SURELY = 2 };

/* What conn_send() is doing: nothing, sending the queue, or sending the caller's own piece. */
enum conn_sending { SENDING_NOT, SENDING_QUEUE, SENDING_PIECE };

/*
 * Small, because an idle connection is little more than this; and what every message touches stands
 * together at the front: among thousands of connections each line of the cache counts.
 */
struct tend_conn {
	int     fd; /* -1: closed */
	bool    open;
	bool    heard;   /* the first byte has come */
	bool    drained; /* the last read emptied the kernel's buffer: wait before the next */
	/* What the kernel may hold beside what was read: MORE_MAYBE, MORE_SURELY. For who is not told of it again. */
	uint8_t more;
	/* All that makes a connection a special case: nothing of this in the usual one, and so it is looked
	   at together, by conn_is_ordinary(). */
	union {
		struct {
			bool    input_ended;  /* the client has finished sending */
			bool    output_ended; /* we have */
			bool    ending;       /* we have once the queue is empty */
			bool    closing;      /* as soon as the sending that is under way is over */
			bool    lent_nul;     /* lent text ends with a NUL that stands over a byte: `lent` */
			bool    patient;      /* the next read waits by itself: the mood's `receive` */
			bool    reading;      /* a call waits for input: what it has searched must stay */
			uint8_t sending;      /* enum conn_sending */
			int16_t broken;       /* the error that ended output, 0: none */
			int16_t input_error;
			bool    final_told;   /* that no more input will be waited for */
			/* What the transport needs to go on: POLLIN, POLLOUT, CONN_LATER... */
			uint8_t want;
			uint8_t read_want;    /* ...of a read; 0 is POLLIN... */
			uint8_t write_want;   /* ...and of a write that is waiting; 0: not asked for */
		};
		uint64_t special[2];
	};
	const struct tend_transport *transport;
	struct conn_mood   *mood;
	struct buf          in; /* received, not yet read by the handler */
	uint32_t            taken; /* of `in`: lent to the handler by getline, consumed by the next call */
	uint32_t            received; /* bytes there ever were, modulo 2^32: to see that some were consumed */
	int64_t             deadline; /* CLOCK_NEVER: none */
	struct buf          out; /* written by the handler, not yet sent */
	struct conn_extras *extras;

	bool    starved;    /* a call of the handler found no (more) input */
	char    lent;
	bool    unread;     /* input was refused or left lying: linger before closing */
	uint8_t balks;      /* of its transport, one after the other */
	bool    in_pieces;  /* a call gathers input until it has a line */
	bool    in_stream;  /* stdio_out is writing to us */
	bool    timed_out;  /* a wait met its deadline */
	bool    unknown;    /* it may still be denied: others do not see it */
	uint8_t refusal;    /* enum tend_refusal */
	bool    untraced;   /* the trace itself is written to it */

	uint32_t place; /* among all clients of the server, for limits; 0: none */

	int64_t idle; /* how long a call may wait; CLOCK_NEVER: for ever */

	/* What few messages touch. */
	int64_t                pieces_until; /* when a line must be complete; 0: it has not waited yet */
	void                  *transport_data;
	const struct listener *listener;
	struct conn_peer       peer;
	void                  *user;
	void (*user_release)(void *);
};

_Static_assert(offsetof(struct tend_conn, transport) == offsetof(struct tend_conn, special) + 16,
    "what is special is looked at as a whole");

/* Zeroed storage is initialised too; conn_init is for storage that is not. */
void conn_init(struct tend_conn *c);
/*
 * Gives the buffers their first memory, close together, so that a child forked to serve one client
 * finds them there and need not ask for its own. 0 or -ENOMEM.
 */
int conn_warm(struct tend_conn *c, bool streams_too);
/* Frees buffers. The connection is closed. */
void conn_done(struct tend_conn *c);

/* A new client on `fd`, which the connection takes. Cannot fail. `peer` may be NULL: asked later. */
void conn_open(struct tend_conn *c, int fd, const struct listener *from, const struct addr *peer,
	struct conn_mood *mood);

/* Lets the transport shake hands, within its deadline. 0 or -errno. */
int conn_handshake(struct tend_conn *c);

/*
 * Flushes, lingers where the client may still be sending, closes the descriptor. Afterwards
 * addresses and user data are still there, until conn_release(). Nothing to do when closed before.
 */
void conn_close(struct tend_conn *c);

/* Marks that the client's input is refused, so that conn_close() waits for it to stop. */
void conn_refuse_input(struct tend_conn *c);

/*
 * The rest of it, when all output has left: lingers or has the client drained, closes. And the
 * contrary: closes at once, unsent output is lost. Both are for moods; nobody is asked.
 */
void conn_part(struct tend_conn *c);
void conn_cut(struct tend_conn *c);

/* The peer's name, copied; until conn_release(). 0 or -ENOMEM. */
int conn_set_peer_name(struct tend_conn *c, const char *name);
/* The client of a TCP connection will see a reset, whoever closes. */
void conn_reset_at_close(struct tend_conn *c);

/* Closes the descriptor without a word to the client: it lives on in another process. */
void conn_leave(struct tend_conn *c);

/* Flushes what can be sent without waiting and hands the descriptor over; the connection is closed. */
int conn_give_up_fd(struct tend_conn *c);

/* Frees what belongs to this client; the buffers stay for the next, unless they grew large. */
void conn_release(struct tend_conn *c);

/* Beside POLLIN and POLLOUT: that some time passes. */
#define CONN_LATER 0x80

/* For transports. */
static inline int
conn_fd(const struct tend_conn *c)
{
	return c->fd;
}

static inline void
conn_want(struct tend_conn *c, unsigned events)
{
	c->want = (uint8_t)events;
}

/* Open in both directions, and nothing is under way: neither a call nor a wait, nor an error. */
static inline bool
conn_is_ordinary(const struct tend_conn *c)
{
	return (c->special[0] | c->special[1]) == 0 && c->open;
}

static inline size_t
conn_unsent(const struct tend_conn *c)
{
	return buf_length(&c->out) + (c->extras != NULL && c->extras->queue != NULL);
}

/* Peers are processes of this machine: no address rules. */
static inline bool
conn_is_local(const struct tend_conn *c)
{
	return (c->listener->transport->traits & TRANSPORT_LOCAL) != 0;
}

/* It is one packet. */
static inline bool
conn_is_datagram(const struct tend_conn *c)
{
	return (c->listener->transport->traits & TRANSPORT_DATAGRAM) != 0;
}

/* Bytes on the descriptor are the client's bytes. */
bool conn_is_plain(const struct tend_conn *c);
/* Input that lies inside the transport: no event tells of it. */
size_t conn_ask_pending(struct tend_conn *c);
static inline size_t
conn_pending(struct tend_conn *c)
{
	return c->transport->pending != NULL ? conn_ask_pending(c) : 0;
}

static inline bool
conn_is_traced(const struct tend_conn *c)
{
	return atomic_load_explicit(c->mood->traced, memory_order_relaxed);
}

/* ---- calls of the transport, which may be anybody's: what they return makes sense afterwards ---- */

/*
 * What a call comes to that moved nothing, or said so. -EAGAIN, with what is waited for (`unsaid` if
 * it has not said so) in c->want; or an error.
 */
COLD int conn_balked(struct tend_conn *c, ssize_t result, unsigned unsaid);
COLD void conn_trace(struct tend_conn *c, enum tend_trace_kind kind, ssize_t result, size_t asked);
COLD void conn_trace_close(struct tend_conn *c);
/* The trace itself is written to it: of this one there is nothing more to tell. */
COLD void conn_hush(struct tend_conn *c);

/* Bytes, 0 at the end, -EAGAIN or -errno. */
INLINE ssize_t
conn_read_bytes(struct tend_conn *c, void *into, size_t size)
{
	ssize_t n;

	c->want = 0;
	n = c->transport->read(c, into, size);
	if (UNLIKELY(n < 0 || (size_t)n > size))
		n = conn_balked(c, n, POLLIN);
	else
		c->balks = 0;
	if (UNLIKELY(conn_is_traced(c)))
		conn_trace(c, TEND_TRACE_READ, n, size);
	return n;
}

/* Of `size` bytes in these parts: those taken, at least one, -EAGAIN or -errno. */
INLINE ssize_t
conn_write_bytes(struct tend_conn *c, const struct iovec *parts, int count, size_t size)
{
	ssize_t n;

	c->want = 0;
	n = c->transport->write(c, parts, count);
	if (UNLIKELY(n <= 0 || (size_t)n > size))
		n = conn_balked(c, n, POLLOUT);
	else
		c->balks = 0;
	if (n > 0 && c->mood->traffic != NULL)
		conn_traffic_add(&c->mood->traffic->sent, (size_t)n);
	if (UNLIKELY(conn_is_traced(c)))
		conn_trace(c, TEND_TRACE_WRITE, n, size);
	return n;
}

/* What is in `out`, once, and without waiting. Bytes, -EAGAIN or -errno. */
INLINE ssize_t
conn_write_buffer(struct tend_conn *c)
{
	struct iovec part = { .iov_base = buf_data(&c->out), .iov_len = buf_length(&c->out) };
	ssize_t n = conn_write_bytes(c, &part, 1, part.iov_len);

	if (LIKELY(n > 0))
		buf_consume(&c->out, (size_t)n);
	return n;
}

/* One step of it. 0, -EAGAIN or -errno. */
int conn_shake_once(struct tend_conn *c);
int conn_shutdown_once(struct tend_conn *c);

/* Between the files of the connection. */

/* Input is asked for in pieces of this size. */
#define CONN_INPUT_CHUNK 4096

struct conn_extras *conn_extras(struct tend_conn *c); /* NULL: out of memory */
void conn_learn_peer(struct tend_conn *c); /* while it still can be asked for */
int  conn_wait(struct tend_conn *c, unsigned events, int64_t limit);
int  conn_wait_until(struct tend_conn *c, unsigned events, int64_t deadline);
int  conn_fill(struct tend_conn *c, size_t room); /* reads once into `in`; bytes, 0 at the end, -errno */
int  conn_end_output(struct tend_conn *c); /* the queue is empty. 0, -EAGAIN or -errno */
int  conn_break(struct tend_conn *c, int code); /* output is over: every call says so from now on */
int  conn_send(struct tend_conn *c, const void *data, size_t size); /* `out`, then these */
int  conn_send_on(struct tend_conn *c, ssize_t n); /* `out`, when the first write came to `n` */
void conn_uncover(struct tend_conn *c); /* puts back the byte that a lent text's NUL hides */
void conn_stdio_flush_stream(struct tend_conn *c);
void conn_stdio_drop(struct tend_conn *c);
void conn_stdio_forget(struct tend_conn *c); /* what was read ahead */
void conn_stdio_reset(struct tend_conn *c);
void conn_stdio_close(struct tend_conn *c);
void conn_addr_release(struct tend_conn *c);
void conn_outgoing_release(struct tend_conn *c);

/* 0 when output can be taken. */
static inline int
conn_writable(struct tend_conn *c)
{
	if (UNLIKELY(!c->open))
		return -ENOTCONN;
	if (UNLIKELY(conn_is_traced(c) && c->mood->tracer->inside))
		conn_hush(c);
	if (UNLIKELY(c->output_ended || c->ending))
		return -EPIPE;
	return c->broken;
}

/* Ends the loan of getline, read_until and take. */
static inline void
conn_take_back(struct tend_conn *c)
{
	if (UNLIKELY(c->lent_nul))
		conn_uncover(c);
	if (c->taken > 0) {
		buf_consume(&c->in, c->taken);
		c->taken = 0;
	}
}

/* It has a deadline of the whole connection: has that passed? */
bool conn_is_past_deadline(const struct tend_conn *c);

/* The deadline of the whole connection has passed. */
static inline bool
conn_expired(const struct tend_conn *c)
{
	return UNLIKELY(c->deadline != CLOCK_NEVER) && conn_is_past_deadline(c);
}

/* May the caller wait for the client? */
static inline bool
conn_may_wait(struct tend_conn *c)
{
	return !c->mood->never_waits && (c->mood->may_wait == NULL || c->mood->may_wait(c));
}

/* What lies in stdio_out goes to the connection's own buffer. */
static inline void
conn_stdio_flush(struct tend_conn *c)
{
	if (c->extras != NULL && c->extras->stdio_out != NULL)
		conn_stdio_flush_stream(c);
}

/* Output, if any, is in `out`. */
static inline bool
conn_is_simple(const struct tend_conn *c)
{
	const struct conn_extras *x = c->extras;

	return x == NULL || (x->stdio_out == NULL && x->queue == NULL && buf_length(&x->late) == 0);
}

/* As conn_send() of a simple connection, which has something to send and is not doing so. */
INLINE int
conn_send_buffer(struct tend_conn *c)
{
	ssize_t n;

	c->sending = SENDING_QUEUE;
	n = conn_write_buffer(c);
	if (UNLIKELY(n <= 0 || buf_length(&c->out) > 0 || c->broken != 0 || c->closing))
		return conn_send_on(c, n);
	c->sending = SENDING_NOT;
	return 0;
}

/* What a read has to wait for. */
static inline unsigned
conn_read_want(const struct tend_conn *c)
{
	return c->read_want != 0 ? c->read_want : POLLIN;
}

/* No output is waiting, and the next read waits for input. */
static inline bool
conn_is_calm(const struct tend_conn *c)
{
	return conn_is_ordinary(c) && buf_length(&c->out) == 0 && conn_is_simple(c);
}

/* Bytes that do not stand in `out`; there are extras. In conn_queue.c. */
size_t conn_queued_beside(const struct tend_conn *c);

/* Bytes of output that have not left. */
static inline size_t
conn_queued(const struct tend_conn *c)
{
	return buf_length(&c->out) + (c->extras != NULL ? conn_queued_beside(c) : 0);
}

#endif
