/*
 * A fiber that runs over its stack touches its guard. The handler of the fault needs another stack
 * to stand on; it tells what happened and lets the fault happen again, to whoever handled it before.
 */
#include "loop/fiber.h"

#include <errno.h>
#include <signal.h>
#include <stdatomic.h>
#include <sys/mman.h>
#include <unistd.h>

#include "loop/fiber_stack.h"

/* Room for a report, and for the handlers of others, which are called on this stack as well. */
#define SIGNAL_STACK_SIZE ((size_t)64 * 1024)

/* ---- of each thread ---- */

static _Thread_local struct {
	unsigned pools;
	void    *memory; /* NULL: the thread has a stack from somebody else */
	size_t   size;
} signal_stack;

/* What the processor saves for a handler may be large; only the kernel knows how large. */
static size_t
signal_stack_size(void)
{
#ifdef _SC_SIGSTKSZ
	long size = sysconf(_SC_SIGSTKSZ);

	if (size > (long)SIGNAL_STACK_SIZE)
		return (size_t)size;
#endif
	return SIGNAL_STACK_SIZE;
}

static int
map_signal_stack(void)
{
	stack_t stack = { .ss_size = signal_stack_size() };
	int r;

	stack.ss_sp = mmap(
	    NULL, stack.ss_size, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	if (stack.ss_sp == MAP_FAILED)
		return -errno;
	if (sigaltstack(&stack, NULL) < 0) {
		r = -errno;
		munmap(stack.ss_sp, stack.ss_size);
		return r;
	}
	signal_stack.memory = stack.ss_sp;
	signal_stack.size = stack.ss_size;
	return 0;
}

/* A thread that has one keeps it: AddressSanitizer unmaps at the thread's end what it finds there. */
int
fiber_signal_stack_open(void)
{
	stack_t now;
	int r = 0;

	if (sigaltstack(NULL, &now) == 0 && (now.ss_flags & SS_DISABLE) != 0)
		r = map_signal_stack();
	if (r == 0)
		signal_stack.pools++;
	return r;
}

void
fiber_signal_stack_close(void)
{
	stack_t none = { .ss_flags = SS_DISABLE }, now;

	if (--signal_stack.pools > 0 || signal_stack.memory == NULL)
		return;
	if (sigaltstack(NULL, &now) == 0 && now.ss_sp == signal_stack.memory)
		sigaltstack(&none, NULL);
	munmap(signal_stack.memory, signal_stack.size);
	signal_stack.memory = NULL;
}

/* It is there for the next pool. The pool may have been another thread's, of the parent. */
void
fiber_signal_stack_forget(void)
{
	if (signal_stack.pools > 0)
		signal_stack.pools--;
}

/* ---- of the process ---- */

static const int fault_signals[] = { SIGSEGV, SIGBUS };

#define FAULTS (sizeof(fault_signals) / sizeof(fault_signals[0]))

static atomic_bool is_open;
static void (*report_overflow)(void *data, const void *address);
static void            *report_data;
static struct sigaction before[FAULTS];

/* A fault comes from the kernel; a signal that somebody sent has no address. */
static bool
is_overflow(const siginfo_t *info)
{
	const struct fiber *f = fiber_current();

	return f != NULL && info->si_code > 0 && fiber_stack_guards(f, info->si_addr);
}

/* A fault is repeated by the instruction that caused it, a signal that was sent is not. */
static void
leave_to_default(int signo, const siginfo_t *info, const struct sigaction *old)
{
	if (old->sa_handler == SIG_IGN && info->si_code <= 0)
		return;
	sigaction(signo, old, NULL);
	if (info->si_code <= 0)
		raise(signo);
}

static void
pass_on(int signo, siginfo_t *info, void *context, const struct sigaction *old)
{
	if ((old->sa_flags & SA_SIGINFO) != 0)
		old->sa_sigaction(signo, info, context);
	else if (old->sa_handler != SIG_DFL && old->sa_handler != SIG_IGN)
		old->sa_handler(signo);
	else
		leave_to_default(signo, info, old);
}

static void
on_fault(int signo, siginfo_t *info, void *context)
{
	const struct sigaction *old = &before[signo == fault_signals[0] ? 0 : 1];

	if (!is_overflow(info)) {
		pass_on(signo, info, context, old);
		return;
	}
	report_overflow(report_data, info->si_addr);
	sigaction(signo, old, NULL);
}

int
fiber_overflow_open(void (*report)(void *data, const void *address), void *data)
{
	struct sigaction action = { .sa_sigaction = on_fault };
	size_t i;

	if (atomic_exchange(&is_open, true))
		return -EBUSY;
	report_overflow = report;
	report_data = data;
	for (i = 0; i < FAULTS; i++) {
		sigaction(fault_signals[i], NULL, &before[i]);
		/* Whom a signal is passed on to finds the mask that it asked for. */
		action.sa_mask = before[i].sa_mask;
		action.sa_flags = SA_SIGINFO | SA_ONSTACK | (before[i].sa_flags & SA_NODEFER);
		sigaction(fault_signals[i], &action, NULL);
	}
	return 0;
}

void
fiber_overflow_close(void)
{
	struct sigaction now;
	size_t i;

	if (!atomic_load(&is_open))
		return;
	for (i = 0; i < FAULTS; i++)
		if (sigaction(fault_signals[i], NULL, &now) == 0 &&
		    (now.sa_flags & SA_SIGINFO) != 0 && now.sa_sigaction == on_fault)
			sigaction(fault_signals[i], &before[i], NULL);
	atomic_store(&is_open, false);
}
