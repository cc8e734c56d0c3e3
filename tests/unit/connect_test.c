/* Connecting out: on a loop, where a hook tells, and by a handler that waits. */
#include "evented_fixture.h"

#include <sys/un.h>

static struct tend_conn *out; /* NULL: it is closed */
static unsigned out_closed;
static int out_error, out_reason;

static void
out_connected(struct tend_conn *c)
{
	assert_ptr_equal(c, out);
	note("connected");
}

static void
out_failed(struct tend_conn *c, int error)
{
	(void)c;
	note("failed");
	out_error = error;
}

static void
out_is_closed(struct tend_conn *c)
{
	note("closed");
	out_closed++;
	out_reason = tend_conn_reason(c);
	out = NULL;
}

static const struct tend_conn_hooks out_hooks = {
	.connected = out_connected, .readable = listen_to, .failed = out_failed,
	.closed = out_is_closed,
};

/* A socket that listens; its address in `where`. */
static int
listen_at(char *where, int backlog)
{
	struct addr a = { .length = sizeof(a.u.v4) };
	int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);

	a.u.v4.sin_family = AF_INET;
	a.u.v4.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
	assert_int_equal(bind(fd, &a.u.any, a.length), 0);
	assert_int_equal(listen(fd, backlog), 0);
	assert_int_equal(addr_of_socket(&a, fd), 0);
	addr_text(&a, where);
	return fd;
}

static int
prepare(void **state)
{
	out = NULL;
	out_closed = 0;
	out_error = out_reason = 0;
	return set_stage(state);
}

static void
what_is_written_before_leaves_when_it_is_connected(void **state)
{
	char where[ADDR_TEXT_MAX], heard[6];
	int listener = listen_at(where, 5), fd;

	(void)state;
	assert_int_equal(tend_conn_connect(&out, scene.loop, where, 10, &out_hooks, NULL), 0);
	assert_int_equal(tend_write(out, "early", 5), 5);
	assert_string_equal(tend_peer(out), where);
	fd = accept(listener, NULL, NULL);
	TURN_UNTIL(strstr(scene.trace, "connected") != NULL);
	turns(2);
	assert_int_equal(recv(fd, heard, 5, MSG_WAITALL), 5);
	assert_memory_equal(heard, "early", 5);
	assert_int_equal(send(fd, "answer", 6, 0), 6);
	TURN_UNTIL(scene.heard_size == 6);
	tend_close(out);
	turn();
	assert_int_equal(out_closed, 1);
	assert_int_equal(out_reason, 0);
	close(fd);
	close(listener);
}

/* DS-32, DS-T07 */
static void
refusal_is_told_as_a_failure(void **state)
{
	char where[ADDR_TEXT_MAX];
	int listener = listen_at(where, 5), r;

	(void)state;
	close(listener);
	r = tend_conn_connect(&out, scene.loop, where, 10, &out_hooks, NULL);
	if (r == -ECONNREFUSED)
		return; /* at once: nobody has to be told */
	assert_int_equal(r, 0);
	tend_write(out, "lost", 4);
	TURN_UNTIL(out_closed == 1);
	EXPECT_TRACE("failed closed");
	assert_int_equal(out_error, -ECONNREFUSED);
	assert_int_equal(out_reason, -ECONNREFUSED);
}

/* A listener whose queue is full does not answer: the time is up. */
static void
answer_that_does_not_come_is_a_failure_in_time(void **state)
{
	char where[ADDR_TEXT_MAX];
	int listener = listen_at(where, 0), fillers[3], i;
	struct addr a;

	(void)state;
	assert_int_equal(addr_parse(&a, where), 0);
	for (i = 0; i < 3; i++) {
		fillers[i] = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK, 0);
		connect(fillers[i], &a.u.any, a.length);
	}
	assert_int_equal(tend_conn_connect(&out, scene.loop, where, 0.05, &out_hooks, NULL), 0);
	TURN_UNTIL(out_closed == 1);
	EXPECT_TRACE("failed closed");
	assert_int_equal(out_error, -ETIMEDOUT);
	for (i = 0; i < 3; i++)
		close(fillers[i]);
	close(listener);
}

static void
connection_under_way_may_be_closed(void **state)
{
	char where[ADDR_TEXT_MAX];
	int listener = listen_at(where, 5);

	(void)state;
	assert_int_equal(tend_conn_connect(&out, scene.loop, where, 10, &out_hooks, NULL), 0);
	tend_close(out);
	assert_int_equal(out_closed, 0);
	turns(2);
	EXPECT_TRACE("closed");
	assert_null(tend_loop_conn_first(scene.loop));
	close(listener);
}

static void
what_is_no_address_is_refused(void **state)
{
	static const struct tend_conn_hooks deaf = { .closed = out_is_closed };

	(void)state;
	assert_int_equal(tend_conn_connect(&out, scene.loop, "nowhere", 1, &out_hooks, NULL), -EINVAL);
	assert_int_equal(tend_conn_connect(&out, scene.loop, "127.0.0.1:1", 1, &deaf, NULL), -EINVAL);
	assert_int_equal(tend_conn_connect(&out, scene.loop, "/nowhere/at.all", 1, &out_hooks, NULL),
	    -ENOENT);
}

