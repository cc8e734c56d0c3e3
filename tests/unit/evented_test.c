/* What an idle connection costs, and how the turns of a loop treat many of them. */
#include "evented_fixture.h"

#include <malloc.h>
#include <sys/resource.h>

#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__)
#define SANITIZED 1
#elif defined(__has_feature)
#if __has_feature(address_sanitizer) || __has_feature(thread_sanitizer) || __has_feature(memory_sanitizer)
#define SANITIZED 1
#endif
#endif

/* "10 000 idle connections: at most 400 bytes each of user memory." */
#define IDLE_MOST 400

#ifndef SANITIZED
static size_t
in_use(void)
{
	return mallinfo2().uordblks;
}
#endif

/* So many as there are descriptors for, each of which has said something and been answered. */
static void
idle_connection_costs_at_most_four_hundred_bytes(void **state)
{
#ifdef SANITIZED
	(void)state;
	skip();
#else
	static struct tend_conn *c[10000];
	static int clients[10000];
	struct rlimit limit;
	size_t before, each;
	char answer[2];
	int i, n = 10000, pair[2];

	(void)state;
	assert_int_equal(getrlimit(RLIMIT_NOFILE, &limit), 0);
	limit.rlim_cur = limit.rlim_max;
	setrlimit(RLIMIT_NOFILE, &limit);
	if (limit.rlim_cur < 20100)
		n = (int)(limit.rlim_cur - 100) / 2;
	scene.on_readable = send_back;
	turns(2);
	before = in_use();
	for (i = 0; i < n; i++) {
		assert_int_equal(unix_pair(pair), 0);
		clients[i] = pair[1];
		assert_int_equal(tend_conn_new(&c[i], scene.loop, pair[0], &scene.hooks, NULL), 0);
		assert_int_equal(send(pair[1], "hi", 2, 0), 2);
	}
	for (i = 0; i < n; i++) {
		while (recv(clients[i], answer, 2, MSG_DONTWAIT) != 2)
			turn();
		assert_null(c[i]->in.base);
		assert_null(c[i]->out.base);
	}
	turns(2);
	each = (in_use() - before) / (size_t)n;
	print_message("# %zu bytes for each of %d idle connections, %zu of them struct evented\n", each, n,
	    malloc_usable_size(evented_of(c[0])));
	assert_true(each <= IDLE_MOST);
	for (i = 0; i < n; i++) {
		tend_abort(c[i]);
		close(clients[i]);
	}
	turns(2);
	scene.closed = 0;
#endif
}

static char order[100];

static void
sign(struct tend_conn *c)
{
	size_t n = strlen(order);
	char byte;

	order[n] = *(char *)tend_conn_data(c);
	tend_read(c, &byte, 1);
}

static unsigned
signed_by(char name)
{
	unsigned n = 0;
	const char *p;

	for (p = order; *p != '\0'; p++)
		n += *p == name;
	return n;
}

/* DS-22, MX-20, MX-26: those who have much to say are heard equally often. */
static void
each_connection_is_heard_as_often_as_the_others(void **state)
{
	static char names[] = "abc", much[30000];
	struct tend_conn *c;
	int pairs[3][2], i;

	(void)state;
	memset(order, 0, sizeof(order));
	scene.on_readable = sign;
	for (i = 0; i < 3; i++) {
		assert_int_equal(unix_pair(pairs[i]), 0);
		assert_int_equal(tend_conn_new(&c, scene.loop, pairs[i][0], &scene.hooks, &names[i]), 0);
		assert_int_equal(send(pairs[i][1], much, sizeof(much), 0), sizeof(much));
	}
	turn();
	memset(order, 0, sizeof(order));
	turn();
	/* For what has come, and for what was left. */
	assert_in_range(signed_by('a'), 1, 2);
	assert_int_equal(signed_by('b'), signed_by('a'));
	assert_int_equal(signed_by('c'), signed_by('a'));
	for (i = 0; i < 3; i++)
		close(pairs[i][1]);
	while ((c = tend_loop_conn_first(scene.loop)) != NULL)
		tend_abort(c);
	turns(2);
	scene.closed = 0;
}

/* A transport that has a whole record of input inside for each byte on the wire, as TLS has. */
#define RECORD 50

