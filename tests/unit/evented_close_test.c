/* The end of an evented connection: from everywhere, once, with a reason; detaching; time. */
#include "evented_fixture.h"

static char big[900000];

/* DS-97, DS-T29, MX-44, MX-49, MX-T09, MX-T10: queued output arrives, then the end. */
static void
close_lets_queued_output_leave(void **state)
{
	struct meeting *m = *state;
	static char heard[900001];
	size_t size = m->real == &transport_awkward ? 5000 : sizeof(big);

	memset(big, 'b', sizeof(big));
	tend_write(scene.c, big, size);
	tend_close(scene.c);
	assert_int_equal(client_collects(m, heard, size + 1), size);
	assert_memory_equal(heard, big, size);
	client_leaves(m);
	TURN_UNTIL(scene.closed == 1);
	assert_int_equal(scene.reason, 0);
	assert_null(strstr(scene.trace, "ended"));
	assert_null(strstr(scene.trace, "failed"));
}

/* DS-19, DS-T03 */
static void
close_outside_of_a_turn_is_seen_at_once(void **state)
{
	struct meeting *m = *state;

	turn();
	tend_close(scene.c);
	client_hears_the_end(m);
	assert_int_equal(scene.closed, 0);
	turn();
	EXPECT_TRACE("closed");
}

static void
close_in_timer(struct tend_timer *t)
{
	(void)t;
	tend_close(scene.c);
}

/* DS-18, DS-T02: without anything else that happens. */
static void
close_in_a_timer_needs_no_other_event(void **state)
{
	struct meeting *m = *state;
	struct tend_timer timer;

	turn();
	tend_timer_init(&timer, close_in_timer, NULL);
	tend_timer_start(scene.loop, &timer, 0);
	while (scene.closed == 0)
		assert_int_equal(tend_loop_turn(scene.loop, -1), 0);
	client_hears_the_end(m);
	assert_int_equal(scene.closed, 1);
}

/* MX-45, DS-94: whatever closes it in whichever hook, `closed` is told once, and last. */
static void (*const ways[])(struct tend_conn *c) = { tend_close, tend_abort };

static void
goodbye(struct tend_conn *c)
{
	tend_write(c, "bye", 3);
}

static void
expect_one_end(void)
{
	TURN_UNTIL(scene.closed > 0);
	turns(5);
	assert_int_equal(scene.closed, 1);
	assert_non_null(strstr(scene.trace, "closed"));
	assert_string_equal(strstr(scene.trace, "closed"), "closed");
}

static void
close_in(void **state, size_t way, void (**hook)(struct tend_conn *c), void (*provoke)(struct meeting *m))
{
	*hook = ways[way];
	if (hook != &scene.on_readable)
		scene.on_readable = listen_to;
	provoke(*state);
	expect_one_end();
	assert_int_equal(scene.reason, hook == &scene.on_failed ? scene.reason : 0);
}

static void
says(struct meeting *m)
{
	client_says(m, "hello");
}

static void
is_told(struct meeting *m)
{
	(void)m;
	goodbye(scene.c);
}

static void
slams(struct meeting *m)
{
	turn();
	client_slams_the_door(m);
}

static void
waits(struct meeting *m)
{
	(void)m;
	tend_set_timeout(scene.c, 0.001);
}

#define CLOSE_IN(hook, provoke) \
	static void close_in_##hook(void **state) { close_in(state, 0, &scene.on_##hook, provoke); } \
	static void abort_in_##hook(void **state) { close_in(state, 1, &scene.on_##hook, provoke); }

CLOSE_IN(readable, says)
CLOSE_IN(drained, is_told)
CLOSE_IN(ended, client_finishes)
CLOSE_IN(failed, slams)
CLOSE_IN(timed_out, waits)

