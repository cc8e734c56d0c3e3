/*
 * The loop itself: its life, its turns and what it counts. The steps of a turn belong to the other
 * files of this folder; this one owns their order (see tend/loop.h).
 */
#include "loop/loop.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "config.h"

const struct poller *const pollers[] = {
#if HAVE_KQUEUE
	&poller_kqueue,
#endif
#if HAVE_EPOLL_CREATE1
	&poller_epoll,
#endif
	&poller_poll,
	NULL,
};

static const struct poller *
find_poller(const char *name)
{
	size_t i;

	if (name == NULL)
		return pollers[0];
	for (i = 0; pollers[i] != NULL; i++)
		if (strcmp(pollers[i]->name, name) == 0)
			return pollers[i];
	return NULL;
}

static void
free_memory(struct tend_loop *loop)
{
	free(loop->many);
	free(loop->wheel);
	if (!loop->borrowed)
		free(loop);
}

/* The poller's state lies behind the loop: both are written to in each turn. */
#define POLLER_AT ((sizeof(struct tend_loop) + 63) / 64 * 64)
#define POLLER_ROOM (LOOP_ROOM - POLLER_AT)
_Static_assert(POLLER_AT < LOOP_ROOM, "a loop leaves room for its poller");

static struct tend_loop *
allocate(void *memory)
{
	struct fired *many = malloc(LOOP_BATCH * sizeof(*many));
	struct wheel *wheel = calloc(1, sizeof(*wheel));
	struct tend_loop *loop = memory != NULL ? memory : aligned_alloc(64, LOOP_ROOM);

	if (many == NULL || wheel == NULL || loop == NULL) {
		free(many);
		free(wheel);
		if (memory == NULL)
			free(loop);
		return NULL;
	}
	memset(loop, 0, LOOP_ROOM);
	loop->borrowed = memory != NULL;
	loop->poller_state = (char *)loop + POLLER_AT;
	loop->many = many;
	loop->wheel = wheel;
	loop->fired = many;
	loop->room = LOOP_BATCH;
	return loop;
}

static int
open_loop(struct tend_loop *loop, const struct poller *poller)
{
	int r;

	assert(poller->size <= POLLER_ROOM);
	loop->poller = poller;
	r = poller->open(loop);
	if (r < 0)
		return r;
	r = channel_open(loop);
	if (r < 0)
		poller->close(loop);
	return r;
}

struct tend_loop *
loop_new_at(void *memory, const char *name)
{
	const struct poller *poller = find_poller(name);
	struct tend_loop *loop;
	int r;

	if (poller == NULL) {
		errno = EINVAL;
		return NULL;
	}
	loop = allocate(memory);
	if (loop == NULL)
		return NULL;
	loop->timeout = CLOCK_NEVER;
	link_head_init(&loop->signals);
	link_head_init(&loop->signals_now);
	link_head_init(&loop->later);
	link_head_init(&loop->later_now);
	timers_init(loop);
	alarm_init(loop);
	child_watches_init(loop);
	r = open_loop(loop, poller);
	if (r < 0) {
		free(loop->slots);
		free_memory(loop);
		errno = -r;
		return NULL;
	}
	return loop;
}

struct tend_loop *
tend_loop_new(const char *name)
{
	return loop_new_at(NULL, name);
}

void
tenant_add(struct tend_loop *loop, struct tenant *t, bool hears)
{
	struct tenant **place = &loop->tenants;

	while (!hears && *place != NULL)
		place = &(*place)->next;
	t->next = *place;
	*place = t;
}

struct tenant *
tenant_find(const struct tend_loop *loop, void (*quiet)(struct tenant *t))
{
	struct tenant *t = loop->tenants;

	/* What its hooks do while it goes still finds it. */
	if (loop->leaving != NULL && loop->leaving->quiet == quiet)
		return loop->leaving;
	while (t != NULL && t->quiet != quiet)
		t = t->next;
	return t;
}

static void
destroy(struct tend_loop *loop)
{
	struct tenant *t;

	while ((t = loop->tenants) != NULL) {
		loop->tenants = t->next;
		loop->leaving = t;
		t->free(t);
		loop->leaving = NULL;
	}
	loop->poller->close(loop);
	free(loop->slots);
	free(loop->profiles);
	free_memory(loop);
}

