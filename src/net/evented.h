/*
 * Connections that share a process with others, in its two moods. *Evented*: calls never wait, hooks
 * tell what happens. *Fiber*: a handler written with blocking calls runs in a fiber, and a call that
 * cannot go on suspends it.
 *
 * A connection of this kind has a watch and a timer on a loop; `struct conns` is what all of a loop
 * share. What is due at the end of the turn (output to be sent, input that is here already, closed
 * connections to be told of and freed) stands in its list.
 */
#ifndef TEND_NET_EVENTED_H
#define TEND_NET_EVENTED_H

#include <tend/evented.h>

#include "loop/fiber.h"
#include "loop/loop.h"
#include "net/conn.h"
#include "net/drain.h"

/* Bytes that one connection may move before the others get a look. */
#define EVENTED_SHARE 65536
/* Queued output above which a connection is not read from. */
#define EVENTED_HIGH_MARK (256 * 1024)

struct evented;

/* The connections of a loop. */
struct conns {
	struct tenant     tenant;
	/* What each message looks at stands together. */
	struct tend_loop *loop;
	struct buf        spare_in, spare_out; /* warm buffers: idle connections have none */
	int64_t           stall;    /* a hook that takes longer is told of; 0: never */
	int64_t           grain;    /* so much may pass before the clock shows it that is read for that */
	/* The last event of a connection was over at `mark`; it was this one of the loop, in this turn. */
	int64_t           mark;
	uint64_t          mark_turn, mark_event;

	struct evented   *due, **due_end; /* at the end of the turn */
	struct tend_later attend;
	struct drains     drains;
	struct evented_mood *plain; /* of connections that belong to no server */
	size_t            count;
	bool              over;     /* the loop is about to go: there are no new ones */
	/* `c` may be one that belongs to no server. */
	void (*stalled)(void *data, struct tend_conn *c, int64_t took);
	void             *stalled_data;
};

/* What the connections of one kind have in common, made by who has them. */
struct evented_mood {
	struct conn_mood mood; /* first: a connection leads here */
	struct conns    *conns;
	const struct tend_conn_hooks *hooks; /* of new connections */
	struct fiber_pool *fibers; /* for the fiber mood */
	void (*heard)(struct evented *m); /* one that was awaited has sent something */
	bool cancelled; /* handlers in fibers are to come to an end */
	/* It comes to its end, and the client is still there. May be NULL. */
	void (*finishing)(struct tend_conn *c);
	/* It is closed; it is freed after this. May be NULL: the hook `closed` then. */
	void (*closed)(struct tend_conn *c);
	/* It has no descriptor any more, which is somebody else's: `closed` will not be called. */
	void (*detached)(struct tend_conn *c);
	/* The handshake is over: 0, or why it failed. NULL: `connected` and `failed`. */
	void (*shaken)(struct tend_conn *c, int code);
};

enum evented_phase {
	EVENTED_HELD, /* nothing happens before evented_begin() or evented_run() */
	EVENTED_CONNECTING,
	EVENTED_SHAKING, /* hands */
	EVENTED_OPEN,
	EVENTED_CLOSING, /* when all output has left */
	EVENTED_AWAITED, /* its handler begins when it has sent something */
	EVENTED_FIBER,
	EVENTED_DEAD,
};

/* Does a read that comes short take all there is, so that it is enough to be told of news? */
enum evented_edges { EDGES_UNKNOWN, EDGES_ENOUGH, EDGES_NOT };

/* In the order of use, as struct tend_conn: the timer is touched when it is set and when it fires. */
struct evented {
	struct tend_watch watch;

