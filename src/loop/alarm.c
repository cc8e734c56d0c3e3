/*
 * The alarm: what wakes the wait for a deadline that stays the same from turn to turn. A wait with a
 * timeout has the kernel start and stop a timer each time it sleeps, which a server that sleeps for
 * each message pays for each message. The deadlines of connections are far and rarely the next ones
 * change; so the second wait for the same one sets the kernel's timer once, and the waits until then
 * have no limit. A server whose next deadline is another one each time never gets so far.
 *
 * Where there is none, or no descriptor for it, waits have a timeout as ever.
 */
#include "config.h"

#include "loop/loop.h"

#include <errno.h>
#include <unistd.h>

#if HAVE_TIMERFD_CREATE

#include <sys/timerfd.h>

static void
rung(struct tend_watch *w, unsigned events)
{
	struct tend_loop *loop = w->data;
	uint64_t times;

	(void)events;
	loop->stats.events--;
	loop->wheel->alarm.at = CLOCK_NEVER;
	/* Only to empty it: how often is of no interest. */
	(void)!read(w->fd, &times, sizeof(times));
}

static int
open_alarm(struct tend_loop *loop)
{
	struct tend_watch *w = &loop->wheel->alarm.watch;
	int fd = timerfd_create(CLOCK_MONOTONIC, TFD_CLOEXEC | TFD_NONBLOCK), r;

	if (fd < 0)
		return -errno;
	r = tend_watch_start(loop, w, fd, TEND_READ);
	if (r < 0) {
		close(fd);
		return r;
	}
	watch_hush(w);
	loop->alarm_fd = fd;
	return 0;
}

/* For `at`, or for CLOCK_NEVER. True: so it is. */
static bool
set(struct tend_loop *loop, int64_t at)
{
	struct alarm *alarm = &loop->wheel->alarm;
	struct itimerspec when = { .it_interval = { 0, 0 } };

	if (at != CLOCK_NEVER)
		when.it_value = (struct timespec){
			.tv_sec = at / CLOCK_SECOND, .tv_nsec = at % CLOCK_SECOND,
		};
	if (alarm->watch.loop == NULL && open_alarm(loop) < 0)
		return false;
	if (timerfd_settime(alarm->watch.fd, TFD_TIMER_ABSTIME, &when, NULL) < 0)
		return false;
	alarm->at = at;
	return true;
}

#else

static void
rung(struct tend_watch *w, unsigned events)
{
	(void)w;
	(void)events;
}

static bool
set(struct tend_loop *loop, int64_t at)
{
	(void)loop;
	(void)at;
	return false;
}

#endif

void
alarm_init(struct tend_loop *loop)
{
	struct alarm *alarm = &loop->wheel->alarm;

	tend_watch_init(&alarm->watch, rung, loop);
	alarm->at = alarm->seen = CLOCK_NEVER;
	loop->alarm_fd = -1;
}

HOT bool
alarm_wakes(struct tend_loop *loop, int64_t at)
{
	struct alarm *alarm = &loop->wheel->alarm;

	if (alarm->at == at)
		return true;
	/* It knows the kernel's time only, and zero means "never" to it. */
	if (loop->clock != NULL || at <= 0)
		return false;
	if (alarm->seen != at) {
		alarm->seen = at;
		alarm->tried = false;
		return false;
	}
	if (alarm->tried)
		return false;
	alarm->tried = true;
	return set(loop, at);
}

void
alarm_rest(struct tend_loop *loop)
{
	set(loop, CLOCK_NEVER);
}

/* Without it waits have a timeout, until it is wanted again. */
static void
give_up(struct tend_loop *loop)
{
	int fd = loop->alarm_fd;

	tend_watch_stop(&loop->wheel->alarm.watch);
	close(fd);
	alarm_init(loop);
}

void
alarm_check(struct tend_loop *loop)
{
	if (loop->alarm_fd >= 0 && loop->slots[loop->alarm_fd].set == 0)
		give_up(loop);
}

/* The loop's watches end as a whole: a child may free what is its parent's. */
void
alarm_close(struct tend_loop *loop)
{
	struct alarm *alarm = &loop->wheel->alarm;

	if (alarm->watch.loop != NULL)
		close(alarm->watch.fd);
}

/* After the poller was built anew. The old alarm is the parent's. */
void
alarm_after_fork(struct tend_loop *loop)
{
	if (loop->alarm_fd >= 0)
		give_up(loop);
}

int
alarm_descriptor(const struct tend_loop *loop)
{
	return loop->wheel->alarm.watch.fd;
}
