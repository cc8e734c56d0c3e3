/* Handlers of blocking calls in fibers: who waits for what, who may speak meanwhile, how it ends. */
#include "config.h"
#include "conn_fixture.h"
#include "loop/loop.h"
#include "net/evented.h"
#include "pollers.h"
#include "scramble.h"

static struct scramble scrambles[4];
static struct tend_loop *loop;
static struct fiber_pool pool;
static struct evented_mood mood;

/* A client and its handler. */
struct guest {
	struct evented *m; /* NULL: it is gone */
	int             client;
	void (*handler)(struct tend_conn *c);
	bool            returned;
};

static struct guest guests[4];

static struct guest *
guest_of(struct tend_conn *c)
{
	return tend_conn_data(c);
}

/* What serve.c does around a handler. */
static void
serve(struct tend_conn *c)
{
	struct guest *g = guest_of(c);

	g->handler(c);
	g->returned = true;
	conn_close(c);
	conn_release(c);
}

static void
is_gone(struct tend_conn *c)
{
	int i;

	for (i = 0; i < 4; i++)
		if (guests[i].m == evented_of(c))
			guests[i].m = NULL;
}

static int
open_pool(void **state)
{
	memset(guests, 0, sizeof(guests));
	if (meeting_open(&meeting, &transport_unix, (const int[]){ -1, -1 }) < 0)
		return -1;
	meeting.limits.max_output = 1 << 20;
	loop = tend_loop_new(*state);
	if (loop == NULL || fiber_pool_open(&pool, (size_t)128 * 1024, 4) < 0)
		return -1;
	evented_mood_init_fiber(&mood, conns_of(loop), &pool);
	mood.mood.limits = &meeting.limits;
	mood.mood.drain = conns_of(loop)->plain->mood.drain;
	mood.mood.data = conns_of(loop);
	mood.closed = is_gone;
	*state = loop;
	return 0;
}

static int
close_pool(void **state)
{
	int i;
	bool left = false;

	(void)state;
	for (i = 0; i < 4; i++) {
		left |= guests[i].m != NULL;
		if (guests[i].client > 0)
			close(guests[i].client);
	}
	if (left)
		return -1;
	tend_loop_free(loop);
	fiber_pool_close(&pool);
	close(meeting.interrupt[0]);
	close(meeting.interrupt[1]);
	return 0;
}

/* A client comes, and its handler runs until it waits for the first time. */
static struct tend_conn *
come(int i, const struct tend_transport *transport, void (*handler)(struct tend_conn *c))
{
	struct guest *g = &guests[i];
	int pair[2];

	assert_int_equal(transport == &transport_unix
	        ? socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, pair) : tcp_pair(AF_INET, pair), 0);
	meeting.transport = *transport;
	g->client = pair[1];
	g->handler = handler;
	assert_int_equal(evented_new(&g->m, &mood, pair[0], &meeting.listener, NULL), 0);
	tend_conn_set_data(&g->m->c, g, NULL);
	assert_int_equal(evented_run(g->m, serve), 0);
	return &g->m->c;
}

