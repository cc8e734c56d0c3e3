/* Taking turns: one at a time, whatever happens to the one whose turn it is. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/sem.h>
#include <sys/stat.h>
#include <time.h>
#include <sys/wait.h>
#include <unistd.h>

#include "process/serialize.h"

#define CHILDREN 4
#define ROUNDS 500

static const enum serialize_how with_turns[] = {
	SERIALIZE_FLOCK, SERIALIZE_SEMAPHORE, SERIALIZE_PIPE,
};
#define WAYS (sizeof(with_turns) / sizeof(with_turns[0]))

/* What the children of a test share. */
struct shared {
	_Atomic int  inside;
	_Atomic int  crowds;  /* how often somebody was not alone */
	volatile int counter; /* not atomic: wrong when two count at once */
	_Atomic int  interrupted;
};

static struct shared *shared;
static char           directory[64];

static int
setup(void **state)
{
	(void)state;
	strcpy(directory, "/tmp/tend-serialize-XXXXXX");
	if (mkdtemp(directory) == NULL)
		return -1;
	/* Where automatic lock files go. */
	setenv("TMPDIR", directory, 1);
	shared = mmap(NULL, sizeof(*shared), PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS,
	    -1, 0);
	return shared == MAP_FAILED ? -1 : 0;
}

/* Fails when a test has left something in the directory. */
static int
teardown(void **state)
{
	(void)state;
	munmap(shared, sizeof(*shared));
	unsetenv("TMPDIR");
	return rmdir(directory);
}

static void
open_turns(struct serialize *s, enum serialize_how how)
{
	struct error e = { 0 };

	if (serialize_open(s, how, NULL, &e) != 0)
		fail_msg("%s: %s", serialize_name(how), e.text);
}

static void
wait_for(pid_t pid)
{
	int status = -1;

	assert_int_equal(waitpid(pid, &status, 0), pid);
	assert_int_equal(status, 0);
}

/* ---- one at a time ---- */

static void
take_turns(struct serialize *s)
{
	int i, r;

	for (i = 0; i < ROUNDS; i++) {
		while ((r = serialize_wait(s, -1)) == -EINTR)
			;
		if (r != 0)
			_exit(2);
		if (atomic_fetch_add(&shared->inside, 1) != 0)
			atomic_fetch_add(&shared->crowds, 1);
		shared->counter = shared->counter + 1;
		atomic_fetch_sub(&shared->inside, 1);
		serialize_pass(s);
	}
}

/* NS-SER-01, -02, -03 */
static void
only_one_has_the_turn_and_everybody_gets_it(void **state)
{
	pid_t pids[CHILDREN];
	struct serialize s;
	size_t way;
	int i;

	(void)state;
	for (way = 0; way < WAYS; way++) {
		open_turns(&s, with_turns[way]);
		memset(shared, 0, sizeof(*shared));
		for (i = 0; i < CHILDREN; i++) {
			pids[i] = fork();
			if (pids[i] == 0) {
				alarm(60);
				if (serialize_join(&s, NULL) != 0)
					_exit(3);
				take_turns(&s);
				_exit(0);
			}
			assert_true(pids[i] > 0);
		}
		for (i = 0; i < CHILDREN; i++)
			wait_for(pids[i]);
		assert_int_equal(shared->crowds, 0);
		assert_int_equal(shared->counter, CHILDREN * ROUNDS);
		serialize_close(&s);
	}
}

/* NS-SER-04 */
static void
without_turns_nobody_waits(void **state)
{
	struct serialize a, b;

	(void)state;
	open_turns(&a, SERIALIZE_NONE);
	assert_int_equal(serialize_join(&a, NULL), 0);
	b = a;
	assert_int_equal(serialize_wait(&a, -1), 0);
	assert_int_equal(serialize_wait(&b, -1), 0);
	serialize_pass(&a);
	serialize_pass(&b);
	serialize_died(&a, getpid());
	serialize_close(&a);
}

static void
the_turn_is_asked_for_and_passed_once(void **state)
{
	struct serialize s;
	size_t way;

	(void)state;
	for (way = 0; way < WAYS; way++) {
		open_turns(&s, with_turns[way]);
		assert_int_equal(serialize_join(&s, NULL), 0);
		/* Nothing to pass: must not give away another's turn, nor make a second one. */
		serialize_pass(&s);
		assert_int_equal(serialize_wait(&s, -1), 0);
		assert_int_equal(serialize_wait(&s, -1), 0);
		assert_true(s.held);
		serialize_pass(&s);
		serialize_pass(&s);
		assert_false(s.held);
		if (with_turns[way] == SERIALIZE_SEMAPHORE)
			assert_int_equal(semctl(s.semaphore, 0, GETVAL), 1);
		serialize_close(&s);
	}
}

