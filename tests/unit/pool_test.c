/* The size of the pool: every rule in a table, and then hours of load under a clock of our own. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <stdio.h>

#include "base/clock.h"
#include "process/pool.h"

#define S CLOCK_SECOND
#define MS CLOCK_MILLISECOND
/* The loop of the rows below began so long ago that no time counts from there. */
#define BEGUN (1000 * S)
#define LONG_AGO BEGUN
#define NOW (BEGUN + 1000 * S)

/* NS-PF-01 to -07: the documented defaults. */
static const struct pool_limits standard = {
	.min_servers = 5,
	.min_spare = 2,
	.max_spare = 10,
	.max_servers = 50,
	.check_for_waiting = 10 * S,
	.min_child_ttl = 10 * S,
	.idle_to_minimum = 30 * S,
	.dismiss_interval = 10 * S,
};

/* ---- rules, one at a time ---- */

struct row {
	const char *what;
	unsigned    min, min_spare, max_spare, max;
	unsigned    waiting, busy, leaving;
	int64_t     idle, started, dismissed, looked; /* so long ago; 0: long ago */
	unsigned    start, dismiss;
};

static const struct row rows[] = {
	/* c: NS-PF-32 */
	{ "an empty pool is filled to the minimum", 5, 2, 10, 50, 0, 0, 0, S, 0, 0, S, 5, 0 },
	{ "below the minimum the rest is started", 5, 2, 10, 50, 3, 0, 0, S, 0, 0, S, 2, 0 },
	{ "busy workers count for the minimum", 5, 2, 10, 50, 2, 3, 0, S, 0, 0, S, 0, 0 },
	{ "those that leave do not", 5, 2, 10, 50, 2, 1, 2, S, 0, 0, S, 2, 0 },
	/* NS-PF-45: TTIN made the minimum greater by one */
	{ "one is started when the minimum grows", 6, 2, 10, 51, 5, 0, 0, S, 0, 0, S, 1, 0 },
	/* d: NS-PF-33 */
	{ "a busy pool gets its spare workers", 5, 2, 10, 50, 0, 5, 0, S, 0, 0, S, 2, 0 },
	{ "one spare is missing", 5, 2, 10, 50, 1, 8, 0, S, 0, 0, S, 1, 0 },
	{ "enough are waiting", 5, 2, 10, 50, 2, 8, 0, S, 0, 0, S, 0, 0 },
	{ "no spare workers wanted", 5, 0, 10, 50, 0, 9, 0, S, 0, 0, S, 0, 0 },
	/* c and d at once: NS-PF-43 */
	{ "both steps miss something", 5, 3, 10, 50, 0, 4, 0, S, 0, 0, S, 3, 0 },
	{ "the minimum asks for more than the spare", 9, 3, 10, 50, 0, 4, 0, S, 0, 0, S, 5, 0 },
	/* never above the maximum: NS-PF-42 */
	{ "room for one", 5, 2, 10, 11, 0, 10, 0, S, 0, 0, S, 1, 0 },
	{ "room for none", 5, 2, 10, 10, 0, 10, 0, S, 0, 0, S, 0, 0 },
	{ "those that leave take room", 5, 2, 10, 10, 0, 7, 2, S, 0, 0, S, 1, 0 },
	{ "those that leave take all room", 5, 2, 10, 10, 0, 4, 6, S, 0, 0, S, 0, 0 },
	{ "more than the maximum leave", 5, 2, 10, 10, 0, 2, 12, S, 0, 0, S, 0, 0 },
	/* e: NS-PF-34 */
	{ "too many wait", 5, 2, 10, 50, 14, 3, 0, S, 0, 0, 0, 0, 4 },
	{ "not below the minimum", 5, 2, 2, 50, 6, 0, 0, S, 0, 0, 0, 0, 1 },
	{ "the maximum of spares is no surplus", 5, 2, 10, 50, 10, 3, 0, S, 0, 0, 0, 0, 0 },
	{ "looked for a moment ago", 5, 2, 10, 50, 14, 3, 0, S, 0, 0, 9 * S, 0, 0 },
	{ "looked for long enough ago", 5, 2, 10, 50, 14, 3, 0, S, 0, 0, 10 * S, 0, 4 },
	{ "started a moment ago", 5, 2, 10, 50, 14, 3, 0, S, 10 * S, 0, 0, 0, 0 },
	{ "started long enough ago", 5, 2, 10, 50, 14, 3, 0, S, 10 * S + 1, 0, 0, 0, 4 },
	/* NS-PF-40 */
	{ "dismissed a moment ago", 5, 2, 10, 50, 14, 3, 0, S, 0, 10 * S, 0, 0, 0 },
	{ "dismissed long enough ago", 5, 2, 10, 50, 14, 3, 0, S, 0, 10 * S + 1, 0, 0, 4 },
	/* e, the maximum: NS-PF-34, -45 */
	{ "above a maximum that sank", 2, 2, 10, 4, 5, 1, 0, S, 0, 0, 0, 0, 2 },
	{ "above it, started a moment ago", 2, 2, 10, 4, 5, 1, 0, S, S, 0, 0, 0, 2 },
	{ "only those that wait are dismissed", 2, 2, 3, 4, 1, 8, 0, S, 0, 0, 0, 0, 1 },
	{ "nobody waits, nobody is dismissed", 2, 2, 3, 4, 0, 8, 0, S, 0, 0, 0, 0, 0 },
	/* g: NS-PF-36 */
	{ "nobody came for long", 5, 2, 10, 50, 9, 0, 0, 30 * S + 1, 0, 0, S, 0, 4 },
	{ "somebody came not long ago", 5, 2, 10, 50, 9, 0, 0, 30 * S, 0, 0, S, 0, 0 },
	{ "the spare ones stay", 5, 2, 10, 50, 4, 4, 0, 31 * S, 0, 0, S, 0, 2 },
	{ "the minimum stays", 5, 2, 10, 50, 5, 0, 0, 31 * S, 0, 0, S, 0, 0 },
	{ "also here one batch at a time", 5, 2, 10, 50, 9, 0, 0, 31 * S, 0, 5 * S, S, 0, 0 },
	{ "a start is not undone at once", 5, 2, 10, 50, 1, 9, 0, 31 * S, 0, 0, 0, 1, 0 },
};

