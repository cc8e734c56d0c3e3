/*
 * The trace: each event that a loop delivers, each read, write and end of a connection, and nothing of what
 * the trace itself does (DS-119).
 */
#include "config.h"
#include "conn_fixture.h"
#include "loop/loop.h"
#include "net/evented.h"

#include <sys/wait.h>

static struct tend_loop *loop;
static char lines[8192];
static unsigned told;
static void (*also)(const struct tend_trace *what); /* what the function of the trace does besides */

static void
note(const struct tend_trace *what, void *data)
{
	char text[200];

	assert_ptr_equal(data, &lines);
	told++;
	snprintf(lines + strlen(lines), sizeof(lines) - strlen(lines), "%s\n",
	    tend_trace_text(what, text, sizeof(text)));
	if (also != NULL)
		also(what);
}

static int
open_loop(void **state)
{
	lines[0] = '\0';
	told = 0;
	also = NULL;
	loop = tend_loop_new(*state);
	if (loop == NULL)
		return -1;
	tend_loop_set_trace(loop, note, &lines);
	return 0;
}

static int
close_loop(void **state)
{
	(void)state;
	tend_loop_free(loop);
	return 0;
}

static void
turn(void)
{
	assert_int_equal(tend_loop_turn(loop, 0), 0);
}

static void __attribute__((format(printf, 1, 2)))
expect(const char *format, ...)
{
	char text[1000];
	va_list args;

	va_start(args, format);
	vsnprintf(text, sizeof(text), format, args);
	va_end(args);
	assert_string_equal(lines, text);
	lines[0] = '\0';
}

/* ---- what a loop delivers ---- */

static void
ignore(struct tend_watch *w, unsigned events)
{
	(void)w;
	(void)events;
}

static void
events_are_told_before_they_are_delivered(void **state)
{
	struct tend_watch w;
	int pair[2];

	(void)state;
	assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, pair), 0);
	tend_watch_init(&w, ignore, NULL);
	assert_int_equal(tend_watch_start(loop, &w, pair[0], TEND_READ), 0);
	turn();
	expect("%s", "");
	assert_int_equal(write(pair[1], "x", 1), 1);
	turn();
	expect("event %d: read\n", pair[0]);
	assert_int_equal(tend_watch_change(&w, TEND_READ | TEND_WRITE), 0);
	turn();
	expect("event %d: read write\n", pair[0]);
	close(pair[1]);
	assert_int_equal(tend_watch_change(&w, 0), 0);
	turn();
	expect("event %d: hangup\n", pair[0]);
	tend_watch_stop(&w);
	close(pair[0]);
}

static void
note_timer(struct tend_timer *t)
{
	*(bool *)t->data = true;
}

static void
note_signal(struct tend_signal *s)
{
	*(bool *)s->data = true;
}

static void
note_child(struct tend_child_watch *c)
{
	*(bool *)c->data = true;
}

static const void *object;

static void
keep_object(const struct tend_trace *what)
{
	object = what->object;
}

static void
timers_signals_and_children_are_told(void **state)
{
	struct tend_timer t;
	struct tend_signal s;
	struct tend_child_watch child;
	bool done = false;
	pid_t pid;

	(void)state;
	also = keep_object;
	tend_timer_init(&t, note_timer, &done);
	tend_timer_start(loop, &t, 0);
	turn();
	assert_true(done);
	assert_ptr_equal(object, &t);
	expect("timer %p\n", (void *)&t);
	tend_signal_init(&s, note_signal, &done);
	assert_int_equal(tend_signal_start(loop, &s, SIGUSR1), 0);
	done = false;
	raise(SIGUSR1);
	turn();
	assert_true(done);
	assert_ptr_equal(object, &s);
	expect("signal %d\n", SIGUSR1);
	tend_signal_stop(&s);
	pid = fork();
	if (pid == 0)
		_exit(0);
	tend_child_init(&child, note_child, &done);
	assert_int_equal(tend_child_start(loop, &child, pid), 0);
	done = false;
	do
		assert_int_equal(tend_loop_turn(loop, 1), 0);
	while (!done);
	assert_ptr_equal(object, &child);
	/* Not the signal by which the loop has heard of it. */
	expect("child %d\n", (int)pid);
}

