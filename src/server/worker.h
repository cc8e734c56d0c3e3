/* A worker as its own process sees it: one that has a loop, and accepts for itself. */
#ifndef TEND_SERVER_WORKER_H
#define TEND_SERVER_WORKER_H

#include "server/server.h"

/*
 * Once all is open that it needs to serve: the master hears that it has come up. The watch, which is to
 * be stopped, tells when the master is gone; it retires then. 0 or -errno, with a sentence.
 */
int worker_come_up(struct tend_server *srv, struct tend_watch *lifeline);

/* It is told now to stop now: until when it may wait for its clients to come to an end. */
int64_t worker_last_moment(const struct tend_server *srv, int64_t now);

/* It has had no client for so many nanoseconds, and retires when that is too long. */
void worker_end_if_idle(struct tend_server *srv, int64_t unused);

/* Has one with many clients a use for being woken now and then? */
bool worker_wants_idle_turns(const struct tend_server *srv);
/*
 * Nothing has happened for idle_period: the hook, and, without clients for `unused` nanoseconds, the
 * end of a worker that nobody needs.
 */
void worker_idle_turn(struct tend_server *srv, int64_t unused);

#endif
