/* Growing pauses, with a clock of our own. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include "base/clock.h"
#include "process/backoff.h"

#define MS CLOCK_MILLISECOND

/* NS-FIX-16, NW-129: what fails is tried again later and later, never in a busy loop. */
static void
pauses_double_up_to_the_longest(void **state)
{
	static const int64_t pauses[] = {
		100, 200, 400, 800, 1600, 3200, 6400, 10000, 10000, 10000,
	};
	struct backoff b = { 0 };
	int64_t now = 5 * CLOCK_SECOND;
	size_t i;

	(void)state;
	assert_int_equal(backoff_left(&b, now), 0);
	for (i = 0; i < sizeof(pauses) / sizeof(pauses[0]); i++) {
		backoff_failed(&b, now);
		assert_int_equal(backoff_left(&b, now), pauses[i] * MS);
		now += pauses[i] * MS;
		assert_int_equal(backoff_left(&b, now), 0);
	}
}

static void
a_pause_runs_out_with_the_clock(void **state)
{
	struct backoff b = { 0 };

	(void)state;
	backoff_failed(&b, 0);
	assert_int_equal(backoff_left(&b, 0), 100 * MS);
	assert_int_equal(backoff_left(&b, 60 * MS), 40 * MS);
	assert_int_equal(backoff_left(&b, 100 * MS - 1), 1);
	assert_int_equal(backoff_left(&b, 100 * MS), 0);
	assert_int_equal(backoff_left(&b, 3600 * CLOCK_SECOND), 0);
}

static void
a_batch_that_fails_together_counts_once(void **state)
{
	struct backoff b = { 0 };
	int i;

	(void)state;
	for (i = 0; i < 50; i++)
		backoff_failed(&b, i * MS);
	assert_int_equal(b.pause, 100 * MS);
	assert_int_equal(backoff_left(&b, 49 * MS), 51 * MS);
	/* The next batch, after the pause. */
	for (i = 0; i < 50; i++)
		backoff_failed(&b, (150 + i) * MS);
	assert_int_equal(b.pause, 200 * MS);
}

static void
a_success_starts_from_the_shortest_again(void **state)
{
	struct backoff b = { 0 };
	int64_t now = 0;
	int i;

	(void)state;
	for (i = 0; i < 20; i++, now += 20 * CLOCK_SECOND)
		backoff_failed(&b, now);
	backoff_failed(&b, now);
	backoff_succeeded(&b);
	assert_int_equal(backoff_left(&b, now), 0);
	backoff_failed(&b, now);
	assert_int_equal(backoff_left(&b, now), 100 * MS);
}

int
main(void)
{
	static const struct CMUnitTest tests[] = {
		cmocka_unit_test(pauses_double_up_to_the_longest),
		cmocka_unit_test(a_pause_runs_out_with_the_clock),
		cmocka_unit_test(a_batch_that_fails_together_counts_once),
		cmocka_unit_test(a_success_starts_from_the_shortest_again),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