static int64_t
ago(int64_t time)
{
	return time == 0 ? LONG_AGO : NOW - time;
}

static void
every_rule_in_a_table(void **state)
{
	size_t i;

	(void)state;
	for (i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		const struct row *row = &rows[i];
		struct pool_limits l = standard;
		struct pool_view v = { row->waiting, row->busy, row->leaving, ago(row->idle) };
		struct pool_times t = {
			BEGUN, ago(row->started), ago(row->dismissed), ago(row->looked),
		};
		struct pool_plan plan;

		l.min_servers = row->min;
		l.min_spare = row->min_spare;
		l.max_spare = row->max_spare;
		l.max_servers = row->max;
		plan = pool_decide(&l, &v, &t, NOW);
		if (plan.start != row->start || plan.dismiss != row->dismiss)
			fail_msg("%s: starts %u, dismisses %u", row->what, plan.start, plan.dismiss);
		assert_int_equal(t.started, plan.start > 0 ? NOW : ago(row->started));
		assert_int_equal(t.dismissed, plan.dismiss > 0 ? NOW : ago(row->dismissed));
		assert_true(plan.again > NOW);
	}
}

/* NS-PF-12: servers as small as these must start and must be able to serve. */
static void
small_servers_start_and_stay_within_their_limits(void **state)
{
	static const struct {
		unsigned min, min_spare, max_spare, max;
	} small[] = {
		{ 1, 0, 0, 1 }, /* max_servers=1 */
		{ 3, 2, 2, 3 }, /* max_servers=3 */
		{ 2, 2, 3, 4 }, /* min_servers=2 max_servers=4 */
		{ 5, 1, 1, 50 }, /* max_spare_servers=1 */
		{ 0, 0, 0, 1 },
	};
	size_t i;

	(void)state;
	for (i = 0; i < sizeof(small) / sizeof(small[0]); i++) {
		struct pool_limits l = standard;
		struct pool_view v = { 0, 0, 0, 0 };
		struct pool_times t = { NOW, NOW, NOW, NOW };
		struct pool_plan plan;

		l.min_servers = small[i].min;
		l.min_spare = small[i].min_spare;
		l.max_spare = small[i].max_spare;
		l.max_servers = small[i].max;
		plan = pool_decide(&l, &v, &t, NOW);
		assert_int_equal(plan.start, small[i].min);
		/* All of them busy: as many more as the spare limit asks for and the maximum allows. */
		v.busy = plan.start;
		v.last_busy = NOW;
		plan = pool_decide(&l, &v, &t, NOW + 1);
		assert_in_range(plan.start, 0, small[i].max - v.busy);
		assert_in_range(plan.start, 0, small[i].min_spare);
		if (small[i].max > v.busy)
			assert_true(plan.start > 0 || small[i].min_spare == 0);
	}
}

