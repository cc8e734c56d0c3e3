/* The decision: which list is asked first, what its answer means, and what the reason says. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <arpa/inet.h>
#include <errno.h>
#include <net/if.h>
#include <netinet/in.h>
#include <stdio.h>
#include <string.h>
#include <sys/un.h>

#include "access/access.h"
#include "config.h"

#define COUNT(a) (sizeof(a) / sizeof((a)[0]))

/* One value for each option, NULL for none. */
struct lists {
	const char *allow, *deny, *cidr_allow, *cidr_deny;
};

static int
make(struct access **into, const struct lists *l, struct error *e)
{
	const struct tend_list allow = { l->allow != NULL, &l->allow };
	const struct tend_list deny = { l->deny != NULL, &l->deny };
	const struct tend_list cidr_allow = { l->cidr_allow != NULL, &l->cidr_allow };
	const struct tend_list cidr_deny = { l->cidr_deny != NULL, &l->cidr_deny };

	return access_new(into, &allow, &deny, &cidr_allow, &cidr_deny, e);
}

static struct access *
access_of(const struct lists *l)
{
	struct error e = { .code = 0 };
	struct access *a;

	if (make(&a, l, &e) < 0)
		fail_msg("%s", e.text);
	return a;
}

static struct access_verdict
check(struct access *a, const char *peer, const char *host)
{
	struct sockaddr_in6 v6 = { .sin6_family = AF_INET6 };
	struct sockaddr_in v4 = { .sin_family = AF_INET };

	if (inet_pton(AF_INET, peer, &v4.sin_addr) == 1)
		return access_check(a, (struct sockaddr *)&v4, sizeof(v4), host);
	assert_int_equal(inet_pton(AF_INET6, peer, &v6.sin6_addr), 1);
	return access_check(a, (struct sockaddr *)&v6, sizeof(v6), host);
}

struct row {
	struct lists lists;
	const char *peer, *host;
	int allowed;
	const char *reason;
};

static void
check_row(const struct row *row)
{
	struct access *a = access_of(&row->lists);
	struct access_verdict v = check(a, row->peer, row->host);

	if (v.allowed != row->allowed || strstr(v.reason, row->reason) == NULL)
		fail_msg("%s (%s): %s, '%s'", row->peer, row->host != NULL ? row->host : "",
		    v.allowed ? "allowed" : "denied", v.reason);
	assert_false(access_is_open(a));
	access_free(a);
}

/* NS-ACC-02, NS-ACC-03, NS-ACC-04, NS-ACC-09, NS-FIX-41 */
static void
blocks_decide_and_deny_beats_allow(void **state)
{
	static const struct row rows[] = {
		{ { .cidr_allow = "10.0.0.0/8" }, "10.1.1.1", NULL, 1,
		    "is in a block of cidr_allow" },
		{ { .cidr_allow = "10.0.0.0/8" }, "11.1.1.1", NULL, 0, "matches no allow" },
		{ { .cidr_allow = "10.0.0.0/8" }, "::ffff:10.1.1.1", NULL, 1, "cidr_allow" },
		{ { .cidr_allow = "10.0.0.0/8" }, "2001:db8::1", NULL, 0, "matches no allow" },
		{ { .cidr_deny = "10.0.0.0/8" }, "10.1.1.1", NULL, 0,
		    "is in cidr_deny 10.0.0.0/8" },
		{ { .cidr_deny = "10.0.0.0/8" }, "11.1.1.1", NULL, 0, "deny rules only" },
		{ { .cidr_allow = "10.0.0.0/8", .cidr_deny = "10.2.0.0/16" }, "10.1.0.1", NULL,
		    1, "cidr_allow" },
		{ { .cidr_allow = "10.0.0.0/8", .cidr_deny = "10.2.0.0/16" }, "10.2.0.1", NULL,
		    0, "is in cidr_deny 10.2.0.0/16" },
		{ { .cidr_allow = "::1,10.0.0.0/8", .cidr_deny = "2001:db8::/32 10.0.0.9" },
		    "2001:db8::5", NULL, 0, "is in cidr_deny 2001:db8::/32" },
		{ { .cidr_allow = "::1,10.0.0.0/8", .cidr_deny = "2001:db8::/32 10.0.0.9" },
		    "::ffff:10.0.0.9", NULL, 0, "is in cidr_deny 10.0.0.9" },
		{ { .cidr_allow = "::1,10.0.0.0/8", .cidr_deny = "2001:db8::/32 10.0.0.9" },
		    "::1", NULL, 1, "cidr_allow" },
	};
	size_t i;

	(void)state;
	for (i = 0; i < COUNT(rows); i++)
		check_row(&rows[i]);
}

