/*
 * The event loop: watches on descriptors, timers, signals, children and deferred work. It is the
 * ground that tend's master, its workers and Multiplex stand on, and is usable alone.
 *
 * All objects live in your storage: initialise one, start it, stop it. Starting may fail where the
 * kernel is asked; stopping and freeing cannot. Everything may be stopped, restarted or freed from
 * inside any callback, its own too: it goes quiet at once. Starting what is started moves it.
 *
 * A loop belongs to one thread. Only tend_loop_wake() may be called from others.
 *
 * One turn, in this order:
 *
 *   1. timers that are due, by their time and then in the order they were started. (Where wait after
 *      wait was for the same timer, the kernel tells when it is due: then the wait is none, and the
 *      timer runs in step 6.)
 *   2. the wait; none when step 1 ran a timer, or when a stop, deferred work or a signal is
 *      already there;
 *   3. signals, by number;
 *   4. descriptors, in no promised order; at most 128 a turn, with "poll" 1024, so that the other steps
 *      are not kept waiting. All that are ready have their turn before one has it twice;
 *   5. children that ended;
 *   6. if step 1 had none: timers that came due during the wait. What arrived in time is thus
 *      served before its deadline is looked at;
 *   7. deferred work;
 *   8. the turn hook.
 *
 * A turn without any event still runs all steps. What a callback starts is seen in the same turn
 * where its step is still ahead, except that a timer of 0 seconds waits for the next turn.
 */
#ifndef TEND_LOOP_H
#define TEND_LOOP_H

#include <sys/types.h>

#include <tend/base.h>

TEND_BEGIN_DECLS

/*
 * A new loop. `poller` is "epoll", "kqueue", "poll" or NULL for the best there is. NULL when there is
 * no such poller, or when memory or descriptors are out (errno tells).
 */
TEND_API struct tend_loop *tend_loop_new(const char *poller);
/*
 * Stops everything started on the loop and frees it. From inside one of its callbacks everything
 * goes quiet at once, and the loop is freed when its turn ends; tend_loop_run() then returns 0. A
 * child after fork may free its copy without disturbing the parent. NULL is accepted.
 */
TEND_API void tend_loop_free(struct tend_loop *loop);
TEND_API const char *tend_loop_poller(const struct tend_loop *loop);

/* Turns until tend_loop_stop(). 0, or -errno when the poller fails; -EBUSY: it is running. */
TEND_API int tend_loop_run(struct tend_loop *loop);
/*
 * One turn: waits at most `seconds` (negative: no limit) and delivers what is due. 0 or -errno;
 * -EBUSY from inside a callback of the same loop: turns do not nest.
 */
TEND_API int tend_loop_turn(struct tend_loop *loop, double seconds);
/*
 * Ends the run when its current turn is over, without another wait. A stop that comes before the
 * run ends it before its first turn; a turn of tend_loop_turn() does not wait, and forgets it.
 */
TEND_API void tend_loop_stop(struct tend_loop *loop);
/*
 * In a child after fork, before any other call on the loop: a kernel state of its own. Watches,
 * timers and signals are kept, child watches are dropped (they are the parent's children), events
 * and signals that were on their way to the parent are forgotten, and the child may run the loop
 * although the parent forked inside a callback. Signals must be blocked from before the fork
 * until after this call, or one may get lost. 0 or -errno; then the loop can only be freed.
 */
TEND_API int tend_loop_after_fork(struct tend_loop *loop);
/* From any thread: ends the wait of the current or next turn. Async-signal-safe. */
TEND_API void tend_loop_wake(struct tend_loop *loop);

/* The monotonic clock in seconds, read once a turn. */
TEND_API double tend_loop_now(struct tend_loop *loop);
/* No wait is longer than this; negative: no limit, as at the start. Timers are always honoured. */
TEND_API void tend_loop_set_timeout(struct tend_loop *loop, double seconds);

typedef void (*tend_turn_fn)(struct tend_loop *loop, void *data);
/* Runs at the end of every turn, after everything else. NULL: none. */
TEND_API void tend_loop_set_turn_hook(struct tend_loop *loop, tend_turn_fn fn, void *data);

/* ---- descriptors ---- */

