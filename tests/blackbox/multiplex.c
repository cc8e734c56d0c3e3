/*
 * What test_multiplex.py talks to: a service of lines with everything in it that one client could do
 * to the others. With MOOD=evented in the environment its hooks are called, else it runs in fibers.
 * Each hook appends its name, the client's address and the pid to the file of the option trace. With the
 * option announce the hooks `accepted` and `allow` tell all clients of a client.
 */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include <tend/tend.h>

#define PIECE 65536

static struct { const char *trace; bool deny, announce; unsigned farewell; } own;

static const struct tend_option options[] = {
	{ "trace", TEND_INTO(&own.trace), .value = "", .help = "file of the hooks that ran" },
	{ "refuse", TEND_INTO(&own.deny), .help = "let the hook allow refuse" },
	{ "announce", TEND_INTO(&own.announce), .help = "tell all of a client before it is let in" },
	{ "farewell", TEND_INTO(&own.farewell), .value = "0", .help = "bytes for who is denied" },
	TEND_END
};

static char piece[PIECE];

static void
trace(const char *hook, struct tend_conn *c)
{
	char line[200];
	int fd, n;
	ssize_t written;

	if (own.trace[0] == '\0')
		return;
	n = snprintf(line, sizeof(line), "%s %s %d\n", hook, c != NULL ? tend_peer(c) : "-", (int)getpid());
	fd = open(own.trace, O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0666);
	written = write(fd, line, (size_t)n);
	(void)written;
	close(fd);
}

static void
send_bytes(struct tend_conn *c, size_t size)
{
	while (size > 0) {
		size_t n = size < PIECE ? size : PIECE;

		if (tend_write(c, piece, n) < 0)
			return;
		size -= n;
	}
}

static volatile int depth;

static int
dive(int n)
{
	volatile char frame[4096];

	frame[0] = (char)n;
	depth = n;
	return depth == INT32_MAX ? 0 : dive(n + 1) + frame[0];
}

static void
doze(struct tend_conn *c)
{
	(void)c;
	usleep(300000);
	tend_close(c);
}

/* A connection that belongs to the service and to no client, and what it does is slow. */
static void
make_friend(struct tend_conn *c)
{
	static const struct tend_conn_hooks hooks = { .readable = doze };
	struct tend_conn *made;
	int pair[2];

	if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, pair) < 0)
		abort();
	if (tend_conn_new(&made, tend_server_loop(tend_conn_server(c)), pair[0], &hooks, NULL) < 0)
		abort();
	close(pair[1]);
}

/* The descriptor is ours from now on, for a last word. */
static void
take_off(struct tend_conn *c)
{
	int fd = tend_conn_detach(c, NULL, NULL);

	if (fd < 0 || send(fd, "taken\n", 6, 0) != 6)
		abort();
	close(fd);
}

static void
obey(struct tend_conn *c, const char *line)
{
	struct tend_server *srv = tend_conn_server(c);

	if (strcmp(line, "pid") == 0)
		tend_printf(c, "%d\n", (int)getpid());
	else if (strcmp(line, "who") == 0)
		tend_printf(c, "%s to %s\n", tend_peer(c), tend_local(c));
	else if (strncmp(line, "send ", 5) == 0)
		send_bytes(c, strtoul(line + 5, NULL, 10));
	else if (strncmp(line, "flood ", 6) == 0)
		tend_conn_set_data(c, (void *)strtoul(line + 6, NULL, 10), NULL);
	else if (strcmp(line, "stop") == 0)
		tend_server_stop(srv);
	else if (strcmp(line, "fail") == 0)
		tend_conn_fail(c, -EPROTO, "cannot understand");
	else if (strcmp(line, "stall") == 0)
		usleep(300000);
	else if (strcmp(line, "hang") == 0)
		for (;;)
			pause();
	else if (strcmp(line, "friend") == 0)
		make_friend(c);
	else if (strcmp(line, "detach") == 0)
		take_off(c);
	else if (strcmp(line, "dive") == 0)
		dive(0);
	else if (strcmp(line, "die") == 0)
		abort();
	else
		tend_printf(c, "%s\n", line);
	if (strcmp(line, "fail") == 0 || strcmp(line, "bye") == 0)
		tend_close(c);
}

/* ---- one after another, waiting ---- */

static void
process(struct tend_conn *c)
{
	char *line;

	trace("process", c);
	while (tend_getline(c, &line) > 0) {
		obey(c, line);
		send_bytes(c, (size_t)tend_conn_data(c));
		tend_conn_set_data(c, NULL, NULL);
	}
}

/* ---- as it happens ---- */

static void
readable(struct tend_conn *c)
{
	char *line;

	trace("readable", c);
	while (tend_getline(c, &line) > 0)
		obey(c, line);
}

/* As much as the client takes. */
static void
drained(struct tend_conn *c)
{
	size_t left = (size_t)tend_conn_data(c), n = left < PIECE ? left : PIECE;

	if (left == 0)
		return;
	tend_conn_set_data(c, (void *)(left - n), NULL);
	tend_write(c, piece, n);
}

static void
start_flood(struct tend_conn *c)
{
	readable(c);
	if (tend_conn_data(c) != NULL && tend_conn_queued(c) == 0)
		drained(c);
}

static void ended(struct tend_conn *c) { trace("ended", c); }

static void
failed(struct tend_conn *c, int error)
{
	char hook[32];

	snprintf(hook, sizeof(hook), "failed:%d", -error);
	trace(hook, c);
}

/* ---- in both moods ---- */

static void
announce(struct tend_conn *c, const char *hook)
{
	struct tend_conn *to = own.announce ? tend_conn_first(tend_conn_server(c)) : NULL;

	for (; to != NULL; to = tend_conn_next(to))
		tend_printf(to, "%s %s\n", hook, tend_peer(c));
}

static void
accepted(struct tend_conn *c)
{
	trace("accepted", c);
	announce(c, "accepted");
}

static void closed(struct tend_conn *c) { trace("closed", c); }

static void
processed(struct tend_conn *c, bool allowed)
{
	trace(allowed ? "processed" : "parted", c);
}

static bool
allow(struct tend_conn *c)
{
	trace("allow", c);
	announce(c, "allow");
	return !own.deny;
}

static void
denied(struct tend_conn *c)
{
	trace("denied", c);
	send_bytes(c, own.farewell);
}

#define SHARED \
	.name = "multiplex", .config.personality = "Multiplex", .options = options, \
	.hooks.accepted = accepted, .hooks.allow = allow, .hooks.denied = denied, \
	.hooks.processed = processed, .hooks.closed = closed

static const struct tend_service fibers = { SHARED, .hooks.process = process };
static const struct tend_service evented = {
	SHARED, .hooks.readable = start_flood, .hooks.drained = drained, .hooks.ended = ended,
	.hooks.failed = failed,
};

int
main(int argc, char **argv)
{
	const char *mood = getenv("MOOD");

	memset(piece, 'x', sizeof(piece));
	return tend_main(argc, argv, mood != NULL && strcmp(mood, "evented") == 0 ? &evented : &fibers);
}
