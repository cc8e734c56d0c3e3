/*
 * The service of test_transport.py: a transport of its own, put on by a word of the client or, with the
 * option `at_once`, in `accepted`. Every byte on the wire is changed by it (tests/unit/scramble.h).
 *
 * Each line of a client is answered with one:
 *
 *	start     "go ahead" as before; then "result N" in the new way
 *	stop      "result N" in the old way
 *	print     by printf
 *	program   "done"; and a child program writes to standard output
 *	exec      "result N" if a program cannot have the client
 *	else      comes back
 *
 * `fibers` as the first word leaves out the evented handler.
 */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <tend/tend.h>

#include "../unit/scramble.h"

#define KEY 0x80 /* no letter stays one */

static bool at_once;

static const struct tend_option options[] = {
	{ "at_once", TEND_INTO(&at_once), .value = "no", .help = "from the first byte on" },
	TEND_END
};

static void
forget(struct tend_conn *c)
{
	free(scramble_of(c));
}

static const struct tend_transport kind = {
	.name = "scrambling",
	.read = scramble_read,
	.write = scramble_write,
	.pending = tend_below_pending,
	.shutdown = scramble_shutdown,
	.done = forget,
};

static int
put_on(struct tend_conn *c)
{
	struct scramble *s = calloc(1, sizeof(*s));

	if (s == NULL)
		return -ENOMEM;
	s->key = KEY;
	return tend_conn_set_transport(c, &kind, s);
}

static void
start_later(struct tend_conn *c, void *arg, int status)
{
	(void)arg;
	if (status == 0)
		tend_printf(c, "result %d\n", put_on(c));
}

/* Where calls do not wait the place is behind the word. */
static void
start(struct tend_conn *c)
{
	tend_printf(c, "go ahead\n");
	if (tend_flush(c) == -EAGAIN)
		tend_conn_after_write(c, start_later, NULL);
	else
		tend_printf(c, "result %d\n", put_on(c));
}

static void
stop(struct tend_conn *c)
{
	tend_printf(c, "result %d\n", tend_conn_set_transport(c, NULL, NULL));
}

static void
print(struct tend_conn *c)
{
	(void)c;
	printf("by printf\n");
}

static void
program(struct tend_conn *c)
{
	fflush(stdout);
	if (system("echo by a program") != 0)
		tend_printf(c, "failed\n");
	tend_printf(c, "done\n");
}

static void
exec(struct tend_conn *c)
{
	char *words[] = { (char *)"echo", (char *)"by a program", NULL };
	int r = tend_conn_exec(c, words, NULL);

	if (r < 0)
		tend_printf(c, "result %d\n", r);
}

static const struct {
	const char *word;
	void (*act)(struct tend_conn *c);
} words[] = {
	{ "start", start }, { "stop", stop }, { "print", print }, { "program", program }, { "exec", exec },
};

static void
converse(struct tend_conn *c)
{
	char *line;
	size_t i;

	while (tend_getline(c, &line) > 0) {
		for (i = 0; i < sizeof(words) / sizeof(words[0]); i++)
			if (strcmp(line, words[i].word) == 0)
				break;
		if (i < sizeof(words) / sizeof(words[0]))
			words[i].act(c);
		else
			tend_printf(c, "%s\n", line);
	}
}

static void
accepted(struct tend_conn *c)
{
	int r = at_once ? put_on(c) : 0;

	if (r < 0)
		tend_log(tend_conn_server(c), TEND_LOG_WARNING, "No transport: %s", strerror(-r));
}

static void
denied(struct tend_conn *c)
{
	tend_printf(c, "denied\n");
}

static const struct tend_service evented = {
	.name = "transports",
	.options = options,
	.hooks.accepted = accepted,
	.hooks.denied = denied,
	.hooks.process = converse,
	.hooks.readable = converse,
};

static const struct tend_service fibers = {
	.name = "transports",
	.options = options,
	.hooks.accepted = accepted,
	.hooks.denied = denied,
	.hooks.process = converse,
};

int
main(int argc, char **argv)
{
	if (argc < 2 || strcmp(argv[1], "fibers") != 0)
		return tend_main(argc, argv, &evented);
	argv[1] = argv[0];
	return tend_main(argc - 1, argv + 1, &fibers);
}
