/*
 * Sources that a dead process has left in doubt. How many clients such a one has is the number of places
 * that count for it, which is found out while everybody goes on: the result is only taken if the word
 * has not changed meanwhile and nobody who lives means to change it.
 */
#include <sched.h>

#include "process/sources_table.h"

/* How often a count is tried at once. */
#define RECOUNTS 8

/* Places of the living that count for the entry. False: somebody is about to change it. */
static bool
count_places(const struct sources *s, uint32_t entry, uint64_t *count)
{
	unsigned room = places_room(s->places), i;

	*count = 0;
	for (i = 1; i <= room; i++) {
		unsigned owner = places_owner(s->places, i);
		uint32_t at;
		bool counted;

		if (owner == OWNER_NOBODY || owner == OWNER_DOUBTFUL ||
		    !read_mark(s, places_at(s->places, i), &at, &counted) || at != entry)
			continue;
		if (!counted)
			return false;
		++*count;
	}
	return true;
}

/* Sets right how many clients a source has. False: not now. */
static bool
recount(struct sources *s, uint32_t entry)
{
	_Atomic uint64_t *of = word_of(s, entry);
	int tries;

	for (tries = 0; tries < RECOUNTS; tries++) {
		uint64_t word = atomic_load(of), count;

		if (!count_places(s, entry, &count)) {
			sched_yield();
			continue;
		}
		/* Nobody who lives means this entry: whoever locked it is dead, and its tag may be half
		   the old source's and half the new one's. */
		if ((word & LOCKED) != 0)
			atomic_store(tag_of(s, entry), 0);
		if (atomic_compare_exchange_strong(of, &word,
		        ((word & ~(LOCKED | LIVE_MASK)) | count) + VERSION))
			return true;
	}
	return false;
}

bool
sources_settle(struct sources *s)
{
	unsigned room = places_room(s->places), i;

	for (i = 1; s->doubts > 0 && i <= room; i++) {
		struct place *p = places_at(s->places, i);
		uint32_t entry;
		bool counted;

		if (places_owner(s->places, i) != OWNER_DOUBTFUL)
			continue;
		if (read_mark(s, p, &entry, &counted) && !recount(s, entry))
			continue;
		mark_none(p);
		places_leave(s->places, i);
		s->doubts--;
	}
	return s->doubts > 0;
}

bool
sources_reclaim(struct sources *s, unsigned owner)
{
	unsigned room = places_room(s->places), i;

	if (!places_may_hold(s->places, owner))
		return s->doubts > 0;
	for (i = 1; i <= room; i++) {
		uint32_t entry;
		bool counted;

		if (places_owner(s->places, i) != owner)
			continue;
		if (read_mark(s, places_at(s->places, i), &entry, &counted) && !counted) {
			places_doubt(s->places, i);
			s->doubts++;
		} else {
			sources_leave(s, i);
		}
	}
	places_holds_none(s->places, owner);
	return sources_settle(s);
}
