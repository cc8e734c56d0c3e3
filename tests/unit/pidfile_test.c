/* The pid file: who may take it, what it holds, how it goes away: src/process/pidfile.c. */
#include <errno.h>
#include <fcntl.h>
#include <grp.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>
#include <cmocka.h>

#include "process/pidfile.h"

#include "directory_fixture.h"
#include "fork_fixture.h"

#define NOBODY 65534

struct fixture {
	struct pidfile pidfile;
	struct error error;
	char directory[DIRECTORY_MAX];
	char path[96];
	char text[64];
};

static int
set_up(void **state)
{
	struct fixture *f = calloc(1, sizeof(*f));

	if (f == NULL)
		return -1;
	if (directory_make(f->directory, "pidfile_test") < 0)
		return -1;
	snprintf(f->path, sizeof(f->path), "%s/server.pid", f->directory);
	pidfile_init(&f->pidfile);
	*state = f;
	return 0;
}

static int
tear_down(void **state)
{
	struct fixture *f = *state;
	int r;

	pidfile_close(&f->pidfile);
	unlink(f->path);
	r = rmdir(f->directory);
	free(f);
	return r;
}

static void
fill(const struct fixture *f, const char *text)
{
	int fd = open(f->path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0644);

	assert_true(fd >= 0);
	assert_int_equal(write(fd, text, strlen(text)), strlen(text));
	close(fd);
}

static void
fill_with_pid(const struct fixture *f, pid_t pid)
{
	char text[32];

	snprintf(text, sizeof(text), "%d\n", (int)pid);
	fill(f, text);
}

static const char *
contents(struct fixture *f)
{
	return file_contents(f->path, f->text, sizeof(f->text));
}

static void
assert_holds(struct fixture *f, pid_t pid)
{
	char text[32];

	snprintf(text, sizeof(text), "%d\n", (int)pid);
	assert_string_equal(contents(f), text);
}

static void
take(struct fixture *f)
{
	assert_int_equal(pidfile_open(&f->pidfile, f->path, NULL, &f->error), 0);
	assert_int_equal(pidfile_write(&f->pidfile, &f->error), 0);
}

/* A child that lives until end_child(). */
static pid_t
start_child(int *leash)
{
	int ends[2];
	pid_t child;

	assert_int_equal(pipe2(ends, O_CLOEXEC), 0);
	child = fork();
	if (child == 0) {
		char byte;

		close(ends[1]);
		_exit(read(ends[0], &byte, 1) < 0);
	}
	assert_true(child > 0);
	close(ends[0]);
	*leash = ends[1];
	return child;
}

static void
end_child(pid_t child, int leash)
{
	close(leash);
	assert_int_equal(waitpid(child, NULL, 0), child);
}

/* The number of a process that is dead and reaped. */
static pid_t
dead_pid(void)
{
	int leash;
	pid_t child = start_child(&leash);

	end_child(child, leash);
	return child;
}

/* NS-DMN-30, NS-DMN-36 */
static void
file_holds_the_pid_and_goes_with_its_owner(void **state)
{
	struct fixture *f = *state;
	struct stat st;
	mode_t mask = umask(022);

	take(f);
	umask(mask);
	assert_holds(f, getpid());
	assert_int_equal(stat(f->path, &st), 0);
	assert_int_equal(st.st_mode & 07777, 0644);
	assert_true(fcntl(f->pidfile.fd, F_GETFD) & FD_CLOEXEC);
	assert_true(fcntl(f->pidfile.directory, F_GETFD) & FD_CLOEXEC);
	assert_int_equal(pidfile_remove(&f->pidfile, &f->error), 0);
	assert_int_equal(access(f->path, F_OK), -1);
	assert_int_equal(pidfile_remove(&f->pidfile, &f->error), 0);
	pidfile_close(&f->pidfile);
	pidfile_close(&f->pidfile);
	assert_int_equal(f->pidfile.fd, -1);
}

