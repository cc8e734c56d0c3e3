/*
 * Makes many connections and says what became of them: a load generator for tests and benches.
 * One process, one epoll, non-blocking throughout; every connection has a deadline, and memory
 * is taken once, before the first.
 *
 * A connection goes through the states of `enum state`; what it came to is one of `enum
 * outcome`, counted, and printed at the end as one line of JSON.
 */
#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <getopt.h>
#include <inttypes.h>
#include <netdb.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <signal.h>
#include <stdarg.h>
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

#define SECOND INT64_C(1000000000)
#define MILLISECOND INT64_C(1000000)
#define TICK (20 * MILLISECOND) /* how often deadlines are looked at */
#define TEXT_MAX 4096
#define EVENTS_MAX 256
#define READ_SIZE 65536
#define READS_AT_ONCE 8 /* so that one busy server cannot hold up the others' deadlines */
#define CONCURRENCY_MAX 100000

static const char usage[] =
    "usage: conn_storm HOST:PORT|PATH [options]\n"
    "  --connections N   how many in all (1; without end when --seconds is given)\n"
    "  --concurrency C   how many at once (1)\n"
    "  --seconds S       open new ones for S seconds\n"
    "  --send TEXT       what each sends (\\r \\n \\t \\0 \\\\ \\xHH)\n"
    "  --half-close      end of input after that\n"
    "  --expect N        wanted: N bytes\n"
    "  --expect-text T   wanted: this text, anywhere\n"
    "  --hold S          stay that long once what is wanted has come\n"
    "  --timeout S       for each connection, without its hold (10)\n"
    "  --from ADDRESS    the source address\n"
    "  --abort           close with a reset\n"
    "Without --expect and --expect-text the answer ends with the connection; with --hold "
    "alone the\n"
    "connection must last. TERM: opens no more, as when the time is over. Prints one line of "
    "JSON.\n"
    "Status 0: every connection was ok; 1: some were not.\n";

static volatile sig_atomic_t told_to_end;

enum state { FREE, CONNECTING, SENDING, RECEIVING, HOLDING, RETRYING };

enum outcome {
	OK,
	SHORT,   /* closed before what was wanted had come */
	REFUSED, /* nobody listens */
	RESET,
	TIMEOUT,
	FAILED, /* anything else: the first reason goes to standard error */
	OUTCOMES
};

static const char *const outcome_names[OUTCOMES] = { "ok", "short", "refused", "reset",
	"timeout", "failed" };

struct client {
	int fd;
	enum state state;
	uint32_t generation; /* tells late events of the last user of this slot */
	int64_t began;
	int64_t answered; /* when what was wanted had come */
	int64_t deadline;
	size_t sent;
	size_t matched; /* of the wanted text */
	uint64_t received;
};

/*
 * Latencies in microseconds: 64 steps for each power of two, so that any number of connections
 * is counted in one block with an error below two per cent.
 */
#define STEPS 64
#define POWERS 40

struct latencies {
	uint64_t counts[POWERS * STEPS];
	uint64_t total;
	int64_t longest;
};

struct text {
	char bytes[TEXT_MAX];
	size_t length;
};

struct options {
	uint64_t connections;
	long concurrency;
	int64_t duration; /* 0: until all connections are made */
	int64_t hold;
	int64_t timeout;
	uint64_t expect;
	struct text send;
	struct text expect_text;
	bool half_close;
	bool abort;
};

struct storm {
	struct options options;
	struct sockaddr_storage to;
	socklen_t to_length;
	struct sockaddr_storage from;
	socklen_t from_length;
	int epoll;
	struct client *clients; /* options.concurrency of them */
	size_t *unused;         /* stack of slots */
	size_t unused_count;
	size_t fallback[TEXT_MAX]; /* where to go on in the wanted text */
	uint64_t begun;
	uint64_t outcomes[OUTCOMES];
	uint64_t bytes;
	int64_t started;
	int64_t now;
	struct latencies latencies;
};

