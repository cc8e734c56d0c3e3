/*
 * Limits that many processes share. The clock is the test's own. What is memory of a million sources,
 * and what becomes of the counts when processes are killed anywhere, is tried for real.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "base/clock.h"
#include "process/sources.h"

#define ROOM 1000
#define OWNERS 20
#define NOW (5000 * CLOCK_SECOND)

static const struct siphash_key key = { 1, 2 };

/* As many as a bucket has, and the smallest table. */
#define WAYS 8
#define BUCKETS 1024

static int
setup(void **state)
{
	struct sources *s = NULL;

	if (sources_new(&s, ROOM, OWNERS, &key) < 0)
		return -1;
	*state = s;
	return 0;
}

static int
teardown(void **state)
{
	sources_free(*state);
	return 0;
}

static struct source_id
source(unsigned n)
{
	return (struct source_id){ .high = n, .family = 6, .bits = 64 };
}

static enum tend_refusal
enter(struct sources *s, unsigned n, int64_t now, uint32_t *place)
{
	struct source_id who = source(n);

	return sources_enter(s, OWNER_PARENT, &who, false, now, place);
}

/* A client that comes and, if it is let in, goes at once. */
static enum tend_refusal
visit(struct sources *s, unsigned n, int64_t now)
{
	uint32_t place;
	enum tend_refusal why = enter(s, n, now, &place);

	sources_leave(s, place);
	return why;
}

static unsigned
live_of(const struct sources *s, unsigned n)
{
	struct source_id who = source(n);

	return sources_of(s, &who);
}

static void
rule(struct sources *s, struct sources_rules rules)
{
	sources_set_rules(s, &rules);
}

/* ---- the limits ---- */

static void
without_rules_only_the_room_limits(void **state)
{
	struct sources *s = *state;
	uint32_t place;
	unsigned i;

	for (i = 0; i < ROOM; i++) {
		assert_int_equal(enter(s, 1, NOW, &place), TEND_REFUSAL_NONE);
		assert_int_not_equal(place, 0);
	}
	assert_int_equal(enter(s, 1, NOW, &place), TEND_REFUSAL_CONNECTIONS);
	assert_int_equal(place, 0);
	assert_int_equal(sources_known(s), 0);
}

static void
all_connections_are_limited(void **state)
{
	struct sources *s = *state;
	uint32_t places[3], place;
	unsigned i;

	rule(s, (struct sources_rules){ .max_connections = 3 });
	for (i = 0; i < 3; i++)
		assert_int_equal(enter(s, i, NOW, &places[i]), TEND_REFUSAL_NONE);
	assert_int_equal(enter(s, 9, NOW, &place), TEND_REFUSAL_CONNECTIONS);
	assert_int_equal(sources_connected(s), 3);
	sources_leave(s, places[1]);
	assert_int_equal(enter(s, 9, NOW, &place), TEND_REFUSAL_NONE);
	assert_int_equal(enter(s, 9, NOW, &place), TEND_REFUSAL_CONNECTIONS);
}

static void
each_source_is_limited_by_itself(void **state)
{
	struct sources *s = *state;
	uint32_t first, place;
	unsigned n;

	rule(s, (struct sources_rules){ .max_per_source = 2 });
	for (n = 0; n < 50; n++) {
		assert_int_equal(enter(s, n, NOW, &first), TEND_REFUSAL_NONE);
		assert_int_equal(enter(s, n, NOW, &place), TEND_REFUSAL_NONE);
		assert_int_equal(enter(s, n, NOW, &place), TEND_REFUSAL_SOURCE);
		assert_int_equal(live_of(s, n), 2);
	}
	assert_int_equal(sources_connected(s), 100);
	assert_int_equal(sources_live(s), 50);
	sources_leave(s, first);
	assert_int_equal(live_of(s, 49), 1);
	assert_int_equal(enter(s, 49, NOW, &place), TEND_REFUSAL_NONE);
	assert_int_equal(enter(s, 49, NOW, &place), TEND_REFUSAL_SOURCE);
}

