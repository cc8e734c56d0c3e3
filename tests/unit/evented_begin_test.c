/*
 * A transport of the application's own in the evented mood: put on before the first event or in the
 * middle, with a handshake that goes on by itself; and those that do nonsense.
 */
#include "evented_fixture.h"
#include "scramble.h"

#define KEY 0x21

static struct scramble data;

static void
note_connected(struct tend_conn *c)
{
	(void)c;
	note("connected");
}

static int
start(void **state)
{
	data = (struct scramble){ .key = KEY };
	odd = (struct odd){ .read = 0 };
	if (set_stage(state) < 0)
		return -1;
	scene.hooks.connected = note_connected;
	return 0;
}

static void
client_says_scrambled(struct meeting *m, const char *text)
{
	char bytes[1000];

	memcpy(bytes, text, strlen(text));
	scramble(bytes, strlen(text), KEY);
	assert_int_equal(client_send(m, bytes, strlen(text)), 0);
}

/* What comes, while the loop turns. */
static void
client_gets(struct meeting *m, const char *text, unsigned char key)
{
	char bytes[1000];

	assert_int_equal(client_collects(m, bytes, strlen(text)), strlen(text));
	scramble(bytes, strlen(text), key);
	assert_memory_equal(bytes, text, strlen(text));
}

/* ---- in the middle ---- */

static int result;

/* As STARTTLS: one word in the clear, and then no more. */
static void
start_scrambling(struct tend_conn *c)
{
	char *line;

	if (tend_getline(c, &line) <= 0)
		return;
	assert_string_equal(line, "start");
	assert_int_equal(tend_printf(c, "go ahead\n"), 9);
	result = tend_conn_set_transport(c, data.rounds > 0 ? &shaking : &scrambling, &data);
	scene.on_readable = listen_to;
}

static void
it_can_begin_in_a_hook(void **state)
{
	struct meeting *m = *state;

	scene.on_readable = start_scrambling;
	client_says(m, "start\n");
	client_says_scrambled(m, "secret");
	TURN_UNTIL(scene.heard_size >= 6);
	assert_int_equal(result, 0);
	assert_string_equal(scene.heard, "secret");
	client_gets(m, "go ahead\n", 0);
	tend_printf(scene.c, "answer");
	client_gets(m, "answer", KEY);
	assert_int_equal(data.received, 6);
	tend_close(scene.c);
	client_is_told_the_end(m);
	assert_int_equal(data.ended, 1);
	assert_int_equal(data.done, 1);
}

/* A handshake that takes its time: nothing is read, what is written waits, no hook is called. */
static void
a_handshake_goes_on_by_itself(void **state)
{
	struct meeting *m = *state;

	scene.on_readable = start_scrambling;
	data.rounds = 3;
	client_says(m, "start\nh");
	TURN_UNTIL(data.rounds == 2);
	assert_int_equal(result, 0);
	client_gets(m, "go ahead\n", 0);
	forget_trace();
	assert_int_equal(tend_printf(scene.c, "written meanwhile"), 17);
	assert_int_equal(tend_flush(scene.c), -EAGAIN);
	assert_int_equal(tend_read(scene.c, scene.heard, 1), -EAGAIN);
	turns(5);
	client_hears_nothing(m);
	EXPECT_TRACE("");
	client_says(m, "h");
	TURN_UNTIL(data.rounds == 1);
	client_says(m, "h");
	client_says_scrambled(m, "secret");
	TURN_UNTIL(scene.heard_size == 6);
	assert_string_equal(scene.heard, "secret");
	client_gets(m, "written meanwhile", KEY);
	assert_ptr_equal(strstr(scene.trace, "connected"), scene.trace);
	assert_non_null(strstr(scene.trace, "readable"));
	assert_int_equal(scene.c->deadline, CLOCK_NEVER);
}

/* All of it has been sent already. */
static void
a_handshake_finds_what_was_sent_ahead(void **state)
{
	struct meeting *m = *state;
	char bytes[] = "start\nhhhsecret";

	scene.on_readable = start_scrambling;
	data.rounds = 3;
	scramble(bytes + 9, 6, KEY);
	assert_int_equal(client_send(m, bytes, 15), 0);
	TURN_UNTIL(scene.heard_size == 6);
	assert_string_equal(scene.heard, "secret");
}

