/* Fibers: functions that stop in the middle, their stacks, and what happens at the end of one. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <errno.h>
#include <execinfo.h>
#include <fenv.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <unistd.h>

#include "loop/fiber.h"
#include "loop/fiber_sanitize.h"
#include "loop/fiber_stack.h"
#include "loop/link.h"

#define STACK_SIZE ((size_t)128 * 1024)
#define KEEP 32

#if defined(SANITIZE_ADDRESS) || defined(SANITIZE_THREAD)
#define SANITIZED true
#else
#define SANITIZED false
#endif

static int
setup(void **state)
{
	static struct fiber_pool pool;

	if (fiber_pool_open(&pool, STACK_SIZE, KEEP) < 0)
		return -1;
	*state = &pool;
	return 0;
}

/* A test that failed has left its fibers where they were. */
static int
teardown(void **state)
{
	struct fiber_pool *p = *state;

	if (p->live > 0)
		fiber_pool_forget(p);
	fiber_pool_close(p);
	return 0;
}

static void
return_at_once(void *data)
{
	(void)data;
}

static void
suspend_once(void *data)
{
	(void)data;
	fiber_suspend();
}

/* Memory figures mean something only where nobody else's are mixed in. */
static bool
is_watched(void)
{
#if HAVE_VALGRIND
	if (RUNNING_ON_VALGRIND)
		return true;
#endif
	return SANITIZED;
}

/* ---- running ---- */

static void
count_to_three(void *data)
{
	int *count = data, i;

	for (i = 0; i < 3; i++) {
		*count += 1;
		fiber_suspend();
	}
	*count = -1;
}

static void
fiber_runs_at_once_until_it_suspends(void **state)
{
	struct fiber_pool *p = *state;
	struct fiber *f = NULL;
	int count = 0;

	assert_int_equal(fiber_start(p, &f, count_to_three, &count), 1);
	assert_non_null(f);
	assert_int_equal(count, 1);
	assert_int_equal(p->live, 1);
	assert_true(fiber_resume(f));
	assert_int_equal(count, 2);
	assert_true(fiber_resume(f));
	assert_int_equal(count, 3);
	assert_false(fiber_resume(f));
	assert_int_equal(count, -1);
	assert_int_equal(p->live, 0);
	assert_int_equal(p->idle, 1);
}

static void
fiber_that_never_waits_is_gone_when_start_returns(void **state)
{
	struct fiber_pool *p = *state;
	struct fiber *f = NULL;

	assert_int_equal(fiber_start(p, &f, return_at_once, NULL), 0);
	assert_int_equal(p->live, 0);
	assert_int_equal(p->idle, 1);
}

struct seen {
	struct fiber *fiber, *current;
};

static void
look_at_current(void *data)
{
	struct seen *s = data;

	s->current = fiber_current();
	assert_ptr_equal(s->current, s->fiber);
	fiber_suspend();
	assert_ptr_equal(fiber_current(), s->fiber);
}

static void
code_knows_which_fiber_it_runs_in(void **state)
{
	struct seen a = { 0 }, b = { 0 };

	assert_null(fiber_current());
	assert_int_equal(fiber_start(*state, &a.fiber, look_at_current, &a), 1);
	assert_null(fiber_current());
	assert_int_equal(fiber_start(*state, &b.fiber, look_at_current, &b), 1);
	assert_ptr_not_equal(a.current, b.current);
	assert_false(fiber_resume(a.fiber));
	assert_false(fiber_resume(b.fiber));
	assert_null(fiber_current());
}

struct owner {
	struct fiber  *fiber;
	struct fiber **also;
};

/* As a connection that is closed by its own handler. */
static void
free_the_owner(void *data)
{
	struct owner *owner = data;

	assert_ptr_equal(owner->fiber, fiber_current());
	*owner->also = owner->fiber;
	free(owner);
	fiber_suspend();
}

