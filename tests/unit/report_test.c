/* What is told once is written in two forms. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include "server/report.h"

static void
tell_row(struct report *rep, const char *who, unsigned n)
{
	report_record(rep, "row");
	report_text(rep, "who", who);
	report_number(rep, "n", n);
	report_record_end(rep);
}

static void
tell(struct report *rep, unsigned rows)
{
	unsigned i;

	report_text(rep, "name", "a name");
	report_answer(rep, "well", "unwell", rows > 0 ? NULL : "there are no rows");
	report_seconds(rep, "age", 1.5);
	report_list(rep, "rows");
	for (i = 0; i < rows; i++)
		tell_row(rep, i == 0 ? "first" : NULL, i);
	report_list_end(rep);
	report_number(rep, "most", UINT64_MAX);
}

static void
assert_told(unsigned rows, bool json, const char *expected)
{
	struct buf b = { 0 };
	struct report rep;

	report_begin(&rep, &b, json);
	tell(&rep, rows);
	assert_int_equal(report_end(&rep), 0);
	assert_string_equal(buf_data(&b), expected);
	buf_done(&b);
}

static void
lines_have_their_name_in_front(void **state)
{
	(void)state;
	assert_told(2, false, "name a name\nwell yes\nage 1.500\nrow first 0\nrow - 1\n"
	    "most 18446744073709551615\n");
	assert_told(0, false, "name a name\nwell no there are no rows\nage 1.500\n"
	    "most 18446744073709551615\n");
}

static void
json_has_the_same_members(void **state)
{
	(void)state;
	assert_told(2, true, "{\"name\":\"a name\",\"well\":true,\"unwell\":null,\"age\":1.500,\"rows\":["
	    "{\"who\":\"first\",\"n\":0},{\"who\":null,\"n\":1}],\"most\":18446744073709551615}\n");
	assert_told(0, true, "{\"name\":\"a name\",\"well\":false,\"unwell\":\"there are no rows\","
	    "\"age\":1.500,\"rows\":[],\"most\":18446744073709551615}\n");
}

static void
what_would_end_a_string_is_escaped(void **state)
{
	struct buf b = { 0 };
	struct report rep;

	(void)state;
	report_begin(&rep, &b, true);
	report_text(&rep, "x", "a\"b\\c\nd\x7f" "e");
	assert_int_equal(report_end(&rep), 0);
	assert_string_equal(buf_data(&b), "{\"x\":\"a\\u0022b\\u005cc\\u000ad\\u007fe\"}\n");
	buf_done(&b);
}

int
main(void)
{
	static const struct CMUnitTest tests[] = {
		cmocka_unit_test(lines_have_their_name_in_front),
		cmocka_unit_test(json_has_the_same_members),
		cmocka_unit_test(what_would_end_a_string_is_escaped),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
