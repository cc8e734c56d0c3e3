/*
 * The service of test_worker_limits.py: workers that grow, and tell of their beginning and end.
 *
 * Each line of a client is answered with one. `pid`: of this process; `hoard N`: it takes N MiB
 * more and keeps them; `quit`: none, the connection ends; anything else comes back.
 *
 * Option `trace`, a file: a worker writes "up PID" as the last thing of its hook child_start, and
 * "down PID" in child_exit. `slow`: seconds that child_start takes. `ballast`: MiB that the first
 * process has before it serves.
 */
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <tend/tend.h>

static struct {
	const char *trace;
	double      slow;
	int         ballast;
} own;

static const struct tend_option options[] = {
	{ "trace", TEND_INTO(&own.trace), .help = "file for the beginnings and ends of workers" },
	{ "slow", TEND_INTO(&own.slow), .value = "0", .help = "seconds to come up" },
	{ "ballast", TEND_INTO(&own.ballast), .value = "0", .help = "MiB of the first process" },
	TEND_END
};

/* So that what was taken is never given back. */
static void *_Atomic hoarded;

static bool
hoard(size_t mib)
{
	size_t size = mib << 20;
	char *p = malloc(size + 1);

	if (p == NULL)
		return false;
	memset(p, 1, size + 1);
	hoarded = p;
	return true;
}

static void
say(const char *what)
{
	char line[64];
	int n = snprintf(line, sizeof(line), "%s %ld\n", what, (long)getpid()), fd;

	if (own.trace == NULL)
		return;
	fd = open(own.trace, O_WRONLY | O_APPEND | O_CREAT | O_CLOEXEC, 0644);
	if (fd < 0)
		return;
	/* In one piece, or not at all: the test misses it then. */
	if (write(fd, line, (size_t)n) != n)
		perror(own.trace);
	close(fd);
}

static int
ready(struct tend_server *srv)
{
	return hoard((size_t)own.ballast) ? 0 : tend_server_fail(srv, -ENOMEM, "no room");
}

static int
child_start(struct tend_server *srv, enum tend_child_kind kind)
{
	(void)srv;
	(void)kind;
	if (own.slow > 0)
		poll(NULL, 0, (int)(own.slow * 1000));
	say("up");
	return 0;
}

static void
child_exit(struct tend_server *srv, enum tend_child_kind kind)
{
	(void)srv;
	(void)kind;
	say("down");
}

static void
process(struct tend_conn *c)
{
	char *line;

	while (tend_getline(c, &line) > 0 && strcmp(line, "quit") != 0) {
		if (strcmp(line, "pid") == 0)
			tend_printf(c, "%ld\n", (long)getpid());
		else if (strncmp(line, "hoard ", 6) == 0)
			tend_printf(c, "%s\n",
			    hoard(strtoul(line + 6, NULL, 10)) ? "hoarded" : "refused");
		else
			tend_printf(c, "%s\n", line);
	}
}

static const struct tend_service service = {
	.name = "worn",
	.about = "Workers that grow, and tell of their beginning and end.",
	.options = options,
	.hooks.ready = ready,
	.hooks.child_start = child_start,
	.hooks.child_exit = child_exit,
	.hooks.process = process,
};

int
main(int argc, char **argv)
{
	return tend_main(argc, argv, &service);
}
