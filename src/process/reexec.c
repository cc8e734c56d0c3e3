/* The way of a handover from one image to the next. */
#include "process/reexec.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/str.h"
#include "config.h"
#include "process/launch.h"

/* More is no handover of ours. */
#define SIZE_LIMIT (4L << 20)
#define ANSWER_MAX 1000

/* What this image was given at its start. */
static struct {
	struct handover *handover;
	int              trial; /* the file of a trial, for the answer; -1: this is none */
} received = { .trial = -1 };

/* ---- descriptors ---- */

static void
each(struct handover *h, void (*fn)(int *fd, bool yes), bool yes)
{
	int *const few[] = { &h->image, &h->log, &h->pid_file, &h->pid_file_directory,
		&h->lifeline[0], &h->lifeline[1], &h->conf };
	size_t i;

	for (i = 0; i < sizeof(few) / sizeof(few[0]); i++)
		if (*few[i] >= 0)
			fn(few[i], yes);
	for (i = 0; i < h->listener_count; i++) {
		if (h->listeners[i].fd >= 0)
			fn(&h->listeners[i].fd, yes);
		if (h->listeners[i].directory >= 0)
			fn(&h->listeners[i].directory, yes);
	}
}

static void
let_one_pass(int *fd, bool yes)
{
	fcntl(*fd, F_SETFD, yes ? 0 : FD_CLOEXEC);
}

static void
close_one(int *fd, bool yes)
{
	(void)yes;
	close(*fd);
	*fd = -1;
}

void
reexec_let_pass(const struct handover *h, bool pass)
{
	each((struct handover *)(uintptr_t)h, let_one_pass, pass);
}

void
reexec_close(struct handover *h)
{
	each(h, close_one, true);
}

int
reexec_open_image(void)
{
#ifdef O_PATH
	int fd = open("/proc/self/exe", O_PATH | O_CLOEXEC);
#else
	int fd = open("/proc/self/exe", O_RDONLY | O_CLOEXEC);
#endif

	return fd >= 0 ? fd : -errno;
}

/* ---- the file ---- */

static int
nameless_file(void)
{
#if HAVE_MEMFD_CREATE
	int fd = memfd_create("tend-handover", MFD_CLOEXEC);

	return fd >= 0 ? fd : -errno;
#else
	FILE *f = tmpfile();
	int fd = f != NULL ? fcntl(fileno(f), F_DUPFD_CLOEXEC, 3) : -1, code = -errno;

	if (f != NULL)
		fclose(f);
	return fd >= 0 ? fd : code;
#endif
}

static int
write_all(int fd, const char *data, size_t size, off_t at)
{
	while (size > 0) {
		ssize_t n = pwrite(fd, data, size, at);

		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0)
			return -errno;
		data += n;
		at += n;
		size -= (size_t)n;
	}
	return 0;
}

int
reexec_file(const char *data, size_t size)
{
	int fd = nameless_file(), r;

	if (fd < 0)
		return fd;
	r = write_all(fd, data, size, 0);
	if (r == 0)
		return fd;
	close(fd);
	return r;
}

/* All of it up to its first NUL; NULL: it cannot be. */
static char *
read_file(int fd)
{
	struct stat st;
	char *text;
	ssize_t n = 0;

	if (fstat(fd, &st) < 0 || !S_ISREG(st.st_mode) || st.st_size > SIZE_LIMIT)
		return NULL;
	text = calloc(1, (size_t)st.st_size + 1);
	if (text != NULL)
		n = pread(fd, text, (size_t)st.st_size, 0);
	if (n == st.st_size)
		return text;
	free(text);
	return NULL;
}

static int
text_file(const struct handover *h)
{
	char *text = handover_format(h);
	/* The NUL stays in it: an answer stands behind it. */
	int fd = text != NULL ? reexec_file(text, strlen(text) + 1) : -ENOMEM;

	free(text);
	return fd;
}

/* ---- going ---- */

static int
execute(const struct handover *h, int file, bool back)
{
	const struct launch *l = launch_get();
	char variable[64], **environment;

	snprintf(variable, sizeof(variable), HANDOVER_VARIABLE "=%d", file);
	environment = launch_environment(variable);
	if (environment == NULL)
		return -ENOMEM;
	fcntl(file, F_SETFD, 0);
	if (back)
		fexecve(h->image, l->arguments, environment);
	else
		execve(h->program, l->arguments, environment);
	free(environment);
	return -errno;
}

int
reexec_execute(struct handover *h, bool back)
{
	int file = text_file(h), r;

	if (file < 0)
		return file;
	r = launch_restore();
	if (r == 0) {
		reexec_let_pass(h, true);
		r = execute(h, file, back);
		reexec_let_pass(h, false);
	}
	close(file);
	return r;
}

