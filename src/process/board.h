/*
 * The board: what the processes of a server know of each other. Shared anonymous memory with one
 * slot a child, made before the first fork and never grown, so there is no key to leak and nothing
 * to lock. A child writes its own slot and two counters; everybody may read.
 *
 * The master trusts the board for counts and never for pids: who its children are stands in
 * children.h, in the master's own memory. A child that was killed anywhere leaves a slot that is
 * sound, and counters that the master sets right when it reaps; the one that is killed between two
 * words leaves a counter wrong by one until the next board_recount().
 *
 * In the steady state a connection costs four plain atomic operations here and no system call: the
 * master is woken only when the number of waiting workers falls below what it asked to be told of.
 */
#ifndef TEND_PROCESS_BOARD_H
#define TEND_PROCESS_BOARD_H

#include <stdatomic.h>
#include <sys/types.h>

#include <tend/base.h>

enum slot_state {
	SLOT_FREE,
	SLOT_WAITING,
	SLOT_BUSY,
	SLOT_DEQUEUE,
	SLOT_STATES, /* not a state: a slot that holds this or more was overwritten */
};

struct board_slot {
	_Alignas(64) _Atomic uint32_t state;
	_Atomic uint32_t generation; /* of the child that has the slot: tells it from the one before */
	_Atomic uint32_t retire;     /* the master wants this child to retire */
	_Atomic int32_t  pid;        /* for those who look on; the master does not use it */
	_Atomic uint64_t served;     /* connections of this child */
	_Atomic int64_t  since;      /* of the last change of state, coarse monotonic clock */
	_Atomic int64_t  works;      /* since when it works without waiting for its client; 0: it waits */
	_Atomic uint32_t clients;    /* open now: one at most, unless its child serves many */
	_Atomic uint32_t leaving;    /* it takes no new clients, and ends when those it has are gone */
	_Atomic uint32_t arrived;    /* it has come to where it serves */
};

struct board;

/*
 * Room for `slots` children. What each process keeps for itself takes board_size() bytes of zeroed
 * `memory`, which the caller keeps, or with NULL memory of its own. -ENOMEM or another errno of mmap().
 */
size_t board_size(unsigned slots);
int  board_new(struct board **into, unsigned slots, void *memory);
/* Unmaps in this process; the memory goes with the last one. */
void board_free(struct board *b);

/*
 * Before the first fork, for masters of workers: lets them wake it. A descriptor of the board's that
 * becomes readable then, or -errno.
 */
int  board_let_wake(struct board *b);
int  board_wake_fd(const struct board *b); /* -1: not yet */
/* The master woke up: workers may wake it again. */
void board_woken(struct board *b);

/*
 * Master. Takes a free slot for a child about to be forked, in `state` from now on; -ENOSPC. And
 * gives it back when the child was reaped, setting the counters right.
 */
int  board_claim(struct board *b, enum slot_state state);
void board_release(struct board *b, unsigned slot);
void board_set_pid(struct board *b, unsigned slot, pid_t pid);
/* Says so to the child; a signal makes it look. */
void board_ask_to_retire(struct board *b, unsigned slot);
void board_let_stay(struct board *b, unsigned slot); /* takes it back */

/* Master. Wake me when fewer than this many workers wait; at once when it is so already. */
void board_wake_below(struct board *b, unsigned waiting);

/* Master, before the fork: which slot will be the child's. It reports to that one from then on. */
void board_mine(struct board *b, unsigned slot);
/* Child. Reports a connection begun and ended. */
void board_busy(struct board *b);
void board_waiting(struct board *b);
/* Child. Its handler waits, for the client or for time to pass; and works on (option busy_timeout). */
void board_pause(struct board *b);
void board_resume(struct board *b);
/*
 * The same for a child that serves many clients at once: it is busy while at least one is open. In
 * pairs; from any of its threads, at the same time.
 */
void board_opened(struct board *b);
void board_closed(struct board *b);
/*
 * Child. It retires by itself, and may have clients for a long time yet: the master is woken, for
 * who wants to start a successor at once.
 */
void board_leave(struct board *b);
/* Worker, once: it has come to where it serves. */
void board_arrive(struct board *b);
/* Master: how many have; whether this one has; and whether each that does is to wake it. */
unsigned board_arrived(const struct board *b);
bool     board_has_arrived(const struct board *b, unsigned slot);
void     board_await(struct board *b, bool yes);
/* Child, now and then. Its slot says again what it last reported, should it have been overwritten. */
void board_say_again(struct board *b);

/* Child. Has the master asked me to retire? */
bool board_asked_to_retire(const struct board *b);
/* Child. Connections it has begun, and whether it is busy now. */
uint64_t board_my_served(const struct board *b);
bool     board_am_busy(const struct board *b);

/* Anybody. */
unsigned        board_slots(const struct board *b);
enum slot_state board_state(const struct board *b, unsigned slot); /* SLOT_STATES: not sound */
/* Since when a busy child works without waiting; 0: it waits, or is not busy. */
int64_t         board_works_since(const struct board *b, unsigned slot);
bool            board_is_leaving(const struct board *b, unsigned slot);
uint64_t        board_served_by(const struct board *b, unsigned slot);
uint32_t        board_clients_of(const struct board *b, unsigned slot); /* open now */
int64_t         board_since(const struct board *b, unsigned slot); /* of its last change of state */
uint64_t        board_served(const struct board *b); /* by all children there ever were */
int64_t         board_last_busy(const struct board *b); /* when a worker last became busy; 0: never */

struct board_tally {
	unsigned waiting;
	unsigned busy;
	unsigned dequeue;
	unsigned unsound;
};
/* Counts the slots. */
struct board_tally board_count(const struct board *b);

/*
 * Master. Sets those slots right that say what cannot be, as they may after a child ran wild. What
 * its child does is not known before it reports again: it counts as busy. Returns how many there
 * were. board_recount() is to follow.
 */
unsigned board_rebuild(struct board *b);

/*
 * Master. Compares the counter of waiting workers with the slots and sets it right. Returns by how
 * much it was wrong.
 */
int board_recount(struct board *b);

#endif
