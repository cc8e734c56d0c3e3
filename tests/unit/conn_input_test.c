/* Every way of reading, over every transport. */
#include "conn_fixture.h"

/* Takes what the client has sent so far into the connection's buffer, as a call that waits does. */
static void
take_in(struct tend_conn *c, size_t size)
{
	while (buf_length(&c->in) < size)
		assert_true(conn_fill(c, CONN_INPUT_CHUNK) > 0);
}

static void
open_again(void **state)
{
	struct meeting *m = *state;
	const struct tend_transport *real = m->real;

	assert_int_equal(part(state), 0);
	assert_int_equal(real == &transport_unix ? over_unix(state)
	    : real == &transport_tcp ? over_tcp(state) : over_awkward(state), 0);
}

static void
give_up_after(struct meeting *m, double seconds)
{
	tend_set_timeout(&m->c, seconds);
}

/* ---- read ---- */

static void
read_takes_what_is_there_and_no_more_than_asked(void **state)
{
	struct meeting *m = *state;
	char bytes[16];

	client_says(m, "hello world");
	assert_int_equal(tend_read(&m->c, bytes, 0), 0);
	assert_int_equal(tend_read(&m->c, bytes, 3), 3);
	assert_memory_equal(bytes, "hel", 3);
	handler_reads(&m->c, "lo world");
	client_finishes(m);
	handler_reads_the_end(&m->c);
	handler_reads_the_end(&m->c);
}

static void
small_reads_share_one_look_at_the_kernel(void **state)
{
	struct meeting *m = *state;
	char byte;
	int i;

	client_says(m, "0123456789");
	for (i = 0; i < 10; i++) {
		assert_int_equal(tend_read(&m->c, &byte, 1), 1);
		assert_int_equal(byte, '0' + i);
	}
	assert_int_equal(m->reads, 1);
}

static int
send_a_mebibyte(struct meeting *m)
{
	char piece[4096];
	int i;

	for (i = 0; i < 256; i++) {
		memset(piece, i, sizeof(piece));
		if (client_send(m, piece, sizeof(piece)) < 0)
			return 1;
	}
	return 0;
}

static void
much_data_arrives_whole(void **state)
{
	struct meeting *m = *state;
	pid_t pid = client_start(m, send_a_mebibyte);
	static unsigned char bytes[10000];
	size_t at = 0, size = 1;
	ssize_t n;

	/* Reads of every size, small and large. */
	while ((n = tend_read(&m->c, bytes, size)) > 0) {
		ssize_t i;

		assert_true((size_t)n <= size);
		for (i = 0; i < n; i++, at++)
			if (bytes[i] != at / 4096)
				fail_msg("byte %zu is %d", at, bytes[i]);
		size = size * 7 % 9973 + 1;
	}
	assert_int_equal(n, 0);
	assert_int_equal(at, 1024 * 1024);
	client_has_done_well(pid);
}

static void
a_reset_is_an_error_and_no_end(void **state)
{
	struct meeting *m = *state;
	char byte;

	client_slams_the_door(m);
	assert_int_equal(tend_read(&m->c, &byte, 1), -ECONNRESET);
}

/* NS-CIO-10 */
static void
one_who_hears_nothing_may_still_have_spoken(void **state)
{
	struct meeting *m = *state;

	client_says(m, "last words\n");
	assert_int_equal(shutdown(m->client, SHUT_RD), 0);
	assert_int_equal(tend_write(&m->c, "prompt", 6), 6);
	assert_int_equal(tend_flush(&m->c), -EPIPE);
	handler_gets_line(&m->c, "last words");
	client_finishes(m);
	handler_reads_the_end(&m->c);
}

/* ---- getline ---- */

struct stream {
	const char *bytes;
	const char *lines[8]; /* without what ended them */
};

