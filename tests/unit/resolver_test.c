/* The resolver, with a backend that answers, fails or sleeps as it is told. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <errno.h>
#include <poll.h>
#include <pthread.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/clock.h"
#include "net/resolver.h"

#define COUNT(a) (sizeof(a) / sizeof((a)[0]))
/* Nothing that works takes so long. */
#define PATIENCE (20 * CLOCK_SECOND)

/* ---- a backend ---- */

/* Names that begin with "stuck" wait for the gate; addresses of 198.51.100.0/24 do, too. */
static struct {
	pthread_mutex_t lock;
	pthread_cond_t  changed;
	bool            open;
	unsigned        inside, asked; /* stuck; asked at all */
	unsigned        heard_signals; /* threads that could have run a handler */
} gate = { .lock = PTHREAD_MUTEX_INITIALIZER, .changed = PTHREAD_COND_INITIALIZER };

static void
pass_gate(bool stuck)
{
	sigset_t blocked;

	pthread_sigmask(SIG_SETMASK, NULL, &blocked);
	pthread_mutex_lock(&gate.lock);
	gate.asked++;
	if (!sigismember(&blocked, SIGTERM) || !sigismember(&blocked, SIGCHLD))
		gate.heard_signals++;
	if (stuck) {
		gate.inside++;
		pthread_cond_broadcast(&gate.changed);
		while (!gate.open)
			pthread_cond_wait(&gate.changed, &gate.lock);
		gate.inside--;
	}
	pthread_cond_broadcast(&gate.changed);
	pthread_mutex_unlock(&gate.lock);
}

/* A number of the gate, read with the lock held. */
static unsigned
of_gate(const unsigned *number)
{
	unsigned value;

	pthread_mutex_lock(&gate.lock);
	value = *number;
	pthread_mutex_unlock(&gate.lock);
	return value;
}

static void
set_gate(bool open)
{
	pthread_mutex_lock(&gate.lock);
	gate.open = open;
	pthread_cond_broadcast(&gate.changed);
	pthread_mutex_unlock(&gate.lock);
}

static void
wait_until_stuck(unsigned threads)
{
	pthread_mutex_lock(&gate.lock);
	while (gate.inside != threads)
		pthread_cond_wait(&gate.changed, &gate.lock);
	pthread_mutex_unlock(&gate.lock);
}

static int
fake_reverse(const struct addr *a, char name[RESOLVER_NAME_MAX + 1])
{
	uint32_t host = ntohl(a->u.v4.sin_addr.s_addr);

	pass_gate(host >> 8 == 0xc63364);
	if (a->u.any.sa_family != AF_INET)
		return -EIO;
	if ((host & 255) == 8)
		strcpy(name, "10.0.0.1");
	else
		snprintf(name, RESOLVER_NAME_MAX + 1, "host%u.example", host & 255);
	return 0;
}

static int
fake_forward(const char *name, const char *service, int type, struct resolver_addresses *into)
{
	pass_gate(strncmp(name, "stuck", 5) == 0);
	if (strcmp(name, "nobody.example") == 0)
		return -ENOENT;
	into->list = calloc(2, sizeof(*into->list));
	if (into->list == NULL)
		return -ENOMEM;
	into->count = 2;
	into->list[0].length = sizeof(into->list[0].u.v4);
	into->list[0].u.v4.sin_family = AF_INET;
	into->list[0].u.v4.sin_port = htons((uint16_t)(service != NULL ? atoi(service) : type));
	into->list[1] = into->list[0];
	return 0;
}

static const struct resolver_backend fake = { fake_reverse, fake_forward };

/* ---- asking ---- */

struct fixture {
	struct tend_loop *loop;
	struct resolver  *resolver;
	unsigned          told; /* answers that were delivered */
};

static int
open_resolver(void **state)
{
	static struct fixture f;

	f = (struct fixture){ .loop = tend_loop_new(NULL) };
	f.resolver = resolver_new(f.loop, &fake);
	pthread_mutex_lock(&gate.lock);
	gate.open = false;
	gate.asked = gate.heard_signals = 0;
	pthread_mutex_unlock(&gate.lock);
	*state = &f;
	return f.loop != NULL && f.resolver != NULL ? 0 : -1;
}

