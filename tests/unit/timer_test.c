/* Timers: order, exactness, cancelling, repeating; mostly under a clock that the test moves. */
#include "config.h"
#include "loop_fixture.h"

#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#if HAVE_EPOLL_PWAIT2
#include <sys/epoll.h>
#endif

static int64_t simulated;
static struct poller simulated_poller;
static uint64_t waits_for_ever;

static int64_t
simulated_clock(void)
{
	return simulated;
}

/* Waits by moving the clock: exactly as long as it was asked to. */
static int
simulated_wait(struct tend_loop *loop, int64_t ns)
{
	(void)loop;
	if (ns == CLOCK_NEVER)
		waits_for_ever++;
	else
		simulated += ns;
	return 0;
}

static struct tend_loop *
simulate(struct tend_loop *loop, int64_t now)
{
	simulated_poller = *loop->poller;
	simulated_poller.wait = simulated_wait;
	loop->poller = &simulated_poller;
	loop->clock = simulated_clock;
	simulated = now;
	waits_for_ever = 0;
	return loop;
}

/* A reproducible source of chance. */
static uint64_t chance;

static uint64_t
next_chance(void)
{
	chance ^= chance << 13;
	chance ^= chance >> 7;
	chance ^= chance << 17;
	return chance;
}

static char trace[256];

static void
note(struct tend_timer *t)
{
	strncat(trace, t->data, sizeof(trace) - strlen(trace) - 1);
}

static void
count(struct tend_timer *t)
{
	++*(int *)t->data;
}

/* DS-T13: DS-46 */
static void
timers_run_by_time_and_then_in_order_of_start(void **state)
{
	static const struct {
		const char *name;
		double at;
	} rows[] = {
		{ "f", 0.5 }, { "c", 0.1000001 }, { "a", 0.1 }, { "g", 70 }, { "b", 0.1 },
		{ "d", 0.1000001 }, { "e", 0.1000002 }, { "h", 70 }, { "i", 5000 },
	};
	struct tend_timer t[sizeof(rows) / sizeof(rows[0])];
	struct tend_loop *loop = simulate(*state, 987654321);
	size_t i;

	trace[0] = '\0';
	for (i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		tend_timer_init(&t[i], note, (void *)(uintptr_t)rows[i].name);
		tend_timer_start(loop, &t[i], rows[i].at);
	}
	simulated += 10000 * CLOCK_SECOND;
	tend_loop_turn(loop, 0);
	assert_string_equal(trace, "abcdefghi");
}

/* A timer that was started long ago and one that was started just now, for the same moment. */
static void
equal_times_keep_their_order_whenever_they_were_started(void **state)
{
	struct tend_loop *loop = simulate(*state, 3 * CLOCK_SECOND);
	int64_t at = simulated + 300 * CLOCK_SECOND + 17;
	struct tend_timer t[4];
	static const char *const names[] = { "a", "b", "c", "d" };
	static const int64_t ahead[] = { 300, 5, 0, 0 };
	size_t i;

	trace[0] = '\0';
	for (i = 0; i < 4; i++) {
		simulated = at - ahead[i] * CLOCK_SECOND - 17;
		tend_loop_turn(loop, 0);
		tend_timer_init(&t[i], note, (void *)(uintptr_t)names[i]);
		timer_start_at(loop, &t[i], at);
	}
	assert_string_equal(trace, "");
	simulated = at;
	tend_loop_turn(loop, 0);
	assert_string_equal(trace, "abcd");
}

struct chain {
	struct tend_timer timer;
	struct tend_loop *loop;
	double seconds;
	int links;
};

static void
renew(struct tend_timer *t)
{
	struct chain *c = t->data;

	c->links++;
	tend_timer_start(c->loop, t, c->seconds);
}

/* DS-T13: DS-49 */
static void
zero_and_less_wait_for_the_next_turn(void **state)
{
	static const double rows[] = { 0, -1, -1e300 };
	struct chain c = { .loop = *state };
	size_t i;
	int turn;

	for (i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		c.seconds = rows[i];
		c.links = 0;
		tend_timer_init(&c.timer, renew, &c);
		tend_timer_start(c.loop, &c.timer, c.seconds);
		for (turn = 1; turn <= 6; turn++) {
			assert_int_equal(tend_loop_turn(c.loop, -1), 0);
			assert_int_equal(c.links, turn);
		}
		tend_timer_stop(&c.timer);
	}
}