static const struct stream streams[] = {
	{ "one\n", { "one" } },
	{ "one\r\n", { "one" } },
	{ "\n", { "" } },
	{ "\r\n", { "" } },
	{ "\n\r\n\n", { "", "", "" } },
	{ "one\ntwo\r\nthree\n", { "one", "two", "three" } },
	/* A last line without its newline is a line. */
	{ "one\ntail", { "one", "tail" } },
	{ "tail\r", { "tail\r" } },
	{ "x", { "x" } },
	/* Only what stands before the newline belongs to it, and only once. */
	{ "a\rb\r\r\nc\n", { "a\rb\r", "c" } },
	{ "\r\r\n", { "\r" } },
	{ "", { NULL } },
};

static void
lines_come_without_what_ended_them(void **state)
{
	struct meeting *m = *state;
	size_t i, j;

	for (i = 0; i < sizeof(streams) / sizeof(streams[0]); i++) {
		size_t length = strlen(streams[i].bytes);

		/* The last of them at the end of input, below. */
		if (length == 0 || streams[i].bytes[length - 1] != '\n')
			continue;
		client_says(m, streams[i].bytes);
		for (j = 0; streams[i].lines[j] != NULL; j++)
			handler_gets_line(&m->c, streams[i].lines[j]);
		assert_int_equal(tend_wait_readable(&m->c, 0), 0);
	}
}

/* The reader has seen the first part when the second arrives. */
static void
lines_may_arrive_in_two_pieces_cut_anywhere(void **state)
{
	struct meeting *m = *state;
	size_t i, j, cut;

	for (i = 0; i < sizeof(streams) / sizeof(streams[0]); i++) {
		const char *bytes = streams[i].bytes;
		size_t length = strlen(bytes);

		for (cut = 0; cut <= length; cut++) {
			char *line;

			assert_int_equal(client_send(m, bytes, cut), 0);
			take_in(&m->c, cut);
			assert_int_equal(client_send(m, bytes + cut, length - cut), 0);
			client_finishes(m);
			for (j = 0; streams[i].lines[j] != NULL; j++)
				handler_gets_line(&m->c, streams[i].lines[j]);
			assert_int_equal(tend_getline(&m->c, &line), 0);
			assert_int_equal(tend_getline(&m->c, &line), 0);
			open_again(state);
		}
	}
}

static void
binary_zeros_are_kept_and_the_length_tells(void **state)
{
	struct meeting *m = *state;
	char *line;

	assert_int_equal(client_send(m, "a\0b\n\0\n\0\r\ntail\0", 14), 0);
	client_finishes(m);
	assert_int_equal(tend_getline(&m->c, &line), 4);
	assert_memory_equal(line, "a\0b", 4);
	assert_int_equal(tend_getline(&m->c, &line), 2);
	assert_memory_equal(line, "\0", 2);
	assert_int_equal(tend_getline(&m->c, &line), 2);
	assert_memory_equal(line, "\0", 2);
	assert_int_equal(tend_getline(&m->c, &line), 6);
	assert_memory_equal(line, "tail\0", 6);
	assert_int_equal(tend_getline(&m->c, &line), 0);
}

static void
send_line(struct meeting *m, size_t length, const char *end)
{
	char text[64];

	memset(text, 'x', sizeof(text));
	assert_true(length < sizeof(text));
	assert_int_equal(client_send(m, text, length), 0);
	client_says(m, end);
}

static void
a_line_may_be_as_long_as_the_limit(void **state)
{
	static const char *const ends[] = { "\n", "\r\n" };
	struct meeting *m = *state;
	size_t i, length;
	char *line;

	m->limits.max_line = 16;
	for (i = 0; i < 2; i++)
		for (length = 0; length <= 16; length++) {
			send_line(m, length, ends[i]);
			assert_int_equal(tend_getline(&m->c, &line), length + 1);
			assert_int_equal(strlen(line), length);
		}
	send_line(m, 16, "");
	client_finishes(m);
	assert_int_equal(tend_getline(&m->c, &line), 17);
	assert_int_equal(tend_getline(&m->c, &line), 0);
}

