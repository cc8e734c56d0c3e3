/*
 * Everything may be closed, stopped and freed from inside every callback. Here random hooks do so at
 * random, with connections that write, read, push back, pause, break and vanish all the while; what
 * is to be seen is only that each connection is told of its end once, that what was given is given
 * back, and that a sanitizer is silent. TEND_TEST_TORTURE says how many callbacks are to run,
 * TEND_TEST_SEED with which numbers; the seed is printed.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "config.h"
#include "conn_fixture.h"
#include "loop/loop.h"
#include "net/evented.h"
#include "pollers.h"

#define PLACES 12
#define CALLBACKS 20000
/* One in so many of the callbacks that may free the loop does. */
#define LOOP_ENDS 60

/* A connection, its client, and what became of them. */
struct place {
	struct tend_conn *c; /* NULL: there is none */
	int               client;
};

static struct place places[PLACES];
static const char *poller;
static struct tend_loop *loop; /* NULL: it was freed from inside a callback */
static struct tend_listener *listener;
static struct tend_timer timer;
static struct tend_later later;
static bool turning;
static unsigned long callbacks, given, released, promised, kept, opened, ended,
	wrapped, unwrapped;

static struct tend_conn *
anybody(void)
{
	return places[below(PLACES)].c;
}

static void do_something(struct tend_conn *c);

/* ---- what a callback may do ---- */

static void
release(void *bytes)
{
	struct tend_conn *other = anybody();

	released++;
	free(bytes);
	if (other != NULL && below(50) == 0)
		tend_close(other);
}

static void
give_something(struct tend_conn *c)
{
	size_t n = below(4) == 0 ? below(60000) : below(300);
	char *bytes = calloc(1, n + 1);

	given++;
	tend_conn_give(c, bytes, n, release, bytes);
}

static void
keep_promise(struct tend_conn *c, void *arg, int status)
{
	assert_ptr_equal(arg, places);
	kept++;
	callbacks++;
	if (status == 0 || below(4) == 0)
		do_something(c);
}

static void
promise_something(struct tend_conn *c)
{
	/* It may be called before the answer is there. */
	promised++;
	if (tend_conn_after_write(c, keep_promise, places) < 0)
		promised--;
}

static void
write_something(struct tend_conn *c)
{
	static const char bytes[70000];

	switch (below(6)) {
	case 0:
		give_something(c);
		break;
	case 1:
		promise_something(c);
		break;
	case 2:
		tend_write(c, bytes, below(sizeof(bytes)));
		break;
	default:
		tend_printf(c, "%u\n", below(1000));
	}
}

static void
read_something(struct tend_conn *c)
{
	char bytes[300], *line;
	ssize_t n;

	switch (below(6)) {
	case 0:
		if (tend_getline(c, &line) > 0 && below(8) == 0)
			tend_unread(c, line, strlen(line));
		break;
	case 1:
		n = tend_read(c, bytes, 1 + below(sizeof(bytes)));
		if (n > 0 && below(2) == 0)
			tend_unread(c, bytes, below((unsigned)n + 1));
		break;
	case 2:
		tend_read_until(c, "x", 1 + below(50), &line, NULL);
		break;
	case 3:
		tend_wait_readable(c, 1);
		break;
	default:
		while (tend_read(c, bytes, sizeof(bytes)) > 0)
			;
	}
}

static void
let_go(struct tend_conn *c)
{
	struct place *p = tend_conn_data(c);
	void *unread;
	size_t size;
	int fd = tend_conn_detach(c, &unread, &size);

	if (fd < 0)
		return;
	free(unread);
	close(fd);
	if (p != NULL)
		p->c = NULL; /* nobody is told */
	ended++;
}

/* ---- transports ---- */

static void
free_awkward(struct tend_conn *c)
{
	unwrapped++;
	free(awkward_of(c));
}

static void
change_transport(struct tend_conn *c)
{
	static struct tend_transport kinds[2];
	struct awkward *a = calloc(1, sizeof(*a));

	kinds[0] = kinds[1] = transport_awkward;
	kinds[0].handshake = NULL;
	kinds[0].done = kinds[1].done = free_awkward;
	/* Few of the clients know how to shake hands. */
	a->rounds = below(4) == 0 ? 0 : AWKWARD_ROUNDS;
	a->gets_over = 1 + below(100);
	wrapped++;
	tend_conn_set_transport(c, &kinds[below(2)], a);
	if (below(2) == 0)
		tend_conn_set_transport(c, NULL, NULL);
}