static int
close_resolver(void **state)
{
	struct fixture *f = *state;

	set_gate(true);
	wait_until_stuck(0);
	resolver_free(f->resolver);
	tend_loop_free(f->loop);
	return 0;
}

static void
count(struct resolver_request *q)
{
	struct fixture *f = q->data;

	f->told++;
}

static struct addr
v4(uint32_t host)
{
	struct addr a = { .length = sizeof(a.u.v4) };

	a.u.v4.sin_family = AF_INET;
	a.u.v4.sin_addr.s_addr = htonl(host);
	return a;
}

#define KNOWN(n) v4(0xc0000200 + (n)) /* 192.0.2.n */
#define STUCK(n) v4(0xc6336400 + (n)) /* 198.51.100.n */

static int
ask_at(struct fixture *f, struct resolver_request *q, struct addr a, int64_t deadline)
{
	struct resolver_question question = { .address = &a, .deadline = deadline };

	return resolver_start(f->resolver, q, &question);
}

static int
ask(struct fixture *f, struct resolver_request *q, struct addr a)
{
	return ask_at(f, q, a, clock_now() + PATIENCE);
}

static void
turn_until(struct fixture *f, unsigned told)
{
	while (f->told < told)
		assert_int_equal(tend_loop_turn(f->loop, -1), 0);
}

/* The blocking side waits with poll() and nothing else. */
static int
wait_for(void *data, int fd, int64_t deadline)
{
	struct pollfd p = { .fd = fd, .events = POLLIN };
	int n;

	(void)data;
	n = poll(&p, 1, clock_poll_timeout(clock_now(), deadline));
	return n > 0 ? 0 : n == 0 ? -ETIMEDOUT : -errno;
}

static int
refuse_to_wait(void *data, int fd, int64_t deadline)
{
	(void)data;
	(void)fd;
	(void)deadline;
	return -ECANCELED;
}

/* ---- tests ---- */

static void
names_and_addresses_are_answered_on_the_loop(void **state)
{
	struct fixture *f = *state;
	struct resolver_request name, addresses, nobody, address_as_name;
	struct resolver_question question = { .name = "a.example", .service = "80" };
	struct resolver_question no_answer = { .name = "nobody.example" };

	question.deadline = no_answer.deadline = clock_now() + PATIENCE;
	resolver_init(&name, count, f);
	resolver_init(&addresses, count, f);
	resolver_init(&nobody, count, f);
	resolver_init(&address_as_name, count, f);
	assert_int_equal(ask(f, &name, KNOWN(7)), 0);
	assert_int_equal(resolver_start(f->resolver, &addresses, &question), 0);
	assert_int_equal(resolver_start(f->resolver, &nobody, &no_answer), 0);
	assert_int_equal(ask(f, &address_as_name, KNOWN(8)), 0);
	turn_until(f, 4);
	assert_int_equal(name.result, 0);
	assert_string_equal(name.name, "host7.example");
	assert_int_equal(addresses.result, 0);
	assert_int_equal(addresses.count, 2);
	assert_int_equal(addr_port(&addresses.addresses[1]), 80);
	assert_int_equal(nobody.result, -ENOENT);
	assert_int_equal(nobody.count, 0);
	/* NS-ACC-15: an address is no name. */
	assert_int_equal(address_as_name.result, -EBADMSG);
	assert_null(address_as_name.name);
	resolver_stop(&name);
	assert_null(name.name);
	resolver_stop(&addresses);
	resolver_stop(&nobody);
	resolver_stop(&address_as_name);
	assert_int_equal(of_gate(&gate.heard_signals), 0);
}

/* NS-ACC-02 */
static void
a_mapped_address_is_asked_for_as_ipv4(void **state)
{
	struct fixture *f = *state;
	struct addr a = { .length = sizeof(a.u.v6) };
	struct resolver_request q;

	a.u.v6.sin6_family = AF_INET6;
	memcpy(&a.u.v6.sin6_addr, "\0\0\0\0\0\0\0\0\0\0\377\377\300\0\2\7", 16);
	resolver_init(&q, count, f);
	assert_int_equal(ask(f, &q, a), 0);
	turn_until(f, 1);
	assert_string_equal(q.name, "host7.example");
	resolver_stop(&q);
}