static void
a_longer_line_is_refused_until_its_bytes_are_taken(void **state)
{
	static const char *const ends[] = { "\n", "\r\n" };
	struct meeting *m = *state;
	char bytes[64], *line;
	size_t i, length;

	m->limits.max_line = 16;
	for (i = 0; i < 2; i++)
		for (length = 17; length <= 40; length++) {
			size_t left = length + strlen(ends[i]);

			send_line(m, length, ends[i]);
			client_says(m, "next\n");
			assert_int_equal(tend_getline(&m->c, &line), -EMSGSIZE);
			assert_int_equal(tend_getline(&m->c, &line), -EMSGSIZE);
			while (left > 0) {
				ssize_t n = tend_read(&m->c, bytes, left);

				assert_true(n > 0);
				left -= (size_t)n;
			}
			handler_gets_line(&m->c, "next");
		}
}

/* It is not waited for, and not gathered without end. */
static void
a_line_without_end_is_refused_as_soon_as_it_is_too_long(void **state)
{
	struct meeting *m = *state;
	char *line;

	m->limits.max_line = 16;
	send_line(m, 40, "");
	assert_int_equal(tend_getline(&m->c, &line), -EMSGSIZE);
	assert_int_equal(tend_getline(&m->c, &line), -EMSGSIZE);
}

static void
a_last_line_that_is_too_long_is_refused_too(void **state)
{
	struct meeting *m = *state;
	char *line;

	m->limits.max_line = 16;
	send_line(m, 17, "");
	client_finishes(m);
	assert_int_equal(tend_getline(&m->c, &line), -EMSGSIZE);
	assert_int_equal(tend_getline(&m->c, &line), -EMSGSIZE);
}

/* ---- read_until ---- */

struct search {
	const char     *bytes, *terminator;
	size_t          limit;
	const char     *found; /* what is returned, what remains is read next */
	enum tend_until why;
};

/* NS-CIO-08, -09 */
static const struct search searches[] = {
	{ "head\n\nbody", "\n\n", 0, "head\n\n", TEND_UNTIL_TERMINATOR },
	{ "head\r\n\r\nbody", "\r\n\r\n", 0, "head\r\n\r\n", TEND_UNTIL_TERMINATOR },
	/* Beginnings of the terminator that come to nothing. */
	{ "a\r\n\r\r\n\r\r\n\r\nb", "\r\n\r\n", 0, "a\r\n\r\r\n\r\r\n\r\n", TEND_UNTIL_TERMINATOR },
	{ "aaaab", "aab", 0, "aaaab", TEND_UNTIL_TERMINATOR },
	{ "xyz", "x", 0, "x", TEND_UNTIL_TERMINATOR },
	{ "\n", "\n", 0, "\n", TEND_UNTIL_TERMINATOR },
	/* Both limits: whichever is first. */
	{ "abcd;rest", ";", 5, "abcd;", TEND_UNTIL_TERMINATOR },
	{ "abcd;rest", ";", 4, "abcd", TEND_UNTIL_LIMIT },
	{ "abc==rest", "==", 4, "abc=", TEND_UNTIL_LIMIT },
	{ "abc==rest", "==", 5, "abc==", TEND_UNTIL_TERMINATOR },
	{ "abcdefgh", "long terminator", 3, "abc", TEND_UNTIL_LIMIT },
	/* A number of bytes. */
	{ "abcdefgh", NULL, 5, "abcde", TEND_UNTIL_LIMIT },
	{ "abcdefgh", "", 8, "abcdefgh", TEND_UNTIL_LIMIT },
	{ "a", NULL, 1, "a", TEND_UNTIL_LIMIT },
	/* The end comes first. */
	{ "abc", ";", 0, "abc", TEND_UNTIL_END },
	{ "abc", NULL, 5, "abc", TEND_UNTIL_END },
	{ "abc=", "==", 9, "abc=", TEND_UNTIL_END },
	{ "", ";", 0, "", TEND_UNTIL_END },
	{ "", NULL, 1, "", TEND_UNTIL_END },
};