void
tend_loop_free(struct tend_loop *loop)
{
	struct tenant *t;

	if (loop == NULL || loop->doomed)
		return;
	for (t = loop->tenants; t != NULL; t = t->next)
		t->quiet(t);
	child_watches_done(loop);
	signals_done(loop);
	later_done(loop);
	timers_done(loop);
	alarm_close(loop);
	channel_close(loop);
	watches_done(loop);
	loop->hook = NULL;
	if (loop->turning)
		loop->doomed = true;
	else
		destroy(loop);
}

const char *
tend_loop_poller(const struct tend_loop *loop)
{
	return loop->poller->name;
}

HOT int64_t
loop_read_clock(struct tend_loop *loop)
{
	loop->now = loop_clock(loop);
	loop->now_known = true;
	return loop->now;
}

/* How long this turn may wait, when it ran no timer: then its clock is fresh, if it was read. */
static int64_t
wait_limit(struct tend_loop *loop, int64_t limit)
{
	const struct wheel *w = loop->wheel;
	int64_t next, now;

	if (loop->stopping || loop->hurry || loop->children_due || !link_is_empty(&loop->later) ||
	    signals_are_collected(loop))
		return 0;
	/* The alarm is set for the next timer; or there is none of both. */
	if (LIKELY(w->next_known && w->alarm.at == w->next && limit == CLOCK_NEVER))
		return loop->timeout;
	if (limit > loop->timeout)
		limit = loop->timeout;
	next = timers_next(loop);
	/* What it was set for is not to come any more, or has come. */
	if (loop->wheel->alarm.at < next)
		alarm_rest(loop);
	if (limit == 0 || next == CLOCK_NEVER)
		return limit;
	if (limit == CLOCK_NEVER && alarm_wakes(loop, next))
		return CLOCK_NEVER;
	now = loop_now(loop);
	if (next <= now)
		return 0;
	return limit < next - now ? limit : next - now;
}

/* What is due. True if there is anything. */
static bool
collect_timers(struct tend_loop *loop)
{
	return loop->wheel->count > 0 && !timers_rest(loop, loop_now(loop)) &&
	    timers_collect(loop, loop_now(loop));
}

/* There may be more than what was told of. */
static inline bool
is_crowded(const struct tend_loop *loop)
{
	return loop->fired_count >= LOOP_ASKED || loop->fired_count == loop->room;
}

/*
 * Steps 3 to 8. Most turns of a busy server have one event and nothing else, and find the processor's
 * caches full of the kernel: what has nothing to do is not called.
 */
HOT static void
deliver(struct tend_loop *loop, bool timers_ran)
{
	if (loop_signal_seen(loop))
		loop_signals_collect(loop);
	loop->hurry = false;
	if (!timers_ran && (loop->rang || is_crowded(loop) || !alarm_stands(loop)))
		collect_timers(loop);
	if (signals_are_collected(loop))
		signals_run(loop);
	watches_dispatch(loop);
	if (loop->children_due)
		child_watches_run(loop);
	if (!link_is_empty(&loop->wheel->due))
		timers_run(loop);
	if (!link_is_empty(&loop->later))
		later_run(loop);
	if (loop->hook != NULL)
		loop->hook(loop, loop->hook_data);
}

/* For the next events; see struct tend_loop. */
static void
choose_room(struct tend_loop *loop)
{
	bool few;

	loop->quiet = loop->fired_count < LOOP_FEW ? loop->quiet + 1 : 0;
	few = loop->quiet > LOOP_QUIET;
	loop->fired = few ? loop->few : loop->many;
	loop->room = few ? LOOP_FEW : LOOP_BATCH;
	loop->fired_count = loop->fired_at = 0;
	loop->rang = false;
}

HOT static int
wait_for_events(struct tend_loop *loop, int64_t limit)
{
	int r;

	if (loop->waits != NULL)
		loop->waits(loop->waits_data, true);
	r = loop->poller->wait(loop, limit);
	if (loop->waits != NULL)
		loop->waits(loop->waits_data, false);
	return r;
}