static void
a_question_without_an_answer_ends_at_its_deadline(void **state)
{
	struct fixture *f = *state;
	struct resolver_request stuck, good;

	resolver_init(&stuck, count, f);
	resolver_init(&good, count, f);
	assert_int_equal(ask_at(f, &stuck, STUCK(1), clock_now() + 10 * CLOCK_MILLISECOND), 0);
	turn_until(f, 1);
	assert_int_equal(stuck.result, -ETIMEDOUT);
	/* NS-MUX-17: and others are served in the meantime. */
	assert_int_equal(ask(f, &good, KNOWN(1)), 0);
	turn_until(f, 2);
	assert_string_equal(good.name, "host1.example");
	resolver_stop(&good);
	resolver_stop(&stuck);
	/* An answer that comes late finds nobody. */
	set_gate(true);
	wait_until_stuck(0);
	tend_loop_turn(f->loop, 0);
	assert_int_equal(f->told, 2);
}

/* So many threads there may be, and so many questions in line. */
#define MOST 128
#define QUEUED 1024

static void
start_stuck(struct fixture *f, struct resolver_request q[MOST])
{
	unsigned i;

	for (i = 0; i < MOST; i++) {
		resolver_init(&q[i], count, f);
		assert_int_equal(ask_at(f, &q[i], STUCK(i % 8), CLOCK_NEVER), 0);
	}
	wait_until_stuck(MOST);
}

static void
stop_all(struct resolver_request *q, unsigned n)
{
	while (n > 0)
		resolver_stop(&q[--n]);
}

static void
a_few_that_are_stuck_hold_up_nobody(void **state)
{
	static struct resolver_request stuck[MOST - 1];
	struct fixture *f = *state;
	struct resolver_request good;
	unsigned i;

	for (i = 0; i < COUNT(stuck); i++) {
		resolver_init(&stuck[i], count, f);
		assert_int_equal(ask_at(f, &stuck[i], STUCK(i % 8), CLOCK_NEVER), 0);
	}
	resolver_init(&good, count, f);
	for (i = 0; i < 10; i++) {
		assert_int_equal(ask(f, &good, KNOWN(1)), 0);
		turn_until(f, i + 1);
		assert_int_equal(good.result, 0);
	}
	resolver_stop(&good);
	stop_all(stuck, COUNT(stuck));
}

static void
threads_are_started_up_to_a_limit(void **state)
{
	static struct resolver_request stuck[MOST];
	struct fixture *f = *state;
	struct resolver_request good;

	start_stuck(f, stuck);
	/* That nobody waits for them does not bring them back. */
	stop_all(stuck, MOST / 2);
	/* Nobody is left to ask: the next one waits in line, and no longer than it may. */
	resolver_init(&good, count, f);
	assert_int_equal(ask_at(f, &good, KNOWN(1), clock_now() + 10 * CLOCK_MILLISECOND), 0);
	turn_until(f, 1);
	assert_int_equal(good.result, -ETIMEDOUT);
	assert_int_equal(of_gate(&gate.asked), MOST);
	/* The threads that come back go on with what is there. */
	assert_int_equal(ask(f, &good, KNOWN(2)), 0);
	set_gate(true);
	turn_until(f, 2 + MOST / 2);
	assert_string_equal(good.name, "host2.example");
	resolver_stop(&good);
	stop_all(stuck, MOST);
}

static void
the_line_has_an_end(void **state)
{
	static struct resolver_request stuck[MOST], waiting[QUEUED];
	struct fixture *f = *state;
	struct resolver_request late;
	unsigned i;

	start_stuck(f, stuck);
	for (i = 0; i < QUEUED; i++) {
		resolver_init(&waiting[i], count, f);
		assert_int_equal(ask(f, &waiting[i], KNOWN(1)), 0);
	}
	resolver_init(&late, count, f);
	assert_int_equal(ask(f, &late, KNOWN(1)), -EAGAIN);
	resolver_stop(&waiting[QUEUED / 2]);
	assert_int_equal(ask(f, &late, KNOWN(1)), 0);
	stop_all(waiting, QUEUED);
	resolver_stop(&late);
	stop_all(stuck, MOST);
	/* Nobody was told of what was stopped. */
	set_gate(true);
	wait_until_stuck(0);
	assert_int_equal(tend_loop_turn(f->loop, 0), 0);
	assert_int_equal(f->told, 0);
}

