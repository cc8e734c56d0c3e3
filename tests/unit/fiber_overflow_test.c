/* Fibers that run over their stack, and faults that are nothing of the kind. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <errno.h>
#include <signal.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

#include "loop/fiber.h"
#include "under_valgrind.h"

#define STACK_SIZE ((size_t)128 * 1024)

static int told_to = -1;

static void
report_to(void *data, const void *address)
{
	static const char line[] = "overflow\n";
	const int *fd = data;
	ssize_t n = write(*fd, line, sizeof(line) - 1);

	(void)n, (void)address;
}

static volatile int deepest;

/* Each frame is smaller than the guard, and none can be left out. */
static int
recurse(int depth)
{
	volatile char frame[2048];
	int r;

	frame[0] = (char)depth;
	frame[sizeof(frame) - 1] = 0;
	deepest = depth;
	if (depth == INT32_MAX)
		return 0;
	r = recurse(depth + 1);
	return r + frame[0];
}

static void
run_over(void *data)
{
	(void)data;
	recurse(0);
}

static void
fault_elsewhere(void *data)
{
	volatile char *nowhere = data;

	nowhere[0] = 1;
}

/* As a function with a large buffer, of which it uses the lower end. */
static void
step_over_a_page(void *data)
{
	static volatile size_t size = STACK_SIZE + 32768;
	volatile char *buffer = __builtin_alloca(size);

	(void)data;
	buffer[0] = 1;
}

static void
send_to_itself(void *data)
{
	(void)data;
	raise(SIGSEGV);
}

struct ending {
	int  status;
	char told[64]; /* what the report wrote */
};

struct death {
	void (*fn)(void *);
	void (*previous)(int, siginfo_t *, void *);
	bool guards_split;
};

/* cmocka has handlers of its own, and so have sanitizers. */
static void
handle_faults(void (*previous)(int, siginfo_t *, void *))
{
	struct sigaction action = { .sa_handler = SIG_DFL };

	if (previous != NULL) {
		action.sa_sigaction = previous;
		action.sa_flags = SA_SIGINFO;
	}
	sigaction(SIGSEGV, &action, NULL);
	sigaction(SIGBUS, &action, NULL);
}

