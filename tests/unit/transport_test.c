/* Which protocols there are, and what is said about the others. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <errno.h>
#include <string.h>

#include "net/transport.h"

#define COUNT(a) (sizeof(a) / sizeof((a)[0]))

static const char *const known[] = { "tcp", "unix", "udp", "unixdgram", "ssl", "ssleay", "tls" };

static void
protocols_are_found_in_any_case(void **state)
{
	/* NS-PRT-06 */
	(void)state;
	assert_ptr_equal(transport_find("tcp"), &transport_tcp);
	assert_ptr_equal(transport_find("TCP"), &transport_tcp);
	assert_ptr_equal(transport_find("Unix"), &transport_unix);
	assert_null(transport_find("tcpx"));
	assert_null(transport_find(""));
}

static void
names_are_those_that_can_be_chosen(void **state)
{
	char expected[128] = "";
	size_t i;

	(void)state;
	for (i = 0; i < COUNT(known); i++) {
		const struct tend_transport *t = transport_find(known[i]);

		if (t == NULL)
			continue;
		assert_string_equal(t->name, known[i]);
		if (expected[0] != '\0')
			strcat(expected, ", ");
		strcat(expected, known[i]);
	}
	assert_string_equal(transport_names(), expected);
}

static void
names_of_conf_files_are_known_with_their_traits(void **state)
{
	unsigned traits;
	size_t i;

	(void)state;
	for (i = 0; i < COUNT(known); i++)
		assert_true(transport_is_known(known[i], NULL));
	assert_true(transport_is_known("UnixDgram", &traits));
	assert_int_equal(traits, TRANSPORT_LOCAL | TRANSPORT_DATAGRAM);
	assert_true(transport_is_known("udp", &traits));
	assert_int_equal(traits, TRANSPORT_DATAGRAM);
	assert_false(transport_is_known("http", NULL));
}

static void
what_cannot_be_chosen_is_explained(void **state)
{
	/* NS-PRT-11f */
	static const struct {
		const char *proto, *sentence;
	} rows[] = {
		{ "tls", "proto tls of port '1/x' is not part of this build; it has tcp, unix, udp, unixdgram" },
		{ "ssleay", "is not part of this build" },
		{ "tpc", "unknown proto 'tpc' of port '1/x'; did you mean tcp?" },
		{ "carrierpigeon", "unknown proto 'carrierpigeon' of port '1/x'; there are tcp, unix, udp, unixdgram" },
	};
	const struct tend_transport *t = NULL;
	size_t i;

	(void)state;
	for (i = 0; i < COUNT(rows); i++) {
		struct error e = { .code = 0 };

		assert_true(transport_choose(rows[i].proto, "1/x", &t, &e) < 0);
		assert_int_equal(e.status, EX_CONFIG);
		assert_non_null(strstr(e.text, rows[i].sentence));
	}
	assert_null(t);
	assert_int_equal(transport_choose("UNIX", "1/x", &t, NULL), 0);
	assert_ptr_equal(t, &transport_unix);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(protocols_are_found_in_any_case),
		cmocka_unit_test(names_are_those_that_can_be_chosen),
		cmocka_unit_test(names_of_conf_files_are_known_with_their_traits),
		cmocka_unit_test(what_cannot_be_chosen_is_explained),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
