/*
 * Watches on descriptors: the table of slots, what the poller is told, and the delivery of what it
 * found. Events name a descriptor and the generation of its slot, so that one that comes late,
 * for a watch that was stopped or a descriptor that was reused, finds nobody.
 */
#include "loop/loop.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#define ASKED (TEND_READ | TEND_WRITE)
#define UNASKED (TEND_ERROR | TEND_HANGUP)

void
tend_watch_init(struct tend_watch *w, tend_watch_fn fn, void *data)
{
	*w = (struct tend_watch){ .fn = fn, .data = data, .fd = -1 };
}

int
watches_profile(struct tend_loop *loop, size_t count)
{
	size_t had = loop->profiles != NULL ? loop->slot_count : 0;
	struct profile *profiles = realloc(loop->profiles, count * sizeof(*profiles));

	if (profiles == NULL)
		return -ENOMEM;
	memset(profiles + had, 0, (count - had) * sizeof(*profiles));
	loop->profiles = profiles;
	return 0;
}

static int
grow_slots(struct tend_loop *loop, size_t least)
{
	size_t count = loop->slot_count > 0 ? loop->slot_count : 64;
	struct slot *slots;

	if (least <= loop->slot_count)
		return 0;
	while (count < least)
		count *= 2;
	slots = realloc(loop->slots, count * sizeof(*slots));
	if (slots == NULL)
		return -ENOMEM;
	memset(slots + loop->slot_count, 0, (count - loop->slot_count) * sizeof(*slots));
	loop->slots = slots;
	if (loop->profiles != NULL && watches_profile(loop, count) < 0)
		return -ENOMEM;
	loop->slot_count = count;
	return 0;
}

/* Tells the poller. On failure it is asked to go back to what it knew. */
static int
set_slot(struct tend_loop *loop, int fd, unsigned want)
{
	struct slot *slot = &loop->slots[fd];
	unsigned had = slot->set;
	int r;

	if (want == had)
		return 0;
	r = loop->poller->watch(loop, fd, had, want);
	if (r == 0) {
		slot->set = (uint8_t)want;
		return 0;
	}
	slot->set = 0;
	if (had != 0 && loop->poller->watch(loop, fd, 0, had) == 0)
		slot->set = (uint8_t)had;
	return r;
}

/* Gives the slot of `fd`, of a new generation, to `w`, for which the poller is asked for `set`. */
static int
take_slot(struct tend_loop *loop, struct tend_watch *w, int fd, unsigned set)
{
	struct slot *slot;
	int r;

	if (fd < 0)
		return -EBADF;
	if (loop->doomed)
		return -EINVAL;
	tend_watch_stop(w);
	r = grow_slots(loop, (size_t)fd + 1);
	if (r < 0)
		return r;
	slot = &loop->slots[fd];
	if (slot->watch != NULL)
		return -EEXIST;
	/* The poller may pass the generation to the kernel: it must be the new one. */
	slot->generation++;
	r = set_slot(loop, fd, set);
	if (r < 0)
		return r;
	slot->watch = w;
	slot->told = 0;
	slot->untraced = loop->tracer.inside;
	if (loop->profiles != NULL)
		loop->profiles[fd] = (struct profile){ 0, 0 };
	w->loop = loop;
	w->fd = fd;
	w->wanted = set & (ASKED | TEND_EXCLUSIVE);
	loop->stats.watches++;
	return 0;
}

int
tend_watch_start(struct tend_loop *loop, struct tend_watch *w, int fd, unsigned events)
{
	return take_slot(loop, w, fd, (events & (ASKED | TEND_EXCLUSIVE)) | POLLER_ON);
}

int
watch_hold(struct tend_loop *loop, struct tend_watch *w, int fd)
{
	return take_slot(loop, w, fd, 0);
}

bool
watch_is_on(const struct tend_loop *loop, int fd)
{
	return fd >= 0 && (size_t)fd < loop->slot_count && loop->slots[fd].watch != NULL;
}

