/* What processes know together of their log: src/log/shared.c. */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/wait.h>
#include <unistd.h>
#include <cmocka.h>

#include "base/clock.h"
#include "log/shared.h"

static int
in_child(bool (*ask)(struct log_shared *), struct log_shared *s)
{
	int status;
	pid_t pid = fork();

	if (pid == 0)
		_exit(ask(s) ? 1 : 0);
	assert_int_equal(waitpid(pid, &status, 0), pid);
	return WEXITSTATUS(status);
}

static bool
lose_two(struct log_shared *s)
{
	log_shared_lose(s, 2, 1000, -ENOSPC);
	return true;
}

/* A child that lives for one client takes no count with it. */
static void
losses_of_a_dead_child_are_remembered(void **state)
{
	struct log_shared *s = log_shared_new();

	(void)state;
	assert_non_null(s);
	assert_int_equal(in_child(lose_two, s), 1);
	assert_int_equal(s->lost, 2);
	assert_int_equal(s->lost_since, 1000);
	assert_int_equal(s->lost_code, -ENOSPC);
	log_shared_lose(s, 1, 2000, -EPIPE);
	assert_int_equal(s->lost, 3);
	assert_int_equal(s->lost_since, 1000);
	assert_int_equal(s->lost_code, -EPIPE);
	log_shared_free(s);
	log_shared_free(NULL);
}

static void
one_process_tries_and_pauses_grow(void **state)
{
	struct log_shared *s = log_shared_new();
	int64_t pause = 0;
	int i;

	(void)state;
	assert_non_null(s);
	assert_true(log_shared_may_try(s));
	for (i = 0; i < 8; i++) {
		log_shared_tried(s, -ECONNREFUSED);
		assert_true(s->pause > pause || (i > 4 && s->pause == pause));
		pause = s->pause;
		/* Not yet due, for anybody; the clock is put on in place of waiting. */
		s->retry_at = clock_now() + CLOCK_SECOND * 100;
		assert_false(log_shared_may_try(s));
		s->retry_at = clock_now() - 1;
		assert_int_equal(in_child(log_shared_may_try, s), 1);
		assert_false(log_shared_may_try(s));
	}
	assert_in_range(pause, CLOCK_SECOND, 2 * CLOCK_SECOND);
	log_shared_tried(s, 0);
	assert_true(log_shared_may_try(s));
	assert_true(log_shared_may_try(s));
	log_shared_free(s);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(losses_of_a_dead_child_are_remembered),
		cmocka_unit_test(one_process_tries_and_pauses_grow),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
