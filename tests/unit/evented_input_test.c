/* Input of an evented connection: who is called how often, what is left lying, how it ends. */
#include "evented_fixture.h"

#include <sys/ioctl.h>

/* MX-26, DS-57 */
static void
hook_hears_what_the_client_says(void **state)
{
	struct meeting *m = *state;

	client_says(m, "hello");
	TURN_UNTIL(scene.heard_size == 5);
	assert_string_equal(scene.heard, "hello");
	client_says(m, ", world");
	TURN_UNTIL(scene.heard_size == 12);
	assert_string_equal(scene.heard, "hello, world");
}

static ssize_t result;

static void
read_twice(struct tend_conn *c)
{
	listen_to(c);
	result = tend_read(c, scene.heard, 1);
}

/* DS-57, DS-58 */
static void
read_tells_nothing_now_from_the_end(void **state)
{
	struct meeting *m = *state;

	scene.on_readable = read_twice;
	client_says(m, "x");
	TURN_UNTIL(scene.heard_size > 0);
	assert_int_equal(result, -EAGAIN);
	client_finishes(m);
	TURN_UNTIL(scene.closed == 1);
	assert_int_equal(result, 0);
	assert_int_equal(scene.reason, 0);
}

static void
take_nothing(struct tend_conn *c)
{
	(void)c;
}

/* DS-56, DS-T21, MX-27: a hook that does not consume costs one call for what has come, and no spin. */
static void
hook_that_takes_nothing_is_called_once(void **state)
{
	struct meeting *m = *state;

	scene.on_readable = take_nothing;
	client_says(m, "abc");
	TURN_UNTIL(tend_conn_buffered(scene.c) == 3);
	turns(5);
	EXPECT_TRACE("readable");
	client_says(m, "def");
	TURN_UNTIL(tend_conn_buffered(scene.c) == 6);
	turns(5);
	EXPECT_TRACE("readable");
}

static void
get_one_line(struct tend_conn *c)
{
	char *line;

	if (tend_getline(c, &line) > 0) {
		strcat(scene.heard, line);
		strcat(scene.heard, ";");
	}
}

static void
take_what_is_there(struct tend_conn *c)
{
	char *data;

	result = tend_take(c, &data, 2);
	if (result > 0)
		strcat(scene.heard, data);
}

/* In pieces of two; what is left brings the next turn, and the end is told by a hook. */
static void
hook_takes_without_a_copy(void **state)
{
	struct meeting *m = *state;

	scene.on_readable = take_what_is_there;
	client_says(m, "abcde");
	TURN_UNTIL(strcmp(scene.heard, "abcde") == 0);
	client_says(m, "f");
	TURN_UNTIL(strcmp(scene.heard, "abcdef") == 0);
	assert_int_equal(tend_conn_buffered(scene.c), 0);
	client_finishes(m);
	TURN_UNTIL(scene.closed == 1);
	assert_int_equal(scene.reason, 0);
}

static size_t taken, largest;

static void
take_all(struct tend_conn *c)
{
	char *data;

	while ((result = tend_take(c, &data, 0)) > 0) {
		taken += (size_t)result;
		largest = (size_t)result > largest ? (size_t)result : largest;
	}
}

/* A hook that reads until there is no more is given larger and larger pieces while they are filled. */
static void
hook_takes_more_at_a_time_from_who_sends_much(void **state)
{
	static char much[20001];
	struct meeting *m = *state;

	taken = largest = 0;
	memset(much, 'x', sizeof(much) - 1);
	scene.on_readable = take_all;
	client_says(m, much);
	TURN_UNTIL(taken == sizeof(much) - 1);
	assert_int_equal(result, -EAGAIN);
	assert_true(largest > 4096);
}

/* The rest of what came at once is delivered without another byte from the client. */
static void
hook_that_takes_one_line_gets_the_next_in_the_next_turn(void **state)
{
	struct meeting *m = *state;

	scene.on_readable = get_one_line;
	client_says(m, "a\nb\nc\nd");
	TURN_UNTIL(strcmp(scene.heard, "a;b;c;") == 0);
	turns(5);
	assert_string_equal(scene.heard, "a;b;c;");
	client_says(m, "e\n");
	TURN_UNTIL(strcmp(scene.heard, "a;b;c;de;") == 0);
}