struct tend_watch *
watch_find(const struct tend_loop *loop, tend_watch_fn fn, int *fd)
{
	size_t i;

	for (i = (size_t)*fd; i < loop->slot_count; i++)
		if (loop->slots[i].watch != NULL && loop->slots[i].watch->fn == fn) {
			*fd = (int)i;
			return loop->slots[i].watch;
		}
	return NULL;
}

HOT int
watch_change(struct tend_watch *w, unsigned events)
{
	struct slot *slot;
	int r;

	if (w->loop == NULL)
		return -EINVAL;
	if (!w->loop->poller->tells_edges)
		events &= ~(unsigned)WATCH_EDGE;
	slot = &w->loop->slots[w->fd];
	if (events == w->wanted && slot->set != 0)
		return 0;
	r = set_slot(w->loop, w->fd, events | POLLER_ON);
	if (r < 0)
		return r;
	slot->told = 0;
	slot->untraced |= w->loop->tracer.inside;
	w->wanted = events;
	return 0;
}

HOT int
tend_watch_change(struct tend_watch *w, unsigned events)
{
	return watch_change(w, events & (ASKED | TEND_EXCLUSIVE));
}

/* The slot is free; an event that was on its way finds nobody. */
static void
leave_slot(struct tend_watch *w)
{
	struct tend_loop *loop = w->loop;
	struct slot *slot = &loop->slots[w->fd];

	slot->set = 0;
	slot->watch = NULL;
	slot->generation++;
	w->loop = NULL;
	w->fd = -1;
	loop->stats.watches--;
}

void
tend_watch_stop(struct tend_watch *w)
{
	if (w->loop == NULL)
		return;
	set_slot(w->loop, w->fd, 0);
	leave_slot(w);
}

void
watch_drop(struct tend_watch *w)
{
	if (w->loop != NULL && w->loop->poller->forgets_closed)
		leave_slot(w);
	else
		tend_watch_stop(w);
}

/* For tend_loop_free(): the poller is closed as a whole, which does not touch a parent's. */
void
watches_done(struct tend_loop *loop)
{
	struct tend_watch *w;
	size_t i;

	for (i = 0; i < loop->slot_count; i++) {
		w = loop->slots[i].watch;
		if (w == NULL)
			continue;
		loop->slots[i].watch = NULL;
		w->loop = NULL;
		w->fd = -1;
	}
	loop->fired_count = loop->fired_at = 0;
}

/* The class of a duration: the i of "less than 2^i microseconds". */
static unsigned
duration_class(int64_t ns)
{
	unsigned i = 0;
	int64_t us = ns / 1000;

	while (us > 0 && i < TEND_LOOP_TOOK - 1) {
		us >>= 1;
		i++;
	}
	return i;
}

static void
call_profiled(struct tend_loop *loop, struct tend_watch *w, const struct fired *f, unsigned events)
{
	int64_t begin = loop_clock(loop), spent;
	uint32_t generation = f->generation;
	int fd = f->fd;

	w->fn(w, events);
	spent = loop_clock(loop) - begin;
	loop->stats.calls++;
	loop->stats.seconds += clock_to_seconds(spent);
	loop->stats.took[duration_class(spent)]++;
	/* The watch may be gone; its slot tells. */
	if (loop->slots[fd].generation != generation || loop->profiles == NULL)
		return;
	loop->profiles[fd].calls++;
	loop->profiles[fd].spent += spent;
}

/*
 * Takes away what was told before and lasts. When nothing is left, the poller has reported an
 * error or a hang-up that nobody reacted to: it is muted, or the loop would spin. A muted
 * descriptor that has news is heard again.
 */
