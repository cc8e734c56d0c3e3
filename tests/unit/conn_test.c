/* The life of a connection: handshake, sleep, user data, and the ways it can end. */
#include "conn_fixture.h"

#include <sys/time.h>

#define ANSWER 100000

/* ---- the handshake ---- */

static int
before_the_handshake(void **state)
{
	int pair[2];

	*state = &meeting;
	if (tcp_pair(AF_INET, pair) < 0)
		return -1;
	return meeting_open(&meeting, &transport_awkward, pair);
}

static int
shake_hands_slowly(struct meeting *m)
{
	int i;

	for (i = 0; i < AWKWARD_ROUNDS; i++) {
		usleep(10000);
		if (send(m->client, "h", 1, 0) != 1)
			return 1;
	}
	return client_send(m, "hello\n", 6) != 0;
}

static void
a_handshake_takes_as_many_rounds_as_it_needs(void **state)
{
	struct meeting *m = *state;
	pid_t pid = client_start(m, shake_hands_slowly);

	m->limits.handshake = 15 * CLOCK_SECOND;
	assert_int_equal(meeting_wrap(m, &m->c), 0);
	assert_int_equal(awkward.rounds, AWKWARD_ROUNDS);
	handler_gets_line(&m->c, "hello");
	client_has_done_well(pid);
}

/* NS-CIO-11 */
static void
a_handshake_that_stalls_is_given_up(void **state)
{
	struct meeting *m = *state;
	int64_t begun = clock_now();

	m->limits.handshake = 50 * CLOCK_MILLISECOND;
	assert_int_equal(send(m->client, "h", 1, 0), 1);
	assert_int_equal(meeting_wrap(m, &m->c), -ETIMEDOUT);
	assert_lasted(begun, 0.05);
	assert_int_equal(awkward.rounds, 1);
}

static int
drip(struct meeting *m)
{
	/* Always something within the time, never enough; a handshake of so many rounds... */
	while (send(m->client, "h", 1, MSG_NOSIGNAL) == 1)
		usleep(5000);
	return 0;
}

static int
endless_handshake(struct tend_conn *c)
{
	char byte;
	ssize_t n = tend_below_read(c, &byte, 1);

	return n < 0 ? (int)n : -EAGAIN;
}

/* The time is that of the whole handshake, not of each round. */
static void
a_handshake_by_drops_is_given_up_too(void **state)
{
	struct meeting *m = *state;
	int64_t begun = clock_now();
	pid_t pid = client_start(m, drip);

	m->transport.handshake = endless_handshake;
	m->limits.handshake = 100 * CLOCK_MILLISECOND;
	assert_int_equal(meeting_wrap(m, &m->c), -ETIMEDOUT);
	assert_lasted(begun, 0.1);
	tend_abort(&m->c);
	client_has_done_well(pid);
}

static void
the_deadline_of_the_connection_holds_for_the_handshake(void **state)
{
	struct meeting *m = *state;
	int64_t begun = clock_now();

	tend_set_deadline(&m->c, 0.05);
	assert_int_equal(meeting_wrap(m, &m->c), -ETIMEDOUT);
	assert_lasted(begun, 0.05);
}

static void
a_handshake_fails_when_the_client_talks_nonsense(void **state)
{
	struct meeting *m = *state;

	assert_int_equal(send(m->client, "hx", 2, 0), 2);
	assert_int_equal(meeting_wrap(m, &m->c), -EPROTO);
	tend_close(&m->c);
	assert_int_equal(awkward.done, 1);
}

static void
a_handshake_fails_when_the_client_leaves(void **state)
{
	struct meeting *m = *state;
	char byte;

	client_leaves(m);
	assert_int_equal(meeting_wrap(m, &m->c), -EPROTO);
	/* It is of no use any more, and a handler that does not look comes to its end. */
	assert_int_equal(tend_write(&m->c, "x", 1), -EPROTO);
	assert_int_equal(tend_read(&m->c, &byte, 1), 0);
	tend_close(&m->c);
	assert_int_equal(awkward.done, 1);
}

static void
a_stop_ends_a_handshake(void **state)
{
	struct meeting *m = *state;

	signal_arrives(m, true);
	assert_int_equal(meeting_wrap(m, &m->c), -ECANCELED);
}

