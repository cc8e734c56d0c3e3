/*
 * A worker in its own process: what the personalities that have some do alike. What becomes of it
 * right after the fork is child.c's.
 */
#include "server/worker.h"

#include "loop/loop.h"
#include "server/child.h"
#include "server/hooks.h"

/* ---- a worker and its master ---- */

/* What is left of stop_timeout is for the end itself: after all of it the master kills. */
#define STOP_SHARE 0.7

static void
parent_gone(struct tend_watch *w, unsigned events)
{
	struct tend_server *srv = w->data;

	(void)events;
	tend_watch_stop(w);
	tend_log(srv, TEND_LOG_INFO, "The parent process is gone; leaving");
	server_retire(srv);
}

int
worker_come_up(struct tend_server *srv, struct tend_watch *lifeline)
{
	int r;

	tend_watch_init(lifeline, parent_gone, srv);
	r = tend_watch_start(srv->loop, lifeline, srv->lifeline, TEND_READ);
	if (r < 0)
		return server_fail(srv, EX_OSERR, r, "cannot watch the parent: %s", error_reason(r));
	board_arrive(srv->board);
	return 0;
}

int64_t
worker_last_moment(const struct tend_server *srv, int64_t now)
{
	return clock_after(now, clock_from_seconds(srv->settings.value.stop_timeout * STOP_SHARE));
}

/* ---- nothing to do ---- */

void
worker_end_if_idle(struct tend_server *srv, int64_t unused)
{
	if (srv->policy.worker_idle == 0 || unused <= srv->policy.worker_idle)
		return;
	tend_log(srv, TEND_LOG_DEBUG, "Worker ends after %ld idle seconds (option worker_idle_timeout)",
	    (long)(unused / CLOCK_SECOND));
	server_retire(srv);
}

bool
worker_wants_idle_turns(const struct tend_server *srv)
{
	return srv->settings.value.idle_period > 0 && (srv->hooks->child_idle != NULL ||
	    srv->policy.worker_idle > 0 || srv->policy.titles);
}

void
worker_idle_turn(struct tend_server *srv, int64_t unused)
{
	hook_idle(srv);
	if (board_clients_of(srv->board, srv->birth->slot) > 0)
		return;
	child_title_idle(srv, (long)(unused / CLOCK_SECOND));
	if (srv->requests > 0 || srv->policy.unused_retire_too)
		worker_end_if_idle(srv, unused);
}
