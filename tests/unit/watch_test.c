/* Watches on descriptors: what is delivered, to whom, and what is not. */
#include "config.h"
#include "loop_fixture.h"

#include <errno.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

/* A watch that remembers what it was told, and reads if `drain`. */
struct seen {
	struct tend_watch watch;
	unsigned events; /* of the last call */
	int calls;
	bool drain;
};

static void
see(struct tend_watch *w, unsigned events)
{
	struct seen *s = w->data;
	char bytes[64];

	s->events = events;
	s->calls++;
	if (s->drain && (events & TEND_READ) != 0)
		assert_true(read(w->fd, bytes, sizeof(bytes)) >= 0);
}

static void
watch(struct tend_loop *loop, struct seen *s, int fd, unsigned events)
{
	memset(s, 0, sizeof(*s));
	tend_watch_init(&s->watch, see, s);
	assert_int_equal(tend_watch_start(loop, &s->watch, fd, events), 0);
}

static void
turns(struct tend_loop *loop, int n)
{
	while (n-- > 0)
		assert_int_equal(tend_loop_turn(loop, 0), 0);
}

static void
pair(int fds[2])
{
	int type = SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC;

	assert_int_equal(socketpair(AF_UNIX, type, 0, fds), 0);
}

/* A connected pair over loopback: fds[0] accepted, fds[1] connected. */
static void
tcp_pair(int fds[2])
{
	struct sockaddr_in a = { .sin_family = AF_INET };
	socklen_t size = sizeof(a);
	int listener = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);

	a.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
	assert_int_equal(bind(listener, (struct sockaddr *)&a, size), 0);
	assert_int_equal(listen(listener, 1), 0);
	assert_int_equal(getsockname(listener, (struct sockaddr *)&a, &size), 0);
	fds[1] = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
	assert_int_equal(connect(fds[1], (struct sockaddr *)&a, size), 0);
	fds[0] = accept(listener, NULL, NULL);
	assert_true(fds[0] >= 0);
	close(listener);
}

static void
close_pair(int fds[2])
{
	close(fds[0]);
	close(fds[1]);
}

/* DS-24, DS-25, DS-90, DS-111 */
static void
interest_is_level_triggered_and_can_change(void **state)
{
	struct tend_loop *loop = *state;
	struct seen s;
	int fds[2];

	pair(fds);
	watch(loop, &s, fds[0], 0);
	assert_int_equal(write(fds[1], "x", 1), 1);
	turns(loop, 3);
	assert_int_equal(s.calls, 0);
	assert_int_equal(tend_watch_change(&s.watch, TEND_READ), 0);
	turns(loop, 3);
	assert_int_equal(s.calls, 3);
	assert_int_equal(s.events, TEND_READ);
	assert_int_equal(tend_watch_change(&s.watch, TEND_READ | TEND_WRITE), 0);
	turns(loop, 1);
	assert_int_equal(s.events, TEND_READ | TEND_WRITE);
	assert_int_equal(tend_watch_change(&s.watch, TEND_WRITE), 0);
	turns(loop, 1);
	assert_int_equal(s.events, TEND_WRITE);
	assert_int_equal(tend_watch_change(&s.watch, 0), 0);
	turns(loop, 2);
	assert_int_equal(s.calls, 5);
	tend_watch_stop(&s.watch);
	tend_watch_stop(&s.watch);
	assert_int_equal(tend_watch_change(&s.watch, TEND_READ), -EINVAL);
	turns(loop, 1);
	assert_int_equal(s.calls, 5);
	close_pair(fds);
}

/* DS-T36: DS-44, DS-65, DS-67 */
static void
start_refuses_what_cannot_be_watched(void **state)
{
	struct tend_loop *loop = *state;
	struct seen s, other;
	char path[] = "/tmp/tend-watch-XXXXXX";
	int fds[2], file = mkstemp(path);

	assert_true(file >= 0);
	unlink(path);
	pair(fds);
	memset(&s, 0, sizeof(s));
	tend_watch_init(&s.watch, see, &s);
	assert_int_equal(tend_watch_start(loop, &s.watch, file, TEND_READ), -EPERM);
	assert_int_equal(tend_watch_start(loop, &s.watch, -1, TEND_READ), -EBADF);
	close(file);
	assert_int_equal(tend_watch_start(loop, &s.watch, file, TEND_READ), -EBADF);
	watch(loop, &other, fds[0], TEND_READ);
	assert_int_equal(tend_watch_start(loop, &s.watch, fds[0], TEND_READ), -EEXIST);
	assert_null(s.watch.loop);
	/* It moves to another descriptor. */
	assert_int_equal(tend_watch_start(loop, &other.watch, fds[1], TEND_READ), 0);
	assert_int_equal(tend_watch_start(loop, &s.watch, fds[0], TEND_READ), 0);
	tend_watch_stop(&s.watch);
	tend_watch_stop(&other.watch);
	close_pair(fds);
}

