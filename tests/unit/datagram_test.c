/* Datagrams on a loop: what arrives, what leaves, and what goes wrong in between. */
#include "config.h"

#include "loop_fixture.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "directory_fixture.h"
#include "net/addr.h"
#include "net/datagram.h"

#define LARGEST 65507
#define CLIENTS 100

static char directory[DIRECTORY_MAX];

static int
make_directory(void **state)
{
	(void)state;
	return directory_make(directory, "datagram");
}

static int
remove_directory(void **state)
{
	(void)state;
	return rmdir(directory);
}

/* A file in it, by a name of few letters; each has its own. */
static const char *
path_of(const char *name)
{
	static char paths[8][DIRECTORY_MAX + 16];
	unsigned i;

	for (i = 0; i < 7 && paths[i][0] != '\0'; i++)
		if (strcmp(strrchr(paths[i], '/') + 1, name) == 0)
			return paths[i];
	snprintf(paths[i], sizeof(paths[i]), "%s/%.8s", directory, name);
	return paths[i];
}

/* What the hooks saw. */
struct seen {
	unsigned arrived, failed, drained;
	int      error;
	size_t   sizes[16];
	bool     truncated;
	unsigned char first, last; /* bytes of the latest */
	struct tend_route routes[2 * CLIENTS];
	char     words[2 * CLIENTS][8];
	unsigned stop_after; /* so many datagrams */
	bool     free_loop, echo;
};

static void
arrived(struct tend_datagrams *s, const struct tend_datagram *d)
{
	struct seen *seen = tend_datagrams_data(s);
	const unsigned char *bytes = d->data;
	unsigned i = seen->arrived++;

	if (i < 16)
		seen->sizes[i] = d->size;
	seen->truncated = d->truncated;
	if (d->size > 0) {
		seen->first = bytes[0];
		seen->last = bytes[d->size - 1];
	}
	if (i < 2 * CLIENTS) {
		seen->routes[i] = *d->from;
		if (d->size < sizeof(seen->words[i]))
			memcpy(seen->words[i], d->data, d->size);
	}
	if (seen->echo)
		assert_int_equal(tend_datagrams_send_to(s, d->from, d->data, d->size), 0);
	if (seen->stop_after != 0 && seen->arrived == seen->stop_after) {
		if (seen->free_loop)
			tend_loop_free(tend_datagrams_loop(s));
		else
			tend_datagrams_stop(s);
	}
}

static void
failed(struct tend_datagrams *s, int error)
{
	struct seen *seen = tend_datagrams_data(s);

	seen->failed++;
	seen->error = error;
}

static void
drained(struct tend_datagrams *s)
{
	struct seen *seen = tend_datagrams_data(s);

	seen->drained++;
}

static const struct tend_datagram_hooks hooks = {
	.arrived = arrived,
	.failed = failed,
	.drained = drained,
};

static struct tend_datagrams *
start(struct tend_loop *loop, const char *where, struct seen *seen)
{
	struct tend_datagrams *s = NULL;

	assert_int_equal(tend_datagrams_start(&s, loop, where, &hooks, seen), 0);
	return s;
}

static struct tend_datagram_stats
stats_of(const struct tend_datagrams *s)
{
	struct tend_datagram_stats stats;

	tend_datagrams_stats(s, &stats);
	return stats;
}

/* A plain socket, connected to where the text says. */
static int
client_of(const char *where)
{
	struct timeval patience = { .tv_sec = 10 };
	struct addr to;
	int fd;

	assert_int_equal(addr_parse(&to, where), 0);
	fd = socket(to.u.any.sa_family, SOCK_DGRAM | SOCK_CLOEXEC, 0);
	assert_true(fd >= 0);
	assert_int_equal(setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &patience, sizeof(patience)), 0);
	assert_int_equal(connect(fd, &to.u.any, to.length), 0);
	return fd;
}

static void
say(int fd, const char *word)
{
	assert_int_equal(send(fd, word, strlen(word), 0), (ssize_t)strlen(word));
}