static void
search_once(struct meeting *m, const struct search *s, size_t cut)
{
	size_t length = strlen(s->bytes), found = strlen(s->found);
	enum tend_until why = TEND_UNTIL_ERROR;
	char *data = NULL;

	assert_int_equal(client_send(m, s->bytes, cut), 0);
	take_in(&m->c, cut);
	assert_int_equal(client_send(m, s->bytes + cut, length - cut), 0);
	client_finishes(m);
	assert_int_equal(tend_read_until(&m->c, s->terminator, s->limit, &data, &why), found);
	assert_int_equal(why, s->why);
	/* NUL-terminated, although the next byte of the stream stood there... */
	assert_string_equal(data, s->found);
	/* ...and stands there again. */
	handler_reads(&m->c, s->bytes + found);
	assert_int_equal(tend_read_until(&m->c, s->terminator, s->limit, &data, &why), 0);
	assert_int_equal(why, TEND_UNTIL_END);
	assert_string_equal(data, "");
}

static void
read_until_says_why_it_stopped_however_the_data_come(void **state)
{
	size_t i, cut;

	for (i = 0; i < sizeof(searches) / sizeof(searches[0]); i++)
		for (cut = 0; cut <= strlen(searches[i].bytes); cut++) {
			search_once(*state, &searches[i], cut);
			open_again(state);
		}
}

static void
read_until_needs_a_limit_of_one_kind(void **state)
{
	struct meeting *m = *state;
	enum tend_until why = TEND_UNTIL_END;
	char *data;

	client_says(m, "abcdef;");
	assert_int_equal(tend_read_until(&m->c, NULL, 0, &data, &why), -EINVAL);
	assert_int_equal(why, TEND_UNTIL_ERROR);
	assert_int_equal(tend_read_until(&m->c, "", 0, &data, NULL), -EINVAL);
	/* Without a number it is max_line. */
	m->limits.max_line = 4;
	assert_int_equal(tend_read_until(&m->c, ";", 0, &data, &why), 4);
	assert_int_equal(why, TEND_UNTIL_LIMIT);
	assert_string_equal(data, "abcd");
	assert_int_equal(tend_read_until(&m->c, ";", 0, &data, NULL), 3);
	assert_string_equal(data, "ef;");
}

/* NS-CIO-09, NS-FIX-16: one call, no spinning, and a reason of its own. */
static void
read_until_tells_an_error_from_an_end(void **state)
{
	struct meeting *m = *state;
	enum tend_until why = TEND_UNTIL_END;
	char *data;

	client_says(m, "half");
	give_up_after(m, 0.02);
	assert_int_equal(tend_read_until(&m->c, ";", 0, &data, &why), -ETIMEDOUT);
	assert_int_equal(why, TEND_UNTIL_ERROR);
	/* What came is not lost. */
	handler_reads(&m->c, "half");
}

static void
a_long_body_is_read_to_its_last_byte(void **state)
{
	struct meeting *m = *state;
	pid_t pid = client_start(m, send_a_mebibyte);
	size_t size = m->real == &transport_awkward ? 65536 : 1024 * 1024, i;
	char *data;

	assert_int_equal(tend_read_until(&m->c, NULL, size, &data, NULL), size);
	for (i = 0; i < size; i++)
		if ((unsigned char)data[i] != i / 4096)
			fail_msg("byte %zu", i);
	assert_int_equal(data[size], '\0');
	while (tend_read(&m->c, data, 1) > 0)
		;
	client_has_done_well(pid);
}

/* ---- taking ---- */

static void
handler_takes(struct tend_conn *c, size_t most, const char *expected)
{
	char *data = NULL;

	assert_int_equal(tend_take(c, &data, most), strlen(expected));
	assert_string_equal(data, expected);
}

static void
take_lends_what_is_there_and_no_more_than_asked(void **state)
{
	struct meeting *m = *state;
	char *data = NULL;

	client_says(m, "hello world");
	take_in(&m->c, 11);
	handler_takes(&m->c, 3, "hel");
	handler_takes(&m->c, 0, "lo world");
	client_says(m, "again");
	handler_takes(&m->c, 5, "again");
	client_finishes(m);
	assert_int_equal(tend_take(&m->c, &data, 0), 0);
	assert_int_equal(tend_take(&m->c, &data, 0), 0);
	assert_null(data);
}

