/* Taking turns at accept. */
#include "process/serialize.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/ipc.h>
#include <sys/mman.h>
#include <sys/sem.h>
#include <sys/time.h>
#include <time.h>
#include <unistd.h>

const char *
serialize_name(enum serialize_how how)
{
	static const char *const names[] = { "none", "flock", "semaphore", "pipe" };

	return names[how];
}

/* ---- flock ---- */

/* Workers may be in another directory when they open it once more. */
static void
make_absolute(char **path)
{
	char *whole = **path != '/' ? realpath(*path, NULL) : NULL;

	if (whole == NULL)
		return;
	free(*path);
	*path = whole;
}

static int
flock_open(struct serialize *s, const char *lock_file, struct error *e)
{
	const char *directory = getenv("TMPDIR");

	if (lock_file != NULL && lock_file[0] != '\0') {
		s->lock_file = strdup(lock_file);
	} else {
		if (directory == NULL || directory[0] != '/')
			directory = "/tmp";
		if (asprintf(&s->lock_file, "%s/tend-accept-XXXXXX", directory) < 0)
			s->lock_file = NULL;
		s->lock_file_is_ours = s->lock_file != NULL;
	}
	if (s->lock_file == NULL)
		return error_set(e, EX_OSERR, -ENOMEM, "out of memory");
	s->lock_fd = s->lock_file_is_ours
	    ? mkostemp(s->lock_file, O_CLOEXEC)
	    : open(s->lock_file, O_RDWR | O_CREAT | O_CLOEXEC | O_NOFOLLOW, 0600);
	if (s->lock_fd < 0) {
		int r = -errno;

		s->lock_file_is_ours = false;
		return error_set(e, EX_CANTCREAT, r, "cannot open lock_file %s: %s", s->lock_file,
		    error_reason(r));
	}
	make_absolute(&s->lock_file);
	return 0;
}

/* A lock belongs to an open file: each worker needs one of its own. */
static int
flock_join(struct serialize *s, struct error *e)
{
	char path[64];
	int fd;

	/* By descriptor, not by name: the file may lie outside a chroot, or be gone. */
	snprintf(path, sizeof(path), "/proc/self/fd/%d", s->lock_fd);
	fd = open(path, O_RDWR | O_CLOEXEC);
	if (fd < 0)
		fd = open(s->lock_file, O_RDWR | O_CLOEXEC | O_NOFOLLOW);
	if (fd < 0) {
		int r = -errno;

		return error_set(e, EX_OSERR, r, "cannot open lock_file %s: %s", s->lock_file,
		    error_reason(r));
	}
	close(s->lock_fd);
	s->lock_fd = fd;
	return 0;
}

static void
only_interrupt(int signo)
{
	(void)signo;
}

/*
 * flock() waits without a limit, and a signal that comes just before it would wait with it for the
 * next client. So, while a worker waits in line, an alarm ends the call every second.
 */
static int
flock_wait(struct serialize *s)
{
	const struct itimerval second = { .it_interval = { .tv_sec = 1 }, .it_value = { .tv_sec = 1 } };
	const struct sigaction alarm_action = { .sa_handler = only_interrupt };
	struct itimerval timer_before;
	struct sigaction action_before;
	int r;

	if (flock(s->lock_fd, LOCK_EX | LOCK_NB) == 0)
		return 0;
	sigaction(SIGALRM, &alarm_action, &action_before);
	setitimer(ITIMER_REAL, &second, &timer_before);
	r = flock(s->lock_fd, LOCK_EX) < 0 ? -errno : 0;
	setitimer(ITIMER_REAL, &timer_before, NULL);
	sigaction(SIGALRM, &action_before, NULL);
	return r;
}

/* ---- semaphore ---- */

union semaphore_argument {
	int val;
};

static int
semaphore_open(struct serialize *s, struct error *e)
{
	union semaphore_argument one = { .val = 1 };

	s->semaphore = semget(IPC_PRIVATE, 1, IPC_CREAT | 0600);
	if (s->semaphore < 0 || semctl(s->semaphore, 0, SETVAL, one) < 0) {
		int r = -errno;

		return error_set(e, EX_OSERR, r, "serialize: cannot make a semaphore: %s",
		    error_reason(r));
	}
	return 0;
}

static int
semaphore_wait(struct serialize *s)
{
	struct sembuf take = { .sem_num = 0, .sem_op = -1, .sem_flg = SEM_UNDO };
	struct timespec second = { .tv_sec = 1 };

	/* In slices: a signal that comes just before the call does not wait for a connection. */
	if (semtimedop(s->semaphore, &take, 1, &second) == 0)
		return 0;
	return errno == EAGAIN ? -EINTR : -errno;
}

/* ---- pipe ---- */

