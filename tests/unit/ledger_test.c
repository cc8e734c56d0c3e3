/* What processes count for those who look on. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <signal.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/clock.h"
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
			ledger_add(l, page, LEDGER_SENT, 10 + page);
			_exit(0);
		}
	for (page = 0; page < PAGES; page++)
		assert_true(wait(&status) > 0 && status == 0);
	assert_int_equal(ledger_sum(l, LEDGER_SENT), 10 + 11 + 12 + 13);
	assert_int_equal(ledger_sum(l, LEDGER_RECEIVED), 0);
	/* The next one to have the page goes on from there. */
	ledger_add(l, 0, LEDGER_SENT, 1);
	assert_int_equal(ledger_sum(l, LEDGER_SENT), 47);
}

static void
a_client_is_shown_until_it_is_gone(void **state)
{
	struct ledger *l = *state;
	struct ledger_client shown, c = { .family = AF_INET6, .port = 4711 };

	memcpy(c.address, "0123456789abcdef", 16);
	assert_false(ledger_client(l, 1, &shown));
	ledger_show(l, 1, &c);
	assert_true(ledger_client(l, 1, &shown));
	assert_memory_equal(&shown, &c, sizeof(c));
	assert_false(ledger_client(l, 2, &shown));
	ledger_show(l, 1, NULL);
	assert_false(ledger_client(l, 1, &shown));
}

/* Writes clients whose bytes are all the same, for ever. */
static void
write_clients(struct ledger *l)
{
	struct ledger_client c = { .family = AF_INET };
	unsigned i;

	for (i = 0;; i++) {
		memset(c.address, (int)(i & 0xff), sizeof(c.address));
		c.port = (uint16_t)(i & 0xff);
		ledger_show(l, 0, &c);
	}
}

static void
a_reader_never_sees_two_clients_in_one(void **state)
{
	struct ledger *l = *state;
	int64_t until = clock_now() + CLOCK_SECOND / 5;
	unsigned long seen = 0;
	pid_t pid = fork();
	int status;

	if (pid == 0)
		write_clients(l);
	while (clock_now() < until || seen == 0) {
		struct ledger_client c;
		size_t i;

		if (!ledger_client(l, 0, &c))
			continue;
		seen++;
		for (i = 0; i < sizeof(c.address); i++)
			if (c.address[i] != c.port)
				fail_msg("byte %zu is %u, the port %u", i, c.address[i], c.port);
	}
	kill(pid, SIGKILL);
	waitpid(pid, &status, 0);
	/* Killed wherever it was: a reader comes to an end, and the next owner writes over it. */
	ledger_show(l, 0, &(struct ledger_client){ .family = AF_INET, .port = 7 });
	assert_true(ledger_client(l, 0, &(struct ledger_client){ 0 }));
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
		TEST(a_client_is_shown_until_it_is_gone),
		TEST(a_reader_never_sees_two_clients_in_one),
		TEST(times_are_in_the_bucket_that_fits),
		TEST(the_level_is_nobodys_before_it_was_asked_for),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