static void
unix_clients_and_exempt_ones_count_for_no_source(void **state)
{
	struct sources *s = *state;
	struct source_id local = { 0 }, friendly = source(3);
	uint32_t place;
	unsigned i;

	rule(s, (struct sources_rules){
	    .max_connections = 10, .max_per_source = 1, .rate = 1, .interval = CLOCK_SECOND });
	for (i = 0; i < 5; i++)
		assert_int_equal(sources_enter(s, OWNER_PARENT, &local, false, NOW, &place), 0);
	for (i = 0; i < 20; i++)
		assert_int_equal(sources_enter(s, OWNER_PARENT, &friendly, true, NOW, &place), 0);
	assert_int_equal(place, 0); /* there was none, and it came in all the same */
	assert_int_equal(sources_connected(s), 10);
	assert_int_equal(sources_known(s), 0);
	assert_int_equal(sources_enter(s, OWNER_PARENT, &local, false, NOW, &place),
	    TEND_REFUSAL_CONNECTIONS);
}

static void
a_source_that_is_too_fast_is_held_and_let_go(void **state)
{
	struct sources *s = *state;
	int i;

	rule(s, (struct sources_rules){
	    .rate = 3, .interval = 10 * CLOCK_SECOND, .hold = 60 * CLOCK_SECOND });
	for (i = 0; i < 3; i++)
		assert_int_equal(visit(s, 1, NOW + i * CLOCK_SECOND), TEND_REFUSAL_NONE);
	assert_int_equal(visit(s, 1, NOW + 3 * CLOCK_SECOND), TEND_REFUSAL_RATE);
	/* Others do not suffer, and asking again does not prolong it. */
	assert_int_equal(visit(s, 2, NOW + 3 * CLOCK_SECOND), TEND_REFUSAL_NONE);
	for (i = 4; i < 63; i++)
		assert_int_equal(visit(s, 1, NOW + i * CLOCK_SECOND), TEND_REFUSAL_RATE);
	for (i = 63; i < 66; i++)
		assert_int_equal(visit(s, 1, NOW + i * CLOCK_SECOND), TEND_REFUSAL_NONE);
	assert_int_equal(visit(s, 1, NOW + 66 * CLOCK_SECOND), TEND_REFUSAL_RATE);
	assert_int_equal(live_of(s, 1), 0);
	assert_int_equal(sources_connected(s), 0);
}

static void
an_interval_begins_with_the_first_client(void **state)
{
	struct sources *s = *state;
	int round, i;

	rule(s, (struct sources_rules){ .rate = 3, .interval = 10 * CLOCK_SECOND, .hold = 0 });
	for (round = 0; round < 5; round++)
		for (i = 0; i < 3; i++)
			assert_int_equal(
			    visit(s, 1, NOW + (round * 10 + i * 3) * CLOCK_SECOND), 0);
	/* Without a hold it is the rest of the interval. */
	assert_int_equal(visit(s, 1, NOW + 49 * CLOCK_SECOND), TEND_REFUSAL_RATE);
	assert_int_equal(visit(s, 1, NOW + 50 * CLOCK_SECOND - 1), TEND_REFUSAL_RATE);
	assert_int_equal(visit(s, 1, NOW + 50 * CLOCK_SECOND), TEND_REFUSAL_NONE);
}

static void
a_limit_that_is_changed_holds_at_once(void **state)
{
	struct sources *s = *state;
	uint32_t place;
	int i;

	rule(s, (struct sources_rules){ .max_per_source = 2 });
	for (i = 0; i < 2; i++)
		assert_int_equal(enter(s, 1, NOW, &place), TEND_REFUSAL_NONE);
	rule(s, (struct sources_rules){ .max_per_source = 3 });
	assert_int_equal(enter(s, 1, NOW, &place), TEND_REFUSAL_NONE);
	assert_int_equal(enter(s, 1, NOW, &place), TEND_REFUSAL_SOURCE);
	rule(s, (struct sources_rules){ .max_per_source = 1 });
	assert_int_equal(enter(s, 1, NOW, &place), TEND_REFUSAL_SOURCE);
	assert_int_equal(sources_rules(s).max_per_source, 1);
}

