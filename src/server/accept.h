/* Taking connections from the listeners, for processes that serve them one after another. */
#ifndef TEND_SERVER_ACCEPT_H
#define TEND_SERVER_ACCEPT_H

#include "process/serialize.h"
#include "server/server.h"

/* Logs an accept error (at most once a second) and calls the hook. */
void accept_report(struct tend_server *srv, const struct listener *l, int code);

/* How long a starved process leaves the listeners alone. */
#define ACCEPT_PAUSE 0.1

/* The hook before_accept, then a turn of the loop, as tend_loop_turn(). 0 or -errno, with a sentence. */
int accept_turn(struct tend_server *srv, double seconds);

/*
 * Accepts and serves until the process is told to end, or `max_requests` (0: no limit) were served.
 * `turns` may be NULL. 0, or -errno when the listeners are broken.
 */
int accept_loop(struct tend_server *srv, unsigned long max_requests, struct serialize *turns);

/* The work of a worker that serves one client after another: the same, in its turn. */
int accept_work(struct tend_server *srv, unsigned long max_requests);

#endif