static void
close_again(struct tend_conn *c)
{
	char byte, *line;

	tend_close(c);
	tend_abort(c);
	tend_conn_discard(c);
	tend_conn_set_marks(c, 1, 1);
	tend_conn_keep_open(c, true);
	tend_conn_cork(c, true);
	tend_set_timeout(c, 1);
	tend_set_deadline(c, 1);
	tend_conn_set_hooks(c, &scene.hooks);
	assert_int_equal(tend_conn_watch(c, TEND_READ, true), -ENOTCONN);
	assert_int_equal(tend_read(c, &byte, 1), -ENOTCONN);
	assert_int_equal(tend_getline(c, &line), -ENOTCONN);
	assert_int_equal(tend_unread(c, "x", 1), -ENOTCONN);
	assert_int_equal(tend_write(c, "x", 1), -ENOTCONN);
	assert_int_equal(tend_printf(c, "x"), -ENOTCONN);
	assert_int_equal(tend_shutdown(c), -ENOTCONN);
	assert_int_equal(tend_conn_detach(c, NULL, NULL), -ENOTCONN);
	assert_int_equal(tend_conn_give(c, "x", 1, NULL, NULL), -ENOTCONN);
	assert_int_equal(tend_conn_fd(c), -1);
	assert_int_equal(tend_conn_queued(c), 0);
}

/* DS-64, DS-96, MX-36: every call says so, none brings it back. */
static void
calls_on_the_closed_do_nothing(void **state)
{
	(void)state;
	scene.on_closed = close_again;
	tend_close(scene.c);
	close_again(scene.c);
	turns(5);
	assert_int_equal(scene.closed, 1);
}

/* MX-30, MX-32, MX-79, MX-80, MX-T04, MX-84 */
static void
last_words_leave_before_the_end(void **state)
{
	struct meeting *m = *state;
	char heard[4];

	scene.on_ended = goodbye;
	client_finishes(m);
	assert_int_equal(client_collects(m, heard, 4), 3);
	assert_memory_equal(heard, "bye", 3);
	TURN_UNTIL(scene.closed == 1);
	assert_int_equal(conns_of(scene.loop)->count, 0);
}

static void
answer_at_length(struct tend_conn *c)
{
	size_t at;

	for (at = 0; at < sizeof(big); at += 100000)
		assert_int_equal(tend_write(c, big + at, 100000), 100000);
}

/* MX-T05: a client that has finished sending still gets all of a long answer. */
static void
answer_to_a_half_closed_client_arrives_complete(void **state)
{
	struct meeting *m = *state;
	static char heard[sizeof(big) + 1];

	memset(big, 'a', sizeof(big));
	scene.on_ended = answer_at_length;
	client_finishes(m);
	assert_int_equal(client_collects(m, heard, sizeof(heard)), sizeof(big));
	TURN_UNTIL(scene.closed == 1);
	assert_int_equal(scene.reason, 0);
}

static void
stay(struct tend_conn *c)
{
	tend_conn_keep_open(c, true);
}

/* MX-47 */
static void
connection_that_is_kept_open_stays(void **state)
{
	struct meeting *m = *state;
	char heard[5];

	scene.on_ended = stay;
	client_finishes(m);
	TURN_UNTIL(strstr(scene.trace, "ended") != NULL);
	turns(5);
	assert_int_equal(scene.closed, 0);
	tend_write(scene.c, "still", 5);
	assert_int_equal(client_collects(m, heard, 5), 5);
	tend_close(scene.c);
	client_is_told_the_end(m);
}

/* MX-46, MX-42, MX-T07 */
static void
shutdown_with_queued_output_sends_it_and_then_the_end(void **state)
{
	struct meeting *m = *state;
	static char heard[sizeof(big) + 1];
	size_t size = m->real == &transport_awkward ? 5000 : sizeof(big);

	assert_int_equal(tend_write(scene.c, big, size), size);
	assert_int_equal(tend_shutdown(scene.c), 0);
	assert_int_equal(tend_write(scene.c, "x", 1), -EPIPE);
	assert_int_equal(client_collects(m, heard, size + 1), size);
	assert_int_equal(scene.closed, 0);
}