static void
a_handshake_that_fails_is_told(void **state)
{
	struct meeting *m = *state;

	scene.on_readable = start_scrambling;
	data.rounds = 3;
	client_says(m, "start\nx");
	TURN_UNTIL(scene.c == NULL);
	assert_int_equal(scene.error, -EPROTO);
	assert_int_equal(scene.reason, -EPROTO);
	EXPECT_TRACE("readable failed closed");
	assert_int_equal(data.done, 1);
}

static void
a_handshake_has_its_time(void **state)
{
	struct meeting *m = *state;
	int64_t begun = clock_now();

	meeting.limits.handshake = 50 * CLOCK_MILLISECOND;
	scene.on_readable = start_scrambling;
	data.rounds = 3;
	client_says(m, "start\nhh");
	TURN_UNTIL(scene.c == NULL);
	assert_lasted(begun, 0.05);
	assert_int_equal(scene.error, -ETIMEDOUT);
	assert_int_equal(data.done, 1);
}

/* Its deadline is the connection's again. */
static void
the_deadline_of_before_counts_after_a_handshake(void **state)
{
	struct meeting *m = *state;
	int64_t deadline;

	meeting.limits.handshake = 10 * CLOCK_SECOND;
	tend_set_deadline(scene.c, 1000);
	deadline = scene.c->deadline;
	scene.on_readable = start_scrambling;
	data.rounds = 1;
	client_says(m, "start\n");
	TURN_UNTIL(scene.c->transport == &shaking);
	turns(2);
	assert_true(scene.c->deadline < deadline);
	client_says(m, "h");
	TURN_UNTIL(strstr(scene.trace, "connected") != NULL);
	assert_int_equal(scene.c->deadline, deadline);
}

static void
who_closes_before_hands_are_shaken_is_cut_off(void **state)
{
	struct meeting *m = *state;
	char byte;

	scene.on_readable = start_scrambling;
	data.rounds = 3;
	client_says(m, "start\n");
	TURN_UNTIL(scene.c->transport == &shaking);
	tend_printf(scene.c, "never sent");
	tend_close(scene.c);
	TURN_UNTIL(scene.c == NULL);
	client_hears(m, "go ahead\n");
	assert_int_equal(client_receive(m, &byte, 1), -ECONNRESET);
	assert_int_equal(data.done, 1);
	assert_int_equal(data.ended, 0);
}

/* ---- output that is queued ---- */

/* And says something more. */
static void
begin_behind(struct tend_conn *c, void *arg, int status)
{
	(void)arg;
	assert_int_equal(status, 0);
	result = tend_conn_set_transport(c, data.rounds > 0 ? &shaking : &scrambling, &data);
	if (result == 0)
		tend_printf(c, "behind");
}

/* Its bytes are the old one's. */
static void
while_output_is_queued_there_is_no_new_one(void **state)
{
	(void)state;
	fill_the_kernel(scene.c);
	assert_int_equal(tend_conn_set_transport(scene.c, &scrambling, &data), -EBUSY);
	assert_int_equal(data.done, 1);
	tend_abort(scene.c);
}

/* A function in the queue knows the place. */
static void
a_function_of_the_queue_can_begin_a_new_one(void **state)
{
	struct meeting *m = *state;
	static char before[300000], heard[300000];

	memset(before, 'b', sizeof(before));
	assert_int_equal(tend_write(scene.c, before, sizeof(before)), sizeof(before));
	assert_int_equal(tend_conn_after_write(scene.c, begin_behind, NULL), 0);
	assert_int_equal(client_collects(m, heard, sizeof(heard)), sizeof(heard));
	assert_memory_equal(heard, before, sizeof(heard));
	client_gets(m, "behind", KEY);
	assert_int_equal(result, 0);
	client_says_scrambled(m, "hello");
	TURN_UNTIL(scene.heard_size == 5);
	assert_string_equal(scene.heard, "hello");
}

