/* Lines for syslog: src/log/syslog.c, read by a collector on a socket of the test. */
#include <errno.h>
#include <fcntl.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>
#include <cmocka.h>

#include "log/log.h"
#include "log/sink.h"
#include "net/addr.h"

struct fixture {
	struct logger log;
	struct log_options options;
	char directory[64], path[96], way[120];
	int collector;
	char line[9000];
};

static void
listen_again(struct fixture *f)
{
	struct addr a;

	assert_int_equal(addr_set_path(&a, f->path), 0);
	f->collector = socket(AF_UNIX, SOCK_DGRAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
	assert_int_equal(bind(f->collector, &a.u.any, a.length), 0);
}

static void
stop_listening(struct fixture *f)
{
	close(f->collector);
	unlink(f->path);
}

static int
set_up(void **state)
{
	struct fixture *f = calloc(1, sizeof(*f));

	if (f == NULL)
		return -1;
	snprintf(f->directory, sizeof(f->directory), "/tmp/syslog_test.XXXXXX");
	if (mkdtemp(f->directory) == NULL)
		return -1;
	snprintf(f->path, sizeof(f->path), "%s/log", f->directory);
	snprintf(f->way, sizeof(f->way), "unix:%s", f->path);
	f->options = (struct log_options){ .file = "Sys::Syslog", .logsock = f->way, .logopt = "pid" };
	listen_again(f);
	logger_init(&f->log);
	f->log.level = TEND_LOG_DEBUG;
	*state = f;
	return 0;
}

static int
tear_down(void **state)
{
	struct fixture *f = *state;

	logger_done(&f->log);
	stop_listening(f);
	rmdir(f->directory);
	free(f);
	return 0;
}

static void
open_log(struct fixture *f)
{
	struct error e = { 0 };

	assert_int_equal(logger_open(&f->log, &f->options, &e), 0);
}

/* The next line; "" when there is none. */
static const char *
next(struct fixture *f)
{
	ssize_t n = recv(f->collector, f->line, sizeof(f->line) - 1, 0);

	f->line[n < 0 ? 0 : n] = '\0';
	return f->line;
}

/* "<29>" at the front, a time of 15 bytes, and this. */
static void
expect(struct fixture *f, const char *number, const char *rest)
{
	next(f);
	assert_memory_equal(f->line, number, strlen(number));
	assert_string_equal(f->line + strlen(number) + 15, rest);
}

/* NS-LOG-44, NS-LOG-47: the priorities of the levels; the text is no format; pid by option. */
static void
lines_are_those_of_libc(void **state)
{
	static const char *const numbers[] = { "<27>", "<28>", "<29>", "<30>", "<31>" };
	struct fixture *f = *state;
	char wanted[100];
	int level;

	open_log(f);
	for (level = 0; level <= TEND_LOG_DEBUG; level++) {
		logger_write(&f->log, (enum tend_log_level)level, "%s\n", "100% \n %s");
		snprintf(wanted, sizeof(wanted), " net_server[%d]: 100%% %%0A %%s", (int)getpid());
		expect(f, numbers[level], wanted);
	}
}

static void
options_change_the_head(void **state)
{
	struct fixture *f = *state;

	f->options.facility = "local3";
	f->options.ident = "my server";
	f->options.logopt = "";
	f->options.file = "syslog";
	open_log(f);
	logger_write(&f->log, TEND_LOG_ERROR, "x");
	expect(f, "<155>", " my server: x");
}

static void
other_formats_follow_the_head(void **state)
{
	struct fixture *f = *state;
	const char *text;

	f->options.format = "logfmt";
	open_log(f);
	logger_write(&f->log, TEND_LOG_INFO, "x");
	text = strstr(next(f), "]: time=");
	assert_non_null(text);
	assert_non_null(strstr(text, " level=info "));
	assert_string_equal(f->line + strlen(f->line) - 12, " message=\"x\"");
}

/* The longest line is still one datagram. */
static void
long_line_is_cut(void **state)
{
	struct fixture *f = *state;
	char *text = malloc(20001);

	assert_non_null(text);
	memset(text, 'x', 20000);
	text[20000] = '\0';
	open_log(f);
	logger_write(&f->log, TEND_LOG_ERROR, "%s", text);
	assert_in_range(strlen(next(f)), 8000, 8192);
	assert_string_equal(f->line + strlen(f->line) - 3, "...");
	free(text);
}

/* NS-LOG-45, NS-LOG-46 */
static void
losses_are_told_when_syslog_is_back(void **state)
{
	struct fixture *f = *state;

	open_log(f);
	stop_listening(f);
	logger_write(&f->log, TEND_LOG_ERROR, "one");
	logger_write(&f->log, TEND_LOG_ERROR, "two");
	listen_again(f);
	assert_int_equal(logger_reopen(&f->log, NULL), 0);
	logger_write(&f->log, TEND_LOG_ERROR, "three");
	next(f);
	assert_non_null(strstr(f->line, "]: log: 2 lines were lost since 2"));
	assert_non_null(strstr(f->line, ": no such file or directory"));
	assert_non_null(strstr(next(f), "]: three"));
	assert_string_equal(next(f), "");
}

/* NS-LOG-45: who has not started yet is waited for by nobody. */
static void
absent_syslog_does_not_stop_the_start(void **state)
{
	struct fixture *f = *state;

	stop_listening(f);
	open_log(f);
	logger_write(&f->log, TEND_LOG_ERROR, "one");
	assert_int_equal(logger_shared(&f->log)->lost, 1);
	listen_again(f);
}

/* NS-LOG-12 */
static void
bad_options_leave_the_log_as_it_was(void **state)
{
	struct fixture *f = *state;
	struct error e = { 0 };

	f->options.logsock = "tcp:127.0.0.1:no-such";
	assert_true(logger_open(&f->log, &f->options, &e) < 0);
	assert_true(logger_is_stderr(&f->log));
	f->options.logsock = "console:/no/such/console";
	assert_int_equal(logger_open(&f->log, &f->options, &e), -ENOENT);
	assert_non_null(strstr(e.text, "/no/such/console"));
	assert_int_equal(logger_check(&f->options, &e), 0);
	f->options.logopt = "pod";
	assert_int_equal(logger_check(&f->options, &e), -EINVAL);
}

/* A file stands in for the terminal. */
static void
console_gets_lines_without_the_number(void **state)
{
	struct fixture *f = *state;
	char path[120], way[140], text[200] = "";
	int fd;

	snprintf(path, sizeof(path), "%s/console", f->directory);
	snprintf(way, sizeof(way), "console:%s", path);
	fd = open(path, O_RDWR | O_CREAT | O_CLOEXEC, 0600);
	f->options.logsock = way;
	open_log(f);
	logger_write(&f->log, TEND_LOG_ERROR, "x");
	assert_true(read(fd, text, sizeof(text) - 1) > 15);
	assert_memory_equal(text + 15, " net_server[", 12);
	assert_non_null(strstr(text, "]: x\n"));
	assert_int_equal(logger_reopen(&f->log, NULL), 0);
	logger_before_fork(&f->log);
	close(fd);
	unlink(path);
}

/* NS-DMN-07 */
static void
server_without_a_log_tells_errors_only(void **state)
{
	struct fixture *f = *state;

	logger_keep_errors(&f->log, &f->options);
	logger_write(&f->log, TEND_LOG_WARNING, "not this");
	logger_write(&f->log, TEND_LOG_ERROR, "cannot go on");
	assert_non_null(strstr(next(f), "]: cannot go on"));
	assert_string_equal(next(f), "");
	assert_false(logger_can_reopen(&f->log));
}

int
main(void)
{
#define WITH(test) cmocka_unit_test_setup_teardown(test, set_up, tear_down)
	const struct CMUnitTest tests[] = {
		WITH(lines_are_those_of_libc),
		WITH(options_change_the_head),
		WITH(other_formats_follow_the_head),
		WITH(long_line_is_cut),
		WITH(losses_are_told_when_syslog_is_back),
		WITH(absent_syslog_does_not_stop_the_start),
		WITH(bad_options_leave_the_log_as_it_was),
		WITH(console_gets_lines_without_the_number),
		WITH(server_without_a_log_tells_errors_only),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
