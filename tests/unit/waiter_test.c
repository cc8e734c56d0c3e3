/* Net::Waiter's words: what they choose, and the life of a server that is described by them. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <arpa/inet.h>
#include <errno.h>
#include <signal.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

#include <tend/tend.h>

#include "process/pool.h"

#define ARGV_MAX 16

static void
serve_nobody(struct tend_conn *c)
{
	(void)c;
}

/* Configures a server from words of a command line; the caller frees it. `*r` is what came of it. */
static struct tend_server *
told(const struct tend_service *service, const char *words, int *r)
{
	static char text[256];
	char *argv[ARGV_MAX] = { (char *)(uintptr_t)"waiter" }, *rest = text;
	int argc = 1;
	struct tend_server *srv = tend_server_new(service);

	snprintf(text, sizeof(text), "%s", words);
	while (argc < ARGV_MAX - 1 && (argv[argc] = strtok_r(rest, " ", &rest)) != NULL)
		argc++;
	argv[argc] = NULL;
	assert_non_null(srv);
	*r = tend_server_configure(srv, argc, argv);
	return srv;
}

static void
expect_option(struct tend_server *srv, const char *words, const char *option, const char *value)
{
	const char *is = tend_server_get(srv, option);

	if (is == NULL || strcmp(is, value) != 0)
		fail_msg("\"%s\": %s is %s, not %s", words, option, is != NULL ? is : "(unknown)", value);
}

/* ---- what the words mean ---- */

struct row {
	const char *words;
	const char *expected; /* "option=value ..." */
};

static const struct row table[] = {
	/* NW-04: prefork decides between a pool and a child for each client */
	{ "maxfork=3", "server_type=Fork max_servers=3" },
	{ "maxfork=3 prefork=0", "server_type=Fork max_servers=3" },
	{ "prefork=4", "server_type=PreFork min_servers=4 max_servers=1024 growth=tenth" },
	{ "prefork=4 maxfork=128", "server_type=PreFork min_servers=4 max_servers=128" },
	/* NW-36: the maximum beats the size that was asked for */
	{ "prefork=8 maxfork=3", "server_type=PreFork min_servers=3 max_servers=3" },
	/* NW-05, NW-T04, NW-D01: below zero it is both, unless maxfork was said */
	{ "prefork=-8", "server_type=PreFork min_servers=8 max_servers=8" },
	{ "prefork=-1", "server_type=PreFork min_servers=1 max_servers=1" },
	{ "prefork=-8 maxfork=20", "server_type=PreFork min_servers=8 max_servers=20" },
	{ "prefork=-8 maxfork=2", "server_type=PreFork min_servers=2 max_servers=2" },
	{ "prefork=-8 maxfork=0", "server_type=PreFork min_servers=8 max_servers=8" },
	/* NW-06: 0 is 1024 */
	{ "prefork=1 maxfork=0", "max_servers=1024" },
	{ "nofork=1", "server_type=Single max_servers=1024" },
	{ "nofork=1 maxfork=7", "server_type=Single" },
	{ "nofork=0 prefork=2", "server_type=PreFork min_servers=2" },
	/* NW-08: 4 s; from 1 to 3600; fractions from 1 on are kept */
	{ "maxfork=3", "idle_period=4" },
	{ "maxfork=3 timeout=0", "idle_period=4" },
	{ "maxfork=3 timeout=0.5", "idle_period=1" },
	{ "maxfork=3 timeout=-7", "idle_period=1" },
	{ "maxfork=3 timeout=-0.1", "idle_period=1" },
	{ "maxfork=3 timeout=1", "idle_period=1" },
	{ "maxfork=3 timeout=1.5", "idle_period=1.5" },
	{ "maxfork=3 timeout=3600", "idle_period=3600" },
	{ "maxfork=3 timeout=3600.5", "idle_period=3600" },
	{ "maxfork=3 timeout=99999", "idle_period=3600" },
	/* NW-09: 31 s; below 1 it is the same; no upper clamp */
	{ "prefork=2", "worker_idle_timeout=31 worker_idle_unused=0" },
	{ "prefork=2 px_idle=0", "worker_idle_timeout=31" },
	{ "prefork=2 px_idle=0.9", "worker_idle_timeout=31" },
	{ "prefork=2 px_idle=-5", "worker_idle_timeout=31" },
	{ "prefork=2 px_idle=1", "worker_idle_timeout=1" },
	{ "prefork=2 px_idle=2.5", "worker_idle_timeout=2.5" },
	{ "prefork=2 px_idle=1000000", "worker_idle_timeout=1000000" },
	{ "prefork=2 worker_idle_unused=1", "worker_idle_timeout=31 worker_idle_unused=1" },
	/* NW-10, NW-11 */
	{ "prefork=2", "prop_sigusr=0 debug=0 log_level=2" },
	{ "prefork=2 prop_sigusr=1", "prop_sigusr=1" },
	{ "prefork=2 debug=1", "log_level=4" },
	{ "prefork=2 debug=1 log_level=1", "log_level=1" },
	{ "debug=1", "log_level=4 full=queue hup=restart child_stop=now" },
	/* NW-01, NW-02: any endpoint */
	{ "prefork=2 port=0", "port=0" },
	{ "maxfork=2 port=[::1]:7008 port=/tmp/x|unix", "server_type=Fork" },
	/* NW-03 */
	{ "prefork=2", "listen=128" },
	{ "prefork=2 listen=7", "listen=7" },
	/* Where the models differ, the words choose; what is said in tend's own words wins. */
	{ "maxfork=3", "full=refuse child_stop=finish hup=hook accepted_in_parent=1 process_titles=1" },
	{ "prefork=3", "max_requests=0" },
	{ "prefork=3 full=queue child_stop=now hup=restart max_requests=9",
		"full=queue child_stop=now hup=restart max_requests=9 growth=tenth" },
	{ "prefork=3 server_type=PreForkSimple", "server_type=PreForkSimple max_servers=1024" },
	{ "prefork=3 min_servers=2 max_servers=5", "min_servers=2 max_servers=5" },
	/* Nobody who does not use them is touched by them. */
	{ "server_type=Fork", "max_servers=256 full=queue idle_period=10 worker_idle_timeout=0" },
	{ "server_type=Fork timeout=2", "max_servers=256 full=queue idle_period=2" },
	{ "server_type=PreFork px_idle=7", "worker_idle_timeout=7 growth=spare" },
};