/* ---- from inside callbacks ---- */

struct pair {
	struct fixture         *f;
	struct resolver_request first, second;
	unsigned                calls;
};

static void
stop_the_other(struct resolver_request *q)
{
	struct pair *p = q->data;

	p->calls++;
	resolver_stop(q == &p->first ? &p->second : &p->first);
	resolver_stop(q);
}

static void
an_answer_may_stop_others_that_have_theirs(void **state)
{
	struct fixture *f = *state;
	struct resolver_request after;
	struct pair p = { .f = f };

	resolver_init(&p.first, stop_the_other, &p);
	resolver_init(&p.second, stop_the_other, &p);
	resolver_init(&after, count, f);
	assert_int_equal(ask(f, &p.first, KNOWN(1)), 0);
	assert_int_equal(ask(f, &p.second, KNOWN(2)), 0);
	while (p.calls == 0)
		assert_int_equal(tend_loop_turn(f->loop, -1), 0);
	assert_int_equal(ask(f, &after, KNOWN(3)), 0);
	turn_until(f, 1);
	assert_int_equal(p.calls, 1);
	resolver_stop(&after);
}

static void
ask_again(struct resolver_request *q)
{
	struct pair *p = q->data;

	assert_string_equal(q->name, "host1.example");
	if (++p->calls < 100)
		assert_int_equal(ask(p->f, q, KNOWN(1)), 0);
	else
		resolver_stop(q);
}

static void
an_answer_may_ask_again(void **state)
{
	struct fixture *f = *state;
	struct pair p = { .f = f };

	resolver_init(&p.first, ask_again, &p);
	assert_int_equal(ask(f, &p.first, KNOWN(1)), 0);
	while (p.calls < 100)
		assert_int_equal(tend_loop_turn(f->loop, -1), 0);
}

static void
free_all(struct resolver_request *q)
{
	struct pair *p = q->data;

	p->calls++;
	resolver_stop(q);
	resolver_free(p->f->resolver);
	p->f->resolver = NULL;
}

static void
an_answer_may_free_the_resolver(void **state)
{
	static struct resolver_request stuck[MOST];
	struct fixture *f = *state;
	struct pair p = { .f = f };

	resolver_init(&p.first, free_all, &p);
	resolver_init(&p.second, free_all, &p);
	assert_int_equal(ask(f, &p.first, KNOWN(1)), 0);
	assert_int_equal(ask(f, &p.second, KNOWN(2)), 0);
	while (p.calls == 0)
		assert_int_equal(tend_loop_turn(f->loop, -1), 0);
	assert_int_equal(p.calls, 1);

	/* And a deadline may, with every thread stuck. */
	f->resolver = resolver_new(f->loop, &fake);
	start_stuck(f, stuck);
	resolver_init(&p.first, free_all, &p);
	assert_int_equal(ask_at(f, &p.first, STUCK(1), clock_now()), 0);
	while (p.calls == 1)
		assert_int_equal(tend_loop_turn(f->loop, -1), 0);
	assert_int_equal(p.calls, 2);
}

static void
freeing_waits_for_no_stuck_thread(void **state)
{
	static struct resolver_request stuck[MOST];
	struct fixture *f = *state;
	struct resolver_request queued;

	start_stuck(f, stuck);
	resolver_init(&queued, count, f);
	assert_int_equal(ask(f, &queued, KNOWN(1)), 0);
	resolver_free(f->resolver);
	f->resolver = NULL;
	stop_all(stuck, MOST);
	resolver_stop(&queued);
	assert_int_equal(f->told, 0);
}

/* ---- waiting ---- */