static void
stop_itself(struct tend_timer *t)
{
	assert_false(tend_timer_running(t));
	tend_timer_stop(t);
	tend_timer_stop(t);
	++*(int *)t->data;
	memset(t, 0xee, sizeof(*t));
}

/* DS-T14: DS-48, DS-50 */
static void
stopped_timer_is_gone(void **state)
{
	struct tend_loop *loop = simulate(*state, 77);
	struct tend_timer t, self;
	int calls = 0;

	tend_timer_init(&t, count, &calls);
	tend_timer_stop(&t);
	tend_timer_start(loop, &t, 0.1);
	assert_true(tend_timer_running(&t));
	tend_timer_stop(&t);
	tend_timer_stop(&t);
	assert_false(tend_timer_running(&t));
	tend_loop_turn(loop, -1);
	assert_int_equal(waits_for_ever, 1);
	assert_int_equal(calls, 0);
	tend_timer_init(&self, stop_itself, &calls);
	tend_timer_start(loop, &self, 0.1);
	tend_loop_turn(loop, -1);
	tend_loop_turn(loop, -1);
	assert_int_equal(calls, 1);
	assert_int_equal(waits_for_ever, 2);
}

/* Also one of many: the loop sleeps until the next that is left. DS-50 */
static void
stopped_timers_never_wake_the_loop(void **state)
{
	struct tend_loop *loop = simulate(*state, 12345);
	static struct tend_timer t[1000];
	int64_t begin = simulated, at;
	int calls = 0, i;
	struct tend_timer last;

	for (i = 0; i < 1000; i++) {
		tend_timer_init(&t[i], count, &calls);
		tend_timer_start(loop, &t[i], 100 + i * 1e-6);
	}
	tend_timer_init(&last, count, &calls);
	tend_timer_start(loop, &last, 200);
	/* The wait is known, for a crowd, and then the crowd goes. */
	timers_next(loop);
	for (i = 0; i < 1000; i++)
		tend_timer_stop(&t[i]);
	tend_loop_turn(loop, -1);
	at = simulated - begin;
	assert_int_equal(calls, 1);
	assert_int_equal(at, 200 * CLOCK_SECOND);
}

/* A deadline that has passed runs in the next turn, in its place among the others. */
/*
 * So many in one slot that its beginning is told for their time: when it has come, each of them has a
 * time of its own. The loop must not turn in vain until the first.
 */
static void
crowd_is_waited_for_and_not_turned_for(void **state)
{
	struct tend_loop *loop = simulate(*state, 12345);
	struct tend_timer t[20];
	int calls = 0, turns = 0, i;

	for (i = 0; i < 20; i++) {
		tend_timer_init(&t[i], count, &calls);
		tend_timer_start(loop, &t[i], 100 + i * 1e-3);
	}
	while (calls < 20 && turns < 1000) {
		tend_loop_turn(loop, -1);
		turns++;
	}
	assert_int_equal(calls, 20);
	/* One a slot that it is in, as it moves down; and one each. */
	assert_in_range(turns, 20, 20 + WHEEL_LEVELS * 2);
}

static void
past_times_are_due_at_once(void **state)
{
	struct tend_loop *loop = simulate(*state, 500 * CLOCK_SECOND);
	struct tend_timer t[3];

	trace[0] = '\0';
	tend_timer_init(&t[0], note, (void *)"c");
	tend_timer_init(&t[1], note, (void *)"b");
	tend_timer_init(&t[2], note, (void *)"a");
	tend_timer_start(loop, &t[0], 0);
	/* The wheel has come to this moment before the others are put on it. */
	timers_collect(loop, simulated - 1);
	timer_start_at(loop, &t[1], simulated - 100 * CLOCK_SECOND);
	timer_start_at(loop, &t[2], -5);
	assert_true(timers_next(loop) <= simulated);
	tend_loop_turn(loop, 0);
	assert_string_equal(trace, "abc");
}

struct victim {
	struct tend_timer *timer;
};

static void
stop_victim(struct tend_timer *t)
{
	struct victim *v = t->data;

	strcat(trace, "x");
	tend_timer_stop(v->timer);
	memset(v->timer, 0xee, sizeof(*v->timer));
}