/* DS-67 */
static void
descriptor_zero_is_an_ordinary_one(void **state)
{
	struct tend_loop *loop = *state;
	struct seen s;
	int fds[2], kept = dup(0);

	pair(fds);
	assert_int_equal(dup2(fds[0], 0), 0);
	watch(loop, &s, 0, TEND_READ);
	assert_int_equal(write(fds[1], "x", 1), 1);
	turns(loop, 1);
	assert_int_equal(s.calls, 1);
	tend_watch_stop(&s.watch);
	if (kept >= 0) {
		dup2(kept, 0);
		close(kept);
	} else {
		close(0);
	}
	close_pair(fds);
}

#define MANY 1500

/* DS-T05: DS-10 */
static void
fifteen_hundred_ready_are_served_before_any_is_again(void **state)
{
	static struct seen many[MANY];
	struct tend_loop *loop = *state;
	int most = strcmp(tend_loop_poller(loop), "poll") == 0 ? LOOP_BATCH : LOOP_ASKED;
	struct tend_loop_stats stats;
	struct rlimit limit;
	int fds[2], i;

	assert_int_equal(getrlimit(RLIMIT_NOFILE, &limit), 0);
	if (limit.rlim_max < MANY + 100)
		skip();
	limit.rlim_cur = limit.rlim_cur < MANY + 100 ? MANY + 100 : limit.rlim_cur;
	assert_int_equal(setrlimit(RLIMIT_NOFILE, &limit), 0);
	pair(fds);
	assert_int_equal(write(fds[1], "x", 1), 1);
	for (i = 0; i < MANY; i++)
		watch(loop, &many[i], fcntl(fds[0], F_DUPFD_CLOEXEC, 0), TEND_READ);
	turns(loop, 1);
	tend_loop_stats(loop, &stats);
	assert_int_equal(stats.events, most);
	turns(loop, MANY / most);
	for (i = 0; i < MANY; i++) {
		assert_in_range(many[i].calls, 1, 2);
		close(many[i].watch.fd);
		tend_watch_stop(&many[i].watch);
	}
	close_pair(fds);
}

struct rival {
	struct tend_watch watch;
	struct rival *other;
	int fd, calls;
	int put_in_place; /* what the other's descriptor becomes, or -1 */
	struct seen *newcomer;
};

static void
kill_other(struct tend_watch *w, unsigned events)
{
	struct rival *r = w->data, *o = r->other;
	struct tend_loop *loop = w->loop;

	(void)events;
	r->calls++;
	if (o == NULL)
		return;
	r->other = NULL;
	tend_watch_stop(&o->watch);
	close(o->fd);
	if (r->put_in_place >= 0) {
		assert_int_equal(dup2(r->put_in_place, o->fd), o->fd);
		watch(loop, r->newcomer, o->fd, TEND_READ);
	}
	memset(&o->watch, 0xee, sizeof(o->watch));
}

