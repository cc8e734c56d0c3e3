/* What each type of option accepts, and the sentences for what it does not. */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "config/options.h"

/* Gives one option one value and resolves. */
static int
try(const char *name, const char *value, struct settings *s, struct error *e)
{
	struct options *o;
	int r;

	assert_int_equal(options_new(&o, NULL, NULL), 0);
	assert_int_equal(options_set(o, SOURCE_FILE, "tend.conf:12", name, value, NULL), 0);
	r = options_resolve(o, s, e);
	options_free(o);
	return r;
}

/* NS-PFS-10, NS-PF-10, NS-OPT-48, NS-PFS-05 */
static void
bad_values_are_refused_with_what_is_allowed(void **state)
{
	static const char *const samples[][3] = {
		{ "max_servers", "abc", "\"abc\" is not a whole number from 1 to 100000" },
		{ "max_servers", "0", "\"0\" is not a whole number from 1 to 100000" },
		{ "max_servers", "2.5", "\"2.5\" is not a whole number from 1 to 100000" },
		{ "max_servers", "", "\"\" is not a whole number from 1 to 100000" },
		{ "max_requests", "99999999999999999999", "is not a whole number from 0 to 2147483647" },
		{ "listen", "-1", "\"-1\" is not a whole number from 0 to 2147483647" },
		{ "max_line", "16777217", "\"16777217\" is not a whole number from 1 to 16777216" },
		{ "check_for_dead", "soon", "\"soon\" is not a number from 0 to 1000000000" },
		{ "check_for_dead", "1e3", "\"1e3\" is not a number from 0 to 1000000000" },
		{ "idle_timeout", "-1", "\"-1\" is not a number from 0 to 1000000000" },
		{ "setsid", "perhaps", "\"perhaps\" is neither 1, yes, true, on nor 0, no, false, off" },
		{ "serialize", "flok", "\"flok\" is none of flock, semaphore, pipe, none; did you mean flock?" },
		{ "serialize", "quantum", "\"quantum\" is none of flock, semaphore, pipe, none" },
		{ "server_type", " , ", "\"\" is not a name" },
	};
	size_t i;

	(void)state;
	for (i = 0; i < sizeof(samples) / sizeof(samples[0]); i++) {
		struct settings s;
		struct error e = { 0 };
		char begin[64];

		assert_int_equal(try(samples[i][0], samples[i][1], &s, &e), -EINVAL);
		snprintf(begin, sizeof(begin), "option %s (tend.conf:12): ", samples[i][0]);
		assert_memory_equal(e.text, begin, strlen(begin));
		assert_non_null(strstr(e.text, samples[i][2]));
		assert_int_equal(e.status, EX_CONFIG);
		assert_int_equal(e.code, -EINVAL);
	}
}

/* NS-OPT-41 */
static void
odd_log_levels_are_the_default_or_the_most(void **state)
{
	static const struct {
		const char *text;
		int         level;
	} samples[] = {
		{ "0", 0 }, { "1", 1 }, { "4", 4 }, { "5", 4 }, { "99999999999999999999", 4 },
		{ "-1", 2 }, { "-99999999999999999999", 2 }, { "2.5", 2 }, { "3.0", 2 },
		{ "debug", 2 }, { "", 2 }, { "0x3", 2 },
	};
	struct settings s;
	size_t i;

	(void)state;
	for (i = 0; i < sizeof(samples) / sizeof(samples[0]); i++) {
		assert_int_equal(try("log_level", samples[i].text, &s, NULL), 0);
		assert_int_equal(s.value.log_level, samples[i].level);
	}
}

static void
good_values_are_taken(void **state)
{
	struct settings s;

	(void)state;
	assert_int_equal(try("check_for_waiting", "0.25", &s, NULL), 0);
	assert_true(s.value.check_for_waiting == 0.25);
	assert_int_equal(try("max_servers", "100000", &s, NULL), 0);
	assert_int_equal(s.value.max_servers, 100000);
	assert_int_equal(try("setsid", "On", &s, NULL), 0);
	assert_true(s.value.setsid);
	assert_int_equal(try("serialize", "FLock", &s, NULL), 0);
	assert_string_equal(s.value.serialize, "flock");
}

/* A value of a file is no terminal's business, however long. */
static void
what_is_quoted_is_safe_and_short(void **state)
{
	char longest[3000];
	struct settings s;
	struct error e = { 0 };

	(void)state;
	assert_int_equal(try("max_servers", "\x1b]0;x\a\n", &s, &e), -EINVAL);
	assert_non_null(strstr(e.text, "\"%1B]0;x%07%0A\" is not"));
	memset(longest, 'y', sizeof(longest) - 1);
	longest[sizeof(longest) - 1] = '\0';
	assert_int_equal(try("max_servers", longest, &s, &e), -EINVAL);
	assert_non_null(strstr(e.text, "yyy...\" is not a whole number from 1 to 100000"));
}

static void
options_of_other_builds_are_never_ignored_silently(void **state)
{
	static const char *const samples[][3] = {
		{ "SSL_key_file", "/k.pem", "TLS is not part of this build" },
		{ "SSL_verify_mode", "1", "TLS is not part of this build" },
		{ "udp_recv_len", "100", "options of datagram sockets are not part of this build" },
		{ "unix_type", "SOCK_DGRAM", "a type of Unix sockets is not part of this build" },
		{ "log4perl_conf", "x", "logging through Log4perl is not part of this build" },
		{ "access_log_file", "STDERR", "HTTP is not part of this build" },
		{ "app", "/=x.cgi", "HTTP is not part of this build" },
		{ "log_file", "Log::Log4perl", "logging through Log4perl is not part" },
	};
	size_t i;

	(void)state;
	for (i = 0; i < sizeof(samples) / sizeof(samples[0]); i++) {
		struct settings s;
		struct error e = { 0 };
		char sentence[160];

		assert_int_equal(try(samples[i][0], samples[i][1], &s, &e), -EINVAL);
		snprintf(sentence, sizeof(sentence), "option %s (tend.conf:12): %s", samples[i][0],
			samples[i][2]);
		assert_memory_equal(e.text, sentence, strlen(sentence));
		assert_int_equal(e.status, EX_CONFIG);
	}
}

static void
what_asks_for_nothing_is_no_error(void **state)
{
	static const char *const samples[][2] = {
		{ "SSL_key_file", "" }, { "udp_broadcast", "0" }, { "syslog_ident", "" },
		{ "enable_dispatch", "no" }, { "unix_type", "SOCK_STREAM" }, { "unix_type", "1" },
	};
	struct settings s;
	size_t i;

	(void)state;
	for (i = 0; i < sizeof(samples) / sizeof(samples[0]); i++)
		assert_int_equal(try(samples[i][0], samples[i][1], &s, NULL), 0);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(bad_values_are_refused_with_what_is_allowed),
		cmocka_unit_test(odd_log_levels_are_the_default_or_the_most),
		cmocka_unit_test(good_values_are_taken),
		cmocka_unit_test(what_is_quoted_is_safe_and_short),
		cmocka_unit_test(options_of_other_builds_are_never_ignored_silently),
		cmocka_unit_test(what_asks_for_nothing_is_no_error),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
