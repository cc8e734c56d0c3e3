/* Listening on a loop: where, whose hooks, how it stops, and what happens without descriptors. */
#include "config.h"
#include "conn_fixture.h"
#include "loop_fixture.h"

#include <sys/resource.h>
#include <sys/un.h>

#include <tend/evented.h>

#include "net/evented.h"
#include "under_valgrind.h"

static struct tend_listener *listener;
static struct tend_conn *last;
static unsigned accepted, closed;
static char heard[100];

static void
welcome(struct tend_conn *c)
{
	accepted++;
	last = c;
	tend_printf(c, "welcome");
}

static void
hear(struct tend_conn *c)
{
	ssize_t n;

	while ((n = tend_read(c, heard, sizeof(heard) - 1)) > 0)
		heard[n] = '\0';
}

static void
count_closed(struct tend_conn *c)
{
	(void)c;
	closed++;
}

static const struct tend_conn_hooks hooks = {
	.accepted = welcome, .readable = hear, .closed = count_closed,
};

static void
start(struct tend_loop *loop, const char *where, const struct tend_conn_hooks *h)
{
	accepted = closed = 0;
	heard[0] = '\0';
	assert_int_equal(tend_listener_start(&listener, loop, where, h, (void *)(uintptr_t)&hooks), 0);
}

static int
visit(void)
{
	struct addr a;
	int fd;

	assert_int_equal(addr_parse(&a, tend_listener_address(listener)), 0);
	fd = socket(a.u.any.sa_family, SOCK_STREAM | SOCK_CLOEXEC, 0);
	assert_true(fd >= 0);
	assert_int_equal(connect(fd, &a.u.any, a.length), 0);
	return fd;
}

#define TURN_UNTIL(loop, condition) \
	do { \
		int64_t begun_ = clock_now(); \
		while (!(condition)) { \
			assert_int_equal(tend_loop_turn(loop, 0.1), 0); \
			assert_true(since(begun_) < PATIENCE); \
		} \
	} while (0)

static void
expect(int fd, const char *text)
{
	char bytes[100];
	size_t size = strlen(text);

	assert_int_equal(recv(fd, bytes, size, MSG_WAITALL), size);
	assert_memory_equal(bytes, text, size);
}

/* MX-04, MX-12, MX-58, MX-60, MX-71, MX-T18 */
static void
client_gets_the_hooks_and_data_of_its_listener(void **state)
{
	struct tend_loop *loop = *state;
	int fd;

	start(loop, "127.0.0.1:0", &hooks);
	fd = visit();
	assert_int_equal(send(fd, "early", 5, 0), 5);
	TURN_UNTIL(loop, accepted == 1);
	assert_ptr_equal(tend_conn_data(last), &hooks);
	TURN_UNTIL(loop, heard[0] != '\0');
	assert_string_equal(heard, "early");
	expect(fd, "welcome");
	/* Its clients live on. */
	tend_listener_stop(listener);
	assert_int_equal(send(fd, "later", 5, 0), 5);
	TURN_UNTIL(loop, heard[0] == 'l');
	close(fd);
	TURN_UNTIL(loop, closed == 1);
}

static void
unix_listener_removes_its_path(void **state)
{
	struct tend_loop *loop = *state;
	char directory[] = "/tmp/tend-inlet-XXXXXX", path[80];
	int fd;

	assert_non_null(mkdtemp(directory));
	snprintf(path, sizeof(path), "%s/s", directory);
	start(loop, path, &hooks);
	{
		struct sockaddr_un un = { .sun_family = AF_UNIX };

		strcpy(un.sun_path, path);
		fd = socket(AF_UNIX, SOCK_STREAM, 0);
		assert_int_equal(connect(fd, (struct sockaddr *)&un, sizeof(un)), 0);
	}
	TURN_UNTIL(loop, accepted == 1);
	assert_int_equal(access(path, F_OK), 0);
	tend_listener_stop(listener);
	assert_int_equal(access(path, F_OK), -1);
	close(fd);
	TURN_UNTIL(loop, closed == 1);
	assert_int_equal(rmdir(directory), 0);
}