#define TURN_UNTIL(condition) \
	do { \
		int64_t begun_ = clock_now(); \
		while (!(condition)) { \
			assert_int_equal(tend_loop_turn(loop, 0.1), 0); \
			if (since(begun_) > PATIENCE) \
				fail_msg("never: %s", #condition); \
		} \
	} while (0)

static void
turns(int n)
{
	while (n-- > 0)
		assert_int_equal(tend_loop_turn(loop, 0), 0);
}

static void
says(int i, const char *text)
{
	assert_int_equal(send(guests[i].client, text, strlen(text), MSG_NOSIGNAL), strlen(text));
}

static void
hears(int i, const char *text)
{
	char bytes[1000];
	size_t have = 0, size = strlen(text);

	while (have < size) {
		ssize_t n = recv(guests[i].client, bytes + have, size - have, MSG_DONTWAIT);

		if (n < 0) {
			assert_int_equal(errno, EAGAIN);
			assert_int_equal(tend_loop_turn(loop, 0.1), 0);
			continue;
		}
		assert_true(n > 0);
		have += (size_t)n;
	}
	assert_memory_equal(bytes, text, size);
}

static void
leaves(int i)
{
	close(guests[i].client);
	guests[i].client = 0;
}

/* ---- handlers ---- */

static void
echo_lines(struct tend_conn *c)
{
	char *line;

	while (tend_getline(c, &line) > 0)
		tend_printf(c, "%s\n", line);
}

static ssize_t result;

static void
read_one(struct tend_conn *c)
{
	char byte;

	result = tend_read(c, &byte, 1);
}

/* ---- tests ---- */

/* MX-102: written for one client, and serves several at once. */
static void
handlers_wait_beside_each_other(void **state)
{
	(void)state;
	come(0, &transport_unix, echo_lines);
	come(1, &transport_tcp, echo_lines);
	come(2, &transport_unix, echo_lines);
	says(1, "b");
	says(0, "a\n");
	hears(0, "a\n");
	says(2, "c\nd\n");
	hears(2, "c\nd\n");
	says(1, "\n");
	hears(1, "b\n");
	leaves(0);
	leaves(1);
	leaves(2);
	TURN_UNTIL(guests[0].m == NULL && guests[1].m == NULL && guests[2].m == NULL);
	assert_int_equal(pool.live, 0);
}

static void
echo_over_awkward(struct tend_conn *c)
{
	assert_int_equal(tend_conn_set_transport(c, &transport_awkward, &awkward), 0);
	echo_lines(c);
}

static void
over_awkward_transport(void **state)
{
	char bytes[4];
	int i;

	(void)state;
	memset(&awkward, 0, sizeof(awkward));
	come(0, &transport_tcp, echo_over_awkward);
	assert_int_equal(send(guests[0].client, "hhh", 3, 0), 3);
	for (i = 0; i < 4; i++)
		bytes[i] = (char)("abc\n"[i] ^ AWKWARD_KEY);
	assert_int_equal(send(guests[0].client, bytes, 4, 0), 4);
	memset(bytes, 0, 4);
	for (i = 0; i < 4;) {
		ssize_t n = recv(guests[0].client, bytes + i, (size_t)(4 - i), MSG_DONTWAIT);

		if (n > 0)
			i += (int)n;
		assert_int_equal(tend_loop_turn(loop, 0.01), 0);
	}
	for (i = 0; i < 4; i++)
		assert_int_equal(bytes[i], "abc\n"[i] ^ AWKWARD_KEY);
	leaves(0);
	TURN_UNTIL(guests[0].m == NULL);
}

static void
begin_slowly(struct tend_conn *c)
{
	struct scramble *s = &scrambles[guest_of(c) - guests];

	*s = (struct scramble){ .key = 1, .rounds = 2 };
	tend_printf(c, "go ahead\n");
	result = tend_conn_set_transport(c, &shaking, s);
	echo_lines(c);
}

/* While one is shaking hands the others are served, and nobody else changes its transport. */
static void
a_handshake_suspends_as_calls_do(void **state)
{
	struct tend_conn *c;

	(void)state;
	result = 1;
	scrambles[3].done = 0;
	c = come(0, &transport_tcp, begin_slowly);
	hears(0, "go ahead\n");
	says(0, "h");
	come(1, &transport_unix, echo_lines);
	says(1, "b\n");
	hears(1, "b\n");
	assert_int_equal(result, 1);
	assert_int_equal(tend_conn_set_transport(c, &scrambling, &scrambles[3]), -EBUSY);
	assert_int_equal(scrambles[3].done, 1);
	says(0, "h`b\x0b");
	hears(0, "`b\x0b");
	assert_int_equal(result, 0);
	leaves(0);
	leaves(1);
	TURN_UNTIL(guests[0].m == NULL && guests[1].m == NULL);
	assert_int_equal(scrambles[0].done, 1);
}

static void
write_slowly_and_sleep(struct tend_conn *c)
{

	assert_int_equal(tend_conn_set_transport(c, &odd_slow, NULL), 0);
	tend_printf(c, "slow");
	assert_int_equal(tend_flush(c), 0);
	result = tend_sleep(c, 3600);
}

/* Its own words and those of others; in between, and while it sleeps, nothing happens. */
static void
a_write_can_wait_for_time(void **state)
{
	struct tend_conn *c;
	int64_t begun = clock_now();

	(void)state;
	odd.calls = 0;
	c = come(0, &transport_tcp, write_slowly_and_sleep);
	hears(0, "slow");
	assert_lasted(begun, 0.04);
	assert_int_equal(tend_write(c, "theirs", 6), 6);
	hears(0, "theirs");
	assert_lasted(begun, 0.1);
	assert_int_equal(odd.calls, 20);
	tend_close(c);
	TURN_UNTIL(guests[0].m == NULL);
	assert_int_equal(result, -ECANCELED);
}

/* An idle client between calls has no buffers. */
static void
waiting_costs_no_buffers(void **state)
{
	struct tend_conn *c;

	(void)state;
	c = come(0, &transport_unix, echo_lines);
	says(0, "hello\n");
	hears(0, "hello\n");
	turns(2);
	assert_null(c->in.base);
	assert_null(c->out.base);
	leaves(0);
	TURN_UNTIL(guests[0].m == NULL);
}

static void
deadline_ends_a_wait(void **state)
{
	int64_t begun = clock_now();

	(void)state;
	meeting.limits.idle = clock_from_seconds(0.02);
	come(0, &transport_unix, read_one);
	TURN_UNTIL(guests[0].returned);
	assert_int_equal(result, -ETIMEDOUT);
	assert_lasted(begun, 0.02);
	TURN_UNTIL(guests[0].m == NULL);
}

static int slept;

static void
sleep_a_little(struct tend_conn *c)
{
	slept = tend_sleep(c, 0.02);
	tend_printf(c, "awake");
}

static void
sleep_holds_up_nobody(void **state)
{
	int64_t begun = clock_now();

	(void)state;
	come(0, &transport_unix, sleep_a_little);
	assert_false(guests[0].returned);
	come(1, &transport_unix, echo_lines);
	says(1, "meanwhile\n");
	hears(1, "meanwhile\n");
	TURN_UNTIL(guests[0].returned);
	assert_int_equal(slept, 0);
	assert_lasted(begun, 0.02);
	hears(0, "awake");
	leaves(1);
	TURN_UNTIL(guests[0].m == NULL && guests[1].m == NULL);
}

static void
wait_for_input(struct tend_conn *c)
{
	result = tend_wait_readable(c, 10);
}

static void
wait_for_input_suspends(void **state)
{
	(void)state;
	come(0, &transport_unix, wait_for_input);
	assert_false(guests[0].returned);
	says(0, "x");
	TURN_UNTIL(guests[0].m == NULL);
	assert_int_equal(result, 1);
}

static char big[3 << 20];

static void
write_much(struct tend_conn *c)
{
	result = tend_write(c, big, sizeof(big));
}

/* A piece that is larger than the kernel takes: what others write comes behind it, whole. */
static void
words_of_others_come_behind_a_piece_under_way(void **state)
{
	struct tend_conn *c;
	static char heard[sizeof(big) + 10];
	size_t have = 0;

	(void)state;
	memset(big, 'p', sizeof(big));
	c = come(0, &transport_unix, write_much);
	assert_false(guests[0].returned);
	assert_int_equal(tend_write(c, "foreign", 7), 7);
	assert_int_equal(tend_printf(c, "%d", 123), 3);
	assert_int_equal(tend_conn_give(c, "x", 1, NULL, NULL), -EBUSY);
	assert_int_equal(tend_read(c, heard, 1), -EBUSY);
	while (have < sizeof(heard)) {
		ssize_t n = recv(guests[0].client, heard + have, sizeof(heard) - have, MSG_DONTWAIT);

		if (n > 0)
			have += (size_t)n;
		assert_int_equal(tend_loop_turn(loop, n > 0 ? 0 : 0.01), 0);
	}
	assert_int_equal(result, sizeof(big));
	assert_memory_equal(heard, big, sizeof(big));
	assert_memory_equal(heard + sizeof(big), "foreign123", 10);
	leaves(0);
	TURN_UNTIL(guests[0].m == NULL);
}

/* DS-88: and there is a bound to them, which ends the piece as well. */
static void
words_of_others_are_bounded(void **state)
{
	struct tend_conn *c;
	ssize_t n;

	(void)state;
	c = come(0, &transport_unix, write_much);
	while ((n = tend_write(c, "0123456789abcdef", 16)) > 0)
		assert_true(tend_conn_queued(c) <= (1 << 20) + 16);
	assert_int_equal(n, -ENOBUFS);
	TURN_UNTIL(guests[0].m == NULL);
	assert_int_equal(result, -ENOBUFS);
}

static void
write_and_go(struct tend_conn *c)
{
	tend_printf(c, "mine,");
	result = tend_sleep(c, 3600);
}

/* A chat: others write while its handler waits for something else. */
static void
words_of_others_leave_while_the_handler_sleeps(void **state)
{
	struct tend_conn *c;

	(void)state;
	c = come(0, &transport_unix, write_and_go);
	assert_int_equal(tend_write(c, "theirs", 6), 6);
	hears(0, "mine,theirs");
	tend_close(c);
	TURN_UNTIL(guests[0].m == NULL);
	assert_int_equal(result, -ECANCELED);
}

static void
closing_from_outside_ends_the_wait(void **state)
{
	struct tend_conn *c;

	(void)state;
	c = come(0, &transport_unix, read_one);
	tend_close(c);
	assert_false(guests[0].returned);
	turns(2);
	assert_true(guests[0].returned);
	assert_int_equal(result, -ECANCELED);
	TURN_UNTIL(guests[0].m == NULL);
}

/* Output that is on its way when somebody closes still leaves. */
static void
closing_from_outside_lets_a_piece_leave(void **state)
{
	struct tend_conn *c;
	static char heard[sizeof(big)];
	size_t have = 0;
	ssize_t n;

	(void)state;
	c = come(0, &transport_unix, write_much);
	tend_close(c);
	while ((n = recv(guests[0].client, heard + have, sizeof(heard) - have, MSG_DONTWAIT)) != 0) {
		if (n > 0)
			have += (size_t)n;
		assert_int_equal(tend_loop_turn(loop, n > 0 ? 0 : 0.01), 0);
		if (have == sizeof(heard))
			break;
	}
	assert_int_equal(have, sizeof(heard));
	TURN_UNTIL(guests[0].m == NULL);
	assert_int_equal(result, sizeof(big));
}

static void
aborting_from_outside_resets(void **state)
{
	struct tend_conn *c;
	char byte;

	(void)state;
	c = come(0, &transport_tcp, read_one);
	tend_abort(c);
	TURN_UNTIL(guests[0].m == NULL);
	assert_int_equal(result, -ECANCELED);
	assert_int_equal(recv(guests[0].client, &byte, 1, 0), -1);
	assert_int_equal(errno, ECONNRESET);
}

static char where[ADDR_TEXT_MAX];
static int connected;

static void
ask_server(struct tend_conn *c)
{
	struct tend_conn *server;
	char *line;

	connected = tend_connect(c, where, 10, &server);
	if (connected < 0)
		return;
	result = tend_getline(server, &line);
	if (result > 0)
		tend_printf(c, "%s\n", line);
}

static int
server_listens(void)
{
	struct addr a = { .length = sizeof(a.u.v4) };
	int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);

	a.u.v4.sin_family = AF_INET;
	a.u.v4.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
	assert_int_equal(bind(fd, &a.u.any, a.length), 0);
	assert_int_equal(listen(fd, 5), 0);
	assert_int_equal(addr_of_socket(&a, fd), 0);
	addr_text(&a, where);
	return fd;
}