/* DS-T06: DS-27, DS-28, 12-closerace */
static void
event_of_a_stopped_watch_finds_nobody(void **state)
{
	struct tend_loop *loop = *state;
	struct rival r[2];
	struct seen newcomer;
	int fds[2], quiet[2], reuse, i, winner;

	for (reuse = 0; reuse < 2; reuse++) {
		pair(fds);
		pair(quiet);
		for (i = 0; i < 2; i++) {
			r[i] = (struct rival){ .other = &r[1 - i], .fd = fds[i],
				.put_in_place = reuse ? quiet[0] : -1, .newcomer = &newcomer };
			tend_watch_init(&r[i].watch, kill_other, &r[i]);
			assert_int_equal(
			    tend_watch_start(loop, &r[i].watch, fds[i], TEND_WRITE), 0);
		}
		turns(loop, 1);
		assert_int_equal(r[0].calls + r[1].calls, 1);
		winner = r[1].calls;
		turns(loop, 10);
		assert_int_equal(r[winner].calls, 11);
		assert_int_equal(r[1 - winner].calls, 0);
		tend_watch_stop(&r[winner].watch);
		close(fds[winner]);
		if (reuse) {
			assert_int_equal(newcomer.calls, 0);
			assert_int_equal(write(quiet[1], "x", 1), 1);
			turns(loop, 1);
			assert_int_equal(newcomer.calls, 1);
			tend_watch_stop(&newcomer.watch);
			close(fds[1 - winner]);
		}
		close_pair(quiet);
	}
	assert_true(loop->stats.events_stale >= 2);
}

static void
drop_other_interest(struct tend_watch *w, unsigned events)
{
	struct rival *r = w->data;

	(void)events;
	r->calls++;
	if (r->other != NULL)
		assert_int_equal(tend_watch_change(&r->other->watch, 0), 0);
}

/* An interest that was dropped in the same batch is not served any more. */
static void
dropped_interest_is_not_delivered(void **state)
{
	struct tend_loop *loop = *state;
	struct rival r[2];
	int fds[2], i;

	pair(fds);
	for (i = 0; i < 2; i++) {
		r[i] = (struct rival){ .other = &r[1 - i] };
		tend_watch_init(&r[i].watch, drop_other_interest, &r[i]);
		assert_int_equal(tend_watch_start(loop, &r[i].watch, fds[i], TEND_WRITE), 0);
	}
	turns(loop, 5);
	assert_true((r[0].calls == 5 && r[1].calls == 0) || (r[0].calls == 0 && r[1].calls == 5));
	tend_watch_stop(&r[0].watch);
	tend_watch_stop(&r[1].watch);
	close_pair(fds);
}

static void
stop_itself(struct tend_watch *w, unsigned events)
{
	(void)events;
	++*(int *)w->data;
	tend_watch_stop(w);
	memset(w, 0xee, sizeof(*w));
}

static void
watch_may_be_freed_in_its_own_callback(void **state)
{
	struct tend_loop *loop = *state;
	struct tend_watch *w = malloc(sizeof(*w));
	int fds[2], calls = 0;

	assert_non_null(w);
	pair(fds);
	tend_watch_init(w, stop_itself, &calls);
	assert_int_equal(tend_watch_start(loop, w, fds[0], TEND_WRITE), 0);
	tend_loop_profile(loop, true);
	turns(loop, 3);
	assert_int_equal(calls, 1);
	free(w);
	close_pair(fds);
}

/* DS-T07: DS-30, and the peer's end is still ready to be read */
static void
end_of_input_is_readable_until_it_is_taken(void **state)
{
	struct tend_loop *loop = *state;
	struct seen s;
	char c;
	int fds[2];

	tcp_pair(fds);
	watch(loop, &s, fds[0], TEND_READ);
	assert_int_equal(shutdown(fds[1], SHUT_WR), 0);
	assert_int_equal(tend_loop_turn(loop, 5), 0);
	turns(loop, 2);
	assert_int_equal(s.calls, 3);
	assert_int_equal(s.events, TEND_READ);
	assert_int_equal(read(fds[0], &c, 1), 0);
	/* Without read interest: no event at all. */
	assert_int_equal(tend_watch_change(&s.watch, 0), 0);
	turns(loop, 3);
	assert_int_equal(s.calls, 3);
	tend_watch_stop(&s.watch);
	close_pair(fds);
}

/* DS-T07: DS-29 */
static void
unix_peer_that_closed_gives_all_in_one_call(void **state)
{
	struct tend_loop *loop = *state;
	struct seen s;
	int fds[2];

	pair(fds);
	watch(loop, &s, fds[0], TEND_READ | TEND_WRITE);
	assert_int_equal(write(fds[1], "data", 4), 4);
	close(fds[1]);
	turns(loop, 1);
	assert_int_equal(s.events, TEND_READ | TEND_WRITE | TEND_HANGUP);
	/* What was asked for goes on; the hang-up was told. DS-33 */
	turns(loop, 1);
	assert_int_equal(s.events, TEND_READ | TEND_WRITE);
	tend_watch_stop(&s.watch);
	close(fds[0]);
}

