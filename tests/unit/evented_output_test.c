/* Output of an evented connection: when it leaves, in how many calls, what is queued and bounded. */
#include "evented_fixture.h"

static char big[4 << 20];

static void
fill_big(void)
{
	size_t i;

	for (i = 0; i < sizeof(big); i++)
		big[i] = (char)(i * 7 + i / 256);
}

static void
answer_in_pieces(struct tend_conn *c)
{
	listen_to(c);
	tend_printf(c, "one,");
	tend_write(c, "two,", 4);
	tend_printf(c, "three");
}

/* DS-72, MX-35: what a hook writes leaves in one call, right after it. */
static void
output_of_a_hook_leaves_in_one_call(void **state)
{
	struct meeting *m = *state;

	scene.on_readable = answer_in_pieces;
	turn();
	m->writes = 0;
	client_says(m, "go");
	TURN_UNTIL(scene.heard_size > 0);
	client_hears(m, "one,two,three");
	assert_int_equal(m->writes, 1);
}

static void
output_from_outside_leaves_in_the_next_turn(void **state)
{
	struct meeting *m = *state;
	char heard[5];

	assert_int_equal(tend_write(scene.c, "hello", 5), 5);
	assert_int_equal(tend_conn_queued(scene.c), 5);
	assert_int_equal(client_collects(m, heard, 5), 5);
	assert_memory_equal(heard, "hello", 5);
	assert_int_equal(tend_conn_queued(scene.c), 0);
}

/* DS-71, DS-75, DS-T23, DS-87 */
static void
results_of_a_write(void **state)
{
	struct meeting *m = *state;

	(void)m;
	assert_int_equal(tend_write(scene.c, "", 0), 0);
	assert_int_equal(tend_flush(scene.c), 0);
	assert_int_equal(tend_write(scene.c, "x", 1), 1);
	assert_int_equal(tend_printf(scene.c, "%d", 1234), 4);
	assert_int_equal(tend_flush(scene.c), 0);
	fill_the_kernel(scene.c);
	assert_int_equal(tend_flush(scene.c), -EAGAIN);
	tend_abort(scene.c);
	assert_int_equal(tend_write(scene.c, "x", 1), -ENOTCONN);
	assert_int_equal(tend_flush(scene.c), -ENOTCONN);
}

/* DS-74, DS-75, DS-84, DS-89, DS-T37: also through a transport that takes three bytes at a time. */
static void
much_output_arrives_complete(void **state)
{
	struct meeting *m = *state;
	size_t size = m->real == &transport_awkward ? 20000 : 800000, at;
	static char heard[800000];

	fill_big();
	for (at = 0; at < size; at += 20000)
		assert_int_equal(tend_write(scene.c, big + at, 20000), 20000);
	assert_int_equal(client_collects(m, heard, size), size);
	assert_memory_equal(heard, big, size);
	TURN_UNTIL(tend_conn_queued(scene.c) == 0);
}

/* DS-83, DS-T25, DS-76 */
static void
many_small_writes_while_blocked_cost_no_calls(void **state)
{
	struct meeting *m = *state;
	uint64_t before;
	static char heard[8 << 20];
	size_t sent, i;

	fill_the_kernel(scene.c);
	turns(3);
	sent = tend_conn_queued(scene.c);
	m->writes = 0;
	before = scene.loop->stats.events;
	for (i = 0; i < 10000; i++)
		assert_int_equal(tend_write(scene.c, "0123456789", 10), 10);
	assert_int_equal(m->writes, 0);
	turns(3);
	assert_int_equal(m->writes, 0);
	assert_int_equal(scene.loop->stats.events, before);
	assert_int_equal(tend_conn_queued(scene.c), sent + 100000);
	/* What is queued leaves in gathered calls. */
	while (tend_conn_queued(scene.c) > 0) {
		recv(m->client, heard, sizeof(heard), MSG_DONTWAIT);
		turn();
	}
	assert_in_range(m->writes, 1, 100);
}

