/* Standard streams over a connection: through its buffers, its transport and its deadlines. */
#include "conn_fixture.h"

struct streams {
	FILE *in, *out;
};

static struct streams
open_streams(struct meeting *m)
{
	struct streams s = { NULL, NULL };

	assert_int_equal(tend_conn_stdio(&m->c, &s.in, &s.out), 0);
	assert_non_null(s.in);
	assert_non_null(s.out);
	return s;
}

/* NS-CIO-07 */
static void
a_handler_may_speak_with_fgets_and_fprintf(void **state)
{
	struct meeting *m = *state;
	struct streams s = open_streams(m);
	char line[64];

	client_says(m, "one\ntwo\r\nthree");
	client_finishes(m);
	assert_non_null(fgets(line, sizeof(line), s.in));
	assert_string_equal(line, "one\n");
	assert_int_equal(fprintf(s.out, "%s %d\n", "first", 1), 8);
	assert_non_null(fgets(line, sizeof(line), s.in));
	assert_string_equal(line, "two\r\n");
	assert_true(fputs("second\n", s.out) >= 0);
	assert_non_null(fgets(line, sizeof(line), s.in));
	assert_string_equal(line, "three");
	assert_null(fgets(line, sizeof(line), s.in));
	assert_true(feof(s.in));
	assert_false(ferror(s.in));
	tend_close(&m->c);
	client_hears(m, "first 1\nsecond\n");
	client_hears_the_end(m);
}

static void
the_same_streams_are_given_each_time(void **state)
{
	struct meeting *m = *state;
	struct streams s = open_streams(m), again = open_streams(m);
	FILE *one = NULL;

	assert_ptr_equal(s.in, again.in);
	assert_ptr_equal(s.out, again.out);
	assert_int_equal(tend_conn_stdio(&m->c, NULL, &one), 0);
	assert_ptr_equal(one, s.out);
	assert_int_equal(tend_conn_stdio(&m->c, NULL, NULL), 0);
}

static void
what_was_printed_leaves_before_an_answer_is_waited_for(void **state)
{
	struct meeting *m = *state;
	struct streams s = open_streams(m);
	char line[64];

	tend_set_timeout(&m->c, 0.02);
	fprintf(s.out, "name? ");
	client_hears_nothing(m);
	assert_null(fgets(line, sizeof(line), s.in));
	client_hears(m, "name? ");
}

/* Also from a buffer that the handler gave to the stream. */
static void
a_prompt_leaves_from_a_buffer_of_the_stream_too(void **state)
{
	static char buffer[4096];
	struct meeting *m = *state;
	struct streams s = open_streams(m);
	char line[64];

	tend_set_timeout(&m->c, 0.02);
	assert_int_equal(setvbuf(s.out, buffer, _IOFBF, sizeof(buffer)), 0);
	fprintf(s.out, "name? ");
	assert_null(fgets(line, sizeof(line), s.in));
	client_hears(m, "name? ");
	fprintf(s.out, "good bye");
	tend_close(&m->c);
	client_hears(m, "good bye");
}

/* NS-CIO-11 */
static void
a_deadline_is_an_error_of_the_stream_and_errno_says_so(void **state)
{
	struct meeting *m = *state;
	struct streams s = open_streams(m);
	int64_t begun = clock_now();
	char line[64];

	tend_set_timeout(&m->c, 0.05);
	errno = 0;
	assert_null(fgets(line, sizeof(line), s.in));
	assert_int_equal(errno, ETIMEDOUT);
	assert_true(ferror(s.in));
	assert_false(feof(s.in));
	assert_lasted(begun, 0.05);
	/* It may be tried again. */
	clearerr(s.in);
	client_says(m, "late\n");
	assert_non_null(fgets(line, sizeof(line), s.in));
	assert_string_equal(line, "late\n");
}

static void
a_stop_is_an_error_of_the_stream(void **state)
{
	struct meeting *m = *state;
	struct streams s = open_streams(m);

	signal_arrives(m, true);
	errno = 0;
	assert_int_equal(fgetc(s.in), EOF);
	assert_int_equal(errno, ECANCELED);
	assert_true(ferror(s.in));
}

static void
one_who_is_gone_is_an_error_of_the_stream(void **state)
{
	struct meeting *m = *state;
	struct streams s = open_streams(m);
	int i, r = 0;

	client_leaves(m);
	for (i = 0; i < 1000 && r == 0; i++) {
		/* The stream's buffer hides it until something leaves. */
		r = fprintf(s.out, "hello\n") < 0 || fflush(s.out) != 0;
		if (r == 0)
			usleep(1000);
	}
	assert_int_equal(r, 1);
	assert_true(errno == EPIPE || errno == ECONNRESET);
	assert_true(ferror(s.out));
}

static int
echo_much(struct meeting *m)
{
	static char sent[50000], heard[50000];
	size_t i;

	for (i = 0; i < sizeof(sent); i++)
		sent[i] = (char)(i * 31 % 253);
	if (client_send(m, sent, sizeof(sent)) < 0 || shutdown(m->client, SHUT_WR) < 0)
		return 1;
	if (client_receive_all(m, heard, sizeof(heard)) != sizeof(heard))
		return 2;
	return memcmp(sent, heard, sizeof(heard)) == 0 ? 0 : 3;
}

