/*
 * Transports of the application's own where calls wait: when they may be put on and taken off, what
 * becomes of bytes on their way, and what the connection makes of those that do nonsense.
 */
#include <tend/evented.h>

#include "conn_fixture.h"
#include "net/layer.h"
#include "net/parcel.h"
#include "scramble.h"

#define KEY 0x21

static struct scramble data, other;

static int
start(void **state)
{
	data = (struct scramble){ .key = KEY };
	other = (struct scramble){ .key = 0x42 };
	odd = (struct odd){ .read = 0 };
	return over_tcp(state);
}

static void
put_on(struct meeting *m)
{
	assert_int_equal(tend_conn_set_transport(&m->c, &scrambling, &data), 0);
}

static void
client_says_scrambled(struct meeting *m, const char *text)
{
	char bytes[1000];

	memcpy(bytes, text, strlen(text));
	scramble(bytes, strlen(text), KEY);
	assert_int_equal(client_send(m, bytes, strlen(text)), 0);
}

static void
client_hears_scrambled(struct meeting *m, const char *text)
{
	char bytes[1000];

	assert_int_equal(client_receive_all(m, bytes, strlen(text)), strlen(text));
	scramble(bytes, strlen(text), KEY);
	assert_memory_equal(bytes, text, strlen(text));
}

/* ---- bytes ---- */

/* DS-89: in both directions. */
static void
every_byte_goes_through_it(void **state)
{
	struct meeting *m = *state;

	put_on(m);
	client_says_scrambled(m, "hello\nand more");
	handler_gets_line(&m->c, "hello");
	handler_reads(&m->c, "and more");
	tend_printf(&m->c, "well, %s", "well");
	assert_int_equal(tend_flush(&m->c), 0);
	client_hears_scrambled(m, "well, well");
	assert_int_equal(data.received, strlen("hello\nand more"));
	assert_int_equal(data.sent, strlen("well, well"));
	assert_ptr_equal(tend_conn_transport_data(&m->c), &data);
	tend_close(&m->c);
	client_hears_the_end(m);
	assert_int_equal(data.done, 1);
	assert_null(tend_conn_transport_data(&m->c));
}

static void
much_goes_through_it_and_streams_do(void **state)
{
	struct meeting *m = *state;
	static char answer[100000], heard[100000];
	FILE *in, *out;
	char line[100];

	put_on(m);
	assert_int_equal(tend_conn_stdio(&m->c, &in, &out), 0);
	client_says_scrambled(m, "question\n");
	assert_non_null(fgets(line, sizeof(line), in));
	assert_string_equal(line, "question\n");
	memset(answer, 'a', sizeof(answer));
	assert_int_equal(fwrite(answer, 1, sizeof(answer), out), sizeof(answer));
	assert_int_equal(fflush(out), 0);
	assert_int_equal(client_receive_all(m, heard, sizeof(heard)), sizeof(heard));
	scramble(heard, sizeof(heard), KEY);
	assert_memory_equal(heard, answer, sizeof(heard));
}

/* Each sees its own data, and calls what it stands on. */
static void
one_stands_over_the_other(void **state)
{
	struct meeting *m = *state;
	char bytes[] = "both";

	assert_int_equal(tend_conn_set_transport(&m->c, &scrambling, &other), 0);
	put_on(m);
	scramble(bytes, 4, KEY ^ 0x42);
	assert_int_equal(client_send(m, bytes, 4), 0);
	handler_reads(&m->c, "both");
	assert_int_equal(data.received + other.received, 8);
	/* The upper one is taken off; the other goes on. */
	assert_int_equal(tend_conn_set_transport(&m->c, NULL, NULL), 0);
	assert_int_equal(data.done, 1);
	assert_int_equal(other.done, 0);
	assert_ptr_equal(tend_conn_transport_data(&m->c), &other);
	memcpy(bytes, "both", 4);
	scramble(bytes, 4, 0x42);
	assert_int_equal(client_send(m, bytes, 4), 0);
	handler_reads(&m->c, "both");
	tend_close(&m->c);
	assert_int_equal(other.done, 1);
	assert_int_equal(data.done, 1);
}

