/*
 * Thread: many clients in one process, each in a thread of its own. `workers` such processes share
 * the listeners. The threads are the crew's; here are the main thread of a worker, which has the
 * loop (signals, the end of the parent, clients that were let go of), and what the master does
 * besides looking after workers.
 */
#include <errno.h>
#include <signal.h>
#include <stdlib.h>

#include "base/clock.h"
#include "server/accept.h"
#include "server/child.h"
#include "server/crew.h"
#include "server/master.h"
#include "server/personality.h"
#include "server/serve.h"
#include "server/worker.h"
#include "server/workers.h"

/* Handlers that are to end are told again so often. */
#define CANCEL_AGAIN 0.02

/* A worker, as its main thread sees it. */
struct shift {
	struct crew        crew; /* first: it is aligned */
	struct tend_server *srv;
	struct tend_timer  pause; /* listeners that are in trouble are left alone */
	struct tend_watch  lifeline;
};

static unsigned
clients_now(const struct tend_server *srv)
{
	return board_clients_of(srv->board, srv->birth->slot);
}

/* ---- turns ---- */

static void
look_for_trouble(struct shift *s)
{
	size_t i;

	for (i = 0; !tend_timer_running(&s->pause) && i < s->crew.inlet_count; i++) {
		struct crew_inlet *in = &s->crew.inlets[i];
		int code = atomic_load(&in->trouble);

		if (code == 0)
			continue;
		accept_report(s->srv, in->listener, code);
		tend_timer_start(s->srv->loop, &s->pause, ACCEPT_PAUSE);
	}
}

static void
pause_over(struct tend_timer *t)
{
	struct shift *s = t->data;
	size_t i;

	for (i = 0; i < s->crew.inlet_count; i++)
		if (atomic_load(&s->crew.inlets[i].trouble) != 0)
			crew_try_again(&s->crew, &s->crew.inlets[i]);
}

/* A turn of the loop, and whatever the threads have left to do. */
static int
turn(struct shift *s, double seconds)
{
	struct tend_server *srv = s->srv;
	int r;

	r = accept_turn(srv, seconds);
	if (r < 0)
		return r;
	if (srv->stop == STOP_NOT)
		look_for_trouble(s);
	return crew_attend(&s->crew);
}

/* ---- working ---- */

/* Clients that come and go are not the main thread's to see: it looks at what was counted. */
static int
work_with_idle_turns(struct shift *s)
{
	struct tend_server *srv = s->srv;
	int64_t period = clock_from_seconds(srv->settings.value.idle_period);
	int64_t now = clock_now(), looked = now, quiet_since = now;
	unsigned long requests = 0;
	unsigned clients = 0;
	int r = 0;

	while (r == 0 && srv->stop == STOP_NOT) {
		int64_t until = clock_after(looked, period);

		r = turn(s, until > now ? clock_to_seconds(until - now) : 0);
		now = clock_now();
		if (now < until)
			continue;
		looked = now;
		if (srv->requests == requests && clients_now(srv) == clients) {
			worker_idle_turn(srv, now - quiet_since);
			continue;
		}
		requests = srv->requests;
		clients = clients_now(srv);
		quiet_since = now;
	}
	return r;
}

static int
work_until_told(struct shift *s)
{
	struct tend_server *srv = s->srv;
	int r = 0;

	if (worker_wants_idle_turns(srv))
		return work_with_idle_turns(s);
	while (r == 0 && srv->stop == STOP_NOT)
		r = turn(s, -1);
	return r;
}

/*
 * Clients that are served are served to their end (NS-SHD-05), unless there is no time for that. A
 * handler that neither ends nor waits ends with the process.
 */
static int
finish(struct shift *s)
{
	struct tend_server *srv = s->srv;
	int64_t until = CLOCK_NEVER, now;
	int r = 0;

	while (r == 0 && !crew_is_empty(&s->crew)) {
		now = clock_now();
		if (srv->stop == STOP_NOW && until == CLOCK_NEVER)
			until = worker_last_moment(srv, now);
		if (now >= until)
			break;
		if (srv->stop == STOP_NOW)
			crew_cancel(&s->crew);
		r = turn(s, srv->stop == STOP_NOW ? CANCEL_AGAIN : -1);
	}
	return r;
}

static int
open_shift(struct shift *s, struct tend_server *srv, unsigned long most)
{
	int r = crew_open(&s->crew, srv, most);

	s->srv = srv;
	tend_timer_init(&s->pause, pause_over, s);
	return r < 0 ? r : worker_come_up(srv, &s->lifeline);
}

/* What is left of it ends with the process: some of its threads may still look at it. */
static int
work(struct tend_server *srv, unsigned long most)
{
	struct shift *s = aligned_alloc(_Alignof(struct shift), sizeof(*s));
	int r;

	if (s == NULL)
		return server_fail(srv, EX_OSERR, -ENOMEM, "out of memory");
	r = open_shift(s, srv, most);
	if (r == 0)
		r = work_until_told(s);
	if (r < 0)
		return r;
	board_leave(srv->board);
	tend_timer_stop(&s->pause);
	crew_close_door(&s->crew);
	r = finish(s);
	tend_watch_stop(&s->lifeline);
	return r;
}

/* ---- the master ---- */

/* Of each worker. */
static unsigned
servers(struct tend_server *srv)
{
	return (unsigned)srv->settings.value.max_servers;
}

static int
open_thread(struct tend_server *srv)
{
	unsigned most = servers(srv);
	int r = workers_open(srv);

	if (r < 0)
		return r;
	/* As for children: more than is allowed now, for TTIN. */
	r = lanes_new(&srv->lanes, board_slots(srv->board), 2 * most + 64);
	if (r < 0)
		return server_fail(srv, EX_OSERR, r, "no memory for %u threads: %s (option max_servers)",
		    most, error_reason(r));
	lanes_allow(srv->lanes, most);
	return 0;
}

static void
close_thread(struct tend_server *srv)
{
	master_close(srv);
	lanes_free(srv->lanes);
	srv->lanes = NULL;
}

/* What was said of max_servers since the last turn holds from now on. */
static int64_t
manage(struct tend_server *srv, int64_t now)
{
	lanes_allow(srv->lanes, servers(srv));
	return workers_manage(srv, now);
}

/* As Fork's: how many clients at once, of each worker (NS-THR-06). */
static void
resize(struct tend_server *srv, int by)
{
	unsigned most = master_move_limit(srv, by);

	if (most == 0)
		return;
	lanes_allow(srv->lanes, most);
	tend_log(srv, TEND_LOG_INFO, "At most %u clients at once now (option max_servers)", most);
	master_signal_workers(srv, SIGTTIN);
}

static const char *const defaults[] = { "max_servers", "256", "max_requests", "0", "check_for_dead",
	"30", NULL };

const struct personality personality_thread = {
	.name = "Thread",
	.traits = PERSONALITY_FORKS | PERSONALITY_WORKERS | PERSONALITY_MANY | PERSONALITY_THREADS,
	.defaults = defaults,
	.prepare = workers_prepare,
	.open = open_thread,
	.loop = master_loop,
	.manage = manage,
	.work = work,
	.close = close_thread,
	.resize = resize,
	.servers = servers,
};