/* DS-T07: DS-31 */
static void
reset_gives_all_in_one_call(void **state)
{
	struct tend_loop *loop = *state;
	struct linger now = { .l_onoff = 1, .l_linger = 0 };
	struct seen s;
	int fds[2];

	tcp_pair(fds);
	watch(loop, &s, fds[0], TEND_READ);
	assert_int_equal(setsockopt(fds[1], SOL_SOCKET, SO_LINGER, &now, sizeof(now)), 0);
	close(fds[1]);
	assert_int_equal(tend_loop_turn(loop, 5), 0);
	assert_int_equal(s.events, TEND_READ | TEND_ERROR | TEND_HANGUP);
	tend_watch_stop(&s.watch);
	close(fds[0]);
}

/* DS-T07: DS-32 */
static void
refused_connect_gives_write_error_hangup(void **state)
{
	struct tend_loop *loop = *state;
	struct sockaddr_in a = { .sin_family = AF_INET };
	socklen_t size = sizeof(a);
	struct seen s;
	int closed = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0), fd;

	/* Bound but not listening: nobody else gets the port, and it refuses. */
	a.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
	assert_int_equal(bind(closed, (struct sockaddr *)&a, size), 0);
	assert_int_equal(getsockname(closed, (struct sockaddr *)&a, &size), 0);
	fd = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
	if (connect(fd, (struct sockaddr *)&a, size) < 0)
		assert_true(errno == EINPROGRESS || errno == ECONNREFUSED);
	watch(loop, &s, fd, TEND_WRITE);
	assert_int_equal(tend_loop_turn(loop, 5), 0);
	assert_int_equal(s.events & ~(unsigned)TEND_ERROR, TEND_WRITE | TEND_HANGUP);
	tend_watch_stop(&s.watch);
	close(fd);
	close(closed);
}

/* Whether the peer ends its half as well is what one still waits for. */
static void
own_half_that_ended_is_no_hangup(void **state)
{
	static const unsigned wanted[] = { 0, TEND_READ };
	struct tend_loop *loop = *state;
	struct seen s;
	int fds[2], i;

	for (i = 0; i < 4; i++) {
		if (i < 2)
			pair(fds);
		else
			tcp_pair(fds);
		watch(loop, &s, fds[0], wanted[i % 2]);
		assert_int_equal(shutdown(fds[0], SHUT_WR), 0);
		turns(loop, 3);
		assert_int_equal(s.calls, 0);
		assert_int_equal(shutdown(fds[1], SHUT_WR), 0);
		assert_int_equal(tend_loop_turn(loop, 5), 0);
		assert_int_equal(s.events, wanted[i % 2] | TEND_HANGUP);
		tend_watch_stop(&s.watch);
		close_pair(fds);
	}
}

/* A pipe that cannot be written to any more, before its watch is started and after. */
static void
writer_hears_that_its_reader_is_gone(void **state)
{
	struct tend_loop *loop = *state;
	struct seen s;
	int fds[2], i;

	for (i = 0; i < 2; i++) {
		assert_int_equal(pipe(fds), 0);
		if (i == 0)
			close(fds[0]);
		watch(loop, &s, fds[1], TEND_WRITE);
		if (i == 1) {
			turns(loop, 1);
			assert_int_equal(s.events, TEND_WRITE);
			close(fds[0]);
		}
		turns(loop, 1);
		assert_true((s.events & (TEND_ERROR | TEND_HANGUP)) != 0);
		assert_true(i == 0 || (s.events & TEND_WRITE) != 0);
		tend_watch_stop(&s.watch);
		close(fds[1]);
	}
}

static uint64_t
turns_in_fifty_milliseconds(struct tend_loop *loop)
{
	int64_t begin = clock_now();
	uint64_t before = loop->stats.turns;

	while (clock_now() - begin < 50 * CLOCK_MILLISECOND)
		assert_int_equal(tend_loop_turn(loop, 0.05), 0);
	return loop->stats.turns - before;
}