/* As much is left lying as before, but not the same: that is no standstill. */
static void
hook_that_takes_as_much_as_comes_is_called_again(void **state)
{
	struct meeting *m = *state;

	scene.on_readable = get_one_line;
	client_says(m, "abc");
	turns(3);
	client_says(m, "d\nx\ny");
	TURN_UNTIL(strcmp(scene.heard, "abcd;x;") == 0);
	client_says(m, "\n");
	TURN_UNTIL(strcmp(scene.heard, "abcd;x;y;") == 0);
}

/* MX-27, MX-T02 */
static void
part_of_a_line_waits_for_the_rest(void **state)
{
	struct meeting *m = *state;

	scene.on_readable = get_one_line;
	client_says(m, "par");
	TURN_UNTIL(tend_conn_buffered(scene.c) == 3);
	forget_trace();
	turns(5);
	EXPECT_TRACE("");
	client_says(m, "tial\n");
	TURN_UNTIL(strcmp(scene.heard, "partial;") == 0);
}

static void
put_back_once(struct tend_conn *c)
{
	char bytes[10];
	ssize_t n = tend_read(c, bytes, sizeof(bytes));

	if (n <= 0)
		return;
	scene.on_readable = listen_to;
	assert_int_equal(tend_unread(c, bytes + 1, (size_t)n - 1), 0);
}

/* DS-12, DS-60, DS-61 */
static void
input_that_was_put_back_comes_in_the_next_turn(void **state)
{
	struct meeting *m = *state;

	scene.on_readable = put_back_once;
	client_says(m, "abc");
	TURN_UNTIL(scene.heard_size == 2);
	assert_string_equal(scene.heard, "bc");
}

/* Takes some, puts back the end of it. */
static void
take_and_put_back(struct tend_conn *c)
{
	char bytes[200];
	ssize_t n = tend_read(c, bytes, 1 + below(sizeof(bytes)));
	size_t back;

	if (n <= 0)
		return;
	back = below((unsigned)n);
	memcpy(scene.heard + scene.heard_size, bytes, (size_t)n - back);
	scene.heard_size += (size_t)n - back;
	/* In two pieces: the later call is read first. */
	assert_int_equal(tend_unread(c, bytes + n - back / 2, back / 2), 0);
	assert_int_equal(tend_unread(c, bytes + (size_t)n - back, back - back / 2), 0);
}

/* DS-T20, DS-59 to DS-62 */
static void
order_of_the_stream_survives_putting_back(void **state)
{
	struct meeting *m = *state;
	static char sent[20000];
	size_t i, at = 0;

	for (i = 0; i < sizeof(sent); i++)
		sent[i] = (char)below(256);
	scene.on_readable = take_and_put_back;
	while (at < sizeof(sent)) {
		size_t n = 1 + below(400);

		if (n > sizeof(sent) - at)
			n = sizeof(sent) - at;
		assert_int_equal(client_send(m, sent + at, n), 0);
		at += n;
		turns((int)below(4));
	}
	TURN_UNTIL(scene.heard_size == sizeof(sent));
	assert_memory_equal(scene.heard, sent, sizeof(sent));
}

static char lines[60000];

static void
collect_lines(struct tend_conn *c)
{
	char *line;
	ssize_t n;

	while ((n = tend_getline(c, &line)) > 0) {
		memcpy(scene.heard + scene.heard_size, line, (size_t)n - 1);
		scene.heard[scene.heard_size + (size_t)n - 1] = '\n';
		scene.heard_size += (size_t)n;
	}
}

/* MX-T01, MX-26, MX-27 */
static void
lines_are_put_together_however_they_come(void **state)
{
	struct meeting *m = *state;
	size_t size = 0, at = 0;

	while (size < 50000)
		size += (size_t)sprintf(lines + size, "%.*s%u\n", (int)below(60),
		    "................................................................", below(1000));
	scene.on_readable = collect_lines;
	while (at < size) {
		size_t n = 1 + below(900);

		if (n > size - at)
			n = size - at;
		assert_int_equal(client_send(m, lines + at, n), 0);
		at += n;
		turns((int)below(3));
	}
	TURN_UNTIL(scene.heard_size == size);
	assert_memory_equal(scene.heard, lines, size);
}