/* Nothing of what it writes leaves before hands are shaken. */
static void
what_a_function_of_the_queue_writes_waits_for_the_handshake(void **state)
{
	struct meeting *m = *state;

	data.rounds = 1;
	assert_int_equal(tend_printf(scene.c, "before"), 6);
	assert_int_equal(tend_conn_after_write(scene.c, begin_behind, NULL), 0);
	client_gets(m, "before", 0);
	turns(5);
	client_hears_nothing(m);
	assert_int_equal(tend_conn_queued(scene.c), 6);
	client_says(m, "h");
	client_gets(m, "behind", KEY);
	assert_int_equal(result, 0);
}

/* It may have left in the same write as what stood before. */
static void
what_was_written_behind_it_already_is_in_the_way(void **state)
{
	struct meeting *m = *state;

	assert_int_equal(tend_printf(scene.c, "before, "), 8);
	assert_int_equal(tend_conn_after_write(scene.c, begin_behind, NULL), 0);
	assert_int_equal(tend_printf(scene.c, "after"), 5);
	client_gets(m, "before, after", 0);
	assert_int_equal(result, -EBUSY);
	assert_int_equal(data.done, 1);
	result = 0;
	assert_int_equal(tend_conn_after_write(scene.c, begin_behind, NULL), 0);
	client_gets(m, "behind", KEY);
	assert_int_equal(result, 0);
}

/* ---- at the beginning ---- */

static struct tend_conn *fresh;
static bool fresh_gone;

static void
echo_back(struct tend_conn *c)
{
	char bytes[100];
	ssize_t n;

	while ((n = tend_read(c, bytes, sizeof(bytes))) > 0)
		tend_write(c, bytes, (size_t)n);
}

static void
put_on_first(struct tend_conn *c)
{
	fresh = c;
	assert_int_equal(tend_conn_set_transport(c, &shaking, &data), 0);
	tend_printf(c, "welcome");
}

static void
note_gone(struct tend_conn *c)
{
	(void)c;
	fresh_gone = true;
}

static const struct tend_conn_hooks fresh_hooks = {
	.accepted = put_on_first,
	.connected = note_connected,
	.readable = echo_back,
	.closed = note_gone,
};

static int
connect_to(const struct tend_listener *l)
{
	struct addr a;
	int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);

	assert_int_equal(addr_parse(&a, tend_listener_address(l)), 0);
	assert_int_equal(connect(fd, &a.u.any, a.length), 0);
	return fd;
}

static void
a_client_of_a_listener_can_begin_with_it(void **state)
{
	struct meeting *m = *state;
	struct tend_listener *l;
	int before = m->client;

	fresh_gone = false;
	data.rounds = 2;
	assert_int_equal(tend_listener_start(&l, scene.loop, "127.0.0.1:0", &fresh_hooks, NULL), 0);
	m->client = connect_to(l);
	client_says(m, "hh");
	client_gets(m, "welcome", KEY);
	assert_string_equal(scene.trace, "connected");
	client_says_scrambled(m, "hello");
	client_gets(m, "hello", KEY);
	client_leaves(m);
	TURN_UNTIL(fresh_gone);
	assert_int_equal(data.done, 1);
	tend_listener_stop(l);
	m->client = before;
}

/* A client of its own: hands are shaken when it has got there. */
static void
a_connection_out_shakes_hands_when_it_has_connected(void **state)
{
	struct meeting *m = *state;
	struct sockaddr_in a = { .sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK) };
	socklen_t size = sizeof(a);
	int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0), before = m->client;
	struct tend_conn *c;
	char where[40];

	assert_int_equal(bind(fd, (struct sockaddr *)&a, sizeof(a)), 0);
	assert_int_equal(listen(fd, 1), 0);
	assert_int_equal(getsockname(fd, (struct sockaddr *)&a, &size), 0);
	snprintf(where, sizeof(where), "127.0.0.1:%u", ntohs(a.sin_port));
	fresh_gone = false;
	data.rounds = 1;
	assert_int_equal(tend_conn_connect(&c, scene.loop, where, 20, &fresh_hooks, NULL), 0);
	assert_int_equal(tend_conn_set_transport(c, &shaking, &data), 0);
	assert_int_equal(tend_printf(c, "hello"), 5);
	m->client = accept4(fd, NULL, NULL, SOCK_CLOEXEC);
	turns(5);
	client_hears_nothing(m);
	EXPECT_TRACE("");
	client_says(m, "h");
	client_gets(m, "hello", KEY);
	EXPECT_TRACE("connected");
	client_leaves(m);
	TURN_UNTIL(fresh_gone);
	assert_int_equal(data.done, 1);
	close(fd);
	m->client = before;
}

