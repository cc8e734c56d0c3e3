/* What stands around the text of a line: src/log/format.c, and the times of src/log/line.c. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>
#include <cmocka.h>

#include "log/format.h"
#include "log/line.h"

static const char *
timed(void (*put)(char *, time_t), time_t when, size_t length)
{
	static char text[40];

	memset(text, 0, sizeof(text));
	put(text, when);
	assert_int_equal(strlen(text), length);
	return text;
}

static const char *
iso(time_t when, long ns)
{
	static char text[40];

	memset(text, 0, sizeof(text));
	line_time_iso(text, &(struct timespec){ .tv_sec = when, .tv_nsec = ns });
	return text;
}

/* NS-LOG-09, RFC 3164, RFC 3339: leap days, single digits, zones on both sides of Greenwich. */
static void
times_have_their_forms(void **state)
{
	(void)state;
	setenv("TZ", "UTC", 1);
	tzset();
	assert_string_equal(timed(line_time, 951782400, LINE_TIME), "2000/02/29-00:00:00");
	assert_string_equal(timed(line_time_bsd, 951782400, LINE_TIME_BSD), "Feb 29 00:00:00");
	assert_string_equal(timed(line_time_bsd, 0, LINE_TIME_BSD), "Jan  1 00:00:00");
	assert_string_equal(iso(1, 999999999), "1970-01-01T00:00:01.999+00:00");
	setenv("TZ", "XST-5:30", 1);
	tzset();
	assert_string_equal(iso(4102444802, 5000000), "2100-01-01T05:30:02.005+05:30");
	setenv("TZ", "YST3:30", 1);
	tzset();
	assert_string_equal(iso(4102444803, 0), "2099-12-31T20:30:03.000-03:30");
	unsetenv("TZ");
	tzset();
}

/* A whole line of the format, with the time taken out. */
static const char *
line_of(const char *name, const struct format_facts *facts, const char *text)
{
	static char line[LINE_SIZE];
	const struct format *f = format_find(name);
	size_t n;

	assert_non_null(f);
	n = f->head(line, facts);
	assert_in_range(n, 1, FORMAT_HEAD_MAX);
	n += line_text(line + n, 100, f->quoted, "%s", text);
	n += f->tail(line + n);
	line[n] = '\0';
	return line;
}

/* What stands before the time, between the time and the pid, and behind the pid. */
static void
expect(const char *line, const char *head, const char *middle, const char *tail)
{
	char *end;

	assert_memory_equal(line, head, strlen(head));
	line += strlen(head) + LINE_TIME_ISO;
	assert_memory_equal(line, middle, strlen(middle));
	assert_int_equal(strtol(line + strlen(middle), &end, 10), getpid());
	assert_string_equal(end, tail);
}

static void
json_is_one_object(void **state)
{
	struct format_facts facts = { .level = TEND_LOG_NOTICE, .server = "a \"server\"" };

	(void)state;
	expect(line_of("json", &facts, "say \"\\\"\n"), "{\"time\":\"",
	    "\",\"level\":\"notice\",\"pid\":", ",\"server\":\"a \\\"server\\\"\",\"message\":"
	    "\"say \\\"\\\\\\\"\"}");
	facts.client = "unix:/\n\"x";
	facts.level = TEND_LOG_ERROR;
	expect(line_of("JSON", &facts, "\x01"), "{\"time\":\"",
	    "\",\"level\":\"error\",\"pid\":", ",\"server\":\"a \\\"server\\\"\",\"client\":"
	    "\"unix:/%0A\\\"x\",\"message\":\"%01\"}");
}

static void
logfmt_is_pairs(void **state)
{
	struct format_facts facts = { .level = TEND_LOG_DEBUG, .server = "x",
		.client = "[::1]:80" };

	(void)state;
	expect(line_of("logfmt", &facts, "a=\"b\""), "time=",
	    " level=debug pid=", " server=\"x\" client=\"[::1]:80\" message=\"a=\\\"b\\\"\"");
}

static void
long_names_leave_room_for_the_text(void **state)
{
	char name[2000];
	struct format_facts facts = { .level = TEND_LOG_INFO, .server = name, .client = name };
	static const char *const formats[] = { "json", "logfmt" };
	size_t i;

	(void)state;
	memset(name, '"', sizeof(name) - 1);
	name[sizeof(name) - 1] = '\0';
	for (i = 0; i < 2; i++)
		assert_non_null(strstr(line_of(formats[i], &facts, "the text"), "the text\""));
}

/* Cut before a backslash, never behind it: the quote that follows would be taken for text. */
static void
quoted_text_is_cut_between_escapes(void **state)
{
	char text[16];

	(void)state;
	assert_int_equal(line_text(text, sizeof(text), true, "%s", "12345678901\"\"\"\""), 14);
	assert_string_equal(text, "12345678901...");
	assert_int_equal(line_text(text, sizeof(text), true, "%s", "1234567890\"\"\"\""), 15);
	assert_string_equal(text, "1234567890\\\"...");
	assert_int_equal(line_text(text, sizeof(text), true, "%s", "\\\\\\\\\\\\\\"), 14);
	assert_string_equal(text, "\\\\\\\\\\\\\\\\\\\\\\\\\\\\");
}

static void
levels_have_names_and_formats_too(void **state)
{
	(void)state;
	assert_string_equal(format_level(TEND_LOG_WARNING), "warning");
	assert_string_equal(format_level((enum tend_log_level)9), "debug");
	assert_ptr_equal(format_find("Text"), &format_text);
	assert_null(format_find("xml"));
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(times_have_their_forms),
		cmocka_unit_test(json_is_one_object),
		cmocka_unit_test(logfmt_is_pairs),
		cmocka_unit_test(long_names_leave_room_for_the_text),
		cmocka_unit_test(quoted_text_is_cut_between_escapes),
		cmocka_unit_test(levels_have_names_and_formats_too),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