/* DS-T22, DS-18, MX-34 */
static void
paused_input_waits_and_comes_without_a_new_byte(void **state)
{
	struct meeting *m = *state;

	scene.on_readable = get_one_line;
	client_says(m, "a\nb\n");
	TURN_UNTIL(strcmp(scene.heard, "a;") == 0 || strcmp(scene.heard, "a;b;") == 0);
	TURN_UNTIL(strcmp(scene.heard, "a;b;") == 0);
	assert_int_equal(tend_conn_watch(scene.c, TEND_READ, false), 0);
	client_says(m, "c\nd\n");
	forget_trace();
	turns(5);
	EXPECT_TRACE("");
	assert_int_equal(tend_conn_watch(scene.c, TEND_READ, true), 0);
	TURN_UNTIL(strcmp(scene.heard, "a;b;c;d;") == 0);
}

static void
take_line_and_pause(struct tend_conn *c)
{
	get_one_line(c);
	tend_conn_watch(c, TEND_READ, false);
}

static void
pause_in_the_hook_holds_what_was_read(void **state)
{
	struct meeting *m = *state;

	scene.on_readable = take_line_and_pause;
	client_says(m, "a\nb\n");
	client_finishes(m);
	TURN_UNTIL(strcmp(scene.heard, "a;") == 0);
	turns(10);
	assert_string_equal(scene.heard, "a;");
	assert_null(strstr(scene.trace, "ended"));
	tend_conn_watch(scene.c, TEND_READ, true);
	TURN_UNTIL(strcmp(scene.heard, "a;b;") == 0);
	scene.on_readable = listen_to;
	tend_conn_watch(scene.c, TEND_READ, true);
	TURN_UNTIL(scene.closed == 1);
	assert_non_null(strstr(scene.trace, "ended closed"));
}

/* MX-28, MX-T26: what nobody reads is bounded, and the rest stays in the kernel. */
static void
unread_input_is_bounded(void **state)
{
	struct meeting *m = *state;
	static const char bytes[10000];
	/* The buffer grows by doubling, and is filled. */
	size_t most = 2 * (m->limits.max_line + 65536);
	int i;

	scene.on_readable = take_nothing;
	fcntl(m->client, F_SETFL, O_NONBLOCK);
	for (i = 0; i < 2000; i++) {
		send(m->client, bytes, sizeof(bytes), MSG_NOSIGNAL);
		turn();
		assert_true(tend_conn_buffered(scene.c) <= most);
	}
	assert_true(tend_conn_buffered(scene.c) >= m->limits.max_line);
	/* And no turn has anything to do. */
	turns(3);
	forget_trace();
	turns(10);
	EXPECT_TRACE("");
	/* Whoever takes it gets on. */
	scene.on_readable = send_back;
	tend_conn_set_hooks(scene.c, &scene.hooks);
	turns(3);
	assert_true(tend_conn_buffered(scene.c) < most);
}

/* The same when all of it was in the kernel at once, so that there is no more news. */
static void
unread_input_that_came_at_once_is_bounded(void **state)
{
	struct meeting *m = *state;
	static const char bytes[10000];
	int room = 1 << 20, there = 0, sent = 0;
	size_t most;

	m->limits.max_line = 100;
	most = 2 * (m->limits.max_line + 65536);
	setsockopt(scene.c->fd, SOL_SOCKET, SO_RCVBUF, &room, sizeof(room));
	turn();
	scene.on_readable = take_nothing;
	fcntl(m->client, F_SETFL, O_NONBLOCK);
	while (there == sent && sent < 500000 && send(m->client, bytes, sizeof(bytes), MSG_NOSIGNAL) == sizeof(bytes)) {
		sent += (int)sizeof(bytes);
		assert_int_equal(ioctl(scene.c->fd, FIONREAD, &there), 0);
	}
	turns(1000);
	assert_true(tend_conn_buffered(scene.c) <= most);
}