/* ---- in the middle ---- */

/* As STARTTLS: what was written before leaves as it is, what was received belongs to the new one. */
static void
it_can_begin_in_the_middle(void **state)
{
	struct meeting *m = *state;
	char bytes[] = "start\nsecret\nmore\n";

	scramble(bytes + 6, sizeof(bytes) - 7, KEY);
	assert_int_equal(client_send(m, bytes, sizeof(bytes) - 1), 0);
	handler_gets_line(&m->c, "start");
	tend_printf(&m->c, "go ahead\n");
	put_on(m);
	client_hears(m, "go ahead\n");
	assert_int_equal(tend_conn_buffered(&m->c), 0);
	handler_gets_line(&m->c, "secret");
	handler_gets_line(&m->c, "more");
	tend_printf(&m->c, "psst\n");
	assert_int_equal(tend_flush(&m->c), 0);
	client_hears_scrambled(m, "psst\n");
	/* And is over in the middle, with nothing of it left. */
	assert_int_equal(tend_conn_set_transport(&m->c, NULL, NULL), 0);
	client_says(m, "plain\n");
	handler_gets_line(&m->c, "plain");
	assert_int_equal(data.done, 1);
}

/* Nobody slips in words that were not said under it. */
static void
plain_text_sent_ahead_is_not_the_clients_word(void **state)
{
	struct meeting *m = *state;
	FILE *in;
	char line[100];

	client_says(m, "start\nMAIL FROM mallory\n");
	assert_int_equal(tend_conn_stdio(&m->c, &in, NULL), 0);
	/* The stream has read all of it. */
	assert_non_null(fgets(line, sizeof(line), in));
	assert_int_equal(tend_conn_buffered(&m->c), 0);
	put_on(m);
	client_says_scrambled(m, "hello\n");
	assert_non_null(fgets(line, sizeof(line), in));
	assert_string_equal(line, "hello\n");
}

static void
input_that_it_has_not_read_is_there_when_it_is_taken_off(void **state)
{
	struct meeting *m = *state;

	client_says(m, "start\nplain\n");
	handler_gets_line(&m->c, "start");
	put_on(m);
	assert_int_equal(tend_below_pending(&m->c), 6);
	assert_int_equal(tend_conn_set_transport(&m->c, NULL, NULL), 0);
	handler_gets_line(&m->c, "plain");
}

/* Also when it came before. */
static void
the_end_of_input_is_seen_through_it(void **state)
{
	struct meeting *m = *state;
	char bytes[] = "start\nlast";

	scramble(bytes + 6, 4, KEY);
	assert_int_equal(client_send(m, bytes, 10), 0);
	client_finishes(m);
	handler_gets_line(&m->c, "start");
	/* Reads up to the end: it is known already. */
	assert_int_equal(conn_fill(&m->c, 100), 0);
	put_on(m);
	handler_reads(&m->c, "last");
	handler_reads_the_end(&m->c);
	handler_reads_the_end(&m->c);
}

static void
taking_off_what_is_not_there_does_nothing(void **state)
{
	struct meeting *m = *state;

	assert_int_equal(tend_conn_set_transport(&m->c, NULL, NULL), 0);
	client_says(m, "plain\n");
	handler_gets_line(&m->c, "plain");
}

/* ---- what it is not for ---- */

static int  result;
static bool called;

static void
put_on_here(struct tend_conn *c, void *arg, int status)
{
	(void)arg;
	(void)status;
	called = true;
	result = tend_conn_set_transport(c, &scrambling, &data);
}

