/*
 * Lines in a file, or on standard error. The file is opened before privileges are dropped and stays
 * open; it is opened again by its path when it was rotated.
 */
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "log/shared.h"
#include "log/sink.h"

bool
sink_file_may_block(int fd)
{
	struct stat st;

	return fstat(fd, &st) != 0 || !S_ISREG(st.st_mode);
}

/*
 * A FIFO without a reader must not stop the start, nor a terminal become ours: hence the flags.
 */
static int
open_path(const char *path, struct error *e)
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

static int
open_file(struct logger *l, const struct log_options *o, struct error *e)
{
	char *path = absolute_path(o->file);
	int fd;

	if (path == NULL)
		return error_set(e, EX_OSERR, -ENOMEM, "out of memory");
	fd = open_path(path, e);
	if (fd < 0) {
		free(path);
		return fd;
	}
	logger_silence(l);
	l->sink = &sink_file;
	l->fd = fd;
	l->path = path;
	l->may_block = sink_file_may_block(fd);
	return 0;
}

int
logger_adopt_file(struct logger *l, const char *path, const char *opened, int fd)
{
	char *copy = absolute_path(path);
	int own = copy != NULL && strcmp(copy, opened) == 0 ? fcntl(fd, F_DUPFD_CLOEXEC, 3) : -1;

	if (own < 0) {
		free(copy);
		return -ENOENT;
	}
	logger_silence(l);
	l->sink = &sink_file;
	l->fd = own;
	l->path = copy;
	l->may_block = sink_file_may_block(own);
	return 0;
}

static void
close_file(struct logger *l)
{
	if (l->fd >= 0)
		close(l->fd);
	free(l->path);
	l->path = NULL;
	l->fd = -1;
}

static int
reopen_file(struct logger *l, struct error *e)
{
	int fd = open_path(l->path, e), r;

	if (fd < 0)
		return fd;
	SHARED_SET(l->may_block, sink_file_may_block(fd));
	/* Under the old number and at once: other threads are writing to it. */
	r = dup3(fd, l->fd, O_CLOEXEC);
	if (r < 0)
		r = error_set(e, EX_OSERR, -errno, "cannot reopen log file '%s': %s", l->path,
		    error_reason(-errno));
	else
		SHARED_SET(logger_shared(l)->torn, false);
	close(fd);
	return r < 0 ? r : 0;
}

static int
put_bytes(struct logger *l, const char *bytes, size_t length, int patience_ms)
{
	size_t done;
	int r = sink_write(l->fd, SHARED_GET(l->may_block), bytes, length, patience_ms, &done);

	if (r < 0 && done > 0)
		SHARED_SET(logger_shared(l)->torn, true);
	return r;
}

/* A piece of a line that stands at the end gets an end of its own first. */
static int
put_line(struct logger *l, enum tend_log_level level, char *line, size_t length, int patience_ms)
{
	struct log_shared *s = logger_shared(l);

	(void)level;
	if (SHARED_GET(s->torn)) {
		int r = put_bytes(l, "\n", 1, 0);

		if (r < 0)
			return r;
		SHARED_SET(s->torn, false);
	}
	return put_bytes(l, line, length, patience_ms);
}

const struct sink sink_stderr = { .name = "standard error", .put = put_line };

const struct sink sink_file = {
	.name = "file",
	.open = open_file,
	.close = close_file,
	.reopen = reopen_file,
	.put = put_line,
};