enum {
	TEND_READ = 1,
	TEND_WRITE = 2,
	TEND_ERROR = 4,      /* delivered, never asked for */
	TEND_HANGUP = 8,     /* delivered, never asked for */
	TEND_EXCLUSIVE = 16, /* asked for, never delivered: wake one of many processes that wait */
};

/* Private: a place in a list. */
struct tend_link {
	struct tend_link *next, *prev;
};

struct tend_watch;
/* All that is ready comes in one call: serve reading, writing, error, hang-up, in this order. */
typedef void (*tend_watch_fn)(struct tend_watch *watch, unsigned events);

struct tend_watch {
	tend_watch_fn fn;
	void         *data;
	/* private */
	struct tend_loop *loop;
	int               fd;
	unsigned          wanted;
};

TEND_API void tend_watch_init(struct tend_watch *w, tend_watch_fn fn, void *data);
/*
 * Watches a descriptor, which stays yours: stop the watch before you close it. TEND_READ and
 * TEND_WRITE are reported for as long as they last (level triggered). TEND_ERROR and TEND_HANGUP
 * are always watched, also with `events` 0; each is reported once, and again only after it had
 * gone away or the watch was changed, so that ignoring one does not spin. A descriptor that was
 * closed under the watch is reported once as TEND_ERROR where the poller can see it ("poll").
 *
 * TEND_EXCLUSIVE is dropped silently where the kernel has no such thing.
 *
 * -EBADF, -EEXIST (the descriptor is watched already), -EPERM (a regular file), -ENOMEM.
 */
TEND_API int  tend_watch_start(struct tend_loop *loop, struct tend_watch *w, int fd, unsigned events);
/* The same `events` as before cost nothing and change nothing. -EINVAL: not started. */
TEND_API int  tend_watch_change(struct tend_watch *w, unsigned events);
TEND_API void tend_watch_stop(struct tend_watch *w);

/* ---- timers ---- */

struct tend_timer;
typedef void (*tend_timer_fn)(struct tend_timer *timer);

struct tend_timer {
	tend_timer_fn fn;
	void         *data;
	/* private */
	struct tend_loop *loop;
	struct tend_link  link;
	int64_t           at;
	int64_t           every;
};

TEND_API void tend_timer_init(struct tend_timer *t, tend_timer_fn fn, void *data);
/*
 * Runs fn once, `seconds` from this very moment, never early; restarts a running timer. Negative
 * counts as 0; 0 runs in the next turn when started by a callback. The timer is stopped when fn
 * runs. Timers do not keep a loop running. O(1).
 */
TEND_API void tend_timer_start(struct tend_loop *loop, struct tend_timer *t, double seconds);
/* The same, again and again, without drift. Beats that were missed are skipped. */
TEND_API void tend_timer_repeat(struct tend_loop *loop, struct tend_timer *t, double seconds);
TEND_API void tend_timer_stop(struct tend_timer *t);
TEND_API bool tend_timer_running(const struct tend_timer *t);

/* ---- signals ---- */

struct tend_signal;
typedef void (*tend_signal_fn)(struct tend_signal *sig);

struct tend_signal {
	tend_signal_fn fn;
	void          *data;
	int            signo;
	/* private */
	struct tend_loop *loop;
	struct tend_link  link;
};

/*
 * Delivers a signal as an event of the loop: the handler of the process does one write. Several
 * loops may watch one signal, and one loop several times. Signals of one number that arrive before
 * the loop turns are one event. The disposition found is put back when the last one stops.
 * Blocking system calls are not restarted: a signal ends them with EINTR.
 * -EINVAL: no signal that can be caught.
 */
TEND_API void tend_signal_init(struct tend_signal *s, tend_signal_fn fn, void *data);
TEND_API int  tend_signal_start(struct tend_loop *loop, struct tend_signal *s, int signo);
TEND_API void tend_signal_stop(struct tend_signal *s);

/* ---- children ---- */

struct tend_child_watch;
typedef void (*tend_child_fn)(struct tend_child_watch *child);

struct tend_child_watch {
	tend_child_fn fn;
	void         *data;
	pid_t         pid;
	int           status; /* as waitpid() tells it; -1: somebody else has reaped the child */
	/* private */
	struct tend_loop *loop;
	struct tend_link  link;
};