/* MX-48, MX-T08: nothing more is heard, what is queued leaves, and then it is closed. */
static void
connection_that_stopped_reading_sends_the_rest_and_closes(void **state)
{
	struct meeting *m = *state;
	static char heard[sizeof(big) + 1];
	size_t size = m->real == &transport_awkward ? 5000 : sizeof(big);

	assert_int_equal(tend_conn_watch(scene.c, TEND_READ, false), 0);
	client_says(m, "unheard");
	turns(3);
	assert_int_equal(tend_write(scene.c, big, size), size);
	tend_close(scene.c);
	assert_int_equal(client_collects(m, heard, size + 1), size);
	client_leaves(m);
	TURN_UNTIL(scene.closed == 1);
	assert_string_equal(scene.trace, "closed");
	assert_int_equal(scene.reason, 0);
}

/* DS-77, MX-40, MX-82, DS-T28: the client is gone while output is queued. */
static void
client_that_leaves_with_output_pending_is_a_failure(void **state)
{
	struct meeting *m = *state;

	fill_the_kernel(scene.c);
	turn();
	client_leaves(m);
	TURN_UNTIL(scene.closed == 1);
	assert_true(scene.reason == -EPIPE || scene.reason == -ECONNRESET);
}

/* The same after tend_close(): no hook but `closed`, which can be told why. */
static void
failure_while_closing_is_told_by_the_reason(void **state)
{
	struct meeting *m = *state;

	fill_the_kernel(scene.c);
	tend_close(scene.c);
	turn();
	client_leaves(m);
	TURN_UNTIL(scene.closed == 1);
	assert_null(strstr(scene.trace, "failed"));
	assert_true(scene.reason == -EPIPE || scene.reason == -ECONNRESET);
}

/* ---- detaching ---- */

/* DS-93, DS-39, DS-66, DS-T30 */
static void
detached_descriptor_is_the_callers(void **state)
{
	struct meeting *m = *state;
	void *unread;
	size_t size;
	int fd;

	scene.on_readable = NULL;
	client_says(m, "input");
	TURN_UNTIL(tend_conn_buffered(scene.c) == 5);
	assert_int_equal(tend_conn_detach(scene.c, NULL, NULL), -EINVAL);
	fd = tend_conn_detach(scene.c, &unread, &size);
	assert_true(fd >= 0);
	assert_int_equal(size, 5);
	assert_memory_equal(unread, "input", 5);
	free(unread);
	scene.c = NULL;
	turns(3);
	assert_int_equal(scene.closed, 0);
	assert_int_equal(conns_of(scene.loop)->count, 0);
	assert_true((fcntl(fd, F_GETFL) & O_NONBLOCK) != 0);
	/* The same number may come back. */
	assert_int_equal(tend_conn_new(&scene.c, scene.loop, fd, &scene.hooks, NULL), 0);
	scene.on_readable = listen_to;
	client_says(m, "more");
	TURN_UNTIL(scene.heard_size == 4);
	tend_close(scene.c);
	turns(2);
}

static void
detach_with_output_is_refused(void **state)
{
	(void)state;
	fill_the_kernel(scene.c);
	assert_int_equal(tend_conn_detach(scene.c, NULL, NULL), -EBUSY);
	tend_abort(scene.c);
}

static int kept = -1;

static void
detach_yourself(struct tend_conn *c)
{
	listen_to(c);
	kept = tend_conn_detach(c, NULL, NULL);
	scene.c = NULL;
}

static void
detach_inside_a_hook(void **state)
{
	struct meeting *m = *state;

	scene.on_readable = detach_yourself;
	client_says(m, "x");
	TURN_UNTIL(scene.c == NULL);
	turns(3);
	EXPECT_TRACE("readable");
	assert_int_equal(send(kept, "y", 1, 0), 1);
	client_hears(m, "y");
	close(kept);
}