/* DS-25: what is there for nobody wakes nobody, or once. */
static void
what_nobody_asks_for_does_not_spin(void **state)
{
	struct tend_loop *loop = *state;
	struct seen s[2];
	int sockets[2], pipes[2];

	pair(sockets);
	assert_int_equal(pipe(pipes), 0);
	assert_int_equal(write(sockets[1], "x", 1), 1);
	assert_int_equal(write(pipes[1], "x", 1), 1);
	watch(loop, &s[0], sockets[0], 0);
	watch(loop, &s[1], pipes[0], 0);
	turns(loop, 2);
	assert_true(turns_in_fifty_milliseconds(loop) <= 3);
	assert_int_equal(s[0].calls + s[1].calls, 0);
	tend_watch_stop(&s[0].watch);
	tend_watch_stop(&s[1].watch);
	close_pair(sockets);
	close_pair(pipes);
}

/* DS-T08: DS-33 */
static void
ignored_hangup_is_told_once_and_does_not_spin(void **state)
{
	static const unsigned wanted[] = { 0, TEND_READ, TEND_EXCLUSIVE };
	struct tend_loop *loop = *state;
	struct seen s;
	size_t i;
	int fds[2];

	for (i = 0; i < sizeof(wanted) / sizeof(wanted[0]); i++) {
		/* The reading end of an empty pipe hangs up without becoming readable. */
		assert_int_equal(pipe(fds), 0);
		watch(loop, &s, fds[0], wanted[i]);
		close(fds[1]);
		turns(loop, 50);
		assert_int_equal(s.calls, 1);
		assert_int_equal(s.events, TEND_HANGUP);
		assert_true(turns_in_fifty_milliseconds(loop) <= 3);
		/* A change asks again. */
		assert_int_equal(tend_watch_change(&s.watch, TEND_READ | TEND_WRITE), 0);
		turns(loop, 5);
		assert_int_equal(s.calls, 2);
		tend_watch_stop(&s.watch);
		/* So does a new start. */
		assert_int_equal(tend_watch_start(loop, &s.watch, fds[0], TEND_READ), 0);
		turns(loop, 5);
		assert_int_equal(s.calls, 3);
		tend_watch_stop(&s.watch);
		close(fds[0]);
	}
}

/* Where the poller can mute without losing news: a fifo that is opened again is heard again. */
static void
muted_descriptor_is_heard_again(void **state)
{
	struct tend_loop *loop = *state;
	char directory[] = "/tmp/tend-watch-XXXXXX", path[64];
	struct seen s;
	int in, out;

	if (strcmp(tend_loop_poller(loop), "poll") == 0)
		skip();
	assert_non_null(mkdtemp(directory));
	snprintf(path, sizeof(path), "%s/fifo", directory);
	assert_int_equal(mkfifo(path, 0600), 0);
	in = open(path, O_RDONLY | O_NONBLOCK | O_CLOEXEC);
	out = open(path, O_WRONLY | O_CLOEXEC);
	watch(loop, &s, in, TEND_READ);
	s.drain = true;
	close(out);
	turns(loop, 10);
	assert_int_equal(s.calls, 1);
	out = open(path, O_WRONLY | O_CLOEXEC);
	assert_int_equal(write(out, "x", 1), 1);
	turns(loop, 1);
	assert_int_equal(s.calls, 2);
	assert_int_equal(s.events, TEND_READ);
	/* Level triggered as before. */
	s.drain = false;
	assert_int_equal(write(out, "x", 1), 1);
	turns(loop, 3);
	assert_int_equal(s.calls, 5);
	/* The hang-up had gone away, and is told again. */
	close(out);
	turns(loop, 1);
	assert_int_equal(s.events, TEND_READ | TEND_HANGUP);
	tend_watch_stop(&s.watch);
	close(in);
	unlink(path);
	rmdir(directory);
}

