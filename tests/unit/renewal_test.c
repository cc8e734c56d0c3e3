/* Who may leave and who has to come first, when workers are replaced (NS-PF-49, NS-FIX-50). */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <stdio.h>

#include "base/clock.h"
#include "process/renewal.h"

struct row {
	const char *what;
	unsigned    wanted, serving, away, worn;
	unsigned    tell, ahead;
};

static const struct row rows[] = {
	/* Never more than there are. */
	{ "nobody is worn", 0, 4, 0, 0, 0, 0 },
	{ "one of few leaves", 0, 4, 0, 4, 1, 0 },
	{ "the only one leaves, too", 0, 1, 0, 1, 1, 0 },
	{ "nobody else while one is away", 0, 3, 1, 3, 0, 0 },
	{ "an eighth of many", 0, 40, 0, 40, 5, 0 },
	{ "those that are away count", 0, 37, 3, 37, 2, 0 },
	{ "more are away than should be", 0, 30, 10, 30, 0, 0 },
	{ "no more than are worn", 0, 40, 0, 2, 2, 0 },
	{ "none is up yet", 0, 0, 4, 0, 0, 0 },
	{ "there are none", 0, 0, 0, 0, 0, 0 },
	/* Successors first. */
	{ "nobody is worn, nobody comes", 4, 4, 0, 0, 0, 0 },
	{ "the successor of one comes first", 4, 4, 0, 4, 0, 1 },
	{ "also of the only one", 1, 1, 0, 1, 0, 1 },
	{ "it is not up yet", 1, 1, 1, 1, 0, 1 },
	{ "it is: the old one leaves", 1, 2, 0, 1, 1, 0 },
	{ "and the next begins", 4, 5, 0, 4, 1, 1 },
	{ "an eighth at a time", 40, 40, 0, 40, 0, 5 },
	{ "as many leave as have come", 40, 43, 2, 40, 3, 5 },
	{ "the last", 40, 43, 0, 3, 3, 0 },
	{ "some have died meanwhile", 4, 3, 0, 3, 0, 1 },
};

static void
few_leave_at_a_time(void **state)
{
	size_t i;

	(void)state;
	for (i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		const struct row *row = &rows[i];
		const struct renewal_view v = {
			.wanted = row->wanted,
			.serving = row->serving,
			.away = row->away,
			.worn = row->worn,
		};
		struct renewal_plan plan = renewal_decide(&v);

		if (plan.tell != row->tell || plan.ahead != row->ahead)
			print_error("%s: %u told, %u ahead\n", row->what, plan.tell, plan.ahead);
		assert_int_equal(plan.tell, row->tell);
		assert_int_equal(plan.ahead, row->ahead);
	}
}

/* Carried out with a successor that takes a turn to come up. */
static void
a_constant_crowd_is_replaced_and_never_smaller(void **state)
{
	struct renewal_view v = { .wanted = 20, .serving = 20, .worn = 20 };
	unsigned told = 0, turns = 0;

	(void)state;
	while (v.worn > 0) {
		struct renewal_plan plan = renewal_decide(&v);

		told += plan.tell;
		v.worn -= plan.tell;
		v.serving += v.away - plan.tell;
		v.away = v.wanted + plan.ahead > v.serving ? v.wanted + plan.ahead - v.serving : 0;
		assert_true(v.serving >= v.wanted);
		assert_true(v.serving + v.away <= v.wanted + renewal_share(v.wanted));
		assert_true(++turns < 100);
	}
	assert_int_equal(told, 20);
	assert_int_equal(renewal_decide(&v).ahead, 0);
}

static void
a_share_is_an_eighth_and_one_at_least(void **state)
{
	(void)state;
	assert_int_equal(renewal_share(0), 1);
	assert_int_equal(renewal_share(1), 1);
	assert_int_equal(renewal_share(8), 1);
	assert_int_equal(renewal_share(15), 1);
	assert_int_equal(renewal_share(16), 2);
	assert_int_equal(renewal_share(800), 100);
}

/* NS-PF-49: nobody leaves too early, and neighbours do not leave together. */
static void
ages_are_spread_over_a_tenth(void **state)
{
	const int64_t limit = 1000 * CLOCK_SECOND;
	int tenths[10] = { 0 };
	pid_t pid;
	int i;

	(void)state;
	for (pid = 4000; pid < 4050; pid++) {
		int64_t age = renewal_age(limit, pid);

		assert_true(age >= limit && age <= limit + limit / 10);
		assert_true(age == renewal_age(limit, pid));
		tenths[(age - limit) * 10 / (limit / 10 + 1)]++;
	}
	for (i = 0; i < 10; i++)
		assert_in_range(tenths[i], 1, 10);
}

static void
ages_that_never_come_stay_so(void **state)
{
	(void)state;
	assert_true(renewal_age(CLOCK_NEVER, 1) == CLOCK_NEVER);
	assert_true(renewal_age(CLOCK_NEVER - 1, 77) > CLOCK_NEVER / 2);
	assert_true(renewal_age(0, 77) == 0);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(few_leave_at_a_time),
		cmocka_unit_test(a_constant_crowd_is_replaced_and_never_smaller),
		cmocka_unit_test(a_share_is_an_eighth_and_one_at_least),
		cmocka_unit_test(ages_are_spread_over_a_tenth),
		cmocka_unit_test(ages_that_never_come_stay_so),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