static void
timer_may_stop_another_that_is_due_too(void **state)
{
	struct tend_loop *loop = simulate(*state, 5);
	struct tend_timer killer, dead, alive;
	struct victim v = { .timer = &dead };

	trace[0] = '\0';
	tend_timer_init(&killer, stop_victim, &v);
	tend_timer_init(&dead, note, (void *)"dead");
	tend_timer_init(&alive, note, (void *)"alive");
	tend_timer_start(loop, &killer, 1);
	tend_timer_start(loop, &dead, 1);
	tend_timer_start(loop, &alive, 1);
	tend_loop_turn(loop, -1);
	assert_string_equal(trace, "xalive");
}

/* A lone timer ends one wait, however far it is: moving down the levels wakes nobody. DS-51 */
static void
sparse_timers_are_waited_for_exactly(void **state)
{
	static const double rows[] = { 1e-9, 0.0005, 0.001, 0.07, 1, 4.4, 100, 86400, 1e7, 3e8 };
	struct tend_loop *loop = simulate(*state, 1234567890123);
	struct tend_timer t;
	int64_t begin;
	int calls = 0;
	size_t i;

	tend_timer_init(&t, count, &calls);
	for (i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		begin = simulated;
		calls = 0;
		tend_timer_start(loop, &t, rows[i]);
		tend_loop_turn(loop, -1);
		assert_int_equal(calls, 1);
		assert_int_equal(simulated - begin, clock_from_seconds(rows[i]));
	}
}

/* DS-51: an endless one, too, and one that is not a number. */
static void
endless_timers_never_run(void **state)
{
	struct tend_loop *loop = simulate(*state, CLOCK_SECOND);
	struct tend_timer t;
	int calls = 0;

	tend_timer_init(&t, count, &calls);
	tend_timer_start(loop, &t, 1e300);
	assert_true(tend_timer_running(&t));
	tend_loop_turn(loop, -1);
	assert_int_equal(waits_for_ever, 1);
	simulated += INT64_C(1) << 60;
	tend_loop_turn(loop, -1);
	assert_int_equal(calls, 0);
	tend_timer_stop(&t);
}

/* ---- against a model ---- */

#define MODEL 200

struct model {
	struct tend_timer timer;
	int64_t at; /* -1: not started */
	uint64_t order;
	bool ran;
};

static struct model models[MODEL];
static struct model *last_run;
static uint64_t order;

static void
check_model(struct tend_timer *t)
{
	struct model *m = t->data;

	assert_true(m->at >= 0);
	assert_true(m->at <= simulated);
	if (last_run != NULL) {
		assert_true(last_run->at <= m->at);
		assert_true(last_run->at < m->at || last_run->order < m->order);
	}
	last_run = m;
	m->ran = true;
}

static int64_t
some_time(void)
{
	static const unsigned bits[] = { 1, 12, 20, 21, 26, 27, 33, 40, 46 };
	unsigned n = bits[next_chance() % (sizeof(bits) / sizeof(bits[0]))];

	return simulated + (int64_t)(next_chance() % (UINT64_C(1) << n));
}

static void
change_some(struct tend_loop *loop)
{
	struct model *m;
	int i;

	for (i = 0; i < 20; i++) {
		m = &models[next_chance() % MODEL];
		if (next_chance() % 3 == 0) {
			tend_timer_stop(&m->timer);
			m->at = -1;
			continue;
		}
		/* Often the time of another one. */
		m->at = next_chance() % 4 == 0 ? models[next_chance() % MODEL].at : some_time();
		if (m->at < simulated)
			m->at = simulated;
		m->order = order++;
		timer_start_at(loop, &m->timer, m->at);
	}
}

static int64_t
earliest(void)
{
	int64_t first = CLOCK_NEVER;
	int i;

	for (i = 0; i < MODEL; i++)
		if (models[i].at >= 0 && models[i].at < first)
			first = models[i].at;
	return first;
}

/* All that were due ran, and none other; what ran is stopped. */
static size_t
settle(void)
{
	size_t ran = 0;
	int i;

	for (i = 0; i < MODEL; i++) {
		if (models[i].ran) {
			ran++;
			models[i].at = -1;
			models[i].ran = false;
		}
		assert_true(models[i].at == -1 || models[i].at > simulated);
		assert_int_equal(tend_timer_running(&models[i].timer), models[i].at != -1);
	}
	return ran;
}