static _Noreturn void __attribute__((format(printf, 2, 3)))
die(int status, const char *format, ...)
{
	va_list args;

	va_start(args, format);
	fputs("conn_storm: ", stderr);
	vfprintf(stderr, format, args);
	fputc('\n', stderr);
	va_end(args);
	exit(status);
}

static int64_t
now(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_MONOTONIC, &ts);
	return (int64_t)ts.tv_sec * SECOND + ts.tv_nsec;
}

/* --- latencies --- */

static size_t
latency_slot(uint64_t us)
{
	unsigned power = 0;

	while (us >= 2 * STEPS) {
		us >>= 1;
		power++;
	}
	if (power >= POWERS - 2)
		return POWERS * STEPS - 1;
	return us < STEPS ? (size_t)us : (size_t)(power + 1) * STEPS + (size_t)(us - STEPS);
}

/* The middle of what a slot holds, in microseconds. */
static double
latency_of_slot(size_t slot)
{
	double width;

	if (slot < STEPS)
		return (double)slot + 0.5;
	width = (double)(UINT64_C(1) << (slot / STEPS - 1));
	return ((double)(slot % STEPS + STEPS) + 0.5) * width;
}

static void
latency_add(struct latencies *l, int64_t ns)
{
	l->counts[latency_slot((uint64_t)ns / 1000)]++;
	l->total++;
	if (ns > l->longest)
		l->longest = ns;
}

/* In milliseconds. */
static double
latency_quantile(const struct latencies *l, double part)
{
	double longest = (double)l->longest / 1e6, value;
	uint64_t rank = (uint64_t)(part * (double)l->total), seen = 0;
	size_t i;

	for (i = 0; i < POWERS * STEPS; i++) {
		seen += l->counts[i];
		if (seen > rank)
			break;
	}
	value = latency_of_slot(i) / 1e3;
	return value < longest ? value : longest;
}

/* --- one connection --- */

static bool
wants_answer(const struct options *o)
{
	return o->expect > 0 || o->expect_text.length > 0;
}

static void
finish(struct storm *s, struct client *c, enum outcome outcome)
{
	const struct linger reset = { .l_onoff = 1, .l_linger = 0 };

	s->outcomes[outcome]++;
	s->bytes += c->received;
	if (outcome == OK)
		latency_add(
		    &s->latencies, (c->answered != 0 ? c->answered : s->now) - c->began);
	if (c->fd >= 0 && s->options.abort)
		setsockopt(c->fd, SOL_SOCKET, SO_LINGER, &reset, sizeof(reset));
	if (c->fd >= 0)
		close(c->fd);
	c->fd = -1;
	c->state = FREE;
	c->generation++;
	s->unused[s->unused_count++] = (size_t)(c - s->clients);
}

static void
finish_failed(struct storm *s, struct client *c, const char *what, int error)
{
	enum outcome outcome = FAILED;

	if (error == ECONNREFUSED || error == ENOENT)
		outcome = REFUSED;
	else if (error == ECONNRESET || error == EPIPE)
		outcome = RESET;
	else if (error == ETIMEDOUT)
		outcome = TIMEOUT;
	else if (s->outcomes[FAILED] == 0)
		fprintf(stderr, "conn_storm: %s: %s\n", what, strerror(error));
	finish(s, c, outcome);
}

static void
hold(struct storm *s, struct client *c)
{
	if (s->options.hold == 0) {
		finish(s, c, OK);
		return;
	}
	c->answered = s->now;
	c->state = HOLDING;
	c->deadline = s->now + s->options.hold;
}

/* How much of the wanted text the bytes so far end with; the text may lie across reads. */
static size_t
match_on(const struct storm *s, size_t matched, const char *bytes, size_t size)
{
	const struct text *t = &s->options.expect_text;
	size_t i;

	for (i = 0; i < size && matched < t->length; i++) {
		while (matched > 0 && bytes[i] != t->bytes[matched])
			matched = s->fallback[matched - 1];
		if (bytes[i] == t->bytes[matched])
			matched++;
	}
	return matched;
}