	/* How it stands: looked at together, by evented_is_calm(). */
	union {
		struct {
			uint8_t phase;     /* enum evented_phase */
			bool    armed;     /* the timer stands no later than it has to */
			bool    app_write; /* tend_conn_watch(TEND_WRITE) */
			bool    paused;    /* tend_conn_watch(TEND_READ) off */
			bool    full;      /* of unread input: not read from before some is consumed */
			bool    again;     /* input is here already, where no event will tell of it */
			bool    failing;   /* `failed` was told */
			bool    kicked;    /* fiber: somebody else closed it */
		};
		uint64_t state;
	};
	bool    is_due;
	bool    is_outgoing; /* made by tend_connect() in a fiber */
	bool    forgotten;   /* its end is told to nobody */
	bool    owes_drained; /* something was written since `drained` was called */
	bool    ended;      /* end of input was told */
	bool    keep_open;
	bool    finished;   /* `finishing` was told */
	bool    inside;     /* one of its hooks is running */
	bool    shakes;     /* its new transport has to begin its handshake */
	bool    suspended;  /* fiber */
	bool    in_vain;    /* fiber: awaited, and never had a handler */
	uint8_t edges;      /* enum evented_edges */
	uint8_t waiting;    /* fiber: for TEND_READ, TEND_WRITE */
	int     result;     /* fiber: of the wait. Evented: why it ended */
	int     place;      /* the descriptor that it had, for the way to the next */
	union {
		struct {
			const struct tend_conn_hooks *hooks;
			int64_t active_at; /* when something last moved; `grain` later at most */
		};
		struct {
			struct fiber   *fiber;
			int64_t         until; /* of the wait */
		};
	};
	union {
		/* Evented, or awaited: when it came, for who measures that. */
		int64_t         began;
		/* Of a client in a fiber: the connection out that its handler waits for. Of that: the
		   client. */
		struct evented *party;
	};

	struct tend_conn c;

	struct evented   *next_due;
	struct tend_timer timer;
};

_Static_assert(offsetof(struct evented, is_due) == offsetof(struct evented, state) + 8,
    "how it stands is looked at as a whole");

static inline struct evented *
evented_of(struct tend_conn *c)
{
	return LINK_OWNER(c, struct evented, c);
}

static inline struct evented_mood *
evented_mood_of(const struct tend_conn *c)
{
	return (struct evented_mood *)c->mood;
}

/* True for a connection of this file's kind; false for one that waits. */
static inline bool
conn_is_evented(const struct tend_conn *c)
{
	return c->mood->queued != NULL;
}

/* What a socket came from that no listener of ours has accepted. */
extern const struct listener socket_listener;

/* ---- the connections of a loop ---- */

/* Of this loop, made when first asked for; go with it. NULL: out of memory. */
struct conns *conns_of(struct tend_loop *loop);
/* NULL: there have been none. */
struct conns *conns_find(const struct tend_loop *loop);

/* Buffers larger than this are not kept warm. */
#define CONNS_WARM_MOST 65536

/* Memory of an empty buffer, for one that has none. */
static inline void
conns_move(struct buf *from, struct buf *to)
{
	to->base = from->base;
	to->size = from->size;
	from->base = NULL;
	from->size = 0;
}

static inline void
conns_lend_one(struct buf *spare, struct buf *b)
{
	if (b->base == NULL)
		conns_move(spare, b);
}

static inline void
conns_shed_one(struct buf *spare, struct buf *b)
{
	if (b->base == NULL || buf_length(b) > 0)
		return;
	if (LIKELY(spare->base == NULL && b->size <= CONNS_WARM_MOST))
		conns_move(b, spare);
	else
		buf_done(b);
}

/* Lends a connection warm buffers, and takes back those that it has no need for. */
static inline void
conns_lend(struct conns *all, struct tend_conn *c)
{
	conns_lend_one(&all->spare_in, &c->in);
	conns_lend_one(&all->spare_out, &c->out);
}

static inline void
conns_shed(struct conns *all, struct tend_conn *c)
{
	conns_shed_one(&all->spare_in, &c->in);
	conns_shed_one(&all->spare_out, &c->out);
}