/* Where calls wait its handler can do so itself. */
static void
it_is_not_for_functions_of_the_queue(void **state)
{
	struct meeting *m = *state;
	char byte;

	called = false;
	tend_printf(&m->c, "written");
	assert_int_equal(tend_conn_after_write(&m->c, put_on_here, NULL), 0);
	assert_int_equal(tend_flush(&m->c), 0);
	assert_true(called);
	assert_int_equal(result, -EBUSY);
	assert_int_equal(data.done, 1);
	/* Nor while somebody reads. */
	called = false;
	m->limits.idle = 1;
	tend_set_timeout(&m->c, 0.01);
	tend_printf(&m->c, "written");
	assert_int_equal(tend_conn_after_write(&m->c, put_on_here, NULL), 0);
	assert_int_equal(tend_read(&m->c, &byte, 1), -ETIMEDOUT);
	assert_true(called);
	assert_int_equal(result, -EBUSY);
	assert_int_equal(data.done, 2);
	assert_null(conn_layer(&m->c));
}

/* Whatever happens, the data is taken. */
static void
data_is_freed_once_on_every_failure(void **state)
{
	struct meeting *m = *state;
	struct tend_transport t = scrambling;
	struct listener datagrams = { .transport = &transport_udp };

	t.read = NULL;
	assert_int_equal(tend_conn_set_transport(&m->c, &t, &data), -EINVAL);
	t = scrambling;
	t.write = NULL;
	assert_int_equal(tend_conn_set_transport(&m->c, &t, &data), -EINVAL);
	t = scrambling;
	t.pending = NULL;
	assert_int_equal(tend_conn_set_transport(&m->c, &t, &data), -EINVAL);
	t = scrambling;
	t.shutdown = NULL;
	assert_int_equal(tend_conn_set_transport(&m->c, &t, &data), -EINVAL);
	t = scrambling;
	t.traits = TRANSPORT_LOCAL;
	assert_int_equal(tend_conn_set_transport(&m->c, &t, &data), -EINVAL);
	assert_int_equal(data.done, 5);
	m->c.listener = &datagrams;
	assert_int_equal(tend_conn_set_transport(&m->c, &scrambling, &data), -EINVAL);
	m->c.listener = &m->listener;
	/* One who accepts for others. */
	m->mood.wait = conn_wait_never;
	assert_int_equal(tend_conn_set_transport(&m->c, &scrambling, &data), -EAGAIN);
	m->mood.wait = conn_wait_blocking;
	assert_int_equal(tend_shutdown(&m->c), 0);
	assert_int_equal(tend_conn_set_transport(&m->c, &scrambling, &data), -EPIPE);
	tend_close(&m->c);
	assert_int_equal(tend_conn_set_transport(&m->c, &scrambling, &data), -ENOTCONN);
	assert_int_equal(data.done, 9);
	assert_int_equal(data.ended, 0);
}

static void
a_connection_that_is_broken_gets_none(void **state)
{
	struct meeting *m = *state;
	char byte;

	client_slams_the_door(m);
	assert_true(tend_read(&m->c, &byte, 1) < 0);
	assert_true(tend_conn_set_transport(&m->c, &scrambling, &data) < 0);
	assert_int_equal(data.done, 1);
}

static void
there_is_nothing_below_the_system(void **state)
{
	struct meeting *m = *state;
	struct iovec part = { (void *)(uintptr_t)"x", 1 };
	char byte;

	assert_int_equal(tend_below_read(&m->c, &byte, 1), -EINVAL);
	assert_int_equal(tend_below_write(&m->c, &part, 1), -EINVAL);
	assert_int_equal(tend_below_shutdown(&m->c), -EINVAL);
	assert_int_equal(tend_below_pending(&m->c), 0);
	assert_null(tend_conn_transport_data(&m->c));
}

/* ---- handshake ---- */

static void
hands_are_shaken_at_once_with_what_was_sent_ahead(void **state)
{
	struct meeting *m = *state;
	char bytes[] = "start\nhhhsecret\n";

	data.rounds = 3;
	scramble(bytes + 9, 7, KEY);
	assert_int_equal(client_send(m, bytes, sizeof(bytes) - 1), 0);
	handler_gets_line(&m->c, "start");
	assert_int_equal(tend_conn_set_transport(&m->c, &shaking, &data), 0);
	handler_gets_line(&m->c, "secret");
}

