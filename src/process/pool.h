/*
 * How many workers there should be: PreFork's rules as a pure function of what is there, what is
 * allowed and what time it is (NS-PF-30 to -42). It starts nobody and stops nobody.
 */
#ifndef TEND_PROCESS_POOL_H
#define TEND_PROCESS_POOL_H

#include <stdbool.h>
#include <stdint.h>

struct pool_limits {
	unsigned min_servers;
	unsigned min_spare;
	unsigned max_spare;
	unsigned max_servers;
	int64_t  check_for_waiting; /* how often too many are looked for; 0: never */
	int64_t  min_child_ttl;     /* nobody is dismissed sooner after the last start */
	int64_t  idle_to_minimum;   /* without a request for so long, the pool shrinks to the minimum;
	                               0: it does not */
	int64_t  dismiss_interval;  /* between two dismissals */
};

/* What is there. Workers that were told to leave count in `leaving` only. */
struct pool_view {
	unsigned waiting;
	unsigned busy;
	unsigned leaving;
	int64_t  last_busy; /* when a worker last became busy */
};

/* What was done when; all times start at the time the loop began. */
struct pool_times {
	int64_t begun;     /* the loop */
	int64_t started;   /* a worker was last started */
	int64_t dismissed; /* workers were last dismissed */
	int64_t looked;    /* too many were last looked for */
};

struct pool_plan {
	unsigned start;
	unsigned dismiss;
	int64_t  again; /* look again no later than this, if nothing happens before; INT64_MAX: no need */
};

/*
 * The other rule, Net::Waiter's (NW-36): as many more as the minimum whenever no more than a tenth
 * of the workers and one wait, up to the maximum. How many to start now. A pool in which nobody is
 * busy is as large as its minimum (NW-37).
 */
unsigned pool_grow_by_tenth(const struct pool_limits *limits, const struct pool_view *view);

/* With that rule: the number of waiting workers below which something is to be done. */
unsigned pool_tenth(const struct pool_view *view);

/* Carries `times` forward as if the plan were carried out. */
struct pool_plan pool_decide(const struct pool_limits *limits, const struct pool_view *view,
	struct pool_times *times, int64_t now);

#endif
