/*
 * Replacing workers that are too old or too large (options max_worker_age, max_worker_memory), or
 * all of them (option hup, `tend ctl set`), while the server serves.
 */
#ifndef TEND_SERVER_RENEWAL_H
#define TEND_SERVER_RENEWAL_H

#include <stdbool.h>
#include <stdint.h>

struct tend_server;

/* Zeroed at first. */
struct renewal {
	int64_t  looked; /* when the memory of workers was looked at last */
	unsigned worn;   /* workers that are to be replaced, and were not told yet */
	unsigned ahead;  /* their successors, so many more than there are to be, that come first */
	bool     all;    /* HUP asked for it: the log and the supervisor hear of the end */
	int      futile; /* max_worker_memory of which the log was told that it has no effect */
};

/* Can the options have what they need? 0, or -errno with a sentence. */
int renewal_check(struct tend_server *srv);

/* Parent. Every worker that is there now is to be replaced; the second tells the log and the supervisor. */
void master_renew_all(struct tend_server *srv);
void master_renew_for_hup(struct tend_server *srv);

/*
 * Parent, after every turn: tells as many workers to retire as the others can do without. Returns
 * when to look again.
 */
int64_t master_renew_workers(struct tend_server *srv, int64_t now);

#endif
