/* Writing: what gathers, what leaves when, and what happens when it cannot. */
#include "conn_fixture.h"

#include <time.h>
#include <wchar.h>

#define BUFFER 16384

/* So little room that a write is taken in parts. */
static void
narrow(struct meeting *m)
{
	int size = 4096;

	assert_int_equal(setsockopt(m->c.fd, SOL_SOCKET, SO_SNDBUF, &size, sizeof(size)), 0);
}

/* And that a client who does not read is noticed soon. */
static void
narrow_both(struct meeting *m)
{
	int size = 4096;

	narrow(m);
	assert_int_equal(setsockopt(m->client, SOL_SOCKET, SO_RCVBUF, &size, sizeof(size)), 0);
}

/* ---- gathering ---- */

/* NS-CIO-03 */
static void
nothing_leaves_before_it_must(void **state)
{
	struct meeting *m = *state;

	assert_int_equal(tend_flush(&m->c), 0);
	assert_int_equal(tend_write(&m->c, "one ", 4), 4);
	assert_int_equal(tend_write(&m->c, NULL, 0), 0);
	assert_int_equal(tend_printf(&m->c, "%s %d", "two", 3), 5);
	assert_int_equal(m->writes, 0);
	client_hears_nothing(m);
	assert_int_equal(tend_flush(&m->c), 0);
	client_hears(m, "one two 3");
	if (m->real != &transport_awkward)
		assert_int_equal(m->writes, 1);
	assert_int_equal(tend_flush(&m->c), 0);
	client_hears_nothing(m);
}

static void
a_prompt_leaves_before_an_answer_is_waited_for(void **state)
{
	struct meeting *m = *state;
	char byte, *line;

	tend_set_timeout(&m->c, 0.01);
	tend_printf(&m->c, "name? ");
	assert_int_equal(tend_getline(&m->c, &line), -ETIMEDOUT);
	client_hears(m, "name? ");
	tend_printf(&m->c, "again? ");
	assert_int_equal(tend_read(&m->c, &byte, 1), -ETIMEDOUT);
	client_hears(m, "again? ");
	tend_printf(&m->c, "more? ");
	assert_int_equal(tend_wait_readable(&m->c, 0), 0);
	client_hears(m, "more? ");
}

static void
input_that_is_there_lets_no_output_leave(void **state)
{
	struct meeting *m = *state;

	client_says(m, "one\ntwo\n");
	handler_gets_line(&m->c, "one");
	tend_printf(&m->c, "1");
	handler_gets_line(&m->c, "two");
	tend_printf(&m->c, "2");
	if (m->real == &transport_awkward)
		return; /* its input comes in pieces, and has to be waited for */
	assert_int_equal(m->writes, 0);
	client_hears_nothing(m);
}

/* Requests in a row cost one write and not one each. */
static void
pipelined_requests_are_answered_in_one_write(void **state)
{
	struct meeting *m = *state;
	char *line;
	int i;

	for (i = 0; i < 100; i++)
		client_says(m, "ping\n");
	client_finishes(m);
	while (tend_getline(&m->c, &line) > 0)
		tend_printf(&m->c, "pong\n");
	assert_int_equal(tend_flush(&m->c), 0);
	/* Once when the input was exhausted and the end had to be waited for. */
	assert_int_equal(m->writes, 1);
	for (i = 0; i < 100; i++)
		client_hears(m, "pong\n");
}

static void
a_full_buffer_leaves_by_itself(void **state)
{
	struct meeting *m = *state;
	char piece[1024];
	int i;

	memset(piece, 'p', sizeof(piece));
	for (i = 0; i < 15; i++)
		assert_int_equal(tend_write(&m->c, piece, sizeof(piece)), sizeof(piece));
	assert_int_equal(m->writes, 0);
	assert_int_equal(tend_write(&m->c, piece, sizeof(piece)), sizeof(piece));
	assert_int_equal(m->writes, 1);
	assert_int_equal(buf_length(&m->c.out), 0);
	for (i = 0; i < 15; i++)
		assert_int_equal(tend_printf(&m->c, "%.*s", 1024, piece), 1024);
	assert_int_equal(m->writes, 1);
	assert_int_equal(tend_printf(&m->c, "%.*s", 1024, piece), 1024);
	assert_int_equal(m->writes, 2);
}

