/* Pieces that are not copied, and markers between the bytes of the output: order, once, and the end. */
#include "evented_fixture.h"

static char said[4096];
static unsigned released;

static void
say(struct tend_conn *c, void *arg, int status)
{
	(void)c;
	snprintf(said + strlen(said), sizeof(said) - strlen(said), "%s%s ", (char *)arg,
	    status == 0 ? "" : "!");
}

static void
count_release(void *arg)
{
	(void)arg;
	released++;
}

static int
clear(void **state)
{
	said[0] = '\0';
	released = 0;
	return set_stage(state);
}

static void
mark(const char *name)
{
	assert_int_equal(tend_conn_after_write(scene.c, say, (void *)(uintptr_t)name), 0);
}

/* DS-78 */
static void
marker_without_output_runs_at_once(void **state)
{
	(void)state;
	mark("now");
	assert_string_equal(said, "now ");
}

/* DS-78, DS-79, DS-T24: in order, each when what was before it has left, and no sooner. */
static void
markers_and_pieces_keep_their_order(void **state)
{
	struct meeting *m = *state;
	static char heard[300000], piece[100000];
	size_t i, n = m->real == &transport_awkward ? 100 : sizeof(piece);

	memset(piece, 'p', sizeof(piece));
	assert_int_equal(tend_write(scene.c, "a", 1), 1);
	mark("1");
	assert_int_equal(tend_conn_give(scene.c, piece, n, count_release, NULL), 0);
	mark("2");
	mark("3");
	assert_int_equal(tend_write(scene.c, "b", 1), 1);
	assert_int_equal(tend_conn_give(scene.c, piece, n, count_release, NULL), 0);
	assert_int_equal(tend_printf(scene.c, "c"), 1);
	mark("4");
	assert_string_equal(said, "");
	assert_int_equal(tend_conn_queued(scene.c), 3 + 2 * n);
	assert_int_equal(client_collects(m, heard, 3 + 2 * n), 3 + 2 * n);
	TURN_UNTIL(tend_conn_queued(scene.c) == 0);
	assert_string_equal(said, "1 2 3 4 ");
	assert_int_equal(released, 2);
	assert_int_equal(heard[0], 'a');
	for (i = 0; i < n; i++)
		assert_int_equal(heard[1 + i], 'p');
	assert_int_equal(heard[1 + n], 'b');
	assert_int_equal(heard[2 + 2 * n], 'c');
}

static size_t left_before[400]; /* bytes that stood before each marker */
static size_t written;
static unsigned reached;

static void
check_place(struct tend_conn *c, void *arg, int status)
{
	size_t i = (uintptr_t)arg;

	assert_int_equal(status, 0);
	assert_int_equal(i, reached);
	reached++;
	/* All before it is with the kernel. */
	assert_true(written - tend_conn_queued(c) >= left_before[i]);
}

/* DS-T24, DS-82 */
static void
any_mixture_arrives_as_it_was_written(void **state)
{
	struct meeting *m = *state;
	static char stream[400000], heard[400000];
	size_t most = m->real == &transport_awkward ? 4000 : sizeof(stream) - 20000, i, marks = 0;

	for (i = 0; i < sizeof(stream); i++)
		stream[i] = (char)below(256);
	written = reached = 0;
	while (written < most) {
		size_t n = below(m->real == &transport_awkward ? 60 : below(10) == 0 ? 18000 : 300);

		switch (below(4)) {
		case 0:
			written += n;
			assert_int_equal(tend_conn_give(scene.c, stream + written - n, n, count_release, NULL), 0);
			break;
		case 1:
			if (marks == 400)
				break;
			/* It may run at once. */
			left_before[marks] = written;
			assert_int_equal(tend_conn_after_write(scene.c, check_place, (void *)marks), 0);
			marks++;
			break;
		default:
			written += n; /* first: markers run inside of it */
			assert_int_equal(tend_write(scene.c, stream + written - n, n), n);
		}
		if (below(30) == 0)
			turn();
		if (tend_conn_queued(scene.c) > 300000)
			break;
	}
	assert_int_equal(client_collects(m, heard, written), written);
	assert_memory_equal(heard, stream, written);
	TURN_UNTIL(reached == marks);
}

static void
write_from_marker(struct tend_conn *c, void *arg, int status)
{
	say(c, arg, status);
	assert_int_equal(tend_printf(c, "%s;", (char *)arg), 2);
}

/* DS-79: goes behind everything that is queued. */
static void
output_of_a_marker_goes_to_the_end(void **state)
{
	struct meeting *m = *state;
	char heard[8];

	tend_write(scene.c, "a;", 2);
	assert_int_equal(tend_conn_after_write(scene.c, write_from_marker, (void *)(uintptr_t)"1"), 0);
	tend_conn_give(scene.c, "b;", 2, NULL, NULL);
	tend_write(scene.c, "c;", 2);
	assert_int_equal(client_collects(m, heard, 8), 8);
	assert_memory_equal(heard, "a;b;c;1;", 8);
}

static unsigned depth, deepest, chained;

