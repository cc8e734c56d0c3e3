/*
 * Growing pauses after failures that come one upon another: children that die as soon as they
 * start, forks that are refused. Pure: the caller brings the time.
 */
#ifndef TEND_PROCESS_BACKOFF_H
#define TEND_PROCESS_BACKOFF_H

#include <stdint.h>

struct backoff {
	int64_t pause; /* the last one, 0: all is well */
	int64_t until; /* no new attempt before this time */
};

/* A failure: the next attempt waits 100 ms, twice as long each time, at most 10 s. */
void backoff_failed(struct backoff *b, int64_t now);

/* A success: the next failure starts from the shortest pause again. */
void backoff_succeeded(struct backoff *b);

/* How long to wait still; 0: go on. */
int64_t backoff_left(const struct backoff *b, int64_t now);

#endif