static void
expect(int fd, const char *word)
{
	char got[64];
	ssize_t n = recv(fd, got, sizeof(got) - 1, 0);

	assert_true(n >= 0);
	got[n] = '\0';
	assert_string_equal(got, word);
}

#define TURN_UNTIL(loop, condition)                                                            \
	do {                                                                                   \
		for (int turns = 0; !(condition) && turns < 1000; turns++)                     \
			assert_int_equal(tend_loop_turn(loop, 0.01), 0);                       \
		assert_true(condition);                                                        \
	} while (0)

/* ---- receiving ---- */

static void
each_datagram_is_one_call_with_its_own_size(void **state)
{
	/* MX-62, MX-65, MX-T23: boundaries, none at all, the largest that there is */
	static const size_t sizes[] = { 0, 1, 5, 0, 1400, LARGEST, 3 };
	struct seen seen = { .arrived = 0 };
	struct tend_datagrams *s = start(*state, "127.0.0.1:0", &seen);
	char *data = calloc(1, LARGEST);
	size_t i, n = sizeof(sizes) / sizeof(sizes[0]);
	int fd = client_of(tend_datagrams_address(s));

	for (i = 0; i < n; i++)
		assert_int_equal(send(fd, data, sizes[i], 0), (ssize_t)sizes[i]);
	TURN_UNTIL(*state, seen.arrived == n);
	for (i = 0; i < n; i++)
		assert_int_equal(seen.sizes[i], sizes[i]);
	assert_false(seen.truncated);
	assert_int_equal(stats_of(s).received, n);
	assert_int_equal(stats_of(s).truncated, 0);
	assert_int_equal(seen.failed, 0);
	close(fd);
	free(data);
}

static void
largest_datagram_comes_back_whole(void **state)
{
	struct seen seen = { .echo = true };
	struct tend_datagrams *s = start(*state, "127.0.0.1:0", &seen);
	unsigned char *data = calloc(1, LARGEST + 1);
	int fd = client_of(tend_datagrams_address(s));

	data[0] = 1;
	data[LARGEST - 1] = 2;
	assert_int_equal(send(fd, data, LARGEST, 0), LARGEST);
	TURN_UNTIL(*state, stats_of(s).sent == 1);
	memset(data, 0, LARGEST);
	assert_int_equal(recv(fd, data, LARGEST + 1, 0), LARGEST);
	assert_int_equal(data[0], 1);
	assert_int_equal(data[LARGEST - 1], 2);
	close(fd);
	free(data);
}

static void
longer_datagram_is_cut_and_says_so(void **state)
{
	struct seen seen = { .arrived = 0 };
	struct tend_datagrams *s = start(*state, path_of("long"), &seen);
	char *data = calloc(1, 70000);
	int fd = client_of(path_of("long"));

	data[0] = 'a';
	data[DATAGRAM_ROOM - 1] = 'z';
	assert_int_equal(send(fd, data, 70000, 0), 70000);
	TURN_UNTIL(*state, seen.arrived == 1);
	assert_true(seen.truncated);
	assert_int_equal(seen.sizes[0], DATAGRAM_ROOM);
	assert_int_equal(seen.first, 'a');
	assert_int_equal(seen.last, 'z');
	assert_int_equal(stats_of(s).truncated, 1);
	say(fd, "short");
	TURN_UNTIL(*state, seen.arrived == 2);
	assert_false(seen.truncated);
	assert_int_equal(seen.sizes[1], 5);
	close(fd);
	free(data);
}