static void
chain(struct tend_conn *c, void *arg, int status)
{
	(void)status;
	if (++depth > deepest)
		deepest = depth;
	if (++chained < 100)
		assert_int_equal(tend_conn_after_write(c, chain, arg), 0);
	depth--;
}

/* DS-79: a hundred, one from another, do not nest. */
static void
markers_that_add_markers_do_not_nest(void **state)
{
	(void)state;
	depth = deepest = chained = 0;
	assert_int_equal(tend_conn_after_write(scene.c, chain, NULL), 0);
	TURN_UNTIL(chained == 100);
	assert_int_equal(deepest, 1);
}

static unsigned rounds;

static void
add_again(struct tend_conn *c, void *arg, int status)
{
	if (status == 0 && ++rounds < 1000)
		assert_int_equal(tend_conn_after_write(c, add_again, arg), 0);
}

/* DS-79: one round a turn of the loop; output behind it leaves all the same. */
static void
marker_that_adds_itself_holds_up_nobody(void **state)
{
	struct meeting *m = *state;
	unsigned i;
	char heard[3];

	rounds = 0;
	assert_int_equal(tend_conn_after_write(scene.c, add_again, NULL), 0);
	for (i = 1; i < 10; i++) {
		assert_int_equal(rounds, i);
		turn();
	}
	tend_write(scene.c, "yes", 3);
	assert_int_equal(client_collects(m, heard, 3), 3);
	assert_in_range(rounds, 10, 999);
	tend_abort(scene.c);
	turn();
	assert_int_equal(scene.closed, 1);
}

static void
close_from_marker(struct tend_conn *c, void *arg, int status)
{
	say(c, arg, status);
	tend_printf(c, "bye");
	tend_close(c);
}

/* DS-80, DS-97 */
static void
marker_may_close_and_its_last_words_leave(void **state)
{
	struct meeting *m = *state;
	char heard[6];

	tend_write(scene.c, "hi ", 3);
	assert_int_equal(tend_conn_after_write(scene.c, close_from_marker, (void *)(uintptr_t)"1"), 0);
	assert_int_equal(client_collects(m, heard, 6), 6);
	assert_memory_equal(heard, "hi bye", 6);
	client_leaves(m);
	TURN_UNTIL(scene.closed == 1);
	assert_int_equal(scene.reason, 0);
}

static void
marker_that_runs_at_once_may_close(void **state)
{
	struct meeting *m = *state;
	char heard[3];

	assert_int_equal(tend_conn_after_write(scene.c, close_from_marker, (void *)(uintptr_t)"1"), 0);
	assert_int_equal(client_collects(m, heard, 3), 3);
	client_leaves(m);
	TURN_UNTIL(scene.closed == 1);
}

static void
flush_from_marker(struct tend_conn *c, void *arg, int status)
{
	say(c, arg, status);
	tend_printf(c, "x");
	tend_flush(c);
	tend_flush(c);
}

static void
marker_may_flush(void **state)
{
	struct meeting *m = *state;
	char heard[3];

	assert_int_equal(tend_conn_after_write(scene.c, flush_from_marker, (void *)(uintptr_t)"1"), 0);
	tend_write(scene.c, "y", 1);
	assert_int_equal(tend_conn_after_write(scene.c, flush_from_marker, (void *)(uintptr_t)"2"), 0);
	assert_int_equal(client_collects(m, heard, 3), 3);
	assert_string_equal(said, "1 2 ");
}

static void
abort_from_marker(struct tend_conn *c, void *arg, int status)
{
	say(c, arg, status);
	tend_abort(c);
}

/* DS-80: those behind it are told that it will not be. */
static void
marker_may_abort_and_the_others_are_told(void **state)
{
	(void)state;
	tend_write(scene.c, "hi", 2);
	assert_int_equal(tend_conn_after_write(scene.c, abort_from_marker, (void *)(uintptr_t)"1"), 0);
	tend_conn_give(scene.c, "x", 1, count_release, NULL);
	mark("2");
	assert_int_equal(tend_conn_after_write(scene.c, abort_from_marker, (void *)(uintptr_t)"3"), 0);
	TURN_UNTIL(scene.closed == 1);
	assert_string_equal(said, "1 2! 3! ");
	assert_int_equal(released, 1);
}

/* DS-80, DS-91 */
static void
abort_releases_and_tells_all(void **state)
{
	(void)state;
	fill_the_kernel(scene.c);
	mark("1");
	tend_conn_give(scene.c, "x", 1, count_release, NULL);
	assert_int_equal(tend_conn_after_write(scene.c, abort_from_marker, (void *)(uintptr_t)"2"), 0);
	mark("3");
	tend_abort(scene.c);
	assert_string_equal(said, "1! 2! 3! ");
	assert_int_equal(released, 1);
	TURN_UNTIL(scene.closed == 1);
}

static void
discard_from_marker(struct tend_conn *c, void *arg, int status)
{
	say(c, arg, status);
	tend_conn_discard(c);
	tend_write(c, "new", 3);
}

