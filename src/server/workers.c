/* Keeping a constant number of workers that have many clients. */
#include "server/workers.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <strings.h>
#include <unistd.h>

#include "base/clock.h"
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

/* One that is leaving may have clients for a long time yet: its successor does not wait for that. */
int64_t
workers_manage(struct tend_server *srv, int64_t now)
{
	struct master_tally t = master_count(srv);

	return master_keep_workers(srv, t.waiting + t.busy, (unsigned)srv->workers, now);
}

int
workers_loop(struct tend_server *srv)
{
	return master_loop(srv, workers_manage);
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
	if (by < 0)
		master_retire_workers(srv, (unsigned)-by, true, clock_now());
}

unsigned
workers_servers(struct tend_server *srv)
{
	return (unsigned)srv->workers;
}
