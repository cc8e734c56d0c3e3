/* A flood of refused clients is counted to the last and told now and then. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <sys/wait.h>
#include <unistd.h>

#include "base/clock.h"
#include "process/refusals.h"

#define START (1000 * CLOCK_SECOND)
#define INTERVAL (60 * CLOCK_SECOND)

static int
setup(void **state)
{
	struct refusals *r = NULL;

	if (refusals_new(&r) < 0)
		return -1;
	*state = r;
	return 0;
}

static int
teardown(void **state)
{
	refusals_free(*state);
	return 0;
}

/* Source number `n`, whose tag is n in the bits that are looked at. */
static void
refuse(struct refusals *r, unsigned n, int64_t now)
{
	struct source_id who = { .low = n, .family = 4, .bits = 32 };

	refusals_note(r, TEND_REFUSAL_SOURCE, &who, (uint64_t)n << 58 | 1, now);
}

static bool
news(struct refusals *r, int64_t now, bool at_once, struct refusals_news *into, int64_t *due)
{
	return refusals_news(r, TEND_REFUSAL_SOURCE, now, INTERVAL, at_once, into, due);
}

static void
the_first_is_told_at_once_and_the_others_together(void **state)
{
	struct refusals *r = *state;
	struct refusals_news n;
	int64_t due;
	int i;

	assert_false(news(r, START, false, &n, &due));
	assert_true(due == CLOCK_NEVER);
	refuse(r, 7, START);
	assert_true(news(r, START, false, &n, &due));
	assert_int_equal(n.count, 1);
	assert_int_equal(n.sources, 1);
	assert_int_equal(n.latest.low, 7);
	for (i = 0; i < 300; i++)
		refuse(r, (unsigned)i % 5, START + (10 + i / 100) * CLOCK_SECOND);
	assert_false(news(r, START + INTERVAL - 1, false, &n, &due));
	assert_true(due == START + INTERVAL);
	assert_true(news(r, START + INTERVAL, false, &n, &due));
	assert_int_equal(n.count, 300);
	assert_int_equal(n.sources, 5);
	assert_int_equal(n.latest.low, 4);
	assert_true(n.latest_tag == (UINT64_C(4) << 58 | 1));
	assert_true(n.during == 50 * CLOCK_SECOND);
	assert_false(news(r, START + 10 * INTERVAL, false, &n, &due));
	assert_int_equal(refusals_count(r, TEND_REFUSAL_SOURCE), 301);
	assert_int_equal(refusals_count(r, TEND_REFUSAL_RATE), 0);
}

static void
what_is_untold_at_the_end_is_told_then(void **state)
{
	struct refusals *r = *state;
	struct refusals_news n;

	refuse(r, 1, START);
	assert_true(news(r, START, false, &n, NULL));
	assert_false(news(r, START, true, &n, NULL));
	refuse(r, 2, START + 1);
	assert_false(news(r, START + 2, false, &n, NULL));
	assert_true(news(r, START + 2, true, &n, NULL));
	assert_int_equal(n.count, 1);
}

static void
processes_count_together_and_one_of_them_tells(void **state)
{
	struct refusals *r = *state;
	struct refusals_news n;
	int i, status, told = 0;

	refuse(r, 1, START);
	for (i = 0; i < 4; i++)
		if (fork() == 0) {
			int k;

			alarm(60);
			for (k = 0; k < 10000; k++)
				refuse(r, (unsigned)k % 64, START);
			_exit(news(r, START + INTERVAL, false, &n, NULL) ? 1 : 0);
		}
	for (i = 0; i < 4; i++) {
		assert_true(wait(&status) > 0);
		assert_true(WIFEXITED(status));
		told += WEXITSTATUS(status);
	}
	assert_int_equal(told, 1);
	assert_int_equal(refusals_count(r, TEND_REFUSAL_SOURCE), 40001);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(
		    the_first_is_told_at_once_and_the_others_together, setup, teardown),
		cmocka_unit_test_setup_teardown(
		    what_is_untold_at_the_end_is_told_then, setup, teardown),
		cmocka_unit_test_setup_teardown(
		    processes_count_together_and_one_of_them_tells, setup, teardown),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