/* DS-46, DS-50, DS-51: against a plain table, with every kind of jump of the clock. */
static void
wheel_does_what_a_plain_table_does(void **state)
{
	struct tend_loop *loop = simulate(*state, INT64_C(123456789012345));
	uint64_t round, empty_turns = 0;
	int64_t first;
	int i;

	chance = 88172645463325252;
	memset(models, 0, sizeof(models));
	for (i = 0; i < MODEL; i++) {
		tend_timer_init(&models[i].timer, check_model, &models[i]);
		models[i].at = -1;
	}
	for (round = 0; round < 20000; round++) {
		change_some(loop);
		first = earliest();
		assert_true(timers_next(loop) <= first);
		last_run = NULL;
		switch (next_chance() % 3) {
		case 0: /* wait for the next */
			tend_loop_turn(loop, -1);
			empty_turns += last_run == NULL;
			assert_true(simulated <= first || last_run != NULL);
			break;
		case 1: /* some time passes, maybe more than one is due */
			simulated = some_time();
			tend_loop_turn(loop, 0);
			break;
		default: /* none */
			tend_loop_turn(loop, 0);
			break;
		}
		settle();
	}
	/* Of a crowded slot only the beginning is known: seldom. */
	assert_true(empty_turns < 2000);
	for (i = 0; i < MODEL; i++)
		tend_timer_stop(&models[i].timer);
	assert_int_equal(loop->wheel->count, 0);
}

/* ---- repeating ---- */

struct beat {
	struct tend_timer timer;
	int64_t begin;
	int beats;
};

static void
on_beat(struct tend_timer *t)
{
	struct beat *b = t->data;

	/* One that repeats goes on, one that was started once is over. */
	assert_int_equal(tend_timer_running(t), t->every > 0);
	b->beats++;
	if (b->beats == 5)
		tend_timer_stop(t);
}

/* DS-45 */
static void
repeating_timer_keeps_its_beat(void **state)
{
	struct tend_loop *loop = simulate(*state, 999);
	struct beat b = { .begin = simulated };
	int i;

	tend_timer_init(&b.timer, on_beat, &b);
	tend_timer_repeat(loop, &b.timer, 0.25);
	for (i = 1; i <= 5; i++) {
		/* Each turn ends late, and the next beat is not shifted by it. */
		tend_loop_turn(loop, -1);
		assert_int_equal(b.beats, i);
		assert_int_equal(simulated, b.begin + i * CLOCK_SECOND / 4);
	}
	assert_false(tend_timer_running(&b.timer));
}

static void
missed_beats_are_skipped(void **state)
{
	struct tend_loop *loop = simulate(*state, 1000);
	struct beat b = { .begin = simulated };

	tend_timer_init(&b.timer, on_beat, &b);
	tend_timer_repeat(loop, &b.timer, 1);
	simulated += 7 * CLOCK_SECOND / 2;
	tend_loop_turn(loop, 0);
	assert_int_equal(b.beats, 1);
	tend_loop_turn(loop, 0);
	assert_int_equal(b.beats, 1);
	tend_loop_turn(loop, -1);
	assert_int_equal(b.beats, 2);
	assert_int_equal(simulated, b.begin + 4 * CLOCK_SECOND);
	/* Starting makes it run once; running on the hour, exactly. */
	tend_timer_start(loop, &b.timer, 1);
	tend_loop_turn(loop, -1);
	assert_int_equal(b.beats, 3);
	waits_for_ever = 0;
	tend_loop_turn(loop, -1);
	assert_int_equal(waits_for_ever, 1);
}

static void
stop_counting(struct tend_timer *t)
{
	++*(int *)t->data;
}

static void
repeating_without_pause_runs_once_a_turn(void **state)
{
	struct tend_loop *loop = simulate(*state, 1000);
	struct tend_timer t;
	int calls = 0, i;

	tend_timer_init(&t, stop_counting, &calls);
	tend_timer_repeat(loop, &t, 0);
	for (i = 1; i < 10; i++) {
		tend_loop_turn(loop, -1);
		assert_int_equal(calls, i);
	}
	tend_timer_stop(&t);
}