/* NS-SER-05: the log names the method. */
static void
the_ways_have_the_names_of_the_option(void **state)
{
	(void)state;
	assert_string_equal(serialize_name(SERIALIZE_NONE), "none");
	assert_string_equal(serialize_name(SERIALIZE_FLOCK), "flock");
	assert_string_equal(serialize_name(SERIALIZE_SEMAPHORE), "semaphore");
	assert_string_equal(serialize_name(SERIALIZE_PIPE), "pipe");
}

/* ---- the holder dies ---- */

/* A child that has the turn and keeps it. */
static pid_t
start_holder(struct serialize *s)
{
	int said[2];
	char byte;
	pid_t pid;

	assert_int_equal(pipe(said), 0);
	pid = fork();
	if (pid == 0) {
		alarm(60);
		if (serialize_join(s, NULL) != 0 || serialize_wait(s, -1) != 0)
			_exit(2);
		if (write(said[1], "", 1) != 1)
			_exit(3);
		for (;;)
			pause();
	}
	assert_true(pid > 0);
	close(said[1]);
	assert_int_equal(read(said[0], &byte, 1), 1);
	close(said[0]);
	return pid;
}

static pid_t
start_waiter(struct serialize *s)
{
	pid_t pid = fork();

	if (pid == 0) {
		int r;

		alarm(60);
		if (serialize_join(s, NULL) != 0)
			_exit(2);
		while ((r = serialize_wait(s, -1)) == -EINTR)
			;
		_exit(r == 0 ? 0 : 3);
	}
	assert_true(pid > 0);
	return pid;
}

static void
kill_and_reap(struct serialize *s, pid_t pid)
{
	int status;

	kill(pid, SIGKILL);
	assert_int_equal(waitpid(pid, &status, 0), pid);
	assert_true(WIFSIGNALED(status) && WTERMSIG(status) == SIGKILL);
	serialize_died(s, pid);
}

/* NS-SER-02, -03, NS-FIX-17, NS-TST-60 */
static void
a_killed_holder_does_not_keep_the_turn(void **state)
{
	struct serialize s;
	size_t way;
	int i;

	(void)state;
	for (way = 0; way < WAYS; way++) {
		open_turns(&s, with_turns[way]);
		for (i = 0; i < 3; i++) {
			pid_t holder = start_holder(&s);
			pid_t waiter = start_waiter(&s);

			/* It has to wait as long as the holder lives. */
			usleep(20000);
			assert_int_equal(waitpid(waiter, NULL, WNOHANG), 0);
			kill_and_reap(&s, holder);
			wait_for(waiter);
			/* Which left without passing on what it had got. */
			serialize_died(&s, waiter);
		}
		serialize_close(&s);
	}
}

/* One who waits and is killed takes nothing along; here with the byte that was to wake others. */
static void
a_killed_waiter_does_not_swallow_the_wake(void **state)
{
	struct serialize s;
	pid_t holder, dead, waiter;

	(void)state;
	open_turns(&s, SERIALIZE_PIPE);
	holder = start_holder(&s);
	dead = start_waiter(&s);
	waiter = start_waiter(&s);
	usleep(20000);
	kill(dead, SIGKILL);
	assert_int_equal(waitpid(dead, NULL, 0), dead);
	kill(holder, SIGKILL);
	assert_int_equal(waitpid(holder, NULL, 0), holder);
	/* As if the holder had passed the turn and the dead one had read the byte. */
	atomic_store(s.holder, 0);
	serialize_died(&s, dead);
	wait_for(waiter);
	serialize_close(&s);
}

/* A pid that never had the turn does not pass it on. */
static void
the_death_of_another_leaves_the_turn_where_it_is(void **state)
{
	struct serialize s;
	pid_t holder, waiter;

	(void)state;
	open_turns(&s, SERIALIZE_PIPE);
	holder = start_holder(&s);
	waiter = start_waiter(&s);
	serialize_died(&s, getpid());
	usleep(20000);
	assert_int_equal(waitpid(waiter, NULL, WNOHANG), 0);
	assert_int_equal(atomic_load(s.holder), holder);
	kill_and_reap(&s, holder);
	wait_for(waiter);
	serialize_close(&s);
}

/* ---- signals ---- */

static void
note(int signo)
{
	(void)signo;
	atomic_fetch_add(&shared->interrupted, 1);
}