static void
nothing_is_told_while_it_is_off(void **state)
{
	struct tend_timer t;
	bool done = false;

	(void)state;
	tend_loop_set_trace(loop, NULL, NULL);
	tend_timer_init(&t, note_timer, &done);
	tend_timer_start(loop, &t, 0);
	turn();
	assert_true(done);
	assert_int_equal(told, 0);
}

/* ---- connections ---- */

static struct tend_conn *c;
static bool gone;

static void
read_all(struct tend_conn *conn)
{
	char bytes[4096];

	while (tend_read(conn, bytes, sizeof(bytes)) > 0)
		;
}

static void
note_gone(struct tend_conn *conn)
{
	(void)conn;
	gone = true;
}

static const struct tend_conn_hooks hooks = { .readable = read_all, .closed = note_gone };

static int
make(int *client)
{
	int pair[2];

	assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, pair), 0);
	assert_int_equal(tend_conn_new(&c, loop, pair[0], &hooks, NULL), 0);
	*client = pair[1];
	gone = false;
	turn();
	return pair[0];
}

static void
reads_writes_and_the_end_are_told_with_their_sizes(void **state)
{
	int client, fd = make(&client);

	(void)state;
	expect("%s", "");
	assert_int_equal(send(client, "secret", 6, 0), 6);
	turn();
	expect("event %d: read\nread %d: 6 of 4096\n", fd, fd);
	tend_printf(c, "private");
	turn();
	expect("write %d: 7 of 7\n", fd);
	assert_int_equal(shutdown(client, SHUT_WR), 0);
	turn();
	turn();
	assert_true(gone);
	expect("event %d: read\nread %d: the end\nclose %d\n", fd, fd, fd);
	close(client);
}

static void
partial_writes_and_their_end_are_told(void **state)
{
	static char large[1000000];
	int client, fd = make(&client);
	long sent = 0, of = 0;
	char pattern[40];
	int heard_fd;

	(void)state;
	assert_int_equal(tend_write(c, large, sizeof(large)), sizeof(large));
	turn();
	assert_int_equal(sscanf(lines, "write %d: %ld of %ld", &heard_fd, &sent, &of), 3);
	assert_int_equal(heard_fd, fd);
	assert_in_range(sent, 1, 999999);
	assert_int_equal(of, sizeof(large));
	close(client);
	while (!gone)
		turn();
	assert_non_null(strstr(lines, "broken pipe"));
	snprintf(pattern, sizeof(pattern), "close %d: broken pipe\n", fd);
	assert_non_null(strstr(lines, pattern));
}

static struct tend_conn *told_of;

static void
keep_conn(const struct tend_trace *what)
{
	if (what->conn != NULL)
		told_of = what->conn;
}

static void
the_connection_is_in_it(void **state)
{
	int client;

	(void)state;
	make(&client);
	also = keep_conn;
	told_of = NULL;
	tend_printf(c, "x");
	turn();
	assert_ptr_equal(told_of, c);
	close(client);
}

/* ---- a trace that writes to what it traces ---- */

static struct tend_conn *sink;

static void
write_it(const struct tend_trace *what)
{
	char text[200];

	tend_printf(sink, "%s\n", tend_trace_text(what, text, sizeof(text)));
}

/* Each line would bring another, without end. */
static void
what_the_trace_writes_is_not_traced(void **state)
{
	int client, other, fd = make(&client), i;
	char heard[1000];
	ssize_t n;

	(void)state;
	sink = c;
	make(&other);
	also = write_it;
	lines[0] = '\0';
	told = 0;
	tend_printf(c, "hello");
	for (i = 0; i < 10; i++)
		turn();
	assert_int_equal(told, 1);
	n = recv(client, heard, sizeof(heard) - 1, MSG_DONTWAIT);
	assert_true(n > 0);
	heard[n] = '\0';
	assert_string_equal(heard, lines);
	/* Not when the log is slow, either: events of its descriptor tell nothing. */
	told = 0;
	for (i = 0; i < 20000 && tend_conn_queued(sink) == 0; i++) {
		tend_printf(c, "hello");
		turn();
		read(other, heard, sizeof(heard));
	}
	i = (int)told;
	while (recv(client, heard, sizeof(heard), MSG_DONTWAIT) > 0)
		turn();
	assert_int_equal(told, i);
	assert_null(strstr(lines, "trace"));
	close(client);
	close(other);
	(void)fd;
	also = NULL;
}

