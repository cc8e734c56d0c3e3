/* Desks: where somebody asks, nobody can hold the server up. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/clock.h"
#include "server/desk.h"

#define BIG (1024 * 1024)

static struct tend_loop *loop;
static struct desk desk;
static char directory[] = "/tmp/tend-desk-XXXXXX", path[64];
static unsigned asked;
static bool admitted;

/* One letter is a request: b is answered with a megabyte, q is the last one, others come back. */
static void
answer(struct desk_client *c, void *data)
{
	char letter = buf_data(&c->in)[0];

	(void)data;
	asked++;
	if (letter == '.')
		return; /* not complete yet */
	if (letter == 'b') {
		assert_int_equal(buf_reserve(&c->out, BIG), 0);
		memset(buf_room(&c->out), 'b', BIG);
		buf_added(&c->out, BIG);
	} else {
		buf_append(&c->out, &letter, 1);
	}
	c->last = letter == 'q';
	buf_consume(&c->in, 1);
}

static bool
admit(struct desk_client *c, void *data)
{
	(void)data;
	assert_int_equal(c->uid, geteuid());
	assert_int_equal(c->pid, getpid());
	if (!admitted)
		buf_append_text(&c->out, "no");
	return admitted;
}

static int
setup(void **state)
{
	struct endpoint where = {
		.host = (char *)(uintptr_t)"*", .port = path, .proto = (char *)(uintptr_t)"unix",
		.configured_port = path,
	};

	(void)state;
	loop = tend_loop_new(NULL);
	desk = (struct desk){ .answer = answer, .admit = admit, .farewell = "full", .patience = 30 };
	desk_init(&desk, loop);
	strcpy(directory + sizeof(directory) - 7, "XXXXXX");
	if (loop == NULL || mkdtemp(directory) == NULL)
		return -1;
	snprintf(path, sizeof(path), "%s/desk", directory);
	asked = 0;
	admitted = true;
	return addr_set_path(&where.addr, path) < 0 ? -1 : desk_open(&desk, &where, -1, NULL);
}

static int
teardown(void **state)
{
	struct stat st;

	(void)state;
	desk_close(&desk);
	assert_int_equal(stat(path, &st), -1);
	tend_loop_free(loop);
	return rmdir(directory);
}

/* Until there is nothing to do. */
static void
turn(void)
{
	struct tend_loop_stats before, after;

	do {
		tend_loop_stats(loop, &before);
		assert_int_equal(tend_loop_turn(loop, 0), 0);
		tend_loop_stats(loop, &after);
	} while (after.events != before.events);
}

static int
come(void)
{
	struct addr a = { .length = 0 };
	int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);

	assert_int_equal(addr_set_path(&a, path), 0);
	assert_int_equal(connect(fd, &a.u.any, a.length), 0);
	turn();
	return fd;
}

static void
say(int fd, const char *text)
{
	assert_int_equal(send(fd, text, strlen(text), MSG_NOSIGNAL), strlen(text));
	turn();
}

static void
assert_heard(int fd, const char *text)
{
	char heard[64];
	ssize_t n = recv(fd, heard, sizeof(heard), MSG_DONTWAIT);

	assert_int_equal(n, strlen(text));
	assert_memory_equal(heard, text, strlen(text));
}

static void
assert_end(int fd)
{
	char byte;

	assert_int_equal(recv(fd, &byte, 1, MSG_DONTWAIT), 0);
	close(fd);
}

static void
assert_nobody_there(void)
{
	size_t i;

	turn();
	for (i = 0; i < DESK_CLIENTS; i++)
		assert_int_equal(desk.clients[i].fd, -1);
}

static void
requests_are_answered_in_order(void **state)
{
	int fd = come(), other = come();

	(void)state;
	say(fd, "xyz");
	assert_heard(fd, "xyz");
	say(other, "1");
	assert_heard(other, "1");
	say(fd, "a");
	assert_heard(fd, "a");
	close(fd);
	close(other);
	assert_nobody_there();
}

/* A line in pieces is no reason to look at it again and again without end. */
static void
an_incomplete_request_waits(void **state)
{
	int fd = come();

	(void)state;
	say(fd, ".");
	assert_int_equal(asked, 1);
	turn();
	assert_int_equal(asked, 1);
	close(fd);
	assert_nobody_there();
}

static void
the_last_answer_arrives_though_the_client_goes_on(void **state)
{
	int fd = come();

	(void)state;
	say(fd, "qxxxx");
	say(fd, "more");
	assert_heard(fd, "q");
	assert_end(fd);
	assert_nobody_there();
}

/* The next request is looked at when the answer was taken: one answer is all there is in memory. */
static void
who_does_not_take_answers_gets_no_second_one(void **state)
{
	int fd = come();
	size_t bytes = 0;
	char scrap[65536];

	(void)state;
	say(fd, "bbb");
	assert_int_equal(asked, 1);
	while (bytes < 3 * BIG) {
		ssize_t n = recv(fd, scrap, sizeof(scrap), MSG_DONTWAIT);

		if (n > 0)
			bytes += (size_t)n;
		assert_true(n > 0 || (n < 0 && errno == EAGAIN));
		turn();
	}
	assert_int_equal(asked, 3);
	close(fd);
	assert_nobody_there();
}

static void
too_much_input_ends_the_conversation(void **state)
{
	char much[DESK_INPUT + 10];
	int fd = come();

	(void)state;
	memset(much, '.', sizeof(much));
	send(fd, much, sizeof(much), MSG_NOSIGNAL | MSG_DONTWAIT);
	assert_nobody_there();
	close(fd);
}

static void
one_too_many_is_sent_away(void **state)
{
	int fds[DESK_CLIENTS], fd;
	size_t i;

	(void)state;
	for (i = 0; i < DESK_CLIENTS; i++)
		fds[i] = come();
	fd = come();
	assert_heard(fd, "full");
	assert_end(fd);
	close(fds[3]);
	turn();
	fds[3] = come();
	say(fds[3], "x");
	assert_heard(fds[3], "x");
	for (i = 0; i < DESK_CLIENTS; i++)
		close(fds[i]);
	assert_nobody_there();
}

static void
who_may_not_ask_is_told_so(void **state)
{
	int fd;

	(void)state;
	admitted = false;
	fd = come();
	assert_heard(fd, "no");
	assert_end(fd);
	assert_nobody_there();
	assert_int_equal(asked, 0);
}

static void
silence_and_slowness_have_an_end(void **state)
{
	int silent, slow;

	(void)state;
	desk.patience = 0.05;
	silent = come();
	slow = come();
	say(slow, "b");
	while (desk.clients[0].fd >= 0 || desk.clients[1].fd >= 0)
		assert_int_equal(tend_loop_turn(loop, 10), 0);
	assert_end(silent);
	close(slow);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

int
main(void)
{
	static const struct CMUnitTest tests[] = {
		TEST(requests_are_answered_in_order),
		TEST(an_incomplete_request_waits),
		TEST(the_last_answer_arrives_though_the_client_goes_on),
		TEST(who_does_not_take_answers_gets_no_second_one),
		TEST(too_much_input_ends_the_conversation),
		TEST(one_too_many_is_sent_away),
		TEST(who_may_not_ask_is_told_so),
		TEST(silence_and_slowness_have_an_end),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
