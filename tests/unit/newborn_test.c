/* What a child of fork does first: signals become what they are for everybody, and come in. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <errno.h>
#include <signal.h>
#include <sys/wait.h>
#include <unistd.h>

#include "process/newborn.h"

/* Nobody may come here in a child. */
static void
parents_handler(int signo)
{
	(void)signo;
	_exit(99);
}

/* A child of a parent that handles TERM and USR1 and holds both back. Returns how it ended. */
static int
child_of_such_a_parent(void (*body)(const sigset_t *before))
{
	struct sigaction handled = { .sa_handler = parents_handler }, term, usr1;
	sigset_t all, before;
	int status = -1;
	pid_t pid;

	assert_int_equal(sigaction(SIGTERM, &handled, &term), 0);
	assert_int_equal(sigaction(SIGUSR1, &handled, &usr1), 0);
	sigfillset(&all);
	assert_int_equal(sigprocmask(SIG_SETMASK, &all, &before), 0);
	pid = fork();
	if (pid == 0) {
		body(&before);
		_exit(0);
	}
	assert_true(pid > 0);
	sigprocmask(SIG_SETMASK, &before, NULL);
	sigaction(SIGTERM, &term, NULL);
	sigaction(SIGUSR1, &usr1, NULL);
	while (waitpid(pid, &status, 0) < 0)
		assert_int_equal(errno, EINTR);
	return status;
}

static void
is_ended_by_what_came_meanwhile(const sigset_t *before)
{
	newborn_signal(SIGTERM, SIG_DFL);
	kill(getpid(), SIGTERM);
	newborn_mask(before);
	_exit(1);
}

/* TERM that comes before the child listens is kept for it, and then does what it does to anybody. */
static void
default_action_is_back(void **state)
{
	int status;

	(void)state;
	status = child_of_such_a_parent(is_ended_by_what_came_meanwhile);
	assert_true(WIFSIGNALED(status));
	assert_int_equal(WTERMSIG(status), SIGTERM);
}

static void
does_not_care(const sigset_t *before)
{
	struct sigaction now;
	sigset_t blocked;

	newborn_signal(SIGUSR1, SIG_IGN);
	kill(getpid(), SIGUSR1);
	newborn_mask(before);
	kill(getpid(), SIGUSR1);
	/* The C library sees the same. */
	if (sigaction(SIGUSR1, NULL, &now) < 0 || now.sa_handler != SIG_IGN)
		_exit(2);
	if (sigprocmask(SIG_SETMASK, NULL, &blocked) < 0 || sigismember(&blocked, SIGTERM) != 0)
		_exit(3);
}

static void
ignored_signals_do_nothing(void **state)
{
	(void)state;
	assert_int_equal(child_of_such_a_parent(does_not_care), 0);
}

static void
holds_some_back(const sigset_t *before)
{
	sigset_t some = *before, blocked;

	sigaddset(&some, SIGUSR2);
	sigaddset(&some, SIGRTMAX);
	newborn_mask(&some);
	if (sigprocmask(SIG_SETMASK, NULL, &blocked) < 0)
		_exit(2);
	if (!sigismember(&blocked, SIGUSR2) || !sigismember(&blocked, SIGRTMAX))
		_exit(3);
	if (sigismember(&blocked, SIGTERM) || sigismember(&blocked, SIGRTMIN))
		_exit(4);
}

/* All of the set counts, up to the last real-time signal. */
static void
mask_is_the_one_that_was_asked_for(void **state)
{
	(void)state;
	assert_int_equal(child_of_such_a_parent(holds_some_back), 0);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(default_action_is_back),
		cmocka_unit_test(ignored_signals_do_nothing),
		cmocka_unit_test(mask_is_the_one_that_was_asked_for),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
