/* Lines of the control socket. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <errno.h>
#include <string.h>

#include "server/control_line.h"

static char room[CONTROL_LINE_MAX + 1];
static struct control_line line;

static void
assert_pieces(const char *text, const char *verb, const char *word, const char *rest)
{
	assert_int_equal(control_line_parse(&line, room, text, strlen(text), NULL), 0);
	assert_string_equal(line.verb, verb);
	assert_string_equal(line.word, word);
	assert_string_equal(line.rest, rest);
}

static void
assert_refused(const char *bytes, size_t size, const char *why)
{
	struct error e = { .code = 0 };

	assert_int_equal(control_line_parse(&line, room, bytes, size, &e), -EINVAL);
	assert_int_equal(e.status, EX_USAGE);
	assert_non_null(strstr(e.text, why));
}

static void
pieces_are_a_verb_a_word_and_the_rest(void **state)
{
	(void)state;
	assert_pieces("status", "status", "", "");
	assert_pieces("status json\r", "status", "json", "");
	assert_pieces("  set\t log_level   3 ", "set", "log_level", "3");
	assert_pieces("set allow ^a b  c$", "set", "allow", "^a b  c$");
	assert_pieces("set name J\xc3\xbcrgen", "set", "name", "J\xc3\xbcrgen");
	assert_pieces("set x ", "set", "x", "");
}

static void
what_is_no_line_of_text_is_refused_with_a_reason(void **state)
{
	static char longer[CONTROL_LINE_MAX + 1];

	(void)state;
	assert_refused("", 0, "empty");
	assert_refused(" \t\r", 3, "empty");
	assert_refused("stop\0now", 8, "no text");
	assert_refused("stop\x1b[2J", 8, "no text");
	assert_refused("\x7f", 1, "no text");
	memset(longer, 'a', sizeof(longer));
	assert_refused(longer, sizeof(longer), "more than 1024 bytes");
	assert_int_equal(control_line_parse(&line, room, longer, CONTROL_LINE_MAX, NULL), 0);
	assert_int_equal(strlen(line.verb), CONTROL_LINE_MAX);
}

int
main(void)
{
	static const struct CMUnitTest tests[] = {
		cmocka_unit_test(pieces_are_a_verb_a_word_and_the_rest),
		cmocka_unit_test(what_is_no_line_of_text_is_refused_with_a_reason),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