/* Signals that come again and again: one of them finds the child waiting. */
static void
wait_under_signals(struct serialize *s)
{
	struct sigaction act = { .sa_handler = note };
	struct sigevent event = { .sigev_notify = SIGEV_SIGNAL, .sigev_signo = SIGUSR1 };
	struct itimerspec often = { { 0, 10000000 }, { 0, 10000000 } };
	timer_t timer;

	alarm(60);
	if (serialize_join(s, NULL) != 0)
		_exit(2);
	sigaction(SIGUSR1, &act, NULL);
	if (timer_create(CLOCK_MONOTONIC, &event, &timer) < 0 ||
	    timer_settime(timer, 0, &often, NULL) < 0)
		_exit(5);
	if (serialize_wait(s, -1) != -EINTR)
		_exit(3);
	_exit(s->held ? 4 : 0);
}

static void
a_signal_ends_the_wait(void **state)
{
	struct serialize s;
	size_t way;

	(void)state;
	for (way = 0; way < WAYS; way++) {
		pid_t holder, pid;

		shared->interrupted = 0;
		open_turns(&s, with_turns[way]);
		holder = start_holder(&s);
		pid = fork();
		if (pid == 0)
			wait_under_signals(&s);
		assert_true(pid > 0);
		wait_for(pid);
		assert_true(shared->interrupted > 0 || with_turns[way] == SERIALIZE_SEMAPHORE);
		kill_and_reap(&s, holder);
		serialize_close(&s);
	}
}

/* The signal that came just before the wait is not lost. */
static void
a_signal_before_the_wait_ends_it_too(void **state)
{
	struct serialize s;
	int told[2];
	pid_t holder;

	(void)state;
	assert_int_equal(pipe(told), 0);
	assert_int_equal(write(told[1], "", 1), 1);
	open_turns(&s, SERIALIZE_PIPE);
	holder = start_holder(&s);
	assert_int_equal(serialize_wait(&s, told[0]), -EINTR);
	assert_false(s.held);
	kill_and_reap(&s, holder);
	/* A turn that is free is taken all the same. */
	assert_int_equal(serialize_wait(&s, told[0]), 0);
	serialize_pass(&s);
	serialize_close(&s);
	/* A semaphore looks up from time to time, since it has no descriptor to listen to. */
	open_turns(&s, SERIALIZE_SEMAPHORE);
	holder = start_holder(&s);
	assert_int_equal(serialize_wait(&s, told[0]), -EINTR);
	kill_and_reap(&s, holder);
	serialize_close(&s);
	close(told[0]);
	close(told[1]);
}

/* ---- what is left behind ---- */

static void
path_in_directory(char *path, size_t size, const char *name)
{
	snprintf(path, size, "%s/%s", directory, name);
}

/* NS-SER-01 */
static void
a_given_lock_file_stays_and_an_automatic_one_goes(void **state)
{
	char path[128], automatic[128];
	struct serialize s;
	struct stat st;

	(void)state;
	path_in_directory(path, sizeof(path), "given.lock");
	assert_int_equal(serialize_open(&s, SERIALIZE_FLOCK, path, NULL), 0);
	assert_int_equal(stat(path, &st), 0);
	assert_int_equal(st.st_mode & 0777, 0600);
	serialize_close(&s);
	assert_int_equal(stat(path, &st), 0);
	/* It may be there already. */
	assert_int_equal(serialize_open(&s, SERIALIZE_FLOCK, path, NULL), 0);
	serialize_close(&s);
	assert_int_equal(unlink(path), 0);

	assert_int_equal(serialize_open(&s, SERIALIZE_FLOCK, "", NULL), 0);
	snprintf(automatic, sizeof(automatic), "%s", s.lock_file);
	assert_memory_equal(automatic, directory, strlen(directory));
	assert_int_equal(stat(automatic, &st), 0);
	serialize_close(&s);
	assert_int_equal(stat(automatic, &st), -1);
}

/* NS-FIX-56 */
static void
a_relative_lock_file_is_found_from_elsewhere(void **state)
{
	char path[128], before[512];
	struct serialize s;
	struct stat there, st;

	(void)state;
	path_in_directory(path, sizeof(path), "given.lock");
	assert_non_null(getcwd(before, sizeof(before)));
	assert_int_equal(chdir(directory), 0);
	assert_int_equal(serialize_open(&s, SERIALIZE_FLOCK, "given.lock", NULL), 0);
	assert_int_equal(chdir("/"), 0);
	assert_int_equal(stat(path, &there), 0);
	assert_int_equal(stat(s.lock_file, &st), 0);
	assert_int_equal(st.st_ino, there.st_ino);
	serialize_close(&s);
	assert_int_equal(unlink(path), 0);
	assert_int_equal(chdir(before), 0);
}

