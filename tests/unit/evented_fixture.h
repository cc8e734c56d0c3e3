/*
 * An evented connection and its client in one process, on each poller and over each kind of
 * transport. Hooks write down that they ran, and then do what the test says.
 */
#ifndef TESTS_UNIT_EVENTED_FIXTURE_H
#define TESTS_UNIT_EVENTED_FIXTURE_H

#include "config.h"
#include "conn_fixture.h"
#include "loop/loop.h"
#include "net/evented.h"
#include "pollers.h"

struct stage {
	const char *poller;
	int (*pair)(int pair[2]);
	const struct tend_transport *transport;
};

/* The one connection of a test. `meeting` of conn_fixture.h is its transport and its client. */
static struct scene {
	struct tend_loop      *loop;
	struct evented_mood    mood;
	struct tend_conn_hooks hooks;
	struct tend_conn      *c; /* NULL: it is closed, and was told of */
	struct evented        *m;
	char                   trace[512];
	char                   heard[1 << 16]; /* by the hooks */
	size_t                 heard_size;
	int                    error, reason; /* of `failed`, at `closed` */
	unsigned               closed;
	/* What the hooks do; NULL: nothing. */
	void (*on_readable)(struct tend_conn *c);
	void (*on_drained)(struct tend_conn *c);
	void (*on_ended)(struct tend_conn *c);
	void (*on_failed)(struct tend_conn *c);
	void (*on_timed_out)(struct tend_conn *c);
	void (*on_closed)(struct tend_conn *c);
} scene;

static inline void
note(const char *what)
{
	size_t n = strlen(scene.trace);

	snprintf(scene.trace + n, sizeof(scene.trace) - n, "%s%s", n > 0 ? " " : "", what);
}

/* ---- hooks ---- */

static inline void
perform(void (*act)(struct tend_conn *c), struct tend_conn *c)
{
	if (act != NULL)
		act(c);
}

static inline void
note_readable(struct tend_conn *c)
{
	note("readable");
	perform(scene.on_readable, c);
}

static inline void
note_drained(struct tend_conn *c)
{
	note("drained");
	perform(scene.on_drained, c);
}

static inline void
note_ended(struct tend_conn *c)
{
	note("ended");
	perform(scene.on_ended, c);
}

static inline void
note_failed(struct tend_conn *c, int error)
{
	note("failed");
	scene.error = error;
	perform(scene.on_failed, c);
}

static inline void
note_timed_out(struct tend_conn *c)
{
	note("timed_out");
	perform(scene.on_timed_out, c);
}

static inline void
note_closed(struct tend_conn *c)
{
	note("closed");
	scene.closed++;
	scene.reason = tend_conn_reason(c);
	perform(scene.on_closed, c);
	if (c == scene.c)
		scene.c = NULL;
}

/* Reads all there is. */
static inline void
listen_to(struct tend_conn *c)
{
	ssize_t n;

	while ((n = tend_read(c, scene.heard + scene.heard_size,
	            sizeof(scene.heard) - 1 - scene.heard_size)) > 0) {
		scene.heard_size += (size_t)n;
		scene.heard[scene.heard_size] = '\0';
	}
}

static inline void
send_back(struct tend_conn *c)
{
	char bytes[5000];
	ssize_t n;

	while ((n = tend_read(c, bytes, sizeof(bytes))) > 0)
		assert_int_equal(tend_write(c, bytes, (size_t)n), n);
}

/* ---- the loop ---- */

static inline void
turn(void)
{
	assert_int_equal(tend_loop_turn(scene.loop, 0), 0);
}

static inline void
turns(int n)
{
	while (n-- > 0)
		turn();
}

