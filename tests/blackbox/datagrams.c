/*
 * A service for datagrams: `datagrams hook ...` serves them in the hook `datagram`, `datagrams
 * process ...` with the handler of all connections, and `datagrams only ...` serves nothing else.
 * What a datagram says is done.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include <tend/tend.h>

static bool refuse;

static const struct tend_option options[] = {
	{ "refuse", TEND_INTO(&refuse), .help = "the hook allow denies everybody" },
	TEND_END
};

static bool
is(const char *word, const void *data, size_t size)
{
	return size == strlen(word) && memcmp(data, word, size) == 0;
}

static void
write_long(struct tend_conn *c)
{
	static char much[30000];
	int i;

	for (i = 0; i < 3; i++)
		tend_write(c, much, sizeof(much));
}

static void
write_pieces(struct tend_conn *c)
{
	tend_printf(c, "one ");
	tend_flush(c);
	tend_printf(c, "datagram");
}

static void
change_mind(struct tend_conn *c)
{
	tend_printf(c, "never seen");
	tend_abort(c);
}

static void
ask_elsewhere(struct tend_conn *c, const char *where)
{
	struct tend_conn *there;
	char *line = NULL;

	if (tend_connect(c, where, 5, &there) < 0)
		return;
	tend_printf(there, "hello\n");
	if (tend_getline(there, &line) > 0)
		tend_printf(c, "they say %s", line);
}

/* What both kinds understand; the rest comes back. */
static void
answer(struct tend_conn *c, const void *data, size_t size)
{
	if (is("who", data, size))
		tend_printf(c, "%s %s %s", tend_conn_proto(c), tend_peer(c), tend_local(c));
	else if (is("long", data, size))
		write_long(c);
	else if (is("silence", data, size))
		return;
	else if (is("pieces", data, size))
		write_pieces(c);
	else if (is("abort", data, size))
		change_mind(c);
	else if (is("sleep", data, size))
		tend_printf(c, "slept %d", tend_sleep(c, 0.2));
	else if (is("wait", data, size))
		tend_printf(c, "waited %d", tend_wait_readable(c, 5));
	else if (is("hold up", data, size))
		nanosleep(&(struct timespec){ .tv_nsec = 300000000 }, NULL);
	else if (is("requests", data, size))
		tend_printf(c, "%lu", tend_server_requests(tend_conn_server(c)));
	else if (size == 0)
		tend_printf(c, "nothing");
	else
		tend_write(c, data, size);
}

static void
datagram(struct tend_conn *c, const void *data, size_t size)
{
	answer(c, data, size);
}

/* Reads to the end of input, as a handler of streams does. */
static void
process(struct tend_conn *c)
{
	char *data = malloc(100000);
	size_t size = 0;
	ssize_t n;

	while (data != NULL && (n = tend_read(c, data + size, 100000 - size)) > 0)
		size += (size_t)n;
	if (size > 8 && size < 100 && memcmp(data, "connect ", 8) == 0) {
		data[size] = '\0';
		ask_elsewhere(c, data + 8);
	} else if (data != NULL) {
		answer(c, data, size);
	}
	free(data);
}

/* Of streams, under Multiplex: every byte comes back. */
static void
readable(struct tend_conn *c)
{
	char data[4096];
	ssize_t n;

	while ((n = tend_read(c, data, sizeof(data))) > 0)
		tend_write(c, data, (size_t)n);
}

static bool
allow(struct tend_conn *c)
{
	(void)c;
	return !refuse;
}

static void
denied(struct tend_conn *c)
{
	tend_printf(c, "denied");
}

static void
full(struct tend_conn *c)
{
	tend_printf(c, "full %d", tend_conn_refusal(c));
}

static void
processed(struct tend_conn *c, bool allowed)
{
	tend_log(tend_conn_server(c), TEND_LOG_DEBUG, "processed %d", allowed);
}

static void
closed(struct tend_conn *c)
{
	tend_log(tend_conn_server(c), TEND_LOG_DEBUG, "closed %s", tend_peer(c));
}

int
main(int argc, char **argv)
{
	struct tend_service service = {
		.name = "datagrams",
		.hooks = {
			.allow = allow,
			.denied = denied,
			.full = full,
			.processed = processed,
			.closed = closed,
		},
		.options = options,
	};

	if (argc > 1 && strcmp(argv[1], "process") == 0) {
		service.hooks.process = process;
	} else {
		service.hooks.datagram = datagram;
		service.hooks.readable = argc > 1 && strcmp(argv[1], "only") == 0 ? NULL : readable;
	}
	return tend_main(argc - 1, argv + 1, &service);
}
