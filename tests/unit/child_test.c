/* Children as events: each end is told once, with its status, and strangers are left alone. */
#include "config.h"
#include "loop_fixture.h"

#include <errno.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

/* Counts ends; stops the run when none is left. */
struct family {
	struct tend_loop *loop;
	int left, calls;
};

static void
on_end(struct tend_child_watch *c)
{
	struct family *f = c->data;

	f->calls++;
	if (--f->left == 0)
		tend_loop_stop(f->loop);
}

/* A child that ends when the pipe does, or at once without one. */
static pid_t
child(int in, int code)
{
	pid_t pid = fork();
	char c;

	if (pid != 0)
		return pid;
	if (in >= 0)
		while (read(in, &c, 1) < 0 && errno == EINTR)
			;
	_exit(code);
}

static void
let_it_end(pid_t pid)
{
	siginfo_t info;

	/* SIGCHLD of a watched child ends it early. */
	while (waitid(P_PID, (id_t)pid, &info, WEXITED | WNOWAIT) < 0)
		assert_int_equal(errno, EINTR);
}

static void
watch(struct family *f, struct tend_child_watch *c, pid_t pid)
{
	assert_true(pid > 0);
	tend_child_init(c, on_end, f);
	assert_int_equal(tend_child_start(f->loop, c, pid), 0);
}

static void
end_is_told_with_its_status(void **state)
{
	struct family f = { .loop = *state, .left = 2 };
	struct tend_child_watch exits, killed;
	pid_t pid;

	watch(&f, &exits, child(-1, 7));
	pid = fork();
	if (pid == 0)
		for (;;)
			pause();
	watch(&f, &killed, pid);
	assert_int_equal(kill(pid, SIGKILL), 0);
	assert_int_equal(tend_loop_run(f.loop), 0);
	assert_true(WIFEXITED(exits.status) && WEXITSTATUS(exits.status) == 7);
	assert_true(WIFSIGNALED(killed.status) && WTERMSIG(killed.status) == SIGKILL);
	/* Reaped, and watched no more. */
	assert_int_equal(waitpid(pid, NULL, WNOHANG), -1);
	assert_int_equal(errno, ECHILD);
	assert_null(exits.loop);
	assert_int_equal(f.loop->stats.children, 0);
}

static void
end_before_the_start_is_told_too(void **state)
{
	struct family f = { .loop = *state, .left = 1 };
	struct tend_child_watch c;
	pid_t pid = child(-1, 3);

	let_it_end(pid);
	watch(&f, &c, pid);
	assert_int_equal(f.calls, 0);
	assert_int_equal(tend_loop_turn(f.loop, -1), 0);
	assert_int_equal(f.calls, 1);
	assert_int_equal(WEXITSTATUS(c.status), 3);
}

/* A stranger that ended first, and is reaped by nobody, hides none of ours. */
static void
strangers_are_not_reaped(void **state)
{
	struct family f = { .loop = *state, .left = 20 };
	struct tend_child_watch ours[20];
	pid_t before = child(-1, 1), after;
	int i, status;

	let_it_end(before);
	for (i = 0; i < 20; i++)
		watch(&f, &ours[i], child(-1, 10 + i));
	after = child(-1, 2);
	let_it_end(after);
	assert_int_equal(tend_loop_run(f.loop), 0);
	for (i = 0; i < 20; i++)
		assert_int_equal(WEXITSTATUS(ours[i].status), 10 + i);
	assert_int_equal(waitpid(before, &status, WNOHANG), before);
	assert_int_equal(WEXITSTATUS(status), 1);
	assert_int_equal(waitpid(after, &status, WNOHANG), after);
	assert_int_equal(WEXITSTATUS(status), 2);
}

static void
many_that_end_at_once_are_all_told(void **state)
{
	static struct tend_child_watch all[100];
	struct family f = { .loop = *state, .left = 100 };
	int fds[2], i;

	assert_int_equal(pipe(fds), 0);
	for (i = 0; i < 100; i++) {
		pid_t pid = fork();
		char c;

		if (pid == 0) {
			close(fds[1]);
			while (read(fds[0], &c, 1) < 0 && errno == EINTR)
				;
			_exit(i);
		}
		watch(&f, &all[i], pid);
	}
	close(fds[1]);
	close(fds[0]);
	assert_int_equal(tend_loop_run(f.loop), 0);
	assert_int_equal(f.calls, 100);
	for (i = 0; i < 100; i++)
		assert_int_equal(WEXITSTATUS(all[i].status), i);
}

