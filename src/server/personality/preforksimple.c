/* PreForkSimple: a constant number of workers, each accepting for itself. */
#include "base/clock.h"
#include "server/master.h"
#include "server/personality.h"

static int64_t
manage(struct tend_server *srv, int64_t now)
{
	struct master_tally t = master_count(srv);
	unsigned most = (unsigned)srv->settings.value.max_servers, room = master_room(srv);
	/* Those that are leaving still serve: there are never more than the maximum. */
	unsigned have = t.waiting + t.busy + t.leaving;
	int64_t pause = master_may_spawn(srv, now);

	if (most > room)
		most = room;
	if (have < most && pause == 0) {
		master_start_workers(srv, most - have);
		pause = master_may_spawn(srv, now);
	}
	return pause > 0 ? clock_after(now, pause) : CLOCK_NEVER;
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
	.close = master_close,
	.resize = resize,
};