static void
connection_out_suspends_and_goes_with_the_handler(void **state)
{
	int listener = server_listens(), fd;
	char byte;

	(void)state;
	come(0, &transport_unix, ask_server);
	fd = accept(listener, NULL, NULL);
	turns(3);
	assert_false(guests[0].returned);
	assert_int_equal(send(fd, "answer\n", 7, 0), 7);
	hears(0, "answer\n");
	TURN_UNTIL(guests[0].m == NULL);
	assert_int_equal(recv(fd, &byte, 1, 0), 0);
	turns(2);
	assert_int_equal(conns_of(loop)->count, 0);
	close(fd);
	close(listener);
}

/* It waits for the other server, and so it has to be found there. */
static void
closing_the_client_ends_a_wait_for_another_server(void **state)
{
	struct tend_conn *c;
	int listener = server_listens(), fd;

	(void)state;
	c = come(0, &transport_unix, ask_server);
	fd = accept(listener, NULL, NULL);
	turns(3);
	assert_int_equal(tend_write(c, "hello", 5), 5);
	hears(0, "hello");
	tend_close(c);
	TURN_UNTIL(guests[0].m == NULL);
	assert_int_equal(result, -ECANCELED);
	close(fd);
	close(listener);
}

static void
use_streams(struct tend_conn *c)
{
	char line[100];
	FILE *in, *out;

	if (tend_conn_stdio(c, &in, &out) < 0)
		return;
	while (fgets(line, sizeof(line), in) != NULL)
		fprintf(out, "<%s>", line);
}

