/* The loop's life, the order of a turn, stopping, hooks, deferred work, forks, wakes, counters. */
#include "config.h"
#include "loop_fixture.h"

#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <stdio.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/time.h>
#include <sys/wait.h>
#include <unistd.h>

static char trace[256];

static void
note(const char *what)
{
	size_t n = strlen(trace);

	snprintf(trace + n, sizeof(trace) - n, "%s%s", n > 0 ? " " : "", what);
}

static void
note_timer(struct tend_timer *t)
{
	note(t->data);
}

static void
note_later(struct tend_later *l)
{
	note(l->data);
}

static void
note_signal(struct tend_signal *s)
{
	note(s->data);
}

static void
note_watch(struct tend_watch *w, unsigned events)
{
	note(w->data);
	if ((events & TEND_READ) != 0)
		note("read");
	if ((events & TEND_WRITE) != 0)
		note("write");
	if ((events & TEND_ERROR) != 0)
		note("error");
	if ((events & TEND_HANGUP) != 0)
		note("hangup");
}

static void
note_child(struct tend_child_watch *c)
{
	note(c->data);
}

static void
note_hook(struct tend_loop *loop, void *data)
{
	(void)loop;
	note(data);
}

static void
stop_timer(struct tend_timer *t)
{
	tend_loop_stop(t->data);
}

/* DS-02, DS-03 */
static void
poller_is_chosen_by_name(void **state)
{
	struct tend_loop *loop;

	(void)state;
	loop = tend_loop_new("poll");
	assert_string_equal(tend_loop_poller(loop), "poll");
	tend_loop_free(loop);
	loop = tend_loop_new(NULL);
	assert_string_equal(tend_loop_poller(loop), pollers[0]->name);
	tend_loop_free(loop);
	errno = 0;
	assert_null(tend_loop_new("kettle"));
	assert_int_equal(errno, EINVAL);
	tend_loop_free(NULL);
}

/* DS-04 */
static void
descriptors_are_close_on_exec(void **state)
{
	struct tend_loop *loop;
	bool before[256];
	int fd, found = 0;

	for (fd = 0; fd < 256; fd++)
		before[fd] = fcntl(fd, F_GETFD) >= 0;
	loop = tend_loop_new(tend_loop_poller(*state));
	assert_non_null(loop);
	for (fd = 0; fd < 256; fd++) {
		if (before[fd] || fcntl(fd, F_GETFD) < 0)
			continue;
		found++;
		assert_true((fcntl(fd, F_GETFD) & FD_CLOEXEC) != 0);
	}
	assert_true(found >= 2);
	tend_loop_free(loop);
}

static int
count_descriptors(void)
{
	int fd, n = 0;

	for (fd = 0; fd < 256; fd++)
		n += fcntl(fd, F_GETFD) >= 0;
	return n;
}

static void
free_gives_all_descriptors_back(void **state)
{
	struct tend_loop *loop = *state;
	int before = count_descriptors();
	struct tend_loop *other = tend_loop_new(tend_loop_poller(loop));

	assert_true(count_descriptors() > before);
	tend_loop_free(other);
	assert_int_equal(count_descriptors(), before);
}