/* ---- taking the descriptor away ---- */

static void
a_descriptor_can_be_taken_from_under_a_plain_one_only(void **state)
{
	struct meeting *m = *state;
	int fd;

	assert_int_equal(tend_conn_set_transport(scene.c, &scrambling, &data), 0);
	assert_int_equal(tend_conn_detach(scene.c, NULL, NULL), -EINVAL);
	assert_int_equal(tend_conn_set_transport(scene.c, NULL, NULL), 0);
	assert_int_equal(tend_conn_set_transport(scene.c, &counting, &data), 0);
	fd = tend_conn_detach(scene.c, NULL, NULL);
	assert_true(fd >= 0);
	scene.c = NULL;
	assert_int_equal(data.done, 2);
	assert_int_equal(data.ended, 0);
	close(fd);
	turns(2);
	client_is_told_the_end(m);
}

/* ---- nonsense ---- */

static uint64_t
turns_in(double seconds)
{
	struct tend_loop_stats before, after;
	int64_t begun = clock_now();

	tend_loop_stats(scene.loop, &before);
	while (since(begun) < seconds)
		assert_int_equal(tend_loop_turn(scene.loop, 0.05), 0);
	tend_loop_stats(scene.loop, &after);
	return after.turns - before.turns;
}

static void
put_on_odd(void)
{
	assert_int_equal(tend_conn_set_transport(scene.c, &odd_one, NULL), 0);
}

static void
close_it(struct tend_conn *c)
{
	tend_close(c);
}

static void
one_that_never_reads_keeps_no_processor_busy(void **state)
{
	struct meeting *m = *state;

	put_on_odd();
	odd.read = -EAGAIN;
	odd.want = TEND_WRITE;
	tend_set_timeout(scene.c, 0.4);
	scene.on_timed_out = close_it;
	client_says(m, "x");
	/* A hundred at once, then one in ten milliseconds. */
	assert_in_range(turns_in(0.2), 1, 300);
	assert_in_range(odd.calls, 100, 200);
	/* It is silent, however often it is asked. */
	TURN_UNTIL(scene.c == NULL);
}

static void
one_that_never_writes_keeps_no_processor_busy(void **state)
{
	(void)state;
	put_on_odd();
	odd.write = -EAGAIN;
	scene.on_timed_out = close_it;
	tend_set_timeout(scene.c, 0.4);
	tend_printf(scene.c, "x");
	assert_in_range(turns_in(0.2), 1, 300);
	assert_in_range(odd.calls, 100, 200);
	tend_abort(scene.c);
}

/* As a transport that has to read before it can write, in the midst of a new handshake. */
static void
a_write_can_wait_for_input(void **state)
{
	struct meeting *m = *state;

	put_on_odd();
	odd.write = -EAGAIN;
	odd.want = TEND_READ;
	tend_printf(scene.c, "answer");
	TURN_UNTIL(odd.calls > 0);
	odd.write = 0;
	turns(3);
	client_says(m, "x");
	client_gets(m, "answer", 0);
	tend_abort(scene.c);
}

static void
promised_input_that_never_comes_keeps_no_processor_busy(void **state)
{
	struct meeting *m = *state;

	put_on_odd();
	odd.read = -EAGAIN;
	odd.want = TEND_READ;
	odd.pending = 7;
	client_says(m, "x");
	assert_in_range(turns_in(0.2), 1, 300);
	tend_abort(scene.c);
}

static void
more_than_was_asked_for_ends_it(void **state)
{
	struct meeting *m = *state;

	put_on_odd();
	odd.read = 1 << 20;
	client_says(m, "x");
	TURN_UNTIL(scene.c == NULL);
	assert_int_equal(scene.reason, -EIO);
}

static void
writing_nothing_ends_it(void **state)
{
	(void)state;
	put_on_odd();
	odd.write_nothing = true;
	tend_printf(scene.c, "x");
	TURN_UNTIL(scene.c == NULL);
	assert_int_equal(scene.reason, -EIO);
	assert_int_equal(odd.calls, 1);
}