static void
a_client_can_be_looked_at(void **state)
{
	struct sources *s = *state;
	struct source_id who = { .low = 0xc0000207, .family = 4, .bits = 32 };
	struct sources_client client;
	char text[SOURCE_TEXT_MAX];
	uint32_t place;

	assert_int_equal(sources_enter(s, OWNER_OF_SLOT(3), &who, false, NOW, &place), 0);
	assert_true(sources_client(s, place, &client));
	assert_int_equal(client.owner, OWNER_OF_SLOT(3));
	assert_true(client.since == NOW);
	source_text(&client.who, text);
	assert_string_equal(text, "192.0.2.7");
	sources_leave(s, place);
	assert_false(sources_client(s, place, &client));
}

/* ---- forgetting ---- */

/* Where memory means what it says: sanitizers have shadows of it. */
static bool
is_plain(void)
{
#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__)
	return false;
#else
	return getenv("TEND_TEST_SANITIZED") == NULL;
#endif
}

/* What the process really takes, in bytes. */
static size_t
resident(void)
{
	unsigned long size, pages = 0;
	FILE *f = fopen("/proc/self/statm", "r");

	assert_non_null(f);
	assert_int_equal(fscanf(f, "%lu %lu", &size, &pages), 2);
	fclose(f);
	return pages * (size_t)sysconf(_SC_PAGESIZE);
}

static void
a_million_sources_take_no_more_than_the_table(void **state)
{
	struct sources *s = *state;
	size_t size = sources_memory(s), before = resident();
	unsigned n;

	assert_true(size <= (BUCKETS + 1) * 256);
	rule(s, (struct sources_rules){
	    .max_per_source = 5, .rate = 5, .interval = 60 * CLOCK_SECOND, .hold = CLOCK_SECOND });
	for (n = 0; n < 1000000; n++)
		assert_int_equal(visit(s, n, NOW + n), TEND_REFUSAL_NONE);
	assert_int_equal(sources_memory(s), size);
	assert_int_equal(sources_known(s), BUCKETS * WAYS);
	assert_int_equal(sources_live(s), 0);
	if (is_plain())
		assert_true(resident() < before + 2 * size + 1024 * 1024);
}

static void
a_million_others_do_not_make_a_heavy_source_forgotten(void **state)
{
	struct sources *s = *state;
	uint32_t held[2], place;
	unsigned n;

	rule(s, (struct sources_rules){ .max_per_source = 2, .rate = 10,
	    .interval = 600 * CLOCK_SECOND, .hold = 600 * CLOCK_SECOND });
	/* One has clients, one is held, one is well on its way to be. */
	for (n = 0; n < 2; n++)
		assert_int_equal(enter(s, 1, NOW, &held[n]), TEND_REFUSAL_NONE);
	for (n = 0; n < 11; n++)
		visit(s, 2, NOW);
	for (n = 0; n < 8; n++)
		assert_int_equal(visit(s, 3, NOW), TEND_REFUSAL_NONE);
	for (n = 1000; n < 1001000; n++)
		assert_int_equal(visit(s, n, NOW + n), TEND_REFUSAL_NONE);
	assert_int_equal(enter(s, 1, NOW, &place), TEND_REFUSAL_SOURCE);
	assert_int_equal(visit(s, 2, NOW + CLOCK_SECOND), TEND_REFUSAL_RATE);
	for (n = 0; n < 2; n++)
		assert_int_equal(visit(s, 3, NOW), TEND_REFUSAL_NONE);
	assert_int_equal(visit(s, 3, NOW), TEND_REFUSAL_RATE);
	for (n = 0; n < 2; n++)
		sources_leave(s, held[n]);
	assert_int_equal(sources_live(s), 0);
}

/* Also in the middle of the flood: its entry outlives as many newcomers as a bucket has room for. */
static void
a_heavy_source_is_found_out_during_a_flood(void **state)
{
	struct sources *s = *state;
	unsigned n, visits = 0;

	rule(s, (struct sources_rules){
	    .rate = 10, .interval = 60 * CLOCK_SECOND, .hold = 60 * CLOCK_SECOND });
	for (n = 1000; n < 500000; n++) {
		visit(s, n, NOW + n * CLOCK_MILLISECOND / 100);
		/* So rarely that its bucket sees four others between its first two. */
		if (n % 4096 == 0 && visit(s, 7, NOW + n * CLOCK_MILLISECOND / 100) == 0)
			visits++;
	}
	assert_int_equal(visits, 10);
}