static void
expect_row(const struct row *row)
{
	static const struct tend_service service = { .name = "w", .hooks.process = serve_nobody };
	char expected[256], *rest = expected, *pair;
	int r;
	struct tend_server *srv = told(&service, row->words, &r);

	if (r != 0)
		fail_msg("\"%s\": %s", row->words, tend_server_error(srv));
	snprintf(expected, sizeof(expected), "%s", row->expected);
	while ((pair = strtok_r(rest, " ", &rest)) != NULL) {
		char *value = strchr(pair, '=');

		*value++ = '\0';
		expect_option(srv, row->words, pair, value);
	}
	tend_server_free(srv);
}

static void
words_choose_defaults_row_by_row(void **state)
{
	/* NW-T03, NW-T04, NW-01 to -13, NW-D01 */
	size_t i;

	(void)state;
	for (i = 0; i < sizeof(table) / sizeof(table[0]); i++)
		expect_row(&table[i]);
}

static void
words_mean_the_same_in_code(void **state)
{
	/* NW-T03, NW-T04, NW-05, NW-08, NW-09 */
	static const struct {
		struct tend_config config;
		const char *option, *value;
	} rows[] = {
		{ { .prefork = -8 }, "max_servers", "8" },
		{ { .prefork = -8 }, "min_servers", "8" },
		{ { .prefork = -1 }, "max_servers", "1" },
		{ { .prefork = -8, .maxfork = 20 }, "max_servers", "20" },
		{ { .prefork = 8 }, "max_servers", "1024" },
		{ { .maxfork = 9 }, "server_type", "Fork" },
		{ { .nofork = true }, "server_type", "Single" },
		{ { .prefork = 2, .timeout = 1.5 }, "idle_period", "1.5" },
		{ { .prefork = 2, .timeout = 0.1 }, "idle_period", "1" },
		{ { .prefork = 2, .timeout = -1 }, "idle_period", "1" },
		{ { .prefork = 2, .timeout = -3 }, "idle_period", "1" },
		{ { .prefork = 2, .px_idle = 15 }, "worker_idle_timeout", "15" },
		{ { .prefork = 2, .px_idle = -1 }, "worker_idle_timeout", "31" },
		{ { .prefork = 2, .debug = true }, "log_level", "4" },
		{ { .prefork = 2, .prop_sigusr = true }, "prop_sigusr", "1" },
		{ { .prefork = 2, .port = "0" }, "port", "0" },
	};
	size_t i;

	(void)state;
	for (i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		struct tend_service service = { .config = rows[i].config, .hooks.process = serve_nobody };
		struct tend_server *srv = tend_server_new(&service);

		assert_non_null(srv);
		assert_int_equal(tend_server_configure(srv, 0, NULL), 0);
		expect_option(srv, "code", rows[i].option, rows[i].value);
		tend_server_free(srv);
	}
}

