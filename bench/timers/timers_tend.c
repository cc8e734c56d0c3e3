/* Timers of tend, through its public functions. */
#include "timers.h"

#include <stdlib.h>
#include <tend/loop.h>

static struct tend_loop *loop;
static struct tend_timer *timers;

static void
fired(struct tend_timer *t)
{
	timer_fired((size_t)(t - timers));
}

void
timers_open(size_t count)
{
	size_t i;

	loop = tend_loop_new(NULL);
	timers = calloc(count, sizeof(*timers));
	if (loop == NULL || timers == NULL)
		timers_fail("make a loop");
	for (i = 0; i < count; i++)
		tend_timer_init(&timers[i], fired, NULL);
}

/* A timer of tend counts from the moment it is started: there is nothing to bring up to date. */
void
timers_update_clock(void)
{
}

void
timer_start(size_t i, unsigned ms)
{
	tend_timer_start(loop, &timers[i], ms / 1e3);
}

void
timer_restart(size_t i, unsigned ms)
{
	tend_timer_start(loop, &timers[i], ms / 1e3);
}

void
timer_stop(size_t i)
{
	tend_timer_stop(&timers[i]);
}

void
timers_run(void)
{
	tend_loop_run(loop);
}

void
timers_end(void)
{
	tend_loop_stop(loop);
}