static int
pipe_open(struct serialize *s, struct error *e)
{
	int r;

	s->holder = mmap(NULL, sizeof(*s->holder), PROT_READ | PROT_WRITE,
	    MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	if (s->holder == MAP_FAILED) {
		s->holder = NULL;
		goto failed;
	}
	if (pipe2(s->token, O_CLOEXEC | O_NONBLOCK) < 0)
		goto failed;
	return 0;
failed:
	r = -errno;
	return error_set(e, EX_OSERR, r, "serialize: cannot make a pipe: %s", error_reason(r));
}

/*
 * The word `holder` is the turn; the byte in the pipe only wakes one who waits for it. So nothing is
 * lost with a worker that dies between the two: the master writes another byte when it reaps.
 */
static int
pipe_wait(struct serialize *s, int interrupt_fd)
{
	/* Without a master nobody passes on the turn of a worker that was killed. */
	struct pollfd fds[3] = {
		{ .fd = s->token[0], .events = POLLIN },
		{ .fd = interrupt_fd, .events = POLLIN },
		{ .fd = s->lifeline, .events = POLLIN },
	};
	char byte;

	for (;;) {
		pid_t nobody = 0;
		bool mine = atomic_compare_exchange_strong(s->holder, &nobody, getpid());
		ssize_t n;

		if (!mine && poll(fds, 3, -1) < 0)
			return -errno;
		if (!mine && (fds[1].revents != 0 || fds[2].revents != 0))
			return -EINTR;
		n = read(s->token[0], &byte, 1);
		(void)n; /* -EAGAIN: another was faster, or the turn was free */
		if (mine)
			return 0;
	}
}

static void
pipe_wake(struct serialize *s)
{
	ssize_t n = write(s->token[1], "", 1);

	(void)n; /* a full pipe wakes as well */
}

static void
pipe_pass(struct serialize *s)
{
	atomic_store(s->holder, 0);
	pipe_wake(s);
}

/* ---- all ---- */

int
serialize_open(struct serialize *s, enum serialize_how how, const char *lock_file, struct error *e)
{
	*s = (struct serialize){
		.how = how, .lock_fd = -1, .semaphore = -1, .token = { -1, -1 }, .lifeline = -1,
	};
	switch (how) {
	case SERIALIZE_FLOCK:
		return flock_open(s, lock_file, e);
	case SERIALIZE_SEMAPHORE:
		return semaphore_open(s, e);
	case SERIALIZE_PIPE:
		return pipe_open(s, e);
	default:
		return 0;
	}
}

void
serialize_close(struct serialize *s)
{
	if (s->how == SERIALIZE_FLOCK) {
		if (s->lock_fd >= 0)
			close(s->lock_fd);
		if (s->lock_file_is_ours)
			unlink(s->lock_file);
		free(s->lock_file);
	} else if (s->how == SERIALIZE_SEMAPHORE && s->semaphore >= 0) {
		semctl(s->semaphore, 0, IPC_RMID);
	} else if (s->how == SERIALIZE_PIPE) {
		if (s->token[0] >= 0) {
			close(s->token[0]);
			close(s->token[1]);
		}
		if (s->holder != NULL)
			munmap((void *)s->holder, sizeof(*s->holder));
	}
	*s = (struct serialize){
		.lock_fd = -1, .semaphore = -1, .token = { -1, -1 }, .lifeline = -1,
	};
}

void
serialize_died(struct serialize *s, pid_t pid)
{
	if (s->how != SERIALIZE_PIPE)
		return;
	if (atomic_load(s->holder) == pid)
		pipe_pass(s);
	else
		pipe_wake(s);
}

int
serialize_join(struct serialize *s, struct error *e)
{
	return s->how == SERIALIZE_FLOCK ? flock_join(s, e) : 0;
}

int
serialize_wait(struct serialize *s, int interrupt_fd)
{
	int r = 0;

	if (s->held)
		return 0;
	if (s->how == SERIALIZE_FLOCK)
		r = flock_wait(s);
	else if (s->how == SERIALIZE_SEMAPHORE)
		r = semaphore_wait(s);
	else if (s->how == SERIALIZE_PIPE)
		r = pipe_wait(s, interrupt_fd);
	s->held = r == 0;
	return r;
}

void
serialize_pass(struct serialize *s)
{
	struct sembuf give = { .sem_num = 0, .sem_op = 1, .sem_flg = SEM_UNDO };

	if (!s->held)
		return;
	s->held = false;
	if (s->how == SERIALIZE_FLOCK)
		flock(s->lock_fd, LOCK_UN);
	else if (s->how == SERIALIZE_SEMAPHORE)
		semop(s->semaphore, &give, 1);
	else if (s->how == SERIALIZE_PIPE)
		pipe_pass(s);
}