static void
plain_transports_shake_no_hands(void **state)
{
	struct meeting *m = *state;

	signal_arrives(m, true);
	assert_int_equal(conn_handshake(&m->c), 0);
}

/* ---- close ---- */

static size_t
request_size(const struct meeting *m)
{
	return m->real == &transport_awkward ? 20000 : 1024 * 1024;
}

/* Sends all of a request, although the answer is under way already; then listens to its end. */
static int
insist(struct meeting *m)
{
	static char request[1024 * 1024], answer[ANSWER + 1];
	ssize_t n, i;
	int r;

	r = client_send(m, "line\n", 5);
	if (r == 0)
		r = client_send(m, request, request_size(m));
	if (r < 0)
		return 1;
	n = client_receive_all(m, answer, sizeof(answer));
	for (i = 0; i < n; i++)
		if (answer[i] != 'a')
			return 2;
	return n == ANSWER ? 0 : n < 0 ? 3 : 4;
}

static void
the_answer_arrives_whole_at_a_client_that_was_still_sending(void **state)
{
	struct meeting *m = *state;
	static char answer[ANSWER];
	pid_t pid = client_start(m, insist);

	memset(answer, 'a', sizeof(answer));
	handler_gets_line(&m->c, "line");
	assert_int_equal(tend_write(&m->c, answer, sizeof(answer)), sizeof(answer));
	/* Of the rest of the request something has come, and nobody read it. */
	assert_int_equal(tend_wait_readable(&m->c, PATIENCE), 1);
	tend_close(&m->c);
	client_has_done_well(pid);
}

/* What the above would be without: the counterpart that shows that it can fail. */
static void
without_lingering_unread_input_resets_the_client(void **state)
{
	struct meeting *m = *state;
	char byte;

	m->limits.linger = 0;
	client_says(m, "unread");
	assert_int_equal(tend_wait_readable(&m->c, 10), 1);
	tend_close(&m->c);
	assert_int_equal(client_receive(m, &byte, 1), -ECONNRESET);
}

static void
a_client_that_does_not_stop_is_waited_for_no_longer_than_the_limit(void **state)
{
	struct meeting *m = *state;
	int64_t begun;

	m->limits.linger = 50 * CLOCK_MILLISECOND;
	client_says(m, "unread");
	assert_int_equal(tend_wait_readable(&m->c, 10), 1);
	tend_printf(&m->c, "good bye");
	begun = clock_now();
	tend_close(&m->c);
	assert_lasted(begun, 0.05);
	assert_int_equal(tend_conn_fd(&m->c), -1);
	client_hears(m, "good bye");
	client_hears_the_end(m);
}

static int
flood(struct meeting *m)
{
	static char piece[4096];

	while (client_send(m, piece, sizeof(piece)) == 0)
		;
	return 0;
}

static void
a_client_that_floods_is_cut_off(void **state)
{
	struct meeting *m = *state;
	int64_t begun = clock_now();
	pid_t pid;

	m->limits.linger = 1 * CLOCK_SECOND;
	pid = client_start(m, flood);
	assert_int_equal(tend_wait_readable(&m->c, 10), 1);
	tend_close(&m->c);
	assert_true(since(begun) < PATIENCE / 2);
	client_has_done_well(pid);
}

/* A close costs no wait when nothing is left to read. */
static void
a_client_that_was_heard_out_is_not_waited_for(void **state)
{
	struct meeting *m = *state;
	int64_t begun = clock_now();

	client_says(m, "question");
	handler_reads(&m->c, "question");
	tend_printf(&m->c, "answer");
	tend_close(&m->c);
	assert_true(since(begun) < PATIENCE / 2);
	client_hears(m, "answer");
	client_hears_the_end(m);
}

/* A handler that has read a line too long in another way has read it. */
static void
a_long_line_that_was_read_after_all_is_not_waited_for(void **state)
{
	struct meeting *m = *state;
	int64_t begun = clock_now();
	char *line;

	m->limits.max_line = 4;
	client_says(m, "long line");
	assert_int_equal(tend_getline(&m->c, &line), -EMSGSIZE);
	handler_reads(&m->c, "long line");
	tend_close(&m->c);
	assert_true(since(begun) < PATIENCE / 2);
}

