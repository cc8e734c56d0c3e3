/*
 * A connection and its client in one process, over each kind of transport. The client's end is a
 * plain descriptor; what cannot be done from one thread is done by a client in a child process.
 */
#ifndef TESTS_UNIT_CONN_FIXTURE_H
#define TESTS_UNIT_CONN_FIXTURE_H

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <errno.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include "awkward.h"
#include "base/clock.h"
#include "net/conn.h"
#include "net/plain.h"

/* Nothing that works takes so long; it is only the end of what hangs. */
#define PATIENCE 20.0

/* Chance, the same in every run unless a test sets `dice`. */
static uint64_t dice = 88172645463325252UL;

static inline unsigned
below(unsigned n)
{
	dice ^= dice << 13;
	dice ^= dice >> 7;
	dice ^= dice << 17;
	return (unsigned)((dice >> 11) % n);
}

struct meeting {
	struct tend_conn   c;
	struct listener    listener;
	struct conn_limits limits;
	struct conn_mood   mood;
	struct tend_transport transport; /* `real`, but it counts its calls */
	const struct tend_transport *real;
	int                client;       /* the client's end; -1: closed */
	int                interrupt[2]; /* what a signal would make readable */
	bool               stop;         /* what `cancelled` answers */
	unsigned           reads, writes;
};

static struct meeting meeting;
static struct awkward awkward;

/* ---- the connection's side ---- */

static inline ssize_t
counting_read(struct tend_conn *c, void *into, size_t size)
{
	meeting.reads++;
	return meeting.real->read(c, into, size);
}

static inline ssize_t
counting_write(struct tend_conn *c, const struct iovec *parts, int count)
{
	meeting.writes++;
	return meeting.real->write(c, parts, count);
}

/* As the server's: empties the descriptor and says whether to come to an end. */
static inline bool
meeting_cancelled(void *data)
{
	struct meeting *m = data;
	char bytes[16];

	while (read(m->interrupt[0], bytes, sizeof(bytes)) > 0)
		;
	return m->stop;
}

static inline void
signal_arrives(struct meeting *m, bool stop)
{
	m->stop = stop;
	assert_int_equal(write(m->interrupt[1], "", 1), 1);
}

static inline int
meeting_open(struct meeting *m, const struct tend_transport *real, const int pair[2])
{
	memset(m, 0, sizeof(*m));
	memset(&awkward, 0, sizeof(awkward));
	if (pipe2(m->interrupt, O_CLOEXEC | O_NONBLOCK) < 0)
		return -1;
	m->real = real;
	m->transport = *real;
	m->transport.read = counting_read;
	m->transport.write = counting_write;
	m->client = pair[1];
	m->listener = (struct listener){
		.fd = -1,
		.transport = real == &transport_awkward ? &transport_tcp : &m->transport,
		.service = (char *)(uintptr_t)"7007",
		.configured_port = (char *)(uintptr_t)"7007",
		.proto_upper = (char *)(uintptr_t)"TEST",
	};
	m->limits = (struct conn_limits){
		.idle = 20 * CLOCK_SECOND,
		.linger = 20 * CLOCK_SECOND,
		.max_line = 65536,
	};
	m->mood = (struct conn_mood){
		.wait = conn_wait_blocking,
		.limits = &m->limits,
		.server = m,
		.interrupt_fd = m->interrupt[0],
		.cancelled = meeting_cancelled,
		.data = m,
	};
	conn_open(&m->c, pair[0], &m->listener, NULL, &m->mood);
	return 0;
}

/* Puts the awkward one over a connection, where that is what the test is about. 0 or -errno. */
static inline int
meeting_wrap(struct meeting *m, struct tend_conn *c)
{
	return m->real == &transport_awkward ? tend_conn_set_transport(c, &m->transport, &awkward) : 0;
}

static inline int
over_unix(void **state)
{
	int pair[2];

	*state = &meeting;
	if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, pair) < 0)
		return -1;
	return meeting_open(&meeting, &transport_unix, pair);
}