/* DS-54, DS-07 */
static void
timers_outlive_their_loop_stopped(void **state)
{
	struct tend_loop *loop = tend_loop_new(tend_loop_poller(*state));
	struct tend_timer t;
	int calls = 0;

	tend_timer_init(&t, count, &calls);
	tend_timer_start(loop, &t, 10);
	tend_loop_free(loop);
	assert_false(tend_timer_running(&t));
	tend_timer_stop(&t);
	tend_timer_start(*state, &t, 0);
	tend_loop_turn(*state, 0);
	assert_int_equal(calls, 1);
}

static void
timer_moves_to_another_loop(void **state)
{
	struct tend_loop *other = tend_loop_new(tend_loop_poller(*state));
	struct tend_timer t;
	int calls = 0;

	tend_timer_init(&t, count, &calls);
	tend_timer_start(other, &t, 0);
	tend_timer_start(*state, &t, 0);
	tend_loop_turn(other, 0);
	assert_int_equal(calls, 0);
	assert_int_equal(other->wheel->count, 0);
	tend_loop_turn(*state, 0);
	assert_int_equal(calls, 1);
	tend_loop_free(other);
}

/* ---- under the real clock ---- */

struct punctual {
	struct tend_timer timer;
	struct tend_loop *loop;
	int64_t due, late;
	int *left;
};

static void
arrive(struct tend_timer *t)
{
	struct punctual *p = t->data;

	p->late = clock_now() - p->due;
	assert_true(p->late >= 0);
	if (--*p->left == 0)
		tend_loop_stop(p->loop);
}

/* How many of a thousand timers within 200 ms were at most 20 ms late; none is early. */
static int
punctual_of_a_thousand(struct tend_loop *loop)
{
	static struct punctual all[1000];
	int left = 1000, i, punctual = 0;
	double seconds;

	for (i = 0; i < 1000; i++) {
		seconds = (double)(next_chance() % 200000000) / 1e9;
		all[i].loop = loop;
		all[i].left = &left;
		tend_timer_init(&all[i].timer, arrive, &all[i]);
		all[i].due = clock_now() + (int64_t)(seconds * 1e9);
		tend_timer_start(loop, &all[i].timer, seconds);
	}
	assert_int_equal(tend_loop_run(loop), 0);
	for (i = 0; i < 1000; i++)
		punctual += all[i].late < 20 * CLOCK_MILLISECOND;
	return punctual;
}

/* DS-T16: DS-51. Late is what a busy machine makes of them, but not always of most. */
static void
no_timer_is_early_under_the_real_clock(void **state)
{
	int tries = 20;

	chance = 2463534242;
	while (punctual_of_a_thousand(*state) < 500)
		assert_true(--tries > 0);
}

/* What the kernel offers; a checker may not. */
static bool
waits_exactly(const struct tend_loop *loop)
{
#if HAVE_EPOLL_PWAIT2
	struct timespec none = { 0 };
	struct epoll_event event;
	int fd;

	if (strcmp(tend_loop_poller(loop), "epoll") == 0) {
		fd = epoll_create1(EPOLL_CLOEXEC);
		if (epoll_pwait2(fd, &event, 1, &none, NULL) < 0)
			return close(fd) != 0;
		close(fd);
		return true;
	}
#endif
#if defined(TEST_POLLER)
	return loop != NULL; /* the emulation does */
#elif HAVE_PPOLL
	return strcmp(tend_loop_poller(loop), "poll") == 0;
#else
	return false;
#endif
}

/* DS-51: of many short waits some are not disturbed, and take less than a millisecond. */
static void
short_waits_are_not_rounded_to_milliseconds(void **state)
{
	struct tend_loop *loop = *state;
	int64_t begin, took, shortest = CLOCK_NEVER;
	struct tend_timer t;
	int calls = 0, i;

	if (!waits_exactly(loop))
		skip();
	tend_timer_init(&t, count, &calls);
	for (i = 0; i < 100; i++) {
		begin = clock_now();
		tend_timer_start(loop, &t, 0.0003);
		while (calls == i)
			tend_loop_turn(loop, -1);
		took = clock_now() - begin;
		assert_true(took >= 3 * CLOCK_MILLISECOND / 10);
		shortest = took < shortest ? took : shortest;
	}
	assert_true(shortest < CLOCK_MILLISECOND);
}

