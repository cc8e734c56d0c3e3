/* Signals as events: to whom, when, how often, and what is put back. */
#include "config.h"
#include "loop_fixture.h"

#include <errno.h>
#include <poll.h>
#include <pthread.h>
#include <stdio.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

static char trace[256];

static void
note(struct tend_signal *s)
{
	strncat(trace, s->data, sizeof(trace) - strlen(trace) - 1);
}

static void
start(struct tend_loop *loop, struct tend_signal *s, int signo, const char *name)
{
	tend_signal_init(s, note, (void *)(uintptr_t)name);
	assert_int_equal(tend_signal_start(loop, s, signo), 0);
	trace[0] = '\0';
}

static struct sigaction
disposition(int signo)
{
	struct sigaction act;

	assert_int_equal(sigaction(signo, NULL, &act), 0);
	return act;
}

static void
signal_is_delivered_by_the_loop_and_not_before(void **state)
{
	struct tend_loop *loop = *state;
	struct tend_signal s;

	start(loop, &s, SIGUSR1, "1");
	errno = 4711;
	raise(SIGUSR1);
	assert_int_equal(errno, 4711);
	assert_string_equal(trace, "");
	assert_int_equal(tend_loop_turn(loop, -1), 0);
	assert_string_equal(trace, "1");
	tend_loop_turn(loop, 0);
	assert_string_equal(trace, "1");
	/* Those that came together are one. */
	raise(SIGUSR1);
	raise(SIGUSR1);
	tend_loop_turn(loop, -1);
	tend_loop_turn(loop, 0);
	assert_string_equal(trace, "11");
	tend_signal_stop(&s);
	tend_signal_stop(&s);
}

static void
several_watches_hear_one_signal_in_order(void **state)
{
	struct tend_loop *loop = *state;
	struct tend_signal s[4];

	start(loop, &s[0], SIGUSR2, "c");
	start(loop, &s[1], SIGUSR1, "a");
	start(loop, &s[2], SIGUSR2, "d");
	start(loop, &s[3], SIGUSR1, "b");
	raise(SIGUSR2);
	raise(SIGUSR1);
	tend_loop_turn(loop, -1);
	/* By number, then in order of start. */
	assert_string_equal(trace, SIGUSR1 < SIGUSR2 ? "abcd" : "cdab");
	tend_signal_stop(&s[0]);
	tend_signal_stop(&s[1]);
	trace[0] = '\0';
	raise(SIGUSR2);
	raise(SIGUSR1);
	tend_loop_turn(loop, -1);
	assert_string_equal(trace, SIGUSR1 < SIGUSR2 ? "bd" : "db");
	tend_signal_stop(&s[2]);
	tend_signal_stop(&s[3]);
}

static void
raise_another(struct tend_signal *s)
{
	note(s);
	raise(SIGUSR2);
}

/* Its byte lies in the pipe when what the first one left there is taken out. */
static void
signal_that_comes_in_the_callback_of_another_is_not_lost(void **state)
{
	struct tend_loop *loop = *state;
	struct tend_signal a, b;
	int i;

	start(loop, &a, SIGUSR1, "a");
	start(loop, &b, SIGUSR2, "b");
	a.fn = raise_another;
	for (i = 0; i < 3; i++) {
		trace[0] = '\0';
		raise(SIGUSR1);
		assert_int_equal(tend_loop_turn(loop, -1), 0);
		assert_string_equal(trace, "a");
		/* Without an end: it must not wait. */
		assert_int_equal(tend_loop_turn(loop, -1), 0);
		assert_string_equal(trace, "ab");
	}
	tend_signal_stop(&a);
	tend_signal_stop(&b);
}

static void
several_loops_hear_one_signal(void **state)
{
	struct tend_loop *loop = *state, *other = tend_loop_new(tend_loop_poller(loop));
	struct tend_signal a, b;

	start(loop, &a, SIGUSR1, "a");
	start(other, &b, SIGUSR1, "b");
	raise(SIGUSR1);
	tend_loop_turn(other, -1);
	assert_string_equal(trace, "b");
	tend_loop_turn(loop, -1);
	assert_string_equal(trace, "ba");
	tend_loop_free(other);
	assert_null(b.loop);
	raise(SIGUSR1);
	tend_loop_turn(loop, -1);
	assert_string_equal(trace, "baa");
	tend_signal_stop(&a);
}