/* A denied client's request may be under way (NS-ACC-18). */
static void
a_refused_client_is_waited_for_although_it_has_sent_nothing_yet(void **state)
{
	struct meeting *m = *state;
	int64_t begun = clock_now();

	m->limits.linger = 50 * CLOCK_MILLISECOND;
	conn_refuse_input(&m->c);
	tend_printf(&m->c, "denied\n");
	tend_close(&m->c);
	assert_lasted(begun, 0.05);
	client_hears(m, "denied\n");
	client_hears_the_end(m);
}

/* ---- somebody else lingers ---- */

static int         drained_fd, closing_calls;
static const void *drain_data;

static void
note_closing(struct tend_conn *c, bool lives_on)
{
	(void)lives_on;
	/* The descriptor is still there, for those who have copies of it. */
	assert_true(tend_conn_fd(c) >= 0);
	closing_calls++;
}

static void
note_drain(void *data, int fd)
{
	assert_int_equal(closing_calls, 1);
	drain_data = data;
	drained_fd = fd;
}

static void
let_others_drain(struct meeting *m)
{
	drained_fd = -1;
	closing_calls = 0;
	drain_data = NULL;
	m->mood.closing = note_closing;
	m->mood.drain = note_drain;
}

static void
a_client_that_may_be_sending_is_handed_over_to_who_drains(void **state)
{
	struct meeting *m = *state;
	int fd = tend_conn_fd(&m->c);

	let_others_drain(m);
	client_says(m, "unread");
	assert_int_equal(tend_wait_readable(&m->c, 10), 1);
	tend_printf(&m->c, "good bye");
	tend_close(&m->c);
	assert_int_equal(drained_fd, fd);
	assert_ptr_equal(drain_data, m->mood.data);
	assert_int_equal(tend_conn_fd(&m->c), -1);
	assert_true(fcntl(fd, F_GETFD) >= 0);
	client_hears(m, "good bye");
	client_hears_nothing(m);
	close(fd);
}

static void
a_client_that_was_heard_out_is_closed_at_once(void **state)
{
	struct meeting *m = *state;

	let_others_drain(m);
	tend_printf(&m->c, "good bye");
	tend_close(&m->c);
	assert_int_equal(drained_fd, -1);
	assert_int_equal(closing_calls, 1);
	client_hears(m, "good bye");
	client_hears_the_end(m);
	tend_close(&m->c);
	assert_int_equal(closing_calls, 1);
}

/* Its end is more than the socket's, and the socket alone is what others can drain. */
static void
wrapped_transports_say_their_end_before_others_drain(void **state)
{
	struct meeting *m = *state;

	let_others_drain(m);
	client_says(m, "unread");
	assert_int_equal(tend_wait_readable(&m->c, 10), 1);
	tend_close(&m->c);
	assert_true(drained_fd >= 0);
	assert_int_equal(awkward.ended, 1);
	assert_int_equal(awkward.done, 1);
	client_hears_the_end(m);
	close(drained_fd);
}

static void
a_descriptor_can_be_given_up_after_the_last_words(void **state)
{
	struct meeting *m = *state;
	int fd = tend_conn_fd(&m->c);

	tend_printf(&m->c, "last words");
	assert_int_equal(conn_give_up_fd(&m->c), fd);
	assert_int_equal(tend_conn_fd(&m->c), -1);
	client_hears(m, "last words");
	client_hears_nothing(m);
	tend_close(&m->c);
	assert_true(fcntl(fd, F_GETFD) >= 0);
	close(fd);
	client_hears_the_end(m);
}

static void
one_who_must_not_wait_does_not(void **state)
{
	struct meeting *m = *state;
	char byte;

	m->mood.wait = conn_wait_never;
	assert_int_equal(tend_read(&m->c, &byte, 1), -ETIMEDOUT);
	client_says(m, "x");
	handler_reads(&m->c, "x");
	tend_printf(&m->c, "full, sorry");
	tend_close(&m->c);
	client_hears(m, "full, sorry");
}

static void
closing_twice_is_closing_once(void **state)
{
	struct meeting *m = *state;
	int fd = tend_conn_fd(&m->c), other;

	assert_true(fd >= 0);
	tend_close(&m->c);
	assert_int_equal(tend_conn_fd(&m->c), -1);
	assert_int_equal(fcntl(fd, F_GETFD), -1);
	/* The number belongs to somebody else now. */
	other = open("/dev/null", O_RDONLY | O_CLOEXEC);
	assert_int_equal(other, fd);
	tend_close(&m->c);
	conn_close(&m->c);
	tend_abort(&m->c);
	assert_true(fcntl(other, F_GETFD) >= 0);
	close(other);
}