static void
end_the_loop(void)
{
	struct tend_loop *old = loop;

	/* Only the loop's own callbacks may: between turns it would be gone at once. */
	if (loop == NULL || !turning || below(LOOP_ENDS) != 0)
		return;
	loop = NULL;
	if (below(2) == 0) {
		tend_listener_stop(listener);
		listener = NULL;
	}
	tend_loop_free(old);
}

static const struct tend_conn_hooks hooks, other_hooks;

static void come_and_go(struct place *p);

static void
do_something(struct tend_conn *c)
{
	struct tend_conn *other = anybody();
	struct tend_conn *victim = other != NULL && below(2) == 0 ? other : c;

	switch (below(24)) {
	case 0:
		tend_close(victim);
		break;
	case 1:
		tend_abort(victim);
		break;
	case 2:
		tend_shutdown(victim);
		break;
	case 3:
		tend_conn_watch(victim, TEND_READ, below(3) != 0);
		break;
	case 4:
		tend_conn_watch(victim, TEND_WRITE, below(4) == 0);
		break;
	case 5:
		tend_set_timeout(victim, below(2) == 0 ? 0.001 : 10);
		break;
	case 6:
		let_go(victim);
		break;
	case 7:
		tend_conn_discard(victim);
		break;
	case 8:
		tend_set_deadline(victim, below(4) == 0 ? 0.001 : 10);
		break;
	case 9:
		if (loop != NULL)
			tend_loop_stop(loop);
		break;
	case 10:
		tend_conn_keep_open(victim, below(2) == 0);
		break;
	case 11:
		end_the_loop();
		break;
	case 12:
		tend_flush(victim);
		break;
	case 13:
		tend_conn_set_hooks(victim, below(2) == 0 ? &hooks : &other_hooks);
		break;
	case 14:
		tend_conn_set_marks(victim, below(2000), below(1000));
		break;
	case 15:
		tend_conn_cork(victim, below(2) == 0);
		break;
	case 16:
		read_something(victim);
		break;
	case 17:
		come_and_go(&places[below(PLACES)]);
		break;
	case 18:
		if (turning && loop != NULL)
			assert_int_equal(tend_loop_turn(loop, 0), -EBUSY);
		break;
	case 19:
		change_transport(victim);
		break;
	default:
		write_something(victim);
	}
}

/* ---- the callbacks ---- */

static void
happen(struct tend_conn *c)
{
	callbacks++;
	if (below(4) == 0)
		do_something(c);
	if (below(2) == 0)
		read_something(c);
	if (below(2) == 0)
		do_something(c);
}

static void
break_down(struct tend_conn *c, int error)
{
	assert_true(error < 0);
	happen(c);
}

static void
tell_end(struct tend_conn *c)
{
	struct place *p = tend_conn_data(c);
	char text[100];

	callbacks++;
	ended++;
	if (p != NULL) {
		assert_ptr_equal(p->c, c);
		p->c = NULL;
	}
	assert_non_null(tend_peer(c));
	tend_conn_reason(c);
	tend_conn_describe(c, text, sizeof(text));
	/* What is closed takes nothing, and says so; nothing brings it back. */
	assert_int_equal(tend_write(c, "x", 1), -ENOTCONN);
	do_something(c);
}

static void
welcome(struct tend_conn *c)
{
	opened++;
	tend_conn_set_data(c, NULL, NULL);
	happen(c);
}

static const struct tend_conn_hooks hooks = {
	.accepted = welcome,
	.connected = happen,
	.readable = happen,
	.drained = happen,
	.ended = happen,
	.failed = break_down,
	.timed_out = happen,
	.closed = tell_end,
};

/* One who does not care for much. */
static const struct tend_conn_hooks other_hooks = {
	.accepted = welcome,
	.readable = read_something,
	.closed = tell_end,
};

static void
tick(struct tend_timer *t)
{
	struct tend_conn *c = anybody();

	(void)t;
	if (c != NULL)
		happen(c);
}

static void
put_off(struct tend_later *l)
{
	struct tend_conn *c = anybody();

	(void)l;
	if (c != NULL)
		happen(c);
}