static void
found_disposition_is_put_back_by_the_last(void **state)
{
	struct tend_loop *loop = *state;
	struct tend_signal a, b;

	signal(SIGUSR1, SIG_IGN);
	start(loop, &a, SIGUSR1, "a");
	start(loop, &b, SIGUSR1, "b");
	tend_signal_stop(&a);
	raise(SIGUSR1);
	tend_loop_turn(loop, -1);
	assert_string_equal(trace, "b");
	/* Blocking calls are to end: nothing restarts them. */
	assert_int_equal(disposition(SIGUSR1).sa_flags & SA_RESTART, 0);
	tend_signal_stop(&b);
	assert_true(disposition(SIGUSR1).sa_handler == SIG_IGN);
	signal(SIGUSR1, SIG_DFL);
}

static void
watch_moves_to_another_signal(void **state)
{
	struct tend_loop *loop = *state;
	struct tend_signal s;

	start(loop, &s, SIGUSR1, "x");
	assert_int_equal(tend_signal_start(loop, &s, SIGUSR2), 0);
	assert_true(disposition(SIGUSR1).sa_handler == SIG_DFL);
	raise(SIGUSR2);
	tend_loop_turn(loop, -1);
	assert_string_equal(trace, "x");
	assert_int_equal(s.signo, SIGUSR2);
	tend_signal_stop(&s);
}

static void
signals_that_cannot_be_caught_are_refused(void **state)
{
	static const int rows[] = { 0, -1, NSIG, 100000, SIGKILL, SIGSTOP };
	struct tend_signal s;
	size_t i;

	tend_signal_init(&s, note, NULL);
	for (i = 0; i < sizeof(rows) / sizeof(rows[0]); i++)
		assert_int_equal(tend_signal_start(*state, &s, rows[i]), -EINVAL);
	tend_signal_stop(&s);
}

struct group {
	struct tend_loop *loop;
	struct tend_signal first, second, newcomer;
};

static void
change_the_group(struct tend_signal *s)
{
	struct group *g = s->data;
	struct tend_loop *loop = g->loop;

	strcat(trace, "1");
	tend_signal_stop(s);
	tend_signal_stop(&g->second);
	memset(&g->second, 0xee, sizeof(g->second));
	tend_signal_init(&g->newcomer, note, (void *)"n");
	assert_int_equal(tend_signal_start(loop, &g->newcomer, SIGUSR1), 0);
	assert_int_equal(tend_signal_start(loop, s, SIGUSR1), 0);
}

static void
callbacks_may_stop_and_start_signals(void **state)
{
	struct group g = { .loop = *state };

	trace[0] = '\0';
	tend_signal_init(&g.first, change_the_group, &g);
	tend_signal_init(&g.second, note, (void *)"2");
	assert_int_equal(tend_signal_start(g.loop, &g.first, SIGUSR1), 0);
	assert_int_equal(tend_signal_start(g.loop, &g.second, SIGUSR1), 0);
	raise(SIGUSR1);
	tend_loop_turn(g.loop, -1);
	assert_string_equal(trace, "1");
	tend_signal_stop(&g.first);
	raise(SIGUSR1);
	tend_loop_turn(g.loop, -1);
	assert_string_equal(trace, "1n");
	tend_signal_stop(&g.newcomer);
}

static void
stop_other(struct tend_signal *s)
{
	strcat(trace, "1");
	tend_signal_stop(s->data);
}

/* One that was already on its way is dropped with the last watch of it. */
static void
stopped_signal_that_is_pending_is_not_delivered(void **state)
{
	struct tend_loop *loop = *state;
	struct tend_signal first, second;
	int low = SIGUSR1 < SIGUSR2 ? SIGUSR1 : SIGUSR2;

	start(loop, &second, SIGUSR1 + SIGUSR2 - low, "2");
	tend_signal_init(&first, stop_other, &second);
	assert_int_equal(tend_signal_start(loop, &first, low), 0);
	raise(SIGUSR1);
	raise(SIGUSR2);
	tend_loop_turn(loop, -1);
	assert_string_equal(trace, "1");
	/* Whether it was collected or not. */
	raise(low);
	loop_signals_collect(loop);
	raise(low);
	tend_signal_stop(&first);
	start(loop, &second, low, "2");
	tend_loop_turn(loop, 0);
	assert_string_equal(trace, "");
	tend_signal_stop(&second);
}