/* WATCH_EDGE, for who reads: told of news alone, and of what a short read would not come to. */
static void
watch_that_asks_for_news_is_told_once(void **state)
{
	struct tend_loop *loop = *state;
	struct seen s;
	int fds[2];

	tcp_pair(fds);
	watch(loop, &s, fds[0], TEND_READ);
	assert_int_equal(watch_change(&s.watch, TEND_READ | WATCH_EDGE), 0);
	if (strcmp(tend_loop_poller(loop), "epoll") != 0) {
		assert_int_equal(s.watch.wanted, TEND_READ);
		tend_watch_stop(&s.watch);
		close_pair(fds);
		return;
	}
	assert_int_equal(write(fds[1], "x", 1), 1);
	assert_int_equal(tend_loop_turn(loop, 10), 0);
	turns(loop, 3);
	assert_int_equal(s.calls, 1);
	assert_int_equal(s.events, TEND_READ);
	/* What lies there is told of again with each news... */
	assert_int_equal(write(fds[1], "x", 1), 1);
	assert_int_equal(tend_loop_turn(loop, 10), 0);
	turns(loop, 3);
	assert_int_equal(s.calls, 2);
	/* ...and after a change. */
	assert_int_equal(watch_change(&s.watch, 0), 0);
	turns(loop, 3);
	assert_int_equal(watch_change(&s.watch, TEND_READ | WATCH_EDGE), 0);
	turns(loop, 3);
	assert_int_equal(s.calls, 3);
	assert_int_equal(shutdown(fds[1], SHUT_WR), 0);
	assert_int_equal(tend_loop_turn(loop, 10), 0);
	turns(loop, 3);
	assert_int_equal(s.calls, 4);
	assert_int_equal(s.events, TEND_READ | WATCH_MORE);
	/* In the end as any other. */
	assert_int_equal(tend_watch_change(&s.watch, TEND_READ), 0);
	turns(loop, 3);
	assert_int_equal(s.calls, 7);
	assert_int_equal(s.events, TEND_READ);
	tend_watch_stop(&s.watch);
	close_pair(fds);
}

static void
start_in_callback(struct tend_watch *w, unsigned events)
{
	struct seen *s = w->data;
	int spare;

	(void)events;
	if (s->watch.loop != NULL)
		return;
	spare = dup(w->fd);
	watch(w->loop, s, spare, TEND_WRITE);
}

/* DS-T10: DS-36 */
static void
watch_started_in_a_callback_is_served_in_the_next_turn(void **state)
{
	struct tend_loop *loop = *state;
	struct tend_watch w;
	struct seen s = { .calls = 0 };
	int fds[2];

	pair(fds);
	tend_watch_init(&w, start_in_callback, &s);
	assert_int_equal(tend_watch_start(loop, &w, fds[0], TEND_WRITE), 0);
	turns(loop, 2);
	assert_int_equal(s.calls, 1);
	close(s.watch.fd);
	tend_watch_stop(&s.watch);
	tend_watch_stop(&w);
	close_pair(fds);
}

/* DS-T11: DS-38 */
static void
descriptor_closed_behind_the_loop_does_not_spin(void **state)
{
	struct tend_loop *loop = *state;
	struct seen s;
	int fds[2];

	pair(fds);
	watch(loop, &s, fds[0], TEND_READ);
	close_pair(fds);
	turns(loop, 20);
	if (strcmp(tend_loop_poller(loop), "poll") == 0) {
		assert_int_equal(s.calls, 1);
		assert_int_equal(s.events, TEND_ERROR);
	} else {
		/* The kernel forgets without a word; asking for more tells. */
		assert_int_equal(s.calls, 0);
		assert_int_equal(tend_watch_change(&s.watch, 0), -EBADF);
		assert_int_equal(tend_watch_change(&s.watch, TEND_WRITE), -EBADF);
	}
	assert_true(turns_in_fifty_milliseconds(loop) <= 3);
	tend_watch_stop(&s.watch);
}

/* DS-26: a source that outlives its descriptor is got rid of, and nothing is closed. */
static void
source_without_a_watch_does_not_spin(void **state)
{
	struct tend_loop *loop = *state;
	struct seen s;
	int fds[2], kept;

	pair(fds);
	kept = fcntl(fds[0], F_DUPFD_CLOEXEC, 100);
	assert_true(kept >= 100);
	assert_int_equal(write(fds[1], "x", 1), 1);
	watch(loop, &s, fds[0], TEND_READ);
	/* The wrong order: now the kernel cannot be told. */
	close(fds[0]);
	tend_watch_stop(&s.watch);
	turns(loop, 2);
	assert_true(turns_in_fifty_milliseconds(loop) <= 3);
	assert_int_equal(s.calls, 0);
	assert_true(fcntl(kept, F_GETFD) >= 0);
	close(kept);
	close(fds[1]);
}

