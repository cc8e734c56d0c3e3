/* What the threads of children show of themselves. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <sys/wait.h>
#include <unistd.h>

#include "net/conn.h"
#include "process/lanes.h"

#define CHILDREN 3
#define THREADS 4

static int
setup(void **state)
{
	struct lanes *l = NULL;

	if (lanes_new(&l, CHILDREN, THREADS) < 0)
		return -1;
	*state = l;
	return 0;
}

static int
teardown(void **state)
{
	lanes_free(*state);
	return 0;
}

static void
a_thread_shows_what_it_does(void **state)
{
	struct lanes *l = *state;

	assert_int_equal(lanes_state(l, 1, 2), SLOT_FREE);
	lanes_start(l, 1, 2);
	assert_int_equal(lanes_state(l, 1, 2), SLOT_WAITING);
	lanes_busy(l, 1, 2);
	assert_int_equal(lanes_state(l, 1, 2), SLOT_BUSY);
	assert_true(lanes_since(l, 1, 2) > 0);
	lanes_waiting(l, 1, 2);
	lanes_busy(l, 1, 2);
	assert_int_equal(lanes_served(l, 1, 2), 2);
	lanes_end(l, 1, 2);
	assert_int_equal(lanes_state(l, 1, 2), SLOT_FREE);
	/* The next one in this lane begins anew. */
	lanes_start(l, 1, 2);
	assert_int_equal(lanes_served(l, 1, 2), 0);
}

static void
no_lane_is_another_childs(void **state)
{
	struct lanes *l = *state;
	unsigned slot, lane;

	lanes_start(l, 1, 3);
	lanes_busy(l, 1, 3);
	for (slot = 0; slot < CHILDREN; slot++)
		for (lane = 0; lane < THREADS; lane++)
			assert_int_equal(lanes_state(l, slot, lane),
			    slot == 1 && lane == 3 ? SLOT_BUSY : SLOT_FREE);
}

static void
the_thread_that_works_longest_speaks_for_its_child(void **state)
{
	struct lanes *l = *state;
	int64_t first;

	assert_int_equal(lanes_works_since(l, 0), 0);
	lanes_start(l, 0, 0);
	lanes_start(l, 0, 1);
	lanes_busy(l, 0, 0);
	first = lanes_works_since(l, 0);
	assert_true(first > 0);
	while (lanes_busy(l, 0, 1), lanes_since(l, 0, 1) == first)
		usleep(1000);
	assert_true(lanes_works_since(l, 0) == first);
	/* One that waits for its client, or has none, does not count, however long. */
	lanes_pause(l, 0, 0);
	assert_true(lanes_works_since(l, 0) == lanes_since(l, 0, 1));
	lanes_waiting(l, 0, 1);
	assert_int_equal(lanes_works_since(l, 0), 0);
	lanes_resume(l, 0, 0);
	assert_true(lanes_works_since(l, 0) > first);
}

static void
threads_end_with_their_child(void **state)
{
	struct lanes *l = *state;
	struct shown_client client;
	pid_t pid = fork();

	if (pid == 0) {
		lanes_start(l, 2, 0);
		lanes_start(l, 2, 1);
		lanes_busy(l, 2, 1);
		shown_put(lanes_shown(l, 2, 1), &(struct shown_client){ .family = AF_INET });
		_exit(0);
	}
	assert_int_equal(waitpid(pid, NULL, 0), pid);
	assert_int_equal(lanes_state(l, 2, 0), SLOT_WAITING);
	assert_int_equal(lanes_state(l, 2, 1), SLOT_BUSY);
	assert_true(shown_get(lanes_shown(l, 2, 1), &client));
	lanes_release(l, 2);
	assert_false(shown_get(lanes_shown(l, 2, 1), &client));
	assert_int_equal(lanes_state(l, 2, 0), SLOT_FREE);
	assert_int_equal(lanes_works_since(l, 2), 0);
}

/* Who looks on need not look at all there is room for: most of it is memory that nobody has touched. */
static void
the_highest_lane_that_was_used_is_known(void **state)
{
	struct lanes *l = *state;

	assert_int_equal(lanes_end_of_use(l), 0);
	lanes_start(l, 1, 2);
	assert_int_equal(lanes_end_of_use(l), 3);
	lanes_start(l, 2, 0);
	lanes_end(l, 1, 2);
	assert_int_equal(lanes_end_of_use(l), 3);
}

static void
bytes_stay_when_their_thread_is_gone(void **state)
{
	struct lanes *l = *state;
	uint64_t received = 100, sent = 0;

	lanes_start(l, 2, 1);
	conn_traffic_add(&lanes_traffic(l, 2, 1)->received, 7);
	lanes_release(l, 2);
	lanes_start(l, 2, 1);
	conn_traffic_add(&lanes_traffic(l, 2, 1)->received, 1);
	lanes_start(l, 0, 3);
	conn_traffic_add(&lanes_traffic(l, 0, 3)->sent, 5);
	lanes_add_traffic(l, &received, &sent);
	assert_int_equal(received, 108);
	assert_int_equal(sent, 5);
}

static void
a_thread_has_its_age(void **state)
{
	struct lanes *l = *state;
	int64_t born;

	lanes_start(l, 0, 0);
	born = lanes_born(l, 0, 0);
	assert_true(born > 0);
	lanes_busy(l, 0, 0);
	lanes_waiting(l, 0, 0);
	assert_true(lanes_born(l, 0, 0) == born);
	while (lanes_start(l, 0, 0), lanes_born(l, 0, 0) == born)
		usleep(1000);
}

static void
no_more_are_allowed_than_there_is_room_for(void **state)
{
	struct lanes *l = *state;

	assert_int_equal(lanes_room(l), THREADS);
	assert_int_equal(lanes_allowed(l), THREADS);
	lanes_allow(l, 2);
	assert_int_equal(lanes_allowed(l), 2);
	/* As a child may leave it that ran wild. */
	lanes_allow(l, 4000000000u);
	assert_int_equal(lanes_allowed(l), THREADS);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

int
main(void)
{
	static const struct CMUnitTest tests[] = {
		TEST(a_thread_shows_what_it_does),
		TEST(no_lane_is_another_childs),
		TEST(the_thread_that_works_longest_speaks_for_its_child),
		TEST(threads_end_with_their_child),
		TEST(the_highest_lane_that_was_used_is_known),
		TEST(bytes_stay_when_their_thread_is_gone),
		TEST(a_thread_has_its_age),
		TEST(no_more_are_allowed_than_there_is_room_for),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