/* ---- made of a descriptor ---- */

/* DS-44, DS-65 to DS-67, DS-T36, MX-03 */
static void
constructor_refuses_what_is_no_connection(void **state)
{
	char path[] = "/tmp/tend-evented-XXXXXX";
	struct tend_conn *c;
	int file = mkstemp(path), fd = scene.c->fd;

	(void)state;
	unlink(path);
	assert_int_equal(tend_conn_new(&c, scene.loop, -1, &scene.hooks, NULL), -EBADF);
	assert_int_equal(tend_conn_new(&c, scene.loop, file, &scene.hooks, NULL), -EPERM);
	assert_int_equal(fcntl(file, F_GETFD), -1);
	/* Twice: the first lives on. */
	assert_int_equal(tend_conn_new(&c, scene.loop, fd, &scene.hooks, NULL), -EEXIST);
	assert_true(fcntl(fd, F_GETFD) >= 0);
	client_says(&meeting, "still");
	TURN_UNTIL(scene.heard_size == 5);
}

/* DS-68: a descriptor that blocks does not block the loop. */
static void
blocking_descriptor_does_not_block_the_loop(void **state)
{
	struct tend_conn *c;
	static char bytes[900000];
	int pair[2];

	(void)state;
	assert_int_equal(unix_pair(pair), 0);
	assert_int_equal(fcntl(pair[0], F_GETFL) & O_NONBLOCK, 0);
	assert_int_equal(tend_conn_new(&c, scene.loop, pair[0], &scene.hooks, NULL), 0);
	assert_int_equal(tend_write(c, bytes, sizeof(bytes)), sizeof(bytes));
	assert_true(tend_conn_queued(c) > 0);
	turns(3);
	tend_abort(c);
	turn();
	scene.closed = 0;
	close(pair[1]);
}

/* ---- by a handler that waits ---- */

static void
handler_connects_and_waits(void **state)
{
	struct meeting *m = *state;
	struct tend_conn *server;
	char where[ADDR_TEXT_MAX], heard[2];
	int listener = listen_at(where, 5), fd;

	assert_int_equal(tend_connect(&m->c, where, 10, &server), 0);
	fd = accept(listener, NULL, NULL);
	assert_int_equal(tend_write(server, "hi", 2), 2);
	assert_int_equal(tend_flush(server), 0);
	assert_int_equal(recv(fd, heard, 2, MSG_WAITALL), 2);
	assert_int_equal(send(fd, "yes\n", 4, 0), 4);
	handler_gets_line(server, "yes");
	tend_close(server);
	assert_int_equal(tend_write(server, "x", 1), -ENOTCONN);
	close(fd);
	/* One more, which is closed with the client. */
	assert_int_equal(tend_connect(&m->c, where, TEND_NONE, &server), 0);
	fd = accept(listener, NULL, NULL);
	conn_close(&m->c);
	conn_release(&m->c);
	assert_int_equal(recv(fd, heard, 1, 0), 0);
	close(fd);
	close(listener);
}

static void
handler_hears_why_it_cannot_connect(void **state)
{
	struct meeting *m = *state;
	struct tend_conn *server;
	char where[ADDR_TEXT_MAX];

	close(listen_at(where, 5));
	assert_int_equal(tend_connect(&m->c, where, 10, &server), -ECONNREFUSED);
	assert_int_equal(tend_connect(&m->c, "nowhere", 10, &server), -EINVAL);
	assert_int_equal(tend_connect(&m->c, "/nowhere/at.all", 10, &server), -ENOENT);
	conn_close(&m->c);
	assert_int_equal(tend_connect(&m->c, where, 10, &server), -ENOTCONN);
}

#define OUT(poller, test) \
	{ poller ": " #test, test, prepare, strike_stage, STAGE(poller, &transport_unix, unix_pair) }
#define OUT_ON_EACH(test) ON_POLLERS(OUT, test)

int
main(void)
{
	const struct CMUnitTest tests[] = {
		OUT_ON_EACH(what_is_written_before_leaves_when_it_is_connected),
		OUT_ON_EACH(refusal_is_told_as_a_failure),
		OUT_ON_EACH(answer_that_does_not_come_is_a_failure_in_time),
		OUT_ON_EACH(connection_under_way_may_be_closed),
		OUT_ON_EACH(what_is_no_address_is_refused),
		OUT_ON_EACH(constructor_refuses_what_is_no_connection),
		OUT_ON_EACH(blocking_descriptor_does_not_block_the_loop),
		OVER_UNIX(handler_connects_and_waits),
		OVER_UNIX(handler_hears_why_it_cannot_connect),
	};

	signal(SIGPIPE, SIG_IGN);
	return cmocka_run_group_tests(tests, NULL, NULL);
}
