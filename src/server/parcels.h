/*
 * Where a worker of Multiplex takes datagrams: each is a client of its own, from the rules to the
 * answer. The hook `datagram` is called at once and does not wait; a service that has only `process`
 * gets a fiber for each, and may. So it is for both where clients are asked for their names.
 */
#ifndef TEND_SERVER_PARCELS_H
#define TEND_SERVER_PARCELS_H

#include "net/evented.h"
#include "server/server.h"

struct parcels;

/* What the worker has, and how it counts its clients. */
struct parcels_owner {
	struct conns      *conns;
	struct fiber_pool *fibers;
	unsigned long      most; /* clients before it ends; 0: any number */
	void             (*came)(struct tend_server *srv);
	void             (*left)(struct tend_server *srv);
};

/* Is it a listener for datagrams? */
bool parcels_is_for(const struct listener *l);
/* Will there be fibers? */
bool parcels_needs_fibers(const struct tend_server *srv);

/* Begins to take datagrams, if there are listeners for them; srv->parcels. 0 or -errno. */
int  parcels_open(struct tend_server *srv, const struct parcels_owner *owner);
/* Takes no more. Those that are served are served to their end, and answered. NULL is accepted. */
void parcels_close(struct parcels *all);
/* Those that are served hear that they are to end. */
void parcels_dismiss(struct parcels *all);

#endif
