/* Places for clients, of which there are so many and not one more. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <stdlib.h>
#include <sys/wait.h>
#include <unistd.h>

#include "process/places.h"

#define ROOM 40
#define OWNERS 8

static int
setup(void **state)
{
	struct places *p = NULL;

	if (places_new(&p, ROOM, OWNERS) < 0)
		return -1;
	*state = p;
	return 0;
}

static int
teardown(void **state)
{
	places_free(*state);
	return 0;
}

static void
there_are_so_many_and_not_one_more(void **state)
{
	struct places *p = *state;
	bool seen[ROOM + 1] = { false };
	uint32_t place;
	unsigned i;

	for (i = 0; i < ROOM; i++) {
		place = places_take(p, UINT32_MAX, OWNER_PARENT);
		assert_in_range(place, 1, ROOM);
		assert_false(seen[place]);
		seen[place] = true;
	}
	assert_int_equal(places_take(p, UINT32_MAX, OWNER_PARENT), 0);
	assert_int_equal(places_taken(p), ROOM);
	places_leave(p, 17);
	assert_int_equal(places_take(p, UINT32_MAX, OWNER_OF_SLOT(0)), 17);
	assert_int_equal(places_owner(p, 17), OWNER_OF_SLOT(0));
}

static void
a_limit_below_the_room_holds(void **state)
{
	struct places *p = *state;
	unsigned i;

	for (i = 0; i < 3; i++)
		assert_in_range(places_take(p, 3, OWNER_OF_SLOT(5)), 1, 3);
	assert_int_equal(places_take(p, 3, OWNER_PARENT), 0);
	assert_int_not_equal(places_take(p, 4, OWNER_PARENT), 0);
	assert_int_equal(places_take(p, 0, OWNER_PARENT), 0);
}

static void
nobody_and_strangers_get_none(void **state)
{
	struct places *p = *state;

	assert_int_equal(places_take(p, ROOM, OWNER_NOBODY), 0);
	assert_int_equal(places_take(p, ROOM, OWNERS), 0);
	assert_int_equal(places_taken(p), 0);
	assert_false(places_may_hold(p, OWNERS));
}

static void
what_is_left_is_held_no_more(void **state)
{
	struct places *p = *state;
	uint32_t place = places_take(p, ROOM, 3);

	assert_true(places_may_hold(p, 3));
	places_leave(p, place);
	assert_false(places_may_hold(p, 3));
	/* Twice does no harm. */
	places_leave(p, place);
	assert_false(places_may_hold(p, 3));
	assert_int_equal(places_taken(p), 0);
}

static void
handed_over_it_is_the_others(void **state)
{
	struct places *p = *state;
	uint32_t place = places_take(p, ROOM, OWNER_PARENT);

	places_hand_over(p, place, OWNER_PARENT, 4);
	assert_int_equal(places_owner(p, place), 4);
	assert_true(places_may_hold(p, 4));
	assert_false(places_may_hold(p, OWNER_PARENT));
	places_leave(p, place);
	/* Too late: the child was faster than its parent. */
	places_hand_over(p, place, OWNER_PARENT, 4);
	assert_int_equal(places_owner(p, place), OWNER_NOBODY);
	assert_false(places_may_hold(p, 4));
}

#define PROCESSES 4
#define ROUNDS 20000

/* Never two in one place: whoever is in writes his number there and finds it again. */
static void
come_and_go(struct places *p, unsigned owner)
{
	int i;

	for (i = 0; i < ROUNDS; i++) {
		uint32_t place = places_take(p, PROCESSES - 1, owner);

		if (place == 0)
			continue;
		atomic_store(&places_at(p, place)->source, owner);
		if (places_owner(p, place) != owner ||
		    atomic_load(&places_at(p, place)->source) != owner)
			_exit(1);
		places_leave(p, place);
	}
}

static void
processes_never_share_a_place(void **state)
{
	struct places *p = *state;
	unsigned i;
	int status;

	for (i = 0; i < PROCESSES; i++)
		if (fork() == 0) {
			alarm(60);
			come_and_go(p, OWNER_OF_SLOT(i));
			_exit(0);
		}
	for (i = 0; i < PROCESSES; i++) {
		assert_true(wait(&status) > 0);
		assert_int_equal(status, 0);
	}
	assert_int_equal(places_taken(p), 0);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(there_are_so_many_and_not_one_more, setup, teardown),
		cmocka_unit_test_setup_teardown(a_limit_below_the_room_holds, setup, teardown),
		cmocka_unit_test_setup_teardown(nobody_and_strangers_get_none, setup, teardown),
		cmocka_unit_test_setup_teardown(what_is_left_is_held_no_more, setup, teardown),
		cmocka_unit_test_setup_teardown(handed_over_it_is_the_others, setup, teardown),
		cmocka_unit_test_setup_teardown(processes_never_share_a_place, setup, teardown),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
