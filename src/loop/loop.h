/*
 * The inside of a loop, shared by the files of this folder, and what the layers above may use of
 * it: loop_now(), timer_start_at() and the signals of blocking handlers.
 */
#ifndef TEND_LOOP_LOOP_H
#define TEND_LOOP_LOOP_H

#include <assert.h>
#include <signal.h>
#include <stdatomic.h>

#include "base/clock.h"
#include "base/prefetch.h"
#include "loop/link.h"
#include "loop/poller.h"
#include "loop/trace.h"

/* ---- for the layers above ---- */

/* Now, read once a turn. */
static inline int64_t loop_now(struct tend_loop *loop);
/* Like tend_timer_start() at a point of time, without reading the clock. */
void timer_start_at(struct tend_loop *loop, struct tend_timer *t, int64_t at);

/*
 * For code that blocks outside of the loop: a descriptor that is readable while signals (or a
 * tend_loop_wake()) are pending. The same number for the life of the loop.
 */
int loop_signal_fd(const struct tend_loop *loop);
/* Empties that descriptor without running callbacks; the next turn delivers, and does not wait. */
void loop_signals_collect(struct tend_loop *loop);
/* True for a signal that is watched on this loop and not yet delivered. */
bool loop_signal_pending(const struct tend_loop *loop, int signo);

/*
 * In a child that has no use for its parent's loop: closes the descriptors and touches nothing else.
 * The memory stays shared with the parent as long as neither writes to it, and is not given back.
 */
void loop_abandon(const struct tend_loop *loop);

/*
 * Takes a descriptor for a watch without asking the kernel for anything yet: the first
 * tend_watch_change() does. For descriptors that may never have to be waited for.
 */
int watch_hold(struct tend_loop *loop, struct tend_watch *w, int fd);

/*
 * Stops a watch whose descriptor is about to be closed, without asking the kernel for what the close
 * will do. Where another process has the descriptor too, the loop finds out and mends it.
 */
void watch_drop(struct tend_watch *w);

/*
 * tend_watch_change() for who reads, and looks himself whether he has read all: he is told of input
 * once, when it comes (edge triggered), which spares the kernel a second look at each. Where the poller
 * has no such thing this is dropped silently; `wanted` says which it is.
 *
 * A read that comes short has then taken all there is, and what comes later is news; unless WATCH_MORE was
 * told as well. Who does not read what he was told of has to remember it, or to change the watch and
 * change it back: what is there then is news again.
 */
enum {
	WATCH_EDGE = 128, /* asked for, beside TEND_READ alone */
	WATCH_MORE = 128, /* delivered: the end of input, or urgent data, at which reads stop, lies behind it */
};
int watch_change(struct tend_watch *w, unsigned events);

/* Is this descriptor watched? */
bool watch_is_on(const struct tend_loop *loop, int fd);

/*
 * The error that was told of has been taken off the socket: the next one is news. The poller cannot
 * see that there was none in between.
 */
void watch_forget_told(struct tend_watch *w);

/* Its events are not traced any more. */
void watch_hush(struct tend_watch *w);

/* The first watch from descriptor `*fd` on whose callback is `fn`, and its descriptor; or NULL. */
struct tend_watch *watch_find(const struct tend_loop *loop, tend_watch_fn fn, int *fd);

/*
 * One who lives on a loop and goes with it: tend_loop_free() calls `quiet` at once and `free` when
 * nothing of the loop runs any more.
 */
struct tenant {
	struct tenant *next;
	void (*quiet)(struct tenant *t);
	void (*free)(struct tenant *t);
};

/* `hears`: its `free` calls hooks, which may use what others have. Freed before those that call nobody. */
void tenant_add(struct tend_loop *loop, struct tenant *t, bool hears);
/* The one of a kind, which its function tells; or NULL. */
struct tenant *tenant_find(const struct tend_loop *loop, void (*quiet)(struct tenant *t));

/*
 * tend_loop_new() in memory of the caller's, LOOP_ROOM bytes on a boundary of 64, which outlives the
 * loop. A parent that forks copies each page that it writes to in between, and so wants a page for
 * all that it writes to.
 */
#define LOOP_ROOM 1472
struct tend_loop *loop_new_at(void *memory, const char *poller);

/* How far ahead of its turn an event is looked at; and what of its watch, and what lies behind it, is
   fetched then. */
#define LOOP_FORESIGHT 3
#define LOOP_FORESEEN 384

/* ---- the parts ---- */

/* Events that one turn delivers at most. */
#define LOOP_BATCH 1024
/* Where a poller may come back for the others it asks the kernel for so many: what they are about is
   still in the cache when their turn comes. */
