/*
 * Places: one for each client that is connected anywhere in the server, in memory that all of its
 * processes share. Taking one is the limit of all connections, and who holds which is written in one
 * word of it, so that a process may be killed at any moment: what it held can be found and given
 * back. What a place's client counts for otherwise is sources.h's.
 */
#ifndef TEND_PROCESS_PLACES_H
#define TEND_PROCESS_PLACES_H

#include <stdatomic.h>

#include <tend/base.h>

/* Who holds places: the parent, or the child with a slot of the board. */
#define OWNER_NOBODY 0u
#define OWNER_PARENT 1u
#define OWNER_OF_SLOT(slot) ((slot) + 2u)
/* Of one that was killed in the middle of a step; see sources.c. */
#define OWNER_DOUBTFUL UINT32_MAX

struct place {
	_Atomic uint32_t source; /* for sources.c; 0: counts for none */
	_Atomic uint32_t about;  /* family, bits: of struct source_id */
	_Atomic uint64_t high, low;
	_Atomic int64_t  since;
};

struct places;

/* `room` of them, for owners below `owners`. -ENOMEM or another errno of mmap(). */
int  places_new(struct places **into, unsigned room, unsigned owners);
void places_free(struct places *p);

/*
 * Takes one of the first `most`; it counts for no source yet. Its number, or 0: all are taken. Of
 * threads and processes that ask for the last one, one gets it.
 */
uint32_t places_take(struct places *p, unsigned most, unsigned owner);
/* Gives it back, whoever has it by now. */
void places_leave(struct places *p, uint32_t place);
/* Makes a place of `from` one of `to`; nothing happens when it is no longer `from`'s. */
void places_hand_over(struct places *p, uint32_t place, unsigned from, unsigned to);

/* False: this owner holds none for sure. */
bool places_may_hold(const struct places *p, unsigned owner);
/* It is dead and holds none. */
void places_holds_none(struct places *p, unsigned owner);

unsigned      places_room(const struct places *p);
unsigned      places_owner(const struct places *p, uint32_t place);
void          places_doubt(struct places *p, uint32_t place);
struct place *places_at(const struct places *p, uint32_t place);
/* How many are taken; looks at all. */
unsigned      places_taken(const struct places *p);

#endif
