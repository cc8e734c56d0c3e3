/*
 * The service of test_waiter.py and test_waiter_more.py: tells a file of every hook that runs, and
 * does what it is told to, in the hooks by a file of orders and in the handler by its clients.
 *
 * Option `trace`, a file: each hook adds a line "HOOK PID ROLE DETAIL...", where ROLE is `parent` or
 * `child`. The details are: child_born PID; child_died and stranger_died PID STATUS; accept_failed
 * ERRNO; signal NUMBER; processed 0 or 1. When the serve call is over main() adds
 * "returned PID main STATUS".
 *
 * Option `orders`, a file of lines "HOOK ORDER...", read anew each time the hook runs, after it was
 * traced; the same ORDER words are what a client sends, a line each, and gets answered with what is
 * traced otherwise ("ORDER PID ROLE ANSWER"). No order has the name of a hook, so that a line of the
 * trace is one or the other:
 *
 *	figures           CHILDREN BUSY SERVED
 *	pids              of the children, as many as there are
 *	who               `parent` or `child`, and the pid of the parent
 *	endpoint          PROTOCOL HOST PORT of the first endpoint
 *	signal_children NUMBER       tend_signal_children(): its result
 *	stop_children NUMBER GRACE   tend_stop_children(): its result
 *	stop              tend_server_stop()
 *	retire            tend_worker_retire()
 *	mark_busy, mark_idle         tend_worker_busy(), tend_worker_idle(): their result
 *	fork N SECONDS    N children of the application's own that live so long: how many there are
 *	wait              waits for those of them that have ended: how many
 *	hoard, release    takes all descriptors that this process can have (and traces `hoarding`
 *	                  before); gives them back: how many
 *	nap SECONDS       sleeps, whatever comes
 *	exit STATUS       _exit(); before the answer
 *	abort             abort(); before the answer
 *	refuse            a hook that returns int fails: "told to refuse"
 *
 * Words of clients alone; any other line comes back as it is:
 *
 *	pid               of the process that serves
 *	hold              `holding`: served as long as the client does not say `quit` or end
 *	sleep SECONDS     tend_sleep(): its result
 *	big BYTES         so many bytes `x`, then a line of the trace "big PID ROLE RESULT", where
 *	                  RESULT is 0 or the number of the error; no other answer
 *	forever           naps for ever
 *	system            system("exit 3"): its result
 *	fail              tend_conn_fail(), and the handler returns
 *	quit              the handler returns
 *
 * The hook `full` says "full", after as many bytes `f` as the option `farewell` says. Option
 * `curt`: the handler returns at once.
 */
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include <tend/tend.h>

#define ANSWER_MAX 8192
#define HOARD_MAX 4096
#define STRANGERS_MAX 64
#define CHUNK 4096

static struct {
	const char *trace;
	const char *orders;
	unsigned    farewell;
	bool        curt;
} own;

static const struct tend_option options[] = {
	{ "trace", TEND_INTO(&own.trace), .help = "file that is told of every hook" },
	{ "orders", TEND_INTO(&own.orders), .help = "file that says what hooks are to do" },
	{ "farewell", TEND_INTO(&own.farewell), .value = "0", .help = "bytes before the word full" },
	{ "curt", TEND_INTO(&own.curt), .value = "no", .help = "say nothing to clients" },
	TEND_END
};

/* A copy: the server's own is gone when main() writes the last line. */
static char trace_path[4096];

static pid_t stranger[STRANGERS_MAX];
static int strangers;
static int hoard[HOARD_MAX];
static int hoarded;

/* ---- the trace ---- */

static const char *
role_of(const struct tend_server *srv)
{
	return srv == NULL ? "main" : tend_server_is_child(srv) ? "child" : "parent";
}

