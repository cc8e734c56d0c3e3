/*
 * The sources of a server's clients, and the limits that all of its processes share: how many clients
 * at once, how many of one source, how many new ones of one source within a time. Shared anonymous
 * memory of a fixed size, made before the first fork; however many sources come, it does not grow.
 *
 * A client costs one keyed hash and a handful of atomic operations, and no system call. Nobody holds a
 * lock while he does anything that could wait, and whoever is killed, at any instruction, is found in
 * the places that he held: sources_reclaim().
 *
 * What the table forgets. It has room for some 131 072 sources. When more come, one that has no client
 * and nothing to its name gives way first, then the one with the fewest new clients, and one that is
 * held last: a flood of sources that come once pushes out its own kind. A source that has a client is
 * never forgotten. In the unlikely case that eight sources with clients share a bucket, a ninth is let
 * in without being counted as a source: to refuse it would be to let others decide who is refused, and
 * the limit of all connections still holds.
 */
#ifndef TEND_PROCESS_SOURCES_H
#define TEND_PROCESS_SOURCES_H

#include <tend/conn.h>

#include "base/siphash.h"
#include "process/places.h"
#include "process/source.h"

/* Zero is no limit. Times are in nanoseconds. */
struct sources_rules {
	unsigned max_connections;
	unsigned max_per_source;
	unsigned rate; /* new clients of a source within `interval` */
	int64_t  interval;
	int64_t  hold; /* so long a source that was faster is refused; 0: until `interval` is over */
};

struct sources;

/*
 * `room` for so many clients at once, whatever the rules say; `owners` as for places_new(). `key`:
 * NULL for a random one. -ENOMEM or another errno of mmap() or getentropy().
 */
int  sources_new(struct sources **into, unsigned room, unsigned owners,
	const struct siphash_key *key);
void sources_free(struct sources *s);

/* Parent. From now on these hold, in every process. */
void sources_set_rules(struct sources *s, const struct sources_rules *rules);
struct sources_rules sources_rules(const struct sources *s);

/*
 * A client has come: TEND_REFUSAL_NONE, and `*place` is what it is to leave by; or which limit
 * refuses it. One that is `exempt` is let in whatever the limits say (`*place` may be 0 then). `now`
 * is a time of the monotonic clock.
 */
enum tend_refusal sources_enter(struct sources *s, unsigned owner, const struct source_id *who,
	bool exempt, int64_t now, uint32_t *place);
/* It has gone. 0 is no place. */
void sources_leave(struct sources *s, uint32_t place);
/* Parent: the client that it let in is this child's to see off. */
void sources_hand_over(struct sources *s, uint32_t place, unsigned to);

/*
 * Parent. An owner is dead: gives back what it held. Where it died in the middle of a step, and
 * another client of the same source is in the middle of one, it is found out later: true means that
 * sources_settle() is to be called again some time.
 */
bool sources_reclaim(struct sources *s, unsigned owner);
bool sources_settle(struct sources *s);

/* The number under which a source is known here; never 0. */
uint64_t sources_tag(const struct sources *s, const struct source_id *who);

/* To look at. All of them go through the whole memory, and are true for a moment. */
struct sources_client {
	unsigned      owner;
	struct source_id who;
	int64_t       since;
};

/* The client at `place`, from 1 to sources_room(); false: nobody is there. */
bool     sources_client(const struct sources *s, uint32_t place, struct sources_client *into);
unsigned sources_room(const struct sources *s);
unsigned sources_connected(const struct sources *s);   /* clients */
unsigned sources_of(const struct sources *s, const struct source_id *who); /* clients of this source */
unsigned sources_live(const struct sources *s);  /* sources that have a client */
unsigned sources_known(const struct sources *s); /* sources that are remembered */
size_t   sources_memory(const struct sources *s); /* bytes of the table of sources */

#endif
