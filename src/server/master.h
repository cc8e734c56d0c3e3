/*
 * The master: a parent with children. It spawns them, reaps them, counts them on the board, passes
 * signals on and brings everything to an end. It never speaks to a client. What number of children
 * there should be is the personality's to say.
 */
#ifndef TEND_SERVER_MASTER_H
#define TEND_SERVER_MASTER_H

#include "process/backoff.h"
#include "process/children.h"
#include "process/serialize.h"
#include "server/renewal.h"
#include "server/server.h"

/* What a child does between its birth and its exit. Returns its exit status. */
typedef int (*master_child_fn)(struct tend_server *srv, void *data);

/* Children that ended while the server went on, by how. */
struct master_ends {
	uint64_t order, error, signal;
};

struct master {
	struct children   children;
	struct serialize  turns;
	unsigned          dequeue_room; /* slots of the board kept for dequeue children */
	struct backoff    backoff;  /* forks refused, children that died young */
	struct tend_watch wake;     /* the board's */
	int               lifeline[2]; /* children hold [0]; it ends when we do */
	int64_t           dequeued; /* when a dequeue child was last started */
	int64_t           recounted;
	int64_t           polled;   /* when children were last looked for without a signal */
	int64_t           idle_since;
	bool              busy_turn; /* something happened in this turn */
	struct master_ends ends;
	struct renewal    renewal;
};

/* Makes the board with room for `children`, the lifeline and the turns. After privileges are gone. */
int  master_open(struct tend_server *srv, unsigned children);
void master_close(struct tend_server *srv);

/* For how many children that serve the board has room, whatever max_servers has become. */
unsigned master_room(const struct tend_server *srv);

/* Up to where max_servers can be moved: children, or threads of each. */
unsigned master_limit_room(const struct tend_server *srv);

/*
 * Moves max_servers by so many, within the room that there is, as if the code had said so.
 * Returns what it is now; 0: it cannot be moved so far.
 */
unsigned master_move_limit(struct tend_server *srv, int by);

/* Loops until told to stop and until the last child is gone, or until restart_is_due(). Calls the
   personality's `manage`. */
int  master_loop(struct tend_server *srv);

/*
 * Forks a child that runs `body`. `left` goes to the hook before_spawn. The pid, or -errno; after a
 * failure, and after children that die young, master_may_spawn() asks for a pause.
 */
pid_t master_spawn(struct tend_server *srv, enum tend_child_kind kind, unsigned left,
	master_child_fn body, void *data);

/* 0: yes; else how long to wait still, in nanoseconds. */
int64_t master_may_spawn(struct tend_server *srv, int64_t now);

/* Starts `n` workers that accept for themselves. Returns how many it could. */
unsigned master_start_workers(struct tend_server *srv, unsigned n);

/*
 * For a constant number of workers: where there are `have` of `most`, starts the others. Returns
 * when to look again, as a personality's `manage` does.
 */
int64_t master_keep_workers(struct tend_server *srv, unsigned have, unsigned most, int64_t now);

/* Tells up to `n` workers to retire, waiting ones only unless `busy_too`. Returns how many. */
unsigned master_retire_workers(struct tend_server *srv, unsigned n, bool busy_too, int64_t now);

/* Workers by what they do; those that were told to retire apart. */
struct master_tally {
	unsigned waiting, busy, leaving, dequeue;
};
struct master_tally master_count(struct tend_server *srv);

/* Tells every child to end, and kills those that have not after `grace` seconds. */
int master_stop_children(struct tend_server *srv, int signo, double grace);
/* The same at the end of the server, by the options stop_timeout and leave_busy. */
int master_end_children(struct tend_server *srv);

/* From watchdog.c: ends children that are stuck. When to look again. */
int64_t master_end_stuck(struct tend_server *srv, int64_t now);

/* From signals.c. */
void master_reap(struct tend_server *srv);
/* Strikes children off that no longer exist although nobody told: a hook waited for them. */
void master_find_missing(struct tend_server *srv);
void master_pass_signal(struct tend_server *srv, int signo);
void master_signal_workers(struct tend_server *srv, int signo);

/* Between master.c, spawn.c and retire.c. */

static inline int64_t
earlier(int64_t a, int64_t b)
{
	return a < b ? a : b;
}

/* One turn of the loop that waits until `when` at the latest. 0 or -errno. */
int  master_turn_until(struct tend_server *srv, int64_t when);
/* What a child said just before it ended: its death is often heard of first. */
void master_hear_last_words(struct tend_server *srv, const struct child *child);
/* Asks a child to finish what it does and leave. One of Fork does so by itself. */
void master_tell_to_retire(struct tend_server *srv, struct child *child, int64_t now);
/* A worker that was told to retire just before it blocked somewhere is told again. */
void master_tell_again(struct tend_server *srv, int64_t now);
/* QUIT: waits for children to finish their clients, for as long as graceful_timeout allows. */
int  master_stop_gracefully(struct tend_server *srv);

#endif
