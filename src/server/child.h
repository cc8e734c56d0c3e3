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
 * In the child, all signals blocked: closes and forgets what is the parent's, takes what is its
 * own, and unblocks signals. Never returns to the parent's code: see child_run().
 */
void child_become_worker(struct tend_server *srv, const struct birth *birth);

/* Runs a child from its birth to _exit(). */
_Noreturn void child_run(struct tend_server *srv, const struct birth *birth, master_child_fn body,
	void *data);

/* The body of PreFork's and PreForkSimple's workers. */
int child_accept_loop(struct tend_server *srv, void *data);

/* The body of a dequeue child. */
int child_dequeue(struct tend_server *srv, void *data);

/* A child that cannot begin says why; the parent sees the status, which this returns. */
int child_report(struct tend_server *srv, int code);

/* Gives a child a loop of its own and its signals as events. */
int child_open_loop(struct tend_server *srv);

#endif