static void
a_lock_file_that_cannot_be_had_is_named_in_the_error(void **state)
{
	char path[128], link[128];
	struct error e = { 0 };
	struct serialize s;

	(void)state;
	path_in_directory(path, sizeof(path), "no/such/directory");
	assert_int_equal(serialize_open(&s, SERIALIZE_FLOCK, path, &e), -ENOENT);
	assert_int_equal(e.status, EX_CANTCREAT);
	assert_non_null(strstr(e.text, path));
	assert_non_null(strstr(e.text, "lock_file"));
	serialize_close(&s);
	/* In a directory for everybody a link may lead to anything. */
	path_in_directory(link, sizeof(link), "link");
	assert_int_equal(symlink("/dev/null", link), 0);
	assert_int_equal(serialize_open(&s, SERIALIZE_FLOCK, link, &e), -ELOOP);
	serialize_close(&s);
	assert_int_equal(unlink(link), 0);
}

static void
workers_join_although_the_lock_file_is_gone(void **state)
{
	char path[128];
	struct serialize s;
	pid_t holder, waiter;

	(void)state;
	path_in_directory(path, sizeof(path), "given.lock");
	assert_int_equal(serialize_open(&s, SERIALIZE_FLOCK, path, NULL), 0);
	assert_int_equal(unlink(path), 0);
	holder = start_holder(&s);
	waiter = start_waiter(&s);
	usleep(20000);
	assert_int_equal(waitpid(waiter, NULL, WNOHANG), 0);
	kill_and_reap(&s, holder);
	wait_for(waiter);
	serialize_close(&s);
}

/* NS-SER-02 */
static void
the_semaphore_is_removed_at_the_end(void **state)
{
	struct serialize s;
	pid_t holder;
	int id;

	(void)state;
	open_turns(&s, SERIALIZE_SEMAPHORE);
	id = s.semaphore;
	assert_int_equal(semctl(id, 0, GETVAL), 1);
	holder = start_holder(&s);
	assert_int_equal(semctl(id, 0, GETVAL), 0);
	kill_and_reap(&s, holder);
	assert_int_equal(semctl(id, 0, GETVAL), 1);
	serialize_close(&s);
	assert_int_equal(semctl(id, 0, GETVAL), -1);
}

/* A worker whose means of waiting has vanished goes on without turns. */
static void
other_errors_are_reported(void **state)
{
	struct serialize s;

	(void)state;
	open_turns(&s, SERIALIZE_SEMAPHORE);
	assert_int_equal(semctl(s.semaphore, 0, IPC_RMID), 0);
	assert_in_range(-serialize_wait(&s, -1), EINVAL, EIDRM);
	assert_false(s.held);
	serialize_close(&s);
}

static void
descriptors_stay_in_this_program(void **state)
{
	struct serialize s;

	(void)state;
	open_turns(&s, SERIALIZE_FLOCK);
	assert_int_equal(fcntl(s.lock_fd, F_GETFD), FD_CLOEXEC);
	assert_int_equal(serialize_join(&s, NULL), 0);
	assert_int_equal(fcntl(s.lock_fd, F_GETFD), FD_CLOEXEC);
	serialize_close(&s);
	open_turns(&s, SERIALIZE_PIPE);
	assert_int_equal(fcntl(s.token[0], F_GETFD), FD_CLOEXEC);
	assert_int_equal(fcntl(s.token[1], F_GETFD), FD_CLOEXEC);
	serialize_close(&s);
	assert_int_equal(s.lock_fd, -1);
	/* Twice is no harm. */
	serialize_close(&s);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

int
main(void)
{
	static const struct CMUnitTest tests[] = {
		TEST(only_one_has_the_turn_and_everybody_gets_it),
		TEST(without_turns_nobody_waits),
		TEST(the_turn_is_asked_for_and_passed_once),
		TEST(the_ways_have_the_names_of_the_option),
		TEST(a_killed_holder_does_not_keep_the_turn),
		TEST(a_killed_waiter_does_not_swallow_the_wake),
		TEST(the_death_of_another_leaves_the_turn_where_it_is),
		TEST(a_signal_ends_the_wait),
		TEST(a_signal_before_the_wait_ends_it_too),
		TEST(a_given_lock_file_stays_and_an_automatic_one_goes),
		TEST(a_relative_lock_file_is_found_from_elsewhere),
		TEST(a_lock_file_that_cannot_be_had_is_named_in_the_error),
		TEST(workers_join_although_the_lock_file_is_gone),
		TEST(the_semaphore_is_removed_at_the_end),
		TEST(other_errors_are_reported),
		TEST(descriptors_stay_in_this_program),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
