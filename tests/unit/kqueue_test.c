/*
 * What only the poller "kqueue" has to do, with the emulation, which may be told what to say. All
 * else it shares with the other pollers: the tests of the loop run on it as well (emulation/).
 */
#include "loop_fixture.h"

#include <errno.h>
#include <fcntl.h>
#include <sys/event.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

/* Flags that no poller asked for come along. */
#define OTHERS (EV_CLEAR | EV_RECEIPT | 0x1000 | 0x2000)
#define SAY(fd, side, how, error)                                                             \
	{ .ident = (uintptr_t)(fd), .filter = (side), .flags = (unsigned short)(OTHERS | (how)), \
		.fflags = (error) }

static unsigned heard;
static int calls;

static void
hear(struct tend_watch *w, unsigned events)
{
	(void)w;
	heard = events;
	calls++;
}

/* A watch on one of a pair that nothing has happened to. */
struct quiet {
	struct tend_watch watch;
	int fds[2];
};

static int
begin(struct quiet *q, struct tend_loop *loop, unsigned events)
{
	heard = 0;
	calls = 0;
	assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, q->fds), 0);
	tend_watch_init(&q->watch, hear, NULL);
	assert_int_equal(tend_watch_start(loop, &q->watch, q->fds[0], events), 0);
	assert_int_equal(tend_loop_turn(loop, 0), 0);
	assert_int_equal(calls, 0);
	return q->fds[0];
}

static void
end(struct quiet *q)
{
	tend_watch_stop(&q->watch);
	close(q->fds[0]);
	close(q->fds[1]);
}

static unsigned
turn(struct tend_loop *loop, const struct kevent *says, int count)
{
	heard = 0;
	kqueue_dictate(says, count);
	assert_int_equal(tend_loop_turn(loop, 0), 0);
	return heard;
}

/* DS-35 */
static void
end_with_an_error_is_told_whatever_flags_come_with_it(void **state)
{
	struct tend_loop *loop = *state;
	struct quiet q;
	int fd = begin(&q, loop, TEND_READ);
	const struct kevent reset[] = {
		SAY(fd, EVFILT_READ, EV_EOF, ECONNRESET),
		SAY(fd, EVFILT_WRITE, EV_EOF, ECONNRESET),
	};

	assert_int_equal(turn(loop, reset, 2), TEND_READ | TEND_ERROR | TEND_HANGUP);
	assert_int_equal(calls, 1);
	end(&q);
}

/* DS-35 */
static void
end_without_an_error_is_a_hangup_whatever_flags_come_with_it(void **state)
{
	struct tend_loop *loop = *state;
	struct quiet q;
	int fd = begin(&q, loop, 0);
	const struct kevent gone[] = {
		SAY(fd, EVFILT_WRITE, EV_EOF, 0),
		SAY(fd, EVFILT_READ, EV_EOF, 0),
	};

	assert_int_equal(turn(loop, gone, 2), TEND_HANGUP);
	assert_int_equal(turn(loop, gone, 2), 0);
	assert_int_equal(calls, 1);
	end(&q);
}

/* An error outside of an end, as flags of a filter, is none. */
static void
flags_without_an_end_are_just_readiness(void **state)
{
	struct tend_loop *loop = *state;
	struct quiet q;
	int fd = begin(&q, loop, TEND_READ);
	const struct kevent ready[] = { SAY(fd, EVFILT_READ, 0, 1), SAY(fd, EVFILT_WRITE, 0, 0) };

	assert_int_equal(turn(loop, ready, 2), TEND_READ);
	end(&q);
}

/* The sides may come in two waits, when the first was full. */
static void
socket_hangs_up_when_both_sides_have_ended(void **state)
{
	struct tend_loop *loop = *state;
	struct quiet q;
	int fd = begin(&q, loop, TEND_READ);
	const struct kevent input[] = { SAY(fd, EVFILT_READ, EV_EOF, 0) };
	const struct kevent output[] = { SAY(fd, EVFILT_WRITE, EV_EOF, 0) };

	assert_int_equal(turn(loop, input, 1), TEND_READ);
	assert_int_equal(turn(loop, output, 1), TEND_HANGUP);
	/* A change forgets, and asks anew. */
	assert_int_equal(tend_watch_change(&q.watch, 0), 0);
	assert_int_equal(turn(loop, output, 1), 0);
	assert_int_equal(turn(loop, input, 1), TEND_HANGUP);
	end(&q);
}

/* Not all that can be read can be written to; nothing is left of what failed. */
static void
only_what_is_asked_for_has_to_be_there(void **state)
{
	static const struct {
		unsigned events;
		int error, r;
	} rows[] = {
		{ TEND_READ, EINVAL, 0 },
		{ TEND_WRITE, EINVAL, -EINVAL },
		{ TEND_READ, ENOMEM, -ENOMEM },
	};
	struct tend_loop *loop = *state;
	struct quiet q;
	size_t i;

	for (i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		begin(&q, loop, 0);
		tend_watch_stop(&q.watch);
		kqueue_refuse(rows[i].error);
		assert_int_equal(
		    tend_watch_start(loop, &q.watch, q.fds[0], rows[i].events), rows[i].r);
		/* What can be, is: level triggered, as if nothing had been asked before. */
		assert_int_equal(tend_watch_start(loop, &q.watch, q.fds[0], TEND_READ), 0);
		assert_int_equal(write(q.fds[1], "x", 1), 1);
		assert_int_equal(turn(loop, NULL, 0), TEND_READ);
		assert_int_equal(turn(loop, NULL, 0), TEND_READ);
		end(&q);
	}
}

static int
count_descriptors(void)
{
	int fd, n = 0;

	for (fd = 0; fd < 256; fd++)
		n += fcntl(fd, F_GETFD) >= 0;
	return n;
}

/* The child's exit status: 0 when it lost what the loop has beside the kqueue, and no more. */
static int
lose(struct tend_loop *loop, bool abandon, int owned)
{
	int before;

	/* One of these gets the number of the kqueue that is not here. */
	while (count_descriptors() < 64)
		if (dup(STDERR_FILENO) < 0)
			return 2;
	before = count_descriptors();
	if (abandon)
		loop_abandon(loop);
	else
		tend_loop_free(loop);
	return before - count_descriptors() == owned - 1 ? 0 : 3;
}

static void
child_does_not_close_the_number_of_its_parents_kqueue(void **state)
{
	static struct tend_loop *loop; /* where a checker of memory finds it in the child */
	int before = count_descriptors(), owned, status, i;
	pid_t pid;

	loop = tend_loop_new(tend_loop_poller(*state));
	owned = count_descriptors() - before;
	for (i = 0; i < 2; i++) {
		pid = fork();
		if (pid == 0)
			_exit(lose(loop, i == 0, owned));
		assert_int_equal(waitpid(pid, &status, 0), pid);
		assert_int_equal(status, 0);
	}
	tend_loop_free(loop);
	assert_int_equal(count_descriptors(), before);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		ON_EACH_POLLER(end_with_an_error_is_told_whatever_flags_come_with_it),
		ON_EACH_POLLER(end_without_an_error_is_a_hangup_whatever_flags_come_with_it),
		ON_EACH_POLLER(flags_without_an_end_are_just_readiness),
		ON_EACH_POLLER(socket_hangs_up_when_both_sides_have_ended),
		ON_EACH_POLLER(only_what_is_asked_for_has_to_be_there),
		ON_EACH_POLLER(child_does_not_close_the_number_of_its_parents_kqueue),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