/* Sources whose entries are all in one bucket, found with the key that strangers do not know. */
static unsigned
next_in_bucket(const struct sources *s, uint64_t bucket, unsigned from)
{
	struct source_id who = source(from);

	while (sources_tag(s, &who) % BUCKETS != bucket)
		who = source(++from);
	return from;
}

static void
a_bucket_full_of_clients_lets_the_next_in_uncounted(void **state)
{
	struct sources *s = *state;
	uint32_t places[WAYS], place;
	unsigned n = 0, i;

	rule(s, (struct sources_rules){ .max_per_source = 1, .max_connections = 20 });
	for (i = 0; i < WAYS; i++) {
		n = next_in_bucket(s, 5, n + 1);
		assert_int_equal(enter(s, n, NOW, &places[i]), TEND_REFUSAL_NONE);
		assert_int_equal(visit(s, n, NOW), TEND_REFUSAL_SOURCE);
	}
	n = next_in_bucket(s, 5, n + 1);
	for (i = WAYS; i < 20; i++)
		assert_int_equal(enter(s, n, NOW, &place), TEND_REFUSAL_NONE);
	/* All connections are limited nevertheless. */
	assert_int_equal(enter(s, n, NOW, &place), TEND_REFUSAL_CONNECTIONS);
	assert_int_equal(live_of(s, n), 0);
	sources_leave(s, places[3]);
	assert_int_equal(enter(s, n, NOW, &place), TEND_REFUSAL_NONE);
	assert_int_equal(live_of(s, n), 1);
}

/* ---- death ---- */

static void
what_a_dead_child_held_is_given_back(void **state)
{
	struct sources *s = *state;
	struct source_id who = source(1);
	uint32_t place;
	int i;

	rule(s, (struct sources_rules){ .max_connections = 4, .max_per_source = 3 });
	for (i = 0; i < 2; i++)
		assert_int_equal(sources_enter(s, OWNER_OF_SLOT(0), &who, false, NOW, &place), 0);
	assert_int_equal(sources_enter(s, OWNER_OF_SLOT(1), &who, false, NOW, &place), 0);
	assert_int_equal(visit(s, 1, NOW), TEND_REFUSAL_SOURCE);
	assert_false(sources_reclaim(s, OWNER_OF_SLOT(0)));
	assert_int_equal(live_of(s, 1), 1);
	assert_int_equal(sources_connected(s), 1);
	assert_false(sources_reclaim(s, OWNER_OF_SLOT(0)));
	assert_false(sources_reclaim(s, OWNER_OF_SLOT(7)));
	assert_int_equal(live_of(s, 1), 1);
}

static void
a_client_handed_over_dies_with_the_child(void **state)
{
	struct sources *s = *state;
	uint32_t place;

	rule(s, (struct sources_rules){ .max_per_source = 1 });
	assert_int_equal(enter(s, 1, NOW, &place), TEND_REFUSAL_NONE);
	sources_hand_over(s, place, OWNER_OF_SLOT(2));
	assert_false(sources_reclaim(s, OWNER_PARENT));
	assert_int_equal(visit(s, 1, NOW), TEND_REFUSAL_SOURCE);
	sources_reclaim(s, OWNER_OF_SLOT(2));
	assert_int_equal(visit(s, 1, NOW), TEND_REFUSAL_NONE);
}

/* What the processes of the torture tell the test, in shared memory. */
struct torture {
	_Atomic unsigned long entered, refused;
};

#define CHILDREN 8
#define TORTURE_SOURCES 12
#define HOLDS 6

