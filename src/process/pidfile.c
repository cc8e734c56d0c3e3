/*
 * One pid file: who may take it, what stands in it, how it goes away. The lock is flock(): it
 * belongs to the open file and not to a process, so it survives the fork into the background and
 * the end of the launcher. It also lives on in every child that keeps the descriptor, which is
 * why each child calls pidfile_close() first. It is let go by closing, never by unlocking: that
 * would unlock for everybody.
 */
#include "process/pidfile.h"

#include <ctype.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include "base/str.h"

#ifndef O_PATH
#define O_PATH O_RDONLY
#endif

#define RACES_MAX 16  /* times that others may create and remove the file while we open it */
#define DIGITS_MAX 10 /* NS-DMN-31 */
#define CLOCK_SLACK 2 /* seconds between a process's start and the time of its file, if at all */

/* What an existing file holds. */
enum { CONTENT_EMPTY = 0, CONTENT_GARBAGE = -1 };

void
pidfile_init(struct pidfile *p)
{
	memset(p, 0, sizeof(*p));
	p->fd = -1;
	p->directory = -1;
}

void
pidfile_close(struct pidfile *p)
{
	if (p->fd >= 0)
		close(p->fd);
	if (p->directory >= 0)
		close(p->directory);
	free(p->name);
	free(p->path);
	pidfile_init(p);
}

/* "/run/a/b.pid": keeps "b.pid" and a descriptor of "/run/a". */
static int
open_directory(struct pidfile *p, const char *path, struct error *e)
{
	const char *slash = strrchr(path, '/');
	const char *name = slash != NULL ? slash + 1 : path;
	char *directory;
	int code;

	if (*name == '\0' || strcmp(name, ".") == 0 || strcmp(name, "..") == 0)
		return error_set(e, EX_CONFIG, -EISDIR,
		    "pid file '%s' is a directory; name a file in it in the option pid_file",
		    path);
	p->path = strdup(path);
	p->name = strdup(name);
	directory = slash == NULL ? strdup(".") : strndup(path, (size_t)(slash - path) + 1);
	if (p->path == NULL || p->name == NULL || directory == NULL) {
		free(directory);
		return error_set(e, EX_OSERR, -ENOMEM, "out of memory");
	}
	p->directory = open(directory, O_PATH | O_DIRECTORY | O_CLOEXEC);
	code = -errno;
	free(directory);
	if (p->directory >= 0)
		return 0;
	return error_set(e, EX_CANTCREAT, code,
	    "cannot create pid file '%s': its directory: %s; choose another place in the option "
	    "pid_file",
	    path, error_reason(code));
}

static int
fail_open(const struct pidfile *p, int code, struct error *e)
{
	if (code == -ELOOP)
		return error_set(e, EX_CONFIG, code,
		    "pid file '%s' is a symbolic link, which is not followed; name the file itself in "
		    "the option pid_file",
		    p->path);
	if (code == -EISDIR)
		return error_set(e, EX_CONFIG, code,
		    "pid file '%s' is a directory; name a file in it in the option pid_file",
		    p->path);
	return error_set(e, EX_CANTCREAT, code,
	    "cannot open pid file '%s': %s; choose another place in the option pid_file", p->path,
	    error_reason(code));
}

/*
 * The file as it is, or a new one. Not with O_CREAT alone: in a directory such as /tmp the
 * kernel may refuse it for the file of another user even to root (fs.protected_regular).
 */
static int
open_entry(const struct pidfile *p)
{
	int flags = O_RDWR | O_NOFOLLOW | O_CLOEXEC | O_NONBLOCK | O_NOCTTY, fd;

	fd = openat(p->directory, p->name, flags);
	if (fd < 0 && errno == ENOENT)
		fd = openat(p->directory, p->name, flags | O_CREAT | O_EXCL, 0644);
	return fd < 0 ? -errno : fd;
}

/*
 * True when the path leads to nothing or to another file than the open one. Not when it cannot
 * be told: a user who may not search the directory cannot remove anything from it either.
 */
static bool
is_replaced(const struct pidfile *p)
{
	struct stat ours, there;

	if (fstat(p->fd, &ours) < 0)
		return true;
	if (fstatat(p->directory, p->name, &there, AT_SYMLINK_NOFOLLOW) < 0)
		return errno == ENOENT;
	return ours.st_dev != there.st_dev || ours.st_ino != there.st_ino;
}

