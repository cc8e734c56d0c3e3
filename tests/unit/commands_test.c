/* Which verb is meant, and whether it has the words that it wants. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <errno.h>
#include <string.h>

#include "server/commands.h"

static void
assert_found(const char *verb, const char *word, const char *rest)
{
	struct control_line line = { verb, word, rest };
	const struct command *c = command_of(&line, NULL);

	assert_non_null(c);
	assert_string_equal(c->name, verb);
	assert_non_null(c->run);
}

static void
assert_not_found(const char *verb, const char *word, const char *rest, const char *why)
{
	struct control_line line = { verb, word, rest };
	struct error e = { .code = 0 };

	assert_null(command_of(&line, &e));
	assert_int_equal(e.code, -EINVAL);
	assert_int_equal(e.status, EX_USAGE);
	assert_non_null(strstr(e.text, why));
}

static void
a_verb_is_found_with_the_words_it_wants(void **state)
{
	(void)state;
	assert_found("status", "", "");
	assert_found("status", "json", "");
	assert_found("get", "port", "");
	assert_found("set", "idle_timeout", "5");
	assert_found("set", "serialize", "");
	assert_found("stop", "", "");
}

static void
other_words_are_refused_with_the_usage(void **state)
{
	(void)state;
	assert_not_found("stop", "now", "", "usage: stop");
	assert_not_found("status", "json", "please", "usage: status [json]");
	assert_not_found("get", "", "", "usage: get OPTION");
	assert_not_found("get", "port", "host", "usage: get OPTION");
	assert_not_found("set", "", "", "usage: set OPTION VALUE");
}

static void
an_unknown_verb_is_told_what_was_probably_meant(void **state)
{
	char longer[1000];

	(void)state;
	assert_not_found("relaod", "", "", "did you mean reload");
	assert_not_found("frobnicate", "", "", "help lists what is");
	memset(longer, 'x', sizeof(longer) - 1);
	longer[sizeof(longer) - 1] = '\0';
	assert_not_found(longer, "", "", "xxx' is nothing that can be asked");
}

int
main(void)
{
	static const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_verb_is_found_with_the_words_it_wants),
		cmocka_unit_test(other_words_are_refused_with_the_usage),
		cmocka_unit_test(an_unknown_verb_is_told_what_was_probably_meant),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