/* ---- time ---- */

/* And nothing happens in between. */
static void
a_write_can_wait_for_time(void **state)
{
	struct meeting *m = *state;
	int64_t begun = clock_now();

	assert_int_equal(tend_conn_set_transport(scene.c, &odd_slow, NULL), 0);
	tend_printf(scene.c, "slowly");
	client_gets(m, "slowly", 0);
	assert_lasted(begun, 0.06);
	assert_int_equal(odd.calls, 12);
	/* The last words too. */
	tend_printf(scene.c, "bye");
	tend_close(scene.c);
	client_gets(m, "bye", 0);
	client_is_told_the_end(m);
	assert_int_equal(odd.calls, 18);
}

static ssize_t
slow_read(struct tend_conn *c, void *into, size_t size)
{
	if (odd.calls++ % 2 == 0) {
		tend_conn_want_after(c, 0.01);
		return -EAGAIN;
	}
	return tend_below_read(c, into, size < 2 ? size : 2);
}

static void
a_read_can_wait_for_time(void **state)
{
	struct meeting *m = *state;
	static struct tend_transport slow;
	int64_t begun = clock_now();

	slow = odd_one;
	slow.read = slow_read;
	assert_int_equal(tend_conn_set_transport(scene.c, &slow, NULL), 0);
	client_says(m, "slowly");
	TURN_UNTIL(scene.heard_size == 6);
	assert_lasted(begun, 0.03);
	assert_in_range(odd.calls, 6, 12);
	assert_string_equal(scene.heard, "slowly");
}

static int
slow_handshake(struct tend_conn *c)
{
	if (odd.calls++ == 3)
		return 0;
	tend_conn_want_after(c, 0.01);
	return -EAGAIN;
}

static void
a_handshake_can_wait_for_time(void **state)
{
	static struct tend_transport slow;
	int64_t begun = clock_now();

	(void)state;
	slow = odd_one;
	slow.handshake = slow_handshake;
	assert_int_equal(tend_conn_set_transport(scene.c, &slow, NULL), 0);
	TURN_UNTIL(strcmp(scene.trace, "connected") == 0);
	assert_lasted(begun, 0.03);
	assert_int_equal(odd.calls, 4);
}

#define BEGIN_ON(poller, test) \
	{ poller ": " #test, test, start, strike_stage, STAGE(poller, &transport_tcp, inet_pair) }
#if HAVE_EPOLL_CREATE1
#define BEGIN(test) BEGIN_ON("epoll", test), BEGIN_ON("poll", test)
#else
#define BEGIN(test) BEGIN_ON("poll", test)
#endif

int
main(void)
{
	const struct CMUnitTest tests[] = {
		BEGIN(it_can_begin_in_a_hook),
		BEGIN(a_handshake_goes_on_by_itself),
		BEGIN(a_handshake_finds_what_was_sent_ahead),
		BEGIN(a_handshake_that_fails_is_told),
		BEGIN(a_handshake_has_its_time),
		BEGIN(the_deadline_of_before_counts_after_a_handshake),
		BEGIN(who_closes_before_hands_are_shaken_is_cut_off),
		BEGIN(while_output_is_queued_there_is_no_new_one),
		BEGIN(a_function_of_the_queue_can_begin_a_new_one),
		BEGIN(what_a_function_of_the_queue_writes_waits_for_the_handshake),
		BEGIN(what_was_written_behind_it_already_is_in_the_way),
		BEGIN(a_client_of_a_listener_can_begin_with_it),
		BEGIN(a_connection_out_shakes_hands_when_it_has_connected),
		BEGIN(a_descriptor_can_be_taken_from_under_a_plain_one_only),
		BEGIN(one_that_never_reads_keeps_no_processor_busy),
		BEGIN(one_that_never_writes_keeps_no_processor_busy),
		BEGIN(a_write_can_wait_for_input),
		BEGIN(promised_input_that_never_comes_keeps_no_processor_busy),
		BEGIN(more_than_was_asked_for_ends_it),
		BEGIN(writing_nothing_ends_it),
		BEGIN(a_write_can_wait_for_time),
		BEGIN(a_read_can_wait_for_time),
		BEGIN(a_handshake_can_wait_for_time),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
