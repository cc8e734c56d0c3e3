/* The way into the background and the standard descriptors: src/process/daemonize.c. */
#include <errno.h>
#include <fcntl.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>
#include <cmocka.h>

#include "process/daemonize.h"

#include "fork_fixture.h"

/* What became of one start: the launcher's status and standard error, and the daemon's facts. */
struct outcome {
	int status; /* of waitpid() */
	pid_t launcher;
	char said[1024];
	struct {
		pid_t pid, session, group;
	} daemon;
};

typedef void (*daemon_fn)(struct daemonize *d);

static size_t
read_all(int fd, void *into, size_t size)
{
	size_t done = 0;
	ssize_t n;

	while ((n = read(fd, (char *)into + done, size - done)) > 0)
		done += (size_t)n;
	close(fd);
	return done;
}

static void
launch(daemon_fn life, bool new_session, int err, int facts)
{
	struct outcome o;
	struct daemonize d;

	dup2(err, STDERR_FILENO);
	close(err);
	daemonize_init(&d);
	if (daemonize_fork(&d, new_session, NULL) < 0)
		_exit(99);
	o.daemon.pid = getpid();
	o.daemon.session = getsid(0);
	o.daemon.group = getpgrp();
	if (write(facts, &o.daemon, sizeof(o.daemon)) < 0)
		_exit(98);
	life(&d);
	_exit(97);
}

/*
 * Runs launcher and daemon. Both pipes end only when the daemon has ended too, so none outlives
 * the test; the launcher is reaped first, to prove that it does not wait for that.
 */
static void
start(struct outcome *o, daemon_fn life, bool new_session)
{
	int err[2], facts[2];

	memset(o, 0, sizeof(*o));
	assert_int_equal(pipe2(err, O_CLOEXEC), 0);
	assert_int_equal(pipe2(facts, O_CLOEXEC), 0);
	o->launcher = fork();
	if (o->launcher == 0) {
		close(err[0]);
		close(facts[0]);
		launch(life, new_session, err[1], facts[1]);
	}
	close(err[1]);
	close(facts[1]);
	assert_int_equal(waitpid(o->launcher, &o->status, 0), o->launcher);
	assert_int_equal(read_all(facts[0], &o->daemon, sizeof(o->daemon)), sizeof(o->daemon));
	o->said[read_all(err[0], o->said, sizeof(o->said) - 1)] = '\0';
}

static void
become_ready(struct daemonize *d)
{
	daemonize_ready(d);
	daemonize_ready(d);
	_exit(d->ready_fd == -1 ? 0 : 1);
}

/* NS-DMN-02 */
static void
background_keeps_the_session(void **state)
{
	struct outcome o;

	(void)state;
	start(&o, become_ready, false);
	assert_int_equal(o.status, 0);
	assert_string_equal(o.said, "");
	assert_int_not_equal(o.daemon.pid, o.launcher);
	assert_int_equal(o.daemon.session, getsid(0));
	assert_int_equal(o.daemon.group, getpgrp());
}

/* NS-DMN-03 */
static void
setsid_begins_a_session(void **state)
{
	struct outcome o;

	(void)state;
	start(&o, become_ready, true);
	assert_int_equal(o.status, 0);
	assert_int_equal(o.daemon.session, o.daemon.pid);
	assert_int_equal(o.daemon.group, o.daemon.pid);
}

static void
fail_to_bind(struct daemonize *d)
{
	struct error e;

	error_set(&e, EX_UNAVAILABLE, -EADDRINUSE, "echo: cannot bind 127.0.0.1:80:\nin %%s use");
	/* Standard error is gone, as with setsid: the launcher still has its own. */
	stdio_to_null(true, NULL);
	daemonize_failed(d, &e);
	_exit(0);
}