/* NS-ACC-03 */
static void
without_rules_everybody_may_come(void **state)
{
	struct access *a = access_of(&(struct lists){ NULL, NULL, NULL, NULL });
	struct access *b;

	(void)state;
	assert_true(access_is_open(a));
	assert_true(check(a, "192.0.2.1", NULL).allowed);
	assert_true(access_check(a, NULL, 0, NULL).allowed);
	access_free(a);
	assert_int_equal(access_new(&b, NULL, NULL, NULL, NULL, NULL), 0);
	assert_true(access_is_open(b));
	access_free(b);
	access_free(NULL);
}

/* NS-ACC-01 */
static void
unix_peers_are_always_allowed(void **state)
{
	struct access *a = access_of(&(struct lists){ .cidr_deny = "0.0.0.0/0 ::/0" });
	struct sockaddr_un un = { .sun_family = AF_UNIX, .sun_path = "/run/client" };

	(void)state;
	assert_true(access_check(a, (struct sockaddr *)&un, sizeof(un), NULL).allowed);
	/* An unnamed peer has a family and nothing else. */
	assert_true(
	    access_check(a, (struct sockaddr *)&un, sizeof(un.sun_family), NULL).allowed);
	access_free(a);
}

static void
a_peer_without_an_address_is_denied_by_any_rule(void **state)
{
	struct access *a = access_of(&(struct lists){ .cidr_allow = "0.0.0.0/0 ::/0" });
	struct sockaddr_in v4 = { .sin_family = AF_INET };
	struct sockaddr none = { .sa_family = AF_UNSPEC };

	(void)state;
	assert_false(access_check(a, NULL, 0, NULL).allowed);
	assert_false(access_check(a, &none, sizeof(none), NULL).allowed);
	assert_false(access_check(a, (struct sockaddr *)&v4, 4, NULL).allowed);
	assert_non_null(strstr(access_check(a, NULL, 0, NULL).reason, "address is not known"));
	access_free(a);
}

/* NS-ACC-08 */
static void
one_bad_rule_anywhere_refuses_to_start(void **state)
{
	static const struct {
		struct lists lists;
		const char *text;
	} rows[] = {
		{ { .cidr_allow = "10.0.0.0/99" }, "cidr_allow: '10.0.0.0/99'" },
		{ { .cidr_allow = "::1", .cidr_deny = "nonsense" }, "cidr_deny: 'nonsense'" },
#if HAVE_PCRE2
		{ { .allow = "10.(", .cidr_allow = "::1" }, "allow: '10.('" },
		{ { .allow = "10\\..*", .deny = "[" }, "deny: '['" },
#else
		{ { .deny = "10\\..*" }, "deny: this build" },
#endif
	};
	size_t i;

	(void)state;
	for (i = 0; i < COUNT(rows); i++) {
		struct error e = { .code = 0 };
		struct access *a;

		assert_true(make(&a, &rows[i].lists, &e) < 0);
		assert_null(a);
		assert_int_equal(e.status, EX_CONFIG);
		assert_non_null(strstr(e.text, rows[i].text));
	}
}

#if HAVE_PCRE2