static void
taking_mixes_with_the_other_calls(void **state)
{
	struct meeting *m = *state;

	client_says(m, "line\nrest");
	take_in(&m->c, 9);
	handler_gets_line(&m->c, "line");
	handler_takes(&m->c, 2, "re");
	assert_int_equal(tend_unread(&m->c, "<", 1), 0);
	handler_takes(&m->c, 2, "<s");
	handler_reads(&m->c, "t");
}

static void
take_passes_much_data_on_whole(void **state)
{
	struct meeting *m = *state;
	pid_t pid = client_start(m, send_a_mebibyte);
	size_t at = 0, most = 0;
	char *data;
	ssize_t n;

	while ((n = tend_take(&m->c, &data, most)) > 0) {
		ssize_t i;

		assert_true((size_t)n <= (most > 0 && most < 65536 ? most : 65536));
		for (i = 0; i < n; i++, at++)
			if ((unsigned char)data[i] != at / 4096)
				fail_msg("byte %zu", at);
		assert_int_equal(data[n], '\0');
		most = most * 7 % 99991 + 1000;
	}
	assert_int_equal(n, 0);
	assert_int_equal(at, 1024 * 1024);
	client_has_done_well(pid);
}

/* Who sends little costs little memory, and who sends much few reads. */
static void
take_asks_for_twice_as_much_when_the_buffer_was_filled(void **state)
{
	static char bytes[70000];
	struct meeting *m = *state;
	size_t expected = 4096, left = sizeof(bytes);
	char *data;

	assert_int_equal(client_send(m, bytes, sizeof(bytes)), 0);
	while (left > 0) {
		assert_int_equal(tend_take(&m->c, &data, 0), expected < left ? expected : left);
		left -= expected < left ? expected : left;
		expected *= 2;
	}
	assert_int_equal(m->reads, 5);
}

static void
take_tells_what_a_read_would(void **state)
{
	struct meeting *m = *state;
	char *data = NULL;

	give_up_after(m, 0.02);
	assert_int_equal(tend_take(&m->c, &data, 0), -ETIMEDOUT);
	client_slams_the_door(m);
	assert_int_equal(tend_take(&m->c, &data, 0), -ECONNRESET);
	tend_close(&m->c);
	assert_int_equal(tend_take(&m->c, &data, 0), -ENOTCONN);
	assert_null(data);
}

/* ---- loans ---- */

/* Whatever call follows, the byte under the final NUL is put back first. */
static void
every_call_takes_back_what_was_lent(void **state)
{
	struct meeting *m = *state;
	char bytes[8], *data;

	client_says(m, "abcdefgh\nij");
	take_in(&m->c, 11);
	assert_int_equal(tend_read_until(&m->c, NULL, 1, &data, NULL), 1);
	assert_string_equal(data, "a");
	assert_int_equal(tend_read(&m->c, bytes, 1), 1);
	assert_int_equal(bytes[0], 'b');
	assert_int_equal(tend_read_until(&m->c, NULL, 1, &data, NULL), 1);
	assert_int_equal(tend_unread(&m->c, "C", 1), 0);
	assert_int_equal(tend_read_until(&m->c, NULL, 2, &data, NULL), 2);
	assert_string_equal(data, "Cd");
	assert_int_equal(tend_wait_readable(&m->c, 0), 1);
	assert_int_equal(tend_read_until(&m->c, "f", 0, &data, NULL), 2);
	assert_string_equal(data, "ef");
	assert_int_equal(tend_take(&m->c, &data, 1), 1);
	assert_string_equal(data, "g");
	handler_gets_line(&m->c, "h");
	assert_int_equal(tend_read(&m->c, bytes, 2), 2);
	assert_memory_equal(bytes, "ij", 2);
}

/* A loan of all there is, so that nothing is hidden under the NUL; then more arrives. */
static void
a_loan_of_everything_does_not_disturb_what_comes_next(void **state)
{
	struct meeting *m = *state;
	char *data;

	client_says(m, "all");
	assert_int_equal(tend_read_until(&m->c, NULL, 3, &data, NULL), 3);
	assert_string_equal(data, "all");
	client_says(m, "more\n");
	assert_string_equal(data, "all");
	handler_gets_line(&m->c, "more");
}