/* MX-41, also from inside of it. */
static void
discard_tells_markers_and_keeps_what_follows(void **state)
{
	struct meeting *m = *state;
	char heard[5];

	tend_write(scene.c, "ok", 2);
	assert_int_equal(tend_conn_after_write(scene.c, discard_from_marker, (void *)(uintptr_t)"1"), 0);
	tend_write(scene.c, "dropped", 7);
	tend_conn_give(scene.c, "dropped", 7, count_release, NULL);
	mark("2");
	tend_write(scene.c, "dropped", 7);
	/* Some of it may leave with the same call as what stands before: then there is nothing to drop. */
	if (m->real == &transport_awkward) {
		assert_int_equal(client_collects(m, heard, 2), 2);
		TURN_UNTIL(strlen(said) > 2);
		assert_string_equal(said, "1 2! ");
	} else {
		tend_conn_discard(scene.c);
		assert_string_equal(said, "1! 2! ");
	}
	assert_int_equal(released, 1);
	TURN_UNTIL(tend_conn_queued(scene.c) == 0);
}

static void
give_to_the_closed_gives_back(void **state)
{
	(void)state;
	tend_close(scene.c);
	assert_int_equal(tend_conn_give(scene.c, "x", 1, count_release, NULL), -ENOTCONN);
	assert_int_equal(released, 1);
	assert_int_equal(tend_conn_after_write(scene.c, say, (void *)(uintptr_t)"1"), -ENOTCONN);
	assert_string_equal(said, "");
	turn();
}

/* DS-77: the client is gone. */
static void
failure_releases_and_tells_all(void **state)
{
	struct meeting *m = *state;

	fill_the_kernel(scene.c);
	tend_conn_give(scene.c, "x", 1, count_release, NULL);
	mark("1");
	client_leaves(m);
	TURN_UNTIL(scene.closed == 1);
	assert_string_equal(said, "1! ");
	assert_int_equal(released, 1);
}

/* ---- in the blocking mood ---- */

static void
blocking_handler_uses_them_too(void **state)
{
	struct meeting *m = *state;

	released = 0;
	said[0] = '\0';
	assert_int_equal(tend_write(&m->c, "a", 1), 1);
	assert_int_equal(tend_conn_after_write(&m->c, say, (void *)(uintptr_t)"1"), 0);
	assert_int_equal(tend_conn_give(&m->c, "b", 1, count_release, NULL), 0);
	assert_int_equal(tend_flush(&m->c), 0);
	assert_string_equal(said, "1 ");
	assert_int_equal(released, 1);
	client_hears(m, "ab");
}

static void
blocking_marker_may_close_and_its_last_words_leave(void **state)
{
	struct meeting *m = *state;
	char byte;

	said[0] = '\0';
	tend_write(&m->c, "hi ", 3);
	assert_int_equal(tend_conn_after_write(&m->c, close_from_marker, (void *)(uintptr_t)"1"), 0);
	if (m->real == &transport_awkward)
		client_finishes(m); /* nobody else could end the wait for it */
	assert_int_equal(tend_flush(&m->c), -ENOTCONN);
	assert_int_equal(tend_read(&m->c, &byte, 1), -ENOTCONN);
	client_hears(m, "hi bye");
	client_hears_the_end(m);
}

#define QUEUE_ON(poller, kind, transport, pair, test) \
	{ poller " " kind ": " #test, test, clear, strike_stage, STAGE(poller, transport, pair) }
#define QUEUE_ON_PLAIN(test) \
	QUEUE_ON("poll", "tcp", &transport_tcp, inet_pair, test), \
	    QUEUE_ON("poll", "unix", &transport_unix, unix_pair, test)
#define QUEUE_ON_ALL(test) \
	QUEUE_ON_PLAIN(test), QUEUE_ON("poll", "awkward", &transport_awkward, inet_pair, test)

int
main(void)
{
	const struct CMUnitTest tests[] = {
		QUEUE_ON_ALL(marker_without_output_runs_at_once),
		QUEUE_ON_ALL(markers_and_pieces_keep_their_order),
		QUEUE_ON_ALL(any_mixture_arrives_as_it_was_written),
		QUEUE_ON_ALL(output_of_a_marker_goes_to_the_end),
		QUEUE_ON_ALL(markers_that_add_markers_do_not_nest),
		QUEUE_ON_PLAIN(marker_that_adds_itself_holds_up_nobody),
		QUEUE_ON_ALL(marker_may_close_and_its_last_words_leave),
		QUEUE_ON_ALL(marker_that_runs_at_once_may_close),
		QUEUE_ON_ALL(marker_may_flush),
		QUEUE_ON_ALL(marker_may_abort_and_the_others_are_told),
		QUEUE_ON_PLAIN(abort_releases_and_tells_all),
		QUEUE_ON_ALL(discard_tells_markers_and_keeps_what_follows),
		QUEUE_ON_ALL(give_to_the_closed_gives_back),
		QUEUE_ON_PLAIN(failure_releases_and_tells_all),
		EVERYWHERE(blocking_handler_uses_them_too),
		EVERYWHERE(blocking_marker_may_close_and_its_last_words_leave),
	};

	signal(SIGPIPE, SIG_IGN);
	return cmocka_run_group_tests(tests, NULL, NULL);
}