static void
flood_leaves_the_others_their_turn(void **state)
{
	struct seen seen = { .arrived = 0 }, other = { .arrived = 0 };
	struct tend_datagrams *s = start(*state, path_of("flood"), &seen);
	struct tend_datagrams *o = start(*state, "127.0.0.1:0", &other);
	int fd = client_of(tend_datagrams_address(o)), udp, room = 1 << 20, i;
	struct tend_datagrams *f = start(*state, "127.0.0.1:0", &seen);

	(void)s;
	setsockopt(tend_datagrams_fd(f), SOL_SOCKET, SO_RCVBUF, &room, sizeof(room));
	udp = client_of(tend_datagrams_address(f));
	for (i = 0; i < 400; i++)
		say(udp, "x");
	say(fd, "me");
	assert_int_equal(tend_loop_turn(*state, 1), 0);
	assert_int_equal(other.arrived, 1);
	assert_in_range(seen.arrived, 1, 4 * DATAGRAM_BATCH);
	close(fd);
	close(udp);
}

static void
hooks_may_stop_the_socket_in_the_middle_of_a_batch(void **state)
{
	struct seen seen = { .stop_after = 2 };
	struct tend_datagrams *s = start(*state, "127.0.0.1:0", &seen);
	int fd = client_of(tend_datagrams_address(s));

	say(fd, "1");
	say(fd, "2");
	say(fd, "3");
	TURN_UNTIL(*state, seen.arrived == 2);
	assert_int_equal(tend_loop_turn(*state, 0), 0);
	assert_int_equal(tend_loop_turn(*state, 0), 0);
	assert_int_equal(seen.arrived, 2);
	close(fd);
}

static void
hooks_may_free_the_loop(void **state)
{
	struct tend_loop *loop = tend_loop_new(tend_loop_poller(*state));
	struct seen seen = { .stop_after = 2, .free_loop = true };
	struct tend_datagrams *s = start(loop, "127.0.0.1:0", &seen);
	int fd = client_of(tend_datagrams_address(s));

	say(fd, "1");
	say(fd, "2");
	say(fd, "3");
	assert_int_equal(tend_loop_run(loop), 0);
	assert_int_equal(seen.arrived, 2);
	close(fd);
}

/* ---- answering ---- */

static void
answers_reach_their_own_senders(void **state)
{
	/* MX-63, MX-64, MX-T23: 100 clients in turn, answered later and the other way round */
	struct seen *seen = calloc(1, sizeof(*seen));
	struct tend_datagrams *s = start(*state, "127.0.0.1:0", seen);
	int fds[CLIENTS], i, round;
	char word[8];

	for (i = 0; i < CLIENTS; i++)
		fds[i] = client_of(tend_datagrams_address(s));
	for (round = 0; round < 2; round++)
		for (i = 0; i < CLIENTS; i++) {
			snprintf(word, sizeof(word), "%d.%d", i, round);
			say(fds[i], word);
			TURN_UNTIL(*state, seen->arrived == (unsigned)(round * CLIENTS + i + 1));
		}
	for (i = 2 * CLIENTS - 1; i >= 0; i--)
		assert_int_equal(tend_datagrams_send_to(s, &seen->routes[i], seen->words[i],
		    strlen(seen->words[i])), 0);
	TURN_UNTIL(*state, stats_of(s).sent == 2 * CLIENTS);
	for (i = 0; i < CLIENTS; i++)
		for (round = 1; round >= 0; round--) {
			snprintf(word, sizeof(word), "%d.%d", i, round);
			expect(fds[i], word);
		}
	for (i = 0; i < CLIENTS; i++)
		close(fds[i]);
	free(seen);
}

/* Client and answer at each of the addresses that a socket bound to all of them has. */
static void
ask_at(struct tend_loop *loop, struct tend_datagrams *s, const struct seen *seen, const char *host)
{
	unsigned before = seen->arrived;
	const char *port = strrchr(tend_datagrams_address(s), ':');
	char where[64];
	int fd;

	snprintf(where, sizeof(where), "%s%s", host, port);
	fd = client_of(where);
	say(fd, "who?");
	TURN_UNTIL(loop, seen->arrived == before + 1);
	assert_true(seen->routes[before].local_length > 0);
	/* Connected: it hears nobody else. */
	expect(fd, "who?");
	close(fd);
}

