/*
 * The crowd: the clients of a worker of Multiplex, from the moment they were accepted to their end, in
 * the mood that the service asks for. Who accepts them, and for how long, is multiplex.c's.
 */
#ifndef TEND_SERVER_CROWD_H
#define TEND_SERVER_CROWD_H

#include "net/evented.h"
#include "server/server.h"

struct crowd {
	struct tend_server    *srv;
	struct evented_mood    mood;
	struct tend_conn_hooks hooks; /* evented */
	struct fiber_pool      fibers;
	void (*close_watch)(struct tend_conn *c, bool lives_on); /* of the mood */
	size_t                 clients;
	unsigned long          taken; /* clients there ever were */
	unsigned long          most;
	int64_t                quiet_since; /* since when there is no client; 0: not looked at yet */
	int64_t                trouble_logged;
};

/* The crowd is srv->crowd from now on, and takes `most` clients (0: any number). 0, or -errno with a
   sentence. */
int  crowd_open(struct crowd *crowd, struct tend_server *srv, unsigned long most);
/* From now on datagrams come. 0 or -errno, perhaps with a sentence. */
int  crowd_open_parcels(struct crowd *crowd);

/* A client that was accepted on `fd`, which is taken. */
void crowd_take(struct crowd *crowd, const struct listener *from, int fd, const struct addr *peer);

static inline bool
crowd_has_had_its_share(const struct crowd *crowd)
{
	return crowd->most != 0 && crowd->taken >= crowd->most;
}

/* No client is left, nor one that was let go of. */
bool crowd_is_empty(const struct crowd *crowd);
/* Handlers hear that they are to end; what is queued leaves. */
void crowd_dismiss(struct crowd *crowd);
/* The end of them all. */
void crowd_cut_off(struct crowd *crowd);

#endif