static ssize_t
read_of_record(struct tend_conn *c, void *into, size_t size)
{
	size_t *left = tend_conn_transport_data(c);
	ssize_t n = 1;

	if (*left == 0) {
		n = tend_below_read(c, into, 1);
		*left = n > 0 ? RECORD : 0;
	}
	if (n <= 0 || size == 0)
		return n;
	*(char *)into = 'r';
	--*left;
	return 1;
}

static size_t
left_of_record(struct tend_conn *c)
{
	return *(size_t *)tend_conn_transport_data(c) + tend_below_pending(c);
}

static const struct tend_transport records = {
	.name = "records",
	.read = read_of_record,
	.write = tend_below_write,
	.pending = left_of_record,
	.shutdown = tend_below_shutdown,
};

/* MX-24, MX-T22, MX-D14, MX-17: what lies in a transport is heard without another byte from the client,
   and keeps nobody waiting who has something to say. */
static void
input_inside_a_transport_starves_nobody(void **state)
{
	static char names[] = "rp";
	struct tend_conn *c[2];
	size_t left = 0;
	int pairs[2][2], i;

	(void)state;
	memset(order, 0, sizeof(order));
	scene.on_readable = sign;
	for (i = 0; i < 2; i++) {
		assert_int_equal(unix_pair(pairs[i]), 0);
		assert_int_equal(tend_conn_new(&c[i], scene.loop, pairs[i][0], &scene.hooks, &names[i]), 0);
	}
	assert_int_equal(tend_conn_set_transport(c[0], &records, &left), 0);
	assert_int_equal(send(pairs[0][1], "1", 1, 0), 1);
	TURN_UNTIL(signed_by('r') >= 3);
	for (i = 0; i < 5; i++) {
		assert_int_equal(send(pairs[1][1], "p", 1, 0), 1);
		turns(2);
		assert_int_equal(signed_by('p'), i + 1);
	}
	assert_in_range(signed_by('r'), 3, RECORD - 1);
	TURN_UNTIL(signed_by('r') == RECORD);
	assert_int_equal(left, 0);
	for (i = 0; i < 2; i++)
		close(pairs[i][1]);
	TURN_UNTIL(scene.closed == 2);
	scene.closed = 0;
}

static void
chat(struct tend_conn *c)
{
	struct tend_conn *to;
	char *line;

	while (tend_getline(c, &line) > 0)
		for (to = tend_loop_conn_first(scene.loop); to != NULL; to = tend_conn_next(to))
			tend_printf(to, "%s\n", line);
}

/* MX-T37: what one says all hear, in one piece and in order, while some come and go. */
static void
what_one_says_all_hear(void **state)
{
	struct tend_conn *c;
	int pairs[5][2], i;
	char heard[9];

	(void)state;
	scene.on_readable = chat;
	for (i = 0; i < 5; i++) {
		assert_int_equal(unix_pair(pairs[i]), 0);
		assert_int_equal(tend_conn_new(&c, scene.loop, pairs[i][0], &scene.hooks, NULL), 0);
	}
	assert_int_equal(send(pairs[0][1], "one\ntwo\n", 8, 0), 8);
	close(pairs[4][1]);
	turns(4);
	for (i = 0; i < 4; i++) {
		assert_int_equal(recv(pairs[i][1], heard, 8, MSG_WAITALL), 8);
		assert_memory_equal(heard, "one\ntwo\n", 8);
	}
	assert_int_equal(scene.closed, 1);
	for (i = 0; i < 4; i++)
		close(pairs[i][1]);
	TURN_UNTIL(scene.closed == 5);
	scene.closed = 0;
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
#if HAVE_EPOLL_CREATE1
		/* poll() needs a table of its own. */
		ACT("epoll", "unix", &transport_unix, unix_pair,
		    idle_connection_costs_at_most_four_hundred_bytes),
#endif
		ON_UNIX(each_connection_is_heard_as_often_as_the_others),
		ON_UNIX(input_inside_a_transport_starves_nobody),
		ON_UNIX(what_one_says_all_hear),
	};

	signal(SIGPIPE, SIG_IGN);
	return cmocka_run_group_tests(tests, NULL, NULL);
}
