/* The alarm: waits for a deadline that stays the same have no limit, and end in time all the same. */
#include "config.h"
#include "loop_fixture.h"

#include <fcntl.h>
#include <stdlib.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

#define FAR 1000.0

/* A loop with a timer, and with something to tell in each turn as long as `busy` is on it. */
struct scene {
	struct tend_loop *loop;
	struct tend_watch busy;
	int               fds[2];
	struct tend_timer timer;
	int64_t           ran; /* when the timer did; 0: it did not */
};

static void
nothing(struct tend_watch *w, unsigned events)
{
	(void)w;
	(void)events;
}

static void
note_time(struct tend_timer *t)
{
	*(int64_t *)t->data = clock_now();
}

static void
open_scene(struct scene *s, void **state, double seconds)
{
	s->loop = *state;
	s->ran = 0;
	assert_int_equal(pipe(s->fds), 0);
	assert_int_equal(write(s->fds[1], "x", 1), 1);
	tend_watch_init(&s->busy, nothing, NULL);
	assert_int_equal(tend_watch_start(s->loop, &s->busy, s->fds[0], TEND_READ), 0);
	tend_timer_init(&s->timer, note_time, &s->ran);
	tend_timer_start(s->loop, &s->timer, seconds);
}

static void
close_scene(struct scene *s)
{
	tend_timer_stop(&s->timer);
	tend_watch_stop(&s->busy);
	close(s->fds[0]);
	close(s->fds[1]);
}

static void
turn(struct scene *s, unsigned times)
{
	while (times-- > 0)
		assert_int_equal(tend_loop_turn(s->loop, -1), 0);
}

static struct alarm *
alarm_of(struct scene *s)
{
	return &s->loop->wheel->alarm;
}

#if HAVE_TIMERFD_CREATE
#define ASSERT_SET_FOR(s, time) assert_int_equal(alarm_of(s)->at, time)
#else
#define ASSERT_SET_FOR(s, time) assert_int_equal(alarm_of(s)->at, CLOCK_NEVER)
#endif

/* Turns, with nobody busy, until it has run. How many. */
static unsigned
turns_until(struct scene *s, const int64_t *ran)
{
	unsigned turns = 0;

	tend_watch_stop(&s->busy);
	while (*ran == 0 && turns < 100) {
		turn(s, 1);
		turns++;
	}
	return turns;
}

static void
second_wait_for_the_same_deadline_sets_it(void **state)
{
	struct tend_loop_stats stats;
	struct scene s;

	open_scene(&s, state, FAR);
	turn(&s, 1);
	assert_int_equal(alarm_of(&s)->at, CLOCK_NEVER);
	turn(&s, 3);
	ASSERT_SET_FOR(&s, s.timer.at);
	/* It is nobody's watch. */
	tend_loop_stats(s.loop, &stats);
	assert_int_equal(stats.watches, 1);
	assert_int_equal(stats.events, 4);
	close_scene(&s);
}

static void
waits_with_a_limit_do_not_set_it(void **state)
{
	struct scene s;
	int i;

	open_scene(&s, state, FAR);
	for (i = 0; i < 4; i++)
		tend_loop_turn(s.loop, 5);
	tend_loop_set_timeout(s.loop, 5);
	turn(&s, 4);
	assert_int_equal(alarm_of(&s)->at, CLOCK_NEVER);
	close_scene(&s);
}

static void
alarm_wakes_the_loop_once_and_never_early(void **state)
{
	struct scene s;
	int64_t at;

	open_scene(&s, state, 0.05);
	at = s.timer.at;
	turn(&s, 2);
	if (s.ran == 0) {
		ASSERT_SET_FOR(&s, at);
		assert_in_range(turns_until(&s, &s.ran), 1, 2);
	}
	assert_true(s.ran >= at);
	assert_int_equal(alarm_of(&s)->at, CLOCK_NEVER);
	close_scene(&s);
}

