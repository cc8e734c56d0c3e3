/*
 * The log of one server: which lines are written, and where to. The form of a line is line.c's.
 * The file is opened before privileges are dropped and stays open; whoever runs the server
 * decides what to log at which level.
 */
#include "log/log.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include "log/line.h"

#define PATIENCE_MS 100 /* for a pipe whose reader is slow, before lines are given up */

/* Other threads may be writing while one reopens the file. */
static void
set_flag(bool *flag, bool value)
{
	__atomic_store_n(flag, value, __ATOMIC_RELAXED);
}

static bool
flag_is_set(const bool *flag)
{
	return __atomic_load_n(flag, __ATOMIC_RELAXED);
}

static bool
may_block(int fd)
{
	struct stat st;

	return fstat(fd, &st) != 0 || !S_ISREG(st.st_mode);
}

void
logger_init(struct logger *l)
{
	memset(l, 0, sizeof(*l));
	l->level = TEND_LOG_NOTICE;
	l->fd = STDERR_FILENO;
	l->may_block = may_block(STDERR_FILENO);
	/* Now, while the zone files can be reached: a chroot may come (NS-DMN-18). */
	tzset();
}

void
logger_done(struct logger *l)
{
	if (l->fd_is_ours && l->fd >= 0)
		close(l->fd);
	free(l->path);
	l->path = NULL;
	l->fd = -1;
	l->fd_is_ours = false;
}

void
logger_silence(struct logger *l)
{
	logger_done(l);
}

/*
 * A FIFO without a reader must not stop the start, nor a terminal become ours: hence the flags.
 */
static int
open_log(const char *path, struct error *e)
{
	int fd =
	    open(path, O_WRONLY | O_APPEND | O_CREAT | O_CLOEXEC | O_NONBLOCK | O_NOCTTY, 0644);
	int code = fd < 0 ? -errno : 0;

	if (code == -ENOENT)
		return error_set(e, EX_CANTCREAT, code,
		    "cannot open log file '%s': its directory does not exist; create it or change "
		    "the option log_file",
		    path);
	if (code < 0)
		return error_set(e, EX_CANTCREAT, code, "cannot open log file '%s': %s", path,
		    error_reason(code));
	return fd;
}

/* So that it names the same file after chdir(), and no other one inside a chroot. */
static char *
absolute_path(const char *path)
{
	char cwd[PATH_MAX], *whole;

	if (path[0] == '/' || getcwd(cwd, sizeof(cwd)) == NULL)
		return strdup(path);
	return asprintf(&whole, "%s/%s", cwd, path) < 0 ? NULL : whole;
}

int
logger_open_file(struct logger *l, const char *path, struct error *e)
{
	char *copy = absolute_path(path);
	int fd;

	if (copy == NULL)
		return error_set(e, EX_OSERR, -ENOMEM, "out of memory");
	fd = open_log(copy, e);
	if (fd < 0) {
		free(copy);
		return fd;
	}
	logger_done(l);
	l->fd = fd;
	l->fd_is_ours = true;
	l->path = copy;
	l->may_block = may_block(fd);
	l->torn = false;
	return 0;
}

int
logger_reopen(struct logger *l, struct error *e)
{
	int fd, r;

	if (l->path == NULL)
		return 0;
	fd = open_log(l->path, e);
	if (fd < 0)
		return fd;
	set_flag(&l->may_block, may_block(fd));
	/* Under the old number and at once: other threads are writing to it. */
	r = dup3(fd, l->fd, O_CLOEXEC);
	if (r < 0)
		r = error_set(e, EX_OSERR, -errno, "cannot reopen log file '%s': %s", l->path,
		    error_reason(-errno));
	else
		set_flag(&l->torn, false);
	close(fd);
	return r < 0 ? r : 0;
}

/* 0 when something can be written now, or the reason why it is not worth trying. */
static int
wait_writable(int fd, int patience_ms)
{
	struct pollfd p = { .fd = fd, .events = POLLOUT };
	int n;

	do
		n = poll(&p, 1, patience_ms);
	while (n < 0 && errno == EINTR);
	if (n < 0)
		return -errno;
	return n > 0 ? 0 : -EAGAIN;
}

/*
 * A regular file takes a line in one write. What has a reader gets it too, unless it is longer
 * than PIPE_BUF: poll() promises no more room than that.
 */
static int
put(struct logger *l, const char *bytes, size_t length, int patience_ms)
{
	size_t done = 0;
	int r = 0;

	while (done < length) {
		size_t piece = length - done;
		ssize_t n;

		if (flag_is_set(&l->may_block)) {
			r = wait_writable(l->fd, patience_ms);
			if (r < 0)
				break;
			piece = piece < PIPE_BUF ? piece : PIPE_BUF;
		}
		n = write(l->fd, bytes + done, piece);
		if (n < 0 && errno == EINTR)
			continue;
		if (n <= 0) {
			r = n < 0 ? -errno : -EIO;
			break;
		}
		done += (size_t)n;
	}
	if (r < 0 && done > 0)
		set_flag(&l->torn, true);
	return r;
}

static void
count_lost(struct logger *l, unsigned long lines, int code)
{
	__atomic_store_n(&l->lost_code, code, __ATOMIC_RELAXED);
	__atomic_fetch_add(&l->lost, lines, __ATOMIC_RELAXED);
}

/* Before the first line after a gap. As long as it cannot be written, nothing else can. */
static int
report_lost(struct logger *l)
{
	char notice[1 + LINE_HEAD + 160 + LINE_TAIL + 1], *line = notice + 1;
	unsigned long lines = __atomic_exchange_n(&l->lost, 0, __ATOMIC_RELAXED);
	size_t length;
	int r;

	if (lines == 0)
		return 0;
	length = line_text(line + LINE_HEAD, 160, "log: %lu %s lost here: %s", lines,
	    lines == 1 ? "line was" : "lines were",
	    error_reason(__atomic_load_n(&l->lost_code, __ATOMIC_RELAXED)));
	length = line_frame(line, length);
	notice[0] = '\n';
	r = flag_is_set(&l->torn) ? put(l, notice, length + 1, 0) : put(l, line, length, 0);
	if (r == 0)
		set_flag(&l->torn, false);
	else
		count_lost(l, lines, r);
	return r;
}

static void
put_line(struct logger *l, const char *line, size_t length)
{
	int r = 0;

	if (__atomic_load_n(&l->lost, __ATOMIC_RELAXED) > 0)
		r = report_lost(l);
	if (r == 0)
		r = put(l, line, length, PATIENCE_MS);
	if (r < 0)
		count_lost(l, 1, r);
}

void
logger_vwrite(struct logger *l, enum tend_log_level level, const char *format, va_list args)
{
	char line[LINE_SIZE + 1];
	int saved_errno = errno;
	size_t length;

	if (!logger_wants(l, level) || (l->hook == NULL && l->fd < 0))
		return;
	length = line_vtext(line + LINE_HEAD, LINE_SIZE + 1 - LINE_HEAD - LINE_TAIL, format, args);
	if (l->hook != NULL)
		l->hook(l->hook_data, level, line + LINE_HEAD);
	else
		put_line(l, line, line_frame(line, length));
	errno = saved_errno;
}

void
logger_write(struct logger *l, enum tend_log_level level, const char *format, ...)
{
	va_list args;

	va_start(args, format);
	logger_vwrite(l, level, format, args);
	va_end(args);
}
