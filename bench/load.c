/*
 * The client of the benchmarks: many short connections to one port of 127.0.0.1, a given
 * number of them at a time. Each connects, sends a request of 64 bytes that ends in a newline,
 * reads the answer of 64 bytes and waits for end of file. Prints one line of JSON.
 *
 * It shares a machine with the server it measures, so it spends as little as it can: the
 * request is sent without waiting for the handshake (on loopback it is complete when connect()
 * returns), and epoll reports one event for each connection, the server's end of file, by
 * which time the answer is there. The server closes first and so keeps the TIME_WAIT state;
 * where a server makes the client close first and local ports run out, further source
 * addresses of 127/8 are used.
 */
#include <errno.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <sysexits.h>
#include <unistd.h>

#include "client.h"

#define MESSAGE 64
#define CONCURRENCY_MAX 4096
#define CONNECTIONS_MAX 100000000
#define LAST_SOURCE 20          /* 127.0.0.20 */
#define PATIENCE_NS 10000000000 /* for the connections in flight when the time is over */

/* 63 characters and a newline. */
static const char request[] =
    "what does it cost to accept me, to answer me, and to let me go?\n";
_Static_assert(sizeof(request) == MESSAGE + 1, "the request has 64 bytes");

struct options {
	long port;
	long connections;
	long concurrency;
	double seconds;
};

struct slot {
	int fd; /* -1: not in use */
	bool sent;
	int64_t since;
};

struct load {
	struct options options;
	struct sockaddr_in to;
	int epoll;
	int source; /* last part of the source address; 1: leave it to the kernel */
	struct slot *slots;
	long started;
	long in_flight;
	long answered;
	struct client_errors errors;
	int64_t stop_starting;
	uint32_t *latency; /* microseconds, one for each answered connection */
};

/* Closes the connection of a slot; `what` is NULL when it was answered as it should be. */
static void
finish(struct load *l, struct slot *s, const char *what, int error)
{
	if (what != NULL)
		client_note(&l->errors, what, error);
	else
		l->latency[l->answered++] = (uint32_t)((client_now() - s->since) / 1000);
	close(s->fd);
	s->fd = -1;
	l->in_flight--;
}

static int
begin_connect(struct load *l, int fd)
{
	if (client_bind(fd, l->source) < 0)
		return -1;
	if (connect(fd, (struct sockaddr *)&l->to, sizeof(l->to)) == 0 || errno == EINPROGRESS)
		return 0;
	return -1;
}

static void
close_keeping_errno(int fd)
{
	int saved = errno;

	close(fd);
	errno = saved;
}

static int
open_connection(struct load *l)
{
	int fd, tries;

	for (tries = 0; tries < LAST_SOURCE; tries++) {
		fd = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
		if (fd < 0)
			client_fail("make a socket");
		if (begin_connect(l, fd) == 0)
			return fd;
		close_keeping_errno(fd);
		/* EADDRNOTAVAIL: no local port is free, go on from the next address. */
		if (errno != EADDRNOTAVAIL)
			break;
		l->source = l->source % LAST_SOURCE + 1;
	}
	client_note(&l->errors, "connect", errno);
	return -1;
}

/* 0 or an errno value. If the request must wait for the handshake, `sent` stays false. */
static int
send_request(struct slot *s)
{
	ssize_t n = send(s->fd, request, MESSAGE, MSG_NOSIGNAL);

	if (n == MESSAGE)
		s->sent = true;
	else if (n >= 0)
		return EMSGSIZE; /* into an empty buffer? not on any kernel we know */
	else if (errno != EAGAIN && errno != ENOTCONN)
		return errno;
	return 0;
}

static void
watch(struct load *l, struct slot *s, int operation)
{
	struct epoll_event e = { .events = s->sent ? EPOLLRDHUP : EPOLLRDHUP | EPOLLOUT };

	e.data.u32 = (uint32_t)(s - l->slots);
	if (epoll_ctl(l->epoll, operation, s->fd, &e) < 0)
		client_fail("watch a connection");
}

/* Starts the next connection in a free slot, unless enough have been started. */
static void
start(struct load *l, struct slot *s)
{
	int64_t since = client_now();
	int error;

	while (s->fd < 0 && l->started < l->options.connections && since < l->stop_starting) {
		l->started++;
		s->fd = open_connection(l);
		if (s->fd < 0)
			continue;
		s->since = since;
		s->sent = false;
		l->in_flight++;
		error = send_request(s);
		if (error == 0)
			watch(l, s, EPOLL_CTL_ADD);
		else
			finish(l, s, "send", error);
	}
}

/* The server has closed: what it sent must be the answer, all of it and no more. */
static void
receive(struct load *l, struct slot *s)
{
	char answer[2 * MESSAGE];
	size_t have = 0;
	ssize_t n;

	do {
		n = recv(s->fd, answer + have, sizeof(answer) - have, 0);
		if (n > 0)
			have += (size_t)n;
	} while (n > 0 && have < MESSAGE);
	if (n < 0)
		finish(l, s, "receive", errno);
	else if (have != MESSAGE || answer[MESSAGE - 1] != '\n')
		finish(l, s, "the answer is not a line of 64 bytes", 0);
	else
		finish(l, s, NULL, 0);
}