static void
answers_leave_from_the_address_that_was_asked(void **state)
{
	struct seen seen = { .echo = true };
	struct tend_datagrams *s = start(*state, "0.0.0.0:0", &seen);

	ask_at(*state, s, &seen, "127.0.0.2");
	ask_at(*state, s, &seen, "127.0.0.1");
	assert_int_equal(stats_of(s).sent, 2);
}

static void
a_socket_for_both_families_answers_both(void **state)
{
	struct sockaddr_in6 any = { .sin6_family = AF_INET6 };
	struct seen seen = { .echo = true };
	struct tend_datagrams *s;
	int fd = socket(AF_INET6, SOCK_DGRAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0), off = 0;

	if (fd < 0 || setsockopt(fd, IPPROTO_IPV6, IPV6_V6ONLY, &off, sizeof(off)) < 0 ||
	    bind(fd, (struct sockaddr *)&any, sizeof(any)) < 0) {
		close(fd);
		skip();
	}
	assert_int_equal(tend_datagrams_adopt(&s, *state, fd, &hooks, &seen), 0);
	ask_at(*state, s, &seen, "127.0.0.2");
	ask_at(*state, s, &seen, "[::1]");
}

static void
many_answers_leave_in_batches(void **state)
{
	struct seen seen = { .arrived = 0 };
	struct tend_datagrams *s = start(*state, "127.0.0.1:0", &seen);
	struct tend_route to;
	int fd = client_of(tend_datagrams_address(s)), i;
	char name[64];

	say(fd, "hello");
	TURN_UNTIL(*state, seen.arrived == 1);
	assert_string_equal(tend_route_text(&seen.routes[0], name, sizeof(name)), name);
	assert_int_equal(tend_route_set(&to, name), 0);
	for (i = 0; i < DATAGRAM_BATCH - 1; i++)
		assert_int_equal(tend_datagrams_send_to(s, &to, "a", 1), 0);
	/* At the end of the turn, or when a batch is full. */
	assert_int_equal(stats_of(s).sent, 0);
	assert_int_equal(tend_datagrams_send_to(s, &to, "a", 1), 0);
	assert_int_equal(stats_of(s).sent, DATAGRAM_BATCH);
	assert_int_equal(tend_datagrams_send_to(s, &to, "b", 1), 0);
	assert_int_equal(tend_loop_turn(*state, 0), 0);
	assert_int_equal(stats_of(s).sent, DATAGRAM_BATCH + 1);
	assert_int_equal(stats_of(s).queued, 0);
	close(fd);
}

static void
what_cannot_be_sent_is_said_at_once(void **state)
{
	/* suite 200_udp: a socket without a peer cannot send */
	struct seen seen = { .arrived = 0 };
	struct tend_datagrams *s = start(*state, "127.0.0.1:0", &seen);
	struct tend_route to = { .peer_length = 0 };
	char *data = calloc(1, LARGEST + 1);

	assert_int_equal(tend_datagrams_send(s, "a", 1), -EDESTADDRREQ);
	assert_int_equal(tend_datagrams_send_to(s, &to, "a", 1), -EDESTADDRREQ);
	assert_int_equal(tend_route_set(&to, tend_datagrams_address(s)), 0);
	assert_int_equal(tend_datagrams_send_to(s, &to, data, LARGEST + 1), -EMSGSIZE);
	assert_int_equal(tend_route_set(&to, "nowhere"), -EINVAL);
	free(data);
}

static void
what_is_no_datagram_socket_is_not_taken(void **state)
{
	static const struct tend_datagram_hooks none = { .failed = failed };
	struct tend_datagrams *s = NULL;
	int pair[2];

	assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, pair), 0);
	assert_int_equal(tend_datagrams_adopt(&s, *state, pair[0], &hooks, NULL), -EPROTOTYPE);
	assert_int_equal(write(pair[0], "x", 1), -1);
	assert_int_equal(tend_datagrams_adopt(&s, *state, -1, &hooks, NULL), -EBADF);
	assert_int_equal(tend_datagrams_start(&s, *state, "127.0.0.1:0", &none, NULL), -EINVAL);
	assert_int_equal(tend_datagrams_start(&s, *state, "localhost", &hooks, NULL), -EINVAL);
	assert_null(s);
	close(pair[1]);
}