static void
an_abort_resets_the_client_and_drops_what_was_not_sent(void **state)
{
	struct meeting *m = *state;
	char byte;

	assert_int_equal(tend_write(&m->c, "unsent", 6), 6);
	tend_abort(&m->c);
	assert_int_equal(tend_conn_fd(&m->c), -1);
	assert_int_equal(client_receive(m, &byte, 1), -ECONNRESET);
	assert_int_equal(tend_write(&m->c, "x", 1), -ENOTCONN);
	assert_int_equal(tend_read(&m->c, &byte, 1), -ENOTCONN);
	assert_int_equal(tend_flush(&m->c), -ENOTCONN);
}

static void
an_abort_without_resets_is_an_end(void **state)
{
	struct meeting *m = *state;

	assert_int_equal(tend_write(&m->c, "unsent", 6), 6);
	tend_abort(&m->c);
	client_hears_the_end(m);
}

/* NW-122: the parent's copy goes without a word. */
static void
one_who_leaves_does_not_disturb_the_other_process(void **state)
{
	struct meeting *m = *state;
	char from_another[10] = "by another", heard[10];
	int other = fcntl(m->c.fd, F_DUPFD_CLOEXEC, 0);

	tend_printf(&m->c, "not by this process");
	conn_leave(&m->c);
	assert_int_equal(tend_conn_fd(&m->c), -1);
	assert_int_equal(tend_flush(&m->c), -ENOTCONN);
	client_hears_nothing(m);
	assert_int_equal(awkward.ended, 0);
	assert_int_equal(send(other, from_another, sizeof(from_another), 0), sizeof(from_another));
	on_the_wire(m, from_another, sizeof(from_another));
	assert_int_equal(client_receive_all(m, heard, sizeof(heard)), sizeof(heard));
	assert_memory_equal(heard, from_another, sizeof(heard));
	close(other);
}

/* ---- one object for many clients ---- */

static void
the_next_client_finds_nothing_of_the_one_before(void **state)
{
	struct meeting *m = *state;
	int pair[2], data = 0;
	char *base;

	client_says(m, "one\ntwo\n");
	handler_gets_line(&m->c, "one");
	tend_printf(&m->c, "unsent");
	tend_conn_set_data(&m->c, &data, NULL);
	tend_set_timeout(&m->c, 1);
	tend_set_deadline(&m->c, 1);
	tend_abort(&m->c);
	conn_release(&m->c);
	base = m->c.in.base;
	client_leaves(m);
	assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, pair), 0);
	m->client = pair[1];
	conn_open(&m->c, pair[0], &m->listener, NULL, &m->mood);
	assert_null(tend_conn_data(&m->c));
	assert_int_equal(m->c.deadline, CLOCK_NEVER);
	assert_int_equal(m->c.idle, m->limits.idle);
	/* Its buffers are warm. */
	assert_ptr_equal(m->c.in.base, base);
	client_says(m, "three\n");
	handler_gets_line(&m->c, "three");
	assert_int_equal(tend_flush(&m->c), 0);
	client_hears_nothing(m);
}

static void
large_buffers_are_given_back(void **state)
{
	struct meeting *m = *state;
	static char large[200000];

	assert_int_equal(tend_unread(&m->c, large, sizeof(large)), 0);
	assert_true(m->c.in.size >= sizeof(large));
	assert_int_equal(tend_printf(&m->c, "%100000d", 1), 100000);
	tend_abort(&m->c);
	conn_release(&m->c);
	assert_int_equal(m->c.in.size, 0);
	assert_int_equal(m->c.out.size, 0);
}

static void
zeroed_storage_can_be_released(void **state)
{
	static struct tend_conn c;

	(void)state;
	conn_close(&c);
	conn_done(&c);
	conn_init(&c);
	assert_int_equal(c.fd, -1);
	conn_done(&c);
}

static void
warm_buffers_have_room_for_a_first_read_and_write(void **state)
{
	static struct tend_conn c;

	(void)state;
	conn_init(&c);
	assert_int_equal(conn_warm(&c, true), 0);
	assert_true(buf_room_size(&c.in) >= CONN_INPUT_CHUNK);
	assert_non_null(c.out.base);
	conn_done(&c);
}

