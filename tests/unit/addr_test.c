/* Addresses as text, compared, and classified. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <arpa/inet.h>
#include <errno.h>
#include <net/if.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "net/addr.h"

#define COUNT(a) (sizeof(a) / sizeof((a)[0]))

static struct addr
v4(const char *host, unsigned port)
{
	struct addr a = { .length = sizeof(a.u.v4) };

	a.u.v4.sin_family = AF_INET;
	assert_int_equal(inet_pton(AF_INET, host, &a.u.v4.sin_addr), 1);
	addr_set_port(&a, port);
	return a;
}

static struct addr
v6(const char *host, unsigned port, unsigned scope)
{
	struct addr a = { .length = sizeof(a.u.v6) };

	a.u.v6.sin6_family = AF_INET6;
	a.u.v6.sin6_scope_id = scope;
	assert_int_equal(inet_pton(AF_INET6, host, &a.u.v6.sin6_addr), 1);
	addr_set_port(&a, port);
	return a;
}

static struct addr
path(const char *text)
{
	struct addr a;

	assert_int_equal(addr_set_path(&a, text), 0);
	return a;
}

/* The client of a unix listener: a family and nothing else. */
static struct addr
unnamed(void)
{
	struct addr a = { .length = offsetof(struct sockaddr_un, sun_path) };

	a.u.un.sun_family = AF_UNIX;
	return a;
}

static void
assert_texts(struct addr a, const char *whole, const char *host, unsigned port)
{
	char text[ADDR_TEXT_MAX];

	addr_text(&a, text);
	assert_string_equal(text, whole);
	addr_host_text(&a, text);
	assert_string_equal(text, host);
	assert_int_equal(addr_port(&a), port);
}

static void
every_family_has_its_text(void **state)
{
	/* DS-103, DS-104, DS-105, DS-106, NS-IPV-06 */
	(void)state;
	assert_texts(v4("192.0.2.1", 80), "192.0.2.1:80", "192.0.2.1", 80);
	assert_texts(v6("2001:db8::1", 65535, 0), "[2001:db8::1]:65535", "2001:db8::1", 65535);
	assert_texts(v6("::ffff:127.0.0.1", 7, 0), "[::ffff:127.0.0.1]:7", "::ffff:127.0.0.1", 7);
	assert_texts(path("/run/x.sock"), "unix:/run/x.sock", "", 0);
	assert_texts(path("@hidden"), "unix:@hidden", "", 0);
	assert_texts(unnamed(), "unix:", "", 0);
	assert_texts((struct addr){ 0 }, "", "", 0);
}

static void
a_scoped_address_names_its_interface(void **state)
{
	char zone[IF_NAMESIZE], whole[80], host[64];
	unsigned lo = if_nametoindex("lo");

	(void)state;
	if (lo == 0)
		skip();
	snprintf(host, sizeof(host), "fe80::1%%%s", if_indextoname(lo, zone));
	snprintf(whole, sizeof(whole), "[%s]:80", host);
	assert_texts(v6("fe80::1", 80, lo), whole, host, 80);
	/* An interface that is gone is shown by its number. */
	assert_texts(v6("fe80::1", 80, 987654), "[fe80::1%987654]:80", "fe80::1%987654", 80);
}

static void
a_path_of_the_peer_cannot_break_a_line(void **state)
{
	(void)state;
	assert_texts(path("/tmp/a\nb"), "unix:/tmp/a%0Ab", "", 0);
}

static void
a_path_that_fills_its_place_is_not_overrun(void **state)
{
	struct addr a = unnamed();
	char text[ADDR_TEXT_MAX];

	(void)state;
	memset(a.u.un.sun_path, 'x', sizeof(a.u.un.sun_path));
	a.length = sizeof(a.u.un);
	addr_text(&a, text);
	assert_int_equal(strlen(text), 5 + sizeof(a.u.un.sun_path));
	memset(a.u.un.sun_path, '\n', sizeof(a.u.un.sun_path));
	addr_text(&a, text);
	assert_true(strlen(text) < ADDR_TEXT_MAX);
}

static void
a_path_that_is_too_long_is_refused(void **state)
{
	/* NS-PRT-21 */
	char text[200];
	struct addr a;
	size_t room = sizeof(a.u.un.sun_path);

	(void)state;
	memset(text, 'x', sizeof(text));
	text[room - 1] = '\0';
	assert_int_equal(addr_set_path(&a, text), 0);
	text[room - 1] = 'x';
	text[room] = '\0';
	assert_int_equal(addr_set_path(&a, text), -ENAMETOOLONG);
}

static void
equal_means_family_address_and_port(void **state)
{
	struct addr all[10];
	size_t i, j;

	(void)state;
	all[0] = v4("127.0.0.1", 80);
	all[1] = v4("127.0.0.1", 81);
	all[2] = v4("127.0.0.2", 80);
	all[3] = v6("::1", 80, 0);
	all[4] = v6("::1", 81, 0);
	all[5] = v6("fe80::1", 80, 1);
	all[6] = v6("fe80::1", 80, 2);
	all[7] = path("/run/x");
	all[8] = path("@/run/x");
	all[9] = unnamed();
	for (i = 0; i < COUNT(all); i++)
		for (j = 0; j < COUNT(all); j++)
			assert_int_equal(addr_equal(&all[i], &all[j]), i == j);
}

