/*
 * The service of test_limits.py: its farewell names the limit, and it answers what the server has
 * counted. Each line of a client is answered with one: `pid`, `refused` (how many, by reason),
 * `set NAME VALUE`; `bye` ends it from our side; anything else comes back.
 */
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include <tend/tend.h>

static bool silent;

static const struct tend_option options[] = {
	{ "silent", TEND_INTO(&silent), .help = "no farewell" },
	TEND_END
};

static const char *const reasons[TEND_REFUSALS] = {
	"none", "servers", "connections", "source", "rate",
};

static void
full(struct tend_conn *c)
{
	if (!silent)
		tend_printf(c, "farewell %s: %s\n", tend_peer_host(c), reasons[tend_conn_refusal(c)]);
}

static void
closed(struct tend_conn *c)
{
	if (tend_conn_refusal(c) != TEND_REFUSAL_NONE)
		tend_log(tend_conn_server(c), TEND_LOG_INFO, "Closed %s: %s", tend_peer_host(c),
		    reasons[tend_conn_refusal(c)]);
}

static void
say_refused(struct tend_conn *c)
{
	const struct tend_server *srv = tend_conn_server(c);
	enum tend_refusal why;

	for (why = TEND_REFUSAL_SERVERS; why < TEND_REFUSALS; why++)
		tend_printf(c, "%s=%lu ", reasons[why], tend_server_refused(srv, why));
	tend_printf(c, "\n");
}

static void
set(struct tend_conn *c, char *pair)
{
	char *name = strsep(&pair, " ");
	int r = tend_server_set(tend_conn_server(c), name, pair != NULL ? pair : "");

	tend_printf(c, "%s\n", r < 0 ? strerror(-r) : "done");
}

static void
process(struct tend_conn *c)
{
	char *line;

	while (tend_getline(c, &line) > 0) {
		if (strcmp(line, "pid") == 0)
			tend_printf(c, "%ld\n", (long)getpid());
		else if (strcmp(line, "refused") == 0)
			say_refused(c);
		else if (strncmp(line, "set ", 4) == 0)
			set(c, line + 4);
		else if (strcmp(line, "bye") == 0)
			return;
		else
			tend_printf(c, "%s\n", line);
	}
}

static const struct tend_service service = {
	.name = "limits",
	.options = options,
	.hooks.full = full,
	.hooks.process = process,
	.hooks.closed = closed,
};

int
main(int argc, char **argv)
{
	return tend_main(argc, argv, &service);
}