static void
a_handshake_that_fails_breaks_the_connection(void **state)
{
	struct meeting *m = *state;
	char byte;

	data.rounds = 1;
	client_says(m, "x");
	assert_int_equal(tend_conn_set_transport(&m->c, &shaking, &data), -EPROTO);
	assert_int_equal(data.done, 0);
	assert_int_equal(tend_write(&m->c, "x", 1), -EPROTO);
	assert_int_equal(tend_read(&m->c, &byte, 1), 0);
	assert_int_equal(tend_conn_set_transport(&m->c, &scrambling, &other), -EPROTO);
	tend_close(&m->c);
	assert_int_equal(data.done, 1);
	assert_int_equal(other.done, 1);
}

static void
a_handshake_has_its_time(void **state)
{
	struct meeting *m = *state;
	int64_t begun = clock_now();

	data.rounds = 1;
	m->limits.handshake = 50 * CLOCK_MILLISECOND;
	assert_int_equal(tend_conn_set_transport(&m->c, &shaking, &data), -ETIMEDOUT);
	assert_lasted(begun, 0.05);
}

/* ---- plain or not ---- */

static void
one_that_changes_nothing_is_plain_unless_it_stands_over_one_that_does(void **state)
{
	struct meeting *m = *state;

	assert_true(conn_is_plain(&m->c));
	assert_int_equal(tend_conn_set_transport(&m->c, &counting, &data), 0);
	assert_true(conn_is_plain(&m->c));
	assert_int_equal(tend_conn_set_transport(&m->c, &scrambling, &other), 0);
	assert_false(conn_is_plain(&m->c));
	assert_int_equal(tend_conn_set_transport(&m->c, &counting, &data), 0);
	assert_false(conn_is_plain(&m->c));
	tend_close(&m->c);
	assert_int_equal(data.done, 2);
	assert_int_equal(other.done, 1);
}

/* It has its end told before the socket is closed. */
static void
its_end_is_told_when_the_connection_closes(void **state)
{
	struct meeting *m = *state;

	put_on(m);
	tend_close(&m->c);
	assert_int_equal(data.ended, 1);
	client_hears_the_end(m);
}

/* ---- transports that do nonsense ---- */

static void
put_on_odd(struct meeting *m)
{
	assert_int_equal(tend_conn_set_transport(&m->c, &odd_one, NULL), 0);
}

static void
more_than_was_asked_for_ends_the_input(void **state)
{
	struct meeting *m = *state;
	char byte, many[10000];

	put_on_odd(m);
	odd.read = 1 << 20;
	assert_int_equal(tend_read(&m->c, &byte, 1), -EIO);
	assert_int_equal(tend_read(&m->c, many, sizeof(many)), 0);
	assert_int_equal(tend_conn_buffered(&m->c), 0);
}

static void
codes_that_there_are_not_are_errors(void **state)
{
	struct meeting *m = *state;
	char byte;

	put_on_odd(m);
	odd.read = -100000;
	assert_int_equal(tend_read(&m->c, &byte, 1), -EIO);
}

static void
writing_nothing_or_more_than_there_is_breaks_the_output(void **state)
{
	struct meeting *m = *state;
	static char large[100000];

	put_on_odd(m);
	odd.write_nothing = true;
	tend_printf(&m->c, "x");
	assert_int_equal(tend_flush(&m->c), -EIO);
	assert_int_equal(odd.calls, 1);
	assert_int_equal(tend_write(&m->c, "x", 1), -EIO);
	part(state);
	start(state);
	put_on_odd(m);
	odd.write = 100001;
	assert_int_equal(tend_write(&m->c, large, sizeof(large)), -EIO);
	part(state);
	start(state);
	put_on_odd(m);
	odd.write = 2;
	assert_int_equal(tend_conn_give(&m->c, "x", 1, NULL, NULL), 0);
	assert_int_equal(tend_flush(&m->c), -EIO);
}

static void
positive_results_of_steps_are_errors(void **state)
{
	struct meeting *m = *state;

	odd.handshake = 1;
	assert_int_equal(tend_conn_set_transport(&m->c, &odd_shaking, NULL), -EIO);
	part(state);
	start(state);
	put_on_odd(m);
	odd.shutdown = 1;
	assert_int_equal(tend_shutdown(&m->c), -EIO);
}

