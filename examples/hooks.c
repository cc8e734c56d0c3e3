/*
 * What runs when, and where. Every hook writes one line, "PID ROLE HOOK ...", to a file:
 *
 *	./hooks --port 7007 --trace /dev/stdout --server_type PreFork --idle_period 5
 *
 * Talk to it and watch; send it signals; then try another personality. A client may say:
 *
 *	tell TEXT       the process that serves tells the parent (option child_communication)
 *	large COUNT     so many bytes come back
 *	deaf            the handler blocks every signal and never returns: it has to be killed
 *	retire          this worker ends after the client
 *	stop            the server ends
 *	quit            the client leaves; anything else comes back
 *
 * HOOKS_REFUSE in the environment names a hook of the start that refuses: configure, configured,
 * bound, ready or child_start. It is no option because `configure` runs before options are read.
 */
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <spawn.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include <tend/tend.h>

static struct {
	const char *trace;
	const char *helper;
	bool        turn_away;
	double      slow_start;
	double      dequeue_seconds;
} own;

static const struct tend_option options[] = {
	{ "trace",     TEND_INTO(&own.trace),     .help = "file that the lines are added to" },
	{ "helper",    TEND_INTO(&own.helper),    .help = "program to start in the hook `ready`" },
	{ "turn_away", TEND_INTO(&own.turn_away), .value = "no", .help = "deny every client" },
	{ "slow_start", TEND_INTO(&own.slow_start), .value = "0",
	    .help = "how long the hook `bound` takes, in seconds" },
	{ "dequeue_seconds", TEND_INTO(&own.dequeue_seconds), .value = "0",
	    .help = "how long the hook `dequeue` takes, in seconds" },
	TEND_END
};

/* ---- the trace ---- */

static int trace_fd = -1;

/* What happens before the option is known waits here. */
static char early[256];

/* One write a line, to a file opened for appending: lines of several processes do not mix. */
static void TEND_PRINTF(2, 3)
note(struct tend_server *srv, const char *format, ...)
{
	char line[512];
	int head = snprintf(line, sizeof(line), "%ld %s ", (long)getpid(),
	    tend_server_is_child(srv) ? "child" : "parent");
	size_t length;
	va_list args;

	va_start(args, format);
	vsnprintf(line + head, sizeof(line) - (size_t)head - 1, format, args);
	va_end(args);
	length = strlen(line);
	line[length++] = '\n';
	line[length] = '\0';
	if (trace_fd < 0)
		strncat(early, line, sizeof(early) - strlen(early) - 1);
	else if (write(trace_fd, line, length) < 0)
		tend_log(srv, TEND_LOG_WARNING, "Cannot write to %s", own.trace);
}

static int
open_trace(struct tend_server *srv)
{
	if (own.trace == NULL)
		return tend_server_fail(srv, -EINVAL, "where to? Say --trace FILE");
	trace_fd = open(own.trace, O_WRONLY | O_APPEND | O_CREAT | O_CLOEXEC, 0644);
	if (trace_fd < 0)
		return tend_server_fail(srv, -errno, "cannot open %s", own.trace);
	if (write(trace_fd, early, strlen(early)) < 0)
		return tend_server_fail(srv, -errno, "cannot write to %s", own.trace);
	return 0;
}

/* ---- the start ---- */

/* How a hook refuses: it gives the reason, and returns what it is given for it. */
static int
maybe_refuse(struct tend_server *srv, const char *hook)
{
	const char *refused = getenv("HOOKS_REFUSE");

	if (refused == NULL || strcmp(refused, hook) != 0)
		return 0;
	return tend_server_fail(srv, -EACCES, "the hook %s was told to refuse", hook);
}

static int
configure(struct tend_server *srv)
{
	note(srv, "configure");
	return maybe_refuse(srv, "configure");
}

static int
configured(struct tend_server *srv)
{
	int r = open_trace(srv);

	if (r < 0)
		return r;
	note(srv, "configured");
	return maybe_refuse(srv, "configured");
}

/* A signal ends it early. */
static void
rest_for(double seconds)
{
	struct timespec t = { .tv_sec = (time_t)seconds };

	t.tv_nsec = (long)((seconds - (double)t.tv_sec) * 1e9);
	nanosleep(&t, NULL);
}