/* DS-T01: DS-09 to DS-16, DS-23 */
static void
steps_of_a_turn_are_in_order(void **state)
{
	struct tend_loop *loop = *state;
	struct tend_timer timer;
	struct tend_later later;
	struct tend_signal sig;
	struct tend_watch watch;
	struct tend_child_watch child;
	int fds[2];
	pid_t pid = fork();

	if (pid == 0)
		_exit(0);
	trace[0] = '\0';
	assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM, 0, fds), 0);
	assert_int_equal(write(fds[1], "x", 1), 1);
	close(fds[1]);
	tend_child_init(&child, note_child, (void *)"child");
	assert_int_equal(tend_child_start(loop, &child, pid), 0);
	/* Wait for the end without reaping. */
	while (waitid(P_PID, (id_t)pid, &(siginfo_t){ 0 }, WEXITED | WNOWAIT) < 0)
		assert_int_equal(errno, EINTR);
	tend_later_init(&later, note_later, (void *)"later");
	tend_later_start(loop, &later);
	tend_signal_init(&sig, note_signal, (void *)"signal");
	assert_int_equal(tend_signal_start(loop, &sig, SIGUSR1), 0);
	raise(SIGUSR1);
	tend_watch_init(&watch, note_watch, (void *)"watch:");
	assert_int_equal(tend_watch_start(loop, &watch, fds[0], TEND_READ | TEND_WRITE), 0);
	tend_timer_init(&timer, note_timer, (void *)"timer");
	tend_timer_start(loop, &timer, 0);
	tend_loop_set_turn_hook(loop, note_hook, (void *)"hook");
	assert_int_equal(tend_loop_turn(loop, -1), 0);
	assert_string_equal(trace, "timer signal watch: read write hangup child later hook");
	tend_watch_stop(&watch);
	tend_signal_stop(&sig);
	close(fds[0]);
}

struct race {
	struct tend_timer deadline;
	bool timed_out, served;
};

static void
on_deadline(struct tend_timer *t)
{
	struct race *race = t->data;

	race->timed_out = true;
}

static void
on_input(struct tend_watch *w, unsigned events)
{
	struct race *race = w->data;

	(void)events;
	race->served = true;
	tend_timer_stop(&race->deadline);
}

static int64_t simulated = CLOCK_SECOND;

static int64_t
simulated_clock(void)
{
	return simulated;
}

/* A clock that moves while the loop waits: each reading is later than the one before. */
static int64_t
running_clock(void)
{
	return simulated += CLOCK_MILLISECOND;
}

/* What arrived in time is served before its deadline, although both are seen in one turn. */
static void
input_in_time_beats_its_deadline(void **state)
{
	struct tend_loop *loop = *state;
	struct race race = { .timed_out = false };
	struct tend_watch w;
	int64_t begin = simulated;
	int fds[2];

	assert_int_equal(pipe(fds), 0);
	loop->clock = running_clock;
	tend_timer_init(&race.deadline, on_deadline, &race);
	timer_start_at(loop, &race.deadline, begin + 3 * CLOCK_MILLISECOND / 2);
	tend_watch_init(&w, on_input, &race);
	assert_int_equal(tend_watch_start(loop, &w, fds[0], TEND_READ), 0);
	assert_int_equal(write(fds[1], "x", 1), 1);
	assert_int_equal(tend_loop_turn(loop, -1), 0);
	assert_true(race.served);
	assert_false(race.timed_out);
	assert_true(simulated >= begin + 2 * CLOCK_MILLISECOND);
	tend_watch_stop(&w);
	close(fds[0]);
	close(fds[1]);
}

static void
timer_that_ends_the_wait_runs_in_that_turn(void **state)
{
	struct tend_loop *loop = *state;
	struct tend_timer t;

	trace[0] = '\0';
	tend_timer_init(&t, note_timer, (void *)"timer");
	tend_timer_start(loop, &t, 0.01);
	assert_int_equal(tend_loop_turn(loop, 10), 0);
	assert_string_equal(trace, "timer");
}

/* Whoever turns the loop by hand until something has happened is not left waiting. DS-18 */
static void
turn_does_not_wait_after_a_timer(void **state)
{
	struct tend_loop *loop = *state;
	struct tend_timer t;

	trace[0] = '\0';
	tend_timer_init(&t, note_timer, (void *)"timer");
	tend_timer_start(loop, &t, 0);
	assert_int_equal(tend_loop_turn(loop, -1), 0);
	assert_string_equal(trace, "timer");
}

