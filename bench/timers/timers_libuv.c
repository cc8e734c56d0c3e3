/* Timers of libuv: uv_timer_start(), which also moves one that is active. */
#include "timers.h"

#include <stdlib.h>
#include <uv.h>

static uv_loop_t *loop;
static uv_timer_t *timers;

static void
fired(uv_timer_t *t)
{
	timer_fired((size_t)(t - timers));
}

void
timers_open(size_t count)
{
	size_t i;

	loop = uv_default_loop();
	timers = calloc(count, sizeof(*timers));
	if (loop == NULL || timers == NULL)
		timers_fail("make a loop");
	for (i = 0; i < count; i++)
		uv_timer_init(loop, &timers[i]);
}

void
timers_update_clock(void)
{
	uv_update_time(loop);
}

void
timer_start(size_t i, unsigned ms)
{
	uv_timer_start(&timers[i], fired, ms, 0);
}

void
timer_restart(size_t i, unsigned ms)
{
	timer_start(i, ms);
}

void
timer_stop(size_t i)
{
	uv_timer_stop(&timers[i]);
}

void
timers_run(void)
{
	uv_run(loop, UV_RUN_DEFAULT);
}

void
timers_end(void)
{
	uv_stop(loop);
}