static void
what_holds_a_fiber_may_be_freed_by_it(void **state)
{
	struct owner *owner = malloc(sizeof(*owner));
	struct fiber *f = NULL;

	assert_non_null(owner);
	owner->also = &f;
	assert_int_equal(fiber_start(*state, &owner->fiber, free_the_owner, owner), 1);
	assert_false(fiber_resume(f));
}

/* ---- registers ---- */

struct numbers {
	uint64_t seed;
	double   sum;
	uint64_t check;
	int      rounds;
};

/* As many values alive as there are registers that a call preserves, or a few more. */
static void
juggle(void *data)
{
	struct numbers *n = data;
	uint64_t a = n->seed, b = a * 3, c = a * 5, d = a * 7;
	double s = (double)a, t = s / 2, u = s / 3, v = s / 4, w = s / 5, x = s / 6;
	int left;

	for (left = n->rounds; left > 0; left--) {
		fiber_suspend();
		a += b, b ^= c, c += d, d ^= a;
		s += t, t += u, u += v, v += w, w += x, x += 1;
	}
	n->check = a ^ b ^ c ^ d;
	n->sum = s + t + u + v + w + x;
}

#define JUGGLERS 50
#define ROUNDS 20

/* The same numbers without any other fiber in between. */
static void
juggle_alone(struct fiber_pool *p, struct numbers *n)
{
	struct fiber *f;

	assert_int_equal(fiber_start(p, &f, juggle, n), 1);
	while (fiber_resume(f))
		;
}

static void
values_of_a_function_survive_every_switch(void **state)
{
	struct numbers n[JUGGLERS], expected[JUGGLERS];
	struct fiber *f[JUGGLERS];
	int i, round;

	for (i = 0; i < JUGGLERS; i++) {
		n[i] = (struct numbers){ .seed = (uint64_t)i * 977 + 1, .rounds = ROUNDS };
		expected[i] = n[i];
		juggle_alone(*state, &expected[i]);
		assert_int_equal(fiber_start(*state, &f[i], juggle, &n[i]), 1);
	}
	/* Forwards and backwards, so that no two follow each other always. */
	for (round = 1; round <= ROUNDS; round++)
		for (i = 0; i < JUGGLERS; i++)
			assert_int_equal(
			    fiber_resume(f[round % 2 ? i : JUGGLERS - 1 - i]), round < ROUNDS);
	for (i = 0; i < JUGGLERS; i++) {
		assert_true(n[i].check == expected[i].check);
		assert_memory_equal(&n[i].sum, &expected[i].sum, sizeof(n[i].sum));
	}
}

/*
 * As the unit sees it that does the work, which need not be the one that fegetround() asks; but
 * valgrind always rounds to nearest.
 */
static int
rounding(void)
{
	volatile double one = 1, tiny = 0x1p-60;

	if (is_watched())
		return fegetround();
	if (one + tiny > 1)
		return FE_UPWARD;
	return one - tiny < 1 ? FE_DOWNWARD : FE_TONEAREST;
}

static void
round_upward(void *data)
{
	int *mode = data;

	*mode = rounding();
	fesetround(FE_UPWARD);
	fiber_suspend();
	*mode = rounding();
	assert_int_equal(fegetround(), FE_UPWARD);
	fiber_suspend();
	fesetround(FE_TONEAREST);
}

static void
rounding_mode_is_the_fibers_own(void **state)
{
	struct fiber *f;
	int mode = -1;

	assert_int_equal(rounding(), FE_TONEAREST);
	assert_int_equal(fiber_start(*state, &f, round_upward, &mode), 1);
	/* A new one begins with what its starter has. */
	assert_int_equal(mode, FE_TONEAREST);
	assert_int_equal(rounding(), FE_TONEAREST);
	fesetround(FE_DOWNWARD);
	assert_true(fiber_resume(f));
	assert_int_equal(mode, FE_UPWARD);
	assert_int_equal(rounding(), FE_DOWNWARD);
	assert_int_equal(fegetround(), FE_DOWNWARD);
	assert_false(fiber_resume(f));
	assert_int_equal(rounding(), FE_DOWNWARD);
	fesetround(FE_TONEAREST);
}