/* MX-67, MX-68 */
static void
streams_suspend_as_calls_do(void **state)
{
	(void)state;
	come(0, &transport_unix, use_streams);
	come(1, &transport_unix, use_streams);
	says(0, "one");
	says(1, "two\n");
	hears(1, "<two\n>");
	says(0, "\n");
	hears(0, "<one\n>");
	leaves(0);
	leaves(1);
	TURN_UNTIL(guests[0].m == NULL && guests[1].m == NULL);
}

static void
server_that_stops_ends_every_wait(void **state)
{
	int listener = server_listens(), fd;

	(void)state;
	come(0, &transport_unix, read_one);
	come(1, &transport_unix, write_and_go);
	come(2, &transport_unix, ask_server);
	fd = accept(listener, NULL, NULL);
	turns(3);
	evented_cancel_fibers(&mood);
	assert_true(guests[0].returned && guests[1].returned && guests[2].returned);
	TURN_UNTIL(guests[0].m == NULL && guests[1].m == NULL && guests[2].m == NULL);
	/* Nobody waits from now on. */
	come(3, &transport_unix, read_one);
	assert_true(guests[3].returned);
	assert_int_equal(result, -ECANCELED);
	TURN_UNTIL(guests[3].m == NULL);
	close(fd);
	close(listener);
}