/* The first of those of one mood that are open. tend_conn_next() leads on. NULL: there is none. */
struct tend_conn *conns_first(struct evented_mood *mood);

/* Every connection is aborted, whoever made it. */
void conns_cut(struct conns *all);

/* At the end of the turn something is to be done for it. */
void conns_attend(struct evented *m);

/* Whoever holds up the others for longer than `longest` (0: never) is told of. */
void conns_watch_stalls(struct conns *all, int64_t longest,
	void (*stalled)(void *data, struct tend_conn *c, int64_t took), void *data);

/* Around whatever may run a handler: who takes longer than `stall` is told of. */
COLD void conns_tell_stall(struct evented *m, int64_t took);

static inline int64_t
conns_clock(const struct conns *all)
{
	return all->stall > 0 ? clock_coarse() : 0;
}

/* When it was over; 0 where nobody wants to know. */
static inline int64_t
conns_took(struct conns *all, struct evented *m, int64_t begun)
{
	int64_t now = all->stall > 0 ? clock_coarse() : 0;

	if (LIKELY(all->stall == 0 || now - begun < all->stall))
		return now;
	conns_tell_stall(m, now - begun);
	return clock_coarse();
}

/* The same around an event of the loop: where one was over the next begins, if nothing was between. */
static inline int64_t
conns_clock_event(const struct conns *all)
{
	const struct tend_loop_stats *stats = &all->loop->stats;

	if (all->mark_event + 1 == stats->events && all->mark_turn == stats->turns)
		return all->mark;
	return conns_clock(all);
}

static inline void
conns_took_event(struct conns *all, struct evented *m, int64_t begun)
{
	all->mark = conns_took(all, m, begun);
	all->mark_turn = all->loop->stats.turns;
	all->mark_event = all->loop->stats.events;
}

/* ---- a connection ---- */

/* Fills in the functions of a mood; limits, server and the rest are the caller's. */
void evented_mood_init(struct evented_mood *mood, struct conns *conns);
void evented_mood_init_fiber(struct evented_mood *mood, struct conns *conns, struct fiber_pool *fibers);

/* What `wait` is where nobody may. */
int evented_never_waits(struct tend_conn *c, unsigned events, int64_t deadline);

/*
 * A connection on `fd`, which is taken, on failure too. It is held: nothing is read and no hook runs
 * before evented_begin(), evented_shake() or evented_run(). 0 or -errno.
 */
int evented_new(struct evented **into, struct evented_mood *mood, int fd,
	const struct listener *from, const struct addr *peer);

/* It goes on with the handshake of its transport; `shaken` tells. */
void evented_shake(struct evented *m);
/* It is on its way to another server; `connected` or `failed` tells. */
void evented_connect(struct evented *m, double seconds);
/* After a handshake: it is held again. */
void evented_hold(struct evented *m);
/* Its hooks are called from now on. It is tried for input at once: it may be there already. */
void evented_begin(struct evented *m);
/* Runs `body` in a fiber of its own; it closes and releases the connection. 0 or -errno: not run. */
int  evented_run(struct evented *m, void (*body)(struct tend_conn *c));

/* Fiber: no handler, hence no stack, before it has sent something; the mood's `heard` starts it. */
void evented_await(struct evented *m);

/* Ends it because of `error`: the hook `failed`, then the end. */
void evented_fail(struct evented *m, int error);
/* In the fiber mood: the wait of its handler ends with `result`. */
void evented_resume(struct evented *m, int result);
/* It has no descriptor any more, and nobody is told: only its memory is left to be freed. */
void evented_forget(struct evented *m);
/* Evented: each comes to its end, as if it were closed by its service. What is queued leaves; handshakes
   and those that are held are over at once. */
void evented_dismiss(struct evented_mood *mood);
/* Those that are awaited need not come any more. */
void evented_dismiss_awaited(struct evented_mood *mood);
/* Every handler that waits in a fiber hears that it is to end. */
void evented_cancel_fibers(struct evented_mood *mood);