static void
contradictions_and_nonsense_are_told(void **state)
{
	/* NW-04 (fractions), NW-06 (below zero), NW-07 (nofork with prefork), NW-13 */
	static const struct {
		const char *words, *named[2];
	} rows[] = {
		{ "nofork=1 prefork=4", { "nofork", "prefork (4)" } },
		{ "nofork=1 prefork=-4", { "nofork", "prefork (-4)" } },
		{ "prefork=2.7", { "prefork", "2.7" } },
		{ "prefork=many", { "prefork", "many" } },
		{ "maxfork=-1", { "maxfork", "-1" } },
		{ "prefork=3 maxfork=-20", { "maxfork", "-20" } },
		{ "prefork=3 maxfork=2.5", { "maxfork", "2.5" } },
		{ "timeout=soon", { "timeout", "soon" } },
		{ "px_idle=never", { "px_idle", "never" } },
		{ "nofork=perhaps", { "nofork", "perhaps" } },
	};
	static const struct tend_service service = { .hooks.process = serve_nobody };
	size_t i;

	(void)state;
	for (i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		int r;
		struct tend_server *srv = told(&service, rows[i].words, &r);
		const char *sentence = tend_server_error(srv);

		if (r != -EINVAL || strstr(sentence, rows[i].named[0]) == NULL ||
		    strstr(sentence, rows[i].named[1]) == NULL)
			fail_msg("\"%s\": %d, \"%s\"", rows[i].words, r, sentence);
		tend_server_free(srv);
	}
}

static void
no_number_of_children_below_zero_in_code(void **state)
{
	/* NW-06: TEND_NONE is -1 as well, and "no children" is nonsense */
	static const int numbers[] = { -1, -2, -1024 };
	size_t i;

	(void)state;
	for (i = 0; i < sizeof(numbers) / sizeof(numbers[0]); i++) {
		struct tend_service service = {
			.config = { .prefork = 2, .maxfork = numbers[i] },
			.hooks.process = serve_nobody,
		};
		struct tend_server *srv = tend_server_new(&service);

		assert_non_null(srv);
		assert_int_equal(tend_server_configure(srv, 0, NULL), -EINVAL);
		assert_non_null(strstr(tend_server_error(srv), "maxfork"));
		tend_server_free(srv);
	}
}

static void
service_may_have_options_of_these_names(void **state)
{
	/* NW-13: words of the service's own are its own */
	static double timeout;
	static const struct tend_option own[] = {
		{ "timeout", TEND_INTO(&timeout), .value = "7", .help = "mine" },
		TEND_END
	};
	static int mark;
	static const struct tend_service service = {
		.options = own,
		.hooks.process = serve_nobody,
		.data = &mark,
	};
	int r;
	struct tend_server *srv = told(&service, "timeout=0.25 maxfork=3", &r);

	(void)state;
	assert_int_equal(r, 0);
	assert_true(timeout == 0.25);
	expect_option(srv, "own timeout", "idle_period", "4");
	assert_ptr_equal(tend_server_data(srv), &mark);
	tend_server_free(srv);
}