#define LOOP_ASKED 128
/* In quiet times these are enough. */
#define LOOP_FEW 16
/* So many turns with fewer events make a quiet time. */
#define LOOP_QUIET 8

/* What is known of one descriptor. `set` is what the poller has been told. */
struct slot {
	struct tend_watch *watch;
	uint32_t           generation; /* changes with every start and stop */
	uint8_t            set;
	uint8_t            told; /* TEND_ERROR and TEND_HANGUP that were delivered and last */
	bool               untraced; /* whoever traces has to do with it */
};

/* What the callbacks of one descriptor's watch took, while profiling. */
struct profile {
	uint64_t calls;
	int64_t  spent;
};

struct fired {
	int      fd;
	uint32_t generation;
	unsigned events;
};

#define WHEEL_BITS 6
#define WHEEL_SLOTS (1 << WHEEL_BITS)
#define WHEEL_LEVELS 8
#define WHEEL_TICK_BITS 20 /* a tick is 2^20 ns, a little more than a millisecond */

/* What wakes the wait for the next timer, where the kernel does it (alarm.c). */
struct alarm {
	struct tend_watch watch;
	int64_t           at;    /* it is set for then; CLOCK_NEVER: it is not */
	int64_t           seen;  /* the last wait was for this */
	bool              tried; /* to set it for what was seen */
};

struct wheel {
	uint64_t         elapsed;            /* the tick up to which everything was taken out */
	uint64_t         used[WHEEL_LEVELS]; /* bits of slots that may hold timers */
	size_t           count;              /* timers started, due ones included */
	int64_t          next;               /* nothing is due before; valid while next_known */
	bool             next_known;
	bool             next_exact; /* a timer is due at `next`; else its slot begins there */
	bool             sorted;     /* the slot of `elapsed` on level 0 is in order of time */
	struct tend_link due;        /* taken out, to be run in this turn */
	struct tend_link slots[WHEEL_LEVELS][WHEEL_SLOTS];
	struct alarm     alarm;
};

#define SIGNAL_WORDS ((NSIG + 31) / 32)

/* The way of signals and wakes into one loop; written to by handlers and by other threads. */
struct channel {
	_Atomic(struct channel *) next;
	atomic_int                pid; /* of the process it belongs to: a child has its own */
	atomic_int                in, out;
	atomic_bool               woken;
	atomic_bool               marked; /* something may be pending: worth a look */
	atomic_uint               wanted[SIGNAL_WORDS];
	atomic_uint               pending[SIGNAL_WORDS];
};

#define CHILD_BUCKETS 16

struct tend_loop {
	const struct poller *poller;
	void                *poller_state;
	int64_t              now;
	int64_t (*clock)(void); /* a test may put its own here */
	int64_t      timeout;   /* no wait is longer */
	tend_turn_fn hook;
	void        *hook_data;
	/* Of a watch whose turn comes after `ahead` others, from LOOP_FORESIGHT - 1 down to 1: fetches
	   what its callback will begin with. NULL: nobody does. */
	void       (*foresee)(struct tend_watch *w, unsigned ahead);
	/* Before and after each wait for events, be it one for no time. NULL: nobody wants to know. */
	void       (*waits)(void *data, bool begins);
	void        *waits_data;

	bool now_known; /* in this turn */
	bool running;   /* inside tend_loop_run() */
	bool turning;   /* inside a turn */
	bool stopping;
	bool hurry;  /* the next wait is none: somebody called tend_loop_wake() */
	bool doomed; /* to be freed at the end of the turn */
	bool profiling;
	atomic_bool tracing; /* in this turn; connections look at it, too */
	bool children_due; /* some child may have ended */
	bool signals_due;  /* some may be collected */
	bool borrowed; /* its memory is the caller's of loop_new_at() */

	struct slot *slots;
	/*
	 * What fired in this turn: `few` in quiet times, else the large array. A parent that forks for
	 * each event pays for every page that it writes to in between, so the quiet loop writes to one.
	 */
	struct fired *fired;
	size_t        fired_count, fired_at;
	size_t        room;
	unsigned      quiet;
	int           alarm_fd; /* its event is looked for among them; -1: there is none */
	bool          rang;     /* it is among them */

	struct wheel          *wheel;
	struct tend_link       later;
	struct channel         channel;
	struct tracer          tracer;
	struct tend_loop_stats stats;
	struct fired           few[LOOP_FEW];

	/* What few turns look at. */
	struct fired   *many; /* LOOP_BATCH of them */
	size_t          slot_count;
	struct profile *profiles; /* as many; NULL before the first profiling */
	struct tenant  *tenants;
	struct tenant  *leaving; /* the one that is being freed */