/* NS-DMN-31: in whatever way the living process is written there. */
static void
live_process_is_fatal_and_the_file_is_kept(void **state)
{
	static const char *const forms[] = { "%d\n", "%d", "%d some words\n", "%d\n1\n" };
	struct fixture *f = *state;
	int leash;
	pid_t child = start_child(&leash);
	char text[64], number[32];
	size_t i;

	snprintf(number, sizeof(number), "%d", (int)child);
	for (i = 0; i < sizeof(forms) / sizeof(forms[0]); i++) {
		snprintf(text, sizeof(text), "%s%s", number, forms[i] + 2);
		fill(f, text);
		assert_int_equal(pidfile_open(&f->pidfile, f->path, NULL, &f->error), -EEXIST);
		assert_int_equal(f->error.status, EX_UNAVAILABLE);
		assert_non_null(strstr(f->error.text, number));
		assert_non_null(strstr(f->error.text, f->path));
		assert_non_null(strstr(f->error.text, "rm '"));
		assert_string_equal(contents(f), text);
		assert_int_equal(f->pidfile.fd, -1);
	}
	end_child(child, leash);
}

/* NS-DMN-32 */
static void
dead_process_is_replaced(void **state)
{
	struct fixture *f = *state;
	pid_t dead = dead_pid(), stale = -1;

	fill_with_pid(f, dead);
	assert_int_equal(pidfile_open(&f->pidfile, f->path, &stale, &f->error), 0);
	assert_int_equal(stale, dead);
	assert_int_equal(pidfile_write(&f->pidfile, &f->error), 0);
	assert_holds(f, getpid());
}

/* A server that nobody has reaped, as happens in containers without an init. */
static void
zombie_is_dead(void **state)
{
	struct fixture *f = *state;
	siginfo_t info;
	int leash;
	pid_t child = start_child(&leash), stale = 0;

	fill_with_pid(f, child);
	close(leash);
	assert_int_equal(waitid(P_PID, (id_t)child, &info, WEXITED | WNOWAIT), 0);
	if (access("/proc/self/stat", R_OK) == 0) {
		assert_int_equal(pidfile_open(&f->pidfile, f->path, &stale, &f->error), 0);
		assert_int_equal(stale, child);
	}
	assert_int_equal(waitpid(child, NULL, 0), child);
}

/* NS-DMN-37: the number of the file was given to another process, after a reboot for example. */
static void
process_younger_than_the_file_did_not_write_it(void **state)
{
	struct fixture *f = *state;
	struct timespec times[2] = { { .tv_sec = time(NULL) - 10 },
		{ .tv_sec = time(NULL) - 10 } };
	int leash;
	pid_t child = start_child(&leash), stale = 0;

	fill_with_pid(f, child);
	assert_int_equal(utimensat(AT_FDCWD, f->path, times, 0), 0);
	if (access("/proc/self/stat", R_OK) == 0) {
		assert_int_equal(pidfile_open(&f->pidfile, f->path, &stale, &f->error), 0);
		assert_int_equal(stale, child);
	}
	end_child(child, leash);
}

/* NS-DMN-33 */
static void
own_pid_after_a_restart_is_fine(void **state)
{
	struct fixture *f = *state;
	pid_t stale = -1;

	fill_with_pid(f, getpid());
	assert_int_equal(pidfile_open(&f->pidfile, f->path, &stale, &f->error), 0);
	assert_int_equal(stale, 0);
}

/* NS-DMN-34 */
static void
garbage_is_fatal_and_kept(void **state)
{
	static const char *const rows[] = { "hello\n", " 12\n", "\n12\n", "-1\n", "0\n",
		"9999999999\n", "\x1b]0;x\n" };
	struct fixture *f = *state;
	size_t i;

	for (i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		fill(f, rows[i]);
		assert_int_equal(pidfile_open(&f->pidfile, f->path, NULL, &f->error), -EINVAL);
		assert_int_equal(f->error.status, EX_DATAERR);
		assert_non_null(strstr(f->error.text, f->path));
		assert_null(strchr(f->error.text, '\x1b'));
		assert_string_equal(contents(f), rows[i]);
	}
}