static void
an_answer_can_be_waited_for_without_a_loop(void **state)
{
	struct resolver *r = resolver_new(NULL, &fake);
	struct addr known = KNOWN(1), stuck = STUCK(1);
	struct resolver_question question = { .address = &known, .deadline = CLOCK_NEVER };
	struct resolver_question other = { .address = &stuck };
	struct resolver_request q;

	(void)state;
	resolver_init(&q, NULL, NULL);
	assert_int_equal(resolver_wait(r, &q, &question, wait_for, NULL), 0);
	assert_string_equal(q.name, "host1.example");
	other.deadline = clock_now() + 10 * CLOCK_MILLISECOND;
	assert_int_equal(resolver_wait(r, &q, &other, wait_for, NULL), -ETIMEDOUT);
	assert_int_equal(resolver_wait(r, &q, &other, refuse_to_wait, NULL), -ECANCELED);
	assert_null(q.name);
	assert_int_equal(resolver_wait(r, &q, &question, wait_for, NULL), 0);
	resolver_stop(&q);
	resolver_free(r);
}

static void
a_name_longer_than_names_can_be_is_not_asked_for(void **state)
{
	struct fixture *f = *state;
	char name[RESOLVER_NAME_MAX + 2], service[40];
	struct resolver_question question = { .name = name, .deadline = CLOCK_NEVER };
	struct resolver_request q;

	memset(name, 'a', sizeof(name) - 1);
	name[sizeof(name) - 1] = '\0';
	memset(service, '1', sizeof(service) - 1);
	service[sizeof(service) - 1] = '\0';
	resolver_init(&q, count, f);
	assert_int_equal(resolver_start(f->resolver, &q, &question), -ENAMETOOLONG);
	assert_int_equal(resolver_wait(f->resolver, &q, &question, wait_for, NULL), -ENAMETOOLONG);
	name[1] = '\0';
	question.service = service;
	assert_int_equal(resolver_start(f->resolver, &q, &question), -ENAMETOOLONG);
}

static void *
wait_often(void *data)
{
	struct addr a = KNOWN(4);
	struct resolver_question question = { .address = &a, .deadline = CLOCK_NEVER };
	struct resolver_request q;
	uintptr_t wrong = 0;
	int i;

	resolver_init(&q, NULL, NULL);
	for (i = 0; i < 100; i++)
		if (resolver_wait(data, &q, &question, wait_for, NULL) != 0 ||
		    strcmp(q.name, "host4.example") != 0)
			wrong++;
	resolver_stop(&q);
	return (void *)wrong;
}

static void
threads_may_wait_at_the_same_time(void **state)
{
	struct fixture *f = *state;
	pthread_t threads[24];
	void *wrong;
	size_t i;

	for (i = 0; i < COUNT(threads); i++)
		assert_int_equal(pthread_create(&threads[i], NULL, wait_often, f->resolver), 0);
	for (i = 0; i < COUNT(threads); i++) {
		pthread_join(threads[i], &wrong);
		assert_null(wrong);
	}
}

/* ---- processes ---- */

static __attribute__((unused)) void
a_child_has_none_of_its_parents_threads_and_makes_its_own(void **state)
{
	struct fixture *f = *state;
	struct resolver_request parents, q;
	int status = -1;
	pid_t pid;

	resolver_init(&parents, count, f);
	resolver_init(&q, NULL, NULL);
	assert_int_equal(ask_at(f, &parents, STUCK(1), CLOCK_NEVER), 0);
	wait_until_stuck(1);
	pid = fork();
	assert_true(pid >= 0);
	if (pid == 0) {
		struct addr a = KNOWN(5);
		struct resolver_question question = { .address = &a, .deadline = CLOCK_NEVER };
		struct resolver *r;

		alarm(60);
		resolver_forget(f->resolver);
		r = resolver_new(NULL, &fake);
		/* Killed when all is well: at an exit valgrind would miss the parent's threads. */
		if (resolver_wait(r, &q, &question, wait_for, NULL) == 0 &&
		    strcmp(q.name, "host5.example") == 0)
			raise(SIGKILL);
		_exit(1);
	}
	assert_int_equal(waitpid(pid, &status, 0), pid);
	assert_true(WIFSIGNALED(status));
	assert_int_equal(WTERMSIG(status), SIGKILL);
	/* The parent's is as it was. */
	set_gate(true);
	turn_until(f, 1);
	assert_string_equal(parents.name, "host1.example");
	resolver_stop(&parents);
}

/* ---- names ---- */