/* ---- time ---- */

static unsigned beats;

static void
beat(struct tend_conn *c)
{
	beats++;
	if (beats == 3)
		tend_set_timeout(c, TEND_NONE);
}

/* MX-51, MX-52, MX-77, MX-T14: told again and again until it is cancelled. */
static void
silence_is_told_until_it_is_cancelled(void **state)
{
	(void)state;
	beats = 0;
	scene.on_timed_out = beat;
	tend_set_timeout(scene.c, 0.005);
	TURN_UNTIL(beats == 3);
	assert_int_equal(tend_loop_turn(scene.loop, 0.05), 0);
	turns(3);
	assert_int_equal(beats, 3);
	assert_int_equal(scene.closed, 0);
}

/* MX-53: a later limit replaces a nearer one, and a nearer one a later. */
static void
time_limit_is_replaced(void **state)
{
	int64_t begun = clock_now();

	(void)state;
	tend_set_timeout(scene.c, 0.01);
	tend_set_timeout(scene.c, 3600);
	tend_set_timeout(scene.c, 0.05);
	TURN_UNTIL(strstr(scene.trace, "timed_out") != NULL);
	assert_lasted(begun, 0.05);
}

/* MX-126: without the hook silence ends the connection. */
static void
silent_client_is_let_go_where_nobody_wants_to_know(void **state)
{
	struct meeting *m = *state;

	scene.hooks.timed_out = NULL;
	tend_set_timeout(scene.c, 0.005);
	client_is_told_the_end(m);
	TURN_UNTIL(scene.closed == 1);
	EXPECT_TRACE("closed");
	assert_int_equal(scene.reason, -ETIMEDOUT);
}

/* MX-56: what moves puts it off. */
static void
input_renews_the_time_limit(void **state)
{
	struct meeting *m = *state;
	int64_t begun;
	int i;

	tend_set_timeout(scene.c, 0.2);
	for (i = 0; i < 5; i++) {
		client_says(m, "x");
		begun = clock_now();
		TURN_UNTIL(scene.heard_size == (size_t)i + 1);
	}
	forget_trace();
	TURN_UNTIL(strstr(scene.trace, "timed_out") != NULL);
	assert_lasted(begun, 0.2);
}

static void
deadline_of_the_connection_ends_it_with_or_without_a_hook(void **state)
{
	struct meeting *m = *state;

	tend_set_deadline(scene.c, 0.01);
	client_is_told_the_end(m);
	TURN_UNTIL(scene.closed == 1);
	EXPECT_TRACE("timed_out closed");
	assert_int_equal(scene.reason, -ETIMEDOUT);
}

/* MX-55, MX-T15 */
static void
input_of_the_same_turn_comes_before_the_time_limit(void **state)
{
	struct meeting *m = *state;

	turn();
	forget_trace();
	tend_set_timeout(scene.c, 0.05);
	client_says(m, "just in time");
	while (since(scene.m->active_at) < 0.1)
		;
	TURN_UNTIL(scene.heard_size > 0);
	assert_memory_equal(scene.trace, "readable", 8);
}

/* MX-50, MX-T16: nothing is left to wake the loop. */
static void
time_limit_goes_with_its_connection(void **state)
{
	(void)state;
	tend_set_timeout(scene.c, 3600);
	turn();
	tend_close(scene.c);
	turns(2);
	assert_int_equal(scene.closed, 1);
	assert_int_equal(scene.loop->wheel->count, 0);
}

static void
close_other(struct tend_conn *c)
{
	tend_close(tend_conn_data(c));
}