/* DS-T04: DS-18 */
static void
stop_in_a_timer_ends_the_run_without_a_wait(void **state)
{
	struct tend_loop *loop = *state;
	struct tend_timer t, far;

	tend_timer_init(&t, stop_timer, loop);
	tend_timer_start(loop, &t, 0);
	tend_timer_init(&far, note_timer, (void *)"far");
	tend_timer_start(loop, &far, 3600);
	assert_int_equal(tend_loop_run(loop), 0);
	assert_int_equal(loop->stats.turns, 1);
	tend_timer_stop(&far);
}

static void
stop_before_the_run_is_remembered(void **state)
{
	struct tend_loop *loop = *state;

	tend_loop_stop(loop);
	assert_int_equal(tend_loop_run(loop), 0);
	assert_int_equal(loop->stats.turns, 0);
	/* A single turn does not wait, and forgets. */
	tend_loop_stop(loop);
	assert_int_equal(tend_loop_turn(loop, -1), 0);
	assert_false(loop->stopping);
}

static void
stop_at_fourth(struct tend_loop *loop, void *data)
{
	int *calls = data;

	if (++*calls == 4)
		tend_loop_stop(loop);
}

/* DS-55, DS-112, 05-postloop (1): a loop timeout of 25 ms and a hook that stops on its 4th call */
static void
hook_runs_each_turn_and_stops_the_run(void **state)
{
	struct tend_loop *loop = *state;
	int64_t begin = clock_now(), took;
	int calls = 0;

	tend_loop_set_timeout(loop, 0.025);
	tend_loop_set_turn_hook(loop, stop_at_fourth, &calls);
	assert_int_equal(tend_loop_run(loop), 0);
	took = clock_now() - begin;
	assert_int_equal(calls, 4);
	assert_int_equal(loop->stats.turns, 4);
	assert_true(took >= 100 * CLOCK_MILLISECOND);
	assert_true(took < 2 * CLOCK_SECOND);
}

static void
remove_hook(struct tend_loop *loop, void *data)
{
	++*(int *)data;
	tend_loop_set_turn_hook(loop, NULL, NULL);
}

/* DS-T33: DS-112, DS-113 */
static void
hook_may_remove_itself(void **state)
{
	struct tend_loop *loop = *state;
	int calls = 0;

	tend_loop_set_turn_hook(loop, remove_hook, &calls);
	tend_loop_turn(loop, 0);
	tend_loop_turn(loop, 0);
	assert_int_equal(calls, 1);
}

/* DS-T18: DS-55 */
static void
loop_timeout_bounds_the_wait_and_yields_to_timers(void **state)
{
	static const struct {
		double timeout, timer;
		int64_t least, most; /* milliseconds */
	} rows[] = {
		{ 0, -1, 0, 4000 },
		{ 0.02, -1, 20, 4000 },
		{ -1, 0.02, 20, 4000 },
		{ -5, 0.02, 20, 4000 },
		{ 5, 0.02, 20, 4000 },
		{ 0.02, 5, 20, 4000 },
	};
	struct tend_loop *loop = *state;
	struct tend_timer t;
	int64_t begin, took;
	size_t i;

	tend_timer_init(&t, note_timer, (void *)"timer");
	for (i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		tend_loop_set_timeout(loop, rows[i].timeout);
		begin = clock_now();
		if (rows[i].timer >= 0)
			tend_timer_start(loop, &t, rows[i].timer);
		assert_int_equal(tend_loop_turn(loop, -1), 0);
		took = clock_now() - begin;
		assert_true(took >= rows[i].least * CLOCK_MILLISECOND);
		assert_true(took < rows[i].most * CLOCK_MILLISECOND);
		tend_timer_stop(&t);
	}
}

static void
stop_signal(struct tend_signal *s)
{
	tend_loop_stop(s->data);
}

