/* Which addresses are one source. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <arpa/inet.h>
#include <string.h>

#include "process/source.h"

static struct addr
address(const char *text, uint32_t scope)
{
	struct addr a = { 0 };

	if (inet_pton(AF_INET, text, &a.u.v4.sin_addr) == 1) {
		a.u.v4.sin_family = AF_INET;
		a.u.v4.sin_port = htons(4711);
		a.length = sizeof(a.u.v4);
		return a;
	}
	memset(&a, 0, sizeof(a));
	assert_int_equal(inet_pton(AF_INET6, text, &a.u.v6.sin6_addr), 1);
	a.u.v6.sin6_family = AF_INET6;
	a.u.v6.sin6_scope_id = scope;
	a.length = sizeof(a.u.v6);
	return a;
}

static void
addresses_are_cut_to_their_prefix(void **state)
{
	static const struct {
		const char *address;
		unsigned    v4, v6;
		uint32_t    scope;
		const char *wanted;
	} cases[] = {
		{ "192.0.2.7", 32, 64, 0, "192.0.2.7" },
		{ "192.0.2.7", 24, 64, 0, "192.0.2.0/24" },
		{ "192.0.2.255", 31, 64, 0, "192.0.2.254/31" },
		{ "192.0.2.7", 0, 64, 0, "0.0.0.0/0" },
		{ "255.255.255.255", 1, 64, 0, "128.0.0.0/1" },
		{ "2001:db8:1:2:3:4:5:6", 32, 64, 0, "2001:db8:1:2::/64" },
		{ "2001:db8:1:2:3:4:5:6", 32, 48, 0, "2001:db8:1::/48" },
		{ "2001:db8:1:2:3:4:5:6", 32, 0, 0, "::/0" },
		{ "2001:db8:1:2:ffff:4:5:6", 32, 65, 0, "2001:db8:1:2:8000::/65" },
		{ "2001:db8:1:2:3:4:5:7", 32, 127, 0, "2001:db8:1:2:3:4:5:6/127" },
		{ "2001:db8:1:2:3:4:5:6", 32, 128, 0, "2001:db8:1:2:3:4:5:6" },
		/* IPv4 is IPv4, however it is written */
		{ "::ffff:192.0.2.7", 32, 64, 0, "192.0.2.7" },
		{ "::ffff:192.0.2.7", 24, 0, 0, "192.0.2.0/24" },
		/* all neighbours share fe80::/64 */
		{ "fe80::1", 32, 64, 7, "fe80::1%7" },
		{ "fe80::1", 32, 48, 0, "fe80::1" },
		{ "febf::1", 32, 64, 0, "febf::1" },
		{ "fec0::1", 32, 64, 0, "fec0::/64" },
	};
	size_t i;

	(void)state;
	for (i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		const struct source_prefix prefix = { cases[i].v4, cases[i].v6 };
		struct addr a = address(cases[i].address, cases[i].scope);
		struct source_id s = source_of(&a, &prefix);
		char text[SOURCE_TEXT_MAX];

		source_text(&s, text);
		assert_string_equal(text, cases[i].wanted);
	}
}

static void
who_has_no_address_has_no_source(void **state)
{
	static const struct source_prefix prefix = { 32, 64 };
	struct addr none = { 0 }, local = { 0 }, cut = { 0 };
	struct source_id s = source_of(NULL, &prefix);
	char text[SOURCE_TEXT_MAX];

	(void)state;
	assert_int_equal(s.family, 0);
	assert_int_equal(source_of(&none, &prefix).family, 0);
	assert_int_equal(addr_set_path(&local, "/run/x"), 0);
	assert_int_equal(source_of(&local, &prefix).family, 0);
	cut.u.any.sa_family = AF_INET6;
	cut.length = sizeof(cut.u.v4);
	assert_int_equal(source_of(&cut, &prefix).family, 0);
	source_text(&s, text);
	assert_string_equal(text, "a local client");
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(addresses_are_cut_to_their_prefix),
		cmocka_unit_test(who_has_no_address_has_no_source),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
