/* Requests for the pages of monitoring. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <string.h>

#include "server/metrics_request.h"

static struct metrics_request request;

static void
assert_status(const char *text, int status)
{
	assert_int_equal(metrics_request_parse(&request, text, strlen(text)), strlen(text));
	assert_int_equal(request.status, status);
}

static void
a_page_is_asked_for_by_its_path(void **state)
{
	(void)state;
	assert_status("GET /metrics HTTP/1.1\r\nHost: a\r\n\r\n", 200);
	assert_string_equal(request.path, "/metrics");
	assert_false(request.head_only);
	assert_status("HEAD /readyz?x=1 HTTP/1.0\n\n", 200);
	assert_string_equal(request.path, "/readyz");
	assert_true(request.head_only);
}

static void
what_follows_the_head_is_not_looked_at(void **state)
{
	static const char text[] = "GET / HTTP/1.1\r\n\r\nGET /more";

	(void)state;
	assert_int_equal(metrics_request_parse(&request, text, sizeof(text) - 1), 18);
	assert_int_equal(request.status, 200);
}

static void
a_head_is_complete_at_its_empty_line(void **state)
{
	static const char text[] = "GET / HTTP/1.1\r\nA: b\r\n\r\n";
	size_t i;

	(void)state;
	for (i = 0; i < sizeof(text) - 1; i++)
		assert_int_equal(metrics_request_parse(&request, text, i), 0);
	assert_int_equal(metrics_request_parse(&request, text, i), i);
}

static void
what_cannot_be_served_has_its_status(void **state)
{
	char longer[200] = "GET /";

	(void)state;
	assert_status("POST /metrics HTTP/1.1\r\n\r\n", 405);
	assert_status("GET /metrics HTTP/2.0\r\n\r\n", 505);
	assert_status("GET /metrics\r\n\r\n", 400);
	assert_status("GET  /metrics HTTP/1.1\r\n\r\n", 400);
	assert_status("GET metrics HTTP/1.1\r\n\r\n", 400);
	assert_status("GET http://a/ HTTP/1.1\r\n\r\n", 400);
	assert_status("GET ?a HTTP/1.1\r\n\r\n", 400);
	assert_status("\r\n\r\n", 400);
	assert_status(" \n\n", 400);
	memset(longer + 5, 'a', 100);
	strcpy(longer + 105, " HTTP/1.1\r\n\r\n");
	assert_status(longer, 404);
	assert_int_equal(metrics_request_parse(&request, "GET /\0a HTTP/1.1\n\n", 18), 18);
	assert_int_equal(request.status, 400);
}

int
main(void)
{
	static const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_page_is_asked_for_by_its_path),
		cmocka_unit_test(what_follows_the_head_is_not_looked_at),
		cmocka_unit_test(a_head_is_complete_at_its_empty_line),
		cmocka_unit_test(what_cannot_be_served_has_its_status),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