/* DS-T12: DS-40, DS-17 */
static void
empty_loop_blocks_until_a_signal_stops_it(void **state)
{
	struct tend_loop *loop = *state;
	struct tend_signal alarm_signal;
	struct itimerval soon = { .it_value = { .tv_usec = 50000 } };
	int64_t begin = clock_now();

	tend_signal_init(&alarm_signal, stop_signal, loop);
	assert_int_equal(tend_signal_start(loop, &alarm_signal, SIGALRM), 0);
	assert_int_equal(setitimer(ITIMER_REAL, &soon, NULL), 0);
	assert_int_equal(tend_loop_run(loop), 0);
	assert_true(clock_now() - begin >= 49 * CLOCK_MILLISECOND);
	assert_true(loop->stats.turns <= 2);
	tend_signal_stop(&alarm_signal);
}

static void
try_nested(struct tend_timer *t)
{
	struct tend_loop *loop = t->loop != NULL ? t->loop : t->data;

	assert_int_equal(tend_loop_run(loop), -EBUSY);
	assert_int_equal(tend_loop_turn(loop, 0), -EBUSY);
	note("nested");
}

/* DS-20 */
static void
nested_runs_are_refused(void **state)
{
	struct tend_loop *loop = *state;
	struct tend_timer t;

	trace[0] = '\0';
	tend_timer_init(&t, try_nested, loop);
	tend_timer_start(loop, &t, 0);
	tend_loop_turn(loop, 0);
	assert_string_equal(trace, "nested");
}

struct everything {
	struct tend_timer timer, other_timer;
	struct tend_later later;
	struct tend_signal sig;
	struct tend_watch watch, other_watch;
	int pipes[2][2];
	struct tend_loop *loop;
};

static void
free_from_watch(struct tend_watch *w, unsigned events)
{
	struct everything *all = w->data;

	(void)events;
	note("free");
	tend_loop_free(all->loop);
	/* Our storage: nobody may look at it any more. */
	memset(&all->timer, 0xee, sizeof(all->timer));
	memset(&all->other_timer, 0xee, sizeof(all->other_timer));
	memset(&all->later, 0xee, sizeof(all->later));
	memset(&all->sig, 0xee, sizeof(all->sig));
	memset(&all->watch, 0xee, sizeof(all->watch));
	memset(&all->other_watch, 0xee, sizeof(all->other_watch));
}

static void
start_everything(struct everything *all, const char *poller)
{
	struct tend_loop *loop = all->loop = tend_loop_new(poller);

	assert_non_null(loop);
	assert_int_equal(pipe(all->pipes[0]), 0);
	assert_int_equal(pipe(all->pipes[1]), 0);
	tend_watch_init(&all->watch, free_from_watch, all);
	tend_watch_init(&all->other_watch, free_from_watch, all);
	assert_int_equal(tend_watch_start(loop, &all->watch, all->pipes[0][0], TEND_READ), 0);
	assert_int_equal(
	    tend_watch_start(loop, &all->other_watch, all->pipes[1][0], TEND_READ), 0);
	assert_int_equal(write(all->pipes[0][1], "x", 1), 1);
	assert_int_equal(write(all->pipes[1][1], "x", 1), 1);
	tend_timer_init(&all->timer, note_timer, (void *)"timer");
	tend_timer_start(loop, &all->timer, 3600);
	tend_timer_init(&all->other_timer, note_timer, (void *)"timer");
	tend_timer_repeat(loop, &all->other_timer, 0.01);
	tend_later_init(&all->later, note_later, (void *)"later");
	tend_later_start(loop, &all->later);
	tend_signal_init(&all->sig, note_signal, (void *)"signal");
	assert_int_equal(tend_signal_start(loop, &all->sig, SIGUSR2), 0);
	tend_loop_set_turn_hook(loop, note_hook, (void *)"hook");
}

/* DS-05, DS-06 */
static void
free_inside_a_callback_makes_all_quiet(void **state)
{
	struct everything all;
	struct sigaction now;
	int i, before = count_descriptors();

	for (i = 0; i < 2; i++) {
		trace[0] = '\0';
		start_everything(&all, tend_loop_poller(*state));
		if (i == 0)
			assert_int_equal(tend_loop_run(all.loop), 0);
		else
			assert_int_equal(tend_loop_turn(all.loop, -1), 0);
		assert_string_equal(trace, "free");
		assert_int_equal(sigaction(SIGUSR2, NULL, &now), 0);
		assert_true(now.sa_handler == SIG_DFL);
		close(all.pipes[0][0]);
		close(all.pipes[0][1]);
		close(all.pipes[1][0]);
		close(all.pipes[1][1]);
	}
	assert_int_equal(count_descriptors(), before);
}