/* One write, so that the lines of several processes do not mix. */
static void TEND_PRINTF(3, 4)
trace(const struct tend_server *srv, const char *what, const char *format, ...)
{
	char line[ANSWER_MAX + 128];
	va_list args;
	int fd, n;

	if (trace_path[0] == '\0')
		return;
	fd = open(trace_path, O_WRONLY | O_APPEND | O_CREAT | O_CLOEXEC, 0644);
	if (fd < 0)
		return;
	n = snprintf(line, sizeof(line), "%s %ld %s ", what, (long)getpid(), role_of(srv));
	va_start(args, format);
	n += vsnprintf(line + n, sizeof(line) - (size_t)n, format, args);
	va_end(args);
	if (line[n - 1] == ' ')
		n--;
	line[n++] = '\n';
	if (write(fd, line, (size_t)n) != n)
		abort();
	close(fd);
}

/* ---- orders ---- */

static void
nap(double seconds)
{
	struct timespec t = { .tv_sec = (time_t)seconds };

	t.tv_nsec = (long)((seconds - (double)t.tv_sec) * 1e9);
	while (nanosleep(&t, &t) < 0 && errno == EINTR)
		;
}

static void
order_figures(struct tend_server *srv, const char *words, char *answer)
{
	(void)words;
	snprintf(answer, ANSWER_MAX, "%u %u %lu", tend_server_children(srv), tend_server_busy(srv),
	    tend_server_served(srv));
}

static void
order_pids(struct tend_server *srv, const char *words, char *answer)
{
	size_t n = 0;
	unsigned i;
	pid_t pid;

	(void)words;
	for (i = 0; n + 16 < ANSWER_MAX && (pid = tend_child_pid(srv, i)) > 0; i++)
		n += (size_t)snprintf(answer + n, ANSWER_MAX - n, "%s%ld", n > 0 ? " " : "", (long)pid);
}

static void
order_who(struct tend_server *srv, const char *words, char *answer)
{
	(void)words;
	snprintf(answer, ANSWER_MAX, "%s %ld", role_of(srv), (long)tend_server_parent(srv));
}

static void
order_endpoint(struct tend_server *srv, const char *words, char *answer)
{
	struct tend_endpoint ep;

	(void)words;
	if (tend_server_endpoint(srv, 0, &ep))
		snprintf(answer, ANSWER_MAX, "%s %s %u", ep.proto, ep.host, ep.port);
}

static void
order_signal_children(struct tend_server *srv, const char *words, char *answer)
{
	snprintf(answer, ANSWER_MAX, "%u", tend_signal_children(srv, atoi(words)));
}

static void
order_stop_children(struct tend_server *srv, const char *words, char *answer)
{
	int signo = SIGTERM;
	double grace = 1;

	sscanf(words, "%d %lf", &signo, &grace);
	snprintf(answer, ANSWER_MAX, "%d", tend_stop_children(srv, signo, grace));
}

static void
order_stop(struct tend_server *srv, const char *words, char *answer)
{
	(void)words;
	(void)answer;
	tend_server_stop(srv);
}

static void
order_retire(struct tend_server *srv, const char *words, char *answer)
{
	(void)words;
	(void)answer;
	tend_worker_retire(srv);
}

static void
order_mark_busy(struct tend_server *srv, const char *words, char *answer)
{
	(void)words;
	snprintf(answer, ANSWER_MAX, "%d", tend_worker_busy(srv));
}

static void
order_mark_idle(struct tend_server *srv, const char *words, char *answer)
{
	(void)words;
	snprintf(answer, ANSWER_MAX, "%d", tend_worker_idle(srv));
}

/* A child that the server knows nothing of; it does not outlive the server. */
static void
be_a_stranger(double seconds)
{
	sigset_t none;
	int signo;

	prctl(PR_SET_PDEATHSIG, SIGKILL);
	for (signo = 1; signo < SIGRTMIN; signo++)
		signal(signo, SIG_DFL);
	sigemptyset(&none);
	sigprocmask(SIG_SETMASK, &none, NULL);
	nap(seconds);
	_exit(0);
}

