/*
 * Timers: a hierarchical wheel. Level 0 has a slot for each of the next 64 ticks, level 1 one for
 * each 64 ticks, and so on: 8 levels cover all of time.
 *
 * The level of a timer is that of the highest digit (of 6 bits) in which its tick differs from
 * `elapsed`. Three things follow. All timers of a lower level are before those of a higher one, so
 * the first is found with a few bit operations. A timer moves down only when `elapsed` enters its
 * slot, so it moves at most seven times and usually once. And timers of one tick always share a
 * list and keep their order in it, so that equal times run first come, first served.
 *
 * Bits of `used` are cleared when an empty slot is met, not when it becomes empty: a cancelled
 * timer need not know where it is.
 */
#include "loop/loop.h"

/* To tell the exact next time, no more timers of a slot than this are looked at. */
#define SCAN_MAX 16

static struct tend_timer *
timer_of(const struct tend_link *l)
{
	return LINK_OWNER(l, struct tend_timer, link);
}

static uint64_t
tick_of(int64_t at)
{
	return at > 0 ? (uint64_t)at >> WHEEL_TICK_BITS : 0;
}

void
timers_init(struct tend_loop *loop)
{
	struct wheel *w = loop->wheel;
	int level, slot;

	for (level = 0; level < WHEEL_LEVELS; level++)
		for (slot = 0; slot < WHEEL_SLOTS; slot++)
			link_head_init(&w->slots[level][slot]);
	link_head_init(&w->due);
}

static void
wheel_insert(struct wheel *w, struct tend_timer *t)
{
	uint64_t tick = tick_of(t->at), digits;
	unsigned level, slot;
	struct tend_link *list;

	if (tick < w->elapsed)
		tick = w->elapsed;
	digits = tick ^ w->elapsed;
	level = digits < WHEEL_SLOTS ? 0 : (63 - (unsigned)__builtin_clzll(digits)) / WHEEL_BITS;
	slot = (unsigned)(tick >> (level * WHEEL_BITS)) % WHEEL_SLOTS;
	list = &w->slots[level][slot];
	if (digits == 0 && !link_is_empty(list) && timer_of(list->prev)->at > t->at)
		w->sorted = false;
	link_insert(list, &t->link);
	w->used[level] |= UINT64_C(1) << slot;
}

static void
wheel_remove(struct wheel *w, struct tend_timer *t)
{
	link_remove(&t->link);
	/* In this order: when many stop in a row, most of `t` is not looked at. */
	if (w->next_known && (t->at <= w->next || !w->next_exact))
		w->next_known = false;
}

static void
start_at(struct tend_loop *loop, struct tend_timer *t, int64_t at, int64_t every)
{
	struct wheel *w = loop->wheel;

	if (t->loop == loop) {
		wheel_remove(w, t);
	} else {
		tend_timer_stop(t);
		if (loop->doomed)
			return;
		t->loop = loop;
		w->count++;
	}
	t->at = at;
	t->every = every;
	wheel_insert(w, t);
	if (w->next_known && at < w->next) {
		w->next = at;
		w->next_exact = true;
	}
}

void
tend_timer_init(struct tend_timer *t, tend_timer_fn fn, void *data)
{
	*t = (struct tend_timer){ .fn = fn, .data = data };
}

void
timer_start_at(struct tend_loop *loop, struct tend_timer *t, int64_t at)
{
	start_at(loop, t, at, 0);
}

/* Reads the clock: the loop's own may be old in a long callback, and never early is never. */
void
tend_timer_start(struct tend_loop *loop, struct tend_timer *t, double seconds)
{
	start_at(loop, t, clock_after(loop_clock(loop), clock_from_seconds(seconds)), 0);
}

void
tend_timer_repeat(struct tend_loop *loop, struct tend_timer *t, double seconds)
{
	int64_t every = clock_from_seconds(seconds);

	if (every == 0)
		every = 1;
	start_at(loop, t, clock_after(loop_clock(loop), every), every);
}

void
tend_timer_stop(struct tend_timer *t)
{
	if (t->loop == NULL)
		return;
	wheel_remove(t->loop->wheel, t);
	t->loop->wheel->count--;
	t->loop = NULL;
}

bool
tend_timer_running(const struct tend_timer *t)
{
	return t->loop != NULL;
}

/* The first slot that holds timers. False when there is none. */
HOT static bool
find_first(struct wheel *w, unsigned *level, unsigned *slot)
{
	for (*level = 0; *level < WHEEL_LEVELS; (*level)++) {
		while (w->used[*level] != 0) {
			*slot = (unsigned)__builtin_ctzll(w->used[*level]);
			if (!link_is_empty(&w->slots[*level][*slot]))
				return true;
			w->used[*level] &= w->used[*level] - 1;
		}
	}
	return false;
}

/* The tick at which a slot begins. */
static uint64_t
slot_start(const struct wheel *w, unsigned level, unsigned slot)
{
	unsigned shift = level * WHEEL_BITS;

	return (w->elapsed >> (shift + WHEEL_BITS) << (shift + WHEEL_BITS)) |
	       (uint64_t)slot << shift;
}

/* Two chains, each in order and ended by NULL, become one; `a` goes first where they are equal. */
static struct tend_link *
merge(struct tend_link *a, struct tend_link *b)
{
	struct tend_link *first = NULL, **end = &first, **from;

	while (a != NULL && b != NULL) {
		from = timer_of(b)->at < timer_of(a)->at ? &b : &a;
		*end = *from;
		end = &(*from)->next;
		*from = *end;
	}
	*end = a != NULL ? a : b;
	return first;
}