static unsigned marked;

static void
count_marker(struct tend_conn *c, void *arg, int status)
{
	(void)c;
	(void)arg;
	marked += status == 0;
}

static void
mark_and_read(struct tend_conn *c)
{
	tend_write(c, "x", 1);
	tend_conn_after_write(c, count_marker, NULL);
	read_one(c);
}

static void
markers_run_for_handlers_too(void **state)
{
	(void)state;
	marked = 0;
	come(0, &transport_unix, mark_and_read);
	assert_int_equal(marked, 1);
	hears(0, "x");
	leaves(0);
	TURN_UNTIL(guests[0].m == NULL);
}

static void
add_marker_again(struct tend_conn *c, void *arg, int status)
{
	count_marker(c, arg, status);
	if (status == 0 && marked < 50)
		tend_conn_after_write(c, add_marker_again, arg);
}

static void
mark_again_and_flush(struct tend_conn *c)
{
	tend_conn_after_write(c, add_marker_again, NULL);
	result = tend_flush(c);
}

/* The others have their turns between two rounds. */
static void
marker_that_adds_itself_suspends_its_handler(void **state)
{
	(void)state;
	marked = 0;
	result = -1;
	come(0, &transport_unix, mark_again_and_flush);
	assert_in_range(marked, 1, 2);
	assert_false(guests[0].returned);
	TURN_UNTIL(guests[0].returned);
	assert_int_equal(marked, 50);
	assert_int_equal(result, 0);
	TURN_UNTIL(guests[0].m == NULL);
}

