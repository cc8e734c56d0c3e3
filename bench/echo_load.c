/*
 * The other client of the benchmarks: connections that stay, to an echo server on 127.0.0.1 or on a
 * unix socket. Each keeps a number of messages under way and checks every byte that comes back.
 *
 * bench/run looks at the server between the steps, so each step waits to be told:
 *
 *	connects, and with --warm-up N sends N messages a connection	prints "ready"
 *	a line on standard input: a window				prints one line of JSON
 *	end of file: closes everything and ends
 *
 * Its own cost is kept down as in load.c: one clock reading a batch of events, no epoll_ctl unless a
 * write was cut short, and the messages of a connection are pieces of one stream that all of them
 * share, from different places on, so that sending needs no copy and checking is one memcmp.
 */
#include <errno.h>
#include <netinet/tcp.h>
#include <signal.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <sysexits.h>
#include <time.h>
#include <unistd.h>

#include "client.h"

#define ROOM 65536
#define STREAM 1048576 /* the stream repeats after so much; a power of two */
#define APART 4160     /* how far the streams of two neighbours are apart */
#define DEPTH_MAX 1024
#define SIZE_MAX_ 1048576
#define CONNECTIONS_MAX 100000
#define MESSAGES_MAX 1e9
#define PER_SOURCE 20000  /* connections from one address: there are ports for 28 000 */
#define PATIENCE_NS 10000000000 /* without any progress */
#define STALL_NS 300000000 /* of a connection that only sends: then the server takes no more */

/* Latencies: exact below 64 us, then 32 steps for each doubling. */
#define STEP_BITS 5
#define STEPS (1 << STEP_BITS)
#define BUCKETS (STEPS * 28)

struct options {
	long port, connections, size, depth, messages, warm_up, push;
	double seconds;
	const char *path; /* of a unix socket; NULL: a port */
};

struct conn {
	int fd;         /* -1: given up */
	bool wants_out; /* the last write was cut short */
	uint64_t sent, received; /* bytes */
	uint64_t asked;          /* bytes to be sent, whole messages */
	int64_t *since;          /* of the messages under way, a ring of `depth` */
};

static struct options options;
static struct conn *conns;
static int epoll;
static char *stream; /* STREAM bytes, and ROOM of the beginning again */
static int64_t now;

static uint64_t quota, asked, answered; /* messages of the window */
static int64_t stop_asking;
static uint64_t answered_bytes;
static uint64_t latencies[BUCKETS];
static struct client_errors errors;

/* ---- the stream ---- */

/* Counters of eight bytes, multiplied so that every byte of them changes. */
static void
make_stream(void)
{
	uint64_t i, word;

	stream = malloc(STREAM + ROOM);
	if (stream == NULL)
		client_fail("allocate");
	for (i = 0; i < STREAM / sizeof(word); i++) {
		word = (i + 1) * UINT64_C(0x9e3779b97f4a7c15);
		memcpy(stream + i * sizeof(word), &word, sizeof(word));
	}
	memcpy(stream + STREAM, stream, ROOM);
}

static const char *
stream_at(const struct conn *c, uint64_t at)
{
	return stream + ((uint64_t)(c - conns) * APART + at) % STREAM;
}

/* ---- results ---- */

static void
give_up(struct conn *c, const char *what, int error)
{
	client_note(&errors, what, error);
	close(c->fd);
	c->fd = -1;
	/* What it still owed is not waited for. */
	answered += (c->asked - c->received + (uint64_t)options.size - 1) / (uint64_t)options.size;
}

static void
note_latency(int64_t ns)
{
	uint64_t us = ns > 0 ? (uint64_t)ns / 1000 : 0;
	unsigned shift = 0, bucket;

	while (us >> shift >= 2 * STEPS)
		shift++;
	bucket = shift * STEPS + (unsigned)(us >> shift);
	latencies[bucket < BUCKETS ? bucket : BUCKETS - 1]++;
}