/* ---- deferred work ---- */

struct later_of_loop {
	struct tend_later later;
	struct tend_loop *loop;
};

static void
note_and_renew(struct tend_later *l)
{
	note(l->data);
	if (strlen(trace) < 20)
		tend_later_start(((struct later_of_loop *)(void *)l)->loop, l);
}

/* Work is done without a wait; what renews itself runs once a turn. */
static void
deferred_work_runs_once_a_turn(void **state)
{
	struct later_of_loop x = { .loop = *state };
	struct tend_loop *loop = *state;

	trace[0] = '\0';
	tend_later_init(&x.later, note_and_renew, (void *)"a");
	tend_later_start(loop, &x.later);
	tend_loop_turn(loop, -1);
	assert_string_equal(trace, "a");
	tend_loop_turn(loop, -1);
	assert_string_equal(trace, "a a");
	tend_later_stop(&x.later);
	tend_loop_turn(loop, 0);
	assert_string_equal(trace, "a a");
}

struct pair {
	struct tend_later first, second;
};

static void
stop_second(struct tend_later *l)
{
	struct pair *pair = l->data;

	note("first");
	tend_later_stop(&pair->second);
	memset(&pair->second, 0xee, sizeof(pair->second));
}

static void
deferred_work_may_stop_other_work(void **state)
{
	struct tend_loop *loop = *state;
	struct pair pair;

	trace[0] = '\0';
	tend_later_init(&pair.first, stop_second, &pair);
	tend_later_init(&pair.second, note_later, (void *)"second");
	tend_later_start(loop, &pair.first);
	tend_later_start(loop, &pair.second);
	/* Starting again keeps the place. */
	tend_later_start(loop, &pair.first);
	tend_loop_turn(loop, -1);
	assert_string_equal(trace, "first");
}

/* ---- fork ---- */

static void
expect(bool truth, int code)
{
	if (!truth)
		_exit(code);
}

/* The child's part: its watches work, and what it does is not seen by the parent. */
static void
child_lives_alone(struct tend_loop *loop, struct tend_watch *w, int out)
{
	expect(tend_loop_after_fork(loop) == 0, 2);
	trace[0] = '\0';
	expect(tend_loop_turn(loop, 0) == 0, 3);
	expect(trace[0] == '\0', 4);
	raise(SIGUSR1);
	expect(write(out, "x", 1) == 1, 5);
	expect(tend_loop_turn(loop, 5) == 0, 6);
	expect(strcmp(trace, "signal watch: read") == 0, 7);
	tend_watch_stop(w);
	expect(tend_loop_turn(loop, 0) == 0, 8);
	tend_loop_free(loop);
	_exit(0);
}

/* DS-T35: DS-08 */
static void
child_and_parent_do_not_disturb_each_other(void **state)
{
	struct tend_loop *loop = *state;
	struct tend_signal sig;
	struct tend_watch w;
	int fds[2], status;
	pid_t pid;

	trace[0] = '\0';
	assert_int_equal(pipe(fds), 0);
	tend_signal_init(&sig, note_signal, (void *)"signal");
	assert_int_equal(tend_signal_start(loop, &sig, SIGUSR1), 0);
	tend_watch_init(&w, note_watch, (void *)"watch:");
	assert_int_equal(tend_watch_start(loop, &w, fds[0], TEND_READ), 0);
	pid = fork();
	if (pid == 0)
		child_lives_alone(loop, &w, fds[1]);
	assert_int_equal(waitpid(pid, &status, 0), pid);
	assert_int_equal(status, 0);
	/* The byte is still there for us; the signal was the child's. */
	tend_loop_turn(loop, 5);
	assert_string_equal(trace, "watch: read");
	tend_watch_stop(&w);
	tend_signal_stop(&sig);
	close(fds[0]);
	close(fds[1]);
}