static void
a_large_piece_goes_along_with_what_is_buffered(void **state)
{
	struct meeting *m = *state;
	static char large[2 * BUFFER], heard[sizeof(large) + 7];

	memset(large, 'L', sizeof(large));
	assert_int_equal(tend_write(&m->c, "header\n", 7), 7);
	assert_int_equal(tend_write(&m->c, large, sizeof(large)), sizeof(large));
	assert_int_equal(m->writes, 1);
	/* And was not copied. */
	assert_in_range(m->c.out.size, 0, BUFFER);
	assert_int_equal(client_receive_all(m, heard, sizeof(heard)), sizeof(heard));
	assert_memory_equal(heard, "header\n", 7);
	assert_memory_equal(heard + 7, large, sizeof(large));
}

/* ---- formatting ---- */

static void
printf_returns_what_it_came_to(void **state)
{
	struct meeting *m = *state;
	static char heard[50001];

	assert_int_equal(tend_printf(&m->c, "%s", ""), 0);
	assert_int_equal(tend_printf(&m->c, "%5d|%-3s|%c", 42, "a", 0), 11);
	assert_int_equal(tend_printf(&m->c, "%50000d", 7), 50000);
	assert_int_equal(tend_flush(&m->c), 0);
	assert_int_equal(client_receive_all(m, heard, 11), 11);
	assert_memory_equal(heard, "   42|a  |\0", 11);
	assert_int_equal(client_receive_all(m, heard, 50000), 50000);
	assert_int_equal(heard[0], ' ');
	assert_int_equal(heard[49999], '7');
}

static void
a_bad_format_adds_nothing(void **state)
{
	struct meeting *m = *state;

	tend_printf(&m->c, "before ");
	/* A character that the C locale cannot write. */
	assert_int_equal(tend_printf(&m->c, "lost %lc", (wint_t)0x20ac), -EINVAL);
	tend_printf(&m->c, "after");
	assert_int_equal(tend_flush(&m->c), 0);
	client_hears(m, "before after");
}

/* ---- slow clients ---- */

/* What is sent, so that each byte tells where it belongs. */
static char
byte_at(size_t at)
{
	return (char)(at / 7 + at % 251);
}

static size_t
much(const struct meeting *m)
{
	return m->real == &transport_awkward ? 50000 : 2 * 1024 * 1024;
}

static int
listen_slowly(struct meeting *m)
{
	char bytes[3000];
	size_t at = 0;
	ssize_t n, i;

	while ((n = client_receive(m, bytes, sizeof(bytes))) > 0) {
		for (i = 0; i < n; i++, at++)
			if (bytes[i] != byte_at(at))
				return 1;
		if (at % 64 == 0)
			usleep(100);
	}
	return n < 0 ? 2 : at == much(m) ? 0 : 3;
}

static void
a_slow_client_gets_every_byte_in_order(void **state)
{
	struct meeting *m = *state;
	size_t at = 0, size = 1, i;
	static char piece[70000];
	pid_t pid;

	narrow(m);
	pid = client_start(m, listen_slowly);
	/* Pieces of every size, below and above that of the buffer. */
	while (at < much(m)) {
		if (size > much(m) - at)
			size = much(m) - at;
		for (i = 0; i < size; i++)
			piece[i] = byte_at(at + i);
		assert_int_equal(tend_write(&m->c, piece, size), size);
		at += size;
		size = size * 5 % 69997 + 1;
	}
	tend_close(&m->c);
	client_has_done_well(pid);
}

/* NS-CIO-11 */
static void
a_client_that_takes_nothing_is_given_up(void **state)
{
	static char piece[65536];
	struct meeting *m = *state;
	int64_t begun;
	ssize_t n;

	narrow_both(m);
	tend_set_timeout(&m->c, 0.05);
	begun = clock_now();
	while ((n = tend_write(&m->c, piece, sizeof(piece))) > 0 && since(begun) < PATIENCE)
		begun = clock_now();
	assert_int_equal(n, -ETIMEDOUT);
	assert_lasted(begun, 0.05);
	/* With a hole in what was sent nothing more can follow. */
	begun = clock_now();
	tend_set_timeout(&m->c, 10);
	assert_int_equal(tend_write(&m->c, "x", 1), -ETIMEDOUT);
	assert_int_equal(tend_printf(&m->c, "x"), -ETIMEDOUT);
	assert_int_equal(tend_flush(&m->c), -ETIMEDOUT);
	assert_int_equal(tend_shutdown(&m->c), -ETIMEDOUT);
	tend_close(&m->c);
	assert_true(since(begun) < PATIENCE / 2);
}