static void
order_fork(struct tend_server *srv, const char *words, char *answer)
{
	int wanted = 0, n = 0;
	double seconds = 0;

	(void)srv;
	sscanf(words, "%d %lf", &wanted, &seconds);
	while (n < wanted) {
		pid_t pid = fork();

		if (pid == 0)
			be_a_stranger(seconds);
		if (pid < 0)
			break;
		if (strangers < STRANGERS_MAX)
			stranger[strangers++] = pid;
		n++;
	}
	snprintf(answer, ANSWER_MAX, "%d", n);
}

static void
order_wait(struct tend_server *srv, const char *words, char *answer)
{
	int i, status, n = 0;

	(void)srv;
	(void)words;
	for (i = 0; i < strangers; i++)
		if (waitpid(stranger[i], &status, WNOHANG) == stranger[i])
			n++;
	snprintf(answer, ANSWER_MAX, "%d", n);
}

/* Traced before: after it not even the trace can be opened. */
static void
order_hoard(struct tend_server *srv, const char *words, char *answer)
{
	(void)words;
	snprintf(answer, ANSWER_MAX, "%d", hoarded);
	trace(srv, "hoarding", "%s", "");
	while (hoarded < HOARD_MAX && (hoard[hoarded] = open("/dev/null", O_RDONLY | O_CLOEXEC)) >= 0)
		hoarded++;
}

static void
order_release(struct tend_server *srv, const char *words, char *answer)
{
	(void)srv;
	(void)words;
	snprintf(answer, ANSWER_MAX, "%d", hoarded);
	while (hoarded > 0)
		close(hoard[--hoarded]);
}

static void
order_nap(struct tend_server *srv, const char *words, char *answer)
{
	(void)srv;
	(void)answer;
	nap(atof(words));
}

static void
order_exit(struct tend_server *srv, const char *words, char *answer)
{
	(void)srv;
	(void)answer;
	_exit(atoi(words));
}

static void
order_abort(struct tend_server *srv, const char *words, char *answer)
{
	(void)srv;
	(void)words;
	(void)answer;
	abort();
}

static const struct {
	const char *word;
	void (*obey)(struct tend_server *srv, const char *words, char *answer);
} orders[] = {
	{ "figures", order_figures },
	{ "pids", order_pids },
	{ "who", order_who },
	{ "endpoint", order_endpoint },
	{ "signal_children", order_signal_children },
	{ "stop_children", order_stop_children },
	{ "stop", order_stop },
	{ "retire", order_retire },
	{ "mark_busy", order_mark_busy },
	{ "mark_idle", order_mark_idle },
	{ "fork", order_fork },
	{ "wait", order_wait },
	{ "hoard", order_hoard },
	{ "release", order_release },
	{ "nap", order_nap },
	{ "exit", order_exit },
	{ "abort", order_abort },
};

/* If `line` begins with `word`: what follows it; else NULL. */
static const char *
after_word(const char *line, const char *word)
{
	size_t n = strlen(word);

	if (strncmp(line, word, n) != 0 || (line[n] != '\0' && line[n] != ' '))
		return NULL;
	return line + n + strspn(line + n, " ");
}

/* Obeys if it is an order; which one, or NULL. */
static const char *
obey(struct tend_server *srv, const char *line, char *answer)
{
	size_t i;

	answer[0] = '\0';
	for (i = 0; i < sizeof(orders) / sizeof(orders[0]); i++) {
		const char *words = after_word(line, orders[i].word);

		if (words == NULL)
			continue;
		orders[i].obey(srv, words, answer);
		return orders[i].word;
	}
	return NULL;
}

/* The orders for a hook. Where it is to refuse: what it returns. */
static int
follow_orders(struct tend_server *srv, const char *hook)
{
	FILE *f = own.orders != NULL ? fopen(own.orders, "re") : NULL;
	char line[256], answer[ANSWER_MAX];
	char todo[16][256];
	int i, n = 0, r = 0;

	if (f == NULL)
		return 0;
	/* Read before obeyed: a child forked by an order must not read on in the same file. */
	while (n < 16 && fgets(line, sizeof(line), f) != NULL) {
		const char *order;

		line[strcspn(line, "\n")] = '\0';
		order = after_word(line, hook);
		if (order != NULL)
			snprintf(todo[n++], sizeof(todo[0]), "%s", order);
	}
	fclose(f);
	for (i = 0; i < n; i++) {
		const char *word;

		if (strcmp(todo[i], "refuse") == 0)
			r = tend_server_fail(srv, -EACCES, "told to refuse");
		else if ((word = obey(srv, todo[i], answer)) != NULL)
			trace(srv, word, "%s", answer);
	}
	return r;
}