static void
happened(struct load *l, struct slot *s, uint32_t events)
{
	int error;

	if (events & (EPOLLRDHUP | EPOLLHUP | EPOLLERR)) {
		receive(l, s);
		start(l, s);
		return;
	}
	error = send_request(s);
	if (error != 0) {
		finish(l, s, "send", error);
		start(l, s);
	} else if (s->sent) {
		watch(l, s, EPOLL_CTL_MOD);
	}
}

/* Turns until all is done, or until those in flight have used up our patience. */
static void
run(struct load *l)
{
	struct epoll_event events[64];
	int64_t deadline = l->stop_starting + PATIENCE_NS, left;
	int i, n;

	for (i = 0; i < l->options.concurrency; i++)
		start(l, &l->slots[i]);
	while (l->in_flight > 0) {
		left = (deadline - client_now()) / 1000000;
		if (left <= 0)
			break;
		n = epoll_wait(l->epoll, events, 64, left > 1000 ? 1000 : (int)left);
		if (n < 0 && errno != EINTR)
			client_fail("wait for events");
		for (i = 0; i < n; i++)
			happened(l, &l->slots[events[i].data.u32], events[i].events);
	}
	for (i = 0; i < l->options.concurrency; i++)
		if (l->slots[i].fd >= 0)
			finish(l, &l->slots[i], "no answer in time", 0);
}

static int
by_value(const void *a, const void *b)
{
	uint32_t x = *(const uint32_t *)a, y = *(const uint32_t *)b;

	return (x > y) - (x < y);
}

/* The latency that `part` of the connections did not exceed (nearest rank). */
static uint32_t
percentile(const struct load *l, double part)
{
	long rank = (long)((double)l->answered * part);

	if (l->answered == 0)
		return 0;
	return l->latency[rank < l->answered ? rank : l->answered - 1];
}

static void
report(struct load *l, double seconds)
{
	qsort(l->latency, (size_t)l->answered, sizeof(*l->latency), by_value);
	/* The sentences of strerror() and ours hold nothing that JSON would want escaped. */
	printf("{\"connections\": %ld, \"errors\": %ld, \"seconds\": %.6f, \"p50_us\": %u, "
	       "\"p99_us\": %u, \"first_error\": \"%s\"}\n",
	    l->answered, l->errors.count, seconds, percentile(l, 0.50), percentile(l, 0.99),
	    l->errors.first);
}

static struct options
parse(int argc, char **argv)
{
	struct options o = { .connections = 20000, .concurrency = 16, .seconds = 60 };
	int i;

	for (i = 1; i + 1 < argc; i += 2) {
		const char *name = argv[i], *value = argv[i + 1];

		if (strcmp(name, "--port") == 0)
			o.port = (long)client_number(name, value, 1, 65535);
		else if (strcmp(name, "--connections") == 0)
			o.connections = (long)client_number(name, value, 1, CONNECTIONS_MAX);
		else if (strcmp(name, "--concurrency") == 0)
			o.concurrency = (long)client_number(name, value, 1, CONCURRENCY_MAX);
		else if (strcmp(name, "--seconds") == 0)
			o.seconds = client_number(name, value, 0.01, 3600);
		else
			break;
	}
	if (i < argc || o.port == 0) {
		fprintf(stderr, "usage: load --port N [--connections N] [--concurrency N] "
				"[--seconds S]\nends after N connections or S seconds, "
				"whichever comes first\n");
		exit(EX_USAGE);
	}
	return o;
}

static void
init(struct load *l, const struct options *o)
{
	long i;

	memset(l, 0, sizeof(*l));
	l->options = *o;
	l->source = 1;
	l->to = client_target(o->port);
	l->slots = calloc((size_t)o->concurrency, sizeof(*l->slots));
	l->latency = calloc((size_t)o->connections, sizeof(*l->latency));
	l->epoll = epoll_create1(EPOLL_CLOEXEC);
	if (l->slots == NULL || l->latency == NULL || l->epoll < 0)
		client_fail("prepare");
	for (i = 0; i < o->concurrency; i++)
		l->slots[i].fd = -1;
}

int
main(int argc, char **argv)
{
	struct options o = parse(argc, argv);
	struct load l;
	int64_t begin;

	init(&l, &o);
	begin = client_now();
	l.stop_starting = begin + (int64_t)(o.seconds * 1e9);
	run(&l);
	report(&l, (double)(client_now() - begin) / 1e9);
	close(l.epoll);
	free(l.latency);
	free(l.slots);
	return l.errors.count > 0 ? EXIT_FAILURE : EXIT_SUCCESS;
}
