/*
 * The switch where there is no assembly for the processor. Each switch makes two system calls for
 * the signal mask. A saved context lies in the frame of the call that saved it.
 */
#include "loop/fiber_switch.h"

#include <stdint.h>
#include <ucontext.h>

#include "loop/fiber_sanitize.h"

/* What the next context to go on is told; and what a new one is to begin with. */
static _Thread_local bool told;
static _Thread_local void (*next_entry)(void *);
static _Thread_local void *next_arg;

SANITIZE_NO_THREAD bool
fiber_switch(void **save, void *to, bool word)
{
	/* Zeroes: AddressSanitizer looks at the stack that a context names. */
	ucontext_t here = { 0 };

	/* cppcheck-suppress autoVariables */
	*save = &here;
	told = word;
	swapcontext(&here, to);
	return told;
}

/* makecontext() passes integers only, which need not hold a pointer. */
SANITIZE_NO_THREAD static void
begin(void)
{
	next_entry(next_arg);
}

SANITIZE_NO_THREAD bool
fiber_switch_new(void **save, void *stack, size_t size, void (*entry)(void *), void *arg)
{
	ucontext_t here = { 0 }, there = { 0 };

	getcontext(&there);
	there.uc_stack.ss_sp = stack;
	there.uc_stack.ss_size = size;
	makecontext(&there, begin, 0);
	next_entry = entry;
	next_arg = arg;
	/* cppcheck-suppress autoVariables */
	*save = &here;
	swapcontext(&here, &there);
	return told;
}