static void
pool_rule_from_a_table(void **state)
{
	/* NW-36, NW-37, NW-38, NW-D07: kids K, busy B, options; how many are started */
	static const struct {
		unsigned prefork, maxfork, waiting, busy, leaving, start;
	} rows[] = {
		/* nobody busy: exactly prefork (NW-37) */
		{ 1, 1024, 0, 0, 0, 1 }, { 1, 1024, 1, 0, 0, 0 }, { 2, 1024, 2, 0, 0, 0 },
		{ 8, 1024, 8, 0, 0, 0 }, { 8, 1024, 5, 0, 0, 3 }, { 8, 1024, 12, 0, 0, 0 },
		/* I <= 1 + K/10: prefork more (NW-38) */
		{ 1, 1024, 0, 1, 0, 1 }, { 1, 1024, 1, 1, 0, 1 }, { 2, 1024, 1, 1, 0, 2 },
		{ 4, 1024, 3, 1, 0, 0 }, { 4, 1024, 2, 2, 0, 0 }, { 4, 1024, 1, 3, 0, 4 },
		{ 4, 1024, 0, 8, 0, 4 }, { 10, 1024, 2, 8, 0, 10 }, { 10, 1024, 3, 7, 0, 0 },
		{ 5, 1024, 3, 17, 0, 5 }, { 5, 1024, 4, 16, 0, 0 },
		/* never above maxfork (NW-T15) */
		{ 4, 6, 0, 4, 0, 2 }, { 4, 6, 0, 6, 0, 0 }, { 4, 6, 1, 5, 0, 0 }, { 3, 3, 0, 3, 0, 0 },
		{ 4, 6, 0, 4, 1, 1 }, { 4, 6, 0, 4, 2, 0 }, { 4, 4, 0, 0, 0, 4 },
	};
	size_t i;

	(void)state;
	for (i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		struct pool_limits l = { .min_servers = rows[i].prefork, .max_servers = rows[i].maxfork };
		struct pool_view v = {
			.waiting = rows[i].waiting,
			.busy = rows[i].busy,
			.leaving = rows[i].leaving,
		};

		if (pool_grow_by_tenth(&l, &v) != rows[i].start)
			fail_msg("row %zu: %u, not %u", i, pool_grow_by_tenth(&l, &v), rows[i].start);
	}
}

/* ---- whole lives, inside this process ---- */

/* What the hooks of a run said, in order: "configure configured ...". */
static struct {
	char     said[512];
	unsigned port;         /* of `bound` */
	int      client;       /* the exit status of the last client */
	int      clients;
	const char *stop_in;   /* the hook that tells the server to stop; or NULL */
} seen;

static void
say(struct tend_server *srv, const char *hook)
{
	size_t n = strlen(seen.said);

	snprintf(seen.said + n, sizeof(seen.said) - n, "%s%s", n > 0 ? " " : "", hook);
	if (seen.stop_in != NULL && strcmp(seen.stop_in, hook) == 0)
		tend_server_stop(srv);
}

static int
on_configure(struct tend_server *srv)
{
	say(srv, "configure");
	return 0;
}

static int
on_configured(struct tend_server *srv)
{
	say(srv, "configured");
	return 0;
}

static int
on_bound(struct tend_server *srv)
{
	struct tend_endpoint ep;

	assert_true(tend_server_endpoint(srv, 0, &ep));
	assert_true(ep.fd >= 0);
	seen.port = ep.port;
	say(srv, "bound");
	return 0;
}

/* A client in a process of its own: 0 when it was served. */
static _Noreturn void
be_a_client(unsigned port)
{
	struct sockaddr_in at = { .sin_family = AF_INET, .sin_port = htons((uint16_t)port) };
	int fd = socket(AF_INET, SOCK_STREAM, 0);
	char answer[8] = "";
	ssize_t n;

	at.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
	alarm(20);
	if (fd < 0 || connect(fd, (struct sockaddr *)&at, sizeof(at)) < 0)
		_exit(1);
	n = recv(fd, answer, 6, MSG_WAITALL);
	if (n != 6 || strcmp(answer, "hello\n") != 0)
		_exit(2);
	/* As another program: what the server had in memory is not this one's to account for. */
	execl("/bin/true", "true", (char *)NULL);
	_exit(3);
}

/* The client is no child of the server: stranger_died() hears of its end. */
static int
on_ready(struct tend_server *srv)
{
	pid_t pid;

	say(srv, "ready");
	if (seen.stop_in != NULL)
		return 0;
	pid = fork();
	if (pid == 0)
		be_a_client(seen.port);
	return pid > 0 ? 0 : tend_server_fail(srv, -errno, "no client");
}

static void
on_client_gone(struct tend_server *srv, pid_t pid, int status)
{
	(void)pid;
	seen.client = status;
	seen.clients++;
	tend_server_stop(srv);
}

static int
on_child_start(struct tend_server *srv, enum tend_child_kind kind)
{
	(void)kind;
	say(srv, "child_start");
	return 0;
}

static void
on_child_exit(struct tend_server *srv, enum tend_child_kind kind)
{
	(void)kind;
	say(srv, "child_exit");
}

static void
on_process(struct tend_conn *c)
{
	say(tend_conn_server(c), "process");
	tend_printf(c, "hello\n");
}

static void
on_accepted(struct tend_conn *c)
{
	say(tend_conn_server(c), "accepted");
}

static void
on_closed(struct tend_conn *c)
{
	say(tend_conn_server(c), "closed");
}