static void
full_pipe_loses_no_signal(void **state)
{
	struct tend_loop *loop = *state;
	struct tend_signal s, other;
	static char bytes[4096];

	start(loop, &s, SIGUSR1, "1");
	start(loop, &other, SIGUSR2, "2");
	while (write(loop->channel.out, bytes, sizeof(bytes)) > 0)
		;
	while (write(loop->channel.out, bytes, 1) > 0)
		;
	assert_int_equal(errno, EAGAIN);
	raise(SIGUSR1);
	raise(SIGUSR2);
	tend_loop_wake(loop);
	tend_loop_turn(loop, -1);
	assert_int_equal(strlen(trace), 2);
	/* And the pipe is empty again. */
	tend_loop_turn(loop, 0);
	assert_int_equal(read(loop->channel.in, bytes, 1), -1);
	assert_int_equal(errno, EAGAIN);
	tend_signal_stop(&s);
	tend_signal_stop(&other);
}

static bool
is_readable(int fd)
{
	struct pollfd p = { .fd = fd, .events = POLLIN };

	return poll(&p, 1, 0) == 1;
}

/* What a blocking handler does: it waits for its client and for signals, and collects them. */
static void
signals_can_be_collected_outside_of_a_turn(void **state)
{
	struct tend_loop *loop = *state;
	struct tend_signal s;

	start(loop, &s, SIGUSR1, "1");
	assert_false(is_readable(loop_signal_fd(loop)));
	assert_false(loop_signal_pending(loop, SIGUSR1));
	raise(SIGUSR1);
	assert_true(loop_signal_pending(loop, SIGUSR1));
	assert_true(is_readable(loop_signal_fd(loop)));
	loop_signals_collect(loop);
	loop_signals_collect(loop);
	assert_false(is_readable(loop_signal_fd(loop)));
	assert_true(loop_signal_pending(loop, SIGUSR1));
	assert_string_equal(trace, "");
	/* No wait, although the descriptor is quiet. */
	tend_loop_turn(loop, -1);
	assert_string_equal(trace, "1");
	assert_false(loop_signal_pending(loop, SIGUSR1));
	tend_signal_stop(&s);
}

/* What a parent had installed says nothing about a child, which may have put it back. */
static void
child_that_put_signals_back_can_watch_them_anew(void **state)
{
	struct tend_loop *loop = *state;
	struct tend_signal s;
	int status;
	pid_t pid;

	start(loop, &s, SIGUSR1, "parent");
	pid = fork();
	if (pid == 0) {
		struct tend_loop *mine;

		signal(SIGUSR1, SIG_DFL);
		mine = tend_loop_new(tend_loop_poller(loop));
		loop_abandon(loop);
		start(mine, &s, SIGUSR1, "child");
		raise(SIGUSR1);
		tend_loop_turn(mine, -1);
		_exit(strcmp(trace, "child") == 0 ? 0 : 1);
	}
	assert_int_equal(waitpid(pid, &status, 0), pid);
	assert_int_equal(status, 0);
	tend_signal_stop(&s);
}

/* Tells without a system call, before anything is collected and until it is delivered. */
static void
signal_is_seen_until_it_is_delivered(void **state)
{
	struct tend_loop *loop = *state;
	struct tend_signal s;

	start(loop, &s, SIGUSR1, "1");
	assert_false(loop_signal_seen(loop));
	raise(SIGUSR1);
	assert_true(loop_signal_seen(loop));
	loop_signals_collect(loop);
	assert_true(loop_signal_seen(loop));
	tend_loop_turn(loop, -1);
	assert_false(loop_signal_seen(loop));
	tend_loop_wake(loop);
	assert_true(loop_signal_seen(loop));
	tend_loop_turn(loop, -1);
	assert_false(loop_signal_seen(loop));
	tend_signal_stop(&s);
}

/* Even a child that does not call tend_loop_after_fork() reports nothing to its parent. DS-08 */
static void
signal_to_a_child_never_reaches_the_parent(void **state)
{
	struct tend_loop *loop = *state;
	struct tend_signal s;
	int status;
	pid_t pid;

	start(loop, &s, SIGUSR1, "1");
	pid = fork();
	if (pid == 0) {
		raise(SIGUSR1);
		_exit(0);
	}
	assert_int_equal(waitpid(pid, &status, 0), pid);
	assert_int_equal(status, 0);
	assert_false(is_readable(loop_signal_fd(loop)));
	tend_loop_turn(loop, 0);
	assert_string_equal(trace, "");
	tend_signal_stop(&s);
}

