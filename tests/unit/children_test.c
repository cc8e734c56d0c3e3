/* The master's table of children. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include "process/children.h"

static struct child *
add(struct children *kids, pid_t pid, enum tend_child_kind kind)
{
	assert_int_equal(children_reserve(kids), 0);
	return children_add(kids, pid, kind);
}

static void
children_are_found_by_their_pids(void **state)
{
	struct children kids = { 0 };
	pid_t pid;

	(void)state;
	assert_null(children_find(&kids, 1000));
	for (pid = 1000; pid < 1100; pid++) {
		struct child *child = add(&kids, pid, TEND_CHILD_WORKER);

		assert_int_equal(child->pid, pid);
		assert_int_equal(child->kind, TEND_CHILD_WORKER);
		assert_int_equal(child->channel, -1);
		assert_null(child->watch);
		assert_false(child->leaving);
		child->slot = (unsigned)pid + 7;
	}
	assert_int_equal(kids.count, 100);
	for (pid = 1000; pid < 1100; pid++)
		assert_int_equal(children_find(&kids, pid)->slot, pid + 7);
	assert_null(children_find(&kids, 999));
	assert_null(children_find(&kids, 1100));
	children_done(&kids);
	assert_int_equal(kids.count, 0);
	assert_null(children_find(&kids, 1000));
}

/* First, last and in the middle: the others stay whole. */
static void
removing_one_leaves_the_others(void **state)
{
	struct children kids = { 0 };
	pid_t pid;

	(void)state;
	for (pid = 1; pid <= 60; pid++)
		add(&kids, pid, TEND_CHILD_WORKER)->slot = (unsigned)pid * 3;
	for (pid = 1; pid <= 60; pid += 2)
		children_remove(&kids, children_find(&kids, pid));
	children_remove(&kids, children_find(&kids, 60));
	assert_int_equal(kids.count, 29);
	for (pid = 1; pid <= 60; pid++) {
		struct child *child = children_find(&kids, pid);

		if (pid % 2 == 1 || pid == 60)
			assert_null(child);
		else
			assert_int_equal(child->slot, pid * 3);
	}
	while (kids.count > 0)
		children_remove(&kids, &kids.list[0]);
	assert_int_equal(kids.by_kind[TEND_CHILD_WORKER], 0);
	children_done(&kids);
}

/* NS-FRK-18, NS-PFS-16: dequeue children are no servers. */
static void
counts_are_kept_by_kind(void **state)
{
	struct children kids = { 0 };

	(void)state;
	assert_int_equal(children_serving(&kids), 0);
	add(&kids, 11, TEND_CHILD_WORKER);
	add(&kids, 12, TEND_CHILD_DEQUEUE);
	add(&kids, 13, TEND_CHILD_FORK);
	add(&kids, 14, TEND_CHILD_DEQUEUE);
	assert_int_equal(kids.by_kind[TEND_CHILD_WORKER], 1);
	assert_int_equal(kids.by_kind[TEND_CHILD_FORK], 1);
	assert_int_equal(kids.by_kind[TEND_CHILD_DEQUEUE], 2);
	assert_int_equal(children_serving(&kids), 2);
	children_remove(&kids, children_find(&kids, 12));
	assert_int_equal(kids.by_kind[TEND_CHILD_DEQUEUE], 1);
	assert_int_equal(children_serving(&kids), 2);
	children_remove(&kids, children_find(&kids, 11));
	assert_int_equal(kids.by_kind[TEND_CHILD_WORKER], 0);
	assert_int_equal(children_serving(&kids), 1);
	children_done(&kids);
}

static void
nothing(struct tend_watch *w, unsigned events)
{
	(void)w;
	(void)events;
}

/* NS-PF-26 */
static void
a_removed_child_takes_its_channel_along(void **state)
{
	struct tend_loop *loop = tend_loop_new(NULL);
	struct children kids = { 0 };
	int pair[2][2], i;

	(void)state;
	assert_non_null(loop);
	for (i = 0; i < 2; i++) {
		struct child *child = add(&kids, 21 + i, TEND_CHILD_WORKER);

		assert_int_equal(socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, pair[i]), 0);
		child->channel = pair[i][0];
		child->watch = calloc(1, sizeof(*child->watch));
		tend_watch_init(child->watch, nothing, NULL);
		assert_int_equal(tend_watch_start(loop, child->watch, pair[i][0], TEND_READ), 0);
	}
	children_remove(&kids, children_find(&kids, 21));
	assert_int_equal(fcntl(pair[0][0], F_GETFD), -1);
	assert_int_equal(fcntl(pair[1][0], F_GETFD), FD_CLOEXEC);
	children_done(&kids);
	assert_int_equal(fcntl(pair[1][0], F_GETFD), -1);
	for (i = 0; i < 2; i++)
		close(pair[i][1]);
	assert_int_equal(tend_loop_turn(loop, 0), 0);
	tend_loop_free(loop);
}

static pid_t
start_sleeper(void)
{
	pid_t pid = fork();

	if (pid == 0) {
		alarm(60);
		for (;;)
			pause();
	}
	assert_true(pid > 0);
	return pid;
}

static void
a_signal_reaches_all_that_are_there_and_says_how_many(void **state)
{
	struct children kids = { 0 };
	pid_t pids[3];
	int i, status;

	(void)state;
	assert_int_equal(children_signal(&kids, SIGTERM), 0);
	for (i = 0; i < 3; i++) {
		pids[i] = start_sleeper();
		add(&kids, pids[i], TEND_CHILD_WORKER);
	}
	assert_int_equal(children_signal(&kids, 0), 3);
	/* One that has been reaped is no more. */
	kill(pids[1], SIGKILL);
	assert_int_equal(waitpid(pids[1], &status, 0), pids[1]);
	assert_int_equal(children_signal(&kids, SIGTERM), 2);
	for (i = 0; i < 3; i += 2) {
		assert_int_equal(waitpid(pids[i], &status, 0), pids[i]);
		assert_true(WIFSIGNALED(status) && WTERMSIG(status) == SIGTERM);
	}
	children_done(&kids);
}

int
main(void)
{
	static const struct CMUnitTest tests[] = {
		cmocka_unit_test(children_are_found_by_their_pids),
		cmocka_unit_test(removing_one_leaves_the_others),
		cmocka_unit_test(counts_are_kept_by_kind),
		cmocka_unit_test(a_removed_child_takes_its_channel_along),
		cmocka_unit_test(a_signal_reaches_all_that_are_there_and_says_how_many),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