static void
much_goes_through_byte_by_byte(void **state)
{
	struct meeting *m = *state;
	struct streams s = open_streams(m);
	pid_t pid = client_start(m, echo_much);
	int byte;
	size_t n = 0;

	while ((byte = getc(s.in)) != EOF) {
		assert_int_not_equal(putc(byte, s.out), EOF);
		n++;
	}
	assert_int_equal(n, 50000);
	tend_close(&m->c);
	client_has_done_well(pid);
}

static void
output_of_streams_and_calls_leaves_in_the_order_of_writing(void **state)
{
	struct meeting *m = *state;
	struct streams s = open_streams(m);

	tend_printf(&m->c, "1 ");
	fprintf(s.out, "2 ");
	tend_printf(&m->c, "3 ");
	putc('4', s.out);
	assert_int_equal(tend_write(&m->c, " 5", 2), 2);
	assert_int_equal(fwrite(" 6 ", 1, 3, s.out), 3);
	assert_int_equal(tend_shutdown(&m->c), 0);
	client_hears(m, "1 2 3 4 5 6 ");
	client_hears_the_end(m);
	/* The output has ended for the stream as well. */
	errno = 0;
	assert_true(fprintf(s.out, "7") < 0 || fflush(s.out) != 0);
	assert_int_equal(errno, EPIPE);
}

static void
what_a_stream_left_is_read_by_the_calls(void **state)
{
	struct meeting *m = *state;
	struct streams s = open_streams(m);

	client_says(m, "x");
	assert_int_equal(getc(s.in), 'x');
	client_says(m, "by the call\n");
	handler_gets_line(&m->c, "by the call");
	client_says(m, "y");
	assert_int_equal(getc(s.in), 'y');
}

/* A worker's connection keeps its streams from client to client. */
static void
the_next_client_finds_streams_as_new(void **state)
{
	struct meeting *m = *state;
	struct streams s = open_streams(m), again;
	char line[16];
	int pair[2];

	client_says(m, "one\nread ahead\n");
	client_finishes(m);
	assert_non_null(fgets(line, sizeof(line), s.in));
	assert_int_equal(ungetc('u', s.in), 'u');
	tend_close(&m->c);
	assert_true(fputs("too late", s.out) < 0 || fflush(s.out) != 0);
	conn_release(&m->c);
	client_leaves(m);
	assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, pair), 0);
	m->client = pair[1];
	conn_open(&m->c, pair[0], &m->listener, NULL, &m->mood);
	again = open_streams(m);
	assert_false(ferror(again.in) || feof(again.in) || ferror(again.out));
	client_says(m, "two\n");
	assert_non_null(fgets(line, sizeof(line), again.in));
	assert_string_equal(line, "two\n");
	fputs("three", again.out);
	assert_int_equal(tend_flush(&m->c), 0);
	client_hears(m, "three");
}

static void
a_closed_connection_is_an_error_of_both(void **state)
{
	struct meeting *m = *state;
	struct streams s = open_streams(m);

	fprintf(s.out, "good bye");
	tend_close(&m->c);
	client_hears(m, "good bye");
	client_hears_the_end(m);
	errno = 0;
	assert_int_equal(fgetc(s.in), EOF);
	assert_true(ferror(s.in));
	assert_int_equal(errno, ENOTCONN);
	errno = 0;
	assert_true(fprintf(s.out, "lost") < 0 || fflush(s.out) != 0);
	assert_int_equal(errno, ENOTCONN);
}

static void
an_abort_drops_what_the_streams_hold(void **state)
{
	struct meeting *m = *state;
	struct streams s = open_streams(m);

	fprintf(s.out, "unsent");
	tend_abort(&m->c);
	/* And does not send it to whoever has the descriptor then. */
	conn_release(&m->c);
	client_hears_the_end(m);
}

int
main(void)
{
	static const struct CMUnitTest tests[] = {
		EVERYWHERE(a_handler_may_speak_with_fgets_and_fprintf),
		EVERYWHERE(the_same_streams_are_given_each_time),
		EVERYWHERE(what_was_printed_leaves_before_an_answer_is_waited_for),
		EVERYWHERE(a_prompt_leaves_from_a_buffer_of_the_stream_too),
		EVERYWHERE(a_deadline_is_an_error_of_the_stream_and_errno_says_so),
		EVERYWHERE(a_stop_is_an_error_of_the_stream),
		EVERYWHERE(one_who_is_gone_is_an_error_of_the_stream),
		EVERYWHERE(much_goes_through_byte_by_byte),
		EVERYWHERE(output_of_streams_and_calls_leaves_in_the_order_of_writing),
		EVERYWHERE(what_a_stream_left_is_read_by_the_calls),
		OVER_UNIX(the_next_client_finds_streams_as_new),
		EVERYWHERE(a_closed_connection_is_an_error_of_both),
		OVER_UNIX(an_abort_drops_what_the_streams_hold),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