/* It asks for what is always there. A hundred tries, then one now and then, until the time is over. */
static void
assert_calm(int64_t begun)
{
	/* One in ten milliseconds, and those of a read and of a write. */
	assert_in_range(odd.calls, 3, 220 + (unsigned)(since(begun) * 110));
}

static void
one_that_never_reads_keeps_no_processor_busy(void **state)
{
	struct meeting *m = *state;
	int64_t begun = clock_now();
	char byte;

	put_on_odd(m);
	odd.read = -EAGAIN;
	odd.want = TEND_WRITE;
	tend_set_timeout(&m->c, 0.2);
	assert_int_equal(tend_read(&m->c, &byte, 1), -ETIMEDOUT);
	assert_lasted(begun, 0.2);
	assert_calm(begun);
}

static void
one_that_never_writes_keeps_no_processor_busy(void **state)
{
	struct meeting *m = *state;
	int64_t begun = clock_now();

	put_on_odd(m);
	odd.write = -EAGAIN;
	tend_set_timeout(&m->c, 0.2);
	tend_printf(&m->c, "x");
	assert_int_equal(tend_flush(&m->c), -ETIMEDOUT);
	assert_lasted(begun, 0.2);
	assert_calm(begun);
}

static void
one_that_never_ends_keeps_no_processor_busy(void **state)
{
	struct meeting *m = *state;
	int64_t begun = clock_now();

	put_on_odd(m);
	odd.shutdown = -EAGAIN;
	tend_set_timeout(&m->c, 0.2);
	assert_int_equal(tend_shutdown(&m->c), -ETIMEDOUT);
	assert_lasted(begun, 0.2);
	assert_calm(begun);
}

static void
one_that_never_shakes_hands_keeps_no_processor_busy(void **state)
{
	struct meeting *m = *state;
	int64_t begun = clock_now();

	odd.handshake = -EAGAIN;
	odd.want = TEND_WRITE;
	m->limits.handshake = 200 * CLOCK_MILLISECOND;
	assert_int_equal(tend_conn_set_transport(&m->c, &odd_shaking, NULL), -ETIMEDOUT);
	assert_lasted(begun, 0.2);
	assert_calm(begun);
}

static void
a_close_waits_for_none_of_them(void **state)
{
	struct meeting *m = *state;
	int64_t begun = clock_now();

	m->limits.linger = 200 * CLOCK_MILLISECOND;
	put_on_odd(m);
	odd.read = -EAGAIN;
	odd.want = TEND_WRITE;
	conn_refuse_input(&m->c);
	tend_close(&m->c);
	assert_lasted(begun, 0.2);
	assert_calm(begun);
	client_hears_the_end(m);
}

static void
promised_input_that_never_comes_keeps_no_processor_busy(void **state)
{
	struct meeting *m = *state;
	int64_t begun = clock_now();
	char byte;

	put_on_odd(m);
	odd.read = -EAGAIN;
	odd.pending = 7;
	tend_set_timeout(&m->c, 0.1);
	assert_int_equal(tend_wait_readable(&m->c, 0.1), 1);
	assert_int_equal(tend_read(&m->c, &byte, 1), -ETIMEDOUT);
	assert_lasted(begun, 0.1);
	assert_in_range(odd.calls, 1, 10);
}

static void
memory_that_is_never_there_is_asked_for_a_hundred_times(void **state)
{
	struct meeting *m = *state;
	char byte;
	int i, r = -ENOMEM;

	put_on_odd(m);
	odd.read = -ENOMEM;
	for (i = 0; i < 1000 && r == -ENOMEM; i++)
		r = (int)tend_read(&m->c, &byte, 1);
	assert_int_equal(r, -EIO);
	assert_in_range(i, 10, 200);
}

/* ---- time ---- */

