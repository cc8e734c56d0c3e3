/*
 * How workers are replaced while all the others serve: which of them may leave now, and which
 * successors have to come first, as a pure function of what is there (NS-PF-49, NS-FIX-50). It
 * starts nobody and tells nobody.
 */
#ifndef TEND_PROCESS_RENEWAL_H
#define TEND_PROCESS_RENEWAL_H

#include <stdint.h>
#include <sys/types.h>

struct renewal_view {
	unsigned wanted;  /* so many are to serve at any time, and there may be more for a while; 0:
	                     there may be no more, so some have to be done without */
	unsigned serving; /* have come up, and were not told to leave */
	unsigned away;    /* started and not up yet, or told to leave and not gone */
	unsigned worn;    /* of those that serve: to be replaced */
};

struct renewal_plan {
	unsigned tell;  /* so many to leave */
	unsigned ahead; /* so many successors are to come before others can be told */
};

struct renewal_plan renewal_decide(const struct renewal_view *v);

/* How many of so many workers may be missing, or ahead, at the same time. */
unsigned renewal_share(unsigned workers);

/*
 * The age at which this worker is to be replaced: the limit and up to a tenth more. What is added
 * follows from its pid, so those that were started together do not leave together.
 */
int64_t renewal_age(int64_t limit, pid_t pid);

#endif