/* A connected pair over the loopback of `family`. */
static inline int
tcp_pair(int family, int pair[2])
{
	struct addr a = { .length = sizeof(a.u) };
	int fd = socket(family, SOCK_STREAM | SOCK_CLOEXEC, 0);

	memset(&a.u, 0, sizeof(a.u));
	a.u.any.sa_family = (sa_family_t)family;
	if (family == AF_INET)
		a.u.v4.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
	else
		a.u.v6.sin6_addr = in6addr_loopback;
	a.length = family == AF_INET ? sizeof(a.u.v4) : sizeof(a.u.v6);
	if (fd < 0 || bind(fd, &a.u.any, a.length) < 0 || listen(fd, 1) < 0 ||
	    addr_of_socket(&a, fd) < 0)
		return -1;
	pair[1] = socket(family, SOCK_STREAM | SOCK_CLOEXEC, 0);
	if (pair[1] < 0 || connect(pair[1], &a.u.any, a.length) < 0)
		return -1;
	pair[0] = accept4(fd, NULL, NULL, SOCK_CLOEXEC);
	close(fd);
	return pair[0] < 0 ? -1 : 0;
}

static inline int
over_tcp(void **state)
{
	int pair[2];

	*state = &meeting;
	if (tcp_pair(AF_INET, pair) < 0)
		return -1;
	return meeting_open(&meeting, &transport_tcp, pair);
}

/* Shaken hands with already. */
static inline int
over_awkward(void **state)
{
	int pair[2];

	*state = &meeting;
	if (tcp_pair(AF_INET, pair) < 0 || meeting_open(&meeting, &transport_awkward, pair) < 0)
		return -1;
	if (send(pair[1], "hhh", AWKWARD_ROUNDS, 0) != AWKWARD_ROUNDS)
		return -1;
	return meeting_wrap(&meeting, &meeting.c);
}

static inline int
part(void **state)
{
	struct meeting *m = *state;

	/* First, so that a close does not linger for it. */
	if (m->client >= 0)
		close(m->client);
	conn_close(&m->c);
	conn_done(&m->c);
	close(m->interrupt[0]);
	close(m->interrupt[1]);
	return m->real == &transport_awkward && awkward.done != 1 ? -1 : 0;
}

#define OVER_UNIX(test) { #test " (unix)", test, over_unix, part, NULL }
#define OVER_TCP(test) { #test " (tcp)", test, over_tcp, part, NULL }
#define OVER_AWKWARD(test) { #test " (awkward)", test, over_awkward, part, NULL }
#define EVERYWHERE(test) OVER_UNIX(test), OVER_TCP(test), OVER_AWKWARD(test)

/* ---- the client's side; also for children, so it returns what happened ---- */

static inline void
on_the_wire(const struct meeting *m, char *bytes, size_t size)
{
	size_t i;

	for (i = 0; m->real == &transport_awkward && i < size; i++)
		bytes[i] = (char)(bytes[i] ^ AWKWARD_KEY);
}

/* 0 or -errno. */
static inline int
client_send(struct meeting *m, const char *data, size_t size)
{
	char piece[4096];

	while (size > 0) {
		size_t want = size < sizeof(piece) ? size : sizeof(piece);
		ssize_t n;

		memcpy(piece, data, want);
		on_the_wire(m, piece, want);
		n = send(m->client, piece, want, MSG_NOSIGNAL);
		if (n < 0)
			return -errno;
		data += n;
		size -= (size_t)n;
	}
	return 0;
}

/* What is there, once something is: bytes, 0 at the end, -errno; -ETIMEDOUT: it hangs. */
static inline ssize_t
client_receive(struct meeting *m, char *into, size_t size)
{
	struct pollfd p = { .fd = m->client, .events = POLLIN };
	ssize_t n;

	if (poll(&p, 1, (int)(PATIENCE * 1000)) != 1)
		return -ETIMEDOUT;
	n = recv(m->client, into, size, 0);
	/* No more than `size` ever; said so that the compiler knows it too. */
	if (n > 0)
		on_the_wire(m, into, (size_t)n < size ? (size_t)n : size);
	return n < 0 ? -errno : n;
}