static int
lock(int fd)
{
	int r;

	do
		r = flock(fd, LOCK_EX | LOCK_NB);
	while (r < 0 && errno == EINTR);
	return r < 0 ? -errno : 0;
}

/*
 * The pid in the file, CONTENT_EMPTY or CONTENT_GARBAGE. The first line's leading digits count.
 */
static pid_t
read_pid(int fd, char *shown, size_t shown_size)
{
	char text[32];
	ssize_t n = pread(fd, text, sizeof(text) - 1, 0);
	size_t digits = 0;
	long pid;

	if (n <= 0)
		return n == 0 ? CONTENT_EMPTY : CONTENT_GARBAGE;
	text[n] = '\0';
	str_escape(shown, shown_size, text, strcspn(text, "\n"));
	while (digits < DIGITS_MAX && isdigit((unsigned char)text[digits]))
		digits++;
	text[digits] = '\0';
	return str_to_long(text, 1, INT_MAX, &pid) == 0 ? (pid_t)pid : CONTENT_GARBAGE;
}

/*
 * The state letter of a process and when it began, in seconds of the wall clock; false where
 * there is no /proc to ask.
 */
static bool
ask_proc(pid_t pid, char *state, double *began)
{
	char path[64], text[1024], *p;
	struct timespec real, boot;
	int fd, i;
	ssize_t n;

	snprintf(path, sizeof(path), "/proc/%d/stat", (int)pid);
	fd = open(path, O_RDONLY | O_CLOEXEC);
	if (fd < 0)
		return false;
	n = read(fd, text, sizeof(text) - 1);
	close(fd);
	text[n > 0 ? n : 0] = '\0';
	/*
	 * "4711 (its (odd) name) S 1 ...": the start, in ticks after boot, is the 20th word
	 * behind.
	 */
	p = strrchr(text, ')');
	if (p == NULL || p[1] != ' ')
		return false;
	*state = p[2];
	for (i = 0, p++; i < 19 && p != NULL; i++)
		p = strchr(p + 1, ' ');
	if (p == NULL || clock_gettime(CLOCK_REALTIME, &real) < 0 ||
	    clock_gettime(CLOCK_BOOTTIME, &boot) < 0)
		return false;
	*began = (double)(real.tv_sec - boot.tv_sec) +
	    (double)(real.tv_nsec - boot.tv_nsec) / 1e9 +
	    (double)strtoull(p, NULL, 10) / (double)sysconf(_SC_CLK_TCK);
	return true;
}

/*
 * Can process `pid` be the server that wrote the file and does not lock it? Not when it is dead,
 * and not when it is younger than the file: then its number was used again, after a reboot
 * mostly.
 */
static bool
may_have_written(pid_t pid, const struct stat *file)
{
	double began;
	char state;

	if (kill(pid, 0) < 0 && errno == ESRCH)
		return false;
	if (!ask_proc(pid, &state, &began))
		return true;
	return state != 'Z' && state != 'X' && began <= (double)file->st_mtime + CLOCK_SLACK;
}

static int
fail_locked(const struct pidfile *p, struct error *e)
{
	char shown[64];
	pid_t pid = read_pid(p->fd, shown, sizeof(shown));

	if (pid <= 0)
		return error_set(e, EX_UNAVAILABLE, -EEXIST,
		    "another server is just starting with pid file '%s'; stop it or choose another "
		    "pid_file",
		    p->path);
	if (kill(pid, 0) < 0 && errno == ESRCH)
		return error_set(e, EX_UNAVAILABLE, -EEXIST,
		    "pid file '%s' is still locked by a child of server %d, which is gone; end the child "
		    "first",
		    p->path, (int)pid);
	return error_set(e, EX_UNAVAILABLE, -EEXIST,
	    "already running as process %d, which holds pid file '%s'; stop it or choose another "
	    "pid_file",
	    (int)pid, p->path);
}

/* The file is locked, so no server of our kind lives in it. What is left of others? */
static int
judge_content(const struct pidfile *p, pid_t *stale, struct error *e)
{
	struct stat st;
	char shown[64];
	pid_t pid = read_pid(p->fd, shown, sizeof(shown));

	*stale = 0;
	if (pid == CONTENT_EMPTY || pid == getpid())
		return 0;
	if (pid == CONTENT_GARBAGE)
		return error_set(e, EX_DATAERR, -EINVAL,
		    "pid file '%s' holds '%s' and no pid; if it is no file of importance, remove it",
		    p->path, shown);
	if (fstat(p->fd, &st) < 0)
		return error_set(e, EX_OSERR, -errno, "cannot examine pid file '%s': %s", p->path,
		    error_reason(-errno));
	if (may_have_written(pid, &st))
		return error_set(e, EX_UNAVAILABLE, -EEXIST,
		    "pid file '%s' names process %d, which is running; stop it, or if it is no server "
		    "of this kind: rm '%s'",
		    p->path, (int)pid, p->path);
	*stale = pid;
	return 0;
}

