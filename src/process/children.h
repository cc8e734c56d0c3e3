/*
 * The children of a master: who they are, what they are for, what was asked of them. In the
 * master's own memory; nobody else edits it. Children of the application are not in it.
 */
#ifndef TEND_PROCESS_CHILDREN_H
#define TEND_PROCESS_CHILDREN_H

#include <limits.h>
#include <sys/types.h>

#include <tend/loop.h>
#include <tend/service.h>

/* Of a child that an earlier image of the master has left: it reports to a board that is gone. */
#define CHILD_WITHOUT_SLOT UINT_MAX

struct child {
	pid_t                pid;
	enum tend_child_kind kind;
	unsigned             slot;    /* of the board */
	int                  channel; /* the master's end of its private channel; -1: none */
	struct tend_watch   *watch;   /* on the channel; owned */
	int64_t              started;
	bool                 leaving; /* it was told to retire */
	bool                 killed;  /* it was stuck, and did not end at TERM */
	bool                 worn;    /* it is to be replaced when the others can do without it */
	int64_t              retired; /* when it was told to retire first */
	int64_t              told;    /* when it was told last */
	int64_t              ending;  /* when it was sent TERM for being stuck; 0: it was not */
};

/* So many without memory of their own: a master of Fork seldom has more, and writes to fewer pages. */
#define CHILDREN_FEW 24

/* Zeroed at first; stays where it is. */
struct children {
	struct child *list; /* in no order; `few`, or memory of its own */
	size_t        count;
	size_t        size;
	size_t        by_kind[TEND_CHILD_DEQUEUE + 1];
	struct child  few[CHILDREN_FEW];
};

void children_done(struct children *kids);

/* Makes room for one more, so that children_add() cannot fail after a fork. 0 or -ENOMEM. */
int children_reserve(struct children *kids);

/* Adds a child; the pointer is valid until the next call that adds or removes. */
struct child *children_add(struct children *kids, pid_t pid, enum tend_child_kind kind);

struct child *children_find(struct children *kids, pid_t pid);

/* Forgets it and closes its channel. */
void children_remove(struct children *kids, struct child *child);

/* All but the dequeue children. */
size_t children_serving(const struct children *kids);

/* Sends a signal to every child; returns to how many. */
size_t children_signal(const struct children *kids, int signo);

#endif
