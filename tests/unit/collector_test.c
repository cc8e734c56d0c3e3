/* Sockets to collectors: src/log/collector.c, with collectors of our own on both ends. */
#include <errno.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>
#include <cmocka.h>

#include "base/clock.h"
#include "log/collector.h"

struct fixture {
	struct collector  collector;
	struct log_shared shared;
	struct addr       addr;
	char              directory[64];
	int               listener; /* the collector's end */
};

static int
set_up(void **state)
{
	struct fixture *f = calloc(1, sizeof(*f));
	char path[96];

	if (f == NULL)
		return -1;
	snprintf(f->directory, sizeof(f->directory), "/tmp/collector_test.XXXXXX");
	if (mkdtemp(f->directory) == NULL)
		return -1;
	snprintf(path, sizeof(path), "%s/log", f->directory);
	addr_set_path(&f->addr, path);
	f->listener = f->collector.fd = -1;
	*state = f;
	return 0;
}

static void
close_listener(struct fixture *f)
{
	if (f->listener >= 0)
		close(f->listener);
	f->listener = -1;
	if (f->addr.u.any.sa_family == AF_UNIX)
		unlink(f->addr.u.un.sun_path);
}

static int
tear_down(void **state)
{
	struct fixture *f = *state;

	collector_close(&f->collector);
	close_listener(f);
	rmdir(f->directory);
	free(f);
	return 0;
}

static void
listen_as(struct fixture *f, int type)
{
	int on = 1;

	f->listener = socket(f->addr.u.any.sa_family, type | SOCK_CLOEXEC, 0);
	assert_true(f->listener >= 0);
	setsockopt(f->listener, SOL_SOCKET, SO_REUSEADDR, &on, sizeof(on));
	assert_int_equal(bind(f->listener, &f->addr.u.any, f->addr.length), 0);
	if (type == SOCK_STREAM)
		assert_int_equal(listen(f->listener, 8), 0);
	assert_int_equal(addr_of_socket(&f->addr, f->listener), 0);
}

static void
on_loopback(struct fixture *f)
{
	f->addr = (struct addr){ .length = sizeof(f->addr.u.v4),
		.u.v4 = { .sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK) } };
}

static void
open_to(struct fixture *f, int type, enum collector_end end)
{
	assert_non_null(collector_add(&f->collector, &f->addr, type, end));
	assert_int_equal(collector_open(&f->collector, &f->shared), 0);
}

static int
put(struct fixture *f, const char *text)
{
	char line[256];
	int n = snprintf(line, sizeof(line), "%s\n", text);

	return collector_put(&f->collector, &f->shared, line, (size_t)n, 100);
}

/* As if the pause after a failure were over. */
static void
let_time_pass(struct fixture *f)
{
	if (f->shared.retry_at != 0)
		f->shared.retry_at = 1;
}

static void
expect(int fd, const char *bytes, size_t length)
{
	char got[256];

	memset(got, 0, sizeof(got));
	assert_int_equal(recv(fd, got, sizeof(got), 0), length);
	assert_memory_equal(got, bytes, length);
}

static void
datagram_holds_a_line_and_nothing_else(void **state)
{
	struct fixture *f = *state;

	listen_as(f, SOCK_DGRAM);
	open_to(f, SOCK_DGRAM, END_NONE);
	assert_int_equal(put(f, "one"), 0);
	assert_int_equal(put(f, "two"), 0);
	expect(f->listener, "one", 3);
	expect(f->listener, "two", 3);
	assert_true(fcntl(f->collector.fd, F_GETFD) & FD_CLOEXEC);
}

/* As libc does it: a socket that wants streams is found out by trying. */
static void
stream_takes_the_place_of_datagrams(void **state)
{
	struct fixture *f = *state;
	int fd;

	listen_as(f, SOCK_STREAM);
	collector_add(&f->collector, &f->addr, SOCK_DGRAM, END_NONE);
	open_to(f, SOCK_STREAM, END_NUL);
	assert_int_equal(put(f, "one"), 0);
	fd = accept(f->listener, NULL, NULL);
	expect(fd, "one\0", 4);
	close(fd);
}

