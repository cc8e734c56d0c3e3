/*
 * Being a child. All that a child must not keep of its parent is given up in one place, before any
 * other line of it runs.
 */
#ifndef TEND_SERVER_CHILD_H
#define TEND_SERVER_CHILD_H

#include "server/master.h"

/* What the parent prepared for one child before the fork. */
struct birth {
	enum tend_child_kind kind;
	unsigned             slot;
	int                  channel[2]; /* parent's end, child's end; -1: none */
	sigset_t             mask;       /* of the parent, before it blocked everything */
};

/*
 * In the child, all signals blocked: closes and forgets what is the parent's, and takes what is its
 * own. Signals stay blocked where child_open_loop() is to follow. Never returns to the parent's
 * code: see child_run().
 */
void child_become_worker(struct tend_server *srv, const struct birth *birth);

/* Runs a child from its birth to _exit(). */
_Noreturn void child_run(struct tend_server *srv, const struct birth *birth, master_child_fn body,
	void *data);

/* The body of a worker: what stands around the work of its personality. */
int child_work(struct tend_server *srv, void *data);

/* The body of a dequeue child. */
int child_dequeue(struct tend_server *srv, void *data);

/* A child that cannot begin says why; the parent sees the status, which this returns. */
int child_report(struct tend_server *srv, int code);

/* True when a child of this kind is to have a loop for its signals. */
bool child_hears_signals(const struct tend_server *srv, enum tend_child_kind kind);

/* Gives a child a loop of its own and its signals as events, and unblocks them. */
int child_open_loop(struct tend_server *srv);

/* Reports a connection begun and ended, on the board and, with process_titles, in the title. */
void child_busy(struct tend_server *srv);
void child_waiting(struct tend_server *srv);

/* Shows the state in the process list, if the option process_titles wants that. */
void child_title(struct tend_server *srv, bool busy);
/* The same of a waiting worker, with the seconds since its last client or, below zero, its birth. */
void child_title_idle(struct tend_server *srv, long seconds);

#endif