static void
jump_back(void *data)
{
	int *jumps = data;
	jmp_buf here;

	if (setjmp(here) == 0) {
		fiber_suspend();
		*jumps += 1;
		longjmp(here, 1);
	}
	fiber_suspend();
}

static void
longjmp_works_within_a_fiber(void **state)
{
	struct fiber *a, *b;
	int jumps = 0;

	assert_int_equal(fiber_start(*state, &a, jump_back, &jumps), 1);
	assert_int_equal(fiber_start(*state, &b, jump_back, &jumps), 1);
	assert_true(fiber_resume(a));
	assert_true(fiber_resume(b));
	assert_int_equal(jumps, 2);
	assert_false(fiber_resume(b));
	assert_false(fiber_resume(a));
}

static void
unwind(void *data)
{
	void *frames[64];
	int *count = data;

	*count = backtrace(frames, 64);
	fiber_suspend();
	*count = backtrace(frames, 64);
}

/* What debuggers, profilers and C++ exceptions do. */
static void
unwinding_ends_at_the_entry_of_the_fiber(void **state)
{
	struct fiber *f;
	int count = 0;

	assert_int_equal(fiber_start(*state, &f, unwind, &count), 1);
	assert_in_range(count, 2, 12);
	count = 0;
	assert_false(fiber_resume(f));
	assert_in_range(count, 2, 12);
}

/* ---- stacks ---- */

struct place {
	uintptr_t at;
	bool      aligned;
};

static void
note_place(void *data)
{
	struct place *place = data;
	_Alignas(16) volatile char local[16];

	local[0] = 1;
	place->at = (uintptr_t)fiber_current();
	place->aligned = (uintptr_t)local % 16 == 0 && local[0] == 1;
}

static void
the_stack_used_last_is_the_next_to_be_used(void **state)
{
	struct fiber_pool *p = *state;
	struct fiber *a, *b, *c;
	struct place place = { 0 };

	assert_int_equal(fiber_start(p, &a, suspend_once, NULL), 1);
	assert_int_equal(fiber_start(p, &b, suspend_once, NULL), 1);
	assert_false(fiber_resume(a));
	assert_false(fiber_resume(b));
	assert_int_equal(p->idle, 2);
	assert_int_equal(fiber_start(p, &c, note_place, &place), 0);
	assert_true(place.at == (uintptr_t)b);
	assert_true(place.aligned);
	assert_int_equal(p->idle, 2);
}

static void
run_many_at_once(struct fiber_pool *p, unsigned count, void (*fn)(void *), void *data)
{
	struct fiber **f = calloc(count, sizeof(struct fiber *));
	unsigned i;

	assert_non_null(f);
	for (i = 0; i < count; i++)
		assert_int_equal(fiber_start(p, &f[i], fn, data), 1);
	assert_int_equal(p->live, count);
	for (i = 0; i < count; i++)
		assert_false(fiber_resume(f[i]));
	free(f);
}

static void
no_more_idle_stacks_are_kept_than_wanted(void **state)
{
	struct fiber_pool *p = *state, small;
	struct fiber *f;

	run_many_at_once(p, 3 * KEEP, suspend_once, NULL);
	assert_int_equal(p->live, 0);
	assert_int_equal(p->idle, KEEP);
	/* All of them are good, hot ones and cold ones. */
	run_many_at_once(p, KEEP, suspend_once, NULL);
	assert_int_equal(p->idle, KEEP);
	/* A fiber cannot unmap the stack it stands on. */
	assert_int_equal(fiber_pool_open(&small, STACK_SIZE, 0), 0);
	assert_int_equal(fiber_start(&small, &f, return_at_once, NULL), 0);
	run_many_at_once(&small, 3, suspend_once, NULL);
	assert_int_equal(small.idle, 1);
	fiber_pool_close(&small);
}

