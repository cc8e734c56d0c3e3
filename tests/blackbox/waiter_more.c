/*
 * The service of test_waiter_more.py for what waiter.c has no words for: it runs its server several
 * times, calls exit() in a handler, overwrites the board, and has a wall clock that jumps.
 *
 * Option `trace`, a file: lines "WHAT PID ROLE DETAIL...", where ROLE is `parent` or `child` and,
 * outside the server, `main`. WHAT is a hook (child_start, child_exit, child_idle, idle, closed,
 * child_died PID STATUS, signal NUMBER), or one of these:
 *
 *	before, after NUMBER HANDLER   what the signals of the server did before it ran, and after
 *	returned STATUS                tend_server_run() returned, in this process
 *	atexit                         a handler registered with atexit() ran
 *	computed                       the word `compute` came to its end
 *
 * Option `runs`: how often the server is run, one after the other. Option `wild`: each look at the
 * wall clock finds it hours before or after the last. Option `refuse`, a file: as long as it is
 * there, the hook child_start fails.
 *
 * Words of clients, a line each; each is answered with a line:
 *
 *	pid                of the process that serves
 *	figures            CHILDREN BUSY SERVED
 *	scribble WHERE BYTE   overwrites the board: `all` of it, or its `counters`
 *	compute SECONDS    works without a system call of the server's
 *	exit STATUS        exit(); no answer
 *	abort              abort(); no answer
 *	fail               tend_conn_fail(), and the handler returns
 *	quit               the handler returns
 */
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

#include <tend/tend.h>

static struct {
	const char *trace;
	const char *refuse;
	unsigned    runs;
	bool        wild;
} own;

static const struct tend_option options[] = {
	{ "trace", TEND_INTO(&own.trace), .help = "file that is told what happens" },
	{ "runs", TEND_INTO(&own.runs), .value = "1", .help = "how often the server is run" },
	{ "refuse", TEND_INTO(&own.refuse), .help = "file that keeps children from starting" },
	{ "wild", TEND_INTO(&own.wild), .value = "no", .help = "have a wall clock that jumps" },
	TEND_END
};

/* ---- the wall clock ---- */

/* These stand before the C library's for the whole program, the library under test included. */
int
clock_gettime(clockid_t id, struct timespec *into)
{
	static unsigned looks;
	long r = syscall(SYS_clock_gettime, id, into);

	if (own.wild && id == CLOCK_REALTIME)
		into->tv_sec += ++looks % 2 == 0 ? 7200 : -7200;
	return (int)r;
}

time_t
time(time_t *into)
{
	struct timespec now;

	clock_gettime(CLOCK_REALTIME, &now);
	if (into != NULL)
		*into = now.tv_sec;
	return now.tv_sec;
}

/* ---- the trace ---- */

/* The option's text is the server's, and there is something to tell when it is gone. */
static char trace_path[256];

static const char *
role_of(const struct tend_server *srv)
{
	return srv == NULL ? "main" : tend_server_is_child(srv) ? "child" : "parent";
}

/* One write, so that the lines of several processes do not mix. */
static void TEND_PRINTF(3, 4)
trace(const struct tend_server *srv, const char *what, const char *format, ...)
{
	int fd = open(trace_path, O_WRONLY | O_APPEND | O_CREAT | O_CLOEXEC, 0644);
	char line[256];
	va_list args;
	int n;

	if (fd < 0)
		return;
	n = snprintf(line, sizeof(line), "%s %ld %s", what, (long)getpid(), role_of(srv));
	va_start(args, format);
	n += vsnprintf(line + n, sizeof(line) - (size_t)n - 1, format, args);
	va_end(args);
	line[n++] = '\n';
	if (write(fd, line, (size_t)n) != n)
		abort();
	close(fd);
}

/* ---- the board ---- */

/* The memory that all processes of the server share: the only mapping of its kind. */
static char *
find_board(size_t *size)
{
	FILE *maps = fopen("/proc/self/maps", "re");
	char line[512], kind[8];
	unsigned long from, to;
	char *board = NULL;

	while (maps != NULL && board == NULL && fgets(line, sizeof(line), maps) != NULL)
		if (strstr(line, "/dev/zero") != NULL &&
		    sscanf(line, "%lx-%lx %7s", &from, &to, kind) == 3 && strcmp(kind, "rw-s") == 0) {
			memcpy(&board, &from, sizeof(board));
			*size = to - from;
		}
	if (maps != NULL)
		fclose(maps);
	return board;
}

/* The counters stand before the slots, in a part of memory of their own. */
static bool
scribble(const char *where, int byte)
{
	size_t size = 0;
	char *board = find_board(&size);

	if (board == NULL)
		return false;
	memset(board, byte, strcmp(where, "counters") == 0 ? 64 : size);
	return true;
}

/* ---- the handler ---- */

static void
compute(double seconds)
{
	struct timespec start, now;

	clock_gettime(CLOCK_MONOTONIC, &start);
	do
		clock_gettime(CLOCK_MONOTONIC, &now);
	while ((double)(now.tv_sec - start.tv_sec) + (double)(now.tv_nsec - start.tv_nsec) / 1e9 <
	    seconds);
}