static int
bound(struct tend_server *srv)
{
	struct tend_endpoint at;
	unsigned int i;

	note(srv, "bound");
	rest_for(own.slow_start);
	for (i = 0; tend_server_endpoint(srv, i, &at); i++)
		tend_log(srv, TEND_LOG_INFO, "Endpoint %u: %s %s %s", i, at.proto, at.host, at.service);
	return maybe_refuse(srv, "bound");
}

/* A child that is none of the server's: its end is heard of by `stranger_died`. */
static int
start_helper(struct tend_server *srv)
{
	char *argv[] = { (char *)(uintptr_t)own.helper, NULL };
	char *environment[] = { NULL };
	pid_t pid;
	int e;

	if (own.helper == NULL)
		return 0;
	e = posix_spawnp(&pid, own.helper, NULL, NULL, argv, environment);
	return e == 0 ? 0 : tend_server_fail(srv, -e, "cannot start %s", own.helper);
}

static int
ready(struct tend_server *srv)
{
	int r;

	note(srv, "ready");
	r = start_helper(srv);
	return r < 0 ? r : maybe_refuse(srv, "ready");
}

/* ---- children ---- */

static const char *
kind_name(enum tend_child_kind kind)
{
	static const char *const names[] = {
		[TEND_CHILD_FORK] = "fork",
		[TEND_CHILD_WORKER] = "worker",
		[TEND_CHILD_DEQUEUE] = "dequeue",
	};

	return names[kind];
}

static void
before_spawn(struct tend_server *srv, enum tend_child_kind kind, unsigned left)
{
	note(srv, "before_spawn %s %u", kind_name(kind), left);
}

static void
child_born(struct tend_server *srv, pid_t pid, enum tend_child_kind kind)
{
	note(srv, "child_born %ld %s", (long)pid, kind_name(kind));
}

static int
child_start(struct tend_server *srv, enum tend_child_kind kind)
{
	note(srv, "child_start %s", kind_name(kind));
	return maybe_refuse(srv, "child_start");
}

static void
child_exit(struct tend_server *srv, enum tend_child_kind kind)
{
	note(srv, "child_exit %s", kind_name(kind));
}

static void
child_died(struct tend_server *srv, pid_t pid, int status)
{
	note(srv, "child_died %ld %d", (long)pid, status);
}

static void
stranger_died(struct tend_server *srv, pid_t pid, int status)
{
	note(srv, "stranger_died %ld %d", (long)pid, status);
}

static void
idle(struct tend_server *srv)
{
	note(srv, "idle");
}

static void
child_idle(struct tend_server *srv)
{
	note(srv, "child_idle");
}

static void
child_spoke(struct tend_server *srv, pid_t pid, const void *data, size_t size)
{
	note(srv, "child_spoke %ld %.*s", (long)pid, (int)size, (const char *)data);
}

static void
dequeue(struct tend_server *srv)
{
	note(srv, "dequeue");
	rest_for(own.dequeue_seconds);
}

/* ---- connections ---- */

static void
before_accept(struct tend_server *srv)
{
	note(srv, "before_accept");
}

static void
accept_failed(struct tend_server *srv, int error)
{
	note(srv, "accept_failed %s", strerror(error));
}

static void
accepted(struct tend_conn *c)
{
	note(tend_conn_server(c), "accepted %s", tend_peer(c));
}

static bool
allow(struct tend_conn *c)
{
	note(tend_conn_server(c), "allow %s", tend_peer(c));
	return !own.turn_away;
}

static void
denied(struct tend_conn *c)
{
	note(tend_conn_server(c), "denied %s", tend_peer(c));
	tend_printf(c, "go away\n");
}

static void
full(struct tend_conn *c)
{
	note(tend_conn_server(c), "full %s", tend_peer(c));
}

static void
tls_failed(struct tend_conn *c, const char *reason)
{
	note(tend_conn_server(c), "tls_failed %s %s", tend_peer(c), reason);
}

/* The client is still there: this reaches it. */
static void
processed(struct tend_conn *c, bool allowed)
{
	note(tend_conn_server(c), "processed %s %s", tend_peer(c), allowed ? "allowed" : "denied");
	tend_printf(c, "bye\n");
}