/* ---- user data ---- */

static int released[2];

static void
count_release(void *data)
{
	++*(int *)data;
}

static void
user_data_are_released_once(void **state)
{
	struct meeting *m = *state;

	memset(released, 0, sizeof(released));
	assert_null(tend_conn_data(&m->c));
	assert_ptr_equal(tend_conn_server(&m->c), m);
	tend_conn_set_data(&m->c, &released[0], count_release);
	assert_ptr_equal(tend_conn_data(&m->c), &released[0]);
	/* When they are replaced. */
	tend_conn_set_data(&m->c, &released[1], count_release);
	assert_int_equal(released[0], 1);
	tend_close(&m->c);
	/* Not at the close: the hook `closed` comes after it. */
	assert_int_equal(released[1], 0);
	assert_ptr_equal(tend_conn_data(&m->c), &released[1]);
	conn_release(&m->c);
	assert_int_equal(released[1], 1);
	assert_null(tend_conn_data(&m->c));
	conn_release(&m->c);
	assert_int_equal(released[0], 1);
	assert_int_equal(released[1], 1);
}

static void
user_data_without_a_release_are_let_go(void **state)
{
	struct meeting *m = *state;
	int data = 0;

	tend_conn_set_data(&m->c, &data, NULL);
	assert_ptr_equal(tend_conn_data(&m->c), &data);
	tend_conn_set_data(&m->c, NULL, NULL);
	assert_null(tend_conn_data(&m->c));
	assert_int_equal(data, 0);
}

/* ---- sleep ---- */

static void
sleep_takes_its_time(void **state)
{
	struct meeting *m = *state;
	int64_t begun = clock_now();

	assert_int_equal(tend_sleep(&m->c, 0.05), 0);
	assert_lasted(begun, 0.05);
	assert_int_equal(tend_sleep(&m->c, 0), 0);
	assert_int_equal(tend_sleep(&m->c, -1), 0);
}

static void
neither_data_nor_their_end_wake_a_sleeper(void **state)
{
	struct meeting *m = *state;
	int64_t begun;

	client_says(m, "wake up");
	client_leaves(m);
	begun = clock_now();
	assert_int_equal(tend_sleep(&m->c, 0.05), 0);
	assert_lasted(begun, 0.05);
	handler_reads(&m->c, "wake up");
	tend_close(&m->c);
	begun = clock_now();
	assert_int_equal(tend_sleep(&m->c, 0.02), 0);
	assert_lasted(begun, 0.02);
}

static void
a_stop_wakes_a_sleeper(void **state)
{
	struct meeting *m = *state;
	int64_t begun = clock_now();

	signal_arrives(m, true);
	assert_int_equal(tend_sleep(&m->c, 60), -ECANCELED);
	assert_true(since(begun) < PATIENCE / 2);
	assert_true(tend_conn_fd(&m->c) >= 0);
}

static void
another_signal_does_not_wake_a_sleeper(void **state)
{
	struct meeting *m = *state;
	int64_t begun = clock_now();

	signal_arrives(m, false);
	assert_int_equal(tend_sleep(&m->c, 0.05), 0);
	assert_lasted(begun, 0.05);
}

static unsigned orphaned;

static void
note_orphaned(void *data)
{
	assert_ptr_equal(data, &meeting);
	orphaned++;
}

/* A worker hears of its parent's end while it waits for a client, and goes on serving it. */
static void
the_end_of_the_parent_is_told_once_and_ends_no_wait(void **state)
{
	struct meeting *m = *state;
	int64_t begun = clock_now();
	int lifeline[2];

	orphaned = 0;
	assert_int_equal(pipe(lifeline), 0);
	m->mood.lifeline_fd = lifeline[0];
	m->mood.orphaned = note_orphaned;
	assert_int_equal(tend_sleep(&m->c, 0.01), 0);
	assert_int_equal(orphaned, 0);
	close(lifeline[1]);
	assert_int_equal(tend_sleep(&m->c, 0.05), 0);
	assert_lasted(begun, 0.06);
	assert_int_equal(tend_sleep(&m->c, 0.01), 0);
	assert_int_equal(orphaned, 1);
	client_says(m, "still here\n");
	handler_gets_line(&m->c, "still here");
	close(lifeline[0]);
}

static void
note(int signo)
{
	(void)signo;
}