/* DS-88, DS-T27, MX-43, MX-T26: a client that does not read is not asked for more. */
static void
client_that_does_not_read_is_not_read_from(void **state)
{
	struct meeting *m = *state;
	static char scrap[1 << 20];

	tend_conn_set_marks(scene.c, 1000, 100);
	scene.on_readable = listen_to;
	fill_the_kernel(scene.c);
	tend_write(scene.c, scrap, 2000);
	turns(3);
	forget_trace();
	client_says(m, "more!");
	turns(5);
	EXPECT_TRACE("");
	while (scene.heard_size == 0) {
		recv(m->client, scrap, sizeof(scrap), MSG_DONTWAIT);
		assert_int_equal(tend_loop_turn(scene.loop, 0.01), 0);
	}
	assert_string_equal(scene.heard, "more!");
	assert_non_null(strstr(scene.trace, "drained"));
	assert_true(tend_conn_queued(scene.c) <= 1000);
}

static void
take_one_and_answer_much(struct tend_conn *c)
{
	char byte;

	if (tend_read(c, &byte, 1) == 1) {
		scene.heard_size++;
		if (scene.heard_size == 1)
			fill_the_kernel(c);
	}
}

/* What was read before the mark was passed is delivered when the client has taken its answers. */
static void
input_that_waited_for_the_mark_is_not_forgotten(void **state)
{
	struct meeting *m = *state;
	static char scrap[1 << 20];

	tend_conn_set_marks(scene.c, 1, 0);
	scene.on_readable = take_one_and_answer_much;
	client_says(m, "abc");
	TURN_UNTIL(scene.heard_size == 1);
	turns(5);
	assert_int_equal(scene.heard_size, 1);
	while (scene.heard_size < 3) {
		recv(m->client, scrap, sizeof(scrap), MSG_DONTWAIT);
		assert_int_equal(tend_loop_turn(scene.loop, 0.01), 0);
	}
}

/* DS-88, MX-43 */
static void
queue_beyond_max_output_ends_the_connection(void **state)
{
	ssize_t n = 0;
	size_t most = 0;

	(void)state;
	while (n >= 0) {
		n = tend_write(scene.c, big, 60000);
		if (tend_conn_queued(scene.c) > most)
			most = tend_conn_queued(scene.c);
	}
	assert_int_equal(n, -ENOBUFS);
	assert_true(most <= (1 << 20));
	TURN_UNTIL(scene.closed == 1);
	assert_non_null(strstr(scene.trace, "failed closed"));
	assert_int_equal(scene.error, -ENOBUFS);
	assert_int_equal(scene.reason, -ENOBUFS);
}

static unsigned drained;

static void
count_drained(struct tend_conn *c)
{
	(void)c;
	drained++;
}

/* MX-38, MX-T11 */
static void
drained_is_told_once_for_each_emptying(void **state)
{
	struct meeting *m = *state;
	char heard[10];

	drained = 0;
	scene.on_drained = count_drained;
	turns(5);
	assert_int_equal(drained, 0);
	tend_write(scene.c, "hello", 5);
	assert_int_equal(client_collects(m, heard, 5), 5);
	turns(5);
	assert_int_equal(drained, 1);
	tend_write(scene.c, "again", 5);
	assert_int_equal(client_collects(m, heard, 5), 5);
	turns(5);
	assert_int_equal(drained, 2);
}

static void
write_more(struct tend_conn *c)
{
	if (drained++ < 5)
		tend_write(c, "x", 1);
}

static void
drained_that_writes_is_called_for_that_too(void **state)
{
	struct meeting *m = *state;
	char heard[6];

	drained = 0;
	scene.on_drained = write_more;
	tend_write(scene.c, "x", 1);
	assert_int_equal(client_collects(m, heard, 6), 6);
	turns(5);
	assert_int_equal(drained, 6);
}

/* DS-85, DS-86, DS-T26, MX-39 */
static void
interest_of_the_application_is_its_own(void **state)
{
	static char scrap[1 << 20];
	struct meeting *m = *state;
	int i;

	drained = 0;
	scene.on_drained = count_drained;
	assert_int_equal(tend_conn_watch(scene.c, TEND_WRITE, true), 0);
	TURN_UNTIL(drained > 2);
	/* Off while output is queued: that leaves all the same. */
	fill_the_kernel(scene.c);
	turns(2);
	assert_int_equal(tend_conn_watch(scene.c, TEND_WRITE, false), 0);
	while (tend_conn_queued(scene.c) > 0) {
		recv(m->client, scrap, sizeof(scrap), MSG_DONTWAIT);
		turn();
	}
	turns(2);
	i = (int)drained;
	turns(5);
	assert_int_equal(drained, i);
}