	struct tend_link   signals; /* all of them, in the order they were started */
	unsigned           collected[SIGNAL_WORDS];
	struct tend_watch  channel_watch;
	struct tend_link   signals_now; /* those of the number that is being delivered */
	struct tend_link   later_now;
	struct tend_link   children[CHILD_BUCKETS];
	struct tend_signal child_signal;
};

static inline int64_t
loop_clock(const struct tend_loop *loop)
{
	return loop->clock != NULL ? loop->clock() : clock_now();
}

/* Reads it for the rest of the turn. */
int64_t loop_read_clock(struct tend_loop *loop);

static inline int64_t
loop_now(struct tend_loop *loop)
{
	return loop->now_known && loop->turning ? loop->now : loop_read_clock(loop);
}

static inline bool
signals_are_collected(const struct tend_loop *loop)
{
	unsigned any = 0, i;

	if (!loop->signals_due)
		return false;
	for (i = 0; i < SIGNAL_WORDS; i++)
		any |= loop->collected[i];
	return any != 0;
}

/* True when a signal or a wake has come and no turn has delivered it yet. Makes no system call. */
static inline bool
loop_signal_seen(const struct tend_loop *loop)
{
	unsigned seen = atomic_load(&loop->channel.woken), i;

	if ((seen | atomic_load(&loop->channel.marked) | loop->signals_due) == 0)
		return false;
	for (i = 0; i < SIGNAL_WORDS; i++)
		seen |= atomic_load(&loop->channel.pending[i]) | loop->collected[i];
	return seen != 0;
}

/* Called by pollers. False when there is no more room in this turn. */
static inline bool
loop_fired(struct tend_loop *loop, int fd, uint32_t generation, unsigned events)
{
	struct fired *f = &loop->fired[loop->fired_count];

	loop->rang |= fd == loop->alarm_fd;
	*f = (struct fired){ .fd = fd, .generation = generation, .events = events };
	return ++loop->fired_count < loop->room;
}

/* trace.c: tells of something that is about to be delivered, while `tracing`. */
COLD void loop_trace(struct tend_loop *loop, enum tend_trace_kind kind, const void *object, int number);

/* watch.c */
void watches_dispatch(struct tend_loop *loop);
void watches_done(struct tend_loop *loop);
/* Room for the profiles of `count` slots. 0 or -ENOMEM. */
int watches_profile(struct tend_loop *loop, size_t count);

/* timer.c */
void timers_init(struct tend_loop *loop);
void timers_done(struct tend_loop *loop);
/* Takes out what is due at `now` for timers_run(). True if there is any. */
bool timers_collect(struct tend_loop *loop, int64_t now);
void timers_run(struct tend_loop *loop);
/* Does it take no look at the wheel to know that nothing is due at `now`? */
static inline bool
timers_rest(const struct tend_loop *loop, int64_t now)
{
	const struct wheel *w = loop->wheel;

	return w->next_known && now < w->next && link_is_empty(&w->due);
}
/* Nothing is due before this; CLOCK_NEVER when there is nothing. */
int64_t timers_next(struct tend_loop *loop);

/* alarm.c */
void alarm_init(struct tend_loop *loop);
/* Will the alarm wake the loop at `at`? The second time that it is asked it sees to it. */
bool alarm_wakes(struct tend_loop *loop, int64_t at);
/* It wakes nobody any more. */
COLD void alarm_rest(struct tend_loop *loop);
/* As long as it has not rung, nothing is due: nobody need look at the time. (But where there is more
   than a turn delivers, what it rings with may be among the others.) */
static inline bool
alarm_stands(const struct tend_loop *loop)
{
	const struct wheel *w = loop->wheel;

	return w->next_known && w->alarm.at <= w->next && link_is_empty(&w->due);
}
/* The poller was built anew, and may have found no room for it. */
void alarm_check(struct tend_loop *loop);
void alarm_close(struct tend_loop *loop);
void alarm_after_fork(struct tend_loop *loop);
/* Or -1. */
int alarm_descriptor(const struct tend_loop *loop);

/* signal.c */
int channel_open(struct tend_loop *loop);
void channel_close(struct tend_loop *loop);
int channel_after_fork(struct tend_loop *loop);
void signals_run(struct tend_loop *loop);
void signals_done(struct tend_loop *loop);

/* child.c */
void child_watches_init(struct tend_loop *loop);
void child_watches_run(struct tend_loop *loop);
void child_watches_done(struct tend_loop *loop);

/* later.c */
void later_run(struct tend_loop *loop);
void later_done(struct tend_loop *loop);

#endif
