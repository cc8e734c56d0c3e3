/* PreForkSimple: a constant number of workers, each accepting for itself. */
#include "base/clock.h"
#include "server/accept.h"
#include "server/master.h"
#include "server/personality.h"

static int64_t
manage(struct tend_server *srv, int64_t now)
{
	struct master_tally t = master_count(srv);

	/* Those that are leaving still serve: there are never more than the maximum. */
	return master_keep_workers(srv, t.waiting + t.busy + t.leaving,
	    (unsigned)srv->settings.value.max_servers, now);
}

static void
resize(struct tend_server *srv, int by)
{
	int *most = &srv->settings.value.max_servers;
	int wanted = *most + by;

	if (wanted < 1 || (by > 0 && (unsigned)wanted > master_room(srv)))
		return;
	*most = wanted;
	tend_log(srv, TEND_LOG_INFO, "%d workers from now on (option max_servers)", wanted);
	/* One that serves, preferably nobody at the moment, and never a dequeue child (NS-PFS-16). */
	if (by < 0)
		master_retire_workers(srv, 1, true, clock_now());
}

static int
open_pool(struct tend_server *srv)
{
	return master_open(srv, (unsigned)srv->settings.value.max_servers);
}

static int
loop(struct tend_server *srv)
{
	return master_loop(srv, manage);
}

static const char *const defaults[] = { "max_servers", "50", "check_for_dead", "30", NULL };

const struct personality personality_preforksimple = {
	.name = "PreForkSimple",
	.traits = PERSONALITY_FORKS | PERSONALITY_WORKERS,
	.defaults = defaults,
	.open = open_pool,
	.loop = loop,
	.work = accept_work,
	.close = master_close,
	.resize = resize,
};