/* MX-41, MX-T12 */
static void
discarded_output_is_gone_and_what_follows_leaves(void **state)
{
	struct meeting *m = *state;
	char heard[1];

	tend_write(scene.c, "secret", 6);
	tend_conn_discard(scene.c);
	assert_int_equal(tend_conn_queued(scene.c), 0);
	tend_write(scene.c, "0", 1);
	assert_int_equal(client_collects(m, heard, 1), 1);
	assert_int_equal(heard[0], '0');
}

/* DS-98, DS-99, DS-T31 */
static void
cork_holds_back_until_it_is_gone(void **state)
{
	struct meeting *m = *state;
	char heard[10];

	turn();
	tend_conn_cork(scene.c, true);
	tend_write(scene.c, "held", 4);
	turns(3);
	client_hears_nothing(m);
	tend_conn_cork(scene.c, false);
	assert_int_equal(client_collects(m, heard, 4), 4);
	tend_conn_cork(scene.c, true);
	tend_write(scene.c, "last", 4);
	tend_close(scene.c);
	assert_int_equal(client_collects(m, heard, 4), 4);
}

/* DS-100 */
static void
cork_is_ignored_where_there_is_none(void **state)
{
	struct meeting *m = *state;
	char heard[4];

	tend_conn_cork(scene.c, true);
	tend_write(scene.c, "flow", 4);
	assert_int_equal(client_collects(m, heard, 4), 4);
	assert_true(scene.c->open);
}

/* MX-67: a stream takes what it is given, and loses nothing when the kernel is full. */
static void
stream_over_a_full_connection_loses_nothing(void **state)
{
	struct meeting *m = *state;
	static char heard[900000];
	FILE *out;
	size_t i;

	assert_int_equal(tend_conn_stdio(scene.c, NULL, &out), 0);
	for (i = 0; i < 100000; i++)
		assert_int_equal(fprintf(out, "%08zu\n", i), 9);
	assert_int_equal(fflush(out), 0);
	assert_int_equal(client_collects(m, heard, 900000), 900000);
	for (i = 0; i < 100000; i++)
		assert_int_equal(strtoul(heard + i * 9, NULL, 10), i);
}

/* A handler that writes while it is served: others are not held up for longer than a share. */
static void
wait_calls_do_not_wait(void **state)
{
	struct tend_conn *other;

	(void)state;
	assert_int_equal(tend_wait_readable(scene.c, 10), -EAGAIN);
	assert_int_equal(tend_sleep(scene.c, 10), -EAGAIN);
	assert_int_equal(tend_connect(scene.c, "127.0.0.1:1", 10, &other), -EAGAIN);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		ON_PLAIN(output_of_a_hook_leaves_in_one_call),
		ON_ALL(output_from_outside_leaves_in_the_next_turn),
		ON_PLAIN(results_of_a_write),
		ON_ALL(much_output_arrives_complete),
		ON_PLAIN(many_small_writes_while_blocked_cost_no_calls),
		ON_PLAIN(client_that_does_not_read_is_not_read_from),
		ON_PLAIN(input_that_waited_for_the_mark_is_not_forgotten),
		ON_PLAIN(queue_beyond_max_output_ends_the_connection),
		ON_ALL(drained_is_told_once_for_each_emptying),
		ON_ALL(drained_that_writes_is_called_for_that_too),
		ON_PLAIN(interest_of_the_application_is_its_own),
		ON_ALL(discarded_output_is_gone_and_what_follows_leaves),
		ON_TCP(cork_holds_back_until_it_is_gone),
		ON_UNIX(cork_is_ignored_where_there_is_none),
		ON_PLAIN(stream_over_a_full_connection_loses_nothing),
		ON_PLAIN(wait_calls_do_not_wait),
	};

	signal(SIGPIPE, SIG_IGN);
	return cmocka_run_group_tests(tests, NULL, NULL);
}