static void
tcp_lines_end_with_a_newline(void **state)
{
	struct fixture *f = *state;
	int fd;

	on_loopback(f);
	listen_as(f, SOCK_STREAM);
	open_to(f, SOCK_STREAM, END_NEWLINE);
	fd = accept(f->listener, NULL, NULL);
	assert_int_equal(put(f, "one"), 0);
	expect(fd, "one\n", 4);
	close(fd);
}

/* NS-LOG-45: absent, present, gone, back; under one number. */
static void
collector_is_found_again(void **state)
{
	struct fixture *f = *state;
	int fd;

	open_to(f, SOCK_DGRAM, END_NONE);
	fd = f->collector.fd;
	assert_int_equal(put(f, "lost"), -ENOENT);
	listen_as(f, SOCK_DGRAM);
	/* Nobody knocks before the pause is over. */
	f->shared.retry_at = clock_now() + 100 * CLOCK_SECOND;
	assert_int_equal(put(f, "lost"), -ENOENT);
	let_time_pass(f);
	assert_int_equal(put(f, "one"), 0);
	expect(f->listener, "one", 3);
	close_listener(f);
	/* The old socket is broken, so the path is tried at once; the pause begins with that. */
	assert_int_equal(put(f, "lost"), -ENOENT);
	assert_true(f->shared.retry_at > clock_now());
	listen_as(f, SOCK_DGRAM);
	collector_refresh(&f->collector, &f->shared);
	assert_int_equal(put(f, "two"), 0);
	expect(f->listener, "two", 3);
	assert_int_equal(f->collector.fd, fd);
}

/* A restart between two lines loses nothing. */
static void
collector_that_restarted_gets_the_next_line(void **state)
{
	struct fixture *f = *state;

	listen_as(f, SOCK_DGRAM);
	open_to(f, SOCK_DGRAM, END_NONE);
	assert_int_equal(put(f, "one"), 0);
	close_listener(f);
	listen_as(f, SOCK_DGRAM);
	assert_int_equal(put(f, "two"), 0);
	expect(f->listener, "two", 3);
}

/* A stream whose reader has closed takes a line once more, for nobody: it must not. */
static void
closed_stream_is_noticed_before_a_line_is_lost(void **state)
{
	struct fixture *f = *state;
	int fd;

	on_loopback(f);
	listen_as(f, SOCK_STREAM);
	open_to(f, SOCK_STREAM, END_NEWLINE);
	fd = accept(f->listener, NULL, NULL);
	close(fd);
	assert_int_equal(put(f, "one"), 0);
	fd = accept(f->listener, NULL, NULL);
	expect(fd, "one\n", 4);
	close(fd);
}

/* The kernel tells of a datagram that nobody wanted when the next is sent: both are lost. */
static void
refused_datagrams_are_counted(void **state)
{
	struct fixture *f = *state;

	on_loopback(f);
	listen_as(f, SOCK_DGRAM);
	close(f->listener);
	f->listener = -1;
	open_to(f, SOCK_DGRAM, END_NONE);
	assert_int_equal(put(f, "nobody knows yet"), 0);
	assert_int_equal(put(f, "lost"), -ECONNREFUSED);
	assert_int_equal(f->shared.lost, 1);
	/* Not every other one seems to arrive. */
	let_time_pass(f);
	assert_int_equal(put(f, "lost"), -ECONNREFUSED);
	let_time_pass(f);
	assert_int_equal(put(f, "lost"), -ECONNREFUSED);
	listen_as(f, SOCK_DGRAM);
	let_time_pass(f);
	assert_int_equal(put(f, "one"), 0);
	/* The empty one that went ahead. */
	expect(f->listener, "", 0);
	expect(f->listener, "one", 3);
}