/* NS-ACC-02, NS-ACC-03, NS-ACC-04, NS-ACC-05, NS-ACC-06, NS-ACC-07, NS-FIX-19 */
static void
patterns_see_the_address_and_the_name(void **state)
{
	static const struct row rows[] = {
		{ { .allow = "127.0.0.1" }, "127.0.0.1", NULL, 1,
		    "matches allow '127.0.0.1'" },
		{ { .allow = "127.0.0.1" }, "::ffff:127.0.0.1", NULL, 1, "matches allow" },
		{ { .allow = "::ffff:127.0.0.1" }, "::ffff:127.0.0.1", NULL, 0,
		    "matches no allow" },
		{ { .allow = "127" }, "127.0.0.1", NULL, 0, "matches no allow" },
		{ { .allow = "127|10.0.0.1" }, "127.0.0.1", NULL, 0, "matches no allow" },
		{ { .allow = "127|10.0.0.1" }, "10.0.0.1", NULL, 1, "matches allow" },
		{ { .allow = "2001:db8::.*" }, "2001:DB8::5", NULL, 1, "matches allow" },
		{ { .deny = "127\\..*" }, "127.0.0.1", NULL, 0, "matches deny '127\\..*'" },
		{ { .deny = "127\\..*" }, "128.0.0.1", NULL, 0, "deny rules only" },
		{ { .allow = ".*", .deny = "127\\..*" }, "127.0.0.1", NULL, 0,
		    "matches deny" },
		{ { .allow = ".*", .deny = "127\\..*" }, "128.0.0.1", NULL, 1,
		    "matches allow" },
		{ { .allow = ".*", .cidr_deny = "127.0.0.0/8" }, "127.0.0.1", NULL, 0,
		    "cidr_deny" },
		{ { .deny = ".*\\.1", .cidr_allow = "127.0.0.0/8" }, "127.0.0.1", NULL, 0,
		    "matches deny" },
		{ { .deny = ".*\\.1", .cidr_allow = "127.0.0.0/8" }, "127.0.0.2", NULL, 1,
		    "cidr_allow" },
		{ { .deny = "10.*", .cidr_deny = "10.0.0.0/8" }, "10.0.0.1", NULL, 0,
		    "matches deny" },
		{ { .allow = "10.*", .cidr_allow = "10.0.0.0/8" }, "10.0.0.1", NULL, 1,
		    "matches allow" },
		{ { .allow = ".*\\.example\\.com" }, "192.0.2.1", "a.example.com", 1,
		    "matches allow" },
		{ { .allow = ".*\\.example\\.com" }, "192.0.2.1", "A.Example.COM.", 1,
		    "matches allow" },
		{ { .allow = ".*\\.example\\.com" }, "192.0.2.1", "a.example.com..", 0,
		    "no allow" },
		{ { .allow = ".*\\.example\\.com" }, "192.0.2.1", NULL, 0,
		    "matches no allow" },
		{ { .allow = ".*\\.example\\.com" }, "192.0.2.1", "", 0, "matches no allow" },
		{ { .allow = ".*\\.example\\.com" }, "192.0.2.1", ".", 0, "matches no allow" },
		{ { .allow = ".*", .deny = "bad\\.test" }, "192.0.2.1", "BAD.test", 0,
		    "matches deny" },
		{ { .allow = ".*", .deny = "192.*" }, "192.0.2.1", "good.test", 0,
		    "matches deny" },
		/* Who allows 10.0.0.0/8 by a pattern means no name that begins like that. */
		{ { .allow = "10\\..*" }, "192.0.2.1", "10.0.example", 0, "no allow" },
		{ { .allow = "10\\..*" }, "10.0.0.1", "10.0.example", 1, "matches allow" },
		{ { .allow = ".*\\.example" }, "192.0.2.1", "10-0.example", 1, "matches allow" },
		{ { .allow = ".*\\.example" }, "192.0.2.1", "a.10.example", 1, "matches allow" },
		{ { .deny = "10\\..*", .cidr_allow = "192.0.2.1" }, "192.0.2.1", "10.0.example", 0,
		    "matches deny" },
	};
	size_t i;

	(void)state;
	for (i = 0; i < COUNT(rows); i++)
		check_row(&rows[i]);
}