/* NS-DMN-34, better: the lock tells a start in progress from a leftover, whatever its age. */
static void
empty_file_is_taken_over(void **state)
{
	struct fixture *f = *state;

	fill(f, "");
	take(f);
	assert_holds(f, getpid());
}

/* Only the leading line is replaced, and nothing of a longer one remains. */
static void
longer_content_is_replaced_whole(void **state)
{
	struct fixture *f = *state;
	char text[64];

	snprintf(text, sizeof(text), "%d and many words more\nand lines\n", (int)dead_pid());
	fill(f, text);
	take(f);
	assert_holds(f, getpid());
}

/* NS-DMN-37: between opening and writing, and after. */
static void
locked_file_is_running(void **state)
{
	struct fixture *f = *state;
	struct pidfile second;
	char number[32];

	assert_int_equal(pidfile_open(&f->pidfile, f->path, NULL, &f->error), 0);
	assert_int_equal(pidfile_open(&second, f->path, NULL, &f->error), -EEXIST);
	assert_int_equal(f->error.status, EX_UNAVAILABLE);
	assert_non_null(strstr(f->error.text, "just starting"));
	assert_int_equal(pidfile_write(&f->pidfile, &f->error), 0);
	assert_int_equal(pidfile_open(&second, f->path, NULL, &f->error), -EEXIST);
	snprintf(number, sizeof(number), "running as process %d,", (int)getpid());
	assert_non_null(strstr(f->error.text, number));
	assert_holds(f, getpid());
}

/* NS-DMN-37: many at once, one wins. Those that lose have changed nothing. */
static void
of_simultaneous_starts_one_wins(void **state)
{
	struct fixture *f = *state;
	int go[2], done[2], i, winners = 0;
	pid_t children[8];
	char byte;

	assert_int_equal(pipe2(go, O_CLOEXEC), 0);
	assert_int_equal(pipe2(done, O_CLOEXEC), 0);
	for (i = 0; i < 8; i++) {
		children[i] = fork();
		if (children[i] == 0) {
			int r;

			close(go[1]);
			close(done[1]);
			if (read(go[0], &byte, 1) < 0)
				_exit(9);
			r = pidfile_open(&f->pidfile, f->path, NULL, NULL);
			if (r == 0)
				r = pidfile_write(&f->pidfile, NULL);
			/* The winner holds it until all others have tried. */
			if (r == 0 && read(done[0], &byte, 1) < 0)
				_exit(9);
			_exit(r == 0 ? 0 : r == -EEXIST ? 1 : 2);
		}
	}
	close(go[0]);
	close(go[1]);
	close(done[0]);
	for (i = 0; i < 7; i++) {
		int status;
		pid_t loser = wait(&status);

		assert_true(loser > 0);
		assert_int_equal(WEXITSTATUS(status), 1);
	}
	close(done[1]);
	for (i = 0; i < 8; i++) {
		int status;

		if (waitpid(children[i], &status, 0) == children[i]) {
			winners += WEXITSTATUS(status) == 0;
			assert_holds(f, children[i]);
		}
	}
	assert_int_equal(winners, 1);
}

/* Stands in for libc's: what the other server does just before we get the lock. */
static const char *removed_before_lock;
static int removals;

int
flock(int fd, int operation)
{
	if (removed_before_lock != NULL && removals-- > 0)
		unlink(removed_before_lock);
	return (int)syscall(SYS_flock, fd, operation);
}

/* NS-DMN-37: one removes it between another's opening and locking. Nobody holds a ghost. */
static void
file_removed_before_the_lock_is_opened_again(void **state)
{
	struct fixture *f = *state;

	removed_before_lock = f->path;
	removals = 3;
	assert_int_equal(pidfile_open(&f->pidfile, f->path, NULL, &f->error), 0);
	assert_int_equal(pidfile_write(&f->pidfile, &f->error), 0);
	assert_holds(f, getpid());
	pidfile_close(&f->pidfile);
	unlink(f->path);

	removals = 1000;
	assert_int_equal(pidfile_open(&f->pidfile, f->path, NULL, &f->error), -EAGAIN);
	assert_int_equal(f->error.status, EX_TEMPFAIL);
	removed_before_lock = NULL;
}