/*
 * Runs fn once when the child has ended, and reaps it and no other: children that are not watched
 * are left to whoever waits for them. The watch is stopped when fn runs. A child that ended
 * before the start is delivered too. -ECHILD: it is no child of ours. -EINVAL: no single process.
 */
TEND_API void tend_child_init(struct tend_child_watch *c, tend_child_fn fn, void *data);
TEND_API int  tend_child_start(struct tend_loop *loop, struct tend_child_watch *c, pid_t pid);
TEND_API void tend_child_stop(struct tend_child_watch *c);

/* ---- deferred work ---- */

struct tend_later;
typedef void (*tend_later_fn)(struct tend_later *later);

struct tend_later {
	tend_later_fn fn;
	void         *data;
	/* private */
	struct tend_loop *loop;
	struct tend_link  link;
};

/*
 * Runs fn once at the end of this turn, or of the next one when started from such work. Starting
 * what is started keeps its place. Work that is due is done without a wait.
 */
TEND_API void tend_later_init(struct tend_later *l, tend_later_fn fn, void *data);
TEND_API void tend_later_start(struct tend_loop *loop, struct tend_later *l);
TEND_API void tend_later_stop(struct tend_later *l);

/* ---- what it does ---- */

#define TEND_LOOP_TOOK 24

struct tend_loop_stats {
	size_t   watches, timers, signals, children; /* started at this moment */
	uint64_t turns;
	uint64_t events;       /* of descriptors, delivered */
	uint64_t events_stale; /* of descriptors, for a watch that was gone */
	uint64_t timers_run, signals_run, children_run, later_run;
	/*
	 * While profiling, callbacks of descriptors: their number, their time, and took[i], how many
	 * took less than 2^i microseconds (and not less than half of it; the last one has the rest).
	 */
	uint64_t calls;
	double   seconds;
	uint64_t took[TEND_LOOP_TOOK];
};

TEND_API void tend_loop_stats(const struct tend_loop *loop, struct tend_loop_stats *into);
/* Two clock readings a callback while it is on. Turning it on clears, turning it off keeps. */
TEND_API void tend_loop_profile(struct tend_loop *loop, bool on);
/* Of one watch since it was started, counted while profiling. Either may be NULL. */
TEND_API void tend_watch_profile(const struct tend_watch *w, uint64_t *calls, double *seconds);

/* ---- what it is doing ---- */

enum tend_trace_kind {
	TEND_TRACE_EVENT, /* of a descriptor, about to be delivered: `fd`, `events` */
	TEND_TRACE_TIMER,
	TEND_TRACE_SIGNAL, /* `number` */
	TEND_TRACE_CHILD,  /* `number`: its pid */
	TEND_TRACE_READ,   /* of a connection: `result` of the `asked` bytes there was room for */
	TEND_TRACE_WRITE,  /* `result` of the `asked` bytes that were to leave: fewer are a partial write */
	TEND_TRACE_CLOSE,  /* `result`: 0 for a regular end, else why */
};

/* One thing that happens. Valid until the function returns. */
struct tend_trace {
	enum tend_trace_kind kind;
	int                  fd;     /* -1: it has none */
	unsigned             events; /* TEND_READ, ... */
	int                  number;
	ssize_t              result; /* bytes (0 of a read: the end), or a negative errno */
	size_t               asked;
	struct tend_conn    *conn;   /* of the last three; else NULL */
	const void          *object; /* the watch, timer, signal, child watch or connection */
	void                *reserved[4];
};

typedef void (*tend_trace_fn)(const struct tend_trace *what, void *data);
/*
 * Tells fn of each event that the loop delivers, and of each read, write and end of the connections on it
 * (tend/evented.h). NULL: of none any more. It costs nothing to speak of while it is off.
 *
 * fn only looks: it stops and closes nothing of what it is told of. What it does itself is not told; a connection
 * that it writes to, or a watch that it starts or changes, is left out from then on, so that lines
 * may go to a log that is on the loop itself. In a server the option log_trace uses this; who sets
 * his own function on a server's loop takes its place in that process.
 */
TEND_API void tend_loop_set_trace(struct tend_loop *loop, tend_trace_fn fn, void *data);
/* "read 7: 64 of 4096": a line for it, without the client's bytes or address. Returns `into`. */
TEND_API char *tend_trace_text(const struct tend_trace *what, char *into, size_t size);

TEND_END_DECLS

#endif