static void
prepare_match(struct storm *s)
{
	const struct text *t = &s->options.expect_text;
	size_t i, matched = 0;

	for (i = 1; i < t->length; i++) {
		while (matched > 0 && t->bytes[i] != t->bytes[matched])
			matched = s->fallback[matched - 1];
		if (t->bytes[i] == t->bytes[matched])
			matched++;
		s->fallback[i] = matched;
	}
}

static bool
is_answered(const struct storm *s, const struct client *c)
{
	return c->received >= s->options.expect && c->matched == s->options.expect_text.length;
}

/* The peer has closed: well, if what was wanted is there or if nothing but the end was. */
static void
ended(struct storm *s, struct client *c)
{
	bool waited = !wants_answer(&s->options) && s->options.hold == 0;

	finish(
	    s, c, waited || (c->state == HOLDING && wants_answer(&s->options)) ? OK : SHORT);
}

static void
receive(struct storm *s, struct client *c)
{
	static char bytes[READ_SIZE];
	ssize_t n;
	int i;

	for (i = 0; i < READS_AT_ONCE; i++) {
		n = recv(c->fd, bytes, sizeof(bytes), 0);
		if (n < 0 && (errno == EAGAIN || errno == EINTR))
			return;
		if (n < 0) {
			finish_failed(s, c, "recv", errno);
			return;
		}
		if (n == 0) {
			ended(s, c);
			return;
		}
		c->received += (uint64_t)n;
		c->matched = match_on(s, c->matched, bytes, (size_t)n);
		if (c->state != HOLDING && wants_answer(&s->options) && is_answered(s, c)) {
			hold(s, c);
			return;
		}
	}
}

static void
watch(struct storm *s, struct client *c, int how, uint32_t events)
{
	struct epoll_event ev = { .events = events };

	ev.data.u64 = (uint64_t)c->generation << 32 | (uint64_t)(c - s->clients);
	if (epoll_ctl(s->epoll, how, c->fd, &ev) < 0)
		die(EX_OSERR, "epoll_ctl: %s", strerror(errno));
}

static void
sent_all(struct storm *s, struct client *c)
{
	if (s->options.half_close)
		shutdown(c->fd, SHUT_WR);
	watch(s, c, EPOLL_CTL_MOD, EPOLLIN);
	if (c->state == SENDING)
		c->state = RECEIVING;
	if (s->options.hold > 0 && !wants_answer(&s->options))
		hold(s, c);
}

static void
send_more(struct storm *s, struct client *c)
{
	const struct text *t = &s->options.send;
	ssize_t n;

	while (c->sent < t->length) {
		n = send(c->fd, t->bytes + c->sent, t->length - c->sent, MSG_NOSIGNAL);
		if (n < 0 && (errno == EAGAIN || errno == EINTR))
			return;
		if (n < 0) {
			/* What the server said before it hung up counts more. */
			if (errno == EPIPE && c->received == 0)
				receive(s, c);
			else
				finish_failed(s, c, "send", errno);
			return;
		}
		c->sent += (size_t)n;
	}
	sent_all(s, c);
}

static void
connected(struct storm *s, struct client *c)
{
	socklen_t length = sizeof(int);
	int error = 0;

	getsockopt(c->fd, SOL_SOCKET, SO_ERROR, &error, &length);
	if (error != 0) {
		finish_failed(s, c, "connect", error);
		return;
	}
	c->state = SENDING;
	send_more(s, c);
}

static void
try_connect(struct storm *s, struct client *c)
{
	if (connect(c->fd, (struct sockaddr *)&s->to, s->to_length) == 0 ||
	    errno == EINPROGRESS) {
		c->state = CONNECTING;
		watch(s, c, EPOLL_CTL_ADD, EPOLLIN | EPOLLOUT);
	} else if (errno == EAGAIN && s->to.ss_family == AF_UNIX) {
		/* A full queue of a unix listener does not wait as TCP does; this tick's end
		 * will. */
		c->state = RETRYING;
	} else {
		finish_failed(s, c, "connect", errno);
	}
}