static void
a_read_can_wait_for_time(void **state)
{
	struct meeting *m = *state;
	int64_t begun = clock_now();
	char byte;

	put_on_odd(m);
	client_says(m, "x");
	odd.read = -EAGAIN;
	odd.after = 0.02;
	tend_set_timeout(&m->c, 0.1);
	/* Its input is there all the time. */
	assert_int_equal(tend_read(&m->c, &byte, 1), -ETIMEDOUT);
	assert_in_range(odd.calls, 2, 30);
	assert_lasted(begun, 0.1);
	odd.read = 0;
	handler_reads(&m->c, "x");
}

/* A limit of the rate is a few lines. */
static void
a_write_can_wait_for_time(void **state)
{
	struct meeting *m = *state;
	int64_t begun = clock_now();

	assert_int_equal(tend_conn_set_transport(&m->c, &odd_slow, NULL), 0);
	tend_printf(&m->c, "slowly");
	assert_int_equal(tend_flush(&m->c), 0);
	assert_lasted(begun, 0.06);
	assert_int_equal(odd.calls, 12);
	client_hears(m, "slowly");
}

/* ---- structs that others are compiled against ---- */

static void
layouts_stay_as_they_are(void **state)
{
	(void)state;
#ifdef __LP64__
	assert_int_equal(offsetof(struct tend_transport, traits), 8);
	assert_int_equal(offsetof(struct tend_transport, handshake), 16);
	assert_int_equal(offsetof(struct tend_transport, done), 56);
	assert_int_equal(sizeof(struct tend_transport), 96);
	assert_int_equal(offsetof(struct tend_trace, result), 16);
	assert_int_equal(offsetof(struct tend_trace, conn), 32);
	assert_int_equal(sizeof(struct tend_trace), 80);
#endif
	/* An idle client is little more than its connection. */
	assert_true(sizeof(struct tend_conn) <= 208);
}

#define THROUGH(test) { #test, test, start, part, NULL }

int
main(void)
{
	static const struct CMUnitTest tests[] = {
		THROUGH(every_byte_goes_through_it),
		THROUGH(much_goes_through_it_and_streams_do),
		THROUGH(one_stands_over_the_other),
		THROUGH(it_can_begin_in_the_middle),
		THROUGH(plain_text_sent_ahead_is_not_the_clients_word),
		THROUGH(input_that_it_has_not_read_is_there_when_it_is_taken_off),
		THROUGH(the_end_of_input_is_seen_through_it),
		THROUGH(taking_off_what_is_not_there_does_nothing),
		THROUGH(it_is_not_for_functions_of_the_queue),
		THROUGH(data_is_freed_once_on_every_failure),
		THROUGH(a_connection_that_is_broken_gets_none),
		THROUGH(there_is_nothing_below_the_system),
		THROUGH(hands_are_shaken_at_once_with_what_was_sent_ahead),
		THROUGH(a_handshake_that_fails_breaks_the_connection),
		THROUGH(a_handshake_has_its_time),
		THROUGH(one_that_changes_nothing_is_plain_unless_it_stands_over_one_that_does),
		THROUGH(its_end_is_told_when_the_connection_closes),
		THROUGH(more_than_was_asked_for_ends_the_input),
		THROUGH(codes_that_there_are_not_are_errors),
		THROUGH(writing_nothing_or_more_than_there_is_breaks_the_output),
		THROUGH(positive_results_of_steps_are_errors),
		THROUGH(one_that_never_reads_keeps_no_processor_busy),
		THROUGH(one_that_never_writes_keeps_no_processor_busy),
		THROUGH(one_that_never_ends_keeps_no_processor_busy),
		THROUGH(one_that_never_shakes_hands_keeps_no_processor_busy),
		THROUGH(a_close_waits_for_none_of_them),
		THROUGH(promised_input_that_never_comes_keeps_no_processor_busy),
		THROUGH(memory_that_is_never_there_is_asked_for_a_hundred_times),
		THROUGH(a_read_can_wait_for_time),
		THROUGH(a_write_can_wait_for_time),
		cmocka_unit_test(layouts_stay_as_they_are),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