/* In the child: the state that a program starts in. */
static _Noreturn void
become_trial(const struct handover *h, int file, int noise)
{
	char reason[128];
	sigset_t none;
	int null = open("/dev/null", O_RDWR | O_CLOEXEC), r;

	signal(SIGPIPE, SIG_DFL);
	sigemptyset(&none);
	dup2(null, STDIN_FILENO);
	dup2(noise, STDOUT_FILENO);
	dup2(noise, STDERR_FILENO);
	setpgid(0, 0);
	r = launch_restore();
	if (r == 0) {
		sigprocmask(SIG_SETMASK, &none, NULL);
		r = execute(h, file, false);
	}
	snprintf(reason, sizeof(reason), "cannot execute it: %s", error_reason(r));
	received.trial = file;
	reexec_answer(reason);
	_exit(EX_OSERR);
}

int
reexec_try(struct handover *h, int noise, pid_t *pid)
{
	int file = text_file(h);
	sigset_t all, before;

	if (file < 0)
		return file;
	/* Of our handlers none may run in the child. */
	sigfillset(&all);
	sigprocmask(SIG_SETMASK, &all, &before);
	*pid = fork();
	if (*pid == 0)
		become_trial(h, file, noise);
	sigprocmask(SIG_SETMASK, &before, NULL);
	if (*pid > 0)
		return file;
	close(file);
	return -errno;
}

/* ---- coming ---- */

/* Each descriptor that is named is open, and from now on ours alone. */
static bool
is_complete(struct handover *h)
{
	const int few[] = { h->image, h->log, h->pid_file, h->pid_file_directory, h->lifeline[0],
		h->lifeline[1], h->conf };
	size_t i;

	for (i = 0; i < sizeof(few) / sizeof(few[0]); i++)
		if (few[i] >= 0 && fcntl(few[i], F_GETFD) < 0)
			return false;
	for (i = 0; i < h->listener_count; i++)
		if (fcntl(h->listeners[i].fd, F_GETFD) < 0 || (h->listeners[i].directory >= 0 &&
		        fcntl(h->listeners[i].directory, F_GETFD) < 0))
			return false;
	return true;
}

/* One that is not for this process was meant for another, and inherited by mistake. */
static bool
is_for_us(const struct handover *h)
{
	return h->kind == HANDOVER_TRIAL ? h->pid == getppid() : h->pid == getpid();
}

static void
receive(int fd)
{
	struct handover *h = calloc(1, sizeof(*h));
	char *text = read_file(fd);

	if (h == NULL || text == NULL || handover_parse(h, text, NULL) < 0) {
		free(text);
		free(h);
		return;
	}
	free(text);
	if (is_for_us(h) && h->kind == HANDOVER_TRIAL) {
		fcntl(fd, F_SETFD, FD_CLOEXEC);
		received.trial = fd;
	} else if (is_for_us(h) && is_complete(h)) {
		reexec_let_pass(h, false);
		close(fd);
		received.handover = h;
		return;
	}
	handover_done(h);
	free(h);
}

/* Before main(): nothing that it starts sees the variable or inherits a descriptor. */
__attribute__((constructor)) static void
look_for_handover(void)
{
	char *text = secure_getenv(HANDOVER_VARIABLE);
	long fd;

	if (text != NULL && str_to_long(text, 3, 1 << 24, &fd) == 0)
		receive((int)fd);
	unsetenv(HANDOVER_VARIABLE);
	/* Nor does who reads our environment from outside. */
	if (text != NULL)
		memset(text - strlen(HANDOVER_VARIABLE "="), 0, strlen(HANDOVER_VARIABLE "=") + strlen(text));
}

const struct handover *
reexec_received(void)
{
	return received.handover;
}

struct handover *
reexec_take(void)
{
	struct handover *h = received.handover;

	received.handover = NULL;
	return h;
}

/* ---- trials ---- */

bool
reexec_is_trial(void)
{
	return received.trial >= 0;
}

void
reexec_answer(const char *text)
{
	char answer[ANSWER_MAX];
	int n = snprintf(answer, sizeof(answer), "=%s", text);
	struct stat st;
	char *whole = read_file(received.trial);
	size_t at = whole != NULL ? strlen(whole) + 1 : 0;

	free(whole);
	if (at == 0 || fstat(received.trial, &st) < 0 || ftruncate(received.trial, (off_t)at) < 0)
		return;
	write_all(received.trial, answer, (size_t)(n < ANSWER_MAX ? n : ANSWER_MAX - 1) , (off_t)at);
}

bool
reexec_read_answer(int file, char *into, size_t size)
{
	char *whole = read_file(file);
	struct stat st;
	size_t at = whole != NULL ? strlen(whole) + 1 : 0;
	bool there = whole != NULL && fstat(file, &st) == 0 && st.st_size > (off_t)at &&
	    whole[at] == '=';

	into[0] = '\0';
	if (there)
		snprintf(into, size, "%s", whole + at + 1);
	free(whole);
	return there;
}