static void
a_lent_line_survives_what_does_not_read(void **state)
{
	struct meeting *m = *state;
	char *line;

	client_says(m, "name\nrest");
	assert_int_equal(tend_getline(&m->c, &line), 5);
	assert_true(tend_printf(&m->c, "hello %s\n", line) > 0);
	assert_int_equal(tend_flush(&m->c), 0);
	client_hears(m, "hello name\n");
	tend_peer(&m->c);
	tend_set_timeout(&m->c, 5);
	assert_string_equal(line, "name");
	handler_reads(&m->c, "rest");
}

/* ---- unread ---- */

static void
what_is_put_back_is_read_first(void **state)
{
	struct meeting *m = *state;

	client_says(m, "three\n");
	assert_int_equal(tend_unread(&m->c, "two ", 4), 0);
	assert_int_equal(tend_unread(&m->c, "one ", 4), 0);
	assert_int_equal(tend_unread(&m->c, NULL, 0), 0);
	handler_gets_line(&m->c, "one two three");
	client_finishes(m);
	handler_reads_the_end(&m->c);
	/* After the end too. */
	assert_int_equal(tend_unread(&m->c, "again", 5), 0);
	assert_int_equal(tend_wait_readable(&m->c, 0), 1);
	handler_reads(&m->c, "again");
	handler_reads_the_end(&m->c);
}

static void
much_can_be_put_back(void **state)
{
	struct meeting *m = *state;
	static char large[100000];
	size_t have = 0;
	ssize_t n;

	memset(large, 'L', sizeof(large));
	client_says(m, "end");
	client_finishes(m);
	handler_reads(&m->c, "e");
	assert_int_equal(tend_unread(&m->c, large, sizeof(large)), 0);
	memset(large, 0, sizeof(large));
	while ((n = tend_read(&m->c, large, sizeof(large))) > 0 && have + (size_t)n <= 100000)
		have += (size_t)n;
	assert_int_equal(have, 100000);
	assert_memory_equal(large, "nd", n > 1 ? 2 : 1);
}

/* ---- waiting ---- */

/* NS-CIO-11 */
static void
a_silent_client_is_not_waited_for_longer_than_the_first_byte_may_take(void **state)
{
	struct meeting *m = *state;
	int64_t begun = clock_now();
	char *line;

	m->limits.first_byte = 50 * CLOCK_MILLISECOND;
	assert_int_equal(tend_getline(&m->c, &line), -ETIMEDOUT);
	assert_lasted(begun, 0.05);
}

static void
after_the_first_byte_only_the_idle_time_counts(void **state)
{
	struct meeting *m = *state;
	int64_t begun;
	char *line;

	m->limits.first_byte = 1;
	client_says(m, "x");
	take_in(&m->c, 1);
	give_up_after(m, 0.1);
	begun = clock_now();
	assert_int_equal(tend_getline(&m->c, &line), -ETIMEDOUT);
	assert_lasted(begun, 0.1);
	/* And it can be tried again. */
	client_says(m, "\n");
	handler_gets_line(&m->c, "x");
}

static void
the_idle_time_of_the_option_comes_back(void **state)
{
	struct meeting *m = *state;
	char byte;
	int64_t begun;

	m->limits.idle = 30 * CLOCK_MILLISECOND;
	give_up_after(m, 15);
	give_up_after(m, 0);
	begun = clock_now();
	assert_int_equal(tend_read(&m->c, &byte, 1), -ETIMEDOUT);
	assert_lasted(begun, 0.03);
}

static int
speak_a_little_later(struct meeting *m)
{
	usleep(100000);
	return client_send(m, "late\n", 5) != 0;
}

static void
without_a_limit_it_waits_as_long_as_it_takes(void **state)
{
	struct meeting *m = *state;
	pid_t pid;

	m->limits.idle = 1;
	give_up_after(m, TEND_NONE);
	pid = client_start(m, speak_a_little_later);
	handler_gets_line(&m->c, "late");
	client_has_done_well(pid);
}