/* NS-PF-44: the fixed times of the reference are options; 0 turns a check off. */
static void
checks_that_are_turned_off_do_nothing_and_wake_nobody(void **state)
{
	struct pool_limits l = standard;
	struct pool_view v = { .waiting = 40, .last_busy = LONG_AGO };
	struct pool_times t = { LONG_AGO, LONG_AGO, LONG_AGO, LONG_AGO };
	struct pool_plan plan;

	(void)state;
	l.check_for_waiting = 0;
	l.idle_to_minimum = 0;
	plan = pool_decide(&l, &v, &t, NOW);
	assert_int_equal(plan.start, 0);
	assert_int_equal(plan.dismiss, 0);
	assert_int_equal(plan.again, CLOCK_NEVER);
	/* Too few are started all the same. */
	v.waiting = 1;
	assert_int_equal(pool_decide(&l, &v, &t, NOW).start, 4);
}

static void
the_pool_shrinks_after_idling_without_the_check_for_waiting(void **state)
{
	struct pool_limits l = standard;
	struct pool_view v = { .waiting = 9, .last_busy = NOW };
	struct pool_times t = { LONG_AGO, LONG_AGO, LONG_AGO, LONG_AGO };
	struct pool_plan plan;

	(void)state;
	l.check_for_waiting = 0;
	plan = pool_decide(&l, &v, &t, NOW + S);
	assert_int_equal(plan.dismiss, 0);
	assert_int_equal(plan.again, NOW + l.idle_to_minimum + 1);
	plan = pool_decide(&l, &v, &t, plan.again);
	assert_int_equal(plan.dismiss, 4);
	assert_int_equal(plan.again, CLOCK_NEVER);
}

static void
endless_times_do_not_overflow(void **state)
{
	struct pool_limits l = standard;
	struct pool_view v = { .waiting = 40, .last_busy = NOW };
	struct pool_times t = { NOW, NOW, NOW, NOW };

	(void)state;
	l.check_for_waiting = l.idle_to_minimum = CLOCK_NEVER;
	l.dismiss_interval = l.min_child_ttl = CLOCK_NEVER;
	assert_int_equal(pool_decide(&l, &v, &t, NOW + S).again, CLOCK_NEVER);
}

/* ---- a pool at work ---- */

/* What a master and its workers would be, with a clock that we move. */
struct scene {
	struct pool_limits l;
	struct pool_view   v;
	struct pool_times  t;
	int64_t            now;
	int64_t            again;
	unsigned           clients;       /* being served or in the queue */
	unsigned           most;          /* workers there were at once */
	unsigned           started, dismissed;
	int64_t            last_dismissal;
	unsigned           turns;
};

static void
scene_open(struct scene *s, const struct pool_limits *l)
{
	*s = (struct scene){ .l = *l, .now = BEGUN, .again = BEGUN };
	s->t = (struct pool_times){ BEGUN, BEGUN, BEGUN, BEGUN };
	s->last_dismissal = -1000 * S;
}

/* Clients go to waiting workers; workers without a client wait. */
static void
serve(struct scene *s)
{
	while (s->v.waiting > 0 && s->v.busy < s->clients) {
		s->v.waiting--;
		s->v.busy++;
		s->v.last_busy = s->now;
	}
	while (s->v.busy > s->clients) {
		s->v.busy--;
		s->v.waiting++;
	}
}