/* A child that does not want the loop may just free it. */
static void
free_in_a_child_leaves_the_parents_watches(void **state)
{
	struct tend_loop *loop = *state;
	struct tend_watch w;
	int fds[2], status;
	pid_t pid;

	trace[0] = '\0';
	assert_int_equal(pipe(fds), 0);
	tend_watch_init(&w, note_watch, (void *)"watch:");
	assert_int_equal(tend_watch_start(loop, &w, fds[0], TEND_READ), 0);
	pid = fork();
	if (pid == 0) {
		tend_loop_free(loop);
		_exit(0);
	}
	assert_int_equal(waitpid(pid, &status, 0), pid);
	assert_int_equal(status, 0);
	assert_int_equal(write(fds[1], "x", 1), 1);
	tend_loop_turn(loop, 5);
	assert_string_equal(trace, "watch: read");
	tend_watch_stop(&w);
	close(fds[0]);
	close(fds[1]);
}

/* The child gives up its parent's loop and opens one of its own, on the same descriptor. */
static void
child_with_a_loop_of_its_own(struct tend_loop *parents, int in)
{
	struct tend_loop *loop;
	struct tend_signal sig;
	struct tend_watch w;

	loop_abandon(parents);
	loop = tend_loop_new(tend_loop_poller(parents));
	expect(loop != NULL, 2);
	trace[0] = '\0';
	tend_signal_init(&sig, note_signal, (void *)"signal");
	expect(tend_signal_start(loop, &sig, SIGUSR1) == 0, 3);
	tend_watch_init(&w, note_watch, (void *)"watch:");
	expect(tend_watch_start(loop, &w, in, TEND_READ) == 0, 4);
	raise(SIGUSR1);
	expect(tend_loop_turn(loop, 5) == 0, 5);
	expect(strcmp(trace, "signal watch: read") == 0, 6);
	tend_loop_free(loop);
	_exit(0);
}

static void
abandoned_loop_of_a_child_goes_on_in_the_parent(void **state)
{
	struct tend_loop *loop = *state;
	struct tend_signal sig;
	struct tend_watch w;
	int fds[2], status;
	pid_t pid;

	trace[0] = '\0';
	assert_int_equal(pipe(fds), 0);
	assert_int_equal(write(fds[1], "x", 1), 1);
	tend_signal_init(&sig, note_signal, (void *)"signal");
	assert_int_equal(tend_signal_start(loop, &sig, SIGUSR1), 0);
	tend_watch_init(&w, note_watch, (void *)"watch:");
	assert_int_equal(tend_watch_start(loop, &w, fds[0], TEND_READ), 0);
	pid = fork();
	if (pid == 0)
		child_with_a_loop_of_its_own(loop, fds[0]);
	assert_int_equal(waitpid(pid, &status, 0), pid);
	assert_int_equal(status, 0);
	assert_int_equal(tend_loop_turn(loop, 5), 0);
	assert_string_equal(trace, "watch: read");
	tend_watch_stop(&w);
	tend_signal_stop(&sig);
	close(fds[0]);
	close(fds[1]);
}

struct forker {
	struct tend_loop *loop;
	pid_t pid;
	int turns;
};

static void
count_turn(struct tend_loop *loop, void *data)
{
	struct forker *f = data;

	if (++f->turns == 3)
		tend_loop_stop(loop);
}

/* The child goes on in the middle of the parent's batch, and starts a run of its own. */
static void
fork_in_timer(struct tend_timer *t)
{
	struct forker *f = t->data;

	f->pid = fork();
	if (f->pid != 0)
		return;
	expect(tend_loop_after_fork(f->loop) == 0, 2);
	f->turns = 0;
	tend_loop_set_timeout(f->loop, 0.001);
	expect(tend_loop_run(f->loop) == 0, 3);
	_exit(f->turns == 3 ? 0 : 4);
}

