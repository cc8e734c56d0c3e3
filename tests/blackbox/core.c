/*
 * The service of test_core.py: takes the steps under tend_main() itself, tells what a handler can
 * see, and changes options while it runs. It has no name of its own and so gets the program's.
 *
 * Each line of a client is answered with one. `seen`: the client and the server as a handler sees
 * them; `get NAME`, `set NAME VALUE`: an option; `fail`: none, the handler gives up; anything else
 * comes back.
 *
 * The option `word` comes from five sources: CORE_CODE in the environment says it in the hook
 * `configure`, then come the command line, CORE_ARGUMENTS, the conf file and the defaults. The hook
 * `configured` logs it, and says CORE_AFTERWARDS instead if there is one.
 */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <tend/tend.h>

static char *word;

static const struct tend_option options[] = {
	{ "word", TEND_INTO(&word), .value = "built-in", .help = "any word" },
	TEND_END
};

static const char *const defaults[] = { "word", "default", NULL };

static int
configure(struct tend_server *srv)
{
	const char *said = getenv("CORE_CODE");

	return said != NULL ? tend_server_set(srv, "word", said) : 0;
}

static int
configured(struct tend_server *srv)
{
	const char *said = getenv("CORE_AFTERWARDS");

	tend_log(srv, TEND_LOG_NOTICE, "The word is %s", word);
	return said != NULL ? tend_server_set(srv, "word", said) : 0;
}

static void
say_seen(struct tend_conn *c)
{
	struct tend_server *srv = tend_conn_server(c);

	tend_printf(c, "peer=%s:%u local=%s:%u proto=%s requests=%lu child=%d parent=%ld pid=%ld\n",
	    tend_peer_host(c), tend_peer_port(c), tend_local_host(c), tend_local_port(c),
	    tend_conn_proto(c), tend_server_requests(srv), tend_server_is_child(srv),
	    (long)tend_server_parent(srv), (long)getpid());
}

static void
get(struct tend_conn *c, const char *name)
{
	const char *value = tend_server_get(tend_conn_server(c), name);

	tend_printf(c, "%s\n", value != NULL ? value : "no such option");
}

static void
set(struct tend_conn *c, char *pair)
{
	char *name = strsep(&pair, " ");
	int r = tend_server_set(tend_conn_server(c), name, pair != NULL ? pair : "");

	tend_printf(c, "%s\n", r < 0 ? strerror(-r) : "done");
}

static void
accepted(struct tend_conn *c)
{
	struct tend_server *srv = tend_conn_server(c);

	tend_log(srv, TEND_LOG_NOTICE, "Accepted as request %lu", tend_server_requests(srv));
}

static void
process(struct tend_conn *c)
{
	char *line;

	while (tend_getline(c, &line) > 0) {
		if (strcmp(line, "seen") == 0)
			say_seen(c);
		else if (strncmp(line, "get ", 4) == 0)
			get(c, line + 4);
		else if (strncmp(line, "set ", 4) == 0)
			set(c, line + 4);
		else if (strcmp(line, "fail") == 0 && tend_conn_fail(c, -EPROTO, "told to fail") < 0)
			return;
		else
			tend_printf(c, "%s\n", line);
	}
}

static void
processed(struct tend_conn *c, bool allowed)
{
	tend_log(tend_conn_server(c), TEND_LOG_NOTICE, "Processed, %s", allowed ? "allowed" : "denied");
}

static void
closed(struct tend_conn *c)
{
	tend_log(tend_conn_server(c), TEND_LOG_NOTICE, "Closed");
}

static const struct tend_service service = {
	.options = options,
	.defaults = defaults,
	.hooks.configure = configure,
	.hooks.configured = configured,
	.hooks.accepted = accepted,
	.hooks.process = process,
	.hooks.processed = processed,
	.hooks.closed = closed,
};

int
main(int argc, char **argv)
{
	const char *const pairs[] = { "word", getenv("CORE_ARGUMENTS"), NULL };
	struct tend_server *srv = tend_server_new(&service);
	int r;

	if (pairs[1] != NULL)
		tend_server_arguments(srv, pairs);
	r = tend_server_configure(srv, argc, argv);
	if (r == 0)
		r = tend_server_run(srv);
	fprintf(stderr, "%ld: run has returned %d: \"%s\"\n", (long)getpid(), r, tend_server_error(srv));
	tend_server_free(srv);
	return r < 0 ? 1 : 42;
}
