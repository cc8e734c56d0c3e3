/*
 * Memory that threads report to. Relaxed as the board is: each word is a report of its own, and
 * nobody draws a conclusion about one from another.
 */
#include "process/lanes.h"

#include <errno.h>
#include <stdlib.h>
#include <sys/mman.h>

#include "base/clock.h"
#include "net/conn.h"

/* Lines of the cache of its own: its thread writes to them for every client. */
struct lane {
	_Alignas(64) _Atomic uint32_t state;
	_Atomic uint64_t served; /* clients of this thread */
	_Atomic int64_t  since;  /* of the last change of state, coarse monotonic clock */
	_Atomic int64_t  works;  /* since when it works without waiting for its client; 0: it waits */
	_Atomic int64_t  born;
	struct shown     client;
	struct conn_traffic traffic;
};

/* In the shared mapping. */
struct shared {
	_Alignas(64) _Atomic uint32_t allowed;
	/* Beyond these none was ever written to: memory that nobody has touched is none. */
	_Atomic uint32_t slots_used, lanes_used;
	struct lane lanes[];
};

/* In each process. */
struct lanes {
	struct shared *shared;
	size_t         size;
	unsigned       children;
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
	l->children = children;
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

/* Whatever a child that ran wild has made of it. */
static unsigned
at_most(uint32_t n, unsigned most)
{
	return n < most ? n : most;
}

unsigned
lanes_allowed(const struct lanes *l)
{
	return at_most(GET(l->shared->allowed), l->threads);
}

unsigned
lanes_end_of_use(const struct lanes *l)
{
	return at_most(GET(l->shared->lanes_used), l->threads);
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

	/* All there is room for: a child that ran wild may have written to any. */
	for (i = 0; i < l->threads; i++) {
		struct lane *lane = lane_at(l, slot, i);

		if (GET(lane->state) != SLOT_FREE)
			SET(lane->state, SLOT_FREE);
		shown_put(&lane->client, NULL);
	}
}

static void
raise_to(_Atomic uint32_t *word, uint32_t n)
{
	uint32_t before = GET(*word);

	while (before < n && !atomic_compare_exchange_weak(word, &before, n))
		;
}

void
lanes_start(struct lanes *l, unsigned slot, unsigned lane)
{
	struct lane *one = lane_at(l, slot, lane);

	raise_to(&l->shared->slots_used, slot + 1);
	raise_to(&l->shared->lanes_used, lane + 1);
	SET(one->served, 0);
	SET(one->born, clock_coarse());
	say(one, SLOT_WAITING);
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

struct shown *
lanes_shown(struct lanes *l, unsigned slot, unsigned lane)
{
	return &lane_at(l, slot, lane)->client;
}

struct conn_traffic *
lanes_traffic(struct lanes *l, unsigned slot, unsigned lane)
{
	return &lane_at(l, slot, lane)->traffic;
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
lanes_born(const struct lanes *l, unsigned slot, unsigned lane)
{
	return GET(lane_at(l, slot, lane)->born);
}

void
lanes_add_traffic(const struct lanes *l, uint64_t *received, uint64_t *sent)
{
	unsigned slots = at_most(GET(l->shared->slots_used), l->children);
	unsigned lanes = lanes_end_of_use(l), slot, i;

	for (slot = 0; slot < slots; slot++)
		for (i = 0; i < lanes; i++) {
			const struct lane *lane = lane_at(l, slot, i);

			*received += GET(lane->traffic.received);
			*sent += GET(lane->traffic.sent);
		}
}

int64_t
lanes_works_since(const struct lanes *l, unsigned slot)
{
	int64_t first = 0;
	unsigned i, n = lanes_end_of_use(l);

	for (i = 0; i < n; i++) {
		const struct lane *lane = lane_at(l, slot, i);
		int64_t works = GET(lane->state) == SLOT_BUSY ? GET(lane->works) : 0;

		if (works != 0 && (first == 0 || works < first))
			first = works;
	}
	return first;
}