static void
a_path_is_equal_with_and_without_its_final_zero(void **state)
{
	struct addr a = path("/run/x"), b = path("/run/x");

	(void)state;
	b.length--;
	assert_true(addr_equal(&a, &b));
}

/* NS-ACC-12: what a name resolves to is compared with a peer that may be mapped. */
static void
a_host_is_the_same_mapped_or_not_and_whatever_the_port(void **state)
{
	const struct {
		struct addr a, b;
		bool        same;
	} rows[] = {
		{ v4("192.0.2.1", 80), v4("192.0.2.1", 0), true },
		{ v4("192.0.2.1", 80), v4("192.0.2.2", 80), false },
		{ v6("::ffff:192.0.2.1", 80, 0), v4("192.0.2.1", 0), true },
		{ v6("::ffff:192.0.2.1", 80, 0), v6("::ffff:192.0.2.1", 0, 0), true },
		{ v6("::ffff:192.0.2.1", 80, 0), v6("::192.0.2.1", 0, 0), false },
		{ v6("2001:db8::1", 80, 0), v6("2001:db8::1", 0, 0), true },
		{ v6("2001:db8::1", 80, 0), v6("2001:db8::2", 0, 0), false },
		{ v6("fe80::1", 80, 1), v6("fe80::1", 0, 0), true },
		{ v6("fe80::1", 80, 1), v6("fe80::1", 0, 2), false },
		{ unnamed(), unnamed(), false },
		{ { 0 }, { 0 }, false },
	};
	struct addr plain;
	size_t i;

	(void)state;
	for (i = 0; i < COUNT(rows); i++) {
		assert_int_equal(addr_same_host(&rows[i].a, &rows[i].b), rows[i].same);
		assert_int_equal(addr_same_host(&rows[i].b, &rows[i].a), rows[i].same);
	}
	plain = addr_unmapped(&rows[2].a);
	assert_true(addr_equal(&plain, &rows[0].a));
	plain = addr_unmapped(&rows[7].a);
	assert_true(addr_equal(&plain, &rows[7].a));
}

static void
loopback_and_wildcard_are_told(void **state)
{
	const struct {
		struct addr a;
		bool        loopback, wildcard;
	} rows[] = {
		{ v4("127.0.0.1", 0), true, false },
		{ v4("127.9.9.9", 0), true, false },
		{ v4("128.0.0.1", 0), false, false },
		{ v4("0.0.0.0", 0), false, true },
		{ v6("::1", 0, 0), true, false },
		{ v6("::", 0, 0), false, true },
		{ v6("::ffff:127.0.0.1", 0, 0), true, false },
		{ v6("::ffff:0.0.0.0", 0, 0), false, true },
		{ v6("2001:db8::1", 0, 0), false, false },
		{ unnamed(), true, false },
		{ { 0 }, false, false },
	};
	size_t i;

	(void)state;
	for (i = 0; i < COUNT(rows); i++) {
		assert_int_equal(addr_is_loopback(&rows[i].a), rows[i].loopback);
		assert_int_equal(addr_is_wildcard(&rows[i].a), rows[i].wildcard);
	}
}

static void
a_socket_tells_its_addresses(void **state)
{
	struct addr a;
	int pair[2], fd = socket(AF_INET, SOCK_STREAM, 0);

	(void)state;
	assert_true(fd >= 0);
	assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM, 0, pair), 0);
	assert_int_equal(addr_of_socket(&a, fd), 0);
	assert_true(addr_is_wildcard(&a));
	assert_int_equal(addr_of_peer(&a, fd), -ENOTCONN);
	assert_int_equal(a.length, 0);
	assert_int_equal(addr_of_peer(&a, pair[0]), 0);
	assert_texts(a, "unix:", "", 0);
	assert_int_equal(addr_of_socket(&a, -1), -EBADF);
	close(fd);
	close(pair[0]);
	close(pair[1]);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(every_family_has_its_text),
		cmocka_unit_test(a_scoped_address_names_its_interface),
		cmocka_unit_test(a_path_of_the_peer_cannot_break_a_line),
		cmocka_unit_test(a_path_that_fills_its_place_is_not_overrun),
		cmocka_unit_test(a_path_that_is_too_long_is_refused),
		cmocka_unit_test(equal_means_family_address_and_port),
		cmocka_unit_test(a_path_is_equal_with_and_without_its_final_zero),
		cmocka_unit_test(a_host_is_the_same_mapped_or_not_and_whatever_the_port),
		cmocka_unit_test(loopback_and_wildcard_are_told),
		cmocka_unit_test(a_socket_tells_its_addresses),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