static void
what_is_on_the_loop_already_stays_whose_it_is(void **state)
{
	struct tend_datagrams *first, *second;
	int fd;

	assert_int_equal(tend_datagrams_start(&first, *state, "127.0.0.1:0", &hooks, NULL), 0);
	fd = tend_datagrams_fd(first);
	assert_int_equal(tend_datagrams_adopt(&second, *state, fd, &hooks, NULL), -EEXIST);
	assert_true(fcntl(fd, F_GETFD) >= 0);
	tend_datagrams_stop(first);
}

/* ---- errors ---- */

/* An address that nobody has, for now. */
static void
free_address(char into[64])
{
	struct sockaddr_in any = { .sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK) };
	socklen_t size = sizeof(any);
	int fd = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);

	assert_int_equal(bind(fd, (struct sockaddr *)&any, size), 0);
	assert_int_equal(getsockname(fd, (struct sockaddr *)&any, &size), 0);
	snprintf(into, 64, "127.0.0.1:%u", ntohs(any.sin_port));
	close(fd);
}

static void
a_refusal_is_told_and_the_socket_goes_on(void **state)
{
	/* MX-66, MX-T24 */
	struct seen seen = { .arrived = 0 }, peer = { .echo = true };
	struct tend_datagrams *s = start(*state, "127.0.0.1:0", &seen), *other;
	char where[64];

	free_address(where);
	assert_int_equal(tend_datagrams_connect(s, where), 0);
	assert_int_equal(tend_datagrams_send(s, "anybody?", 8), 0);
	TURN_UNTIL(*state, seen.failed == 1);
	assert_int_equal(seen.error, -ECONNREFUSED);
	/* Each refusal is news. */
	assert_int_equal(tend_datagrams_send(s, "anybody?", 8), 0);
	TURN_UNTIL(*state, seen.failed == 2);
	assert_int_equal(stats_of(s).errors, 2);
	other = start(*state, where, &peer);
	assert_int_equal(tend_datagrams_send(s, "hello", 5), 0);
	TURN_UNTIL(*state, seen.arrived == 1);
	assert_int_equal(seen.sizes[0], 5);
	assert_int_equal(seen.failed, 2);
	assert_int_equal(stats_of(other).received, 1);
	/* And it can be without a peer again. */
	assert_int_equal(tend_datagrams_connect(s, NULL), 0);
	assert_int_equal(tend_datagrams_send(s, "hello", 5), -EDESTADDRREQ);
}

static void
a_refusal_found_in_sending_costs_no_datagram(void **state)
{
	struct seen seen = { .arrived = 0 }, peer = { .arrived = 0 };
	struct tend_datagrams *s = start(*state, "127.0.0.1:0", &seen), *other;
	char where[64];
	int i;

	free_address(where);
	assert_int_equal(tend_datagrams_connect(s, where), 0);
	/* The kernel has the news of this one before the loop hears of it. */
	assert_int_equal(send(tend_datagrams_fd(s), "x", 1, 0), 1);
	other = start(*state, where, &peer);
	for (i = 0; i < DATAGRAM_BATCH; i++)
		assert_int_equal(tend_datagrams_send(s, "y", 1), 0);
	TURN_UNTIL(*state, peer.arrived == DATAGRAM_BATCH);
	TURN_UNTIL(*state, seen.failed == 1);
	assert_int_equal(seen.error, -ECONNREFUSED);
	assert_int_equal(stats_of(s).lost, 0);
	assert_int_equal(stats_of(other).received, DATAGRAM_BATCH);
}

