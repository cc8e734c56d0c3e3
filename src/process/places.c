/*
 * There is no counter of places taken: one that is changed by processes which may be killed would be
 * wrong some day, and a limit that is wrong is none. The words of the owners lie side by side,
 * sixteen to a line of memory, so that looking through them all costs less than the accept before it.
 */
#include "process/places.h"

#include <errno.h>
#include <stdlib.h>
#include <sys/mman.h>

#define ANYWHERE UINT32_MAX
/* Owners begin their first search so far apart: on lines of their own. */
#define APART 16

#define GET(word) atomic_load_explicit(&(word), memory_order_relaxed)
#define SET(word, value) atomic_store_explicit(&(word), (value), memory_order_relaxed)
#define ADD(word, n) atomic_fetch_add_explicit(&(word), (n), memory_order_relaxed)

/* How many places an owner holds: never less than it does. */
struct holding {
	_Alignas(64) _Atomic uint32_t count;
};

struct places {
	_Atomic uint32_t *owner; /* by place: shared, as are the other two */
	struct holding   *held;  /* by owner */
	struct place     *list;
	void             *memory;
	size_t            size;
	unsigned          room, owners;
	_Atomic uint32_t  next; /* this process's: where to look first */
};

static size_t
whole_lines(size_t bytes)
{
	return (bytes + 63) / 64 * 64;
}

int
places_new(struct places **into, unsigned room, unsigned owners)
{
	struct places *p = calloc(1, sizeof(*p));
	size_t held = owners * sizeof(*p->held), words = whole_lines(room * sizeof(*p->owner));
	int r;

	if (p == NULL)
		return -ENOMEM;
	p->size = held + words + room * sizeof(*p->list);
	p->memory = mmap(NULL, p->size, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	if (p->memory == MAP_FAILED) {
		r = -errno;
		free(p);
		return r;
	}
	p->held = p->memory;
	p->owner = (void *)((char *)p->memory + held);
	p->list = (void *)((char *)p->memory + held + words);
	p->room = room;
	p->owners = owners;
	SET(p->next, ANYWHERE);
	*into = p;
	return 0;
}

void
places_free(struct places *p)
{
	if (p == NULL)
		return;
	munmap(p->memory, p->size);
	free(p);
}

/* The place that this process gave back last is warm, and most likely free. */
static unsigned
first_look(const struct places *p, unsigned owner, unsigned most)
{
	uint32_t next = GET(p->next);

	return (next == ANYWHERE ? owner * APART : next) % most;
}

uint32_t
places_take(struct places *p, unsigned most, unsigned owner)
{
	unsigned n = most < p->room ? most : p->room, at, i;

	if (n == 0 || owner == OWNER_NOBODY || owner >= p->owners)
		return 0;
	/* First: who is killed after it may seem to hold one more, and never one less. */
	ADD(p->held[owner].count, 1);
	for (i = 0, at = first_look(p, owner, n); i < n; i++, at = at + 1 < n ? at + 1 : 0) {
		uint32_t nobody = OWNER_NOBODY;

		if (GET(p->owner[at]) == OWNER_NOBODY &&
		    atomic_compare_exchange_strong(&p->owner[at], &nobody, owner)) {
			SET(p->next, at + 1);
			return at + 1;
		}
	}
	ADD(p->held[owner].count, -1u);
	return 0;
}

void
places_leave(struct places *p, uint32_t place)
{
	uint32_t owner = atomic_exchange(&p->owner[place - 1], OWNER_NOBODY);

	SET(p->next, place - 1);
	if (owner != OWNER_NOBODY && owner < p->owners)
		ADD(p->held[owner].count, -1u);
}

void
places_hand_over(struct places *p, uint32_t place, unsigned from, unsigned to)
{
	uint32_t expected = from;
	bool moved;

	if (to >= p->owners)
		return;
	ADD(p->held[to].count, 1);
	moved = atomic_compare_exchange_strong(&p->owner[place - 1], &expected, to);
	ADD(p->held[moved ? from : to].count, -1u);
}

bool
places_may_hold(const struct places *p, unsigned owner)
{
	return owner < p->owners && GET(p->held[owner].count) != 0;
}

void
places_holds_none(struct places *p, unsigned owner)
{
	SET(p->held[owner].count, 0);
}

unsigned
places_room(const struct places *p)
{
	return p->room;
}

unsigned
places_owner(const struct places *p, uint32_t place)
{
	return atomic_load_explicit(&p->owner[place - 1], memory_order_acquire);
}

void
places_doubt(struct places *p, uint32_t place)
{
	atomic_store(&p->owner[place - 1], OWNER_DOUBTFUL);
}

struct place *
places_at(const struct places *p, uint32_t place)
{
	return &p->list[place - 1];
}

unsigned
places_taken(const struct places *p)
{
	unsigned i, n = 0;

	for (i = 0; i < p->room; i++)
		n += GET(p->owner[i]) != OWNER_NOBODY;
	return n;
}