/* Opens and locks what the path leads to. -ESTALE: it was removed meanwhile, try again. */
static int
open_and_lock(struct pidfile *p, struct error *e)
{
	struct stat st;
	int r;

	p->fd = open_entry(p);
	if (p->fd == -EEXIST)
		return -ESTALE;
	if (p->fd < 0)
		return fail_open(p, p->fd, e);
	if (fstat(p->fd, &st) < 0 || !S_ISREG(st.st_mode))
		return error_set(e, EX_CONFIG, -EINVAL,
		    "pid file '%s' is not a regular file; choose another pid_file", p->path);
	r = lock(p->fd);
	if (r == -EWOULDBLOCK)
		return fail_locked(p, e);
	if (r < 0)
		return error_set(e, error_status_of(r), r, "cannot lock pid file '%s': %s",
		    p->path, error_reason(r));
	return is_replaced(p) ? -ESTALE : 0;
}

static int
open_until_settled(struct pidfile *p, struct error *e)
{
	int races, r = -ESTALE;

	for (races = 0; races < RACES_MAX && r == -ESTALE; races++) {
		if (p->fd >= 0)
			close(p->fd);
		r = open_and_lock(p, e);
	}
	if (r == -ESTALE)
		return error_set(e, EX_TEMPFAIL, -EAGAIN,
		    "pid file '%s' is removed again and again by another process", p->path);
	return r;
}

int
pidfile_open(struct pidfile *p, const char *path, pid_t *taken_over, struct error *e)
{
	pid_t stale = 0;
	int r;

	pidfile_init(p);
	r = open_directory(p, path, e);
	if (r == 0)
		r = open_until_settled(p, e);
	if (r == 0)
		r = judge_content(p, &stale, e);
	if (r < 0) {
		pidfile_close(p);
		return r;
	}
	p->owner = getpid();
	if (taken_over != NULL)
		*taken_over = stale;
	return 0;
}

int
pidfile_adopt(struct pidfile *p, const char *path, int fd, int directory)
{
	const char *slash = strrchr(path, '/');
	int code;

	pidfile_init(p);
	p->path = strdup(path);
	p->name = strdup(slash != NULL ? slash + 1 : path);
	p->fd = fcntl(fd, F_DUPFD_CLOEXEC, 3);
	p->directory = fcntl(directory, F_DUPFD_CLOEXEC, 3);
	code = p->fd < 0 || p->directory < 0 ? -errno : p->path == NULL || p->name == NULL ? -ENOMEM : 0;
	if (code < 0) {
		pidfile_close(p);
		return code;
	}
	p->owner = getpid();
	return is_replaced(p) ? -ESTALE : 0;
}

int
pidfile_write(struct pidfile *p, struct error *e)
{
	char text[16];
	int length = snprintf(text, sizeof(text), "%d\n", (int)getpid()), code;
	ssize_t n;

	if (is_replaced(p))
		return error_set(e, EX_TEMPFAIL, -ESTALE,
		    "pid file '%s' was removed or replaced while the server started", p->path);
	/* Cut afterwards: a reader never finds it empty. */
	n = pwrite(p->fd, text, (size_t)length, 0);
	code = n < 0 ? -errno : -ENOSPC;
	if (n == length && ftruncate(p->fd, length) == 0) {
		p->owner = getpid();
		return 0;
	}
	if (n == length)
		code = -errno;
	return error_set(
	    e, EX_IOERR, code, "cannot write pid file '%s': %s", p->path, error_reason(code));
}

int
pidfile_remove(struct pidfile *p, struct error *e)
{
	int code;

	if (p->fd < 0 || p->owner != getpid())
		return 0;
	p->owner = 0;
	if (is_replaced(p) || unlinkat(p->directory, p->name, 0) == 0 || errno == ENOENT)
		return 0;
	code = -errno;
	/*
	 * A user who may not write the directory still empties the file: it names nobody then.
	 */
	if (ftruncate(p->fd, 0) == 0)
		return 0;
	return error_set(e, error_status_of(code), code, "cannot remove pid file '%s': %s",
	    p->path, error_reason(code));
}
