/* Address lists: what is accepted, what each item covers, and that searching agrees with
 * looking. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <arpa/inet.h>
#include <errno.h>
#include <netinet/in.h>
#include <stdio.h>
#include <string.h>
#include <sys/un.h>

#include "access/cidr.h"

#define COUNT(a) (sizeof(a) / sizeof((a)[0]))

static struct cidr_address
address(const char *text)
{
	struct sockaddr_in6 v6 = { .sin6_family = AF_INET6 };
	struct sockaddr_in v4 = { .sin_family = AF_INET };
	struct cidr_address a = { .family = 0 };

	if (inet_pton(AF_INET, text, &v4.sin_addr) == 1)
		assert_int_equal(cidr_address_of(&a, (struct sockaddr *)&v4, sizeof(v4)), 0);
	else if (inet_pton(AF_INET6, text, &v6.sin6_addr) == 1)
		assert_int_equal(cidr_address_of(&a, (struct sockaddr *)&v6, sizeof(v6)), 0);
	else
		fail_msg("'%s' is not an address", text);
	return a;
}

/* What the list says of one address: the range as text, "" when none holds it. */
static const char *
found(const char *list, const char *peer)
{
	static char text[CIDR_TEXT_MAX];
	struct cidr_address a = address(peer);
	struct cidr_set set = { .v4.count = 0 };
	const struct cidr_range *r;
	struct error e = { .code = 0 };

	if (cidr_add(&set, "cidr_allow", list, &e) < 0)
		fail_msg("'%s': %s", list, e.text);
	cidr_sort(&set);
	r = cidr_find(&set, &a);
	text[0] = '\0';
	if (r != NULL)
		cidr_range_text(text, a.family, r);
	cidr_done(&set);
	return text;
}

/* NS-ACC-09, NS-FIX-41 */
static void
items_cover_their_addresses_and_no_others(void **state)
{
	static const struct {
		const char *list, *peer, *range;
	} rows[] = {
		{ "10.0.0.0/8", "10.0.0.0", "10.0.0.0/8" },
		{ "10.0.0.0/8", "10.255.255.255", "10.0.0.0/8" },
		{ "10.0.0.0/8", "9.255.255.255", "" },
		{ "10.0.0.0/8", "11.0.0.0", "" },
		{ "10.0.0.0/8", "::a00:1", "" },
		{ "10.0.0.1/8", "10.9.9.9", "10.0.0.0/8" },
		{ "0.0.0.0/0", "255.255.255.255", "0.0.0.0/0" },
		{ "0.0.0.0/0", "::1", "" },
		{ "192.0.2.1/32", "192.0.2.1", "192.0.2.1" },
		{ "192.0.2.1/32", "192.0.2.2", "" },
		{ "192.0.2.128/25", "192.0.2.127", "" },
		{ "192.0.2.128/25", "192.0.2.128", "192.0.2.128/25" },
		{ "192.0.2.7", "192.0.2.7", "192.0.2.7" },
		{ "192.0.2.7", "192.0.2.8", "" },
		{ "192.0.2.3-192.0.2.9", "192.0.2.3", "192.0.2.3-192.0.2.9" },
		{ "192.0.2.3-192.0.2.9", "192.0.2.9", "192.0.2.3-192.0.2.9" },
		{ "192.0.2.3-192.0.2.9", "192.0.2.2", "" },
		{ "192.0.2.3-192.0.2.9", "192.0.2.10", "" },
		{ "192.0.2.0-192.0.2.255", "192.0.2.5", "192.0.2.0/24" },
		{ "192.0.2.5-192.0.2.5", "192.0.2.5", "192.0.2.5" },
		{ "2001:db8::/32", "2001:db8::", "2001:db8::/32" },
		{ "2001:db8::/32", "2001:db8:ffff:ffff:ffff:ffff:ffff:ffff", "2001:db8::/32" },
		{ "2001:db8::/32", "2001:db9::", "" },
		{ "2001:db8::5/64", "2001:db8::ffff:ffff:ffff:ffff", "2001:db8::/64" },
		{ "2001:db8::/64", "2001:db8:0:1::", "" },
		{ "2001:db8::/65", "2001:db8::8000:0:0:0", "" },
		{ "2001:db8::/63", "2001:db8:0:1::1", "2001:db8::/63" },
		{ "2001:DB8::1", "2001:db8::1", "2001:db8::1" },
		{ "::/0", "ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff", "::/0" },
		{ "::/0", "192.0.2.1", "" },
		{ "::1/128", "::1", "::1" },
		{ "2001:db8::1-2001:db8::1:0:0:0:0", "2001:db8::1:0:0:0:0",
		    "2001:db8::1-2001:db8:0:1::" },
		{ "2001:db8::1-2001:db8:0:1::", "2001:db8:0:1::1", "" },
	};
	size_t i;

	(void)state;
	for (i = 0; i < COUNT(rows); i++) {
		const char *range = found(rows[i].list, rows[i].peer);

		if (strcmp(range, rows[i].range) != 0)
			fail_msg("%s in '%s': got '%s', not '%s'", rows[i].peer, rows[i].list,
			    range, rows[i].range);
	}
}