/* The microseconds that `part` of the messages did not exceed. */
static uint64_t
percentile(double part)
{
	uint64_t all = 0, seen = 0;
	unsigned i, shift;

	for (i = 0; i < BUCKETS; i++)
		all += latencies[i];
	for (i = 0; i < BUCKETS; i++) {
		seen += latencies[i];
		if (seen > 0 && (double)seen >= part * (double)all)
			break;
	}
	if (i < 2 * STEPS || i >= BUCKETS)
		return i < BUCKETS ? i : 0;
	shift = i / STEPS - 1;
	return (uint64_t)(i - shift * STEPS) << shift;
}

static void
report(double seconds, uint64_t messages)
{
	/* The sentences of strerror() and ours hold nothing that JSON would want escaped. */
	printf("{\"messages\": %llu, \"bytes\": %llu, \"errors\": %ld, \"seconds\": %.6f, "
	       "\"p50_us\": %llu, \"p99_us\": %llu, \"first_error\": \"%s\"}\n",
	    (unsigned long long)messages, (unsigned long long)answered_bytes, errors.count, seconds,
	    (unsigned long long)percentile(0.50), (unsigned long long)percentile(0.99), errors.first);
	fflush(stdout);
}

/* ---- connections ---- */

/* As many descriptors as it takes. */
static void
raise_descriptors(void)
{
	struct rlimit l;

	if (getrlimit(RLIMIT_NOFILE, &l) < 0)
		client_fail("read the limit of descriptors");
	l.rlim_cur = l.rlim_max;
	if (setrlimit(RLIMIT_NOFILE, &l) < 0 || l.rlim_max < (rlim_t)options.connections + 16)
		client_fail("have so many descriptors");
}

/* From 127.0.0.1, and when its ports may run out from 127.0.0.2 and so on. */
static int
connect_tcp(long number)
{
	struct sockaddr_in to = client_target(options.port);
	int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0), on = 1;

	if (fd < 0)
		client_fail("make a socket");
	if (client_bind(fd, 1 + number / PER_SOURCE) < 0)
		client_fail("bind a source address");
	if (connect(fd, (struct sockaddr *)&to, sizeof(to)) < 0)
		client_fail("connect");
	if (setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof(on)) < 0)
		client_fail("set TCP_NODELAY");
	return fd;
}

static int
connect_unix(void)
{
	struct sockaddr_un to = { .sun_family = AF_UNIX };
	int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);

	if (fd < 0)
		client_fail("make a socket");
	memcpy(to.sun_path, options.path, strlen(options.path) + 1);
	if (connect(fd, (struct sockaddr *)&to, sizeof(to)) < 0)
		client_fail("connect");
	return fd;
}

/* Blocks until connected: that waits for nothing but room in the server's queue. */
static void
open_connection(struct conn *c)
{
	struct epoll_event e = { .events = EPOLLIN, .data.u32 = (uint32_t)(c - conns) };

	c->fd = options.path != NULL ? connect_unix() : connect_tcp(c - conns);
	if (epoll_ctl(epoll, EPOLL_CTL_ADD, c->fd, &e) < 0)
		client_fail("watch a connection");
}

static void
open_all(void)
{
	long i;

	conns = calloc((size_t)options.connections, sizeof(*conns));
	epoll = epoll_create1(EPOLL_CLOEXEC);
	if (conns == NULL || epoll < 0)
		client_fail("prepare");
	for (i = 0; i < options.connections; i++) {
		conns[i].since = calloc((size_t)options.depth, sizeof(*conns[i].since));
		if (conns[i].since == NULL)
			client_fail("allocate");
		open_connection(&conns[i]);
	}
}

static void
want_out(struct conn *c, bool wants)
{
	struct epoll_event e = { .events = EPOLLIN | (wants ? EPOLLOUT : 0),
		.data.u32 = (uint32_t)(c - conns) };

	if (wants == c->wants_out)
		return;
	c->wants_out = wants;
	if (epoll_ctl(epoll, EPOLL_CTL_MOD, c->fd, &e) < 0)
		client_fail("watch a connection");
}

static void
send_asked(struct conn *c)
{
	size_t size;
	ssize_t n;

	while (c->fd >= 0 && c->sent < c->asked) {
		size = c->asked - c->sent < ROOM ? (size_t)(c->asked - c->sent) : ROOM;
		n = send(c->fd, stream_at(c, c->sent), size, MSG_NOSIGNAL | MSG_DONTWAIT);
		if (n < 0 && errno == EAGAIN) {
			want_out(c, true);
			return;
		}
		if (n < 0) {
			give_up(c, "send", errno);
			return;
		}
		c->sent += (uint64_t)n;
	}
	if (c->fd >= 0)
		want_out(c, false);
}

