/*
 * The names of clients: reverse_lookups, double_reverse_lookups, lookup_timeout (NS-ACC-11 to -15,
 * -19).
 */
#ifndef TEND_SERVER_LOOKUP_H
#define TEND_SERVER_LOOKUP_H

#include "server/server.h"

/* Takes the options over; when they have changed, again. */
void lookup_configure(struct tend_server *srv);

/* Of lookup_peer(), when names are asked for: its frame is large. */
void lookup_wait(struct tend_server *srv, struct tend_conn *c);

/*
 * Finds out the client's name, if that is asked for, and waits for it as the connection's calls
 * wait. What it comes to is kept in the connection; a name that was not confirmed where it has to be
 * is none.
 */
static inline void
lookup_peer(struct tend_server *srv, struct tend_conn *c)
{
	if (srv->lookups.reverse)
		lookup_wait(srv, c);
}

/*
 * The same on the server's loop, without a wait: true when `done` will be called in a later turn,
 * false when there is nothing to wait for.
 */
bool lookup_start(struct tend_server *srv, struct tend_conn *c, void (*done)(struct tend_conn *c));
/* It is not to be called any more. Nothing to do when none is under way. */
void lookup_cancel(struct tend_conn *c);

/* Why this client may not come, or NULL. With double lookups only. */
const char *lookup_refusal(const struct tend_server *srv, const struct tend_conn *c);

/* In the end; and in a child after fork. */
void lookup_close(struct tend_server *srv);
void lookup_forget(struct tend_server *srv);

#endif
