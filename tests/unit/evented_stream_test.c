/*
 * A stream arrives whole, in order and without another word of the client, whatever the hooks did in
 * between: random ones read in bits, put back, pause, throttle themselves and look away while it comes.
 * TEND_TEST_SEED says with which numbers; the seed is printed.
 */
#include "evented_fixture.h"

#define BURSTS 60
#define PERIOD 251 /* of the bytes of the stream; urgent ones have a value of their own */
#define URGENT 0xff

/* How many bytes the client has sent, and the hooks have seen. */
static size_t sent, seen;
static bool attentive; /* the hook reads all there is */

static unsigned char
byte_at(size_t place)
{
	return (unsigned char)(place % PERIOD);
}

/* An urgent byte that another has overtaken stands in the stream. */
static void
look_at(const char *data, size_t size)
{
	size_t i;

	for (i = 0; i < size; i++)
		if ((unsigned char)data[i] != URGENT)
			assert_int_equal((unsigned char)data[i], byte_at(seen++));
}

/* ---- what a hook does ---- */

static void
read_some(struct tend_conn *c)
{
	static char bytes[100000];
	size_t most = below(4) == 0 ? sizeof(bytes) : 1 + below(5000);
	ssize_t n = tend_read(c, bytes, most);

	if (n > 0)
		look_at(bytes, (size_t)n);
}

static void
take_some(struct tend_conn *c)
{
	char *data;
	ssize_t n = tend_take(c, &data, below(2) == 0 ? 0 : 1 + below(70000));

	if (n > 0)
		look_at(data, (size_t)n);
}

static void
put_some_back(struct tend_conn *c)
{
	char bytes[64];
	ssize_t n = tend_read(c, bytes, 1 + below(sizeof(bytes)));

	if (n > 0)
		assert_int_equal(tend_unread(c, bytes, (size_t)n), 0);
}

static void
throttle(struct tend_conn *c)
{
	static const char answer[3000];

	tend_conn_set_marks(c, 1 + below(5000), 0);
	tend_write(c, answer, 1 + below(sizeof(answer)));
}

static void
rest(struct tend_conn *c)
{
	tend_conn_watch(c, TEND_READ, false);
}

static void
go_on(struct tend_conn *c)
{
	tend_conn_watch(c, TEND_READ, true);
}

static void
watch_for_room(struct tend_conn *c)
{
	tend_conn_watch(c, TEND_WRITE, below(2) == 0);
}

static void
look_away(struct tend_conn *c)
{
	(void)c;
}

static void
do_something(struct tend_conn *c)
{
	static void (*const deeds[])(struct tend_conn *c) = {
		read_some, read_some, take_some, take_some, put_some_back, throttle, rest, go_on,
		watch_for_room, look_away,
	};
	unsigned i, n = 1 + below(3);

	for (i = 0; i < n; i++)
		deeds[below(sizeof(deeds) / sizeof(deeds[0]))](c);
}

static void
read_all(struct tend_conn *c)
{
	char *data;
	ssize_t n;

	while ((n = tend_take(c, &data, 0)) > 0)
		look_at(data, (size_t)n);
}

static void
on_readable(struct tend_conn *c)
{
	if (attentive)
		read_all(c);
	else
		do_something(c);
}

static void
on_drained(struct tend_conn *c)
{
	if (!attentive)
		do_something(c);
}

/* ---- the client ---- */

static void
hear_answers(const struct meeting *m)
{
	char bytes[4096];

	while (recv(m->client, bytes, sizeof(bytes), MSG_DONTWAIT) > 0)
		;
}

static void
say_something(struct meeting *m)
{
	static char bytes[50000];
	static const char urgent = (char)URGENT;
	size_t size = below(3) == 0 ? 1 + below(sizeof(bytes)) : 1 + below(300), i;
	ssize_t n;

	for (i = 0; i < size; i++)
		bytes[i] = (char)byte_at(sent + i);
	on_the_wire(m, bytes, size);
	n = send(m->client, bytes, size, MSG_DONTWAIT | MSG_NOSIGNAL);
	if (n > 0)
		sent += (size_t)n;
	if (m->real != &transport_unix && m->real != &transport_awkward && below(4) == 0)
		send(m->client, &urgent, 1, MSG_OOB | MSG_DONTWAIT | MSG_NOSIGNAL);
}

/* Somebody reads from now on. All that was said is heard, though nothing more is. */
static void
all_is_heard(struct meeting *m)
{
	attentive = true;
	tend_conn_watch(scene.c, TEND_WRITE, false);
	tend_conn_watch(scene.c, TEND_READ, true);
	tend_conn_set_hooks(scene.c, &scene.hooks);
	hear_answers(m);
	TURN_UNTIL(seen == sent);
	forget_trace();
	attentive = false;
}

static void
stream_arrives_whole_whatever_the_hooks_did(void **state)
{
	struct meeting *m = *state;
	const char *seed = getenv("TEND_TEST_SEED");
	int i, said;

	dice = seed != NULL ? strtoull(seed, NULL, 10) : (uint64_t)clock_now() | 1;
	print_message("# seed %llu\n", (unsigned long long)dice);
	sent = seen = 0;
	attentive = false;
	scene.on_readable = on_readable;
	scene.on_drained = on_drained;
	for (i = 0; i < BURSTS; i++) {
		for (said = 1 + (int)below(5); said > 0; said--) {
			say_something(m);
			if (below(4) != 0)
				turn();
			if (below(3) == 0)
				do_something(scene.c);
			if (below(2) == 0)
				hear_answers(m);
			forget_trace();
		}
		all_is_heard(m);
	}
	client_finishes(m);
	attentive = true;
	TURN_UNTIL(scene.closed == 1);
	assert_int_equal(scene.reason, 0);
	assert_int_equal(seen, sent);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		ON_ALL(stream_arrives_whole_whatever_the_hooks_did),
	};

	signal(SIGPIPE, SIG_IGN);
	return cmocka_run_group_tests(tests, NULL, NULL);
}
