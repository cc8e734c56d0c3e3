/*
 * PreFork: workers that accept for themselves, as many as the load asks for between a minimum and a
 * maximum. The arithmetic is process/pool.c's; here it is fed from the board and carried out.
 */
#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "base/clock.h"
#include "process/pool.h"
#include "server/accept.h"
#include "server/master.h"
#include "server/personality.h"

/* srv->personality_state */
struct pool {
	struct pool_times times;
	struct master_tally told; /* to the log */
	int               resized; /* by TTIN and TTOU */
	int               resized_from; /* the option max_servers then */
};

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

/* The options, moved by TTIN and TTOU, and consistent all the same. */
static struct pool_limits
limits(struct tend_server *srv)
{
	const struct tend_config *c = &srv->settings.value;
	struct pool *pool = srv->personality_state;
	int room = (int)master_room(srv);
	int max, min, max_spare;

	/* Who says a number at work means that number. */
	if (pool->resized_from != c->max_servers)
		pool->resized = 0;
	pool->resized_from = c->max_servers;
	max = least(c->max_servers + pool->resized, room);
	min = c->min_servers + pool->resized;
	max_spare = least(c->max_spare_servers, max > 1 ? max - 1 : 0);
	max = max > 1 ? max : 1;
	/* With none at all nobody would ever be served. */
	min = least(min > 1 ? min : 1, max);
	return (struct pool_limits){
		.min_servers = (unsigned)min,
		.min_spare = (unsigned)least(c->min_spare_servers, least(min, max_spare)),
		.max_spare = (unsigned)max_spare,
		.max_servers = (unsigned)max,
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
	return pool_decide(l, view, &((struct pool *)srv->personality_state)->times, now);
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

/* NW-131: a line for each turn in which the pool is not what it was. */
static void
log_state(struct tend_server *srv, unsigned wanted)
{
	struct pool *pool = srv->personality_state;
	struct master_tally t;

	if (!logger_wants(&srv->log, TEND_LOG_DEBUG))
		return;
	t = master_count(srv);
	if (memcmp(&pool->told, &t, sizeof(t)) == 0)
		return;
	pool->told = t;
	tend_log(srv, TEND_LOG_DEBUG,
	    "%u workers: %u busy, %u waiting, %u leaving; %u wanted; %lu clients so far",
	    t.waiting + t.busy + t.leaving, t.busy, t.waiting, t.leaving, wanted,
	    tend_server_served(srv));
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
	log_state(srv, t.waiting + t.busy + plan.start - plan.dismiss);
	pause = master_may_spawn(srv, now);
	return pause > 0 && clock_after(now, pause) < plan.again ? clock_after(now, pause) : plan.again;
}

/*
 * NS-PF-45: minimum and maximum move together. By an offset, so that as many TTIN undo as many TTOU
 * whatever limit was met on the way.
 */
static void
resize(struct tend_server *srv, int by)
{
	const struct tend_config *c = &srv->settings.value;
	struct pool *pool = srv->personality_state;
	int wanted = c->max_servers + pool->resized + by;
	struct pool_limits l;

	if (wanted < 1 || (by > 0 && (unsigned)wanted > master_room(srv)))
		return;
	pool->resized += by;
	l = limits(srv);
	tend_log(srv, TEND_LOG_INFO,
	    "%u to %u workers from now on (options min_servers, max_servers)", l.min_servers,
	    l.max_servers);
}

static unsigned
servers(struct tend_server *srv)
{
	return limits(srv).max_servers;
}

static int
open_pool(struct tend_server *srv)
{
	struct pool *pool = srv->personality_state;
	int64_t now = clock_now();

	pool->times =
	    (struct pool_times){ .begun = now, .started = now, .dismissed = now, .looked = now };
	return master_open(srv, (unsigned)srv->settings.value.max_servers);
}

static const char *const defaults[] = { "max_servers", "50", "check_for_dead", "30", NULL };

const struct personality personality_prefork = {
	.name = "PreFork",
	.traits = PERSONALITY_FORKS | PERSONALITY_WORKERS,
	.defaults = defaults,
	.prepare = prepare,
	.state_size = sizeof(struct pool),
	.open = open_pool,
	.loop = master_loop,
	.manage = manage,
	.work = accept_work,
	.close = master_close,
	.resize = resize,
	.servers = servers,
};