/* NS-DMN-05, NS-FIX-23, NS-TST-47 */
static void
failure_reaches_the_one_who_typed(void **state)
{
	struct outcome o;

	(void)state;
	start(&o, fail_to_bind, true);
	assert_true(WIFEXITED(o.status));
	assert_int_equal(WEXITSTATUS(o.status), EX_UNAVAILABLE);
	assert_string_equal(o.said, "echo: cannot bind 127.0.0.1:80: in %s use\n");
}

static void
fail_at_length(struct daemonize *d)
{
	struct error e = { .code = -EIO, .status = 0 };

	memset(e.text, 'x', sizeof(e.text) - 1);
	e.text[sizeof(e.text) - 1] = '\0';
	daemonize_failed(d, &e);
	_exit(0);
}

static void
longest_sentence_arrives_whole(void **state)
{
	struct outcome o;

	(void)state;
	start(&o, fail_at_length, false);
	assert_int_equal(WEXITSTATUS(o.status), EX_SOFTWARE);
	assert_int_equal(strlen(o.said), sizeof(((struct error *)0)->text));
	assert_int_equal(o.said[strlen(o.said) - 1], '\n');
}

static void
exit_with_status(struct daemonize *d)
{
	(void)d;
	_exit(EX_CONFIG);
}

static void
exit_in_peace(struct daemonize *d)
{
	(void)d;
	_exit(0);
}

static void
crash(struct daemonize *d)
{
	(void)d;
	signal(SIGTERM, SIG_DFL);
	raise(SIGTERM);
}

/* NS-DMN-05: the daemon ends before it said anything. */
static void
silent_end_is_told_by_the_launcher(void **state)
{
	static const struct {
		daemon_fn life;
		int status;
		const char *says;
	} rows[] = {
		{ exit_with_status, EX_CONFIG,
		    ": the server ended with status 78 before it was ready\n" },
		{ exit_in_peace, 0, "" },
		{ crash, EX_SOFTWARE, ": the server was ended by signal 15 (" },
	};
	struct outcome o;
	size_t i;

	(void)state;
	for (i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		start(&o, rows[i].life, false);
		assert_true(WIFEXITED(o.status));
		assert_int_equal(WEXITSTATUS(o.status), rows[i].status);
		assert_non_null(strstr(o.said, rows[i].says));
		assert_int_equal(*o.said == '\0', rows[i].status == 0);
	}
}

/* A worker that keeps running must not keep the launcher waiting for the end of the pipe. */
static void
leave_a_worker_behind(struct daemonize *d)
{
	int gate[2];
	struct error e;

	error_set(&e, EX_OSERR, -EIO, "tend: broken");
	if (pipe2(gate, O_CLOEXEC) < 0)
		_exit(1);
	if (fork() == 0) {
		char byte;

		/* Lives until the daemon has spoken, with the launcher's pipe still open. */
		close(gate[1]);
		_exit(read(gate[0], &byte, 1) < 0);
	}
	daemonize_failed(d, &e);
	_exit(0);
}

static void
launcher_does_not_wait_for_workers(void **state)
{
	struct outcome o;

	(void)state;
	start(&o, leave_a_worker_behind, false);
	assert_int_equal(WEXITSTATUS(o.status), EX_OSERR);
	assert_string_equal(o.said, "tend: broken\n");
}

static void
forget(struct daemonize *d)
{
	int fd = d->ready_fd;

	if (!(fcntl(fd, F_GETFD) & FD_CLOEXEC))
		_exit(1);
	daemonize_forget(d);
	if (d->ready_fd != -1 || fcntl(fd, F_GETFD) >= 0)
		_exit(2);
	daemonize_forget(d);
	daemonize_ready(d);
	_exit(EX_TEMPFAIL);
}

static void
forgotten_pipe_says_nothing(void **state)
{
	struct outcome o;

	(void)state;
	start(&o, forget, false);
	assert_int_equal(WEXITSTATUS(o.status), EX_TEMPFAIL);
}

