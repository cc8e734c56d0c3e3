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

#include <stdio.h>

#include <tend/conn.h>

#include "base/buf.h"
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
	size_t  max_line; /* bytes */
};

/*
 * Waits until the descriptor is ready for `events` (POLLIN, POLLOUT) or `deadline` of the monotonic
 * clock has come. 0, -ETIMEDOUT, -ECANCELED, -EAGAIN in a mood that never waits, or -errno.
 */
typedef int (*conn_wait_fn)(struct tend_conn *c, unsigned events, int64_t deadline);

/* The mood of a connection: how its calls wait, made by the server, one for a process or thread. */
struct conn_mood {
	conn_wait_fn wait;
	/* For the blocking mood. A descriptor that becomes readable when a signal has come; what is
	   read from it is of no interest... */
	int   interrupt_fd;
	/* ...and what is asked then: does the server want its handlers to come to an end? */
	bool (*cancelled)(void *data);
	void *data;
	/* Readable, for ever, once the parent is gone; told once. 0 or -1: there is none. */
	int   lifeline_fd;
	void (*orphaned)(void *data);

	/* The descriptor is about to be closed or handed over. May be NULL. */
	void (*closing)(struct tend_conn *c);
	/* Takes a descriptor whose client may still be sending, so that nobody waits for it. NULL: the
	   connection lingers itself. */
	void (*drain)(void *data, int fd);
};

/* Empties an interrupt_fd. */
void conn_read_interrupts(int fd);

/* The `wait` of a process that must not: -ETIMEDOUT at once. */
int conn_wait_never(struct tend_conn *c, unsigned events, int64_t deadline);

/* poll() on the client and on interrupt_fd. The `wait` of the blocking mood. */
int conn_wait_blocking(struct tend_conn *c, unsigned events, int64_t deadline);

enum conn_state {
	CONN_CLOSED,
	CONN_OPEN,
};

struct tend_conn {
	int                       fd; /* -1: closed */
	enum conn_state           state;
	const struct transport   *transport;
	void                     *transport_data;
	const struct conn_limits *limits;
	struct conn_mood         *mood;

	struct buf in;  /* received, not yet read by the handler */
	struct buf out; /* written by the handler, not yet sent */
	size_t     taken; /* of `in`: lent to the handler by getline, consumed by the next call */
	char       lent;  /* the byte that the lent text's final NUL hides */
	bool       lent_nul;

	unsigned want;         /* what the transport needs to go on: POLLIN, POLLOUT */
	bool     input_ended;  /* the client has finished sending */
	bool     output_ended; /* we have */
	bool     drained;      /* the last read emptied the kernel's buffer: poll before the next */
	bool     heard;        /* the first byte has come */
	bool     unread;       /* input was refused or left lying: linger before closing */
	bool     final_told;   /* that no more input will be waited for */
	bool     in_pieces;    /* a call gathers input until it has a line */
	int64_t  pieces_until; /* when it must have it; 0: it has not waited yet */
	int      broken;       /* the error that ended output, 0: none */

	int64_t idle;     /* how long a call may wait; CLOCK_NEVER: for ever */
	int64_t deadline; /* CLOCK_NEVER: none */

	const struct listener *listener;
	struct addr            peer, local;
	bool                   local_known;
	char                  *texts; /* the four address texts, made when first asked for */

	FILE *stdio_in, *stdio_out;
	bool  in_stream; /* stdio_out is writing to us */

	void  *server; /* struct tend_server; the layers below it do not look inside */
	void  *user;
	void (*user_release)(void *);
};

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
	const struct conn_limits *limits, struct conn_mood *mood, void *server);

/* Lets the transport shake hands, within its deadline. 0 or -errno. */
int conn_handshake(struct tend_conn *c);

/*
 * Flushes, lingers where the client may still be sending, closes the descriptor. Afterwards
 * addresses and user data are still there, until conn_release(). Nothing to do when closed before.
 */
void conn_close(struct tend_conn *c);

/* Marks that the client's input is refused, so that conn_close() waits for it to stop. */
void conn_refuse_input(struct tend_conn *c);

/* Closes the descriptor without a word to the client: it lives on in another process. */
void conn_leave(struct tend_conn *c);

/* Flushes what can be sent without waiting and hands the descriptor over; the connection is closed. */
int conn_give_up_fd(struct tend_conn *c);

/* Frees what belongs to this client; the buffers stay for the next, unless they grew large. */
void conn_release(struct tend_conn *c);

/* For transports. */
static inline int
conn_fd(const struct tend_conn *c)
{
	return c->fd;
}

static inline void
conn_want(struct tend_conn *c, unsigned events)
{
	c->want = events;
}

/* Between the files of the connection. */

/* Input is asked for in pieces of this size. */
#define CONN_INPUT_CHUNK 4096

bool conn_expired(const struct tend_conn *c); /* the deadline of the whole connection has passed */
int  conn_wait(struct tend_conn *c, unsigned events, int64_t limit);
int  conn_fill(struct tend_conn *c, size_t room); /* reads once into `in`; bytes, 0 at the end, -errno */
int  conn_send(struct tend_conn *c, const void *data, size_t size); /* `out`, then these */
void conn_take_back(struct tend_conn *c); /* ends the loan of getline and read_until */
void conn_stdio_flush(struct tend_conn *c);
void conn_stdio_drop(struct tend_conn *c);
void conn_stdio_reset(struct tend_conn *c);
void conn_stdio_close(struct tend_conn *c);
void conn_addr_release(struct tend_conn *c);

#endif
