/*
 * A service of test_lookups.py: every hook of a connection tells the log the peer's name, and the
 * client is sent it. With LOOKUPS_EVENTED in the environment it is an evented service; a line of its
 * client goes to all clients.
 */
#include <stdlib.h>

#include <tend/tend.h>

static void
tell(struct tend_conn *c, const char *hook)
{
	const char *name = tend_peer_name(c);

	tend_log(tend_conn_server(c), TEND_LOG_NOTICE, "%s: %s", hook, name != NULL ? name : "-");
}

static void
accepted(struct tend_conn *c)
{
	tell(c, "accepted");
}

static void
greet(struct tend_conn *c)
{
	const char *name = tend_peer_name(c);

	tend_printf(c, "%s\n", name != NULL ? name : "-");
}

static bool is_evented;

static bool
allow(struct tend_conn *c)
{
	tell(c, "allow");
	if (is_evented)
		greet(c);
	return true;
}

static void
denied(struct tend_conn *c)
{
	tell(c, "denied");
}

static void
process(struct tend_conn *c)
{
	char *line;

	tell(c, "process");
	greet(c);
	while (tend_getline(c, &line) > 0)
		;
}

static void
readable(struct tend_conn *c)
{
	struct tend_conn *to;
	char *line;

	while (tend_getline(c, &line) > 0)
		for (to = tend_conn_first(tend_conn_server(c)); to != NULL; to = tend_conn_next(to))
			tend_printf(to, "%s\n", line);
}

static void
processed(struct tend_conn *c, bool was_allowed)
{
	(void)was_allowed;
	tell(c, "processed");
}

static void
closed(struct tend_conn *c)
{
	tell(c, "closed");
}

static struct tend_service service = {
	.name = "lookups",
	.hooks = {
		.accepted = accepted,
		.allow = allow,
		.denied = denied,
		.process = process,
		.processed = processed,
		.closed = closed,
	},
};

int
main(int argc, char **argv)
{
	is_evented = getenv("LOOKUPS_EVENTED") != NULL;
	if (is_evented)
		service.hooks.readable = readable;
	return tend_main(argc, argv, &service);
}
