/* Clients that have heard the last word are let go without a reset, and none keeps a place for long. */
#include "config.h"
#include "loop_fixture.h"

#include <errno.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <poll.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/clock.h"
#include "net/drain.h"

#define LONG 60.0
#define TURNS_MAX 100000

static struct drains drains;

/* ---- pairs ---- */

/* A client and what a server accepted, over TCP: only there is such a thing as a reset. */
static void
connected(int *client, int *accepted)
{
	struct sockaddr_in at = { .sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK) };
	socklen_t length = sizeof(at);
	int listener = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);

	assert_int_equal(bind(listener, (struct sockaddr *)&at, sizeof(at)), 0);
	assert_int_equal(listen(listener, 1), 0);
	assert_int_equal(getsockname(listener, (struct sockaddr *)&at, &length), 0);
	*client = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
	assert_int_equal(connect(*client, (struct sockaddr *)&at, sizeof(at)), 0);
	*accepted = accept(listener, NULL, NULL);
	assert_true(*accepted >= 0);
	close(listener);
}

/* The same where nothing depends on TCP. */
static void
paired(int *client, int *accepted)
{
	int pair[2];

	assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, pair), 0);
	*client = pair[0];
	*accepted = pair[1];
}

static bool
is_closed(int fd)
{
	return fcntl(fd, F_GETFD) < 0 && errno == EBADF;
}

static void
turn_until_active(struct tend_loop *loop, size_t n)
{
	int turns = 0;

	while (drains_active(&drains) > n && turns++ < TURNS_MAX)
		assert_true(tend_loop_turn(loop, 1) >= 0);
	assert_int_equal(drains_active(&drains), n);
}

/* ---- what was said arrives ---- */

/* NW-28, NW-D03: the request that the client had sent is unread when it is refused. */
static void
farewell_is_not_lost_to_a_reset(void **state)
{
	struct tend_loop *loop = *state;
	char request[20000], text[16];
	int client, fd;

	connected(&client, &fd);
	drains_init(&drains, loop, LONG);
	memset(request, 'r', sizeof(request));
	assert_int_equal(send(client, request, sizeof(request), 0), sizeof(request));
	assert_int_equal(send(fd, "full\n", 5, 0), 5);
	drain_start(&drains, fd);
	assert_int_equal(drains_active(&drains), 1);
	/* And the rest of it comes after the refusal. */
	assert_int_equal(tend_loop_turn(loop, 1), 0);
	assert_int_equal(send(client, request, sizeof(request), 0), sizeof(request));
	assert_int_equal(recv(client, text, sizeof(text), 0), 5);
	assert_memory_equal(text, "full\n", 5);
	assert_int_equal(recv(client, text, sizeof(text), 0), 0);
	assert_int_equal(drains_active(&drains), 1);
	close(client);
	turn_until_active(loop, 0);
	assert_true(is_closed(fd));
	drains_done(&drains);
}

static void
reset_by_the_client_ends_it(void **state)
{
	struct linger abort = { .l_onoff = 1 };
	struct tend_loop *loop = *state;
	int client, fd;

	connected(&client, &fd);
	drains_init(&drains, loop, LONG);
	drain_start(&drains, fd);
	setsockopt(client, SOL_SOCKET, SO_LINGER, &abort, sizeof(abort));
	close(client);
	turn_until_active(loop, 0);
	assert_true(is_closed(fd));
}

/* ---- bounds ---- */

static void
client_that_stays_is_let_go_after_its_time(void **state)
{
	struct tend_loop *loop = *state;
	int64_t begun = clock_now();
	int client, fd;

	connected(&client, &fd);
	drains_init(&drains, loop, 0.05);
	drain_start(&drains, fd);
	turn_until_active(loop, 0);
	assert_true(clock_now() - begun >= 50 * CLOCK_MILLISECOND);
	assert_true(is_closed(fd));
	close(client);
}

/* A client that floods costs so many bytes and no more. */
static void
client_that_floods_is_let_go_after_its_bytes(void **state)
{
	struct tend_loop *loop = *state;
	static const char flood[65536];
	ssize_t n = 0, sent = 0;
	int client, fd, turns = 0;

	connected(&client, &fd);
	drains_init(&drains, loop, LONG);
	drain_start(&drains, fd);
	while (drains_active(&drains) > 0 && turns++ < TURNS_MAX) {
		n = send(client, flood, sizeof(flood), MSG_DONTWAIT | MSG_NOSIGNAL);
		sent += n > 0 ? n : 0;
		assert_true(tend_loop_turn(loop, 0) >= 0);
	}
	assert_int_equal(drains_active(&drains), 0);
	assert_true(is_closed(fd));
	assert_true(sent >= 256 * 1024);
	close(client);
}