static void
die_in_a_fiber(const struct death *d)
{
	struct rlimit no_core = { 0 };
	struct fiber_pool p;
	struct fiber *f;
	void *nowhere = mmap(NULL, 4096, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

	alarm(100);
	setrlimit(RLIMIT_CORE, &no_core);
	handle_faults(d->previous);
	if (fiber_overflow_open(report_to, &told_to) < 0 || fiber_pool_open(&p, STACK_SIZE, 1) < 0)
		_exit(99);
	p.guards_split = d->guards_split;
	fiber_start(&p, &f, d->fn, nowhere);
	_exit(98);
}

static struct ending
end_of(const struct death *d)
{
	struct ending e = { 0 };
	int fds[2];
	ssize_t n;
	pid_t pid;

	assert_int_equal(pipe(fds), 0);
	pid = fork();
	if (pid == 0) {
		told_to = fds[1];
		die_in_a_fiber(d);
	}
	assert_true(pid > 0);
	close(fds[1]);
	n = read(fds[0], e.told, sizeof(e.told) - 1);
	assert_true(n >= 0);
	close(fds[0]);
	assert_int_equal(waitpid(pid, &e.status, 0), pid);
	return e;
}

static void
assert_died_of_the_fault(const struct ending *e)
{
	assert_true(WIFSIGNALED(e->status));
	assert_true(WTERMSIG(e->status) == SIGSEGV || WTERMSIG(e->status) == SIGBUS);
}

static void
overflow_is_told_of_and_then_fatal(void **state)
{
	struct ending e;
	int split;

	(void)state;
	for (split = 0; split < 2; split++) {
		e = end_of(&(struct death){ .fn = run_over, .guards_split = split });
		assert_string_equal(e.told, "overflow\n");
		assert_died_of_the_fault(&e);
	}
}

static void
a_large_frame_does_not_step_over_the_guard(void **state)
{
	struct ending e;

	(void)state;
	/* It takes so large a step for a change of stacks. */
	if (under_valgrind())
		skip();
	e = end_of(&(struct death){ .fn = step_over_a_page });
	assert_died_of_the_fault(&e);
	assert_string_equal(e.told, "overflow\n");
}

static void
fault_elsewhere_is_not_called_an_overflow(void **state)
{
	struct ending e;

	(void)state;
	e = end_of(&(struct death){ .fn = fault_elsewhere });
	assert_string_equal(e.told, "");
	assert_died_of_the_fault(&e);
}

static void
signal_that_was_sent_is_not_called_an_overflow(void **state)
{
	struct ending e;

	(void)state;
	e = end_of(&(struct death){ .fn = send_to_itself });
	assert_string_equal(e.told, "");
	assert_died_of_the_fault(&e);
}

static void
tell_and_leave(int signo, siginfo_t *info, void *context)
{
	static const char line[] = "before\n";
	ssize_t n = write(told_to, line, sizeof(line) - 1);

	_exit(n > 0 && signo == SIGSEGV && info != NULL && context != NULL ? 0 : 97);
}

static void
fault_elsewhere_goes_to_whom_it_went_before(void **state)
{
	struct ending e;

	(void)state;
	e = end_of(&(struct death){ .fn = fault_elsewhere, .previous = tell_and_leave });
	assert_string_equal(e.told, "before\n");
	assert_true(WIFEXITED(e.status));
	e = end_of(&(struct death){ .fn = send_to_itself, .previous = tell_and_leave });
	assert_string_equal(e.told, "before\n");
	assert_true(WIFEXITED(e.status));
}

static void
closing_puts_signal_handlers_back(void **state)
{
	struct sigaction before, now;
	int fd = -1;

	(void)state;
	assert_int_equal(sigaction(SIGSEGV, NULL, &before), 0);
	fiber_overflow_close();
	assert_int_equal(fiber_overflow_open(report_to, &fd), 0);
	assert_int_equal(fiber_overflow_open(report_to, &fd), -EBUSY);
	assert_int_equal(sigaction(SIGSEGV, NULL, &now), 0);
	assert_true(now.sa_sigaction != before.sa_sigaction);
	assert_true((now.sa_flags & SA_ONSTACK) != 0);
	fiber_overflow_close();
	assert_int_equal(sigaction(SIGSEGV, NULL, &now), 0);
	assert_true(now.sa_sigaction == before.sa_sigaction);
}

static bool
has_signal_stack(void)
{
	stack_t now;

	assert_int_equal(sigaltstack(NULL, &now), 0);
	return (now.ss_flags & SS_DISABLE) == 0;
}

/* Sanitizers give each thread one of their own, and that one stays. */
static void
signal_stack_comes_and_goes_with_the_pools_of_the_thread(void **state)
{
	struct fiber_pool a, b;
	bool had = has_signal_stack();

	(void)state;
	assert_int_equal(fiber_pool_open(&a, STACK_SIZE, 1), 0);
	assert_true(has_signal_stack());
	assert_int_equal(fiber_pool_open(&b, STACK_SIZE, 1), 0);
	fiber_pool_close(&a);
	assert_true(has_signal_stack());
	fiber_pool_close(&b);
	assert_int_equal(has_signal_stack(), had);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(overflow_is_told_of_and_then_fatal),
		cmocka_unit_test(a_large_frame_does_not_step_over_the_guard),
		cmocka_unit_test(fault_elsewhere_is_not_called_an_overflow),
		cmocka_unit_test(signal_that_was_sent_is_not_called_an_overflow),
		cmocka_unit_test(fault_elsewhere_goes_to_whom_it_went_before),
		cmocka_unit_test(closing_puts_signal_handlers_back),
		cmocka_unit_test(signal_stack_comes_and_goes_with_the_pools_of_the_thread),
	};

	return cmocka_run_group_tests_name("fiber overflow", tests, NULL, NULL);
}
