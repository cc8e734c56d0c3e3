/*
 * The shortest way in, as Net::Waiter's users know it: prefork, maxfork, nofork, timeout, px_idle,
 * prop_sigusr, debug. A server that uses one of the first three behaves as Net::Waiter's did
 * wherever that differs from Net::Server's; each difference is an option of its own.
 */
#include "server/waiter.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>

#define MAXFORK 1024
#define TIMEOUT 4.0
#define TIMEOUT_MIN 1.0
#define TIMEOUT_MAX 3600.0
#define PX_IDLE 31.0

static bool
speaks_waiter(const struct tend_config *c)
{
	return c->prefork != 0 || c->maxfork != 0 || c->nofork;
}

const char *
waiter_personality(const struct tend_server *srv)
{
	const struct tend_config *c = &srv->settings.value;

	if (!speaks_waiter(c))
		return NULL;
	return c->prefork != 0 ? "PreFork" : c->nofork ? "Single" : "Fork";
}

static int
set_default(struct tend_server *srv, const char *option, const char *value)
{
	return options_set(srv->options, SOURCE_BUILT_IN, "default of Net::Waiter", option, value,
	    &srv->error);
}

static int
set_number(struct tend_server *srv, const char *option, double value)
{
	char text[32];

	snprintf(text, sizeof(text), "%.10g", value);
	return set_default(srv, option, text);
}

/* NW-04 to -06: `-8` is prefork 8 and, unless maxfork says otherwise, maxfork 8. */
static int
set_servers(struct tend_server *srv)
{
	const struct tend_config *c = &srv->settings.value;
	int prefork = abs(c->prefork);
	int most = c->maxfork > 0 ? c->maxfork : c->prefork < 0 ? prefork : MAXFORK;
	int r = set_number(srv, "max_servers", most);

	if (r == 0 && prefork > 0)
		r = set_number(srv, "min_servers", prefork < most ? prefork : most);
	return r;
}

static double
clamp(double value, double least, double most)
{
	return value < least ? least : value > most ? most : value;
}

/* NW-08 and -09. */
static int
set_times(struct tend_server *srv, bool all)
{
	const struct tend_config *c = &srv->settings.value;
	int r = 0;

	if (all || c->timeout != 0)
		r = set_number(srv, "idle_period",
		    c->timeout == 0 ? TIMEOUT : clamp(c->timeout, TIMEOUT_MIN, TIMEOUT_MAX));
	if (r == 0 && (all || c->px_idle != 0))
		r = set_number(srv, "worker_idle_timeout", c->px_idle < 1 ? PX_IDLE : c->px_idle);
	return r;
}

/* Where the models differ. */
static int
set_policies(struct tend_server *srv)
{
	static const char *const pairs[][2] = {
		{ "full", "refuse" },          { "growth", "tenth" },
		{ "child_stop", "finish" },    { "hup", "hook" },
		{ "accepted_in_parent", "1" }, { "process_titles", "1" },
		{ "max_requests", "0" },       { "listen", "128" },
	};
	size_t i;
	int r = 0;

	for (i = 0; r == 0 && i < sizeof(pairs) / sizeof(pairs[0]); i++)
		r = set_default(srv, pairs[i][0], pairs[i][1]);
	/* A hook that asks for them is stronger than a model that knows no such hook (NW-62b). */
	if (r == 0 && srv->hooks->stranger_died == NULL)
		r = set_default(srv, "strangers", "leave");
	return r;
}

int
waiter_translate(struct tend_server *srv)
{
	const struct tend_config *c = &srv->settings.value;
	bool all = speaks_waiter(c);
	int r;

	if (c->nofork && c->prefork != 0)
		return server_fail(srv, EX_CONFIG, -EINVAL,
		    "nofork and prefork (%d) contradict each other; say one of them", c->prefork);
	r = set_times(srv, all);
	if (r == 0 && c->debug)
		r = set_default(srv, "log_level", "4");
	if (r == 0 && all)
		r = set_servers(srv);
	if (r == 0 && all)
		r = set_policies(srv);
	return r;
}
