/*
 * Children that are stuck: busy with one client for longer than the option busy_timeout allows
 * without once waiting for it. They are told to end and, if they do not listen, killed. What they
 * do stands on the board, where it costs them nothing; the master looks when the first of them
 * could be due, and without the option never.
 */
#include <signal.h>

#include "base/clock.h"
#include "server/master.h"

/* The board's clock is coarse, and a child's slot is taken a moment before it is born. */
#define CLOCK_SLACK (1 * CLOCK_SECOND)

/* Since when the child works; 0: it waits. What cannot be was written by one that ran wild. */
static int64_t
works_since(struct tend_server *srv, const struct child *child, int64_t now)
{
	int64_t since;

	/* Of an earlier image: it has graceful_timeout, and no board to tell more. */
	if (child->slot == CHILD_WITHOUT_SLOT)
		return 0;
	since = srv->lanes != NULL ? lanes_works_since(srv->lanes, child->slot)
	                           : board_works_since(srv->board, child->slot);
	return since < child->started - CLOCK_SLACK || since > now + CLOCK_SLACK ? 0 : since;
}

static int64_t
grace_of(const struct tend_server *srv)
{
	return clock_limit(srv->settings.value.stop_timeout);
}

static void
tell_to_end(struct tend_server *srv, struct child *child, int64_t now)
{
	tend_log(srv, TEND_LOG_WARNING,
	    "Child %ld has worked for %g s without waiting for its client; ending it "
	    "(option busy_timeout)",
	    (long)child->pid, srv->settings.value.busy_timeout);
	child->ending = now;
	kill(child->pid, SIGTERM);
}

static void
end_by_force(struct tend_server *srv, struct child *child)
{
	tend_log(srv, TEND_LOG_WARNING,
	    "Child %ld did not end within %g s; killing it (option stop_timeout)",
	    (long)child->pid, srv->settings.value.stop_timeout);
	child->killed = true;
	kill(child->pid, SIGKILL);
}

/* Returns when this one is to be looked at again. */
static int64_t
look_at(struct tend_server *srv, struct child *child, int64_t limit, int64_t now)
{
	int64_t since = works_since(srv, child, now), due;

	if (child->killed)
		return CLOCK_NEVER;
	/* It has waited since, or is waiting: whatever it does now begins anew. */
	if (since == 0 || since > child->ending)
		child->ending = 0;
	if (since == 0)
		return clock_after(now, limit);
	due = child->ending == 0 ? clock_after(since, limit)
	    : clock_after(child->ending, grace_of(srv));
	if (now < due)
		return due;
	if (child->ending != 0) {
		end_by_force(srv, child);
		return CLOCK_NEVER;
	}
	tell_to_end(srv, child, now);
	return clock_after(now, grace_of(srv));
}

int64_t
master_end_stuck(struct tend_server *srv, int64_t now)
{
	struct children *kids = &srv->master->children;
	int64_t limit = clock_from_seconds(srv->settings.value.busy_timeout), next;
	size_t i;

	if (limit == 0)
		return CLOCK_NEVER;
	/* One that begins right now is due at that time. */
	next = clock_after(now, limit);
	for (i = 0; i < kids->count; i++)
		if (kids->list[i].kind != TEND_CHILD_DEQUEUE)
			next = earlier(next, look_at(srv, &kids->list[i], limit, now));
	return next;
}