static int
listen_for_ever(struct meeting *m)
{
	static char bytes[65536];
	char last[4] = "";
	ssize_t n;

	while ((n = client_receive(m, bytes, sizeof(bytes))) > 0) {
		if (n >= 4) {
			memcpy(last, bytes + n - 4, 4);
		} else {
			memmove(last, last + n, (size_t)(4 - n));
			memcpy(last + 4 - n, bytes, (size_t)n);
		}
	}
	return n == 0 && memcmp(last, "bye\n", 4) == 0 ? 0 : 1;
}

/* Ends no wait for the deadline, as if the client had been ready just before. */
static int
wait_patiently(struct tend_conn *c, unsigned events, int64_t deadline)
{
	(void)deadline;
	return conn_wait_blocking(c, events, CLOCK_NEVER);
}

/* The client takes whatever there is, so no wait can end it; but a last word may be said. */
static void
an_answer_without_end_does_not_outlive_the_deadline(void **state)
{
	static char piece[5000];
	struct meeting *m = *state;
	pid_t pid = client_start(m, listen_for_ever);
	int64_t begun = clock_now();
	ssize_t n;

	m->mood.wait = wait_patiently;
	tend_set_deadline(&m->c, 0.1);
	while ((n = tend_write(&m->c, piece, sizeof(piece))) > 0 && since(begun) < PATIENCE)
		;
	assert_int_equal(n, -ETIMEDOUT);
	assert_lasted(begun, 0.1);
	assert_int_equal(tend_printf(&m->c, "bye\n"), 4);
	tend_close(&m->c);
	client_has_done_well(pid);
}

static void
formatted_answers_end_at_the_deadline_too(void **state)
{
	struct meeting *m = *state;
	pid_t pid = client_start(m, listen_for_ever);
	int64_t begun = clock_now();
	ssize_t n;

	m->mood.wait = wait_patiently;
	tend_set_deadline(&m->c, 0.1);
	while ((n = tend_printf(&m->c, "%1000d", 1)) > 0 && since(begun) < PATIENCE)
		;
	assert_int_equal(n, -ETIMEDOUT);
	assert_lasted(begun, 0.1);
	assert_int_equal(tend_printf(&m->c, "bye\n"), 4);
	tend_close(&m->c);
	client_has_done_well(pid);
}

/* ---- a server that stops ---- */

static void
a_stop_lets_output_leave(void **state)
{
	struct meeting *m = *state;
	size_t at = 0, i;
	char piece[5000];
	pid_t pid;

	narrow(m);
	pid = client_start(m, listen_slowly);
	for (at = 0; at < much(m); at += i) {
		for (i = 0; i < sizeof(piece) && at + i < much(m); i++)
			piece[i] = byte_at(at + i);
		/* While it waits for the client, and again and again. */
		signal_arrives(m, at + 40000 > much(m));
		assert_int_equal(tend_write(&m->c, piece, i), i);
	}
	tend_close(&m->c);
	client_has_done_well(pid);
}

static void
a_stop_does_not_wait_for_a_client_that_takes_nothing(void **state)
{
	static char piece[65536];
	struct meeting *m = *state;
	int64_t begun;
	ssize_t n;

	narrow_both(m);
	tend_set_timeout(&m->c, TEND_NONE);
	signal_arrives(m, true);
	begun = clock_now();
	while ((n = tend_write(&m->c, piece, sizeof(piece))) > 0 && since(begun) < PATIENCE)
		begun = clock_now();
	assert_int_equal(n, -ETIMEDOUT);
	assert_lasted(begun, 1.0);
	/* It stays so: nothing follows what was left out. */
	assert_int_equal(tend_write(&m->c, "x", 1), -ETIMEDOUT);
}

/* More signals while the last output leaves must not turn the wait into a spin. */
static void
further_signals_do_not_disturb_the_last_output(void **state)
{
	struct meeting *m = *state;
	static char piece[65536];
	struct timespec cpu[2];
	double spent;
	ssize_t n = 1;

	narrow_both(m);
	m->stop = true;
	clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &cpu[0]);
	while (n > 0) {
		n = tend_write(&m->c, piece, sizeof(piece));
		if (n > 0)
			assert_int_equal(write(m->interrupt[1], "", 1), 1);
	}
	clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &cpu[1]);
	assert_int_equal(n, -ETIMEDOUT);
	spent = (double)(cpu[1].tv_sec - cpu[0].tv_sec) +
	    (double)(cpu[1].tv_nsec - cpu[0].tv_nsec) / 1e9;
	assert_true(spent < 0.5);
}

/* ---- the end of output ---- */