static void
nobody_waits_is_harmless(void **state)
{
	struct daemonize d;
	struct error e;

	(void)state;
	daemonize_init(&d);
	error_set(&e, EX_OSERR, -EIO, "x");
	daemonize_ready(&d);
	daemonize_failed(&d, &e);
	daemonize_forget(&d);
	assert_int_equal(d.ready_fd, -1);
}

/* The launcher was interrupted: its pipe has no reader, and SIGPIPE has its default. */
static void
launcher_that_was_killed_does_not_kill_the_daemon(void **state)
{
	struct daemonize d;
	int ends[2];

	(void)state;
	assert_int_equal(pipe2(ends, O_CLOEXEC), 0);
	close(ends[0]);
	d.ready_fd = ends[1];
	signal(SIGPIPE, SIG_DFL);
	daemonize_ready(&d);
	assert_int_equal(d.ready_fd, -1);
	assert_ptr_equal(signal(SIGPIPE, SIG_DFL), SIG_DFL);
}

static bool
is_null(int fd)
{
	struct stat st, null;

	return fstat(fd, &st) == 0 && stat("/dev/null", &null) == 0 && S_ISCHR(st.st_mode) &&
	    st.st_rdev == null.st_rdev && !(fcntl(fd, F_GETFD) & FD_CLOEXEC);
}

/* Each set of closed descriptors is mended; those that are open are not touched. */
static void
closed_standard_descriptors_are_opened(void **state)
{
	unsigned closed;

	(void)state;
	for (closed = 0; closed < 8; closed++) {
		pid_t child = fork();

		if (child == 0) {
			int ends[2], fd, wrong = 0;

			if (pipe2(ends, O_CLOEXEC) < 0)
				_exit(99);
			for (fd = 0; fd < 3; fd++)
				dup2(ends[0], fd);
			for (fd = 0; fd < 3; fd++)
				if (closed & 1u << fd)
					close(fd);
			if (stdio_sanitize(NULL) < 0)
				_exit(98);
			for (fd = 0; fd < 3; fd++)
				wrong += is_null(fd) != ((closed & 1u << fd) != 0);
			_exit(wrong);
		}
		assert_int_equal(status_of(child), 0);
	}
}

/* NS-DMN-01 */
static void
standard_descriptors_go_to_null(void **state)
{
	int error_too, close_first;

	(void)state;
	for (error_too = 0; error_too < 2; error_too++)
		for (close_first = 0; close_first < 2; close_first++) {
			pid_t child = fork();

			if (child == 0) {
				int ends[2], fd, wrong = 0, before;

				if (pipe2(ends, O_CLOEXEC) < 0)
					_exit(99);
				for (fd = 0; fd < 3; fd++)
					dup2(ends[0], fd);
				if (close_first)
					close(STDIN_FILENO);
				before = dup(ends[0]);
				close(before);
				if (stdio_to_null(error_too != 0, NULL) < 0)
					_exit(98);
				for (fd = 0; fd < 3; fd++)
					wrong += is_null(fd) != (fd < 2 || error_too);
				/* No other descriptor is left behind. */
				if (!close_first)
					wrong += dup(ends[0]) != before;
				_exit(wrong);
			}
			assert_int_equal(status_of(child), 0);
		}
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(background_keeps_the_session),
		cmocka_unit_test(setsid_begins_a_session),
		cmocka_unit_test(failure_reaches_the_one_who_typed),
		cmocka_unit_test(longest_sentence_arrives_whole),
		cmocka_unit_test(silent_end_is_told_by_the_launcher),
		cmocka_unit_test(launcher_does_not_wait_for_workers),
		cmocka_unit_test(forgotten_pipe_says_nothing),
		cmocka_unit_test(nobody_waits_is_harmless),
		cmocka_unit_test(launcher_that_was_killed_does_not_kill_the_daemon),
		cmocka_unit_test(closed_standard_descriptors_are_opened),
		cmocka_unit_test(standard_descriptors_go_to_null),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
