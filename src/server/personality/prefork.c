/*
 * PreFork: workers that accept for themselves, as many as the load asks for between a minimum and a
 * maximum. The arithmetic is process/pool.c's; here it is fed from the board and carried out.
 */
#include <errno.h>
#include <stdio.h>

#include "base/clock.h"
#include "process/pool.h"
#include "server/master.h"
#include "server/personality.h"

/* ---- the limits ---- */

static bool
was_given(struct tend_server *srv, const char *option)
{
	return options_source(srv->options, option) > SOURCE_BUILT_IN;
}

static int
least(int a, int b)
{
	return a < b ? a : b;
}

static unsigned
least_of(int a, unsigned b)
{
	return (unsigned)a < b ? (unsigned)a : b;
}

/* Uses `value` where nothing was said, and lets `dump` and tend_server_get() know. */
static void
complete_one(struct tend_server *srv, const char *option, int *limit, int value)
{
	char text[16];

	if (was_given(srv, option))
		return;
	*limit = value;
	snprintf(text, sizeof(text), "%d", value);
	options_set(srv->options, SOURCE_BUILT_IN, "default", option, text, NULL);
}

/* What was not said follows from what was (NS-PF-01 to -03). */
static void
complete(struct tend_server *srv)
{
	struct tend_config *c = &srv->settings.value;

	complete_one(srv, "min_servers", &c->min_servers, least(5, c->max_servers));
	complete_one(srv, "max_spare_servers", &c->max_spare_servers,
	    c->max_servers <= 10 ? c->max_servers - 1 : 10);
	complete_one(srv, "min_spare_servers", &c->min_spare_servers,
	    least(2, least(c->min_servers, c->max_spare_servers)));
}

static int
inconsistent(struct tend_server *srv, const char *a, int a_value, const char *what, const char *b,
	int b_value)
{
	return server_fail(srv, EX_CONFIG, -EINVAL, "%s (%d) must %s %s (%d)", a, a_value, what, b,
	    b_value);
}

/* NS-PF-11 and -12. */
static int
prepare(struct tend_server *srv)
{
	const struct tend_config *c = &srv->settings.value;

	if (c->max_servers < 1)
		return inconsistent(srv, "max_servers", c->max_servers, "not be less than", "one", 1);
	if (!srv->policy.grow_by_tenth)
		complete(srv);
	if (c->min_servers > c->max_servers)
		return inconsistent(srv, "min_servers", c->min_servers, "not be greater than",
		    "max_servers", c->max_servers);
	/* Where nobody is kept in reserve there is nothing more to be consistent. */
	if (srv->policy.grow_by_tenth)
		return 0;
	if (c->max_spare_servers >= c->max_servers)
		return inconsistent(srv, "max_spare_servers", c->max_spare_servers, "be less than",
		    "max_servers", c->max_servers);
	if (c->min_spare_servers > c->min_servers)
		return inconsistent(srv, "min_spare_servers", c->min_spare_servers,
		    "not be greater than", "min_servers", c->min_servers);
	if (c->min_spare_servers > c->max_spare_servers)
		return inconsistent(srv, "min_spare_servers", c->min_spare_servers,
		    "not be greater than", "max_spare_servers", c->max_spare_servers);
	return 0;
}

static struct pool_limits
limits(struct tend_server *srv)
{
	const struct tend_config *c = &srv->settings.value;

	return (struct pool_limits){
		/* With none at all nobody would ever be served. */
		.min_servers = c->min_servers > 0 ? (unsigned)c->min_servers : 1,
		.min_spare = (unsigned)c->min_spare_servers,
		.max_spare = (unsigned)c->max_spare_servers,
		.max_servers = least_of(c->max_servers, master_room(srv)),
		.check_for_waiting = clock_from_seconds(c->check_for_waiting),
		.min_child_ttl = clock_from_seconds(c->min_child_ttl),
		.idle_to_minimum = clock_from_seconds(c->idle_to_minimum),
		.dismiss_interval = clock_from_seconds(c->dismiss_interval),
	};
}

/* ---- the pool ---- */

static struct pool_plan
decide(struct tend_server *srv, const struct pool_limits *l, const struct pool_view *view,
	int64_t now)
{
	if (srv->policy.grow_by_tenth)
		return (struct pool_plan){
			.start = pool_grow_by_tenth(l, view),
			.again = CLOCK_NEVER,
		};
	return pool_decide(l, view, srv->personality_state, now);
}

/* At the maximum there is nothing that waking us would change. */
static void
ask_to_be_woken(struct tend_server *srv, const struct pool_limits *l, const struct pool_view *view,
	unsigned started)
{
	unsigned below = srv->policy.grow_by_tenth ? pool_tenth(view) : l->min_spare;

	if (view->waiting + view->busy + view->leaving + started >= l->max_servers)
		below = 0;
	board_wake_below(srv->board, below);
}

static int64_t
manage(struct tend_server *srv, int64_t now)
{
	struct pool_limits l = limits(srv);
	struct master_tally t = master_count(srv);
	struct pool_view view = {
		.waiting = t.waiting,
		.busy = t.busy,
		.leaving = t.leaving,
		.last_busy = board_last_busy(srv->board),
	};
	int64_t pause = master_may_spawn(srv, now);
	struct pool_plan plan;

	/* While no child may be started there is nothing to decide. */
	if (pause > 0)
		return clock_after(now, pause);
	plan = decide(srv, &l, &view, now);
	ask_to_be_woken(srv, &l, &view, plan.start);
	master_start_workers(srv, plan.start);
	master_retire_workers(srv, plan.dismiss, false, now);
	pause = master_may_spawn(srv, now);
	return pause > 0 && clock_after(now, pause) < plan.again ? clock_after(now, pause) : plan.again;
}

/* NS-PF-45: minimum and maximum move together; the spare limits stay below the maximum. */
static void
resize(struct tend_server *srv, int by)
{
	struct tend_config *c = &srv->settings.value;

	if (c->max_servers + by < 1 ||
	    (by > 0 && (unsigned)(c->max_servers + by) > master_room(srv)))
		return;
	c->max_servers += by;
	c->min_servers = least(c->min_servers + by > 0 ? c->min_servers + by : 1, c->max_servers);
	c->max_spare_servers = least(c->max_spare_servers, c->max_servers - 1);
	c->min_spare_servers =
	    least(c->min_spare_servers, least(c->min_servers, c->max_spare_servers));
	tend_log(srv, TEND_LOG_INFO,
	    "%d to %d workers from now on (options min_servers, max_servers)", c->min_servers,
	    c->max_servers);
}

static int
open_pool(struct tend_server *srv)
{
	int64_t now = clock_now();

	*(struct pool_times *)srv->personality_state =
	    (struct pool_times){ .begun = now, .started = now, .dismissed = now, .looked = now };
	return master_open(srv, (unsigned)srv->settings.value.max_servers);
}

static int
loop(struct tend_server *srv)
{
	return master_loop(srv, manage);
}

static const char *const defaults[] = { "max_servers", "50", "check_for_dead", "30", NULL };

const struct personality personality_prefork = {
	.name = "PreFork",
	.traits = PERSONALITY_FORKS | PERSONALITY_WORKERS,
	.defaults = defaults,
	.prepare = prepare,
	.state_size = sizeof(struct pool_times),
	.open = open_pool,
	.loop = loop,
	.close = master_close,
	.resize = resize,
};