static void
child_of_a_callback_runs_the_loop_anew(void **state)
{
	struct forker f = { .loop = *state };
	struct tend_timer t;
	int status;

	tend_loop_set_turn_hook(f.loop, count_turn, &f);
	tend_loop_set_timeout(f.loop, 0.001);
	tend_timer_init(&t, fork_in_timer, &f);
	tend_timer_start(f.loop, &t, 0);
	assert_int_equal(tend_loop_run(f.loop), 0);
	assert_int_equal(f.turns, 3);
	assert_int_equal(waitpid(f.pid, &status, 0), f.pid);
	assert_int_equal(status, 0);
}

static int worked;

static void
fork_in_deferred_work(struct tend_later *l)
{
	struct forker *f = l->data;

	f->pid = fork();
	if (f->pid != 0)
		return;
	expect(tend_loop_after_fork(f->loop) == 0, 2);
	expect(tend_loop_turn(f->loop, 0) == 0, 3);
	_exit(worked == 2 ? 0 : 4);
}

static void
note_work(struct tend_later *l)
{
	(void)l;
	worked++;
}

/* The parent has still to do what stands behind the work that forked; so has the child. */
static void
child_of_deferred_work_does_the_rest_of_it(void **state)
{
	struct forker f = { .loop = *state };
	struct tend_later first, second, third;
	int status;

	worked = 0;
	tend_later_init(&first, fork_in_deferred_work, &f);
	tend_later_init(&second, note_work, NULL);
	tend_later_init(&third, note_work, NULL);
	tend_later_start(f.loop, &first);
	tend_later_start(f.loop, &second);
	tend_later_start(f.loop, &third);
	assert_int_equal(tend_loop_turn(f.loop, 0), 0);
	assert_int_equal(worked, 2);
	assert_int_equal(waitpid(f.pid, &status, 0), f.pid);
	assert_int_equal(status, 0);
}

/* ---- wakes ---- */

static void *
wake_many_times(void *loop)
{
	int i;

	for (i = 0; i < 1000; i++)
		tend_loop_wake(loop);
	return NULL;
}

static void
wake_ends_the_wait_from_another_thread(void **state)
{
	struct tend_loop *loop = *state;
	pthread_t thread;
	uint64_t turns = 0;

	assert_int_equal(pthread_create(&thread, NULL, wake_many_times, loop), 0);
	assert_int_equal(tend_loop_turn(loop, -1), 0);
	assert_int_equal(pthread_join(thread, NULL), 0);
	/* What is left over is a few turns at most, and no event. */
	while (tend_loop_turn(loop, 0) == 0 && turns < 3)
		turns++;
	tend_loop_wake(loop);
	assert_int_equal(tend_loop_turn(loop, -1), 0);
	assert_int_equal(loop->stats.events, 0);
}

static void
wake_collected_outside_still_counts(void **state)
{
	struct tend_loop *loop = *state;

	tend_loop_wake(loop);
	loop_signals_collect(loop);
	assert_int_equal(tend_loop_turn(loop, -1), 0);
}

/* ---- counters ---- */

static void
read_one(struct tend_watch *w, unsigned events)
{
	char c;

	(void)events;
	assert_int_equal(read(*(int *)w->data, &c, 1), 1);
}