/* One decision, carried out, and all that must be true of it. */
static void
decide(struct scene *s)
{
	unsigned total = s->v.waiting + s->v.busy;
	struct pool_plan plan = pool_decide(&s->l, &s->v, &s->t, s->now);

	s->turns++;
	/* NS-PF-42: never more than max_servers, those that leave included. */
	if (plan.start > 0)
		assert_true(total + s->v.leaving + plan.start <= s->l.max_servers);
	/* NS-PF-40, -41: only workers that wait, and never below the minimum of those that were
	   there at the beginning of the step. */
	assert_true(plan.dismiss <= s->v.waiting);
	assert_true(plan.dismiss == 0 || total - plan.dismiss >= s->l.min_servers);
	assert_true(plan.start == 0 || plan.dismiss == 0);
	if (plan.dismiss > 0) {
		assert_true(s->now - s->last_dismissal > s->l.dismiss_interval);
		s->last_dismissal = s->now;
	}
	/* A master that asks to be woken at once would spin. */
	assert_true(plan.again > s->now);
	s->again = plan.again;
	s->v.waiting += plan.start;
	s->v.waiting -= plan.dismiss;
	s->v.leaving += plan.dismiss;
	s->started += plan.start;
	s->dismissed += plan.dismiss;
	total = s->v.waiting + s->v.busy + s->v.leaving;
	if (total > s->most)
		s->most = total;
}

/* What happens is heard of at once: deciding and serving go on until both are content. */
static void
settle(struct scene *s)
{
	unsigned started;
	int rounds = 0;

	do {
		started = s->started;
		decide(s);
		serve(s);
		assert_true(++rounds < 200);
	} while (s->started != started);
}

/* Lets time pass; the master is woken by nothing but its own clock. */
static void
pass(struct scene *s, int64_t time)
{
	int64_t until = s->now + time;

	while (s->again < until) {
		s->now = s->again;
		/* Those told to leave have left when the master looks again. */
		s->v.leaving = 0;
		settle(s);
	}
	s->now = until;
	s->v.leaving = 0;
	settle(s);
}

/* NS-TST-57, NS-PF-42, -43 */
static void
an_hour_of_load_from_none_to_many_and_back(void **state)
{
	struct scene s;
	unsigned i, total;

	(void)state;
	scene_open(&s, &standard);
	settle(&s);
	/* From an idle start min_servers workers. */
	assert_int_equal(s.v.waiting, 5);
	pass(&s, 600 * S);
	assert_int_equal(s.v.waiting, 5);
	assert_int_equal(s.dismissed, 0);
	/* Each busy worker more has one started while fewer than min_spare wait. */
	for (i = 1; i <= 40; i++) {
		s.clients = i;
		serve(&s);
		settle(&s);
		assert_int_equal(s.v.busy, i);
		assert_int_equal(s.v.waiting + s.v.busy, i + 2 > 5 ? i + 2 : 5);
		pass(&s, 100 * MS);
	}
	/* More than the maximum: all serve, the rest queues. */
	s.clients = 80;
	serve(&s);
	settle(&s);
	pass(&s, 600 * S);
	assert_int_equal(s.v.busy, 50);
	assert_int_equal(s.v.waiting, 0);
	assert_int_equal(s.most, 50);
	assert_int_equal(s.dismissed, 0);
	/* The load ends: the surplus goes within about check_for_waiting... */
	s.clients = 0;
	serve(&s);
	settle(&s);
	pass(&s, 25 * S);
	total = s.v.waiting + s.v.busy;
	assert_in_range(total, 5, 10);
	/* ...and the rest about 30 s after the last request. */
	pass(&s, 25 * S);
	assert_int_equal(s.v.waiting, 5);
	pass(&s, 1800 * S);
	assert_int_equal(s.v.waiting, 5);
	assert_int_equal(s.most, 50);
}

/* NS-PF-43: a burst need not wait for events that come one by one. */
static void
a_burst_is_served_in_one_settlement(void **state)
{
	struct scene s;

	(void)state;
	scene_open(&s, &standard);
	settle(&s);
	s.turns = 0;
	s.clients = 50;
	serve(&s);
	settle(&s);
	assert_int_equal(s.v.busy, 50);
	/* Two at a time, and no time passes in between. */
	assert_in_range(s.turns, 1, 30);
	assert_int_equal(s.now, BEGUN);
}