static unsigned
fresh_events(struct tend_loop *loop, struct slot *slot, int fd, unsigned events)
{
	unsigned fresh = events & ~(unsigned)slot->told;

	slot->told = (uint8_t)(events & UNASKED);
	if (fresh == 0)
		set_slot(loop, fd, slot->set | POLLER_MUTE);
	else if ((slot->set & POLLER_MUTE) != 0)
		set_slot(loop, fd, slot->set & ~(unsigned)POLLER_MUTE);
	return fresh;
}

void
watch_forget_told(struct tend_watch *w)
{
	if (w->loop != NULL)
		w->loop->slots[w->fd].told = 0;
}

void
watch_hush(struct tend_watch *w)
{
	if (w->loop != NULL)
		w->loop->slots[w->fd].untraced = true;
}

/* Of what the loop watches for itself there is nothing to tell. */
static void
trace_event(struct tend_loop *loop, const struct tend_watch *w, const struct fired *f, unsigned events)
{
	const struct tend_trace t = {
		.kind = TEND_TRACE_EVENT, .fd = f->fd, .events = events & (ASKED | UNASKED), .object = w,
	};

	if (w != &loop->channel_watch && !loop->slots[f->fd].untraced)
		tracer_tell(&loop->tracer, &t);
}

/* Somebody looks on. */
static void
call_observed(struct tend_loop *loop, struct tend_watch *w, const struct fired *f, unsigned events)
{
	if (loop->tracing)
		trace_event(loop, w, f, events);
	/* It was only to look. */
	if (loop->slots[f->fd].watch != w)
		return;
	if (loop->profiling)
		call_profiled(loop, w, f, events);
	else
		w->fn(w, events);
}

HOT static void
dispatch(struct tend_loop *loop, const struct fired *f)
{
	struct slot *slot = &loop->slots[f->fd];
	struct tend_watch *w = slot->watch;
	unsigned events;

	if (UNLIKELY(w == NULL || slot->generation != f->generation)) {
		loop->stats.events_stale++;
		return;
	}
	/* An earlier callback of this batch may have dropped an interest. */
	events = f->events & (w->wanted | UNASKED);
	if (UNLIKELY(events == 0))
		return;
	if (UNLIKELY(((events & UNASKED) | slot->told | (slot->set & POLLER_MUTE)) != 0)) {
		events = fresh_events(loop, slot, f->fd, events);
		if (events == 0)
			return;
	}
	loop->stats.events++;
	if (UNLIKELY(loop->profiling | loop->tracing))
		call_observed(loop, w, f, events);
	else
		w->fn(w, events);
}

/*
 * Among a thousand connections what the next event is about lies in no cache. While one callback is in
 * the kernel, the processor fetches what those after it begin with.
 */
static void
foresee(struct tend_loop *loop, unsigned ahead)
{
	struct tend_watch *w;

	if (loop->fired_at + ahead >= loop->fired_count)
		return;
	w = loop->slots[loop->fired[loop->fired_at + ahead].fd].watch;
	if (w == NULL)
		return;
	if (ahead == LOOP_FORESIGHT)
		prefetch(w, LOOP_FORESEEN);
	else
		loop->foresee(w, ahead);
}

HOT void
watches_dispatch(struct tend_loop *loop)
{
	unsigned nearest = loop->foresee != NULL ? 1 : LOOP_FORESIGHT, ahead;

	while (loop->fired_at < loop->fired_count) {
		for (ahead = nearest; ahead <= LOOP_FORESIGHT; ahead++)
			foresee(loop, ahead);
		dispatch(loop, &loop->fired[loop->fired_at++]);
	}
}

void
tend_watch_profile(const struct tend_watch *w, uint64_t *calls, double *seconds)
{
	struct profile p = { 0, 0 };

	if (w->loop != NULL && w->loop->profiles != NULL)
		p = w->loop->profiles[w->fd];
	if (calls != NULL)
		*calls = p.calls;
	if (seconds != NULL)
		*seconds = clock_to_seconds(p.spent);
}