static void
shutdown_ends_our_half_and_no_more(void **state)
{
	struct meeting *m = *state;

	tend_printf(&m->c, "the answer\n");
	assert_int_equal(tend_shutdown(&m->c), 0);
	client_hears(m, "the answer\n");
	client_hears_the_end(m);
	/* Input goes on. */
	client_says(m, "thanks\n");
	handler_gets_line(&m->c, "thanks");
	assert_int_equal(tend_write(&m->c, "x", 1), -EPIPE);
	assert_int_equal(tend_printf(&m->c, "x"), -EPIPE);
	assert_int_equal(tend_flush(&m->c), 0);
	assert_int_equal(tend_shutdown(&m->c), 0);
	client_finishes(m);
	handler_reads_the_end(&m->c);
	tend_close(&m->c);
	if (m->real == &transport_awkward)
		assert_int_equal(awkward.ended, 1);
}

static void
the_client_may_end_its_half_first(void **state)
{
	struct meeting *m = *state;

	client_says(m, "question");
	client_finishes(m);
	handler_reads(&m->c, "question");
	handler_reads_the_end(&m->c);
	tend_printf(&m->c, "answer");
	tend_close(&m->c);
	client_hears(m, "answer");
	client_hears_the_end(m);
}

/* NS-CIO-10: no SIGPIPE, whose default would end this test; and the error stays. */
static void
writing_to_one_who_is_gone_is_an_error_every_time(void **state)
{
	struct meeting *m = *state;
	int i, r = 0;

	client_leaves(m);
	/* Over TCP the first may still go out: the answer to it is the reset. */
	for (i = 0; i < 1000 && r == 0; i++) {
		assert_int_equal(tend_write(&m->c, "hello", 5), 5);
		r = tend_flush(&m->c);
		if (r == 0)
			usleep(1000);
	}
	assert_true(r == -EPIPE || r == -ECONNRESET);
	assert_int_equal(tend_write(&m->c, "x", 1), r);
	assert_int_equal(tend_printf(&m->c, "x"), r);
	assert_int_equal(tend_flush(&m->c), r);
	assert_int_equal(tend_shutdown(&m->c), r);
	tend_close(&m->c);
	assert_int_equal(tend_conn_fd(&m->c), -1);
}

static void
nothing_is_written_to_a_closed_connection(void **state)
{
	struct meeting *m = *state;

	tend_printf(&m->c, "farewell");
	tend_close(&m->c);
	client_hears(m, "farewell");
	client_hears_the_end(m);
	assert_int_equal(tend_write(&m->c, "x", 1), -ENOTCONN);
	assert_int_equal(tend_printf(&m->c, "x"), -ENOTCONN);
	assert_int_equal(tend_flush(&m->c), -ENOTCONN);
	assert_int_equal(tend_shutdown(&m->c), -ENOTCONN);
}

int
main(void)
{
	static const struct CMUnitTest tests[] = {
		EVERYWHERE(nothing_leaves_before_it_must),
		EVERYWHERE(a_prompt_leaves_before_an_answer_is_waited_for),
		EVERYWHERE(input_that_is_there_lets_no_output_leave),
		OVER_UNIX(pipelined_requests_are_answered_in_one_write),
		OVER_TCP(pipelined_requests_are_answered_in_one_write),
		OVER_UNIX(a_full_buffer_leaves_by_itself),
		OVER_TCP(a_full_buffer_leaves_by_itself),
		OVER_UNIX(a_large_piece_goes_along_with_what_is_buffered),
		OVER_TCP(a_large_piece_goes_along_with_what_is_buffered),
		EVERYWHERE(printf_returns_what_it_came_to),
		EVERYWHERE(a_bad_format_adds_nothing),
		EVERYWHERE(a_slow_client_gets_every_byte_in_order),
		EVERYWHERE(a_client_that_takes_nothing_is_given_up),
		EVERYWHERE(an_answer_without_end_does_not_outlive_the_deadline),
		EVERYWHERE(formatted_answers_end_at_the_deadline_too),
		EVERYWHERE(a_stop_lets_output_leave),
		EVERYWHERE(a_stop_does_not_wait_for_a_client_that_takes_nothing),
		OVER_UNIX(further_signals_do_not_disturb_the_last_output),
		EVERYWHERE(shutdown_ends_our_half_and_no_more),
		EVERYWHERE(the_client_may_end_its_half_first),
		EVERYWHERE(writing_to_one_who_is_gone_is_an_error_every_time),
		EVERYWHERE(nothing_is_written_to_a_closed_connection),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