/* NS-LOG-45: a collector that has stopped reading costs a bounded wait, and with no patience none. */
static void
collector_that_stopped_costs_no_time(void **state)
{
	static const struct {
		int type;
		enum collector_end end;
		int room; /* what may be taken before the kernel has no more room */
	} kinds[] = { { SOCK_DGRAM, END_NONE, 1000 }, { SOCK_STREAM, END_NUL, 20000 } };
	struct fixture *f = *state;
	size_t i;

	for (i = 0; i < 2; i++) {
		char line[200];
		int n = 0, r = 0;

		memset(line, 'x', sizeof(line));
		listen_as(f, kinds[i].type);
		f->collector.count = 0;
		open_to(f, kinds[i].type, kinds[i].end);
		while (r == 0 && n++ < kinds[i].room)
			r = collector_put(&f->collector, &f->shared, line, sizeof(line), 0);
		assert_int_equal(r, -EAGAIN);
		/* A line that is in it in part ended the stream. */
		r = collector_put(&f->collector, &f->shared, line, sizeof(line), 100);
		assert_true(r == -EAGAIN || (kinds[i].type == SOCK_STREAM && r == 0));
		collector_close(&f->collector);
		close_listener(f);
	}
}

/* A host that answers nothing: the connection is given up, and others do not try again. */
static void
connecting_does_not_wait_for_long(void **state)
{
	struct fixture *f = *state;
	int filler[64], i;

	/* A queue of connections that is full answers nothing either. */
	on_loopback(f);
	listen_as(f, SOCK_STREAM);
	assert_int_equal(listen(f->listener, 0), 0);
	for (i = 0; i < 64; i++) {
		filler[i] = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK, 0);
		connect(filler[i], &f->addr.u.any, f->addr.length);
	}
	open_to(f, SOCK_STREAM, END_NEWLINE);
	assert_int_equal(put(f, "lost"), -ETIMEDOUT);
	assert_int_equal(put(f, "lost"), -ETIMEDOUT);
	assert_true(f->shared.retry_at != 0);
	for (i = 0; i < 64; i++)
		close(filler[i]);
}

/* What one process has mended, the parent mends for those that are to come. */
static void
parent_follows_a_child_that_reconnected(void **state)
{
	struct fixture *f = *state;
	struct collector childs;

	listen_as(f, SOCK_DGRAM);
	open_to(f, SOCK_DGRAM, END_NONE);
	childs = f->collector;
	childs.fd = dup(childs.fd);
	close_listener(f);
	listen_as(f, SOCK_DGRAM);
	collector_follow(&f->collector, &f->shared);
	assert_int_equal(send(f->collector.fd, "x", 1, 0), -1);
	assert_int_equal(collector_put(&childs, &f->shared, (char[]){ "a\n" }, 2, 0), 0);
	collector_follow(&f->collector, &f->shared);
	assert_int_equal(send(f->collector.fd, "x", 1, 0), 1);
	collector_close(&childs);
}

static void
there_is_room_for_a_few_targets(void **state)
{
	struct fixture *f = *state;
	int i;

	for (i = 0; i < COLLECTOR_TARGETS; i++)
		assert_non_null(collector_add(&f->collector, &f->addr, SOCK_DGRAM, END_NONE));
	assert_null(collector_add(&f->collector, &f->addr, SOCK_DGRAM, END_NONE));
}

int
main(void)
{
#define WITH(test) cmocka_unit_test_setup_teardown(test, set_up, tear_down)
	const struct CMUnitTest tests[] = {
		WITH(datagram_holds_a_line_and_nothing_else),
		WITH(stream_takes_the_place_of_datagrams),
		WITH(tcp_lines_end_with_a_newline),
		WITH(collector_is_found_again),
		WITH(collector_that_restarted_gets_the_next_line),
		WITH(closed_stream_is_noticed_before_a_line_is_lost),
		WITH(refused_datagrams_are_counted),
		WITH(collector_that_stopped_costs_no_time),
		WITH(connecting_does_not_wait_for_long),
		WITH(parent_follows_a_child_that_reconnected),
		WITH(there_is_room_for_a_few_targets),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