static struct tend_watch pipe_watch;

static void
want_to_write(const struct tend_trace *what)
{
	(void)what;
	tend_watch_change(&pipe_watch, TEND_WRITE);
}

/* The same for one who writes to a descriptor of his own. */
static void
watches_that_the_trace_changes_are_not_traced(void **state)
{
	struct tend_timer t;
	bool done = false;
	int pair[2], i;

	(void)state;
	assert_int_equal(pipe2(pair, O_CLOEXEC), 0);
	tend_watch_init(&pipe_watch, ignore, NULL);
	assert_int_equal(tend_watch_start(loop, &pipe_watch, pair[1], 0), 0);
	also = want_to_write;
	tend_timer_init(&t, note_timer, &done);
	tend_timer_start(loop, &t, 0);
	for (i = 0; i < 10; i++)
		turn();
	assert_int_equal(told, 1);
	tend_watch_stop(&pipe_watch);
	close(pair[0]);
	close(pair[1]);
}

/* ---- without a loop ---- */

static struct tracer tracer;

static void
blocking_connections_are_told_of_where_somebody_wants_to_hear(void **state)
{
	static atomic_bool on = true;
	struct meeting *m;
	int fd;

	told = 0;
	lines[0] = '\0';
	also = NULL;
	assert_int_equal(over_unix(state), 0);
	m = *state;
	fd = m->c.fd;
	tracer = (struct tracer){ .on = &on, .fn = note, .data = &lines };
	m->mood.traced = &on;
	m->mood.tracer = &tracer;
	client_says(m, "hello\n");
	handler_gets_line(&m->c, "hello");
	expect("read %d: 6 of 4096\n", fd);
	tend_printf(&m->c, "well");
	assert_int_equal(tend_flush(&m->c), 0);
	expect("write %d: 4 of 4\n", fd);
	/* It can be turned on and off while the client is there. */
	atomic_store(&on, false);
	client_says(m, "hello\n");
	handler_gets_line(&m->c, "hello");
	expect("%s", "");
	atomic_store(&on, true);
	client_finishes(m);
	handler_reads_the_end(&m->c);
	expect("read %d: the end\n", fd);
	tend_close(&m->c);
	expect("close %d\n", fd);
	part(state);
}

static void
write_to_itself(const struct tend_trace *what)
{
	tend_printf(what->conn, "told\n");
}

static void
a_handlers_own_words_are_no_news(void **state)
{
	static atomic_bool on = true;
	struct meeting *m;

	told = 0;
	assert_int_equal(over_unix(state), 0);
	m = *state;
	tracer = (struct tracer){ .on = &on, .fn = note, .data = &lines };
	m->mood.traced = &on;
	m->mood.tracer = &tracer;
	also = write_to_itself;
	tend_printf(&m->c, "hello\n");
	assert_int_equal(tend_flush(&m->c), 0);
	client_hears(m, "hello\ntold\n");
	assert_int_equal(told, 1);
	also = NULL;
	part(state);
}

#define TRACE_ON(poller, test) \
	{ poller ": " #test, test, open_loop, close_loop, (void *)(uintptr_t)poller }
#if HAVE_EPOLL_CREATE1
#define TRACE(test) TRACE_ON("epoll", test), TRACE_ON("poll", test)
#else
#define TRACE(test) TRACE_ON("poll", test)
#endif

int
main(void)
{
	const struct CMUnitTest tests[] = {
		TRACE(events_are_told_before_they_are_delivered),
		TRACE(timers_signals_and_children_are_told),
		TRACE(nothing_is_told_while_it_is_off),
		TRACE(reads_writes_and_the_end_are_told_with_their_sizes),
		TRACE(partial_writes_and_their_end_are_told),
		TRACE(the_connection_is_in_it),
		TRACE(what_the_trace_writes_is_not_traced),
		TRACE(watches_that_the_trace_changes_are_not_traced),
		cmocka_unit_test(blocking_connections_are_told_of_where_somebody_wants_to_hear),
		cmocka_unit_test(a_handlers_own_words_are_no_news),
	};

	signal(SIGPIPE, SIG_IGN);
	return cmocka_run_group_tests(tests, NULL, NULL);
}