static void
the_deadline_of_the_connection_ends_every_wait(void **state)
{
	struct meeting *m = *state;
	int64_t begun = clock_now();
	char byte, *line;

	tend_set_deadline(&m->c, 0.05);
	assert_int_equal(tend_getline(&m->c, &line), -ETIMEDOUT);
	assert_lasted(begun, 0.05);
	/* Told once; who does not listen sees the end of input and does not spin. */
	assert_int_equal(tend_read(&m->c, &byte, 1), 0);
	assert_int_equal(tend_getline(&m->c, &line), 0);
	/* "Nothing within five seconds" would be a lie, and a loop around it would spin. */
	assert_int_equal(tend_wait_readable(&m->c, 5), -ETIMEDOUT);
	/* What was received in time can be read. */
	tend_set_deadline(&m->c, TEND_NONE);
	client_says(m, "in time");
	take_in(&m->c, 7);
	tend_set_deadline(&m->c, 0);
	handler_reads(&m->c, "in time");
	assert_int_equal(tend_read(&m->c, &byte, 1), -ETIMEDOUT);
	tend_set_deadline(&m->c, TEND_NONE);
	client_says(m, "!");
	handler_reads(&m->c, "!");
}

static int
flood(struct meeting *m)
{
	static char piece[4096];

	while (client_send(m, piece, sizeof(piece)) == 0)
		;
	return 0;
}

/* The client never lets the handler wait, so no wait can end it. */
static void
a_client_that_never_pauses_does_not_outlive_the_deadline(void **state)
{
	struct meeting *m = *state;
	int64_t begun = clock_now();
	static char bytes[65536];
	pid_t pid = client_start(m, flood);
	ssize_t n;

	tend_set_deadline(&m->c, 0.1);
	while ((n = tend_read(&m->c, bytes, sizeof(bytes))) > 0 && since(begun) < PATIENCE)
		;
	assert_int_equal(n, -ETIMEDOUT);
	assert_lasted(begun, 0.1);
	tend_abort(&m->c);
	client_has_done_well(pid);
}

static void
a_server_that_stops_ends_the_wait_for_input(void **state)
{
	struct meeting *m = *state;
	char byte, *line;

	tend_printf(&m->c, "prompt> ");
	signal_arrives(m, true);
	assert_int_equal(tend_getline(&m->c, &line), -ECANCELED);
	/* What was written has left all the same. */
	client_hears(m, "prompt> ");
	assert_int_equal(tend_read(&m->c, &byte, 1), 0);
	assert_int_equal(tend_wait_readable(&m->c, 5), -ECANCELED);
	/* What is there can be read, and a last word said. */
	client_says(m, "bye\n");
	handler_gets_line(&m->c, "bye");
	tend_printf(&m->c, "good bye\n");
	assert_int_equal(tend_flush(&m->c), 0);
	client_hears(m, "good bye\n");
}

static void
another_signal_does_not_end_the_wait(void **state)
{
	struct meeting *m = *state;
	pid_t pid;

	signal_arrives(m, false);
	pid = client_start(m, speak_a_little_later);
	handler_gets_line(&m->c, "late");
	client_has_done_well(pid);
}

static void
wait_readable_tells_input_from_none(void **state)
{
	struct meeting *m = *state;
	int64_t begun = clock_now();

	tend_write(&m->c, "prompt", 6);
	assert_int_equal(tend_wait_readable(&m->c, 0.05), 0);
	assert_lasted(begun, 0.05);
	client_hears(m, "prompt");
	assert_int_equal(tend_wait_readable(&m->c, 0), 0);
	client_says(m, "ab");
	assert_int_equal(tend_wait_readable(&m->c, 10), 1);
	handler_reads(&m->c, "a");
	/* In a buffer of ours, where poll() does not see it. */
	assert_int_equal(tend_wait_readable(&m->c, TEND_NONE), 1);
	handler_reads(&m->c, "b");
	assert_int_equal(tend_wait_readable(&m->c, 0), 0);
	client_finishes(m);
	assert_int_equal(tend_wait_readable(&m->c, 10), 1);
	handler_reads_the_end(&m->c);
	assert_int_equal(tend_wait_readable(&m->c, TEND_NONE), 1);
}

