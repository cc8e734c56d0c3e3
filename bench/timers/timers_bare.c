/*
 * A bare timing wheel, the limit that timers are held against: slots of a millisecond, 64 on each of
 * four levels, doubly linked lists, and a clock that is read once a turn. It knows nothing of finer
 * times, repetition, other loops, or being called from inside a callback about itself.
 */
#include "timers.h"

#include <stdint.h>
#include <stdlib.h>
#include <time.h>

#define BITS 6
#define SLOTS (1 << BITS)
#define LEVELS 4

struct link {
	struct link *next, *prev;
};

struct timer {
	struct link link; /* first: a link is its timer */
	uint64_t tick;
};

static struct link wheel[LEVELS][SLOTS];
static struct timer *timers;
static uint64_t now, elapsed; /* milliseconds */
static int ended;

static uint64_t
read_clock(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return (uint64_t)t.tv_sec * 1000 + (uint64_t)t.tv_nsec / 1000000;
}

static inline void
insert(struct timer *t)
{
	uint64_t digits = t->tick ^ elapsed;
	unsigned level = digits < SLOTS ? 0 : (63 - (unsigned)__builtin_clzll(digits)) / BITS;
	struct link *head = &wheel[level][(t->tick >> level * BITS) % SLOTS];

	t->link.prev = head->prev;
	t->link.next = head;
	head->prev->next = &t->link;
	head->prev = &t->link;
}

static inline void
take_out(struct timer *t)
{
	t->link.next->prev = t->link.prev;
	t->link.prev->next = t->link.next;
}

void
timers_open(size_t count)
{
	int level, slot;

	timers = calloc(count, sizeof(*timers));
	if (timers == NULL)
		timers_fail("allocate");
	for (level = 0; level < LEVELS; level++)
		for (slot = 0; slot < SLOTS; slot++)
			wheel[level][slot].next = wheel[level][slot].prev = &wheel[level][slot];
	now = elapsed = read_clock();
}

void
timers_update_clock(void)
{
	now = read_clock();
}

/* A millisecond more: the one that has begun does not count. */
void
timer_start(size_t i, unsigned ms)
{
	timers[i].tick = now + ms + 1;
	insert(&timers[i]);
}

void
timer_restart(size_t i, unsigned ms)
{
	take_out(&timers[i]);
	timers[i].tick = now + ms + 1;
	insert(&timers[i]);
}

void
timer_stop(size_t i)
{
	take_out(&timers[i]);
}

/* What is in the slot that time has come to goes down, level by level, or runs. */
static void
enter_slot(unsigned level)
{
	struct link *head = &wheel[level][(elapsed >> level * BITS) % SLOTS];
	struct timer *t;

	while (head->next != head) {
		t = (struct timer *)(void *)head->next;
		take_out(t);
		if (level > 0)
			insert(t);
		else
			timer_fired((size_t)(t - timers));
	}
}

static void
one_tick(void)
{
	unsigned level;

	elapsed++;
	for (level = LEVELS - 1; level > 0; level--)
		if (elapsed % (UINT64_C(1) << level * BITS) == 0)
			enter_slot(level);
	enter_slot(0);
}

void
timers_run(void)
{
	const struct timespec pause = { .tv_nsec = 1000000 };

	while (!ended) {
		now = read_clock();
		if (elapsed == now)
			nanosleep(&pause, NULL);
		while (elapsed < now)
			one_tick();
	}
}

void
timers_end(void)
{
	ended = 1;
}