static bool
is_sorted(const struct tend_link *list)
{
	const struct tend_link *l;

	for (l = list->next; l != list && l->next != list; l = l->next)
		if (timer_of(l->next)->at < timer_of(l)->at)
			return false;
	return true;
}

/* A stable merge sort from the bottom up: runs[i] is empty or has 2^i timers. */
static void
sort(struct tend_link *list)
{
	struct tend_link *runs[48] = { NULL }, *chain, *next, *all = NULL;
	size_t i, top = 0;

	list->prev->next = NULL;
	for (chain = list->next; chain != NULL; chain = next) {
		next = chain->next;
		chain->next = NULL;
		for (i = 0; runs[i] != NULL; i++) {
			chain = merge(runs[i], chain);
			runs[i] = NULL;
		}
		runs[i] = chain;
		top = i > top ? i : top;
	}
	for (i = 0; i <= top; i++)
		all = merge(runs[i], all);
	link_head_init(list);
	for (chain = all; chain != NULL; chain = next) {
		next = chain->next;
		link_insert(list, chain);
	}
}

static void
take_due(struct wheel *w, struct tend_link *list, int64_t now)
{
	struct tend_link *l;

	if (!w->sorted && !is_sorted(list))
		sort(list);
	w->sorted = true;
	while (!link_is_empty(list) && timer_of(list->next)->at <= now) {
		l = list->next;
		link_remove(l);
		link_insert(&w->due, l);
		w->next_known = false;
	}
}

/* Spreads a slot over the lower levels, in order, when time enters it. */
static void
move_down(struct wheel *w, struct tend_link *list)
{
	struct tend_link all, *l;

	link_head_init(&all);
	link_splice(&all, list);
	while (!link_is_empty(&all)) {
		l = all.next;
		link_remove(l);
		wheel_insert(w, timer_of(l));
	}
}

static void
set_elapsed(struct wheel *w, uint64_t tick)
{
	if (tick == w->elapsed)
		return;
	w->elapsed = tick;
	w->sorted = false;
}

bool
timers_collect(struct tend_loop *loop, int64_t now)
{
	struct wheel *w = loop->wheel;
	uint64_t until = tick_of(now), start;
	unsigned level, slot;

	while (find_first(w, &level, &slot)) {
		start = slot_start(w, level, slot);
		if (start > until)
			break;
		set_elapsed(w, start);
		/* Its beginning has come, which was told for the time of a crowd; now each has its own. */
		w->next_known = w->next_known && w->next_exact;
		if (level > 0) {
			move_down(w, &w->slots[level][slot]);
			continue;
		}
		take_due(w, &w->slots[0][slot], now);
		if (start == until)
			break;
	}
	if (w->elapsed < until)
		set_elapsed(w, until);
	return !link_is_empty(&w->due);
}

/* The next beat of the grid that is still to come: one that was missed is not made up for. */
static void
repeat(struct tend_loop *loop, struct tend_timer *t)
{
	int64_t now = loop_now(loop), at = clock_after(t->at, t->every);

	if (at <= now)
		at = clock_after(at, (now - at) / t->every * t->every + t->every);
	start_at(loop, t, at, t->every);
}

void
timers_run(struct tend_loop *loop)
{
	struct wheel *w = loop->wheel;
	struct tend_timer *t;

	while (!link_is_empty(&w->due)) {
		t = timer_of(w->due.next);
		if (t->every > 0)
			repeat(loop, t);
		else
			tend_timer_stop(t);
		loop->stats.timers_run++;
		if (loop->tracing)
			loop_trace(loop, TEND_TRACE_TIMER, t, 0);
		t->fn(t);
	}
}

/*
 * The earliest time of the first slot that holds timers. Of a crowded one only the beginning is
 * told: one turn more, in which it moves down, is little for so many.
 */
HOT static int64_t
first_of(const struct wheel *w, unsigned level, unsigned slot, bool *exact)
{
	const struct tend_link *list = &w->slots[level][slot], *l;
	int64_t first = CLOCK_NEVER;
	unsigned n = 0;

	*exact = true;
	if (level == 0 && w->sorted && slot_start(w, level, slot) == w->elapsed)
		return timer_of(list->next)->at;
	for (l = list->next; l != list && n < SCAN_MAX; l = l->next, n++)
		if (timer_of(l)->at < first)
			first = timer_of(l)->at;
	if (l == list)
		return first;
	*exact = false;
	return (int64_t)(slot_start(w, level, slot) << WHEEL_TICK_BITS);
}

HOT int64_t
timers_next(struct tend_loop *loop)
{
	struct wheel *w = loop->wheel;
	unsigned level, slot;

	if (w->next_known)
		return w->next;
	w->next_known = w->next_exact = true;
	w->next = CLOCK_NEVER;
	if (find_first(w, &level, &slot))
		w->next = first_of(w, level, slot, &w->next_exact);
	return w->next;
}

static void
stop_all(struct tend_link *list)
{
	while (!link_is_empty(list))
		tend_timer_stop(timer_of(list->next));
}

void
timers_done(struct tend_loop *loop)
{
	struct wheel *w = loop->wheel;
	unsigned level, slot;

	stop_all(&w->due);
	while (find_first(w, &level, &slot))
		stop_all(&w->slots[level][slot]);
}