/* ---- the world ---- */

/* A connection for an empty place: of a pair of sockets, or to the listener. */
static void
come(struct place *p)
{
	const struct tend_conn_hooks *h = below(4) == 0 ? &other_hooks : &hooks;
	int pair[2], r;

	if (p->client >= 0)
		close(p->client);
	p->client = -1;
	if (listener != NULL && below(3) == 0) {
		r = tend_conn_connect(&p->c, loop, tend_listener_address(listener),
		    below(8) == 0 ? 0 : 5, h, p);
	} else {
		assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0, pair), 0);
		p->client = pair[1];
		r = tend_conn_new(&p->c, loop, pair[0], h, p);
	}
	if (r < 0)
		p->c = NULL;
	else
		opened++;
}

static void
come_and_go(struct place *p)
{
	char scrap[50000];

	if (p->c == NULL && loop != NULL)
		come(p);
	if (p->client < 0)
		return;
	switch (below(8)) {
	case 0:
		close(p->client);
		p->client = -1;
		break;
	case 1:
		shutdown(p->client, SHUT_WR);
		break;
	case 2:
		while (recv(p->client, scrap, sizeof(scrap), MSG_DONTWAIT) > 0)
			;
		break;
	case 3:
		recv(p->client, scrap, 1000, MSG_DONTWAIT);
		break;
	default:
		memset(scrap, below(2) == 0 ? 'x' : '\n', 3000);
		send(p->client, scrap, below(3000), MSG_DONTWAIT | MSG_NOSIGNAL);
	}
}

static void
begin(void)
{
	loop = tend_loop_new(poller);
	assert_non_null(loop);
	assert_int_equal(tend_listener_start(&listener, loop, "127.0.0.1:0", &hooks, NULL), 0);
	tend_timer_init(&timer, tick, NULL);
	tend_timer_repeat(loop, &timer, 0.001);
	tend_later_init(&later, put_off, NULL);
}

static void
go_on(void)
{
	struct tend_loop *now = loop;
	struct tend_conn *c;
	int i;

	for (i = 0; i < 4; i++)
		come_and_go(&places[below(PLACES)]);
	if (below(3) == 0)
		tend_later_start(loop, &later);
	c = anybody();
	/* Outside of a turn as well. */
	if (c != NULL && below(8) == 0)
		do_something(c);
	if (loop == NULL)
		return;
	turning = true;
	assert_int_equal(tend_loop_turn(now, 0), 0);
	turning = false;
}

static void
everything_may_be_closed_from_inside_every_callback(void **state)
{
	const char *text = getenv("TEND_TEST_TORTURE"), *seed = getenv("TEND_TEST_SEED");
	unsigned long most = text != NULL ? strtoul(text, NULL, 10) : CALLBACKS, loops = 0;
	int i;

	poller = *state;
	dice = seed != NULL ? strtoull(seed, NULL, 10) : (uint64_t)clock_now() | 1;
	print_message("# seed %llu\n", (unsigned long long)dice);
	callbacks = given = released = promised = kept = opened = ended = wrapped = unwrapped = 0;
	for (i = 0; i < PLACES; i++)
		places[i] = (struct place){ NULL, -1 };
	while (callbacks < most) {
		begin();
		for (loops++; loop != NULL && callbacks < most;)
			go_on();
		if (loop != NULL) {
			struct tend_loop *old = loop;

			loop = NULL;
			tend_loop_free(old);
		}
		tend_listener_stop(listener);
		listener = NULL;
		/* With their loop all of them have come to their end. */
		assert_int_equal(opened, ended);
		assert_int_equal(given, released);
		assert_int_equal(promised, kept);
		assert_int_equal(wrapped, unwrapped);
	}
	for (i = 0; i < PLACES; i++)
		if (places[i].client >= 0)
			close(places[i].client);
	print_message("# %lu callbacks, %lu connections, %lu loops\n", callbacks, opened, loops);
}

#define ON(name, test) { name ": " #test, test, NULL, NULL, (void *)(uintptr_t)name }

int
main(void)
{
	const struct CMUnitTest tests[] = {
		ON_POLLERS(ON, everything_may_be_closed_from_inside_every_callback),
	};

	signal(SIGPIPE, SIG_IGN);
	return cmocka_run_group_tests(tests, NULL, NULL);
}
