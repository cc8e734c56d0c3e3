/* What processes count for those who look on. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/clock.h"
#include "net/conn.h"
#include "process/ledger.h"

#define PAGES 4

static int
setup(void **state)
{
	struct ledger *l = NULL;

	if (ledger_new(&l, PAGES) < 0)
		return -1;
	*state = l;
	return 0;
}

static int
teardown(void **state)
{
	ledger_free(*state);
	return 0;
}

static void
what_children_count_adds_up_in_the_parent(void **state)
{
	struct ledger *l = *state;
	unsigned page;
	int status;

	for (page = 0; page < PAGES; page++)
		if (fork() == 0) {
			ledger_count(l, page, LEDGER_TIMED_OUT);
			_exit(0);
		}
	for (page = 0; page < PAGES; page++)
		assert_true(wait(&status) > 0 && status == 0);
	assert_int_equal(ledger_sum(l, LEDGER_TIMED_OUT), PAGES);
	assert_int_equal(ledger_sum(l, LEDGER_DENIED_RULES), 0);
	/* The next one to have the page goes on from there. */
	ledger_count(l, 0, LEDGER_TIMED_OUT);
	assert_int_equal(ledger_sum(l, LEDGER_TIMED_OUT), PAGES + 1);
}

/* Its one writer adds where the process that looks on reads; a client that stays is seen as well. */
static void
bytes_are_seen_while_they_are_counted(void **state)
{
	struct ledger *l = *state;
	uint64_t received = 0, sent = 0;
	int status;

	if (fork() == 0) {
		conn_traffic_add(&ledger_traffic(l, 1)->received, 10);
		conn_traffic_add(&ledger_traffic(l, 1)->received, 1);
		conn_traffic_add(&ledger_traffic(l, 1)->sent, 5);
		_exit(0);
	}
	assert_true(wait(&status) > 0 && status == 0);
	conn_traffic_add(&ledger_traffic(l, 3)->sent, UINT32_MAX);
	ledger_add_traffic(l, &received, &sent);
	assert_int_equal(received, 11);
	assert_true(sent == UINT64_C(5) + UINT32_MAX);
}

static void
each_page_shows_its_own_client(void **state)
{
	struct ledger *l = *state;
	struct shown_client shown, c = { .family = AF_INET, .port = 4711 };

	shown_put(ledger_shown(l, 1), &c);
	assert_true(shown_get(ledger_shown(l, 1), &shown));
	assert_int_equal(shown.port, 4711);
	assert_false(shown_get(ledger_shown(l, 0), &shown));
	assert_false(shown_get(ledger_shown(l, 2), &shown));
}

static void
times_are_in_the_bucket_that_fits(void **state)
{
	struct ledger *l = *state;
	struct ledger_times t;
	static const int64_t us = 1000;

	ledger_took(l, 0, 0);
	ledger_took(l, 0, -5);
	ledger_took(l, 0, 63 * us);
	ledger_took(l, 1, 64 * us);
	ledger_took(l, 1, 127 * us);
	ledger_took(l, 2, 128 * us);
	ledger_took(l, 3, INT64_C(3600) * CLOCK_SECOND);
	ledger_times(l, &t);
	assert_int_equal(t.took[0], 3);
	assert_int_equal(t.took[1], 2);
	assert_int_equal(t.took[2], 1);
	assert_int_equal(t.took[LEDGER_TOOK - 1], 1);
	assert_true(t.seconds > 3600.0003 && t.seconds < 3600.0004);
}

static void
the_level_is_nobodys_before_it_was_asked_for(void **state)
{
	struct ledger *l = *state;
	int status;

	assert_int_equal(atomic_load(ledger_log_level(l)), -1);
	atomic_store(ledger_log_level(l), 4);
	if (fork() == 0)
		_exit(atomic_load(ledger_log_level(l)));
	assert_true(wait(&status) > 0);
	assert_int_equal(WEXITSTATUS(status), 4);
	ledger_free(NULL);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

int
main(void)
{
	static const struct CMUnitTest tests[] = {
		TEST(what_children_count_adds_up_in_the_parent),
		TEST(bytes_are_seen_while_they_are_counted),
		TEST(each_page_shows_its_own_client),
		TEST(times_are_in_the_bucket_that_fits),
		TEST(the_level_is_nobodys_before_it_was_asked_for),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
