/*
 * Memory that threads report to. Relaxed as the board is: each word is a report of its own, and
 * nobody draws a conclusion about one from another.
 */
#include "process/lanes.h"

#include <errno.h>
#include <stdlib.h>
#include <sys/mman.h>

#include "base/clock.h"

/* A line of the cache each: its thread writes to it for every client. */
struct lane {
	_Alignas(64) _Atomic uint32_t state;
	_Atomic uint64_t served; /* clients of this thread */
	_Atomic int64_t  since;  /* of the last change of state, coarse monotonic clock */
	_Atomic int64_t  works;  /* since when it works without waiting for its client; 0: it waits */
};

/* In the shared mapping. */
struct shared {
	_Alignas(64) _Atomic uint32_t allowed;
	struct lane lanes[];
};

/* In each process. */
struct lanes {
	struct shared *shared;
	size_t         size;
	unsigned       threads; /* of each child */
};

#define GET(word) atomic_load_explicit(&(word), memory_order_relaxed)
#define SET(word, value) atomic_store_explicit(&(word), (value), memory_order_relaxed)

static struct lane *
lane_at(const struct lanes *l, unsigned slot, unsigned lane)
{
	return &l->shared->lanes[(size_t)slot * l->threads + lane];
}

int
lanes_new(struct lanes **into, unsigned children, unsigned threads)
{
	struct lanes *l = calloc(1, sizeof(*l));

	if (l == NULL)
		return -ENOMEM;
	l->threads = threads;
	l->size = sizeof(struct shared) + (size_t)children * threads * sizeof(struct lane);
	l->shared = mmap(NULL, l->size, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	if (l->shared == MAP_FAILED) {
		int r = -errno;

		free(l);
		return r;
	}
	lanes_allow(l, threads);
	*into = l;
	return 0;
}

void
lanes_free(struct lanes *l)
{
	if (l == NULL)
		return;
	munmap(l->shared, l->size);
	free(l);
}

unsigned
lanes_room(const struct lanes *l)
{
	return l->threads;
}

void
lanes_allow(struct lanes *l, unsigned threads)
{
	SET(l->shared->allowed, threads);
}

unsigned
lanes_allowed(const struct lanes *l)
{
	unsigned allowed = GET(l->shared->allowed);

	/* Whatever a child that ran wild has made of it. */
	return allowed < l->threads ? allowed : l->threads;
}

static void
say(struct lane *lane, enum slot_state state)
{
	int64_t now = clock_coarse();

	SET(lane->works, now);
	SET(lane->since, now);
	SET(lane->state, (uint32_t)state);
}

void
lanes_release(struct lanes *l, unsigned slot)
{
	unsigned i;

	for (i = 0; i < l->threads; i++) {
		struct lane *lane = lane_at(l, slot, i);

		/* A page that no thread has ever written to is not touched. */
		if (GET(lane->state) != SLOT_FREE)
			SET(lane->state, SLOT_FREE);
	}
}

void
lanes_start(struct lanes *l, unsigned slot, unsigned lane)
{
	SET(lane_at(l, slot, lane)->served, 0);
	say(lane_at(l, slot, lane), SLOT_WAITING);
}

void
lanes_busy(struct lanes *l, unsigned slot, unsigned lane)
{
	struct lane *one = lane_at(l, slot, lane);

	SET(one->served, GET(one->served) + 1);
	say(one, SLOT_BUSY);
}

void
lanes_waiting(struct lanes *l, unsigned slot, unsigned lane)
{
	say(lane_at(l, slot, lane), SLOT_WAITING);
}

void
lanes_end(struct lanes *l, unsigned slot, unsigned lane)
{
	say(lane_at(l, slot, lane), SLOT_FREE);
}

void
lanes_pause(struct lanes *l, unsigned slot, unsigned lane)
{
	SET(lane_at(l, slot, lane)->works, 0);
}

void
lanes_resume(struct lanes *l, unsigned slot, unsigned lane)
{
	SET(lane_at(l, slot, lane)->works, clock_coarse());
}

enum slot_state
lanes_state(const struct lanes *l, unsigned slot, unsigned lane)
{
	uint32_t state = GET(lane_at(l, slot, lane)->state);

	return state < SLOT_STATES ? (enum slot_state)state : SLOT_STATES;
}

uint64_t
lanes_served(const struct lanes *l, unsigned slot, unsigned lane)
{
	return GET(lane_at(l, slot, lane)->served);
}

int64_t
lanes_since(const struct lanes *l, unsigned slot, unsigned lane)
{
	return GET(lane_at(l, slot, lane)->since);
}

int64_t
lanes_works_since(const struct lanes *l, unsigned slot)
{
	int64_t first = 0;
	unsigned i;

	for (i = 0; i < l->threads; i++) {
		const struct lane *lane = lane_at(l, slot, i);
		int64_t works = GET(lane->state) == SLOT_BUSY ? GET(lane->works) : 0;

		if (works != 0 && (first == 0 || works < first))
			first = works;
	}
	return first;
}