/* A worker with several clients that come and go, until it is killed. */
static _Noreturn void
churn(struct sources *s, struct torture *t, unsigned slot)
{
	uint32_t places[HOLDS] = { 0 };
	unsigned seed = slot * 7919 + (unsigned)getpid();

	alarm(120);
	for (;;) {
		unsigned i = (unsigned)rand_r(&seed) % HOLDS;
		struct source_id who = source((unsigned)rand_r(&seed) % TORTURE_SOURCES);
		enum tend_refusal why;

		sources_leave(s, places[i]);
		why = sources_enter(s, OWNER_OF_SLOT(slot), &who, false, NOW, &places[i]);
		atomic_fetch_add(why == TEND_REFUSAL_NONE ? &t->entered : &t->refused, 1);
	}
}

static pid_t
start_churning(struct sources *s, struct torture *t, unsigned slot)
{
	pid_t pid = fork();

	if (pid == 0)
		churn(s, t, slot);
	assert_true(pid > 0);
	return pid;
}

static void
kill_and_reclaim(struct sources *s, pid_t pid, unsigned slot)
{
	int status;

	assert_int_equal(kill(pid, SIGKILL), 0);
	assert_int_equal(waitpid(pid, &status, 0), pid);
	sources_reclaim(s, OWNER_OF_SLOT(slot));
}