/* Interrupted system calls are begun again with the time that is left. */
static void
signals_of_the_application_do_not_shorten_a_wait(void **state)
{
	struct meeting *m = *state;
	struct sigaction act = { .sa_handler = note }, before;
	struct itimerval often = { { 0, 3000 }, { 0, 3000 } }, never = { { 0, 0 }, { 0, 0 } };
	int64_t begun = clock_now();
	char byte;

	assert_int_equal(sigaction(SIGALRM, &act, &before), 0);
	setitimer(ITIMER_REAL, &often, NULL);
	assert_int_equal(tend_sleep(&m->c, 0.05), 0);
	assert_lasted(begun, 0.05);
	begun = clock_now();
	tend_set_timeout(&m->c, 0.05);
	assert_int_equal(tend_read(&m->c, &byte, 1), -ETIMEDOUT);
	assert_lasted(begun, 0.05);
	setitimer(ITIMER_REAL, &never, NULL);
	sigaction(SIGALRM, &before, NULL);
}

int
main(void)
{
	static const struct CMUnitTest tests[] = {
#define BEFORE_THE_HANDSHAKE(test) { #test, test, before_the_handshake, part, NULL }
		BEFORE_THE_HANDSHAKE(a_handshake_takes_as_many_rounds_as_it_needs),
		BEFORE_THE_HANDSHAKE(a_handshake_that_stalls_is_given_up),
		BEFORE_THE_HANDSHAKE(a_handshake_by_drops_is_given_up_too),
		BEFORE_THE_HANDSHAKE(the_deadline_of_the_connection_holds_for_the_handshake),
		BEFORE_THE_HANDSHAKE(a_handshake_fails_when_the_client_talks_nonsense),
		BEFORE_THE_HANDSHAKE(a_handshake_fails_when_the_client_leaves),
		BEFORE_THE_HANDSHAKE(a_stop_ends_a_handshake),
		OVER_TCP(plain_transports_shake_no_hands),
		EVERYWHERE(the_answer_arrives_whole_at_a_client_that_was_still_sending),
		OVER_TCP(without_lingering_unread_input_resets_the_client),
		EVERYWHERE(a_client_that_does_not_stop_is_waited_for_no_longer_than_the_limit),
		EVERYWHERE(a_client_that_floods_is_cut_off),
		EVERYWHERE(a_client_that_was_heard_out_is_not_waited_for),
		EVERYWHERE(a_long_line_that_was_read_after_all_is_not_waited_for),
		EVERYWHERE(a_refused_client_is_waited_for_although_it_has_sent_nothing_yet),
		OVER_UNIX(a_client_that_may_be_sending_is_handed_over_to_who_drains),
		OVER_TCP(a_client_that_may_be_sending_is_handed_over_to_who_drains),
		EVERYWHERE(a_client_that_was_heard_out_is_closed_at_once),
		OVER_AWKWARD(wrapped_transports_say_their_end_before_others_drain),
		OVER_UNIX(a_descriptor_can_be_given_up_after_the_last_words),
		OVER_UNIX(one_who_must_not_wait_does_not),
		EVERYWHERE(closing_twice_is_closing_once),
		OVER_TCP(an_abort_resets_the_client_and_drops_what_was_not_sent),
		OVER_AWKWARD(an_abort_resets_the_client_and_drops_what_was_not_sent),
		OVER_UNIX(an_abort_without_resets_is_an_end),
		EVERYWHERE(one_who_leaves_does_not_disturb_the_other_process),
		OVER_UNIX(the_next_client_finds_nothing_of_the_one_before),
		OVER_UNIX(large_buffers_are_given_back),
		cmocka_unit_test(zeroed_storage_can_be_released),
		cmocka_unit_test(warm_buffers_have_room_for_a_first_read_and_write),
		EVERYWHERE(user_data_are_released_once),
		OVER_UNIX(user_data_without_a_release_are_let_go),
		EVERYWHERE(sleep_takes_its_time),
		EVERYWHERE(neither_data_nor_their_end_wake_a_sleeper),
		EVERYWHERE(a_stop_wakes_a_sleeper),
		EVERYWHERE(another_signal_does_not_wake_a_sleeper),
		OVER_UNIX(the_end_of_the_parent_is_told_once_and_ends_no_wait),
		EVERYWHERE(signals_of_the_application_do_not_shorten_a_wait),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
