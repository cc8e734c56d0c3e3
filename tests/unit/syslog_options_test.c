/* The words of the options syslog_*: src/log/syslog_options.c. */
#include <errno.h>
#include <netinet/in.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>
#include <syslog.h>
#include <cmocka.h>

#include "log/syslog.h"

static int
parse(struct syslog_setup *s, struct log_options o)
{
	struct error e = { 0 };
	int r = syslog_parse(s, &o, &e);

	if (r < 0) {
		assert_int_equal(e.status, EX_CONFIG);
		assert_memory_equal(e.text, "option syslog_", 14);
	}
	return r;
}

/* NS-LOG-40 to -43 */
static void
defaults_are_those_of_the_model(void **state)
{
	struct syslog_setup s;

	(void)state;
	assert_int_equal(parse(&s, (struct log_options){ .logopt = "pid", .ident = "" }), 0);
	assert_string_equal(s.ident, "net_server");
	assert_int_equal(s.facility, LOG_DAEMON);
	assert_true(s.with_pid);
	assert_false(s.console_too || s.stderr_too);
	assert_int_equal(s.way, SYSLOG_UNIX);
	assert_string_equal(s.host, "/dev/log");
}

/* NS-LOG-40 */
static void
ident_is_printable(void **state)
{
	static const char *const bad[] = { "a\nb", "\xc3\xa9", "\x7f",
		"0123456789012345678901234567890123456789012345678901234567890123" };
	struct syslog_setup s;
	size_t i;

	(void)state;
	assert_int_equal(parse(&s, (struct log_options){ .ident = "my server~" }), 0);
	assert_string_equal(s.ident, "my server~");
	for (i = 0; i < sizeof(bad) / sizeof(bad[0]); i++)
		assert_int_equal(parse(&s, (struct log_options){ .ident = bad[i] }), -EINVAL);
}

/* NS-LOG-41: joined by commas or bars; none at all is allowed, too. */
static void
options_are_words(void **state)
{
	struct syslog_setup s;

	(void)state;
	assert_int_equal(parse(&s, (struct log_options){ .logopt = "cons|pid,ndelay" }), 0);
	assert_true(s.with_pid && s.console_too && !s.stderr_too);
	assert_int_equal(parse(&s, (struct log_options){ .logopt = "perror nowait,,nofatal," }), 0);
	assert_true(!s.with_pid && !s.console_too && s.stderr_too);
	assert_int_equal(parse(&s, (struct log_options){ .logopt = NULL }), 0);
	assert_false(s.with_pid);
	assert_int_equal(parse(&s, (struct log_options){ .logopt = "pid,pi" }), -EINVAL);
	assert_int_equal(parse(&s, (struct log_options){ .logopt = "pids" }), -EINVAL);
}

/* NS-LOG-42 */
static void
facilities_go_by_their_names(void **state)
{
	static const struct {
		const char *name;
		unsigned code;
	} rows[] = {
		{ "kern", LOG_KERN }, { "auth", LOG_AUTH }, { "LOCAL7", LOG_LOCAL7 },
		{ "log_mail", LOG_MAIL }, { "LOG_AUTHPRIV", LOG_AUTHPRIV }, { "ftp", LOG_FTP },
	};
	struct syslog_setup s;
	size_t i;

	(void)state;
	for (i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		assert_int_equal(parse(&s, (struct log_options){ .facility = rows[i].name }), 0);
		assert_int_equal(s.facility, rows[i].code);
	}
	assert_int_equal(parse(&s, (struct log_options){ .facility = "local8" }), -EINVAL);
	assert_int_equal(parse(&s, (struct log_options){ .facility = "daemon|auth" }), -EINVAL);
}