/* NS-ACC-02, NS-ACC-09, NS-FIX-41 */
static void
mapped_is_ipv4_on_both_sides(void **state)
{
	(void)state;
	assert_string_equal(found("10.0.0.0/8", "::ffff:10.1.2.3"), "10.0.0.0/8");
	assert_string_equal(found("::ffff:10.1.2.3", "10.1.2.3"), "10.1.2.3");
	assert_string_equal(found("::ffff:10.1.2.3", "::ffff:10.1.2.3"), "10.1.2.3");
	assert_string_equal(found("::ffff:10.0.0.0/104", "10.200.0.1"), "10.0.0.0/8");
	assert_string_equal(found("::ffff:0:0/96", "203.0.113.9"), "0.0.0.0/0");
	assert_string_equal(
	    found("::ffff:10.0.0.1-10.0.0.4", "10.0.0.4"), "10.0.0.1-10.0.0.4");
	assert_string_equal(found("::ffff:10.0.0.1-::ffff:10.0.0.4", "10.0.0.5"), "");
	assert_string_equal(found("::/0", "::ffff:10.1.2.3"), "");
}

/* NS-ACC-09, NS-FIX-41 */
static void
families_mix_in_any_order_in_one_value_or_many(void **state)
{
	static const char *const lists[] = {
		"10.0.0.0/8,2001:db8::/32,192.0.2.1",
		"2001:db8::/32, 192.0.2.1 10.0.0.0/8",
		"  192.0.2.1\t2001:db8::/32 ,\n10.0.0.0/8  ",
		"192.0.2.1 , 10.0.0.0/8 2001:db8::/32 2001:db8::/32",
	};
	size_t i;

	(void)state;
	for (i = 0; i < COUNT(lists); i++) {
		assert_string_equal(found(lists[i], "10.2.3.4"), "10.0.0.0/8");
		assert_string_equal(found(lists[i], "2001:db8::9"), "2001:db8::/32");
		assert_string_equal(found(lists[i], "192.0.2.1"), "192.0.2.1");
		assert_string_equal(found(lists[i], "192.0.2.2"), "");
		assert_string_equal(found(lists[i], "::1"), "");
	}
}

/* NS-ACC-08, NS-ACC-09 */
static void
bad_items_are_refused_with_option_item_and_reason(void **state)
{
	static const struct {
		const char *list, *item, *why;
	} rows[] = {
		{ "10.0.0.0/33", "'10.0.0.0/33'", "0 to 32" },
		{ "10.0.0.0/-1", "'10.0.0.0/-1'", "0 to 32" },
		{ "10.0.0.0/", "'10.0.0.0/'", "0 to 32" },
		{ "10.0.0.0/+8", "'10.0.0.0/+8'", "0 to 32" },
		{ "10.0.0.0/8/8", "'10.0.0.0/8/8'", "0 to 32" },
		{ "10.0.0.0/255.0.0.0", "'10.0.0.0/255.0.0.0'", "0 to 32" },
		{ "10.0.0.0/4294967304", "'10.0.0.0/4294967304'", "0 to 32" },
		{ "::/129", "'::/129'", "0 to 128" },
		{ "::ffff:10.0.0.0/8", "'::ffff:10.0.0.0/8'", "96 to 128" },
		{ "/8", "'/8'", "not an address" },
		{ "10.0.0/24", "'10.0.0/24'", "not an address" },
		{ "10.0.0.256", "'10.0.0.256'", "not an address" },
		{ "010.0.0.1", "'010.0.0.1'", "not an address" },
		{ "localhost", "'localhost'", "not an address" },
		{ "[::1]", "'[::1]'", "not an address" },
		{ "fe80::1%lo", "'fe80::1%lo'", "not an address" },
		{ "1.2.3.4 - 1.2.3.9", "'-'", "not an address" },
		{ "1.2.3.4-", "'1.2.3.4-'", "not an address" },
		{ "1.2.3.4-1.2.3.5-1.2.3.6", "'1.2.3.4-1.2.3.5-1.2.3.6'", "not an address" },
		{ "1.2.3.9-1.2.3.4", "'1.2.3.9-1.2.3.4'", "ends before it begins" },
		{ "::2-::1", "'::2-::1'", "ends before it begins" },
		{ "1.2.3.4-::5", "'1.2.3.4-::5'", "one address family to the other" },
		{ "::-::ffff:1.2.3.4", "'::-::ffff:1.2.3.4'",
		    "one address family to the other" },
		{ "", "''", "empty item" },
		{ "   ", "'   '", "empty item" },
		{ ",", "','", "empty item" },
		{ "10.0.0.0/8,", "'10.0.0.0/8,'", "empty item" },
		{ ",10.0.0.0/8", "',10.0.0.0/8'", "empty item" },
		{ "10.0.0.0/8, ,::1", "'10.0.0.0/8, ,::1'", "empty item" },
		{ "::1,\x1b[31m", "'%1B[31m'", "not an address" },
	};
	size_t i;

	(void)state;
	for (i = 0; i < COUNT(rows); i++) {
		struct cidr_set set = { .v4.count = 0 };
		struct error e = { .code = 0 };

		if (cidr_add(&set, "cidr_deny", rows[i].list, &e) != -EINVAL)
			fail_msg("'%s' was not refused", rows[i].list);
		assert_int_equal(e.code, -EINVAL);
		assert_int_equal(e.status, EX_CONFIG);
		if (strncmp(e.text, "cidr_deny: ", 11) != 0 || !strstr(e.text, rows[i].item) ||
		    !strstr(e.text, rows[i].why))
			fail_msg("'%s': %s", rows[i].list, e.text);
		cidr_done(&set);
	}
}