static void
on_stopping(struct tend_server *srv)
{
	struct tend_endpoint ep;

	/* NW-18, NW-105: the listening socket is still there */
	assert_true(tend_server_endpoint(srv, 0, &ep));
	say(srv, "stopping");
}

static void
on_children_gone(struct tend_server *srv)
{
	say(srv, "children_gone");
}

#define ALL_HOOKS                                                                             \
	.configure = on_configure, .configured = on_configured, .bound = on_bound,            \
	.ready = on_ready, .stranger_died = on_client_gone, .child_start = on_child_start,    \
	.child_exit = on_child_exit, .accepted = on_accepted, .process = on_process,          \
	.closed = on_closed, .stopping = on_stopping, .children_gone = on_children_gone

static const struct tend_service single = {
	.name = "single",
	.config = { .port = "127.0.0.1:0", .nofork = true, .log_level = TEND_NONE },
	.hooks = { ALL_HOOKS },
};

static const struct tend_service forking = {
	.name = "forking",
	.config = { .port = "127.0.0.1:0", .maxfork = 4, .log_level = TEND_NONE },
	.hooks = { ALL_HOOKS },
};

static const struct tend_service preforking = {
	.name = "preforking",
	.config = { .port = "127.0.0.1:0", .prefork = -2, .log_level = TEND_NONE },
	.hooks = { ALL_HOOKS },
};

static const struct tend_service *const services[] = { &single, &forking, &preforking };

#define COUNT(array) (sizeof(array) / sizeof((array)[0]))

static struct tend_server *
configured_server(const struct tend_service *service, const char *stop_in)
{
	struct tend_server *srv = tend_server_new(service);

	memset(&seen, 0, sizeof(seen));
	seen.stop_in = stop_in;
	assert_non_null(srv);
	assert_int_equal(tend_server_configure(srv, 0, NULL), 0);
	return srv;
}

static bool
ends_with(const char *text, const char *end)
{
	size_t n = strlen(text), m = strlen(end);

	return n >= m && strcmp(text + n - m, end) == 0;
}

static void
one_object_serves_again_and_again(void **state)
{
	/* NW-T07, NW-19, NW-D22, NW-14 */
	size_t i;
	int run;

	(void)state;
	for (i = 0; i < COUNT(services); i++) {
		struct tend_server *srv = configured_server(services[i], NULL);

		for (run = 1; run <= 3; run++) {
			seen.client = -1;
			assert_int_equal(tend_server_run(srv), 0);
			assert_int_equal(seen.client, 0);
			assert_int_equal(seen.clients, run);
			assert_true(ends_with(seen.said, "stopping children_gone"));
		}
		tend_server_free(srv);
	}
}

static void
hooks_of_a_life_in_their_order(void **state)
{
	/* NW-16, NW-18, NW-113, NW-51: the foreground process serves as a child would */
	struct tend_server *srv = configured_server(&single, NULL);

	(void)state;
	assert_int_equal(tend_server_run(srv), 0);
	assert_string_equal(seen.said, "configure configured bound ready child_start accepted process "
	    "closed child_exit stopping children_gone");
	tend_server_free(srv);
}

static void
stop_in_bound_ends_in_order(void **state)
{
	/* NW-T06, NW-20, NW-14 */
	size_t i;

	(void)state;
	for (i = 0; i < COUNT(services); i++) {
		struct tend_server *srv = configured_server(services[i], "bound");

		assert_int_equal(tend_server_run(srv), 0);
		assert_string_equal(seen.said, "configure configured bound stopping children_gone");
		tend_server_free(srv);
	}
}

static void
stop_before_the_bind_ends_in_order(void **state)
{
	/* NW-20: in the first hook of all, and in the one before the bind */
	static const struct {
		const char *hook, *said;
	} rows[] = {
		{ "configure", "configure" },
		{ "configured", "configure configured" },
	};
	size_t i;

	(void)state;
	for (i = 0; i < COUNT(rows); i++) {
		struct tend_server *srv = configured_server(&forking, rows[i].hook);

		assert_int_equal(tend_server_run(srv), 0);
		assert_string_equal(seen.said, rows[i].said);
		tend_server_free(srv);
	}
}

static void
stop_ends_one_run_only(void **state)
{
	/* NW-19: the next one serves */
	struct tend_server *srv = configured_server(&single, "bound");

	(void)state;
	assert_int_equal(tend_server_run(srv), 0);
	assert_int_equal(seen.clients, 0);
	seen.stop_in = NULL;
	assert_int_equal(tend_server_run(srv), 0);
	assert_int_equal(seen.clients, 1);
	assert_int_equal(seen.client, 0);
	tend_server_free(srv);
}