static void
take_the_rest(struct tend_conn *c)
{
	listen_to(c);
}

/* MX-30, MX-78, MX-T03 */
static void
rest_of_the_input_is_there_once_more_at_the_end(void **state)
{
	struct meeting *m = *state;

	scene.on_readable = take_nothing;
	scene.on_ended = take_the_rest;
	client_says(m, "unread");
	client_finishes(m);
	TURN_UNTIL(scene.closed == 1);
	assert_string_equal(scene.heard, "unread");
	assert_non_null(strstr(scene.trace, "ended"));
	assert_null(strstr(strstr(scene.trace, "ended") + 1, "readable"));
}

static struct tend_conn_hooks others;

static void
note_other(struct tend_conn *c)
{
	note("other");
	listen_to(c);
}

static void
switch_hooks(struct tend_conn *c)
{
	char byte;

	assert_int_equal(tend_read(c, &byte, 1), 1);
	others = scene.hooks;
	others.readable = note_other;
	tend_conn_set_hooks(c, &others);
}

/* MX-13, MX-T17: in the middle of one, and what is left is theirs. */
static void
hooks_may_be_changed_inside_a_hook(void **state)
{
	struct meeting *m = *state;

	scene.on_readable = switch_hooks;
	client_says(m, "1rest");
	TURN_UNTIL(scene.heard_size == 4);
	assert_string_equal(scene.heard, "rest");
	assert_non_null(strstr(scene.trace, "readable other"));
}

static void
switch_after_all(struct tend_conn *c)
{
	char bytes[10];
	ssize_t n;
	size_t have = 0;

	while ((n = tend_read(c, bytes + have, sizeof(bytes) - have)) > 0)
		have += (size_t)n;
	if (have > 0)
		tend_unread(c, bytes, have);
	if (have < 4)
		return;
	others = scene.hooks;
	others.readable = note_other;
	tend_conn_set_hooks(c, &others);
}

static void
input_put_back_for_other_hooks_reaches_them(void **state)
{
	struct meeting *m = *state;

	scene.on_readable = switch_after_all;
	client_says(m, "rest");
	TURN_UNTIL(scene.heard_size == 4);
	assert_string_equal(scene.heard, "rest");
}

static void
finish_early(struct tend_conn *c)
{
	listen_to(c);
	tend_shutdown(c);
}

/* MX-46, MX-47, MX-T06 */
static void
half_closed_connection_still_hears(void **state)
{
	struct meeting *m = *state;

	assert_int_equal(tend_shutdown(scene.c), 0);
	client_is_told_the_end(m);
	assert_int_equal(tend_write(scene.c, "x", 1), -EPIPE);
	scene.on_readable = finish_early;
	client_says(m, "later");
	TURN_UNTIL(scene.heard_size == 5);
	client_finishes(m);
	TURN_UNTIL(scene.closed == 1);
	assert_non_null(strstr(scene.trace, "ended closed"));
	assert_null(strstr(scene.trace, "failed"));
}

/* A client that breaks off while nobody reads is told of all the same. */
static void
reset_reaches_one_who_pauses(void **state)
{
	struct meeting *m = *state;

	tend_conn_watch(scene.c, TEND_READ, false);
	turn();
	client_slams_the_door(m);
	TURN_UNTIL(scene.closed == 1);
	EXPECT_TRACE("failed closed");
	assert_int_equal(scene.error, -ECONNRESET);
	assert_int_equal(scene.reason, -ECONNRESET);
}

/* MX-23, MX-33, MX-81, DS-31 */
static void
reset_is_told_as_a_failure(void **state)
{
	struct meeting *m = *state;

	turn();
	client_slams_the_door(m);
	TURN_UNTIL(scene.closed == 1);
	assert_non_null(strstr(scene.trace, "failed closed"));
	assert_null(strstr(scene.trace, "ended"));
	assert_int_equal(scene.error, -ECONNRESET);
}