static void
note_event(struct tend_watch *w, unsigned events)
{
	(void)events;
	*(int64_t *)w->data = clock_now();
}

/* Where the kernel tells when the timer is due, nobody looks at the time before the wait. */
static void
timer_that_came_due_between_turns_runs_after_descriptors(void **state)
{
	int64_t seen = 0;
	bool is_set;
	struct scene s;

	open_scene(&s, state, 0.05);
	turn(&s, 2);
	is_set = alarm_of(&s)->at == s.timer.at;
	s.busy.fn = note_event;
	s.busy.data = &seen;
	while (s.ran == 0) {
		seen = 0;
		turn(&s, 1);
	}
	assert_true(seen > 0);
	if (is_set)
		assert_true(s.ran >= seen);
	close_scene(&s);
}

static struct {
	struct tend_timer timer;
	int64_t           from; /* it is started by the first event after this */
	uint64_t          started, ran; /* in these turns */
} newcomer;

static void
note_turn(struct tend_timer *t)
{
	struct tend_loop *loop = t->data;

	newcomer.ran = loop->stats.turns;
}

static void
start_newcomer(struct tend_watch *w, unsigned events)
{
	(void)events;
	if (newcomer.started != 0 || clock_now() < newcomer.from)
		return;
	newcomer.started = w->loop->stats.turns;
	tend_timer_start(w->loop, &newcomer.timer, 0);
}

/* What is started by a descriptor's callback is for the next turn, though the alarm rings in this one. */
static void
timer_of_no_time_waits_for_the_next_turn(void **state)
{
	struct scene s;

	open_scene(&s, state, 0.05);
	newcomer.started = newcomer.ran = 0;
	newcomer.from = s.timer.at;
	tend_timer_init(&newcomer.timer, note_turn, s.loop);
	s.busy.fn = start_newcomer;
	while (newcomer.ran == 0)
		turn(&s, 1);
	/* A few turns later where it was started after the alarm's moment and before it rang. */
	assert_true(newcomer.ran > newcomer.started);
	close_scene(&s);
}

/* DS-50 */
static void
alarm_for_a_timer_that_was_stopped_wakes_nobody(void **state)
{
	struct tend_timer later;
	struct scene s;

	open_scene(&s, state, 0.1);
	tend_timer_init(&later, note_time, &s.ran);
	turn(&s, 2);
	tend_timer_stop(&s.timer);
	tend_timer_start(s.loop, &later, 0.3);
	assert_in_range(turns_until(&s, &s.ran), 1, 2);
	assert_true(s.ran >= later.at);
	close_scene(&s);
}

/* Nothing is left, or the caller has a limit of his own: then it is not in the way either. */
static void
alarm_rests_when_its_timer_was_the_last(void **state)
{
	struct scene s;

	open_scene(&s, state, FAR);
	turn(&s, 2);
	ASSERT_SET_FOR(&s, s.timer.at);
	tend_timer_stop(&s.timer);
	turn(&s, 1);
	assert_int_equal(alarm_of(&s)->at, CLOCK_NEVER);
	tend_timer_start(s.loop, &s.timer, FAR);
	turn(&s, 2);
	ASSERT_SET_FOR(&s, s.timer.at);
	tend_timer_start(s.loop, &s.timer, 2 * FAR);
	tend_loop_turn(s.loop, 5);
	assert_int_equal(alarm_of(&s)->at, CLOCK_NEVER);
	close_scene(&s);
}

/* What is repeated beats on; the alarm for the far one stays as it is. */
static void
nearer_deadlines_are_met_beside_it(void **state)
{
	struct tend_timer near;
	struct scene s;
	int64_t ran = 0;
	int i;

	open_scene(&s, state, FAR);
	tend_timer_init(&near, note_time, &ran);
	turn(&s, 2);
	tend_watch_stop(&s.busy);
	for (i = 0; i < 5; i++) {
		ran = 0;
		tend_timer_start(s.loop, &near, 0.01);
		turns_until(&s, &ran);
		assert_true(ran >= near.at);
		ASSERT_SET_FOR(&s, s.timer.at);
	}
	close_scene(&s);
}