static void
a_queue_of_errors_does_not_spin(void **state)
{
	struct seen seen = { .arrived = 0 };
	struct tend_loop_stats before, after;
	struct tend_datagrams *s;
	char where[64];
	int fd, on = 1, i;

	/* Such a queue is Linux's own. */
	if (strcmp(tend_loop_poller(*state), "kqueue") == 0)
		skip();
	free_address(where);
	fd = client_of(where);
	assert_int_equal(setsockopt(fd, IPPROTO_IP, IP_RECVERR, &on, sizeof(on)), 0);
	assert_int_equal(tend_datagrams_adopt(&s, *state, fd, &hooks, &seen), 0);
	for (i = 0; i < 10; i++) {
		assert_int_equal(tend_datagrams_send(s, "x", 1), 0);
		assert_int_equal(tend_loop_turn(*state, 0), 0);
	}
	TURN_UNTIL(*state, seen.failed > 0);
	for (i = 0; i < 20; i++)
		assert_int_equal(tend_loop_turn(*state, 0), 0);
	tend_loop_stats(*state, &before);
	for (i = 0; i < 20; i++)
		assert_int_equal(tend_loop_turn(*state, 0), 0);
	tend_loop_stats(*state, &after);
	assert_int_equal(after.events, before.events);
	assert_in_range(seen.failed, 1, 40);
}

/* ---- a kernel that takes no more ---- */

static void
a_full_queue_refuses_and_tells_when_it_is_empty(void **state)
{
	struct seen seen = { .arrived = 0 };
	struct tend_datagrams *s;
	char data[1000] = "", got[1000];
	unsigned taken = 0, i;
	int pair[2], r;

	assert_int_equal(socketpair(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0, pair), 0);
	assert_int_equal(tend_datagrams_adopt(&s, *state, pair[0], &hooks, &seen), 0);
	tend_datagrams_set_queue(s, 20 * sizeof(data));
	while ((r = tend_datagrams_send(s, data, sizeof(data))) == 0)
		taken++;
	assert_int_equal(r, -ENOBUFS);
	assert_int_equal(stats_of(s).refused, 1);
	assert_in_range(stats_of(s).queued, 1, 20 * sizeof(data));
	assert_int_equal(tend_loop_turn(*state, 0), 0);
	assert_int_equal(seen.drained, 0);
	for (i = 0; i < taken; i++) {
		while (recv(pair[1], got, sizeof(got), 0) < 0)
			assert_int_equal(tend_loop_turn(*state, 1), 0);
	}
	TURN_UNTIL(*state, seen.drained == 1);
	assert_int_equal(stats_of(s).sent, taken);
	assert_int_equal(stats_of(s).queued, 0);
	assert_int_equal(stats_of(s).lost, 0);
	close(pair[1]);
}

/* ---- unix sockets ---- */

static void
unix_datagrams_go_both_ways(void **state)
{
	struct seen seen = { .echo = true }, back = { .arrived = 0 };
	struct tend_datagrams *s = start(*state, path_of("a"), &seen), *b = start(*state, path_of("b"), &back);
	char name[160], expected[160];

	assert_int_equal(tend_datagrams_connect(b, path_of("a")), 0);
	assert_int_equal(tend_datagrams_send(b, "ping", 4), 0);
	TURN_UNTIL(*state, back.arrived == 1);
	assert_int_equal(back.sizes[0], 4);
	snprintf(expected, sizeof(expected), "unix:%s", path_of("b"));
	assert_string_equal(tend_route_text(&seen.routes[0], name, sizeof(name)), expected);
	tend_datagrams_stop(s);
	tend_datagrams_stop(b);
	assert_int_equal(access(path_of("a"), F_OK), -1);
	assert_int_equal(access(path_of("b"), F_OK), -1);
}

static void
a_sender_without_a_name_cannot_be_answered(void **state)
{
	struct seen seen = { .arrived = 0 };
	struct tend_datagrams *s = start(*state, path_of("a"), &seen);
	int fd = client_of(path_of("a"));
	char name[8];

	say(fd, "who am I?");
	TURN_UNTIL(*state, seen.arrived == 1);
	assert_int_equal(seen.routes[0].peer_length, 0);
	assert_string_equal(tend_route_text(&seen.routes[0], name, sizeof(name)), "");
	assert_int_equal(tend_datagrams_send_to(s, &seen.routes[0], "?", 1), -EDESTADDRREQ);
	close(fd);
}