/* ---- told once (WATCH_EDGE): nothing is left lying of which nobody will be told ---- */

static bool
is_told_once(void)
{
	return (scene.m->watch.wanted & WATCH_EDGE) != 0;
}

/* Where the poller can, and a read that comes short has taken all. */
static void
only_tcp_is_told_once(void **state)
{
	bool can = strcmp(tend_loop_poller(scene.loop), "epoll") == 0;

	(void)state;
	turn();
	assert_int_equal(scene.m->watch.wanted & TEND_READ, TEND_READ);
	assert_int_equal(is_told_once(), can && meeting.real == &transport_tcp);
}

/* The news of the bytes is that of the end as well. */
static void
end_that_comes_with_the_last_bytes_is_heard(void **state)
{
	struct meeting *m = *state;

	turn();
	forget_trace();
	client_says(m, "last words");
	client_finishes(m);
	TURN_UNTIL(scene.closed == 1);
	assert_string_equal(scene.heard, "last words");
	assert_non_null(strstr(scene.trace, "ended closed"));
}

static void
listen_in_bits(struct tend_conn *c)
{
	ssize_t n = tend_read(c, scene.heard + scene.heard_size, 7);

	if (n > 0)
		scene.heard_size += (size_t)n;
}

/* More than any read takes; and the end behind it. */
static void
end_behind_much_input_is_heard(void **state)
{
	static char bytes[50000];
	struct meeting *m = *state;

	turn();
	memset(bytes, 'x', sizeof(bytes));
	scene.on_readable = listen_in_bits;
	assert_int_equal(client_send(m, bytes, sizeof(bytes)), 0);
	client_finishes(m);
	TURN_UNTIL(scene.closed == 1);
	assert_int_equal(scene.heard_size, sizeof(bytes));
	assert_memory_equal(scene.heard, bytes, sizeof(bytes));
}

/* A read stops at urgent data: what lies behind it is heard without another byte. */
static void
input_behind_urgent_data_is_heard(void **state)
{
	struct meeting *m = *state;

	turn();
	client_says(m, "before ");
	assert_int_equal(send(m->client, "!", 1, MSG_OOB), 1);
	client_says(m, "behind");
	TURN_UNTIL(scene.heard_size >= strlen("before behind"));
	assert_string_equal(scene.heard, "before behind");
	client_says(m, ", later");
	TURN_UNTIL(scene.heard_size >= strlen("before behind, later"));
	client_finishes(m);
	TURN_UNTIL(scene.closed == 1);
}

/* Its queue was above the mark when the news came, and below it when the turn was over. */
static void
input_told_of_while_it_was_throttled_is_heard(void **state)
{
	static const char answer[100];
	struct meeting *m = *state;

	turn();
	tend_conn_set_marks(scene.c, 10, 0);
	assert_int_equal(tend_write(scene.c, answer, sizeof(answer)), sizeof(answer));
	assert_int_equal(tend_conn_queued(scene.c), sizeof(answer));
	client_says(m, "x");
	turn();
	assert_int_equal(tend_conn_queued(scene.c), 0);
	TURN_UNTIL(scene.heard_size == 1);
}

static void
pause_and_write(struct tend_conn *c)
{
	tend_conn_watch(c, TEND_READ, false);
	tend_write(c, "x", 1);
	scene.on_readable = listen_to;
}

static void
read_on(struct tend_conn *c)
{
	tend_conn_watch(c, TEND_READ, true);
}

/* It pauses in one hook, and is over it in the next, within one event. */
static void
input_of_a_short_pause_is_heard(void **state)
{
	struct meeting *m = *state;

	turn();
	scene.on_readable = pause_and_write;
	scene.on_drained = read_on;
	client_says(m, "hello");
	TURN_UNTIL(scene.heard_size == 5);
}

/* A transport that reads a record at a time and leaves the next in the kernel: its length, and as many bytes. */
static ssize_t
read_record(struct tend_conn *c, void *into, size_t size)
{
	unsigned char length;
	ssize_t n = tend_below_read(c, &length, 1);

	if (n <= 0)
		return n;
	assert_true(length <= size);
	return tend_below_read(c, into, length);
}

