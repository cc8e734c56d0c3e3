/*
 * Multiplex: many clients in one process, on its loop. A service with the hook `readable` is called
 * when something happens; one with `process` alone runs in a fiber for each client, and does not
 * notice. `workers` such processes share the listeners. The clients are the crowd's; here is a worker:
 * what it waits for, and when it ends.
 */
#include <errno.h>
#include <stdlib.h>

#include "base/clock.h"
#include "net/accept.h"
#include "server/accept.h"
#include "server/child.h"
#include "server/crowd.h"
#include "server/inlets.h"
#include "server/master.h"
#include "server/parcels.h"
#include "server/personality.h"
#include "server/serve.h"
#include "server/worker.h"
#include "server/workers.h"

/* Clients of one listener in a turn: the others have work, too. */
#define BUDGET 64

struct worker {
	struct crowd      crowd;
	struct inlets     in;
	struct tend_watch lifeline;
};

/* ---- accepting ---- */

static void
knock(struct tend_watch *w, unsigned events)
{
	struct inlet *inlet = w->data;
	struct crowd *crowd = inlet->all->srv->crowd;
	struct addr peer;
	int i, fd = -EAGAIN;

	(void)events;
	for (i = 0; i < BUDGET && !crowd_has_had_its_share(crowd); i++) {
		fd = accept_client(inlet->listener->fd, &peer);
		if (fd < 0)
			break;
		crowd_take(crowd, inlet->listener, fd, &peer);
	}
	if (fd < 0 && fd != -EAGAIN)
		inlets_starve(inlet->all, inlet->listener, fd);
}

static void
pause_over(struct tend_timer *t)
{
	struct inlets *in = t->data;

	if (inlets_watch(in) < 0)
		tend_timer_start(in->srv->loop, t, ACCEPT_PAUSE);
}

static int
open_worker(struct worker *w, struct tend_server *srv, unsigned long most)
{
	int r = inlets_open(&w->in, srv, knock, pause_over);

	if (r == 0)
		r = crowd_open(&w->crowd, srv, most);
	if (r == 0)
		r = inlets_watch(&w->in);
	if (r == 0)
		r = crowd_open_parcels(&w->crowd);
	if (r == 0)
		r = worker_come_up(srv, &w->lifeline);
	if (r < 0 && srv->error.code == 0)
		server_fail(srv, EX_OSERR, r, "cannot watch a listener: %s", error_reason(r));
	return r;
}

/* ---- working ---- */

HOT static int
turn(struct tend_server *srv, double seconds)
{
	board_say_again(srv->board);
	return accept_turn(srv, seconds);
}

static int
work_with_idle_turns(struct crowd *crowd)
{
	struct tend_server *srv = crowd->srv;
	int64_t period = clock_from_seconds(srv->settings.value.idle_period), looked = clock_now();
	uint64_t events = srv->loop->stats.events;
	int r = 0;

	while (r == 0 && srv->stop == STOP_NOT && !crowd_has_had_its_share(crowd)) {
		int64_t now = clock_now();

		if (crowd->quiet_since == 0)
			crowd->quiet_since = now;
		if (srv->loop->stats.events != events) {
			events = srv->loop->stats.events;
			looked = now;
		} else if (now - looked >= period) {
			looked = now;
			worker_idle_turn(srv, now - crowd->quiet_since);
		}
		if (srv->stop == STOP_NOT)
			r = turn(srv, clock_to_seconds(clock_after(looked, period) - now));
	}
	return r;
}

HOT static int
work_until_told(struct crowd *crowd)
{
	struct tend_server *srv = crowd->srv;
	int r = 0;

	if (worker_wants_idle_turns(srv))
		return work_with_idle_turns(crowd);
	while (r == 0 && srv->stop == STOP_NOT && !crowd_has_had_its_share(crowd))
		r = turn(srv, -1);
	return r;
}

/* ---- the end ---- */

/* Clients that are served are served to their end (NS-SHD-05), unless there is no time for that. */
static int
finish(struct crowd *crowd)
{
	struct tend_server *srv = crowd->srv;
	int64_t until = CLOCK_NEVER, now;
	int r = 0;

	while (r == 0 && !crowd_is_empty(crowd)) {
		now = clock_now();
		if (srv->stop == STOP_NOW && until == CLOCK_NEVER) {
			until = worker_last_moment(srv, now);
			crowd_dismiss(crowd);
		}
		if (now >= until)
			break;
		r = turn(srv, until == CLOCK_NEVER ? -1 : clock_to_seconds(until - now));
	}
	if (!crowd_is_empty(crowd)) {
		crowd_cut_off(crowd);
		tend_loop_turn(srv->loop, 0);
	}
	return r;
}

/* What is left of it ends with the process. */
static int
work(struct tend_server *srv, unsigned long most)
{
	struct worker *w = calloc(1, sizeof(*w));
	int r;

	if (w == NULL)
		return server_fail(srv, EX_OSERR, -ENOMEM, "out of memory");
	r = open_worker(w, srv, most);
	serve_watch_loop(srv);
	if (r == 0)
		r = work_until_told(&w->crowd);
	board_leave(srv->board);
	inlets_close(&w->in);
	parcels_close(srv->parcels);
	serve_let_go_of_listeners(srv);
	if (r == 0)
		r = finish(&w->crowd);
	tend_watch_stop(&w->lifeline);
	return r;
}

static const char *const defaults[] = { "max_requests", "0", "check_for_dead", "30", NULL };

const struct personality personality_multiplex = {
	.name = "Multiplex",
	.traits = PERSONALITY_FORKS | PERSONALITY_WORKERS | PERSONALITY_MANY | PERSONALITY_EVENTED,
	.defaults = defaults,
	.prepare = workers_prepare,
	.open = workers_open,
	.loop = master_loop,
	.manage = workers_manage,
	.work = work,
	.close = master_close,
	.resize = workers_resize,
	.servers = workers_servers,
};