static void
begin(struct storm *s, struct client *c)
{
	int one = 1;

	c->began = s->now = now();
	c->answered = 0;
	c->deadline = s->now + s->options.timeout;
	c->sent = c->matched = 0;
	c->received = 0;
	s->begun++;
	c->fd = socket(s->to.ss_family, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
	if (c->fd < 0) {
		finish_failed(s, c, "socket", errno);
		return;
	}
	if (s->to.ss_family != AF_UNIX)
		setsockopt(c->fd, IPPROTO_TCP, TCP_NODELAY, &one, sizeof(one));
	if (s->from_length > 0 &&
	    bind(c->fd, (struct sockaddr *)&s->from, s->from_length) < 0) {
		finish_failed(s, c, "bind", errno);
		return;
	}
	try_connect(s, c);
}

/* --- all of them --- */

static bool
may_begin(const struct storm *s)
{
	const struct options *o = &s->options;

	return s->begun < o->connections && !told_to_end &&
	       (o->duration == 0 || s->now < s->started + o->duration);
}

static void
begin_more(struct storm *s)
{
	/* Those that fail at once give their slot back; counted, so that the turn ends. */
	size_t n = s->unused_count;

	for (; n > 0 && may_begin(s); n--)
		begin(s, &s->clients[s->unused[--s->unused_count]]);
}

static void
tick(struct storm *s)
{
	long i;

	for (i = 0; i < s->options.concurrency; i++) {
		struct client *c = &s->clients[i];

		if (c->state == FREE)
			continue;
		if (s->now >= c->deadline)
			finish(s, c, c->state == HOLDING ? OK : TIMEOUT);
		else if (c->state == RETRYING)
			try_connect(s, c);
	}
}

static void
dispatch(struct storm *s, const struct epoll_event *ev)
{
	struct client *c = &s->clients[ev->data.u64 & UINT32_MAX];

	if (c->generation != ev->data.u64 >> 32 || c->state == FREE)
		return;
	s->now = now();
	if (c->state == CONNECTING) {
		connected(s, c);
		return;
	}
	if ((ev->events & (EPOLLIN | EPOLLHUP | EPOLLERR)) != 0)
		receive(s, c);
	if (c->generation == ev->data.u64 >> 32 && c->state == SENDING)
		send_more(s, c);
}

static void
run(struct storm *s)
{
	struct epoll_event events[EVENTS_MAX];
	int64_t next_tick;
	int i, n;

	s->started = s->now = now();
	next_tick = s->now + TICK;
	for (;;) {
		begin_more(s);
		if (!may_begin(s) && s->unused_count == (size_t)s->options.concurrency)
			return;
		n = s->unused_count > 0 && may_begin(s) ? 0 : (int)(TICK / MILLISECOND);
		n = epoll_wait(s->epoll, events, EVENTS_MAX, n);
		if (n < 0 && errno != EINTR)
			die(EX_OSERR, "epoll_wait: %s", strerror(errno));
		s->now = now();
		for (i = 0; i < n; i++)
			dispatch(s, &events[i]);
		if (s->now >= next_tick) {
			tick(s);
			next_tick = s->now + TICK;
		}
	}
}

static void
report(const struct storm *s)
{
	const struct latencies *l = &s->latencies;
	double seconds = (double)(s->now - s->started) / 1e9;
	int i;

	printf("{\"connections\": %" PRIu64, s->begun);
	for (i = 0; i < OUTCOMES; i++)
		printf(", \"%s\": %" PRIu64, outcome_names[i], s->outcomes[i]);
	printf(", \"bytes\": %" PRIu64 ", \"seconds\": %.3f, \"per_second\": %.1f", s->bytes,
	    seconds, seconds > 0 ? (double)s->begun / seconds : 0);
	if (l->total > 0)
		printf(", \"p50_ms\": %.3f, \"p99_ms\": %.3f, \"max_ms\": %.3f",
		    latency_quantile(l, 0.5), latency_quantile(l, 0.99),
		    (double)l->longest / 1e6);
	else
		printf(", \"p50_ms\": null, \"p99_ms\": null, \"max_ms\": null");
	printf("}\n");
}

/* --- options --- */

static void
find_unix(struct storm *s, const char *path)
{
	struct sockaddr_un un = { .sun_family = AF_UNIX };

	if (strlen(path) >= sizeof(un.sun_path))
		die(EX_USAGE, "the path is too long: %s", path);
	memcpy(un.sun_path, path, strlen(path) + 1);
	memcpy(&s->to, &un, sizeof(un));
	s->to_length = sizeof(un);
}

static void
resolve(const char *host, const char *port, int flags, struct sockaddr_storage *into,
    socklen_t *length)
{
	struct addrinfo hints = { .ai_socktype = SOCK_STREAM, .ai_flags = flags }, *found;
	int r = getaddrinfo(host, port, &hints, &found);

	if (r != 0)
		die(EX_USAGE, "%s: %s", host, gai_strerror(r));
	memcpy(into, found->ai_addr, found->ai_addrlen);
	*length = found->ai_addrlen;
	freeaddrinfo(found);
}

/* "host:port", "[::1]:port", or a path, which has a slash in it. */
static void
find_target(struct storm *s, const char *target)
{
	const char *colon = strrchr(target, ':');
	size_t length = colon != NULL ? (size_t)(colon - target) : 0;
	char host[256];

	if (strchr(target, '/') != NULL) {
		find_unix(s, target);
		return;
	}
	if (length > 2 && target[0] == '[' && target[length - 1] == ']') {
		target++;
		length -= 2;
	}
	if (length == 0 || length >= sizeof(host))
		die(EX_USAGE, "not HOST:PORT and not a path: %s", target);
	memcpy(host, target, length);
	host[length] = '\0';
	resolve(host, colon + 1, AI_NUMERICSERV, &s->to, &s->to_length);
}

static int
hex_digit(char c)
{
	const char *digits = "0123456789abcdef0123456789ABCDEF", *at = strchr(digits, c);

	return c != '\0' && at != NULL ? (int)(at - digits) % 16 : -1;
}

/* The character behind a backslash; moves over it. */
static char
unescape(const char **from)
{
	static const char letters[] = "rnt0\\", meanings[] = "\r\n\t\0\\";
	char letter = *(*from)++;
	const char *at = letter != '\0' ? strchr(letters, letter) : NULL;
	int high, low;

	if (at != NULL)
		return meanings[at - letters];
	high = letter == 'x' ? hex_digit((*from)[0]) : -1;
	low = high >= 0 ? hex_digit((*from)[1]) : -1;
	if (low < 0)
		die(EX_USAGE, "only \\r \\n \\t \\0 \\\\ and \\xHH may follow a backslash");
	*from += 2;
	return (char)(high * 16 + low);
}

static void
read_text(struct text *into, const char *from)
{
	into->length = 0;
	while (*from != '\0') {
		char byte = *from++;

		if (into->length == TEXT_MAX)
			die(EX_USAGE, "texts are limited to %d bytes", TEXT_MAX);
		into->bytes[into->length++] = byte == '\\' ? unescape(&from) : byte;
	}
}

static uint64_t
read_count(const char *name, const char *from, uint64_t most)
{
	char *end;
	unsigned long long n;

	errno = 0;
	n = strtoull(from, &end, 10);
	if (*from < '0' || *from > '9' || *end != '\0' || errno != 0 || n < 1 || n > most)
		die(EX_USAGE, "--%s: a number from 1 to %" PRIu64 " is wanted, not '%s'", name,
		    most, from);
	return n;
}

static int64_t
read_seconds(const char *name, const char *from)
{
	char *end;
	double n = strtod(from, &end);

	if (end == from || *end != '\0' || !(n > 0 && n <= 86400))
		die(EX_USAGE, "--%s: seconds up to a day are wanted, not '%s'", name, from);
	return (int64_t)(n * (double)SECOND);
}

static const struct option rows[] = {
	{ "connections", required_argument, NULL, 'n' },
	{ "concurrency", required_argument, NULL, 'c' },
	{ "seconds", required_argument, NULL, 's' },
	{ "send", required_argument, NULL, 't' },
	{ "half-close", no_argument, NULL, 'h' },
	{ "expect", required_argument, NULL, 'e' },
	{ "expect-text", required_argument, NULL, 'x' },
	{ "hold", required_argument, NULL, 'o' },
	{ "timeout", required_argument, NULL, 'm' },
	{ "from", required_argument, NULL, 'f' },
	{ "abort", no_argument, NULL, 'a' },
	{ "help", no_argument, NULL, 'H' },
	{ NULL, 0, NULL, 0 },
};

static void
set_option(struct storm *s, int letter, const char *name)
{
	struct options *o = &s->options;

	switch (letter) {
	case 'n':
		o->connections = read_count(name, optarg, UINT64_MAX / 2);
		break;
	case 'c':
		o->concurrency = (long)read_count(name, optarg, CONCURRENCY_MAX);
		break;
	case 's':
		o->duration = read_seconds(name, optarg);
		break;
	case 't':
		read_text(&o->send, optarg);
		break;
	case 'h':
		o->half_close = true;
		break;
	case 'e':
		o->expect = read_count(name, optarg, UINT64_MAX / 2);
		break;
	case 'x':
		read_text(&o->expect_text, optarg);
		break;
	case 'o':
		o->hold = read_seconds(name, optarg);
		break;
	case 'm':
		o->timeout = read_seconds(name, optarg);
		break;
	case 'f':
		resolve(optarg, NULL, AI_NUMERICHOST, &s->from, &s->from_length);
		break;
	case 'a':
		o->abort = true;
		break;
	case 'H':
		fputs(usage, stdout);
		exit(EX_OK);
	default:
		fputs(usage, stderr);
		exit(EX_USAGE);
	}
}

static void
read_options(struct storm *s, int argc, char **argv)
{
	struct options *o = &s->options;
	int letter, index = 0;

	o->concurrency = 1;
	o->timeout = 10 * SECOND;
	while ((letter = getopt_long(argc, argv, "", rows, &index)) != -1)
		set_option(s, letter, rows[index].name);
	if (optind + 1 != argc) {
		fputs(usage, stderr);
		exit(EX_USAGE);
	}
	if (o->connections == 0)
		o->connections = o->duration > 0 ? UINT64_MAX : 1;
	find_target(s, argv[optind]);
}

static void
raise_descriptor_limit(long concurrency)
{
	struct rlimit limit;

	if (getrlimit(RLIMIT_NOFILE, &limit) < 0)
		return;
	limit.rlim_cur = limit.rlim_max;
	setrlimit(RLIMIT_NOFILE, &limit);
	if (limit.rlim_max != RLIM_INFINITY && limit.rlim_max < (rlim_t)concurrency + 16)
		die(EX_USAGE,
		    "--concurrency %ld needs more descriptors than the %ju that are allowed",
		    concurrency, (uintmax_t)limit.rlim_max);
}

static void
prepare(struct storm *s)
{
	size_t i, count = (size_t)s->options.concurrency;

	raise_descriptor_limit(s->options.concurrency);
	prepare_match(s);
	s->clients = calloc(count, sizeof(*s->clients));
	s->unused = calloc(count, sizeof(*s->unused));
	s->epoll = epoll_create1(EPOLL_CLOEXEC);
	if (s->clients == NULL || s->unused == NULL || s->epoll < 0)
		die(EX_OSERR, "cannot start: %s", strerror(errno));
	for (i = 0; i < count; i++) {
		s->clients[i].fd = -1;
		s->unused[s->unused_count++] = i;
	}
}

static void
end_soon(int signo)
{
	(void)signo;
	told_to_end = 1;
}

int
main(int argc, char **argv)
{
	static struct storm storm;

	signal(SIGTERM, end_soon);
	read_options(&storm, argc, argv);
	prepare(&storm);
	run(&storm);
	report(&storm);
	close(storm.epoll);
	free(storm.clients);
	free(storm.unused);
	return storm.outcomes[OK] == storm.begun ? EXIT_SUCCESS : EXIT_FAILURE;
}