/*
 * NS-DMN-02, NS-DMN-38: checked by the launcher, kept by the daemon when the launcher is gone.
 */
static void
lock_survives_the_way_into_the_background(void **state)
{
	struct fixture *f = *state;
	struct pidfile second;
	int ready[2], leash[2];
	pid_t daemon = 0, launcher;
	char number[32];

	assert_int_equal(pipe2(ready, O_CLOEXEC), 0);
	assert_int_equal(pipe2(leash, O_CLOEXEC), 0);
	launcher = fork();
	if (launcher == 0) {
		if (pidfile_open(&f->pidfile, f->path, NULL, NULL) < 0 || fork() != 0)
			_exit(0);
		close(leash[1]);
		if (pidfile_write(&f->pidfile, NULL) == 0) {
			pid_t self = getpid();
			ssize_t n = write(ready[1], &self, sizeof(self));

			n = read(leash[0], number, n > 0);
			pidfile_remove(&f->pidfile, NULL);
		}
		_exit(0);
	}
	close(ready[1]);
	assert_int_equal(status_of(launcher), 0);
	assert_int_equal(read(ready[0], &daemon, sizeof(daemon)), sizeof(daemon));
	assert_int_equal(pidfile_open(&second, f->path, NULL, &f->error), -EEXIST);
	snprintf(number, sizeof(number), " %d,", (int)daemon);
	assert_non_null(strstr(f->error.text, number));
	close(leash[1]);
	/* The end of the daemon is the end of this pipe. */
	assert_int_equal(read(ready[0], number, 1), 0);
	assert_int_equal(access(f->path, F_OK), -1);
	close(ready[0]);
	close(leash[0]);
}

/* NS-DMN-36, NS-SHD-12 */
static void
child_cannot_remove_it(void **state)
{
	struct fixture *f = *state;
	pid_t child;

	take(f);
	child = fork();
	if (child == 0)
		_exit(pidfile_remove(&f->pidfile, NULL) != 0);
	assert_int_equal(status_of(child), 0);
	assert_holds(f, getpid());
}

/* A child that has closed its copy does not keep the name of a dead server locked. */
static void
child_that_closed_it_holds_no_lock(void **state)
{
	struct fixture *f = *state;
	int ends[2], close_it;
	char byte;

	for (close_it = 0; close_it < 2; close_it++) {
		struct pidfile second;
		int leash[2], r;
		pid_t child;

		assert_int_equal(pipe2(ends, O_CLOEXEC), 0);
		assert_int_equal(pipe2(leash, O_CLOEXEC), 0);
		take(f);
		child = fork();
		if (child == 0) {
			close(leash[1]);
			if (close_it)
				pidfile_close(&f->pidfile);
			if (write(ends[1], "x", 1) < 0 || read(leash[0], &byte, 1) < 0)
				_exit(1);
			_exit(0);
		}
		assert_int_equal(read(ends[0], &byte, 1), 1);
		pidfile_close(&f->pidfile);
		r = pidfile_open(&second, f->path, NULL, &f->error);
		assert_int_equal(r, close_it ? 0 : -EEXIST);
		pidfile_close(&second);
		close(leash[1]);
		assert_int_equal(status_of(child), 0);
		close(leash[0]);
		close(ends[0]);
		close(ends[1]);
	}
}

/*
 * The server was killed and a child with the lock is left: the sentence must not blame the dead.
 */
static void
lock_of_a_left_over_child_is_told(void **state)
{
	struct fixture *f = *state;
	struct pidfile second;

	assert_int_equal(pidfile_open(&f->pidfile, f->path, NULL, &f->error), 0);
	fill_with_pid(f, dead_pid());
	assert_int_equal(pidfile_open(&second, f->path, NULL, &f->error), -EEXIST);
	assert_non_null(strstr(f->error.text, "a child of server"));
}

/* The path has become another server's: hands off. */
static void
file_of_another_is_not_removed(void **state)
{
	struct fixture *f = *state;

	take(f);
	assert_int_equal(unlink(f->path), 0);
	fill(f, "77\n");
	assert_int_equal(pidfile_remove(&f->pidfile, &f->error), 0);
	assert_string_equal(contents(f), "77\n");
}

