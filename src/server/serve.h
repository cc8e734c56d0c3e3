/* What happens with one client, the same under every personality (NS-FLW-10). */
#ifndef TEND_SERVER_SERVE_H
#define TEND_SERVER_SERVE_H

#include "server/server.h"

/* In the end: the process has its own standard input and output again. */
void serve_restore_stdio(struct tend_server *srv);

/* A process that ends after the clients it has: the port is not kept open for others by it. */
void serve_let_go_of_listeners(struct tend_server *srv);

/* How blocking calls of this process wait; after signals are open, again after a fork. */
void serve_open_mood(struct tend_server *srv, bool interruptible);

/*
 * Where a process has many clients, all of whom wait in its loop: it is well as long as that has its
 * turns, however busy it is (option busy_timeout).
 */
void serve_watch_loop(struct tend_server *srv);

/*
 * Serves the client on `fd`, which is taken, from the first step to the last. `peer` may be NULL;
 * `place` is limits_enter()'s. Failures end this connection and nothing else.
 */
void serve_connection(struct tend_server *srv, struct seat *seat, int fd,
	const struct listener *from, const struct addr *peer, uint32_t place);

/*
 * Turns the client on `fd`, which is taken, away, waiting for nothing: with a farewell, where the
 * service has one, whose arrival `drains` looks after (NULL: the seat's mood, if it can).
 */
void serve_turn_away(struct tend_server *srv, struct seat *seat, int fd,
	const struct listener *from, const struct addr *peer, enum tend_refusal why,
	struct drains *drains);

/* The same for a connection that is open already; a child has it from serve_meet(). */
void serve_opened(struct tend_server *srv, struct tend_conn *c);

/*
 * The same in steps, for connections whose hooks are called by a loop. The client is accepted: counts
 * it, asks the rules and the hook `allow`; false: it was denied, and has been told.
 */
bool serve_admit(struct tend_server *srv, struct tend_conn *c);
/* A client that is one datagram, which `c` has as its input, from the first step to the last. */
void serve_datagram(struct tend_server *srv, struct tend_conn *c, const void *data, size_t size);
/* The handshake failed. */
void serve_not_shaken(struct tend_server *srv, struct tend_conn *c, int code);
void serve_processed(struct tend_server *srv, struct tend_conn *c, bool allowed);
void serve_closed(struct tend_server *srv, struct tend_conn *c);

/*
 * Parent of a child for each client. Opens the connection of srv->seat and, with the option
 * accepted_in_parent, runs the hook `accepted`. Then either a child is forked, which serves it with
 * serve_opened() while the parent lets go of it with serve_part(); or no child could be had.
 */
void serve_meet(struct tend_server *srv, int fd, const struct listener *from,
	const struct addr *peer);
void serve_part(struct tend_server *srv);
/* No child could be had: the client sees the end, the service the hook `closed`. */
void serve_abandon(struct tend_server *srv);

#endif