/* The client is not: but who it was can still be asked. */
static void
closed(struct tend_conn *c)
{
	note(tend_conn_server(c), "closed %s %s", tend_peer(c), tend_conn_fd(c) < 0 ? "shut" : "open");
}

/* ---- the handler ---- */

static void
tell(struct tend_conn *c, const char *rest)
{
	int r = tend_tell_parent(tend_conn_server(c), rest, strlen(rest));

	tend_printf(c, "%s\n", r < 0 ? strerror(-r) : "told");
}

static void
large(struct tend_conn *c, const char *rest)
{
	static const char bytes[16384];
	size_t left = strtoul(rest, NULL, 10);

	while (left > 0) {
		size_t n = left < sizeof(bytes) ? left : sizeof(bytes);

		if (tend_write(c, bytes, n) < 0)
			return;
		left -= n;
	}
}

static void
deaf(struct tend_conn *c, const char *rest)
{
	sigset_t all;

	(void)rest;
	sigfillset(&all);
	sigprocmask(SIG_BLOCK, &all, NULL);
	tend_printf(c, "what?\n");
	tend_flush(c);
	for (;;)
		pause();
}

static void
retire(struct tend_conn *c, const char *rest)
{
	(void)rest;
	tend_worker_retire(tend_conn_server(c));
	tend_printf(c, "retiring\n");
}

static void
stop(struct tend_conn *c, const char *rest)
{
	(void)rest;
	tend_server_stop(tend_conn_server(c));
	tend_printf(c, "stopping\n");
}

static const struct {
	const char *word;
	void (*act)(struct tend_conn *c, const char *rest);
} commands[] = {
	{ "tell ", tell }, { "large ", large }, { "deaf", deaf }, { "retire", retire }, { "stop", stop },
};

static void
obey(struct tend_conn *c, const char *line)
{
	size_t i;

	for (i = 0; i < sizeof(commands) / sizeof(commands[0]); i++) {
		size_t n = strlen(commands[i].word);

		if (strncmp(line, commands[i].word, n) == 0) {
			commands[i].act(c, line + n);
			return;
		}
	}
	tend_printf(c, "%ld %s\n", (long)getpid(), line);
}

static void
process(struct tend_conn *c)
{
	char *line;

	note(tend_conn_server(c), "process %s", tend_peer(c));
	while (tend_getline(c, &line) > 0 && strcmp(line, "quit") != 0)
		obey(c, line);
}

/* ---- signals and the end ---- */

static void
on_signal(struct tend_server *srv, int signo)
{
	note(srv, "signal %d", signo);
}

static void
stopping(struct tend_server *srv)
{
	note(srv, "stopping");
}

static void
children_gone(struct tend_server *srv)
{
	note(srv, "children_gone");
}

static void
before_restart(struct tend_server *srv)
{
	note(srv, "before_restart");
}

static void
after_restart(struct tend_server *srv)
{
	note(srv, "after_restart");
}

static void
fatal(struct tend_server *srv, const char *text)
{
	note(srv, "fatal %s", text);
}

/* ---- the service ---- */

static const struct tend_service service = {
	.name = "hooks",
	.about = "Writes down when each hook runs, and in which process.",
	.options = options,
	.hooks = {
		.configure = configure,
		.configured = configured,
		.bound = bound,
		.ready = ready,
		.before_spawn = before_spawn,
		.child_born = child_born,
		.child_start = child_start,
		.child_exit = child_exit,
		.child_died = child_died,
		.stranger_died = stranger_died,
		.idle = idle,
		.child_idle = child_idle,
		.child_spoke = child_spoke,
		.before_accept = before_accept,
		.accept_failed = accept_failed,
		.accepted = accepted,
		.allow = allow,
		.denied = denied,
		.full = full,
		.tls_failed = tls_failed,
		.process = process,
		.processed = processed,
		.closed = closed,
		.dequeue = dequeue,
		.signal = on_signal,
		.stopping = stopping,
		.children_gone = children_gone,
		.before_restart = before_restart,
		.after_restart = after_restart,
		.fatal = fatal,
	},
};

int
main(int argc, char **argv)
{
	return tend_main(argc, argv, &service);
}