/* All of `size`, fewer at the end, or -errno. */
static inline ssize_t
client_receive_all(struct meeting *m, char *into, size_t size)
{
	size_t have = 0;

	while (have < size) {
		ssize_t n = client_receive(m, into + have, size - have);

		if (n < 0)
			return n;
		if (n == 0)
			break;
		have += (size_t)n;
	}
	return (ssize_t)have;
}

static inline void
client_says(struct meeting *m, const char *text)
{
	assert_int_equal(client_send(m, text, strlen(text)), 0);
}

static inline void
client_hears(struct meeting *m, const char *text)
{
	char heard[4096];
	size_t size = strlen(text);

	assert_true(size < sizeof(heard));
	assert_int_equal(client_receive_all(m, heard, size), size);
	assert_memory_equal(heard, text, size);
}

static inline void
client_hears_the_end(struct meeting *m)
{
	char byte;

	assert_int_equal(client_receive(m, &byte, 1), 0);
}

static inline void
client_hears_nothing(struct meeting *m)
{
	char byte;

	assert_int_equal(recv(m->client, &byte, 1, MSG_DONTWAIT | MSG_PEEK), -1);
	assert_int_equal(errno, EAGAIN);
}

/* Ends its output and goes on listening. */
static inline void
client_finishes(struct meeting *m)
{
	assert_int_equal(shutdown(m->client, SHUT_WR), 0);
}

static inline void
client_leaves(struct meeting *m)
{
	close(m->client);
	m->client = -1;
}

/* With a reset, over TCP. */
static inline void
client_slams_the_door(struct meeting *m)
{
	struct linger reset = { .l_onoff = 1, .l_linger = 0 };

	assert_int_equal(setsockopt(m->client, SOL_SOCKET, SO_LINGER, &reset, sizeof(reset)), 0);
	client_leaves(m);
}

/* A client of its own accord: `act` runs in a child that has only the client's end; 0 is well. */
static inline pid_t
client_start(struct meeting *m, int (*act)(struct meeting *m))
{
	pid_t pid = fork();

	if (pid == 0) {
		alarm(60);
		close(m->c.fd);
		_exit(act(m) & 0xff);
	}
	assert_true(pid > 0);
	client_leaves(m);
	return pid;
}

static inline void
client_has_done_well(pid_t pid)
{
	int status = -1;

	assert_int_equal(waitpid(pid, &status, 0), pid);
	assert_int_equal(status, 0);
}

/* ---- time ---- */

static inline double
since(int64_t begun)
{
	return clock_to_seconds(clock_now() - begun);
}

/* Never early; late only by what a busy machine may cost. */
static inline void
assert_lasted(int64_t begun, double seconds)
{
	double took = since(begun);

	if (took < seconds || took > PATIENCE / 2)
		fail_msg("%g s instead of %g", took, seconds);
}

/* ---- reading ---- */

static inline void
handler_reads(struct tend_conn *c, const char *text)
{
	char bytes[4096];
	size_t have = 0, size = strlen(text);

	assert_true(size <= sizeof(bytes));
	while (have < size) {
		ssize_t n = tend_read(c, bytes + have, size - have);

		assert_true(n > 0);
		have += (size_t)n;
	}
	assert_memory_equal(bytes, text, size);
}

static inline void
handler_gets_line(struct tend_conn *c, const char *text)
{
	char *line = NULL;

	assert_int_equal(tend_getline(c, &line), strlen(text) + 1);
	assert_string_equal(line, text);
}

static inline void
handler_reads_the_end(struct tend_conn *c)
{
	char byte;

	assert_int_equal(tend_read(c, &byte, 1), 0);
}

#endif