static void
child_with_blocked_signals(struct tend_loop *loop, const sigset_t *none)
{
	/* What came to the parent before the fork is the parent's. */
	if (tend_loop_after_fork(loop) < 0)
		_exit(2);
	raise(SIGUSR2);
	sigprocmask(SIG_SETMASK, none, NULL);
	tend_loop_turn(loop, 5);
	_exit(strcmp(trace, "2") == 0 ? 0 : 3);
}

/* The founder's way: block, fork, after_fork, unblock. */
static void
signals_around_a_fork_go_where_they_belong(void **state)
{
	struct tend_loop *loop = *state;
	struct tend_signal a, b;
	sigset_t all, none;
	int status;
	pid_t pid;

	start(loop, &a, SIGUSR1, "1");
	start(loop, &b, SIGUSR2, "2");
	sigfillset(&all);
	sigprocmask(SIG_BLOCK, NULL, &none);
	/* One that was collected, and one that was not. */
	raise(SIGUSR1);
	loop_signals_collect(loop);
	raise(SIGUSR1);
	sigprocmask(SIG_SETMASK, &all, NULL);
	pid = fork();
	if (pid == 0)
		child_with_blocked_signals(loop, &none);
	sigprocmask(SIG_SETMASK, &none, NULL);
	assert_int_equal(waitpid(pid, &status, 0), pid);
	assert_int_equal(status, 0);
	tend_loop_turn(loop, -1);
	assert_string_equal(trace, "1");
	tend_signal_stop(&a);
	tend_signal_stop(&b);
}

static atomic_bool storm_over;

static void *
storm(void *unused)
{
	int i;

	for (i = 0; i < 20000; i++)
		kill(getpid(), SIGUSR1);
	atomic_store(&storm_over, true);
	return unused;
}

static void
ignore(struct tend_signal *s)
{
	(void)s;
}

/* Loops come and go while signals arrive in other threads. */
static void
loops_may_be_freed_in_a_storm_of_signals(void **state)
{
	struct tend_loop *loop = *state, *passing;
	struct tend_signal s, t;
	pthread_t thread;

	tend_signal_init(&s, ignore, NULL);
	tend_signal_init(&t, ignore, NULL);
	assert_int_equal(tend_signal_start(loop, &s, SIGUSR1), 0);
	atomic_store(&storm_over, false);
	assert_int_equal(pthread_create(&thread, NULL, storm, NULL), 0);
	while (!atomic_load(&storm_over)) {
		passing = tend_loop_new(tend_loop_poller(loop));
		assert_non_null(passing);
		assert_int_equal(tend_signal_start(passing, &t, SIGUSR1), 0);
		tend_loop_turn(passing, 0);
		tend_loop_turn(loop, 0);
		tend_loop_free(passing);
	}
	pthread_join(thread, NULL);
	tend_loop_turn(loop, 0);
	assert_true(loop->stats.signals_run > 0);
	tend_signal_stop(&s);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		ON_EACH_POLLER(signal_is_delivered_by_the_loop_and_not_before),
		ON_EACH_POLLER(several_watches_hear_one_signal_in_order),
		ON_EACH_POLLER(signal_that_comes_in_the_callback_of_another_is_not_lost),
		ON_EACH_POLLER(several_loops_hear_one_signal),
		ON_EACH_POLLER(found_disposition_is_put_back_by_the_last),
		ON_EACH_POLLER(watch_moves_to_another_signal),
		ON_EACH_POLLER(signals_that_cannot_be_caught_are_refused),
		ON_EACH_POLLER(callbacks_may_stop_and_start_signals),
		ON_EACH_POLLER(stopped_signal_that_is_pending_is_not_delivered),
		ON_EACH_POLLER(full_pipe_loses_no_signal),
		ON_EACH_POLLER(signals_can_be_collected_outside_of_a_turn),
		ON_EACH_POLLER(child_that_put_signals_back_can_watch_them_anew),
		ON_EACH_POLLER(signal_is_seen_until_it_is_delivered),
		ON_EACH_POLLER(signal_to_a_child_never_reaches_the_parent),
		ON_EACH_POLLER(signals_around_a_fork_go_where_they_belong),
		ON_EACH_POLLER(loops_may_be_freed_in_a_storm_of_signals),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
