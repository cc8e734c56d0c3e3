/* Keeping a constant number of workers that have many clients. */
#include "server/workers.h"

#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <strings.h>
#include <unistd.h>

#include "server/master.h"

#define WORKERS_MAX 1024

/* One for each processor that this process may use. */
static int
processors(void)
{
	long n = sysconf(_SC_NPROCESSORS_ONLN);

	return n < 1 ? 1 : n > WORKERS_MAX ? WORKERS_MAX : (int)n;
}

int
workers_prepare(struct tend_server *srv)
{
	const char *text = srv->settings.value.workers;
	char *end;
	long n;

	if (strcasecmp(text, "auto") == 0) {
		srv->workers = processors();
		return 0;
	}
	n = strtol(text, &end, 10);
	if (end == text || *end != '\0' || n < 1 || n > WORKERS_MAX)
		return server_fail(srv, EX_CONFIG, -EINVAL,
		    "workers '%s' is neither a number from 1 to %d nor auto", text, WORKERS_MAX);
	srv->workers = (int)n;
	return 0;
}

int
workers_open(struct tend_server *srv)
{
	return master_open(srv, (unsigned)srv->workers);
}

static struct child *
oldest_leaver(struct tend_server *srv)
{
	struct children *kids = &srv->master->children;
	struct child *oldest = NULL;
	size_t i;

	for (i = 0; i < kids->count; i++) {
		struct child *child = &kids->list[i];

		if (child->kind == TEND_CHILD_WORKER && child->slot != CHILD_WITHOUT_SLOT &&
		    child->ending == 0 &&
		    (child->leaving || board_is_leaving(srv->board, child->slot)) &&
		    (oldest == NULL || child->started < oldest->started))
			oldest = child;
	}
	return oldest;
}

/*
 * Workers that retire keep their places for as long as their clients stay. When that has gone on
 * until there is no place for a successor, the one that has had the most time is ended.
 */
static void
make_room(struct tend_server *srv, int64_t now)
{
	struct child *child;

	if (children_serving(&srv->master->children) < master_room(srv))
		return;
	child = oldest_leaver(srv);
	if (child == NULL)
		return;
	tend_log(srv, TEND_LOG_WARNING,
	    "Worker %ld retires, and its clients stay; ending it to make room for another",
	    (long)child->pid);
	child->ending = now;
	kill(child->pid, SIGTERM);
}

/* One that is leaving may have clients for a long time yet: its successor does not wait for that. */
int64_t
workers_manage(struct tend_server *srv, int64_t now)
{
	struct master_tally t = master_count(srv);
	unsigned serving = t.waiting + t.busy;
	/* Some are to be replaced, and do not leave before their successors have come. */
	unsigned wanted = (unsigned)srv->workers + srv->master->renewal.ahead;

	if (serving > wanted)
		master_retire_workers(srv, serving - wanted, true, now);
	if (serving < wanted)
		make_room(srv, now);
	return master_keep_workers(srv, serving, wanted, now);
}

void
workers_resize(struct tend_server *srv, int by)
{
	int wanted = srv->workers + by;
	char text[16];

	if (wanted < 1 || wanted > WORKERS_MAX || (by > 0 && (unsigned)wanted > master_room(srv)))
		return;
	snprintf(text, sizeof(text), "%d", wanted);
	/* Where the next change of an option finds it. */
	if (options_set(srv->options, SOURCE_CODE, "resized", "workers", text, NULL) < 0)
		return;
	srv->workers = wanted;
	tend_log(srv, TEND_LOG_INFO, "%d workers from now on (option workers)", wanted);
}

unsigned
workers_servers(struct tend_server *srv)
{
	return (unsigned)srv->workers;
}