/* MX-54, MX-T14, DS-27, DS-T06: two are due together, and each closes the other. */
static void
two_that_are_due_together_may_close_each_other(void **state)
{
	struct meeting *m = *state;
	struct tend_conn *other;
	int pair[2];

	(void)m;
	assert_int_equal(unix_pair(pair), 0);
	assert_int_equal(tend_conn_new(&other, scene.loop, pair[0], &scene.hooks, scene.c), 0);
	tend_conn_set_data(scene.c, other, NULL);
	scene.on_timed_out = close_other;
	tend_set_timeout(scene.c, 0.005);
	tend_set_timeout(other, 0.005);
	TURN_UNTIL(scene.closed == 1);
	turns(3);
	/* One told the other; who is left is told of it again, and ends with the loop. */
	assert_int_equal(scene.closed, 1);
	scene.on_timed_out = NULL;
	if (scene.c != NULL)
		tend_close(scene.c);
	else
		tend_close(other);
	turns(2);
	assert_int_equal(scene.closed, 2);
	scene.closed = 1;
	close(pair[1]);
}

/* ---- all of them ---- */

static unsigned dismissed;

static void
count_dismissed(struct tend_conn *c)
{
	assert_int_equal(tend_conn_reason(c), -ECANCELED);
	dismissed++;
	if (c == scene.c)
		scene.c = NULL;
}

static struct evented *
another(const struct listener *from, int pair[2])
{
	struct evented *m;

	assert_int_equal(unix_pair(pair), 0);
	assert_int_equal(evented_new(&m, &scene.mood, pair[0], from, NULL), 0);
	return m;
}

static int
never_shakes(struct tend_conn *c)
{
	tend_conn_want(c, TEND_READ);
	return -EAGAIN;
}

/* MX-121: who does not come on with its handshake, or is still held, is not waited for. */
static void
all_may_be_dismissed_whatever_they_do(void **state)
{
	struct meeting *m = *state;
	struct tend_transport stalls = transport_unix;
	struct listener stalling = m->listener;
	int shaking[2], held[2];

	stalls.handshake = never_shakes;
	stalling.transport = &stalls;
	dismissed = 0;
	scene.mood.closed = count_dismissed;
	evented_shake(another(&stalling, shaking));
	another(&m->listener, held);
	turn();
	assert_int_equal(dismissed, 0);
	evented_dismiss(&scene.mood);
	client_leaves(m);
	TURN_UNTIL(dismissed == 3);
	assert_int_equal(conns_of(scene.loop)->count, 0);
	close(shaking[1]);
	close(held[1]);
}

/* ---- going on to the next ---- */

/* MX-08, DS-92, DS-109 */
static void
closed_connections_are_passed_over(void **state)
{
	struct tend_conn *all[5], *c;
	int pairs[5][2], i, n = 0;

	(void)state;
	for (i = 0; i < 5; i++) {
		assert_int_equal(unix_pair(pairs[i]), 0);
		assert_int_equal(tend_conn_new(&all[i], scene.loop, pairs[i][0], &scene.hooks, NULL), 0);
	}
	for (c = tend_loop_conn_first(scene.loop); c != NULL; c = tend_conn_next(c)) {
		n++;
		tend_close(c);
		/* And one of those that come later. */
		tend_close(all[4]);
	}
	assert_int_equal(n, 4);
	/* Clients of a server are another matter. */
	assert_ptr_equal(conns_first(&scene.mood), scene.c);
	assert_null(tend_conn_next(scene.c));
	assert_null(tend_loop_conn_first(scene.loop));
	turn();
	assert_int_equal(scene.closed, 5);
	scene.closed = 0;
	for (i = 0; i < 5; i++)
		close(pairs[i][1]);
}

static void
free_the_loop(struct tend_conn *c)
{
	struct tend_loop *loop = scene.loop;

	listen_to(c);
	scene.loop = NULL;
	tend_loop_free(loop);
	assert_false(c->open);
}

/* DS-06 */
static void
loop_may_be_freed_inside_a_hook(void **state)
{
	struct meeting *m = *state;
	struct tend_loop *loop = scene.loop;

	scene.on_readable = free_the_loop;
	client_says(m, "x");
	while (scene.loop != NULL)
		assert_int_equal(tend_loop_turn(loop, 1), 0);
	assert_int_equal(scene.closed, 1);
	assert_null(scene.c);
}