static void
stopped_watch_leaves_the_child_to_its_owner(void **state)
{
	struct family f = { .loop = *state, .left = 9 };
	struct tend_child_watch c;
	struct sigaction act;
	pid_t pid = child(-1, 5);
	int status;

	watch(&f, &c, pid);
	tend_child_stop(&c);
	tend_child_stop(&c);
	let_it_end(pid);
	tend_loop_turn(f.loop, 0);
	assert_int_equal(f.calls, 0);
	assert_int_equal(waitpid(pid, &status, 0), pid);
	/* SIGCHLD is as it was found. */
	assert_int_equal(sigaction(SIGCHLD, NULL, &act), 0);
	assert_true(act.sa_handler == SIG_DFL);
}

static void
child_that_somebody_else_reaped_is_told(void **state)
{
	struct family f = { .loop = *state, .left = 1 };
	struct tend_child_watch c;
	pid_t pid = child(-1, 5);

	watch(&f, &c, pid);
	let_it_end(pid);
	assert_int_equal(waitpid(pid, NULL, 0), pid);
	assert_int_equal(tend_loop_run(f.loop), 0);
	assert_int_equal(f.calls, 1);
	assert_int_equal(c.status, -1);
}

static void
what_is_no_child_is_refused(void **state)
{
	struct tend_loop *loop = *state;
	struct tend_child_watch c;
	struct sigaction act;

	tend_child_init(&c, on_end, NULL);
	assert_int_equal(tend_child_start(loop, &c, getpid()), -ECHILD);
	assert_int_equal(tend_child_start(loop, &c, 0), -EINVAL);
	assert_int_equal(tend_child_start(loop, &c, -1), -EINVAL);
	assert_int_equal(loop->stats.children, 0);
	assert_int_equal(sigaction(SIGCHLD, NULL, &act), 0);
	assert_true(act.sa_handler == SIG_DFL);
}

struct respawn {
	struct tend_child_watch c;
	struct tend_loop *loop;
	int times;
};

static void
start_the_next(struct tend_child_watch *c)
{
	struct respawn *r = c->data;

	if (++r->times == 5)
		tend_loop_stop(r->loop);
	else
		assert_int_equal(tend_child_start(r->loop, c, child(-1, r->times)), 0);
}

static void
callback_may_watch_the_next_child(void **state)
{
	struct respawn r = { .loop = *state };

	tend_child_init(&r.c, start_the_next, &r);
	assert_int_equal(tend_child_start(r.loop, &r.c, child(-1, 0)), 0);
	assert_int_equal(tend_loop_run(r.loop), 0);
	assert_int_equal(r.times, 5);
}

/* The children of a parent are not those of its child. */
static void
after_fork_drops_child_watches(void **state)
{
	struct family f = { .loop = *state, .left = 1 };
	struct tend_child_watch c;
	int fds[2], status;
	pid_t pid, watched;

	assert_int_equal(pipe(fds), 0);
	watched = fork();
	if (watched == 0) {
		char byte;

		close(fds[1]);
		while (read(fds[0], &byte, 1) < 0 && errno == EINTR)
			;
		_exit(0);
	}
	watch(&f, &c, watched);
	pid = fork();
	if (pid == 0) {
		bool fine = tend_loop_after_fork(f.loop) == 0 && c.loop == NULL &&
		    tend_loop_turn(f.loop, 0) == 0 && f.calls == 0;
		_exit(fine ? 0 : 1);
	}
	let_it_end(pid);
	assert_int_equal(waitpid(pid, &status, 0), pid);
	assert_int_equal(status, 0);
	close(fds[1]);
	assert_int_equal(tend_loop_run(f.loop), 0);
	assert_int_equal(f.calls, 1);
	close(fds[0]);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		ON_EACH_POLLER(end_is_told_with_its_status),
		ON_EACH_POLLER(end_before_the_start_is_told_too),
		ON_EACH_POLLER(strangers_are_not_reaped),
		ON_EACH_POLLER(many_that_end_at_once_are_all_told),
		ON_EACH_POLLER(stopped_watch_leaves_the_child_to_its_owner),
		ON_EACH_POLLER(child_that_somebody_else_reaped_is_told),
		ON_EACH_POLLER(what_is_no_child_is_refused),
		ON_EACH_POLLER(callback_may_watch_the_next_child),
		ON_EACH_POLLER(after_fork_drops_child_watches),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
