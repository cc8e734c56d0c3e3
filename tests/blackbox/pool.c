/*
 * The service of test_pool.py, test_chaos.py and test_serialize.py: says which process serves, what
 * the board says, and dies when it is told to.
 *
 * Each line of a client is answered with one. `pid`: of this process; `board`: "CHILDREN BUSY
 * SERVED"; `die`: none, this process aborts; `quit`: none, the connection ends; anything else comes
 * back. With MOOD=evented in the environment Multiplex calls a hook, else it serves in fibers.
 *
 * Option `crash`, a file with "HOW N": a child whose pid is a multiple of N does not live to serve.
 * HOW is `refuse` (its hook child_start does), `abort` or `exit`. No such file: all are well.
 *
 * Option `curt`: clients are cut off at once. Whoever accepts them has slept once for each.
 */
#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <unistd.h>

#include <tend/tend.h>

static struct {
	const char *crash;
	bool        curt;
} own;

static const struct tend_option options[] = {
	{ "crash", TEND_INTO(&own.crash), .help = "file that says which children crash, and how" },
	{ "curt", TEND_INTO(&own.curt), .value = "no", .help = "cut clients off at once" },
	TEND_END
};

/* Whether this child is to crash; copies how. */
static bool
is_to_crash(char how[16])
{
	FILE *f = own.crash != NULL ? fopen(own.crash, "re") : NULL;
	long every = 0;
	int n = 0;

	if (f != NULL) {
		n = fscanf(f, "%15s %ld", how, &every);
		fclose(f);
	}
	return n == 2 && every > 0 && getpid() % every == 0;
}

static int
child_start(struct tend_server *srv, enum tend_child_kind kind)
{
	char how[16];

	(void)kind;
	if (!is_to_crash(how))
		return 0;
	if (strcmp(how, "abort") == 0)
		abort();
	if (strcmp(how, "exit") == 0)
		_exit(7);
	return tend_server_fail(srv, -EACCES, "told to crash");
}

static void
say_board(struct tend_conn *c)
{
	const struct tend_server *srv = tend_conn_server(c);

	tend_printf(c, "%u %u %lu\n", tend_server_children(srv), tend_server_busy(srv),
	    tend_server_served(srv));
}

static void
answer(struct tend_conn *c, const char *line)
{
	if (strcmp(line, "pid") == 0)
		tend_printf(c, "%ld\n", (long)getpid());
	else if (strcmp(line, "board") == 0)
		say_board(c);
	else if (strcmp(line, "die") == 0)
		abort();
	else
		tend_printf(c, "%s\n", line);
}

/* What the last call came to: -EAGAIN when there may be more. */
static ssize_t
converse(struct tend_conn *c)
{
	char *line;
	ssize_t n;

	while ((n = tend_getline(c, &line)) > 0 && strcmp(line, "quit") != 0)
		answer(c, line);
	return n;
}

static void
process(struct tend_conn *c)
{
	if (own.curt)
		tend_abort(c);
	converse(c);
}

static void
readable(struct tend_conn *c)
{
	if (converse(c) != -EAGAIN)
		tend_close(c);
}

#define SHARED \
	.name = "pool", .about = "Says which process serves, and dies when it is told to.", \
	.options = options, .hooks.child_start = child_start

static const struct tend_service waiting = { SHARED, .hooks.process = process };
static const struct tend_service evented = { SHARED, .hooks.readable = readable };

int
main(int argc, char **argv)
{
	static const struct rlimit nothing;
	const char *mood = getenv("MOOD");

	/* The aborts are no accidents: they leave no core files. */
	setrlimit(RLIMIT_CORE, &nothing);
	return tend_main(argc, argv, mood != NULL && strcmp(mood, "evented") == 0 ? &evented : &waiting);
}