/* ---- after the close ---- */

static void
nothing_is_read_from_a_closed_connection(void **state)
{
	struct meeting *m = *state;
	enum tend_until why = TEND_UNTIL_END;
	char bytes[8], *line = NULL;

	client_says(m, "one\ntwo\n");
	client_finishes(m);
	handler_gets_line(&m->c, "one");
	tend_close(&m->c);
	/* Although a line lies in the buffer. */
	assert_int_equal(tend_read(&m->c, bytes, sizeof(bytes)), -ENOTCONN);
	assert_int_equal(tend_getline(&m->c, &line), -ENOTCONN);
	assert_int_equal(tend_read_until(&m->c, "\n", 0, &line, &why), -ENOTCONN);
	assert_int_equal(why, TEND_UNTIL_ERROR);
	assert_int_equal(tend_unread(&m->c, "x", 1), -ENOTCONN);
	assert_int_equal(tend_wait_readable(&m->c, 0), -ENOTCONN);
	assert_null(line);
}

int
main(void)
{
	static const struct CMUnitTest tests[] = {
		EVERYWHERE(read_takes_what_is_there_and_no_more_than_asked),
		OVER_UNIX(small_reads_share_one_look_at_the_kernel),
		EVERYWHERE(much_data_arrives_whole),
		OVER_TCP(a_reset_is_an_error_and_no_end),
		OVER_AWKWARD(a_reset_is_an_error_and_no_end),
		OVER_UNIX(one_who_hears_nothing_may_still_have_spoken),
		EVERYWHERE(lines_come_without_what_ended_them),
		EVERYWHERE(lines_may_arrive_in_two_pieces_cut_anywhere),
		EVERYWHERE(binary_zeros_are_kept_and_the_length_tells),
		EVERYWHERE(a_line_may_be_as_long_as_the_limit),
		EVERYWHERE(a_longer_line_is_refused_until_its_bytes_are_taken),
		EVERYWHERE(a_line_without_end_is_refused_as_soon_as_it_is_too_long),
		EVERYWHERE(a_last_line_that_is_too_long_is_refused_too),
		EVERYWHERE(read_until_says_why_it_stopped_however_the_data_come),
		EVERYWHERE(read_until_needs_a_limit_of_one_kind),
		EVERYWHERE(read_until_tells_an_error_from_an_end),
		EVERYWHERE(a_long_body_is_read_to_its_last_byte),
		EVERYWHERE(take_lends_what_is_there_and_no_more_than_asked),
		EVERYWHERE(taking_mixes_with_the_other_calls),
		EVERYWHERE(take_passes_much_data_on_whole),
		OVER_UNIX(take_asks_for_twice_as_much_when_the_buffer_was_filled),
		OVER_TCP(take_tells_what_a_read_would),
		EVERYWHERE(every_call_takes_back_what_was_lent),
		EVERYWHERE(a_loan_of_everything_does_not_disturb_what_comes_next),
		EVERYWHERE(a_lent_line_survives_what_does_not_read),
		EVERYWHERE(what_is_put_back_is_read_first),
		EVERYWHERE(much_can_be_put_back),
		EVERYWHERE(a_silent_client_is_not_waited_for_longer_than_the_first_byte_may_take),
		EVERYWHERE(after_the_first_byte_only_the_idle_time_counts),
		EVERYWHERE(the_idle_time_of_the_option_comes_back),
		EVERYWHERE(without_a_limit_it_waits_as_long_as_it_takes),
		EVERYWHERE(the_deadline_of_the_connection_ends_every_wait),
		EVERYWHERE(a_client_that_never_pauses_does_not_outlive_the_deadline),
		EVERYWHERE(a_server_that_stops_ends_the_wait_for_input),
		EVERYWHERE(another_signal_does_not_end_the_wait),
		EVERYWHERE(wait_readable_tells_input_from_none),
		EVERYWHERE(nothing_is_read_from_a_closed_connection),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