/* One line of a client. False: that was the last. */
static bool
answer_line(struct tend_conn *c, const char *line)
{
	struct tend_server *srv = tend_conn_server(c);
	double seconds;
	char where[16];
	int number;

	if (strcmp(line, "quit") == 0)
		return false;
	if (strcmp(line, "fail") == 0) {
		tend_conn_fail(c, -EPROTO, "told to fail");
		return false;
	}
	if (strcmp(line, "abort") == 0)
		abort();
	if (sscanf(line, "exit %d", &number) == 1)
		exit(number);
	if (strcmp(line, "pid") == 0) {
		tend_printf(c, "%ld\n", (long)getpid());
	} else if (strcmp(line, "figures") == 0) {
		tend_printf(c, "%u %u %lu\n", tend_server_children(srv), tend_server_busy(srv),
		    tend_server_served(srv));
	} else if (sscanf(line, "scribble %15s %d", where, &number) == 2) {
		tend_printf(c, "%s\n", scribble(where, number) ? "scribbled" : "no board");
	} else if (sscanf(line, "compute %lf", &seconds) == 1) {
		tend_printf(c, "computing\n");
		tend_flush(c);
		compute(seconds);
		trace(srv, "computed", "%s", "");
	} else {
		tend_printf(c, "what is %s?\n", line);
	}
	return true;
}

static void
process(struct tend_conn *c)
{
	char *line;

	while (tend_getline(c, &line) > 0 && answer_line(c, line))
		;
}

/* ---- the hooks ---- */

static int
child_start(struct tend_server *srv, enum tend_child_kind kind)
{
	(void)kind;
	trace(srv, "child_start", "%s", "");
	if (own.refuse != NULL && access(own.refuse, F_OK) == 0)
		return tend_server_fail(srv, -EACCES, "told to refuse");
	return 0;
}

static void
child_exit(struct tend_server *srv, enum tend_child_kind kind)
{
	(void)kind;
	trace(srv, "child_exit", "%s", "");
}

static void
child_died(struct tend_server *srv, pid_t pid, int status)
{
	trace(srv, "child_died", " %ld %d", (long)pid, status);
}

static void
child_idle(struct tend_server *srv)
{
	trace(srv, "child_idle", "%s", "");
}

static void
idle(struct tend_server *srv)
{
	trace(srv, "idle", "%s", "");
}

static void
closed(struct tend_conn *c)
{
	trace(tend_conn_server(c), "closed", "%s", "");
}

static void
on_signal(struct tend_server *srv, int signo)
{
	trace(srv, "signal", " %d", signo);
}

/* ---- the program ---- */

static void
not_mine(int signo)
{
	(void)signo;
}

static const char *
handler_name(const struct sigaction *how)
{
	return how->sa_handler == SIG_DFL ? "default" : how->sa_handler == SIG_IGN ? "ignore"
	    : how->sa_handler == not_mine ? "mine" : "another";
}

static void
trace_dispositions(const char *when)
{
	const int signals[] = {
		SIGHUP, SIGINT, SIGQUIT, SIGUSR1, SIGUSR2, SIGPIPE, SIGTERM, SIGCHLD, SIGTTIN, SIGTTOU,
		SIGRTMIN,
	};
	struct sigaction how;
	size_t i;

	for (i = 0; i < sizeof(signals) / sizeof(signals[0]); i++)
		if (sigaction(signals[i], NULL, &how) == 0)
			trace(NULL, when, " %d %s", signals[i], handler_name(&how));
}

static void
at_exit(void)
{
	trace(NULL, "atexit", "%s", "");
}

static const struct tend_service service = {
	.name = "waiter_more",
	.about = "Runs several times, and overwrites its own board.",
	.options = options,
	.hooks = {
		.child_start = child_start,
		.child_exit = child_exit,
		.child_died = child_died,
		.child_idle = child_idle,
		.idle = idle,
		.process = process,
		.closed = closed,
		.signal = on_signal,
	},
};

int
main(int argc, char **argv)
{
	struct tend_server *srv = tend_server_new(&service);
	static const struct rlimit nothing;
	unsigned i;
	int r;

	/* The aborts are no accidents: they leave no core files. */
	setrlimit(RLIMIT_CORE, &nothing);
	signal(SIGUSR2, not_mine);
	signal(SIGTTOU, SIG_IGN);
	atexit(at_exit);
	r = tend_server_configure(srv, argc, argv);
	if (r == 0 && own.trace != NULL)
		snprintf(trace_path, sizeof(trace_path), "%s", own.trace);
	trace_dispositions("before");
	for (i = 0; r == 0 && i < own.runs; i++) {
		r = tend_server_run(srv);
		trace(NULL, "returned", " %d", r);
	}
	trace_dispositions("after");
	if (r < 0)
		fprintf(stderr, "waiter_more: %s\n", tend_server_error(srv));
	tend_server_free(srv);
	return r < 0 ? 1 : 0;
}