static struct tend_conn *late;
static int late_result;

static void
begin_another(struct tend_conn *c)
{
	int pair[2];

	if (unix_pair(pair) < 0)
		return;
	late_result = tend_conn_new(&late, tend_conn_loop(c), pair[0], &scene.hooks, NULL);
	close(pair[1]);
}

static void
connection_made_while_the_loop_goes_is_refused(void **state)
{
	(void)state;
	late_result = 0;
	scene.on_closed = begin_another;
	tend_loop_free(scene.loop);
	scene.loop = NULL;
	assert_int_equal(late_result, -ECANCELED);
}

/* DS-103, DS-106, DS-107, DS-T32 */
static void
description_tells_interest_state_and_peer(void **state)
{
	struct meeting *m = *state;
	char text[100], expected[100];

	turn();
	tend_conn_describe(scene.c, text, sizeof(text));
	snprintf(expected, sizeof(expected), "(R):open to %s", tend_peer(scene.c));
	assert_string_equal(text, expected);
	assert_true(m->real != &transport_tcp || strstr(text, "127.0.0.1:") != NULL);
	tend_close(scene.c);
	tend_conn_describe(scene.c, text, sizeof(text));
	assert_true(strncmp(text, "():closed to ", 13) == 0);
	turn();
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		ON_ALL(close_lets_queued_output_leave),
		ON_PLAIN(close_outside_of_a_turn_is_seen_at_once),
		ON_PLAIN(close_in_a_timer_needs_no_other_event),
		ON_ALL(close_in_readable),
		ON_ALL(abort_in_readable),
		ON_ALL(close_in_drained),
		ON_ALL(abort_in_drained),
		ON_ALL(close_in_ended),
		ON_ALL(abort_in_ended),
		ON_TCP(close_in_failed),
		ON_TCP(abort_in_failed),
		ON_ALL(close_in_timed_out),
		ON_ALL(abort_in_timed_out),
		ON_ALL(calls_on_the_closed_do_nothing),
		ON_ALL(last_words_leave_before_the_end),
		ON_PLAIN(answer_to_a_half_closed_client_arrives_complete),
		ON_ALL(connection_that_is_kept_open_stays),
		ON_ALL(shutdown_with_queued_output_sends_it_and_then_the_end),
		ON_ALL(connection_that_stopped_reading_sends_the_rest_and_closes),
		ON_PLAIN(client_that_leaves_with_output_pending_is_a_failure),
		ON_PLAIN(failure_while_closing_is_told_by_the_reason),
		ON_PLAIN(detached_descriptor_is_the_callers),
		ON_PLAIN(detach_with_output_is_refused),
		ON_PLAIN(detach_inside_a_hook),
		ON_UNIX(silence_is_told_until_it_is_cancelled),
		ON_UNIX(time_limit_is_replaced),
		ON_UNIX(silent_client_is_let_go_where_nobody_wants_to_know),
		ON_UNIX(input_renews_the_time_limit),
		ON_UNIX(deadline_of_the_connection_ends_it_with_or_without_a_hook),
		ON_UNIX(input_of_the_same_turn_comes_before_the_time_limit),
		ON_UNIX(time_limit_goes_with_its_connection),
		ON_UNIX(two_that_are_due_together_may_close_each_other),
		ON_UNIX(all_may_be_dismissed_whatever_they_do),
		ON_UNIX(closed_connections_are_passed_over),
		ON_ALL(loop_may_be_freed_inside_a_hook),
		ON_UNIX(connection_made_while_the_loop_goes_is_refused),
		ON_PLAIN(description_tells_interest_state_and_peer),
	};

	signal(SIGPIPE, SIG_IGN);
	return cmocka_run_group_tests(tests, NULL, NULL);
}