/* NS-ACC-08 */
static void
an_endless_item_is_refused_in_one_sentence(void **state)
{
	struct cidr_set set = { .v4.count = 0 };
	struct error e = { .code = 0 };
	char list[5000];

	(void)state;
	memset(list, '1', sizeof(list) - 1);
	list[sizeof(list) - 1] = '\0';
	assert_int_equal(cidr_add(&set, "cidr_deny", list, &e), -EINVAL);
	assert_non_null(strstr(e.text, "or a range"));
	cidr_done(&set);
}

static uint32_t
next_random(uint32_t *seed)
{
	*seed = *seed * 1664525U + 1013904223U;
	return *seed >> 4;
}

/* NS-ACC-09 */
static void
searching_a_large_list_agrees_with_looking_at_every_block(void **state)
{
	enum { BLOCKS = 20000, PROBES = 2000 };
	static struct cidr_range plain[BLOCKS];
	struct cidr_set set = { .v4.count = 0 };
	uint32_t seed = 7;
	int i, j, inside = 0;

	(void)state;
	for (i = 0; i < BLOCKS; i++) {
		uint32_t n = next_random(&seed);
		char text[64];

		snprintf(text, sizeof(text), "%u.%u.%u.%u/%u", n & 255, n >> 8 & 255,
		    n >> 16 & 255, n >> 24 & 255, 16 + next_random(&seed) % 17);
		assert_int_equal(cidr_add(&set, "cidr_deny", text, NULL), 0);
		plain[i] = set.v4.items[i];
	}
	cidr_sort(&set);
	for (i = 0; i < PROBES; i++) {
		struct cidr_address a = { AF_INET, { 0, next_random(&seed) } };
		bool expected = false;

		/* Half of the probes sit on an edge of a block, where searches go wrong. */
		if (i % 2 == 0)
			a.number.low = plain[i].last.low + (uint64_t)(i / 2 % 2);
		a.number.low &= UINT32_MAX;
		for (j = 0; j < BLOCKS && !expected; j++)
			expected = plain[j].first.low <= a.number.low &&
				   a.number.low <= plain[j].last.low;
		inside += expected;
		assert_int_equal(cidr_find(&set, &a) != NULL, expected);
	}
	assert_in_range(inside, PROBES / 4, PROBES - 1);
	cidr_done(&set);
}

/* NS-ACC-09 */
static void
overlaps_join_and_neighbours_keep_their_names(void **state)
{
	(void)state;
	assert_string_equal(found("10.0.0.0/8 10.1.0.0/16", "10.1.0.1"), "10.0.0.0/8");
	assert_string_equal(found("10.1.0.0/16 10.0.0.0/8", "10.2.0.1"), "10.0.0.0/8");
	assert_string_equal(
	    found("10.0.0.1-10.0.0.5 10.0.0.4-10.0.0.9", "10.0.0.7"), "10.0.0.1-10.0.0.9");
	assert_string_equal(found("10.0.0.0/24 10.0.1.0/24", "10.0.1.7"), "10.0.1.0/24");
}

static void
what_is_no_internet_address_has_no_number(void **state)
{
	struct sockaddr_un un = { .sun_family = AF_UNIX };
	struct sockaddr_in6 v6 = { .sin6_family = AF_INET6 };
	struct cidr_address a;

	(void)state;
	assert_int_equal(cidr_address_of(&a, NULL, 0), -EAFNOSUPPORT);
	assert_int_equal(
	    cidr_address_of(&a, (struct sockaddr *)&un, sizeof(un)), -EAFNOSUPPORT);
	assert_int_equal(cidr_address_of(&a, (struct sockaddr *)&v6, 0), -EAFNOSUPPORT);
	assert_int_equal(
	    cidr_address_of(&a, (struct sockaddr *)&v6, sizeof(v6) - 5), -EAFNOSUPPORT);
	assert_int_equal(cidr_address_of(&a, (struct sockaddr *)&v6, sizeof(v6)), 0);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(items_cover_their_addresses_and_no_others),
		cmocka_unit_test(mapped_is_ipv4_on_both_sides),
		cmocka_unit_test(families_mix_in_any_order_in_one_value_or_many),
		cmocka_unit_test(bad_items_are_refused_with_option_item_and_reason),
		cmocka_unit_test(an_endless_item_is_refused_in_one_sentence),
		cmocka_unit_test(searching_a_large_list_agrees_with_looking_at_every_block),
		cmocka_unit_test(overlaps_join_and_neighbours_keep_their_names),
		cmocka_unit_test(what_is_no_internet_address_has_no_number),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
