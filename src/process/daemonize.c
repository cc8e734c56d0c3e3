/*
 * Going into the background, and the standard descriptors. One pipe joins the launcher (the
 * command that was typed) and the daemon; what the daemon says, or that it died, becomes the
 * launcher's exit.
 */
#include "process/daemonize.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

/* One message, sent by one write and shorter than PIPE_BUF: it arrives whole or not at all. */
struct report {
	unsigned char ready;
	unsigned char status;
	char text[sizeof(((struct error *)0)->text)];
};

void
daemonize_init(struct daemonize *d)
{
	d->ready_fd = -1;
}

void
daemonize_forget(struct daemonize *d)
{
	/* Nothing is written without need: a child would copy the page. */
	if (d->ready_fd < 0)
		return;
	close(d->ready_fd);
	d->ready_fd = -1;
}

/* A line on standard error, in one write; a failure to write it changes nothing any more. */
static void
say(const char *name, const char *text)
{
	char line[sizeof(struct report) + 64];
	int n = snprintf(line, sizeof(line) - 1, "%s%s%s", name, *name != '\0' ? ": " : "", text);
	size_t length = (size_t)n < sizeof(line) - 1 ? (size_t)n : sizeof(line) - 2, i;
	ssize_t ignored;

	for (i = 0; i < length; i++)
		if (line[i] == '\n')
			line[i] = ' ';
	line[length] = '\n';
	ignored = write(STDERR_FILENO, line, length + 1);
	(void)ignored;
}

static ssize_t
read_report(int fd, struct report *report)
{
	ssize_t n;

	do
		n = read(fd, report, sizeof(*report));
	while (n < 0 && errno == EINTR);
	return n;
}

/* The daemon is gone and has said nothing: its status is all there is to tell. */
static int
status_of_silent(pid_t daemon)
{
	char text[128];
	int status;
	pid_t r;

	do
		r = waitpid(daemon, &status, 0);
	while (r < 0 && errno == EINTR);
	if (r < 0) {
		say(program_invocation_short_name, "the server ended before it was ready");
		return EX_SOFTWARE;
	}
	if (WIFSIGNALED(status)) {
		snprintf(text, sizeof(text),
		    "the server was ended by signal %d (%s) before it was ready", WTERMSIG(status),
		    strsignal(WTERMSIG(status)));
		say(program_invocation_short_name, text);
		return EX_SOFTWARE;
	}
	if (WEXITSTATUS(status) != 0) {
		snprintf(text, sizeof(text), "the server ended with status %d before it was ready",
		    WEXITSTATUS(status));
		say(program_invocation_short_name, text);
	}
	return WEXITSTATUS(status);
}

static int
launcher_status(int fd, pid_t daemon)
{
	struct report report = { 0 };
	ssize_t n = read_report(fd, &report);

	if (n <= 0)
		return status_of_silent(daemon);
	if (report.ready)
		return EX_OK;
	report.text[sizeof(report.text) - 1] = '\0';
	say("", report.text);
	return report.status != 0 ? report.status : EX_SOFTWARE;
}

int
daemonize_fork(struct daemonize *d, bool new_session, struct error *e)
{
	int ends[2];
	pid_t pid;

	if (pipe2(ends, O_CLOEXEC) < 0)
		return error_set(e, EX_OSERR, -errno, "cannot go into the background: pipe: %s",
		    error_reason(-errno));
	/* Or both processes would write what is still buffered. */
	fflush(NULL);
	pid = fork();
	if (pid < 0) {
		int code = -errno;

		close(ends[0]);
		close(ends[1]);
		return error_set(e, EX_OSERR, code, "cannot go into the background: fork: %s",
		    error_reason(code));
	}
	if (pid > 0) {
		/* Were it ignored, the daemon's status would be thrown away. */
		signal(SIGCHLD, SIG_DFL);
		close(ends[1]);
		_exit(launcher_status(ends[0], pid));
	}
	close(ends[0]);
	d->ready_fd = ends[1];
	if (new_session && setsid() < 0)
		return error_set(
		    e, EX_OSERR, -errno, "cannot start a new session: %s", error_reason(-errno));
	return 0;
}

/*
 * The launcher may have been killed: then the write fails, and SIGPIPE must not end the daemon.
 */
static void
tell(struct daemonize *d, const struct report *report, size_t size)
{
	struct sigaction ignore = { .sa_handler = SIG_IGN }, before;
	ssize_t n;

	if (d->ready_fd < 0)
		return;
	sigemptyset(&ignore.sa_mask);
	sigaction(SIGPIPE, &ignore, &before);
	do
		n = write(d->ready_fd, report, size);
	while (n < 0 && errno == EINTR);
	sigaction(SIGPIPE, &before, NULL);
	daemonize_forget(d);
}

void
daemonize_ready(struct daemonize *d)
{
	struct report report = { .ready = 1 };

	tell(d, &report, 1);
}

void
daemonize_failed(struct daemonize *d, const struct error *e)
{
	struct report report = { .status = (unsigned char)e->status };

	/* Copied as text: what stands behind its end is nobody's business. */
	snprintf(report.text, sizeof(report.text), "%s", e->text);
	tell(d, &report, sizeof(report));
}

int
stdio_sanitize(struct error *e)
{
	int fd;

	for (fd = STDIN_FILENO; fd <= STDERR_FILENO; fd++) {
		if (fcntl(fd, F_GETFD) >= 0 || errno != EBADF)
			continue;
		/*
		 * The lowest free number, so this one. Programs that we run inherit it: no
		 * CLOEXEC.
		 */
		if (open("/dev/null", O_RDWR) != fd)
			return error_set(e, EX_OSFILE, -errno,
			    "descriptor %d is closed and /dev/null cannot take its place: %s", fd,
			    error_reason(-errno));
	}
	return 0;
}

int
stdio_to_null(bool error_too, struct error *e)
{
	int null = open("/dev/null", O_RDWR | O_CLOEXEC), last, fd, r = 0;

	if (null < 0)
		return error_set(
		    e, EX_OSFILE, -errno, "cannot open /dev/null: %s", error_reason(-errno));
	fflush(stdout);
	last = error_too ? STDERR_FILENO : STDOUT_FILENO;
	for (fd = STDIN_FILENO; fd <= last && r >= 0; fd++)
		r = fd == null ? fcntl(fd, F_SETFD, 0) : dup2(null, fd);
	if (r < 0)
		r = error_set(e, EX_OSERR, -errno,
		    "cannot redirect descriptor %d to /dev/null: %s", fd - 1,
		    error_reason(-errno));
	if (null > last)
		close(null);
	return r < 0 ? r : 0;
}