static void
begin(struct evented *m)
{
	assert_int_equal(evented_run(m, serve), 0);
}

/* Without a stack until it has said something; whoever closes it before, closes it. */
static void
client_that_is_awaited_may_be_closed(void **state)
{
	struct guest *g = &guests[0];
	int i, pair[2];

	(void)state;
	mood.heard = begin;
	for (i = 0; i < 3; i++) {
		assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, pair), 0);
		g->client = pair[1];
		g->handler = read_one;
		assert_int_equal(evented_new(&g->m, &mood, pair[0], &meeting.listener, NULL), 0);
		tend_conn_set_data(&g->m->c, g, NULL);
		evented_await(g->m);
		assert_int_equal(pool.live, 0);
		if (i == 0)
			tend_close(&g->m->c);
		else if (i == 1)
			tend_abort(&g->m->c);
		else
			says(0, "x");
		TURN_UNTIL(g->m == NULL);
		assert_int_equal(g->returned, i == 2);
		leaves(0);
	}
	assert_int_equal(result, 1);
}

/* ---- at random ---- */

static unsigned long acts, served;

static void
wild_marker(struct tend_conn *c, void *arg, int status)
{
	(void)arg;
	(void)status;
	if (below(4) == 0)
		tend_close(c);
	else
		tend_printf(c, "marker");
}

static unsigned long wrapped, unwrapped;

static void
free_awkward(struct tend_conn *c)
{
	unwrapped++;
	free(awkward_of(c));
}

static void
change_transport(struct tend_conn *c)
{
	static struct tend_transport kind;
	struct awkward *a = calloc(1, sizeof(*a));

	kind = transport_awkward;
	kind.done = free_awkward;
	a->rounds = below(4) == 0 ? 0 : AWKWARD_ROUNDS;
	a->gets_over = 1 + below(100);
	wrapped++;
	tend_conn_set_transport(c, &kind, a);
	if (below(2) == 0)
		tend_conn_set_transport(c, NULL, NULL);
}

static void
do_something(struct tend_conn *c)
{
	char bytes[5000], *line;

	switch (below(15)) {
	case 0:
		tend_close(c);
		break;
	case 1:
		tend_abort(c);
		break;
	case 2:
		tend_getline(c, &line);
		break;
	case 3:
		tend_read(c, bytes, sizeof(bytes));
		break;
	case 4:
		tend_sleep(c, 0.001 * below(3));
		break;
	case 5:
		tend_write(c, big, below(300000));
		break;
	case 6:
		tend_conn_give(c, big, below(100000), NULL, NULL);
		break;
	case 7:
		tend_conn_after_write(c, wild_marker, NULL);
		break;
	case 8:
		tend_flush(c);
		break;
	case 9:
		tend_shutdown(c);
		break;
	case 10:
		tend_conn_discard(c);
		break;
	case 11:
		tend_wait_readable(c, 0.002);
		break;
	case 12:
		tend_set_timeout(c, 0.001 * (1 + below(5)));
		break;
	case 13:
		change_transport(c);
		break;
	default:
		tend_printf(c, "%u\n", below(1000));
	}
}