/* 05-postloop (2): six timers started in random order */
static void
six_timers_come_in_their_order(void **state)
{
	static const char *const names[] = { "0", "1", "2", "3", "4", "5" };
	static const size_t shuffled[] = { 3, 0, 5, 1, 4, 2 };
	struct tend_loop *loop = *state;
	struct tend_timer t[6];
	int64_t begin = clock_now();
	size_t i;

	trace[0] = '\0';
	for (i = 0; i < 6; i++) {
		tend_timer_init(&t[shuffled[i]], note, (void *)(uintptr_t)names[shuffled[i]]);
		tend_timer_start(loop, &t[shuffled[i]], (double)shuffled[i] * 0.01);
	}
	for (i = 0; strlen(trace) < 6 && i < 20; i++)
		tend_loop_turn(loop, -1);
	assert_string_equal(trace, "012345");
	assert_true(clock_now() - begin >= 50 * CLOCK_MILLISECOND);
}

/* Processor time of this thread, which a busy machine does not stretch. */
static int64_t
thread_time(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_THREAD_CPUTIME_ID, &ts);
	return (int64_t)ts.tv_sec * CLOCK_SECOND + ts.tv_nsec;
}

/* DS-T15: DS-52; the bound is generous for builds under a checker */
static void
hundred_thousand_timers_are_cheap(void **state)
{
	struct tend_timer *t = calloc(100000, sizeof(*t));
	struct tend_loop *loop = *state;
	int64_t begin, took;
	int calls = 0, i;

	assert_non_null(t);
	for (i = 0; i < 100000; i++)
		tend_timer_init(&t[i], count, &calls);
	chance = 362436069;
	begin = thread_time();
	for (i = 0; i < 100000; i++)
		tend_timer_start(loop, &t[i], 1 + (double)(next_chance() % 1000000) / 1e4);
	for (i = 0; i < 100000; i++)
		tend_timer_stop(&t[i]);
	took = thread_time() - begin;
	assert_int_equal(loop->wheel->count, 0);
#ifdef __OPTIMIZE__
	assert_true(took < CLOCK_SECOND);
#endif
	assert_true(took < 20 * CLOCK_SECOND);
	free(t);
}

static void
on_time_passing(struct tend_timer *t)
{
	/* A long callback: what it starts is counted from here, not from the start of the turn. */
	simulated += 10 * CLOCK_SECOND;
	tend_timer_start(*(struct tend_loop **)t->data, t, 5);
}

/* DS-51, DS-53 */
static void
timer_counts_from_the_moment_it_is_started(void **state)
{
	struct tend_loop *loop = simulate(*state, 50);
	struct tend_timer t;

	tend_timer_init(&t, on_time_passing, &loop);
	tend_timer_start(loop, &t, 0);
	tend_loop_turn(loop, 0);
	assert_int_equal(t.at, 50 + 15 * CLOCK_SECOND);
	tend_timer_stop(&t);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		ON_EACH_POLLER(timers_run_by_time_and_then_in_order_of_start),
		ON_EACH_POLLER(equal_times_keep_their_order_whenever_they_were_started),
		ON_EACH_POLLER(zero_and_less_wait_for_the_next_turn),
		ON_EACH_POLLER(stopped_timer_is_gone),
		ON_EACH_POLLER(stopped_timers_never_wake_the_loop),
		ON_EACH_POLLER(crowd_is_waited_for_and_not_turned_for),
		ON_EACH_POLLER(past_times_are_due_at_once),
		ON_EACH_POLLER(timer_may_stop_another_that_is_due_too),
		ON_EACH_POLLER(sparse_timers_are_waited_for_exactly),
		ON_EACH_POLLER(endless_timers_never_run),
		ON_EACH_POLLER(wheel_does_what_a_plain_table_does),
		ON_EACH_POLLER(repeating_timer_keeps_its_beat),
		ON_EACH_POLLER(missed_beats_are_skipped),
		ON_EACH_POLLER(repeating_without_pause_runs_once_a_turn),
		ON_EACH_POLLER(timers_outlive_their_loop_stopped),
		ON_EACH_POLLER(timer_moves_to_another_loop),
		ON_EACH_POLLER(no_timer_is_early_under_the_real_clock),
		ON_EACH_POLLER(short_waits_are_not_rounded_to_milliseconds),
		ON_EACH_POLLER(six_timers_come_in_their_order),
		ON_EACH_POLLER(hundred_thousand_timers_are_cheap),
		ON_EACH_POLLER(timer_counts_from_the_moment_it_is_started),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
