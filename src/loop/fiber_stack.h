/*
 * The memory of fibers: stacks with a guard below, and control blocks. Those lie close together on the
 * heap: at the top of its stack each would be one more page to be found for every switch to a fiber that
 * waits in a deep handler. Shared by the files fiber*.c only.
 */
#ifndef TEND_LOOP_FIBER_STACK_H
#define TEND_LOOP_FIBER_STACK_H

#include "loop/fiber.h"
#include "loop/fiber_sanitize.h"

struct fiber_thread;

struct fiber {
	void                *saved; /* where it was suspended; fiber_switch.h */
	char                *low;   /* the lowest byte of its stack */
	struct fiber_thread *thread;
	struct fiber_pool   *pool;
	void (*fn)(void *);
	void            *arg;
	struct tend_link link; /* among the idle ones */
	unsigned         uses; /* since it was last trimmed */
	struct sanitize  sanitize;
};

/* Rounds what was asked for. -EINVAL: too large for any address space. */
int fiber_stacks_init(struct fiber_pool *p, size_t stack_size);

/* -ENOMEM, -EAGAIN. */
int  fiber_stack_map(struct fiber_pool *p, struct fiber **into);
void fiber_stack_unmap(struct fiber *f);
/*
 * Gives the memory below the uppermost two pages back, all but the guard. The caller may be the
 * fiber itself, as long as it is in its first frames.
 */
void fiber_stack_trim(struct fiber *f);

static inline char *
fiber_stack_low(const struct fiber *f)
{
	return f->low;
}

static inline size_t
fiber_stack_room(const struct fiber *f)
{
	return f->pool->stack_size;
}

/* True when the address lies in the fiber's guard. */
bool fiber_stack_guards(const struct fiber *f, const void *address);

/* fiber_overflow.c: an alternate signal stack for this thread, once for each of its pools. */
int  fiber_signal_stack_open(void);
void fiber_signal_stack_close(void);
void fiber_signal_stack_forget(void);

#endif