static void
run_wild(struct tend_conn *c)
{
	unsigned n = below(30);

	served++;
	while (n-- > 0) {
		struct evented *other = guests[below(4)].m;

		acts++;
		do_something(other != NULL && below(4) == 0 ? &other->c : c);
	}
}

static void
everything_may_be_closed_while_handlers_wait(void **state)
{
	const char *text = getenv("TEND_TEST_TORTURE");
	unsigned long most = text != NULL ? strtoul(text, NULL, 10) : 20000;
	static char scrap[100000];
	int i;

	(void)state;
	acts = served = wrapped = unwrapped = 0;
	while (acts < most) {
		i = (int)below(4);
		if (guests[i].m == NULL) {
			if (guests[i].client > 0)
				close(guests[i].client);
			come(i, below(2) == 0 ? &transport_unix : &transport_tcp, run_wild);
		} else if (guests[i].client > 0) {
			switch (below(6)) {
			case 0:
				leaves(i);
				break;
			case 1:
				do_something(&guests[i].m->c); /* nobody's handler */
				break;
			case 2:
				send(guests[i].client, scrap, below(3000), MSG_DONTWAIT | MSG_NOSIGNAL);
				break;
			default:
				recv(guests[i].client, scrap, sizeof(scrap), MSG_DONTWAIT);
			}
		}
		turns(1);
	}
	evented_cancel_fibers(&mood);
	for (i = 0; i < 4; i++)
		if (guests[i].m != NULL)
			tend_abort(&guests[i].m->c);
	TURN_UNTIL(guests[0].m == NULL && guests[1].m == NULL && guests[2].m == NULL &&
	    guests[3].m == NULL);
	assert_int_equal(pool.live, 0);
	assert_int_equal(wrapped, unwrapped);
	print_message("# %lu acts of %lu handlers\n", acts, served);
}

#define FIBERS(poller, test) \
	{ poller ": " #test, test, open_pool, close_pool, (void *)(uintptr_t)poller }
#define FIBERS_ON_EACH(test) ON_POLLERS(FIBERS, test)

int
main(void)
{
	const struct CMUnitTest tests[] = {
		FIBERS_ON_EACH(handlers_wait_beside_each_other),
		FIBERS_ON_EACH(over_awkward_transport),
		FIBERS_ON_EACH(a_handshake_suspends_as_calls_do),
		FIBERS_ON_EACH(a_write_can_wait_for_time),
		FIBERS_ON_EACH(waiting_costs_no_buffers),
		FIBERS_ON_EACH(deadline_ends_a_wait),
		FIBERS_ON_EACH(sleep_holds_up_nobody),
		FIBERS_ON_EACH(wait_for_input_suspends),
		FIBERS_ON_EACH(words_of_others_come_behind_a_piece_under_way),
		FIBERS_ON_EACH(words_of_others_are_bounded),
		FIBERS_ON_EACH(words_of_others_leave_while_the_handler_sleeps),
		FIBERS_ON_EACH(closing_from_outside_ends_the_wait),
		FIBERS_ON_EACH(closing_from_outside_lets_a_piece_leave),
		FIBERS_ON_EACH(aborting_from_outside_resets),
		FIBERS_ON_EACH(connection_out_suspends_and_goes_with_the_handler),
		FIBERS_ON_EACH(closing_the_client_ends_a_wait_for_another_server),
		FIBERS_ON_EACH(streams_suspend_as_calls_do),
		FIBERS_ON_EACH(server_that_stops_ends_every_wait),
		FIBERS_ON_EACH(markers_run_for_handlers_too),
		FIBERS_ON_EACH(marker_that_adds_itself_suspends_its_handler),
		FIBERS_ON_EACH(client_that_is_awaited_may_be_closed),
		FIBERS_ON_EACH(everything_may_be_closed_while_handlers_wait),
	};

	signal(SIGPIPE, SIG_IGN);
	return cmocka_run_group_tests(tests, NULL, NULL);
}