static void
what_cannot_listen_is_refused(void **state)
{
	static const struct tend_conn_hooks deaf = { .accepted = welcome };
	struct tend_loop *loop = *state;
	struct tend_listener *other;
	int fd;

	assert_int_equal(tend_listener_start(&other, loop, "nowhere", &hooks, NULL), -EINVAL);
	assert_int_equal(tend_listener_start(&other, loop, "127.0.0.1:0", &deaf, NULL), -EINVAL);
	assert_int_equal(tend_listener_adopt(&other, loop, -1, &hooks, NULL), -EBADF);
	start(loop, "127.0.0.1:0", &hooks);
	assert_int_equal(tend_listener_start(&other, loop, tend_listener_address(listener), &hooks, NULL),
	    -EADDRINUSE);
	/* Twice on one loop: the first goes on. */
	fd = visit();
	TURN_UNTIL(loop, accepted == 1);
	assert_int_equal(tend_listener_adopt(&other, loop, tend_conn_fd(last), &hooks, NULL), -EEXIST);
	assert_int_equal(send(fd, "still", 5, 0), 5);
	TURN_UNTIL(loop, strcmp(heard, "still") == 0);
	close(fd);
	TURN_UNTIL(loop, closed == 1);
	tend_listener_stop(listener);
	tend_listener_stop(NULL);
}

static void
stop_it(struct tend_conn *c)
{
	(void)c;
	accepted++;
	tend_listener_stop(listener);
}

/* In the middle of accepting: the others in its queue are refused, nothing is touched that is gone. */
static void
listener_may_be_stopped_by_its_own_client(void **state)
{
	static const struct tend_conn_hooks stopping = {
		.accepted = stop_it, .readable = hear, .closed = count_closed,
	};
	struct tend_loop *loop = *state;
	int one, two;

	start(loop, "127.0.0.1:0", &stopping);
	one = visit();
	two = visit();
	TURN_UNTIL(loop, accepted == 1);
	tend_loop_turn(loop, 0);
	assert_int_equal(accepted, 1);
	close(one);
	close(two);
	TURN_UNTIL(loop, closed == 1);
}

static struct tend_loop *freed;

static void
free_it(struct tend_conn *c)
{
	(void)c;
	accepted++;
	tend_loop_free(freed);
	freed = NULL;
}

static void
loop_may_be_freed_by_a_client_of_a_listener(void **state)
{
	static const struct tend_conn_hooks freeing = {
		.accepted = free_it, .readable = hear, .closed = count_closed,
	};
	struct tend_loop *loop;
	int one, two;

	loop = freed = tend_loop_new(tend_loop_poller(*state));
	start(loop, "127.0.0.1:0", &freeing);
	one = visit();
	two = visit();
	while (freed != NULL)
		assert_int_equal(tend_loop_turn(loop, 1), 0);
	assert_int_equal(accepted, 1);
	assert_int_equal(closed, 1);
	/* After its loop. */
	tend_listener_stop(listener);
	close(one);
	close(two);
}

/* MX-59, MX-T19: no spin, those who are there are served, and it recovers by itself. */
static void
without_descriptors_it_waits_and_serves_on(void **state)
{
	struct tend_loop *loop = *state;
	struct rlimit all, few;
	uint64_t before;
	int one, two;

	/* Its accept4() knows of no such limit. */
	if (under_valgrind())
		skip();
	start(loop, "127.0.0.1:0", &hooks);
	one = visit();
	TURN_UNTIL(loop, accepted == 1);
	two = visit();
	assert_int_equal(getrlimit(RLIMIT_NOFILE, &all), 0);
	few = all;
	few.rlim_cur = 3;
	assert_int_equal(setrlimit(RLIMIT_NOFILE, &few), 0);
	tend_loop_turn(loop, 0);
	before = loop->stats.events;
	assert_int_equal(send(one, "served", 6, 0), 6);
	TURN_UNTIL(loop, strcmp(heard, "served") == 0);
	assert_int_equal(accepted, 1);
	assert_true(loop->stats.events - before < 5);
	assert_int_equal(setrlimit(RLIMIT_NOFILE, &all), 0);
	TURN_UNTIL(loop, accepted == 2);
	expect(two, "welcome");
	tend_listener_stop(listener);
	close(one);
	close(two);
	TURN_UNTIL(loop, closed == 2);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		ON_EACH_POLLER(client_gets_the_hooks_and_data_of_its_listener),
		ON_EACH_POLLER(unix_listener_removes_its_path),
		ON_EACH_POLLER(what_cannot_listen_is_refused),
		ON_EACH_POLLER(listener_may_be_stopped_by_its_own_client),
		ON_EACH_POLLER(loop_may_be_freed_by_a_client_of_a_listener),
		ON_EACH_POLLER(without_descriptors_it_waits_and_serves_on),
	};

	signal(SIGPIPE, SIG_IGN);
	return cmocka_run_group_tests(tests, NULL, NULL);
}