/* NS-ACC-15: what a name server says goes to logs, patterns and environments. */
static void
only_what_a_host_can_be_called_is_a_name(void **state)
{
	static const char *const good[] = {
		"localhost", "a.example", "A-1.b_c.example", "163.com", "1-2-3-4.dsl.example",
		"xn--bcher-kva.example", "_smtp.example", "x.0x7g", "example.7z",
	};
	static const char *const bad[] = {
		"", ".", "a.", ".a", "a..b", "-a.example", "a-.example", "a b", "a\nb", "a\033b",
		"a/b", "a%eth0", "a\"b", "b\303\274cher.example", "10.0.0.1", "127.1", "2130706433",
		"0x7f.1", "0x7f000001", "a.0x7f", "::1", "::ffff:10.0.0.1", "[::1]", "a.1", "a:b",
		"a123456789012345678901234567890123456789012345678901234567890123.example",
	};
	char longest[RESOLVER_NAME_MAX + 2];
	size_t i;

	(void)state;
	for (i = 0; i < COUNT(good); i++)
		if (!resolver_is_name(good[i]))
			fail_msg("'%s' was refused", good[i]);
	for (i = 0; i < COUNT(bad); i++)
		if (resolver_is_name(bad[i]))
			fail_msg("'%s' was taken", bad[i]);
	for (i = 0; i + 1 < sizeof(longest); i++)
		longest[i] = i % 50 == 49 ? '.' : 'a';
	longest[i] = '\0';
	assert_false(resolver_is_name(longest));
	longest[i - 1] = '\0';
	assert_true(resolver_is_name(longest));
}

/* Literal addresses and "localhost" are answered without a name server. */
static void
the_systems_resolver_answers(void **state)
{
	struct resolver_addresses found = { 0 };
	char name[RESOLVER_NAME_MAX + 1];
	struct addr loopback = v4(0x7f000001);
	size_t i;
	int r = resolver_system.reverse(&loopback, name);

	(void)state;
	assert_true(r == 0 || r == -ENOENT || r == -EAGAIN);
	if (r == 0)
		assert_true(resolver_is_name(name));
	assert_int_equal(resolver_system.forward("127.0.0.1", "7", SOCK_STREAM, &found), 0);
	assert_int_equal(found.count, 1);
	assert_true(addr_same_host(&found.list[0], &loopback));
	assert_int_equal(addr_port(&found.list[0]), 7);
	free(found.list);
	assert_int_equal(resolver_system.forward("localhost", NULL, SOCK_STREAM, &found), 0);
	assert_true(found.count > 0);
	for (i = 0; i < found.count; i++)
		assert_true(addr_is_loopback(&found.list[i]));
	free(found.list);
}

int
main(void)
{
#define WITH_RESOLVER(test) cmocka_unit_test_setup_teardown(test, open_resolver, close_resolver)
	const struct CMUnitTest tests[] = {
		WITH_RESOLVER(names_and_addresses_are_answered_on_the_loop),
		WITH_RESOLVER(a_mapped_address_is_asked_for_as_ipv4),
		WITH_RESOLVER(a_question_without_an_answer_ends_at_its_deadline),
		WITH_RESOLVER(a_few_that_are_stuck_hold_up_nobody),
		WITH_RESOLVER(threads_are_started_up_to_a_limit),
		WITH_RESOLVER(the_line_has_an_end),
		WITH_RESOLVER(an_answer_may_stop_others_that_have_theirs),
		WITH_RESOLVER(an_answer_may_ask_again),
		WITH_RESOLVER(an_answer_may_free_the_resolver),
		WITH_RESOLVER(freeing_waits_for_no_stuck_thread),
		WITH_RESOLVER(an_answer_can_be_waited_for_without_a_loop),
		WITH_RESOLVER(a_name_longer_than_names_can_be_is_not_asked_for),
		WITH_RESOLVER(threads_may_wait_at_the_same_time),
#ifndef __SANITIZE_THREAD__ /* which allows no new threads after such a fork */
		WITH_RESOLVER(a_child_has_none_of_its_parents_threads_and_makes_its_own),
#endif
		cmocka_unit_test(only_what_a_host_can_be_called_is_a_name),
		cmocka_unit_test(the_systems_resolver_answers),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