static void
file_that_vanished_during_the_start_is_told(void **state)
{
	struct fixture *f = *state;

	assert_int_equal(pidfile_open(&f->pidfile, f->path, NULL, &f->error), 0);
	assert_int_equal(unlink(f->path), 0);
	assert_int_equal(pidfile_write(&f->pidfile, &f->error), -ESTALE);
	assert_non_null(strstr(f->error.text, f->path));
}

/* A start that fails between opening and writing leaves no empty file behind. */
static void
failed_start_leaves_nothing(void **state)
{
	struct fixture *f = *state;

	assert_int_equal(pidfile_open(&f->pidfile, f->path, NULL, &f->error), 0);
	assert_int_equal(pidfile_remove(&f->pidfile, &f->error), 0);
	assert_int_equal(access(f->path, F_OK), -1);
}

/* NS-DMN-35, NS-TST-63 */
static void
unusable_paths_are_told_by_name(void **state)
{
	static const struct {
		const char *below;
		int code;
		const char *says;
	} rows[] = {
		{ "/no/such.pid", -ENOENT, "its directory: no such file or directory" },
		{ "", -EISDIR, "is a directory" },
		{ "/", -EISDIR, "is a directory" },
		{ "/..", -EISDIR, "is a directory" },
		{ "/link", -ELOOP, "symbolic link" },
		{ "/fifo", -EINVAL, "not a regular file" },
		{ "/fifo/x.pid", -ENOTDIR, "its directory: not a directory" },
	};
	struct fixture *f = *state;
	char path[128], link[96], fifo[96];
	size_t i;

	snprintf(link, sizeof(link), "%s/link", f->directory);
	snprintf(fifo, sizeof(fifo), "%s/fifo", f->directory);
	assert_int_equal(symlink("elsewhere", link), 0);
	assert_int_equal(mkfifo(fifo, 0600), 0);
	for (i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		snprintf(path, sizeof(path), "%s%s", f->directory, rows[i].below);
		assert_int_equal(pidfile_open(&f->pidfile, path, NULL, &f->error), rows[i].code);
		assert_true(f->error.status == EX_CANTCREAT || f->error.status == EX_CONFIG);
		assert_non_null(strstr(f->error.text, path));
		assert_non_null(strstr(f->error.text, rows[i].says));
		assert_int_equal(f->pidfile.directory, -1);
	}
	unlink(link);
	unlink(fifo);
}

static void
relative_path_is_in_the_working_directory(void **state)
{
	struct fixture *f = *state;
	char cwd[4096];

	assert_non_null(getcwd(cwd, sizeof(cwd)));
	assert_int_equal(chdir(f->directory), 0);
	assert_int_equal(pidfile_open(&f->pidfile, "server.pid", NULL, &f->error), 0);
	assert_int_equal(chdir("/"), 0);
	assert_int_equal(pidfile_write(&f->pidfile, &f->error), 0);
	assert_holds(f, getpid());
	assert_int_equal(pidfile_remove(&f->pidfile, &f->error), 0);
	assert_int_equal(access(f->path, F_OK), -1);
	assert_int_equal(chdir(cwd), 0);
}

static void
become_nobody(void)
{
	if (setgroups(0, NULL) < 0 || setresgid(NOBODY, NOBODY, NOBODY) < 0 ||
	    setresuid(NOBODY, NOBODY, NOBODY) < 0)
		_exit(90);
}

/*
 * NS-SHD-15, NS-FIX-24: the directory is root's; the file is emptied, and the next start takes
 * it.
 */
static void
file_is_emptied_where_it_cannot_be_removed(void **state)
{
	struct fixture *f = *state;
	static const mode_t modes[] = { 0700, 0755 };
	pid_t child;
	size_t i;

	if (geteuid() != 0)
		skip();
	for (i = 0; i < sizeof(modes) / sizeof(modes[0]); i++) {
		assert_int_equal(chmod(f->directory, modes[i]), 0);
		child = fork();
		if (child == 0) {
			if (pidfile_open(&f->pidfile, f->path, NULL, NULL) < 0 ||
			    pidfile_write(&f->pidfile, NULL) < 0)
				_exit(91);
			become_nobody();
			_exit(pidfile_remove(&f->pidfile, NULL) == 0 ? 0 : 92);
		}
		assert_int_equal(status_of(child), 0);
		assert_string_equal(contents(f), "");
	}
	take(f);
}