/* Puts so many messages more under way, unless the window has all of its own. */
static void
ask(struct conn *c, uint64_t more)
{
	uint64_t number = c->asked / (uint64_t)options.size;

	while (more-- > 0 && asked < quota && now < stop_asking) {
		c->since[number++ % (uint64_t)options.depth] = now;
		c->asked += (uint64_t)options.size;
		asked++;
	}
	send_asked(c);
}

/* Counts the messages that `n` bytes more complete. */
static void
take(struct conn *c, size_t n)
{
	uint64_t size = (uint64_t)options.size, before = c->received / size, i;
	uint64_t after = (c->received + n) / size;

	c->received += n;
	answered_bytes += n;
	for (i = before; i < after; i++)
		note_latency(now - c->since[i % (uint64_t)options.depth]);
	answered += after - before;
	if (after > before)
		ask(c, after - before);
}

static void
receive(struct conn *c)
{
	static char buffer[ROOM];
	ssize_t n = recv(c->fd, buffer, sizeof(buffer), MSG_DONTWAIT);

	if (n < 0 && errno == EAGAIN)
		return;
	if (n < 0)
		give_up(c, "receive", errno);
	else if (n == 0)
		give_up(c, "the server closed", 0);
	else if (c->received + (uint64_t)n > c->sent)
		give_up(c, "more came back than was sent", 0);
	else if (memcmp(buffer, stream_at(c, c->received), (size_t)n) != 0)
		give_up(c, "other bytes came back", 0);
	else
		take(c, (size_t)n);
}

static void
happened(struct conn *c, uint32_t events)
{
	if (c->fd >= 0 && (events & EPOLLOUT))
		send_asked(c);
	if (c->fd >= 0 && (events & ~(uint32_t)EPOLLOUT))
		receive(c);
}

/* ---- windows ---- */

/* `messages` in all, or what comes back to it in `seconds`; returns when all are answered. */
static void
exchange(uint64_t messages, double seconds)
{
	struct epoll_event events[256];
	uint64_t before;
	int64_t progress;
	long i;
	int n;

	asked = answered = answered_bytes = 0;
	quota = messages;
	progress = now = client_now();
	stop_asking = now + (int64_t)(seconds * 1e9);
	for (i = 0; i < options.connections; i++)
		if (conns[i].fd >= 0)
			ask(&conns[i], (uint64_t)options.depth);
	while (answered < asked) {
		before = answered_bytes;
		n = epoll_wait(epoll, events, 256, 1000);
		if (n < 0 && errno != EINTR)
			client_fail("wait for events");
		now = client_now();
		for (i = 0; i < n; i++)
			happened(&conns[events[i].data.u32], events[i].events);
		if (answered_bytes != before)
			progress = now;
		if (now - progress > PATIENCE_NS) {
			client_note(&errors, "no answer in time", 0);
			return;
		}
	}
}

/* Sends and never reads, until the server takes no more or has taken all. Returns the bytes. */
static uint64_t
push(void)
{
	struct conn *c = &conns[0];
	uint64_t all = (uint64_t)options.push << 20;
	int64_t progress = client_now();
	struct timespec pause = { .tv_nsec = 1000000 };
	size_t size;
	ssize_t n;

	while (c->sent < all && client_now() - progress < STALL_NS) {
		size = all - c->sent < ROOM ? (size_t)(all - c->sent) : ROOM;
		n = send(c->fd, stream_at(c, c->sent), size, MSG_NOSIGNAL | MSG_DONTWAIT);
		if (n < 0 && errno != EAGAIN)
			client_fail("send");
		if (n < 0) {
			nanosleep(&pause, NULL);
			continue;
		}
		c->sent += (uint64_t)n;
		progress = client_now();
	}
	return c->sent;
}