/* Turns until it is so; what never becomes so fails. */
#define TURN_UNTIL(condition) \
	do { \
		int64_t begun_ = clock_now(); \
		while (!(condition)) { \
			assert_int_equal(tend_loop_turn(scene.loop, 0.1), 0); \
			if (since(begun_) > PATIENCE) \
				fail_msg("never: %s; %s", #condition, scene.trace); \
		} \
	} while (0)

/* The hooks that ran since the last look. */
#define EXPECT_TRACE(text) \
	do { \
		assert_string_equal(scene.trace, text); \
		scene.trace[0] = '\0'; \
	} while (0)

static inline void
forget_trace(void)
{
	scene.trace[0] = '\0';
}

/* All that is sent until `size` bytes are there, while the loop turns. */
static inline size_t
client_collects(struct meeting *m, char *into, size_t size)
{
	size_t have = 0;
	int64_t begun = clock_now();

	while (have < size && since(begun) < PATIENCE) {
		ssize_t n = recv(m->client, into + have, size - have, MSG_DONTWAIT);

		if (n == 0)
			break;
		if (n > 0) {
			on_the_wire(m, into + have, (size_t)n);
			have += (size_t)n;
		} else {
			assert_int_equal(errno, EAGAIN);
		}
		assert_int_equal(tend_loop_turn(scene.loop, n > 0 ? 0 : 0.01), 0);
	}
	return have;
}

/* The end has come, while the loop turns; nothing before it. */
static inline void
client_is_told_the_end(struct meeting *m)
{
	char byte;
	int64_t begun = clock_now();

	while (recv(m->client, &byte, 1, MSG_DONTWAIT) != 0) {
		assert_int_equal(errno, EAGAIN);
		assert_true(since(begun) < PATIENCE);
		assert_int_equal(tend_loop_turn(scene.loop, 0.01), 0);
	}
}

/* More than any kernel takes from a client who does not read. */
static inline void
fill_the_kernel(struct tend_conn *c)
{
	static const char bytes[60000];

	while (tend_conn_queued(c) == 0)
		assert_int_equal(tend_write(c, bytes, sizeof(bytes)), sizeof(bytes));
}

/* ---- around a test ---- */

static inline int
unix_pair(int pair[2])
{
	return socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, pair);
}

static inline int
inet_pair(int pair[2])
{
	return tcp_pair(AF_INET, pair);
}

static inline int
set_stage(void **state)
{
	const struct stage *stage = *state;
	int pair[2];

	memset(&scene, 0, sizeof(scene));
	if (stage->pair(pair) < 0 || meeting_open(&meeting, stage->transport, pair) < 0)
		return -1;
	meeting.transport.handshake = NULL; /* done already */
	conn_init(&meeting.c); /* the fixture's own: there is another */
	meeting.limits = (struct conn_limits){
		.linger = 20 * CLOCK_SECOND, .max_line = 65536, .max_output = 1 << 20,
	};
	scene.loop = tend_loop_new(stage->poller);
	if (scene.loop == NULL)
		return -1;
	scene.hooks = (struct tend_conn_hooks){
		.readable = note_readable, .drained = note_drained, .ended = note_ended,
		.failed = note_failed, .timed_out = note_timed_out, .closed = note_closed,
	};
	scene.on_readable = listen_to;
	evented_mood_init(&scene.mood, conns_of(scene.loop));
	scene.mood.mood.limits = &meeting.limits;
	scene.mood.mood.server = &scene;
	scene.mood.mood.drain = conns_of(scene.loop)->plain->mood.drain;
	scene.mood.mood.data = conns_of(scene.loop);
	scene.mood.hooks = &scene.hooks;
	if (evented_new(&scene.m, &scene.mood, pair[0], &meeting.listener, NULL) < 0)
		return -1;
	scene.c = &scene.m->c;
	if (meeting_wrap(&meeting, scene.c) < 0)
		return -1;
	evented_begin(scene.m);
	*state = &meeting;
	return 0;
}

static inline int
strike_stage(void **state)
{
	struct meeting *m = *state;

	if (m->client >= 0)
		close(m->client);
	if (scene.loop != NULL)
		tend_loop_free(scene.loop);
	close(m->interrupt[0]);
	close(m->interrupt[1]);
	return scene.c != NULL || scene.closed > 1 ? -1 : 0;
}

#define STAGE(poller, transport, pair) \
	(void *)(uintptr_t)&(const struct stage){ poller, pair, transport }
#define ACT(poller, kind, transport, pair, test) \
	{ poller " " kind ": " #test, test, set_stage, strike_stage, STAGE(poller, transport, pair) }

#define ACT_ON_EACH(kind, transport, pair, test) ON_POLLERS(ACT, kind, transport, pair, test)

#define ON_TCP(test) ACT_ON_EACH("tcp", &transport_tcp, inet_pair, test)
#define ON_UNIX(test) ACT_ON_EACH("unix", &transport_unix, unix_pair, test)
#define ON_PLAIN(test) ON_TCP(test), ON_UNIX(test)
#define ON_ALL(test) ON_PLAIN(test), ACT_ON_EACH("awkward", &transport_awkward, inet_pair, test)

#endif