/* NS-DMN-19 */
static void
file_is_removed_from_inside_a_chroot(void **state)
{
	struct fixture *f = *state;
	char jail[96];
	pid_t child;

	if (geteuid() != 0)
		skip();
	snprintf(jail, sizeof(jail), "%s/jail", f->directory);
	assert_int_equal(mkdir(jail, 0755), 0);
	child = fork();
	if (child == 0) {
		if (pidfile_open(&f->pidfile, f->path, NULL, NULL) < 0 || chroot(jail) < 0 ||
		    chdir("/") < 0 || pidfile_write(&f->pidfile, NULL) < 0)
			_exit(91);
		_exit(pidfile_remove(&f->pidfile, NULL) == 0 ? 0 : 92);
	}
	assert_int_equal(status_of(child), 0);
	assert_int_equal(access(f->path, F_OK), -1);
	assert_int_equal(rmdir(jail), 0);
}

/* NS-DMN-35 */
static void
unwritable_place_is_told(void **state)
{
	struct fixture *f = *state;
	pid_t child;

	if (geteuid() != 0)
		skip();
	fill(f, "");
	assert_int_equal(chmod(f->directory, 0755), 0);
	child = fork();
	if (child == 0) {
		char other[128];

		snprintf(other, sizeof(other), "%s/other.pid", f->directory);
		become_nobody();
		if (pidfile_open(&f->pidfile, f->path, NULL, &f->error) != -EACCES ||
		    f->error.status != EX_CANTCREAT)
			_exit(1);
		if (pidfile_open(&f->pidfile, other, NULL, &f->error) != -EACCES ||
		    strstr(f->error.text, "permission denied") == NULL)
			_exit(2);
		_exit(0);
	}
	assert_int_equal(status_of(child), 0);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
#define WITH_DIRECTORY(test) cmocka_unit_test_setup_teardown(test, set_up, tear_down)
		WITH_DIRECTORY(file_holds_the_pid_and_goes_with_its_owner),
		WITH_DIRECTORY(live_process_is_fatal_and_the_file_is_kept),
		WITH_DIRECTORY(dead_process_is_replaced),
		WITH_DIRECTORY(zombie_is_dead),
		WITH_DIRECTORY(process_younger_than_the_file_did_not_write_it),
		WITH_DIRECTORY(own_pid_after_a_restart_is_fine),
		WITH_DIRECTORY(garbage_is_fatal_and_kept),
		WITH_DIRECTORY(empty_file_is_taken_over),
		WITH_DIRECTORY(longer_content_is_replaced_whole),
		WITH_DIRECTORY(locked_file_is_running),
		WITH_DIRECTORY(of_simultaneous_starts_one_wins),
		WITH_DIRECTORY(file_removed_before_the_lock_is_opened_again),
		WITH_DIRECTORY(lock_survives_the_way_into_the_background),
		WITH_DIRECTORY(child_cannot_remove_it),
		WITH_DIRECTORY(child_that_closed_it_holds_no_lock),
		WITH_DIRECTORY(lock_of_a_left_over_child_is_told),
		WITH_DIRECTORY(file_of_another_is_not_removed),
		WITH_DIRECTORY(file_that_vanished_during_the_start_is_told),
		WITH_DIRECTORY(failed_start_leaves_nothing),
		WITH_DIRECTORY(unusable_paths_are_told_by_name),
		WITH_DIRECTORY(relative_path_is_in_the_working_directory),
		WITH_DIRECTORY(file_is_emptied_where_it_cannot_be_removed),
		WITH_DIRECTORY(file_is_removed_from_inside_a_chroot),
		WITH_DIRECTORY(unwritable_place_is_told),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