/* A socket that listens at a port of the kernel's choice. */
static int
occupy(unsigned *port)
{
	struct sockaddr_in at = { .sin_family = AF_INET };
	socklen_t size = sizeof(at);
	int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);

	at.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
	assert_true(fd >= 0);
	assert_int_equal(bind(fd, (struct sockaddr *)&at, sizeof(at)), 0);
	assert_int_equal(listen(fd, 1), 0);
	assert_int_equal(getsockname(fd, (struct sockaddr *)&at, &size), 0);
	*port = ntohs(at.sin_port);
	return fd;
}

static void
occupied_port_is_returned_with_a_sentence(void **state)
{
	/* NW-T02, NW-15, NW-115, NW-125: only the start's hooks ran, and the port is named */
	size_t i;

	(void)state;
	for (i = 0; i < COUNT(services); i++) {
		struct tend_service service = *services[i];
		char where[32], number[8];
		unsigned port;
		int fd = occupy(&port);
		struct tend_server *srv;

		snprintf(where, sizeof(where), "127.0.0.1:%u", port);
		snprintf(number, sizeof(number), "%u", port);
		service.config.port = where;
		srv = configured_server(&service, NULL);
		assert_int_equal(tend_server_run(srv), -EADDRINUSE);
		assert_string_equal(seen.said, "configure configured");
		assert_non_null(strstr(tend_server_error(srv), number));
		assert_int_not_equal(tend_server_exit_status(srv), 0);
		tend_server_free(srv);
		close(fd);
	}
}

static void
freed_port_can_be_served_by_the_same_object(void **state)
{
	/* NW-15, NW-19 */
	struct tend_service service = single;
	char where[32];
	unsigned port;
	int fd = occupy(&port);
	struct tend_server *srv;

	(void)state;
	snprintf(where, sizeof(where), "127.0.0.1:%u", port);
	service.config.port = where;
	srv = configured_server(&service, NULL);
	assert_int_equal(tend_server_run(srv), -EADDRINUSE);
	close(fd);
	assert_int_equal(tend_server_run(srv), 0);
	assert_int_equal(seen.client, 0);
	tend_server_free(srv);
}

static void
signals_mean_afterwards_what_they_did_before(void **state)
{
	/* NW-21, NW-15, NW-D22 */
	static const int numbers[] = {
		SIGTERM, SIGINT, SIGHUP, SIGUSR1, SIGUSR2, SIGCHLD, SIGPIPE, SIGQUIT, SIGTTIN, SIGTTOU,
	};
	struct sigaction mine = { .sa_handler = SIG_IGN }, before[COUNT(numbers)], after;
	size_t i, s;

	(void)state;
	assert_int_equal(sigaction(SIGUSR2, &mine, NULL), 0);
	for (i = 0; i < COUNT(numbers); i++)
		sigaction(numbers[i], NULL, &before[i]);
	for (s = 0; s < COUNT(services); s++) {
		struct tend_server *srv = configured_server(services[s], NULL);

		assert_int_equal(tend_server_run(srv), 0);
		tend_server_free(srv);
		for (i = 0; i < COUNT(numbers); i++) {
			sigaction(numbers[i], NULL, &after);
			if (after.sa_handler != before[i].sa_handler)
				fail_msg("%s: signal %d is not as it was", services[s]->name, numbers[i]);
		}
	}
	mine.sa_handler = SIG_DFL;
	sigaction(SIGUSR2, &mine, NULL);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(words_choose_defaults_row_by_row),
		cmocka_unit_test(words_mean_the_same_in_code),
		cmocka_unit_test(contradictions_and_nonsense_are_told),
		cmocka_unit_test(no_number_of_children_below_zero_in_code),
		cmocka_unit_test(service_may_have_options_of_these_names),
		cmocka_unit_test(pool_rule_from_a_table),
		cmocka_unit_test(one_object_serves_again_and_again),
		cmocka_unit_test(hooks_of_a_life_in_their_order),
		cmocka_unit_test(stop_in_bound_ends_in_order),
		cmocka_unit_test(stop_before_the_bind_ends_in_order),
		cmocka_unit_test(stop_ends_one_run_only),
		cmocka_unit_test(occupied_port_is_returned_with_a_sentence),
		cmocka_unit_test(freed_port_can_be_served_by_the_same_object),
		cmocka_unit_test(signals_mean_afterwards_what_they_did_before),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
