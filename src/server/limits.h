/*
 * The limits that all processes of a server share (options max_connections, max_per_source,
 * source_rate and what goes with them). Whoever accepts a client asks limits_enter(), whoever closes
 * it says limits_leave(); a server without such limits pays one branch for either.
 */
#ifndef TEND_SERVER_LIMITS_H
#define TEND_SERVER_LIMITS_H

#include "process/sources.h"
#include "server/server.h"

struct limits;

/* Reads the options; nothing is made yet. -EINVAL with a sentence. */
int  limits_check(struct tend_server *srv);
/* After an option was changed at work: takes over what can be changed then. */
int  limits_refresh(struct tend_server *srv);
/* Is there a limit at all? */
bool limits_are_set(const struct tend_server *srv);
/* Parent, with the board, before the first fork: makes the shared memory, if there is a limit. */
int  limits_open(struct tend_server *srv);
/* Parent, at the end. Tells the log what was not told yet. */
void limits_close(struct tend_server *srv);
void limits_free(struct tend_server *srv);

/* For limits_enter(). */
enum tend_refusal limits_decide(struct tend_server *srv, const struct addr *peer, uint32_t *place);

/*
 * The process that accepts. TEND_REFUSAL_NONE, and the client is in: `*place` goes into its
 * connection, for limits_leave(). Or why it is refused, which is counted and told to the log.
 */
static inline enum tend_refusal
limits_enter(struct tend_server *srv, const struct addr *peer, uint32_t *place)
{
	*place = 0;
	return srv->sources == NULL ? TEND_REFUSAL_NONE : limits_decide(srv, peer, place);
}

/* The place is free again. */
static inline void
limits_leave_place(struct tend_server *srv, uint32_t place)
{
	if (place != 0)
		sources_leave(srv->sources, place);
}

/* The process that serves it: the client is gone. */
static inline void
limits_leave(struct tend_server *srv, struct tend_conn *c)
{
	limits_leave_place(srv, c->place);
	c->place = 0;
}

/* Fork's parent: the client that it accepted is the child's now. */
void limits_hand_over(struct tend_server *srv, const struct tend_conn *c, pid_t child);

/* Parent: the child that had this slot of the board is dead. */
void limits_reclaim(struct tend_server *srv, unsigned slot);

/* Parent, now and then: what could not be set right before, and what the log is to be told. Returns
   when to call again. */
int64_t limits_look_after(struct tend_server *srv, int64_t now);

#endif