/* ---- between the files of this kind ---- */

void evented_event(struct tend_watch *w, unsigned events); /* the callback of every watch */
void evented_foresee(struct tend_watch *w, unsigned ahead);
void evented_settle(struct evented *m); /* after a hook: sends, closes, waits */
void evented_due(struct evented *m);    /* what was put off to the end of the turn */
void evented_arm(struct evented *m);    /* the timer, for what it waits for now */
void evented_free(struct evented *m);
/* In evented_end.c. What conn_close() and tend_abort() do in this mood. */
bool evented_close(struct tend_conn *c, bool abort);
/* All output has left, or never will. */
void evented_part(struct evented *m);
/* The connection lets go of its descriptor. Not later: the number may be another's in a moment. */
void evented_closing(struct tend_conn *c, bool lives_on);
int  evented_interest(struct evented *m);
/* In evented_begin.c: the phases before it is open, and a transport that has changed. */
void evented_has_connected(struct evented *m, unsigned events);
void evented_go_on_shaking(struct evented *m, unsigned events);
void evented_changed(struct tend_conn *c, bool shakes);
/* 0, or why its transport cannot change now. */
int  evented_may_change(const struct evented *m);
void evented_fiber_event(struct evented *m, unsigned events);
void evented_fiber_due(struct evented *m);
void evented_fiber_time(struct evented *m);

static inline bool
evented_is_alive(const struct evented *m)
{
	return m->phase != EVENTED_DEAD;
}

/* More output than the mark: who does not read his answers is not asked for more. */
static inline bool
evented_is_throttled(const struct evented *m)
{
	size_t high = m->c.extras != NULL ? m->c.extras->high : 0;

	return conn_queued(&m->c) > (high != 0 ? high : EVENTED_HIGH_MARK);
}

/* Is it to be read from? */
INLINE bool
evented_reads(const struct evented *m)
{
	return m->phase == EVENTED_OPEN && !m->paused && !m->full && !m->c.input_ended &&
	    m->c.input_error == 0 && !evented_is_throttled(m);
}

/* It is open and read from, and there is nothing more to it. */
INLINE bool
evented_is_calm(const struct evented *m)
{
	static const struct evented calm = { .phase = EVENTED_OPEN, .armed = true };

	return m->state == calm.state && conn_is_calm(&m->c);
}

/* The kernel may hold input of which no event will tell: it was told of. */
static inline bool
evented_has_untold(const struct evented *m)
{
	return m->c.more != 0 && (m->watch.wanted & WATCH_EDGE) != 0 && evented_reads(m);
}

/* How far the handler has come in the stream of its input. */
static inline uint32_t
evented_consumed(const struct tend_conn *c)
{
	return c->received - ((uint32_t)buf_length(&c->in) - c->taken);
}

/* In evented_input.c. Of input that its hook has not read. */
bool evented_is_full(const struct evented *m);
/* There is input, or the end of it. */
void evented_take_input(struct evented *m);
/* Its hook has run for input, and had come so far before (evented_consumed()): what did it leave? */
void evented_has_heard(struct evented *m, uint32_t before);
/* What has come already is delivered, but the hook is not called for nothing. True: there was some. */
bool evented_try_input(struct evented *m, size_t room);
/* Input that is here already, and of which no event will tell; and its delivery. */
bool evented_delivers_again(struct evented *m);
void evented_deliver_again(struct evented *m);

/* Something has moved: it is not silent. */
static inline void
evented_touch(struct evented *m)
{
	m->active_at = loop_now(evented_mood_of(&m->c)->conns->loop);
}

/* poll()'s bits as the loop's. */
static inline unsigned
evented_bits(unsigned want)
{
	return ((want & 1 /* POLLIN */) ? TEND_READ : 0) | ((want & 4 /* POLLOUT */) ? TEND_WRITE : 0);
}

#endif
