/*
 * A bare timing wheel, the limit that timers are held against: slots of a millisecond, 64 on each of
 * four levels, doubly linked lists. It knows nothing of finer times, order within a millisecond,
 * repetition, or other loops. It does know whether a timer is running, as Linux's own wheel does:
 * without that nobody could stop a timer that may have run out.
 *
 * Built twice. The plain one reads the clock once a turn, as libev and libuv do; a timer that is
 * started late in a long turn then runs out early. With FRESH_CLOCK a start reads the clock, so that
 * none is ever early, which is what tend promises.
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
	struct link link; /* first: a link is its timer; next is NULL while it is stopped */
	uint64_t tick;
	void (*fn)(struct timer *t);
	void *data;
};

static struct link wheel[LEVELS][SLOTS];
static struct timer *timers;
static uint64_t now, elapsed; /* milliseconds since the start, which the levels suffice for */
static uint64_t started;
static int ended;

static uint64_t
read_clock(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return (uint64_t)t.tv_sec * 1000 + (uint64_t)t.tv_nsec / 1000000 - started;
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
	t->link.next = NULL;
}

static void
fired(struct timer *t)
{
	timer_fired((size_t)(t - timers));
}

void
timers_open(size_t count)
{
	int level, slot;
	size_t i;

	timers = calloc(count, sizeof(*timers));
	if (timers == NULL)
		timers_fail("allocate");
	for (i = 0; i < count; i++)
		timers[i].fn = fired;
	for (level = 0; level < LEVELS; level++)
		for (slot = 0; slot < SLOTS; slot++)
			wheel[level][slot].next = wheel[level][slot].prev = &wheel[level][slot];
	started = read_clock();
	now = elapsed = 0;
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
	if (timers[i].link.next != NULL)
		take_out(&timers[i]);
#ifdef FRESH_CLOCK
	now = read_clock();
#endif
	timers[i].tick = now + ms + 1;
	insert(&timers[i]);
}

void
timer_restart(size_t i, unsigned ms)
{
	timer_start(i, ms);
}

void
timer_stop(size_t i)
{
	if (timers[i].link.next != NULL)
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
			t->fn(t);
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