/* NS-LOG-43 */
static void
ways_to_the_collector(void **state)
{
	static const struct {
		const char *text;
		enum syslog_way way;
		const char *host, *port;
	} rows[] = {
		{ "native", SYSLOG_UNIX, "/dev/log", "514" },
		{ "unix:/run/x", SYSLOG_UNIX, "/run/x", "514" },
		{ "UNIX:@abstract", SYSLOG_UNIX, "@abstract", "514" },
		{ "stream", SYSLOG_STREAM, "/dev/log", "514" },
		{ "udp", SYSLOG_UDP, "127.0.0.1", "514" },
		{ "udp:logs.example", SYSLOG_UDP, "logs.example", "514" },
		{ "tcp:logs.example:601", SYSLOG_TCP, "logs.example", "601" },
		{ "tcp:::1", SYSLOG_TCP, "::1", "514" },
		{ "tcp:[::1]", SYSLOG_TCP, "::1", "514" },
		{ "inet:[fe80::1%lo]:syslog", SYSLOG_INET, "fe80::1%lo", "syslog" },
		{ "console", SYSLOG_CONSOLE, "/dev/console", "514" },
	};
	static const char long_path[] =
	    "unix:/0123456789/0123456789/0123456789/0123456789/0123456789/0123456789/0123456789/"
	    "0123456789/0123456789/0123456789";
	static const char *const bad[] = { "foo", "udp:", "tcp:a:", "tcp:[::1", "tcp:[]:1",
		"tcp:[::1]x", "unix:", "unix:relative", "unixx",
		long_path };
	struct syslog_setup s;
	size_t i;

	(void)state;
	for (i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		assert_int_equal(parse(&s, (struct log_options){ .logsock = rows[i].text }), 0);
		assert_int_equal(s.way, rows[i].way);
		assert_string_equal(s.host, rows[i].host);
		assert_string_equal(s.port, rows[i].port);
	}
	for (i = 0; i < sizeof(bad) / sizeof(bad[0]); i++)
		assert_int_equal(parse(&s, (struct log_options){ .logsock = bad[i] }), -EINVAL);
}

static void
targets_are_tried_in_order(void **state)
{
	struct collector c = { .count = 0 };
	struct syslog_setup s;

	(void)state;
	assert_int_equal(parse(&s, (struct log_options){ .logsock = "unix:/run/x" }), 0);
	assert_int_equal(syslog_resolve(&s, &c, NULL), 0);
	assert_int_equal(c.count, 2);
	assert_int_equal(c.targets[0].type, SOCK_DGRAM);
	assert_int_equal(c.targets[1].type, SOCK_STREAM);
	assert_int_equal(c.targets[1].end, END_NUL);
	assert_int_equal(parse(&s, (struct log_options){ .logsock = "inet:127.0.0.1:1514" }), 0);
	c.count = 0;
	assert_int_equal(syslog_resolve(&s, &c, NULL), 0);
	assert_int_equal(c.count, 2);
	assert_int_equal(c.targets[0].type, SOCK_STREAM);
	assert_int_equal(c.targets[0].end, END_NEWLINE);
	assert_int_equal(c.targets[1].type, SOCK_DGRAM);
	assert_int_equal(addr_port(&c.targets[1].addr), 1514);
}

/* NS-LOG-12 */
static void
unknown_service_is_an_error_of_the_start(void **state)
{
	struct collector c = { .count = 0 };
	struct syslog_setup s;
	struct error e = { 0 };

	(void)state;
	assert_int_equal(parse(&s, (struct log_options){ .logsock = "tcp:127.0.0.1:no-such" }), 0);
	assert_true(syslog_resolve(&s, &c, &e) < 0);
	assert_int_equal(e.status, EX_NOHOST);
	assert_non_null(strstr(e.text, "no-such"));
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(defaults_are_those_of_the_model),
		cmocka_unit_test(ident_is_printable),
		cmocka_unit_test(options_are_words),
		cmocka_unit_test(facilities_go_by_their_names),
		cmocka_unit_test(ways_to_the_collector),
		cmocka_unit_test(targets_are_tried_in_order),
		cmocka_unit_test(unknown_service_is_an_error_of_the_start),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