static void
a_receiver_without_room_holds_up_nobody(void **state)
{
	struct seen seen = { .arrived = 0 }, good = { .arrived = 0 };
	struct tend_datagrams *s = start(*state, path_of("a"), &seen);
	struct tend_route to_slow, to_good;
	struct addr slow;
	int fd = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0), r, i;

	assert_int_equal(addr_parse(&slow, path_of("slow")), 0);
	assert_int_equal(bind(fd, &slow.u.any, slow.length), 0);
	assert_int_equal(tend_route_set(&to_slow, path_of("slow")), 0);
	assert_int_equal(tend_route_set(&to_good, path_of("good")), 0);
	start(*state, path_of("good"), &good);
	for (i = 0, r = 0; r == 0 && i < 100000; i++)
		r = tend_datagrams_send_to(s, &to_slow, "x", 1);
	assert_int_equal(r, -EAGAIN);
	assert_int_equal(stats_of(s).refused, 1);
	assert_int_equal(tend_datagrams_send_to(s, &to_good, "x", 1), 0);
	TURN_UNTIL(*state, good.arrived == 1);
	close(fd);
	unlink(path_of("slow"));
}

/* ---- programs ---- */

/* The suite 200_udp: who is connected speaks first, from a timer; the other answers whom he heard. */
struct talk {
	struct tend_datagrams *asks, *answers;
	struct tend_timer      timer;
	struct tend_route      last;
	char                   heard[16];
	bool                   over;
};

static void
speak(struct tend_timer *t)
{
	struct talk *talk = t->data;

	/* Nobody was heard yet. */
	assert_int_equal(tend_datagrams_send(talk->answers, "no", 2), -EDESTADDRREQ);
	assert_int_equal(tend_datagrams_send(talk->asks, "uno", 3), 0);
}

static void
talk_on(struct tend_datagrams *s, const struct tend_datagram *d)
{
	struct talk *talk = tend_datagrams_data(s);

	assert_true(d->size < sizeof(talk->heard));
	memcpy(talk->heard, d->data, d->size);
	talk->heard[d->size] = '\0';
	if (strcmp(talk->heard, "uno") == 0) {
		talk->last = *d->from;
		assert_int_equal(tend_datagrams_send_to(s, &talk->last, "dos", 3), 0);
	} else if (strcmp(talk->heard, "dos") == 0) {
		assert_int_equal(tend_datagrams_send(s, "tres", 4), 0);
	} else {
		talk->over = true;
	}
}

static void
two_ends_talk_as_in_the_reference_suite(void **state)
{
	static const struct tend_datagram_hooks talking = { .arrived = talk_on };
	struct talk talk = { .over = false };

	assert_int_equal(
	    tend_datagrams_start(&talk.answers, *state, "127.0.0.1:0", &talking, &talk), 0);
	assert_int_equal(tend_datagrams_start(&talk.asks, *state, "127.0.0.1:0", &talking, &talk), 0);
	assert_int_equal(
	    tend_datagrams_connect(talk.asks, tend_datagrams_address(talk.answers)), 0);
	tend_timer_init(&talk.timer, speak, &talk);
	tend_timer_start(*state, &talk.timer, 0.01);
	TURN_UNTIL(*state, talk.over);
	assert_string_equal(talk.heard, "tres");
}

/* contrib/portfw: one socket in front, and for each sender one behind, whose answers go back to him. */
struct forwarder {
	const char *target;
	struct tend_datagrams *front;
	struct way {
		struct forwarder      *forwarder;
		struct tend_route      back;
		struct tend_datagrams *behind;
	} ways[8];
	size_t count;
};

static void
forward_back(struct tend_datagrams *s, const struct tend_datagram *d)
{
	const struct way *way = tend_datagrams_data(s);

	assert_int_equal(
	    tend_datagrams_send_to(way->forwarder->front, &way->back, d->data, d->size), 0);
}