static void
one_too_many_is_closed_at_once_and_places_come_back(void **state)
{
	struct tend_loop *loop = *state;
	int clients[DRAINS_MAX + 1], fds[DRAINS_MAX + 1], i;

	drains_init(&drains, loop, LONG);
	for (i = 0; i <= DRAINS_MAX; i++) {
		paired(&clients[i], &fds[i]);
		drain_start(&drains, fds[i]);
	}
	assert_int_equal(drains_active(&drains), DRAINS_MAX);
	assert_true(is_closed(fds[DRAINS_MAX]));
	assert_false(is_closed(fds[DRAINS_MAX - 1]));
	close(clients[7]);
	turn_until_active(loop, DRAINS_MAX - 1);
	close(clients[DRAINS_MAX]);
	paired(&clients[7], &fds[7]);
	drain_start(&drains, fds[7]);
	assert_int_equal(drains_active(&drains), DRAINS_MAX);
	drains_done(&drains);
	assert_int_equal(drains_active(&drains), 0);
	for (i = 0; i < DRAINS_MAX; i++) {
		assert_true(is_closed(fds[i]));
		close(clients[i]);
	}
	/* Nothing of them is left on the loop. */
	assert_int_equal(tend_loop_turn(loop, 0), 0);
}

static void
without_time_it_is_closed_at_once(void **state)
{
	struct tend_loop *loop = *state;
	int client, fd;

	connected(&client, &fd);
	drains_init(&drains, loop, 0);
	drain_start(&drains, fd);
	assert_int_equal(drains_active(&drains), 0);
	assert_true(is_closed(fd));
	close(client);
}

/* A client that is gone already cannot be half-closed. */
static void
one_that_is_gone_is_closed_at_once(void **state)
{
	struct linger abort = { .l_onoff = 1 };
	struct tend_loop *loop = *state;
	struct pollfd gone;
	int client, fd;

	connected(&client, &fd);
	drains_init(&drains, loop, LONG);
	setsockopt(client, SOL_SOCKET, SO_LINGER, &abort, sizeof(abort));
	close(client);
	gone = (struct pollfd){ .fd = fd, .events = POLLIN };
	assert_int_equal(poll(&gone, 1, 10000), 1);
	drain_start(&drains, fd);
	assert_int_equal(drains_active(&drains), 0);
	assert_true(is_closed(fd));
}

/* ---- after a fork ---- */

/* NW-33: a child keeps no client open that is none of its own; the parent goes on with them. */
static void
child_closes_them_and_the_parent_goes_on(void **state)
{
	struct tend_loop *loop = *state;
	int client, fd, status = -1;
	pid_t pid;

	connected(&client, &fd);
	drains_init(&drains, loop, LONG);
	drain_start(&drains, fd);
	pid = fork();
	if (pid == 0) {
		drains_leave(&drains);
		_exit(is_closed(fd) ? 0 : 1);
	}
	assert_true(pid > 0);
	while (waitpid(pid, &status, 0) < 0)
		assert_int_equal(errno, EINTR);
	assert_int_equal(status, 0);
	assert_int_equal(drains_active(&drains), 1);
	assert_int_equal(send(client, "more", 4, 0), 4);
	assert_int_equal(tend_loop_turn(loop, 10), 0);
	assert_int_equal(drains_active(&drains), 1);
	close(client);
	turn_until_active(loop, 0);
}

int
main(void)
{
	static const struct CMUnitTest tests[] = {
		ON_EACH_POLLER(farewell_is_not_lost_to_a_reset),
		ON_EACH_POLLER(reset_by_the_client_ends_it),
		ON_EACH_POLLER(client_that_stays_is_let_go_after_its_time),
		ON_EACH_POLLER(client_that_floods_is_let_go_after_its_bytes),
		ON_EACH_POLLER(one_too_many_is_closed_at_once_and_places_come_back),
		ON_EACH_POLLER(without_time_it_is_closed_at_once),
		ON_EACH_POLLER(one_that_is_gone_is_closed_at_once),
		ON_EACH_POLLER(child_closes_them_and_the_parent_goes_on),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