/* No source ever has more than it may, and in the end nobody has anything. */
static void
counts_survive_kills_at_any_instruction(void **state)
{
	struct sources *s = *state;
	struct torture *t = mmap(NULL, sizeof(*t), PROT_READ | PROT_WRITE,
	    MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	pid_t pids[CHILDREN];
	unsigned i, n;
	unsigned seed = 42;

	assert_ptr_not_equal(t, MAP_FAILED);
	rule(s, (struct sources_rules){ .max_connections = 40, .max_per_source = 5 });
	for (i = 0; i < CHILDREN; i++)
		pids[i] = start_churning(s, t, i);
	for (n = 0; n < 120; n++) {
		struct timespec pause = { 0, rand_r(&seed) % 3000000 };
		unsigned k;

		nanosleep(&pause, NULL);
		i = (unsigned)rand_r(&seed) % CHILDREN;
		kill_and_reclaim(s, pids[i], i);
		for (k = 0; k < TORTURE_SOURCES; k++)
			assert_true(live_of(s, k) <= 5);
		assert_true(sources_connected(s) <= 40);
		pids[i] = start_churning(s, t, i);
	}
	for (i = 0; i < CHILDREN; i++)
		kill_and_reclaim(s, pids[i], i);
	assert_false(sources_settle(s));
	assert_int_equal(sources_connected(s), 0);
	assert_int_equal(sources_live(s), 0);
	assert_true(t->entered > 1000 && t->refused > 100);
	munmap(t, sizeof(*t));
}

/* The same with sources that push each other out all the time, so that some die with a lock. */
static _Noreturn void
crowd(struct sources *s, const unsigned *numbers, unsigned count, unsigned slot)
{
	unsigned seed = slot * 104729 + (unsigned)getpid();

	alarm(120);
	for (;;) {
		struct source_id who = source(numbers[(unsigned)rand_r(&seed) % count]);
		uint32_t place;

		sources_enter(s, OWNER_OF_SLOT(slot), &who, false, NOW, &place);
		sources_leave(s, place);
	}
}

static void
a_bucket_survives_kills_while_sources_give_way(void **state)
{
	struct sources *s = *state;
	unsigned numbers[4 * WAYS], i, n, seed = 4711;
	pid_t pids[4];

	rule(s, (struct sources_rules){ .max_per_source = 3, .rate = 1000000,
	    .interval = CLOCK_SECOND });
	for (i = 0, n = 0; i < 4 * WAYS; i++)
		numbers[i] = n = next_in_bucket(s, 9, n + 1);
	for (n = 0; n < 30; n++) {
		struct timespec pause = { 0, rand_r(&seed) % 3000000 };

		for (i = 0; i < 4; i++)
			if ((pids[i] = fork()) == 0)
				crowd(s, numbers, 4 * WAYS, i);
		nanosleep(&pause, NULL);
		for (i = 0; i < 4; i++)
			kill_and_reclaim(s, pids[i], i);
		assert_false(sources_settle(s));
		assert_int_equal(sources_live(s), 0);
		assert_int_equal(sources_connected(s), 0);
		/* Nothing is locked: each of them can come. */
		for (i = 0; i < 4 * WAYS; i++) {
			uint32_t place;

			assert_int_equal(enter(s, numbers[i], NOW, &place), 0);
			assert_int_equal(live_of(s, numbers[i]), 1);
			sources_leave(s, place);
		}
	}
}

/* Two that meet a source for the first time at the same moment make one entry of it. */
static void
a_source_is_never_two(void **state)
{
	struct sources *s = *state;
	unsigned round, i;
	int pipes[2], status;

	rule(s, (struct sources_rules){ .max_per_source = 100 });
	for (round = 0; round < 200; round++) {
		struct source_id who = source(round);
		char byte;

		assert_int_equal(pipe(pipes), 0);
		for (i = 0; i < 4; i++)
			if (fork() == 0) {
				uint32_t place;

				alarm(60);
				close(pipes[1]);
				if (read(pipes[0], &byte, 1) != 0)
					_exit(1);
				_exit((int)sources_enter(s, OWNER_OF_SLOT(i), &who, false, NOW,
				    &place));
			}
		close(pipes[1]); /* go */
		close(pipes[0]);
		for (i = 0; i < 4; i++) {
			assert_true(wait(&status) > 0);
			assert_int_equal(status, 0);
		}
		assert_int_equal(live_of(s, round), 4);
		assert_int_equal(sources_live(s), 1);
		for (i = 0; i < 4; i++)
			sources_reclaim(s, OWNER_OF_SLOT(i));
		assert_int_equal(sources_live(s), 0);
	}
}

static void *
churn_in_a_thread(void *data)
{
	struct sources *s = data;
	uint32_t places[HOLDS] = { 0 };
	unsigned seed = 99, n;

	for (n = 0; n < 5000; n++) {
		struct source_id who = source((unsigned)rand_r(&seed) % TORTURE_SOURCES);

		sources_leave(s, places[n % HOLDS]);
		sources_enter(s, OWNER_PARENT, &who, false, NOW, &places[n % HOLDS]);
	}
	for (n = 0; n < HOLDS; n++)
		sources_leave(s, places[n]);
	return NULL;
}

static void
threads_share_a_table_as_processes_do(void **state)
{
	struct sources *s = *state;
	pthread_t threads[4];
	unsigned i;

	rule(s, (struct sources_rules){ .max_connections = 15, .max_per_source = 3, .rate = 1000,
	    .interval = CLOCK_SECOND, .hold = CLOCK_MILLISECOND });
	for (i = 0; i < 4; i++)
		assert_int_equal(pthread_create(&threads[i], NULL, churn_in_a_thread, s), 0);
	for (i = 0; i < 4; i++)
		assert_int_equal(pthread_join(threads[i], NULL), 0);
	assert_int_equal(sources_connected(s), 0);
	assert_int_equal(sources_live(s), 0);
	assert_false(sources_reclaim(s, OWNER_PARENT));
}

int
main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)
	const struct CMUnitTest tests[] = {
		TEST(without_rules_only_the_room_limits),
		TEST(all_connections_are_limited),
		TEST(each_source_is_limited_by_itself),
		TEST(unix_clients_and_exempt_ones_count_for_no_source),
		TEST(a_source_that_is_too_fast_is_held_and_let_go),
		TEST(an_interval_begins_with_the_first_client),
		TEST(a_limit_that_is_changed_holds_at_once),
		TEST(a_client_can_be_looked_at),
		TEST(a_million_sources_take_no_more_than_the_table),
		TEST(a_million_others_do_not_make_a_heavy_source_forgotten),
		TEST(a_heavy_source_is_found_out_during_a_flood),
		TEST(a_bucket_full_of_clients_lets_the_next_in_uncounted),
		TEST(what_a_dead_child_held_is_given_back),
		TEST(a_client_handed_over_dies_with_the_child),
		TEST(counts_survive_kills_at_any_instruction),
		TEST(a_bucket_survives_kills_while_sources_give_way),
		TEST(a_source_is_never_two),
		TEST(threads_share_a_table_as_processes_do),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