/* A pattern that runs away decides against the client, whichever list it stands in. */
static void
a_runaway_pattern_fails_closed_and_says_so(void **state)
{
	char host[256];
	const struct row rows[] = {
		{ { .allow = ".*", .deny = "(a+)+b" }, "192.0.2.1", host, 0,
		    "deny '(a+)+b' gave up" },
		{ { .deny = "(a+)+b", .cidr_allow = "192.0.2.1" }, "192.0.2.1", host, 0,
		    "gave up" },
		{ { .allow = "(a+)+b" }, "192.0.2.1", host, 0, "allow '(a+)+b' gave up" },
		{ { .allow = "(a+)+b", .cidr_allow = "192.0.2.1" }, "192.0.2.1", host, 0,
		    "gave up" },
		{ { .allow = "(a+)+b", .cidr_allow = "192.0.2.1" }, "192.0.2.1", "aa", 1,
		    "cidr_allow" },
	};
	size_t i;

	(void)state;
	memset(host, 'a', sizeof(host) - 1);
	memcpy(host + sizeof(host) - 3, "b!", 3);
	for (i = 0; i < COUNT(rows); i++)
		check_row(&rows[i]);
}

static void
a_name_longer_than_names_can_be_is_denied(void **state)
{
	struct access *a = access_of(&(struct lists){ .allow = ".*" });
	char host[300];

	(void)state;
	memset(host, 'a', sizeof(host));
	host[256] = '\0';
	assert_false(check(a, "192.0.2.1", host).allowed);
	host[255] = '.';
	assert_true(check(a, "192.0.2.1", host).allowed);
	host[255] = 'a';
	host[256] = '.';
	host[257] = '\0';
	assert_false(check(a, "192.0.2.1", host).allowed);
	assert_non_null(strstr(check(a, "192.0.2.1", host).reason, "longer than 255"));
	access_free(a);
}

static void
a_link_local_peer_matches_with_and_without_its_zone(void **state)
{
	struct sockaddr_in6 v6 = { .sin6_family = AF_INET6, .sin6_scope_id = 1 };
	char name[IF_NAMESIZE], zoned[64];
	struct access *a;

	(void)state;
	if (if_indextoname(1, name) == NULL)
		snprintf(name, sizeof(name), "1");
	snprintf(zoned, sizeof(zoned), "fe80::1%%%s", name);
	assert_int_equal(inet_pton(AF_INET6, "fe80::1", &v6.sin6_addr), 1);
	a = access_of(&(struct lists){ .allow = "fe80::1" });
	assert_true(access_check(a, (struct sockaddr *)&v6, sizeof(v6), NULL).allowed);
	access_free(a);
	a = access_of(&(struct lists){ .allow = zoned });
	assert_true(access_check(a, (struct sockaddr *)&v6, sizeof(v6), NULL).allowed);
	v6.sin6_scope_id = 0;
	assert_false(access_check(a, (struct sockaddr *)&v6, sizeof(v6), NULL).allowed);
	access_free(a);
	a = access_of(&(struct lists){ .cidr_allow = "fe80::/10" });
	assert_true(access_check(a, (struct sockaddr *)&v6, sizeof(v6), NULL).allowed);
	access_free(a);
}

#endif

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(blocks_decide_and_deny_beats_allow),
		cmocka_unit_test(without_rules_everybody_may_come),
		cmocka_unit_test(unix_peers_are_always_allowed),
		cmocka_unit_test(a_peer_without_an_address_is_denied_by_any_rule),
		cmocka_unit_test(one_bad_rule_anywhere_refuses_to_start),
#if HAVE_PCRE2
		cmocka_unit_test(patterns_see_the_address_and_the_name),
		cmocka_unit_test(a_runaway_pattern_fails_closed_and_says_so),
		cmocka_unit_test(a_name_longer_than_names_can_be_is_denied),
		cmocka_unit_test(a_link_local_peer_matches_with_and_without_its_zone),
#endif
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