/* The flag is taken, kept through changes and dropped where it cannot be. */
static void
exclusive_watch_can_be_changed(void **state)
{
	struct tend_loop *loop = *state;
	struct seen s;
	int fds[2];

	pair(fds);
	assert_int_equal(write(fds[1], "x", 1), 1);
	watch(loop, &s, fds[0], TEND_READ | TEND_EXCLUSIVE);
	turns(loop, 2);
	assert_int_equal(s.calls, 2);
	assert_int_equal(s.events, TEND_READ);
	assert_int_equal(tend_watch_change(&s.watch, TEND_EXCLUSIVE), 0);
	turns(loop, 2);
	assert_int_equal(s.calls, 2);
	assert_int_equal(tend_watch_change(&s.watch, TEND_WRITE), 0);
	turns(loop, 1);
	assert_int_equal(s.events, TEND_WRITE);
	assert_int_equal(tend_watch_change(&s.watch, TEND_READ | TEND_EXCLUSIVE), 0);
	turns(loop, 1);
	assert_int_equal(s.events, TEND_READ);
	tend_watch_stop(&s.watch);
	close_pair(fds);
}

/* What the kernel was told, and a watch whose descriptor the child had closed. DS-08 */
static void
after_fork_keeps_what_is_still_open(void **state)
{
	struct tend_loop *loop = *state;
	struct seen open_one, closed_one, changed;
	int a[2], b[2], c[2];

	pair(a);
	pair(b);
	pair(c);
	watch(loop, &open_one, a[0], TEND_READ);
	watch(loop, &closed_one, b[0], TEND_READ);
	watch(loop, &changed, c[0], TEND_READ);
	assert_int_equal(write(a[1], "x", 1), 1);
	close_pair(b);
	/* The same call as in a child; here nothing else holds the old state. */
	assert_int_equal(tend_loop_after_fork(loop), 0);
	assert_int_equal(tend_watch_change(&changed.watch, TEND_WRITE), 0);
	turns(loop, 3);
	assert_int_equal(open_one.calls, 3);
	assert_true(closed_one.calls <= 1);
	assert_int_equal(changed.events, TEND_WRITE);
	tend_watch_stop(&open_one.watch);
	tend_watch_stop(&closed_one.watch);
	tend_watch_stop(&changed.watch);
	close_pair(a);
	close_pair(c);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		ON_EACH_POLLER(interest_is_level_triggered_and_can_change),
		ON_EACH_POLLER(start_refuses_what_cannot_be_watched),
		ON_EACH_POLLER(descriptor_zero_is_an_ordinary_one),
		ON_EACH_POLLER(fifteen_hundred_ready_are_served_before_any_is_again),
		ON_EACH_POLLER(event_of_a_stopped_watch_finds_nobody),
		ON_EACH_POLLER(dropped_interest_is_not_delivered),
		ON_EACH_POLLER(watch_may_be_freed_in_its_own_callback),
		ON_EACH_POLLER(end_of_input_is_readable_until_it_is_taken),
		ON_EACH_POLLER(unix_peer_that_closed_gives_all_in_one_call),
		ON_EACH_POLLER(reset_gives_all_in_one_call),
		ON_EACH_POLLER(refused_connect_gives_write_error_hangup),
		ON_EACH_POLLER(own_half_that_ended_is_no_hangup),
		ON_EACH_POLLER(writer_hears_that_its_reader_is_gone),
		ON_EACH_POLLER(what_nobody_asks_for_does_not_spin),
		ON_EACH_POLLER(ignored_hangup_is_told_once_and_does_not_spin),
		ON_EACH_POLLER(muted_descriptor_is_heard_again),
		ON_EACH_POLLER(watch_that_asks_for_news_is_told_once),
		ON_EACH_POLLER(watch_started_in_a_callback_is_served_in_the_next_turn),
		ON_EACH_POLLER(descriptor_closed_behind_the_loop_does_not_spin),
		ON_EACH_POLLER(source_without_a_watch_does_not_spin),
		ON_EACH_POLLER(exclusive_watch_can_be_changed),
		ON_EACH_POLLER(after_fork_keeps_what_is_still_open),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