static struct way *
way_of(struct forwarder *f, const struct tend_route *from)
{
	static const struct tend_datagram_hooks behind = { .arrived = forward_back };
	struct way *way;
	size_t i;

	for (i = 0; i < f->count; i++)
		if (memcmp(&f->ways[i].back.peer, &from->peer, from->peer_length) == 0)
			return &f->ways[i];
	way = &f->ways[f->count++];
	way->forwarder = f;
	way->back = *from;
	assert_int_equal(tend_datagrams_start(&way->behind, tend_datagrams_loop(f->front),
	    "127.0.0.1:0", &behind, way), 0);
	assert_int_equal(tend_datagrams_connect(way->behind, f->target), 0);
	return way;
}

static void
forward(struct tend_datagrams *s, const struct tend_datagram *d)
{
	struct way *way = way_of(tend_datagrams_data(s), d->from);

	assert_int_equal(tend_datagrams_send(way->behind, d->data, d->size), 0);
}

static void
datagrams_can_be_forwarded_both_ways(void **state)
{
	static const struct tend_datagram_hooks front = { .arrived = forward };
	struct seen seen = { .echo = true };
	struct tend_datagrams *target = start(*state, "127.0.0.1:0", &seen);
	struct forwarder f = { .target = tend_datagrams_address(target) };
	int fds[8], i;
	char word[2] = "a";

	assert_int_equal(tend_datagrams_start(&f.front, *state, "127.0.0.1:0", &front, &f), 0);
	for (i = 0; i < 16; i++) {
		if (i < 8)
			fds[i] = client_of(tend_datagrams_address(f.front));
		word[0] = (char)('a' + i);
		say(fds[i % 8], word);
	}
	TURN_UNTIL(*state, stats_of(f.front).sent == 16);
	for (i = 0; i < 16; i++) {
		word[0] = (char)('a' + i);
		expect(fds[i % 8], word);
	}
	assert_int_equal(f.count, 8);
	for (i = 0; i < 8; i++)
		close(fds[i]);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		ON_EACH_POLLER(each_datagram_is_one_call_with_its_own_size),
		ON_EACH_POLLER(largest_datagram_comes_back_whole),
		ON_EACH_POLLER(longer_datagram_is_cut_and_says_so),
		ON_EACH_POLLER(flood_leaves_the_others_their_turn),
		ON_EACH_POLLER(hooks_may_stop_the_socket_in_the_middle_of_a_batch),
		ON_EACH_POLLER(hooks_may_free_the_loop),
		ON_EACH_POLLER(answers_reach_their_own_senders),
		ON_EACH_POLLER(answers_leave_from_the_address_that_was_asked),
		ON_EACH_POLLER(a_socket_for_both_families_answers_both),
		ON_EACH_POLLER(many_answers_leave_in_batches),
		ON_EACH_POLLER(what_cannot_be_sent_is_said_at_once),
		ON_EACH_POLLER(what_is_no_datagram_socket_is_not_taken),
		ON_EACH_POLLER(what_is_on_the_loop_already_stays_whose_it_is),
		ON_EACH_POLLER(a_refusal_is_told_and_the_socket_goes_on),
		ON_EACH_POLLER(a_refusal_found_in_sending_costs_no_datagram),
		ON_EACH_POLLER(a_queue_of_errors_does_not_spin),
		ON_EACH_POLLER(a_full_queue_refuses_and_tells_when_it_is_empty),
		ON_EACH_POLLER(unix_datagrams_go_both_ways),
		ON_EACH_POLLER(a_sender_without_a_name_cannot_be_answered),
		ON_EACH_POLLER(a_receiver_without_room_holds_up_nobody),
		ON_EACH_POLLER(two_ends_talk_as_in_the_reference_suite),
		ON_EACH_POLLER(datagrams_can_be_forwarded_both_ways),
	};

	return cmocka_run_group_tests(tests, make_directory, remove_directory);
}