struct depth {
	size_t bytes;
	char   pattern;
};

/* Touches so many bytes of the stack, and finds in them what it wrote, after others have run. */
static void
go_deep(void *data)
{
	struct depth *d = data;
	volatile char *bytes = __builtin_alloca(d->bytes);
	char pattern = d->pattern;
	size_t i, size = d->bytes;

	for (i = size; i-- > 0;)
		bytes[i] = pattern;
	fiber_suspend();
	for (i = 0; i < size; i++)
		if (bytes[i] != pattern)
			abort();
}

/* All but what the control block, the first functions and a context of ucontext(3) need. */
static void
a_stack_has_the_size_that_was_asked_for(void **state)
{
	struct depth d = { STACK_SIZE - 8192, 'x' };
	struct fiber *f;

	assert_int_equal(fiber_start(*state, &f, go_deep, &d), 1);
	assert_false(fiber_resume(f));
}

static void
stacks_do_not_touch_each_other(void **state)
{
	struct depth d[KEEP];
	struct fiber *f[KEEP];
	int round, i;

	for (round = 0; round < 2; round++) {
		for (i = 0; i < KEEP; i++) {
			d[i] = (struct depth){ STACK_SIZE / 2, (char)(i + round) };
			assert_int_equal(fiber_start(*state, &f[i], go_deep, &d[i]), 1);
		}
		for (i = 0; i < KEEP; i++)
			assert_false(fiber_resume(f[i]));
	}
}

static void
without_memory_a_start_fails_and_nothing_runs(void **state)
{
	struct fiber *f = (struct fiber *)state;
	struct fiber_pool p;

	assert_int_equal(fiber_pool_open(&p, SIZE_MAX / 4, 1), 0);
	assert_int_equal(fiber_start(&p, &f, return_at_once, NULL), -ENOMEM);
	assert_ptr_equal(f, state);
	assert_null(fiber_current());
	assert_int_equal(p.live, 0);
	fiber_pool_close(&p);
	assert_int_equal(fiber_pool_open(&p, SIZE_MAX - 4096, 1), -EINVAL);
}

static void
a_pool_that_is_not_open_may_be_closed(void **state)
{
	struct fiber_pool p = { 0 };

	(void)state;
	fiber_pool_close(&p);
	assert_int_equal(fiber_pool_open(&p, 0, 1), 0);
	assert_true(p.stack_size >= 16 * (size_t)1024);
	fiber_pool_close(&p);
	fiber_pool_close(&p);
}

/* ---- memory ---- */

/* Pages of a fiber's stack that are in memory. */
static size_t
resident_pages(struct fiber *f, size_t page)
{
	unsigned char *pages = calloc(1, STACK_SIZE / page);
	size_t i, count = 0;

	assert_non_null(pages);
	assert_int_equal(mincore(fiber_stack_low(f), f->pool->stack_size, (void *)pages), 0);
	for (i = 0; i < f->pool->stack_size / page; i++)
		count += pages[i] & 1;
	free(pages);
	return count;
}

/* A deep handler among others, in a burst: what it touched must not stay for ever. */
static void
idle_stacks_give_back_what_a_deep_handler_touched(void **state)
{
	struct depth d = { STACK_SIZE / 2, 'd' };
	size_t page = (size_t)sysconf(_SC_PAGESIZE), pages;
	struct fiber_pool *p = *state;
	struct tend_link *l;

	run_many_at_once(p, KEEP, go_deep, &d);
	assert_int_equal(p->idle, KEEP);
	assert_true(p->hot_count < KEEP);
	for (l = p->cold.next; l != &p->cold; l = l->next) {
		pages = resident_pages(LINK_OWNER(l, struct fiber, link), page);
		assert_in_range(pages * page, page, page > 8192 ? page : 8192);
	}
}