/* A steady state costs the master no more than its looks. */
static void
a_steady_pool_is_looked_at_no_more_often_than_asked(void **state)
{
	struct scene s;

	(void)state;
	scene_open(&s, &standard);
	settle(&s);
	s.clients = 3;
	serve(&s);
	settle(&s);
	s.turns = 0;
	pass(&s, 3600 * S);
	assert_in_range(s.turns, 1, 3600 / 10 + 2);
}

/* ---- chance ---- */

static uint32_t
next_random(uint32_t *seed)
{
	*seed = *seed * 1664525u + 1013904223u;
	return *seed >> 8;
}

static unsigned
lesser(unsigned a, unsigned b)
{
	return a < b ? a : b;
}

static struct pool_limits
random_limits(uint32_t *seed)
{
	struct pool_limits l;

	/* Consistent, as prefork.c lets through (NS-PF-11). */
	l.max_servers = 1 + next_random(seed) % 60;
	l.min_servers = next_random(seed) % (l.max_servers + 1);
	l.max_spare = next_random(seed) % l.max_servers;
	l.min_spare = next_random(seed) % (lesser(l.max_spare, l.min_servers) + 1);
	l.check_for_waiting = (next_random(seed) % 4) * 5 * S;
	l.min_child_ttl = (next_random(seed) % 4) * 5 * S;
	l.idle_to_minimum = (next_random(seed) % 4) * 15 * S;
	l.dismiss_interval = (next_random(seed) % 4) * 5 * S;
	return l;
}

/* Anything that can happen between two decisions. */
static void
random_event(struct scene *s, uint32_t *seed)
{
	unsigned n = next_random(seed) % 70;

	switch (next_random(seed) % 8) {
	case 0:
		s->clients = n;
		break;
	case 1:
		s->clients = 0;
		break;
	case 2: /* workers are killed */
		s->v.waiting -= s->v.waiting > 0;
		s->v.busy -= s->v.busy > 0;
		break;
	case 3: /* some of those that leave have gone */
		s->v.leaving -= s->v.leaving > 0 ? 1 + n % s->v.leaving : 0;
		break;
	case 4: /* NS-PF-45: TTIN, TTOU */
		if (n % 2 == 0) {
			s->l.max_servers++;
			s->l.min_servers++;
		} else if (s->l.min_servers > s->l.min_spare &&
		    s->l.max_servers > s->l.max_spare + 1) {
			s->l.max_servers--;
			s->l.min_servers--;
		}
		break;
	default:
		s->now += (int64_t)(n * n) * 10 * MS + 1;
	}
	if (s->now > s->again)
		s->now = s->again;
	serve(s);
}

/* The invariants are asserted in decide(). */
static void
no_chance_breaks_the_limits(void **state)
{
	uint32_t seed = 30042;
	int i, j;

	(void)state;
	for (i = 0; i < 200; i++) {
		struct pool_limits l = random_limits(&seed);
		struct scene s;

		scene_open(&s, &l);
		for (j = 0; j < 500; j++) {
			decide(&s);
			serve(&s);
			random_event(&s, &seed);
		}
		/* And then peace: as many as the limits want, for as long as nothing happens. */
		s.clients = 0;
		serve(&s);
		pass(&s, 3600 * S);
		assert_true(s.v.waiting >= s.l.min_servers);
		assert_true(s.v.waiting >= s.l.min_spare);
		if (s.l.check_for_waiting > 0)
			assert_true(s.v.waiting <= s.l.max_spare || s.v.waiting <= s.l.min_servers);
		if (s.l.idle_to_minimum > 0)
			assert_true(s.v.waiting <= s.l.min_spare || s.v.waiting <= s.l.min_servers);
	}
}

int
main(void)
{
	static const struct CMUnitTest tests[] = {
		cmocka_unit_test(every_rule_in_a_table),
		cmocka_unit_test(small_servers_start_and_stay_within_their_limits),
		cmocka_unit_test(checks_that_are_turned_off_do_nothing_and_wake_nobody),
		cmocka_unit_test(the_pool_shrinks_after_idling_without_the_check_for_waiting),
		cmocka_unit_test(endless_times_do_not_overflow),
		cmocka_unit_test(an_hour_of_load_from_none_to_many_and_back),
		cmocka_unit_test(a_burst_is_served_in_one_settlement),
		cmocka_unit_test(a_steady_pool_is_looked_at_no_more_often_than_asked),
		cmocka_unit_test(no_chance_breaks_the_limits),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
