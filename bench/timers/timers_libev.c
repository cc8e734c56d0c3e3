/* Timers of libev. A running one is moved with ev_timer_again(), as its manual advises. */
#include "timers.h"

#include <ev.h>
#include <stdlib.h>

static struct ev_loop *loop;
static ev_timer *timers;

static void
fired(struct ev_loop *l, ev_timer *t, int events)
{
	(void)events;
	/* One that was moved with ev_timer_again() would repeat. */
	ev_timer_stop(l, t);
	timer_fired((size_t)(t - timers));
}

void
timers_open(size_t count)
{
	size_t i;

	loop = ev_default_loop(EVFLAG_AUTO);
	timers = calloc(count, sizeof(*timers));
	if (loop == NULL || timers == NULL)
		timers_fail("make a loop");
	for (i = 0; i < count; i++)
		ev_init(&timers[i], fired);
}

void
timers_update_clock(void)
{
	ev_now_update(loop);
}

void
timer_start(size_t i, unsigned ms)
{
	ev_timer_set(&timers[i], ms / 1e3, 0.);
	ev_timer_start(loop, &timers[i]);
}

void
timer_restart(size_t i, unsigned ms)
{
	timers[i].repeat = ms / 1e3;
	ev_timer_again(loop, &timers[i]);
}

void
timer_stop(size_t i)
{
	ev_timer_stop(loop, &timers[i]);
}

void
timers_run(void)
{
	ev_run(loop, 0);
}

void
timers_end(void)
{
	ev_break(loop, EVBREAK_ALL);
}