static void
a_stack_in_constant_use_gives_back_as_well(void **state)
{
	struct depth d = { STACK_SIZE / 2, 'd' };
	size_t page = (size_t)sysconf(_SC_PAGESIZE);
	struct fiber *f, *deep;
	int i;

	assert_int_equal(fiber_start(*state, &deep, go_deep, &d), 1);
	assert_false(fiber_resume(deep));
	for (i = 0; i < 100; i++) {
		assert_int_equal(fiber_start(*state, &f, suspend_once, NULL), 1);
		assert_ptr_equal(f, deep);
		assert_false(fiber_resume(f));
	}
	assert_in_range(resident_pages(deep, page) * page, page, 4 * page);
}

/* What formats a line into a buffer of its own and waits, as a handler would. */
static void
shallow_handler(void *data)
{
	char line[512];

	snprintf(line, sizeof(line), "%s %d %u", (const char *)data, -1, 7U);
	fiber_suspend();
	if (strcmp(line, "hello -1 7") != 0)
		abort();
}

/* KiB of memory and page tables. */
static long
memory_used(void)
{
	FILE *status = fopen("/proc/self/status", "r");
	char line[256];
	long sum = 0, kib;

	if (status == NULL)
		return -1;
	while (fgets(line, sizeof(line), status) != NULL)
		if (sscanf(line, "VmRSS: %ld", &kib) == 1 || sscanf(line, "VmPTE: %ld", &kib) == 1)
			sum += kib;
	fclose(status);
	return sum;
}

#define WAITING 1000

static void
a_fiber_that_waits_costs_12_kib_at_the_most(void **state)
{
	static struct fiber *f[WAITING];
	struct fiber_pool p;
	long before, after;
	int i;

	(void)state;
	if (is_watched() || sysconf(_SC_PAGESIZE) > 4096 || memory_used() <= 0)
		skip();
	assert_int_equal(fiber_pool_open(&p, (size_t)256 * 1024, 1), 0);
	/* The first one pays for what the C library needs once. */
	assert_int_equal(fiber_start(&p, &f[0], shallow_handler, "hello"), 1);
	assert_false(fiber_resume(f[0]));
	before = memory_used();
	for (i = 0; i < WAITING; i++)
		assert_int_equal(fiber_start(&p, &f[i], shallow_handler, "hello"), 1);
	after = memory_used();
	for (i = 0; i < WAITING; i++)
		assert_false(fiber_resume(f[i]));
	fiber_pool_close(&p);
	print_message("# %ld bytes a fiber\n", (after - before) * 1024 / WAITING);
	assert_in_range(after - before, 1, 12 * WAITING);
}

/* ---- threads and children ---- */

static void
switch_often(void *data)
{
	int *left = data;

	while (--*left > 0)
		fiber_suspend();
}

#define THREADS 4
#define FIBERS_OF_A_THREAD 20

/* cmocka's assertions are for the main thread. */
static void *
run_a_pool(void *data)
{
	struct fiber *f[FIBERS_OF_A_THREAD];
	int left[FIBERS_OF_A_THREAD], i, round, *good = data;
	struct fiber_pool p;

	if (fiber_pool_open(&p, STACK_SIZE, FIBERS_OF_A_THREAD / 2) < 0)
		return NULL;
	for (round = 0; round < 5; round++) {
		for (i = 0; i < FIBERS_OF_A_THREAD; i++) {
			left[i] = 10 + i;
			*good += fiber_start(&p, &f[i], switch_often, &left[i]);
		}
		for (i = 0; i < FIBERS_OF_A_THREAD; i++)
			while (fiber_resume(f[i]))
				*good += fiber_current() == NULL;
	}
	fiber_pool_close(&p);
	return data;
}

