/* Timers of libevent: evtimer_add() on an event of ours, which also moves one that is pending. */
#include "timers.h"

#include <event2/event.h>
#include <event2/event_struct.h>
#include <stdlib.h>

static struct event_base *base;
static struct event *timers;

static void
fired(evutil_socket_t fd, short what, void *data)
{
	struct event *e = data;

	(void)fd;
	(void)what;
	timer_fired((size_t)(e - timers));
}

void
timers_open(size_t count)
{
	size_t i;

	base = event_base_new();
	timers = calloc(count, sizeof(*timers));
	if (base == NULL || timers == NULL)
		timers_fail("make an event base");
	for (i = 0; i < count; i++)
		evtimer_assign(&timers[i], base, fired, &timers[i]);
}

void
timers_update_clock(void)
{
	event_base_update_cache_time(base);
}

void
timer_start(size_t i, unsigned ms)
{
	struct timeval after = { .tv_sec = ms / 1000, .tv_usec = ms % 1000 * 1000 };

	evtimer_add(&timers[i], &after);
}

void
timer_restart(size_t i, unsigned ms)
{
	timer_start(i, ms);
}

void
timer_stop(size_t i)
{
	evtimer_del(&timers[i]);
}

void
timers_run(void)
{
	event_base_dispatch(base);
}

void
timers_end(void)
{
	event_base_loopbreak(base);
}