/* Of the child of a loop with an alarm: 0, or what is wrong. */
static int
child(struct scene *s)
{
	int64_t ran = 0;
	struct tend_timer t;

	if (tend_loop_after_fork(s->loop) < 0)
		return 2;
	if (alarm_descriptor(s->loop) >= 0 || alarm_of(s)->at != CLOCK_NEVER)
		return 3;
	tend_timer_init(&t, note_time, &ran);
	tend_timer_start(s->loop, &t, 0.05);
	turn(s, 2);
	if (turns_until(s, &ran) > 2 || ran < t.at)
		return 4;
	return 0;
}

static void
fork_and_wait(struct scene *s, int (*then)(struct scene *s))
{
	int status;
	pid_t pid = fork();

	if (pid == 0)
		_exit(then(s));
	assert_int_equal(waitpid(pid, &status, 0), pid);
	assert_int_equal(status, 0);
}

static int
free_it(struct scene *s)
{
	tend_loop_free(s->loop);
	return 0;
}

static int
abandon_it(struct scene *s)
{
	int fd = alarm_descriptor(s->loop);

	loop_abandon(s->loop);
	return fd >= 0 && fcntl(fd, F_GETFD) >= 0;
}

static void
child_has_its_own_and_leaves_the_parents_alone(void **state)
{
	static int (*const lives[])(struct scene *s) = { child, free_it, abandon_it };
	struct scene s;
	size_t i;

	open_scene(&s, state, 1);
	turn(&s, 2);
	for (i = 0; i < sizeof(lives) / sizeof(lives[0]); i++)
		fork_and_wait(&s, lives[i]);
	turns_until(&s, &s.ran);
	assert_true(s.ran >= s.timer.at);
	close_scene(&s);
}

static void
without_a_descriptor_waits_have_a_timeout(void **state)
{
	struct rlimit before, none;
	struct scene s;

	open_scene(&s, state, 0.05);
	assert_int_equal(getrlimit(RLIMIT_NOFILE, &before), 0);
	none = before;
	none.rlim_cur = 3;
	assert_int_equal(setrlimit(RLIMIT_NOFILE, &none), 0);
	turn(&s, 3);
	turns_until(&s, &s.ran);
	assert_int_equal(setrlimit(RLIMIT_NOFILE, &before), 0);
	assert_int_equal(alarm_descriptor(s.loop), -1);
	assert_true(s.ran >= s.timer.at);
	close_scene(&s);
}

static int64_t
stopped_clock(void)
{
	return CLOCK_SECOND;
}

static void
clock_of_a_test_has_none(void **state)
{
	struct scene s;

	open_scene(&s, state, FAR);
	s.loop->clock = stopped_clock;
	turn(&s, 4);
	assert_int_equal(alarm_of(&s)->at, CLOCK_NEVER);
	close_scene(&s);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		ON_EACH_POLLER(second_wait_for_the_same_deadline_sets_it),
		ON_EACH_POLLER(waits_with_a_limit_do_not_set_it),
		ON_EACH_POLLER(alarm_wakes_the_loop_once_and_never_early),
		ON_EACH_POLLER(timer_that_came_due_between_turns_runs_after_descriptors),
		ON_EACH_POLLER(timer_of_no_time_waits_for_the_next_turn),
		ON_EACH_POLLER(alarm_for_a_timer_that_was_stopped_wakes_nobody),
		ON_EACH_POLLER(alarm_rests_when_its_timer_was_the_last),
		ON_EACH_POLLER(nearer_deadlines_are_met_beside_it),
		ON_EACH_POLLER(child_has_its_own_and_leaves_the_parents_alone),
		ON_EACH_POLLER(without_a_descriptor_waits_have_a_timeout),
		ON_EACH_POLLER(clock_of_a_test_has_none),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