/* Another process may have asked for it during the wait. */
static void
look_for_tracer(struct tend_loop *loop)
{
	atomic_store_explicit(&loop->tracing, tracer_wants(&loop->tracer), memory_order_relaxed);
}

HOT static int
take_turn(struct tend_loop *loop, int64_t limit)
{
	bool timers_ran;
	int r = 0;

	loop->turning = true;
	loop->now_known = false;
	look_for_tracer(loop);
	loop->stats.turns++;
	timers_ran = !alarm_stands(loop) && collect_timers(loop);
	if (timers_ran)
		timers_run(loop);
	if (!loop->doomed) {
		choose_room(loop);
		/* No turn waits after a callback: the caller may have waited for just that. */
		r = wait_for_events(loop, timers_ran ? 0 : wait_limit(loop, limit));
		loop->now_known = false;
		look_for_tracer(loop);
		if (r == 0)
			deliver(loop, timers_ran);
	}
	loop->turning = false;
	return r;
}

HOT int
tend_loop_turn(struct tend_loop *loop, double seconds)
{
	int r;

	if (loop->turning || loop->running)
		return -EBUSY;
	r = take_turn(loop, seconds < 0 ? CLOCK_NEVER : clock_from_seconds(seconds));
	loop->stopping = false;
	if (loop->doomed)
		destroy(loop);
	return r;
}

int
tend_loop_run(struct tend_loop *loop)
{
	int r = 0;

	if (loop->turning || loop->running)
		return -EBUSY;
	loop->running = true;
	while (r == 0 && !loop->stopping && !loop->doomed)
		r = take_turn(loop, CLOCK_NEVER);
	loop->running = false;
	loop->stopping = false;
	if (loop->doomed)
		destroy(loop);
	return r;
}

void
tend_loop_stop(struct tend_loop *loop)
{
	loop->stopping = true;
}

int
tend_loop_after_fork(struct tend_loop *loop)
{
	int r;

	loop->fired_count = loop->fired_at = 0;
	loop->running = loop->turning = loop->stopping = loop->hurry = false;
	/* The parent forked in the middle of it; the first turn begins with the rest. */
	link_splice(&loop->later_now, &loop->later);
	link_splice(&loop->later, &loop->later_now);
	r = channel_after_fork(loop);
	if (r < 0)
		return r;
	/* Until this is done, removing a descriptor would remove it from the parent's poller. */
	r = loop->poller->after_fork(loop);
	if (r < 0)
		return r;
	alarm_after_fork(loop);
	child_watches_done(loop);
	return 0;
}

void
loop_abandon(const struct tend_loop *loop)
{
	int fd = loop->poller->descriptor(loop);

	if (fd >= 0)
		close(fd);
	fd = alarm_descriptor(loop);
	if (fd >= 0)
		close(fd);
	close(atomic_load(&loop->channel.in));
	close(atomic_load(&loop->channel.out));
}

double
tend_loop_now(struct tend_loop *loop)
{
	return clock_to_seconds(loop_now(loop));
}

void
tend_loop_set_timeout(struct tend_loop *loop, double seconds)
{
	loop->timeout = seconds < 0 ? CLOCK_NEVER : clock_from_seconds(seconds);
}

void
tend_loop_set_turn_hook(struct tend_loop *loop, tend_turn_fn fn, void *data)
{
	loop->hook = fn;
	loop->hook_data = data;
}

void
tend_loop_stats(const struct tend_loop *loop, struct tend_loop_stats *into)
{
	*into = loop->stats;
	into->timers = loop->wheel->count;
	/* What the loop watches for itself is not the caller's. */
	into->watches -= loop->channel_watch.loop != NULL;
	into->watches -= loop->wheel->alarm.watch.loop != NULL;
	into->signals -= loop->child_signal.loop != NULL;
}

void
tend_loop_profile(struct tend_loop *loop, bool on)
{
	if (on && watches_profile(loop, loop->slot_count > 0 ? loop->slot_count : 1) < 0)
		on = false;
	loop->profiling = on;
	if (!on)
		return;
	loop->stats.calls = 0;
	loop->stats.seconds = 0;
	memset(loop->stats.took, 0, sizeof(loop->stats.took));
}