static void
each_thread_has_fibers_of_its_own(void **state)
{
	pthread_t threads[THREADS];
	int good[THREADS] = { 0 }, i;
	struct fiber *f;
	void *result;

	assert_int_equal(fiber_start(*state, &f, suspend_once, NULL), 1);
	for (i = 0; i < THREADS; i++)
		assert_int_equal(pthread_create(&threads[i], NULL, run_a_pool, &good[i]), 0);
	for (i = 0; i < THREADS; i++) {
		assert_int_equal(pthread_join(threads[i], &result), 0);
		assert_non_null(result);
		/* Fiber i suspends 9 + i times: once when it starts, 8 + i times when resumed. */
		assert_int_equal(good[i], 5 * (FIBERS_OF_A_THREAD * 9 + 190));
	}
	assert_false(fiber_resume(f));
}

struct family {
	struct fiber_pool *pool;
	pid_t              child;
};

static int
start_anew(struct fiber_pool *p)
{
	struct fiber *f;

	fiber_pool_forget(p);
	if (fiber_current() != NULL || fiber_pool_open(p, STACK_SIZE, 1) < 0)
		return 1;
	if (fiber_start(p, &f, suspend_once, NULL) != 1 || fiber_resume(f))
		return 2;
	fiber_pool_close(p);
	return 0;
}

static void
fork_inside(void *data)
{
	struct family *family = data;

	fiber_suspend();
	family->child = fork();
	if (family->child == 0)
		_exit(start_anew(family->pool));
	fiber_suspend();
}

/* What is in a fiber when it forks is outside of any in the child, and may have its own. */
static void
a_child_forgets_the_fibers_of_its_parent(void **state)
{
	struct family family = { .pool = *state };
	struct fiber *f, *other;
	int status = -1;

	assert_int_equal(fiber_start(*state, &other, suspend_once, NULL), 1);
	assert_int_equal(fiber_start(*state, &f, fork_inside, &family), 1);
	assert_true(fiber_resume(f));
	assert_true(family.child > 0);
	assert_int_equal(waitpid(family.child, &status, 0), family.child);
	assert_int_equal(status, 0);
	assert_false(fiber_resume(other));
	assert_false(fiber_resume(f));
}

#define IN_A_POOL(test) cmocka_unit_test_setup_teardown(test, setup, teardown)

int
main(void)
{
	const struct CMUnitTest tests[] = {
		IN_A_POOL(fiber_runs_at_once_until_it_suspends),
		IN_A_POOL(fiber_that_never_waits_is_gone_when_start_returns),
		IN_A_POOL(code_knows_which_fiber_it_runs_in),
		IN_A_POOL(what_holds_a_fiber_may_be_freed_by_it),
		IN_A_POOL(values_of_a_function_survive_every_switch),
		IN_A_POOL(rounding_mode_is_the_fibers_own),
		IN_A_POOL(longjmp_works_within_a_fiber),
		IN_A_POOL(unwinding_ends_at_the_entry_of_the_fiber),
		IN_A_POOL(the_stack_used_last_is_the_next_to_be_used),
		IN_A_POOL(no_more_idle_stacks_are_kept_than_wanted),
		IN_A_POOL(a_stack_has_the_size_that_was_asked_for),
		IN_A_POOL(stacks_do_not_touch_each_other),
		cmocka_unit_test(without_memory_a_start_fails_and_nothing_runs),
		cmocka_unit_test(a_pool_that_is_not_open_may_be_closed),
		IN_A_POOL(idle_stacks_give_back_what_a_deep_handler_touched),
		IN_A_POOL(a_stack_in_constant_use_gives_back_as_well),
		cmocka_unit_test(a_fiber_that_waits_costs_12_kib_at_the_most),
		IN_A_POOL(each_thread_has_fibers_of_its_own),
		IN_A_POOL(a_child_forgets_the_fibers_of_its_parent),
	};

	return cmocka_run_group_tests_name("fiber", tests, NULL, NULL);
}