/* Reads back what was pushed: all of it, and the right bytes. */
static void
pull(void)
{
	struct conn *c = &conns[0];

	c->asked = c->sent;
	asked = (c->sent + (uint64_t)options.size - 1) / (uint64_t)options.size;
	quota = 0;
	answered = 0;
	while (c->fd >= 0 && c->received < c->sent) {
		struct epoll_event event;

		if (epoll_wait(epoll, &event, 1, (int)(PATIENCE_NS / 1000000)) == 0) {
			client_note(&errors, "no answer in time", 0);
			return;
		}
		receive(c);
	}
}

/* ---- the command line ---- */

static const struct {
	const char *name;
	long *into;
	double least, most;
} numbers[] = {
	{ "--port", &options.port, 1, 65535 },
	{ "--connections", &options.connections, 1, CONNECTIONS_MAX },
	{ "--size", &options.size, 1, SIZE_MAX_ },
	{ "--depth", &options.depth, 1, DEPTH_MAX },
	{ "--messages", &options.messages, 1, MESSAGES_MAX },
	{ "--warm-up", &options.warm_up, 0, MESSAGES_MAX },
	{ "--push", &options.push, 0, 65536 },
};

#define NUMBERS (sizeof(numbers) / sizeof(numbers[0]))

static bool
parse_option(const char *name, const char *value)
{
	size_t i;

	if (strcmp(name, "--path") == 0 && strlen(value) < sizeof(((struct sockaddr_un *)0)->sun_path)) {
		options.path = value;
		return true;
	}
	if (strcmp(name, "--seconds") == 0) {
		options.seconds = client_number(name, value, 0.01, 3600);
		return true;
	}
	for (i = 0; i < NUMBERS; i++) {
		if (strcmp(name, numbers[i].name) != 0)
			continue;
		*numbers[i].into = (long)client_number(name, value, numbers[i].least, numbers[i].most);
		return true;
	}
	return false;
}

static void
parse(int argc, char **argv)
{
	int i;

	options = (struct options){ .connections = 1, .size = 64, .depth = 1,
		.messages = 100000, .warm_up = 1, .seconds = 60 };
	for (i = 1; i + 1 < argc && parse_option(argv[i], argv[i + 1]); i += 2)
		;
	if (i == argc && (options.port != 0 || options.path != NULL))
		return;
	fprintf(stderr, "usage: echo_load --port N | --path SOCKET\n"
			"           [--connections N] [--size BYTES] [--depth N] [--warm-up MESSAGES] [--messages N] [--seconds S] [--push MIB]\n"
			"prints \"ready\"; each line on standard input begins a window, which ends after N\n"
			"messages or S seconds; end of file ends the program. --push sends and does\n"
			"not read, then reads it all back.\n");
	exit(EX_USAGE);
}

/* False at end of file. */
static bool
wait_for_word(const char *say)
{
	char line[16];

	if (say != NULL) {
		puts(say);
		fflush(stdout);
	}
	return fgets(line, sizeof(line), stdin) != NULL;
}

/* The bytes that went out, then a look at the server, then all of it back. */
static void
push_and_pull(void)
{
	int64_t begin = client_now();
	uint64_t pushed = push();

	printf("{\"pushed\": %llu}\n", (unsigned long long)pushed);
	fflush(stdout);
	if (!wait_for_word(NULL))
		return;
	pull();
	report((double)(client_now() - begin) / 1e9, 0);
}

/* A window, and what it was like. False: something went wrong. */
static bool
measure(void)
{
	bool well;

	int64_t begin = client_now();

	memset(latencies, 0, sizeof(latencies));
	exchange((uint64_t)options.messages, options.seconds);
	report((double)(client_now() - begin) / 1e9, answered);
	well = errors.count == 0;
	errors = (struct client_errors){ 0 };
	return well;
}

int
main(int argc, char **argv)
{
	bool well = true;

	parse(argc, argv);
	signal(SIGPIPE, SIG_IGN);
	raise_descriptors();
	make_stream();
	open_all();
	exchange((uint64_t)(options.warm_up * options.connections), 3600);
	if (!wait_for_word("ready"))
		return EXIT_SUCCESS;
	if (options.push == 0) {
		do
			well &= measure();
		while (wait_for_word(NULL));
		return well ? EXIT_SUCCESS : EXIT_FAILURE;
	}
	push_and_pull();
	while (wait_for_word(NULL))
		;
	return errors.count > 0 ? EXIT_FAILURE : EXIT_SUCCESS;
}