/* DS-41, DS-109, DS-T34: DS-115 */
static void
counters_tell_what_happened(void **state)
{
	struct tend_loop *loop = *state;
	struct tend_loop_stats stats;
	struct tend_watch w;
	struct tend_timer t;
	uint64_t calls, took = 0;
	double seconds;
	int fds[2], i;

	assert_int_equal(pipe(fds), 0);
	tend_watch_init(&w, read_one, &fds[0]);
	tend_timer_init(&t, note_timer, (void *)"t");
	tend_timer_start(loop, &t, 3600);
	assert_int_equal(tend_watch_start(loop, &w, fds[0], TEND_READ), 0);
	for (i = 0; i < 5; i++) {
		tend_loop_profile(loop, i == 2);
		assert_int_equal(write(fds[1], "x", 1), 1);
		assert_int_equal(tend_loop_turn(loop, -1), 0);
	}
	tend_loop_stats(loop, &stats);
	assert_int_equal(stats.watches, 1);
	assert_int_equal(stats.timers, 1);
	assert_int_equal(stats.signals, 0);
	assert_int_equal(stats.turns, 5);
	assert_int_equal(stats.events, 5);
	assert_int_equal(stats.calls, 1);
	assert_true(stats.seconds > 0 && stats.seconds < 5);
	for (i = 0; i < TEND_LOOP_TOOK; i++)
		took += stats.took[i];
	assert_int_equal(took, 1);
	tend_watch_profile(&w, &calls, &seconds);
	assert_int_equal(calls, 1);
	assert_true(seconds == stats.seconds);
	tend_watch_stop(&w);
	tend_timer_stop(&t);
	tend_loop_stats(loop, &stats);
	assert_int_equal(stats.watches, 0);
	assert_int_equal(stats.timers, 0);
	close(fds[0]);
	close(fds[1]);
}

/* DS-47 */
static void
now_is_read_once_a_turn(void **state)
{
	struct tend_loop *loop = *state;

	loop->clock = simulated_clock;
	simulated = 5 * CLOCK_SECOND;
	assert_true(tend_loop_now(loop) == 5.0);
	simulated = 6 * CLOCK_SECOND;
	assert_true(tend_loop_now(loop) == 6.0);
	loop->turning = true;
	loop->now_known = false;
	assert_true(tend_loop_now(loop) == 6.0);
	simulated = 7 * CLOCK_SECOND;
	assert_true(tend_loop_now(loop) == 6.0);
	loop->turning = false;
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(poller_is_chosen_by_name),
		ON_EACH_POLLER(descriptors_are_close_on_exec),
		ON_EACH_POLLER(free_gives_all_descriptors_back),
		ON_EACH_POLLER(steps_of_a_turn_are_in_order),
		ON_EACH_POLLER(input_in_time_beats_its_deadline),
		ON_EACH_POLLER(timer_that_ends_the_wait_runs_in_that_turn),
		ON_EACH_POLLER(turn_does_not_wait_after_a_timer),
		ON_EACH_POLLER(stop_in_a_timer_ends_the_run_without_a_wait),
		ON_EACH_POLLER(stop_before_the_run_is_remembered),
		ON_EACH_POLLER(hook_runs_each_turn_and_stops_the_run),
		ON_EACH_POLLER(hook_may_remove_itself),
		ON_EACH_POLLER(loop_timeout_bounds_the_wait_and_yields_to_timers),
		ON_EACH_POLLER(empty_loop_blocks_until_a_signal_stops_it),
		ON_EACH_POLLER(nested_runs_are_refused),
		ON_EACH_POLLER(free_inside_a_callback_makes_all_quiet),
		ON_EACH_POLLER(deferred_work_runs_once_a_turn),
		ON_EACH_POLLER(deferred_work_may_stop_other_work),
		ON_EACH_POLLER(child_and_parent_do_not_disturb_each_other),
		ON_EACH_POLLER(free_in_a_child_leaves_the_parents_watches),
		ON_EACH_POLLER(abandoned_loop_of_a_child_goes_on_in_the_parent),
		ON_EACH_POLLER(child_of_a_callback_runs_the_loop_anew),
		ON_EACH_POLLER(child_of_deferred_work_does_the_rest_of_it),
		ON_EACH_POLLER(wake_ends_the_wait_from_another_thread),
		ON_EACH_POLLER(wake_collected_outside_still_counts),
		ON_EACH_POLLER(counters_tell_what_happened),
		ON_EACH_POLLER(now_is_read_once_a_turn),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
