/* PreForkSimple: a constant number of workers, each accepting for itself. */
#include "base/clock.h"
#include "server/accept.h"
#include "server/master.h"
#include "server/personality.h"

static unsigned
servers(struct tend_server *srv)
{
	return (unsigned)srv->settings.value.max_servers;
}

static int64_t
manage(struct tend_server *srv, int64_t now)
{
	struct master_tally t = master_count(srv);
	unsigned most = servers(srv), serving = t.waiting + t.busy;

	/* Fewer than before are wanted: preferably those that serve nobody at the moment, and never a
	   dequeue child (NS-PFS-16). */
	if (serving > most)
		master_retire_workers(srv, serving - most, true, now);
	/* Those that are leaving still serve: there are never more than the maximum. */
	return master_keep_workers(srv, serving + t.leaving, most, now);
}

static void
resize(struct tend_server *srv, int by)
{
	unsigned most = master_move_limit(srv, by);

	if (most != 0)
		tend_log(srv, TEND_LOG_INFO, "%u workers from now on (option max_servers)", most);
}

static int
open_pool(struct tend_server *srv)
{
	return master_open(srv, (unsigned)srv->settings.value.max_servers);
}

static const char *const defaults[] = { "max_servers", "50", "check_for_dead", "30", NULL };

const struct personality personality_preforksimple = {
	.name = "PreForkSimple",
	.traits = PERSONALITY_FORKS | PERSONALITY_WORKERS,
	.defaults = defaults,
	.open = open_pool,
	.loop = master_loop,
	.manage = manage,
	.work = accept_work,
	.close = master_close,
	.resize = resize,
	.servers = servers,
};