/* ---- the hooks ---- */

#define START_HOOK(name)                                                                      \
	static int hook_##name(struct tend_server *srv)                                       \
	{                                                                                     \
		trace(srv, #name, "%s", "");                                                  \
		return follow_orders(srv, #name);                                             \
	}
#define SERVER_HOOK(name)                                                                     \
	static void hook_##name(struct tend_server *srv)                                      \
	{                                                                                     \
		trace(srv, #name, "%s", "");                                                  \
		follow_orders(srv, #name);                                                    \
	}
#define CONN_HOOK(name)                                                                       \
	static void hook_##name(struct tend_conn *c)                                          \
	{                                                                                     \
		trace(tend_conn_server(c), #name, "%s", "");                                  \
		follow_orders(tend_conn_server(c), #name);                                    \
	}

START_HOOK(bound)
START_HOOK(ready)
SERVER_HOOK(idle)
SERVER_HOOK(child_idle)
SERVER_HOOK(before_accept)
SERVER_HOOK(stopping)
SERVER_HOOK(children_gone)
CONN_HOOK(accepted)
CONN_HOOK(denied)
CONN_HOOK(closed)

static int
hook_configured(struct tend_server *srv)
{
	if (own.trace != NULL)
		snprintf(trace_path, sizeof(trace_path), "%s", own.trace);
	trace(srv, "configured", "%s", "");
	return follow_orders(srv, "configured");
}

static void
hook_before_spawn(struct tend_server *srv, enum tend_child_kind kind, unsigned left)
{
	(void)kind;
	trace(srv, "before_spawn", "%u", left);
	follow_orders(srv, "before_spawn");
}

static void
hook_child_born(struct tend_server *srv, pid_t pid, enum tend_child_kind kind)
{
	(void)kind;
	trace(srv, "child_born", "%ld", (long)pid);
	follow_orders(srv, "child_born");
}

static int
hook_child_start(struct tend_server *srv, enum tend_child_kind kind)
{
	(void)kind;
	trace(srv, "child_start", "%s", "");
	return follow_orders(srv, "child_start");
}

static void
hook_child_exit(struct tend_server *srv, enum tend_child_kind kind)
{
	(void)kind;
	trace(srv, "child_exit", "%s", "");
	follow_orders(srv, "child_exit");
}

static void
hook_child_died(struct tend_server *srv, pid_t pid, int status)
{
	trace(srv, "child_died", "%ld %d", (long)pid, status);
	follow_orders(srv, "child_died");
}

static void
hook_stranger_died(struct tend_server *srv, pid_t pid, int status)
{
	trace(srv, "stranger_died", "%ld %d", (long)pid, status);
	follow_orders(srv, "stranger_died");
}

static void
hook_accept_failed(struct tend_server *srv, int error)
{
	/* The trace needs a descriptor, and there may be none. */
	int spare = hoarded > 0 ? hoard[--hoarded] : -1;

	if (spare >= 0)
		close(spare);
	trace(srv, "accept_failed", "%d", error);
	follow_orders(srv, "accept_failed");
	if (spare >= 0)
		hoard[hoarded++] = open("/dev/null", O_RDONLY | O_CLOEXEC);
}

static void
hook_signal(struct tend_server *srv, int signo)
{
	int spare = hoarded > 0 ? hoard[--hoarded] : -1;

	if (spare >= 0)
		close(spare);
	trace(srv, "signal", "%d", signo);
	follow_orders(srv, "signal");
}

static bool
hook_allow(struct tend_conn *c)
{
	trace(tend_conn_server(c), "allow", "%s", "");
	return true;
}

static void
hook_full(struct tend_conn *c)
{
	unsigned i;

	trace(tend_conn_server(c), "full", "%s", "");
	follow_orders(tend_conn_server(c), "full");
	for (i = 0; i < own.farewell; i++)
		tend_write(c, "f", 1);
	tend_printf(c, "full\n");
}

static void
hook_processed(struct tend_conn *c, bool allowed)
{
	trace(tend_conn_server(c), "processed", "%d", allowed);
	follow_orders(tend_conn_server(c), "processed");
}

/* ---- the handler ---- */

static void
send_much(struct tend_conn *c, long bytes)
{
	char chunk[CHUNK];
	ssize_t n = 0;

	memset(chunk, 'x', sizeof(chunk));
	while (bytes > 0 && n >= 0) {
		n = tend_write(c, chunk, bytes < CHUNK ? (size_t)bytes : CHUNK);
		bytes -= n > 0 ? n : 0;
	}
	if (n >= 0)
		n = tend_flush(c);
	trace(tend_conn_server(c), "big", "%d", n < 0 ? (int)-n : 0);
}

/* One line of a client. False: that was the last. */
static bool
answer_line(struct tend_conn *c, const char *line)
{
	struct tend_server *srv = tend_conn_server(c);
	char answer[ANSWER_MAX];
	const char *words;

	if (strcmp(line, "quit") == 0)
		return false;
	if (strcmp(line, "fail") == 0) {
		tend_conn_fail(c, -EPROTO, "told to fail");
		return false;
	}
	if (strcmp(line, "pid") == 0)
		tend_printf(c, "%ld\n", (long)getpid());
	else if (strcmp(line, "hold") == 0)
		tend_printf(c, "holding\n");
	else if (strcmp(line, "forever") == 0)
		for (;;)
			nap(3600);
	else if (strcmp(line, "system") == 0)
		tend_printf(c, "%d\n", system("exit 3"));
	else if ((words = after_word(line, "sleep")) != NULL)
		tend_printf(c, "%d\n", tend_sleep(c, atof(words)));
	else if ((words = after_word(line, "big")) != NULL)
		send_much(c, atol(words));
	else if (obey(srv, line, answer) != NULL)
		tend_printf(c, "%s\n", answer);
	else
		tend_printf(c, "%s\n", line);
	return true;
}

static void
hook_process(struct tend_conn *c)
{
	char *line;

	trace(tend_conn_server(c), "process", "%s", "");
	follow_orders(tend_conn_server(c), "process");
	if (own.curt)
		return;
	while (tend_getline(c, &line) > 0 && answer_line(c, line))
		;
}

static const struct tend_service service = {
	.name = "waiter",
	.about = "Tells a file of every hook, and does what it is told to.",
	.options = options,
	.hooks = {
		.configured = hook_configured,
		.bound = hook_bound,
		.ready = hook_ready,
		.before_spawn = hook_before_spawn,
		.child_born = hook_child_born,
		.child_start = hook_child_start,
		.child_exit = hook_child_exit,
		.child_died = hook_child_died,
		.stranger_died = hook_stranger_died,
		.idle = hook_idle,
		.child_idle = hook_child_idle,
		.before_accept = hook_before_accept,
		.accept_failed = hook_accept_failed,
		.accepted = hook_accepted,
		.allow = hook_allow,
		.denied = hook_denied,
		.full = hook_full,
		.process = hook_process,
		.processed = hook_processed,
		.closed = hook_closed,
		.signal = hook_signal,
		.stopping = hook_stopping,
		.children_gone = hook_children_gone,
	},
};

int
main(int argc, char **argv)
{
	static const struct rlimit nothing;
	int status;

	/* The aborts are no accidents: they leave no core files. */
	setrlimit(RLIMIT_CORE, &nothing);
	status = tend_main(argc, argv, &service);
	trace(NULL, "returned", "%d", status);
	return status;
}