static const struct tend_transport records = {
	.name = "records",
	.read = read_record,
	.write = tend_below_write,
	.pending = tend_below_pending,
	.shutdown = tend_below_shutdown,
};

/* It is put over a connection that was told once till then, from outside of its hooks. */
static void
records_behind_the_first_are_heard(void **state)
{
	struct meeting *m = *state;

	turn();
	assert_int_equal(tend_conn_set_transport(scene.c, &records, NULL), 0);
	turns(3);
	assert_false(is_told_once());
	client_says(m, "\003one\003two\005three");
	TURN_UNTIL(scene.heard_size == 11);
	assert_string_equal(scene.heard, "onetwothree");
	turns(3);
	client_says(m, "\004four\004five");
	TURN_UNTIL(scene.heard_size == 19);
}

static void
put_records_over(struct tend_conn *c)
{
	scene.on_readable = listen_to;
	assert_int_equal(tend_conn_set_transport(c, &records, NULL), 0);
}

/* The same from inside, by a hook that is told of them. */
static void
records_that_were_there_before_their_transport_are_heard(void **state)
{
	struct meeting *m = *state;

	turn();
	scene.on_readable = put_records_over;
	client_says(m, "\003one\003two\005three");
	TURN_UNTIL(scene.heard_size == 11);
	assert_string_equal(scene.heard, "onetwothree");
}

/* A client is not silent because nobody listens. */
static void
unread_input_counts_as_a_word_of_the_client(void **state)
{
	struct meeting *m = *state;

	turn();
	scene.on_readable = take_nothing;
	client_says(m, "abc");
	TURN_UNTIL(tend_conn_buffered(scene.c) == 3);
	scene.m->active_at = 0;
	client_says(m, "def");
	TURN_UNTIL(tend_conn_buffered(scene.c) == 6);
	assert_true(scene.m->active_at > 0);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		ON_ALL(hook_hears_what_the_client_says),
		ON_ALL(read_tells_nothing_now_from_the_end),
		ON_PLAIN(hook_that_takes_nothing_is_called_once),
		ON_ALL(hook_that_takes_one_line_gets_the_next_in_the_next_turn),
		ON_ALL(hook_takes_without_a_copy),
		ON_PLAIN(hook_takes_more_at_a_time_from_who_sends_much),
		ON_ALL(hook_that_takes_as_much_as_comes_is_called_again),
		ON_ALL(part_of_a_line_waits_for_the_rest),
		ON_ALL(input_that_was_put_back_comes_in_the_next_turn),
		ON_ALL(order_of_the_stream_survives_putting_back),
		ON_ALL(lines_are_put_together_however_they_come),
		ON_ALL(paused_input_waits_and_comes_without_a_new_byte),
		ON_ALL(pause_in_the_hook_holds_what_was_read),
		ON_PLAIN(unread_input_is_bounded),
		ON_PLAIN(unread_input_that_came_at_once_is_bounded),
		ON_ALL(rest_of_the_input_is_there_once_more_at_the_end),
		ON_ALL(hooks_may_be_changed_inside_a_hook),
		ON_ALL(input_put_back_for_other_hooks_reaches_them),
		ON_ALL(half_closed_connection_still_hears),
		ON_TCP(reset_reaches_one_who_pauses),
		ON_TCP(reset_is_told_as_a_failure),
		ON_ALL(only_tcp_is_told_once),
		ON_ALL(end_that_comes_with_the_last_bytes_is_heard),
		ON_ALL(end_behind_much_input_is_heard),
		ON_TCP(input_behind_urgent_data_is_heard),
		ON_PLAIN(input_told_of_while_it_was_throttled_is_heard),
		ON_ALL(input_of_a_short_pause_is_heard),
		ON_PLAIN(records_behind_the_first_are_heard),
		ON_PLAIN(records_that_were_there_before_their_transport_are_heard),
		ON_PLAIN(unread_input_counts_as_a_word_of_the_client),
	};

	signal(SIGPIPE, SIG_IGN);
	return cmocka_run_group_tests(tests, NULL, NULL);
}
