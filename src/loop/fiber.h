/*
 * Fibers: functions that may stop in the middle and be gone on with later, each on a small stack of
 * its own. They know nothing of loops or connections: who starts them decides when to resume them.
 *
 * A fiber and its pool belong to the thread that opened the pool; nothing here locks. There is no
 * switch from fiber to fiber: fibers are started and resumed from outside of any, and suspend to
 * whoever did so.
 *
 * Each fiber has its own registers and floating point control words, hence its own rounding mode.
 * What belongs to the thread it shares with all others: the signal mask, and errno, which is
 * whatever it is after a suspension.
 *
 * Memory: a stack is address space until it is touched; a fiber that waits in a shallow handler
 * costs a page or two and nothing on the heap. A stack has a guard of 64 KiB below it. Where the
 * kernel can mark the guard inside a mapping (Linux 6.13) neighbouring stacks share one mapping, and
 * fibers are limited by memory. Elsewhere each costs two of vm.max_map_count: about 32 000 fibers
 * with the usual 65 530. Address space counts against RLIMIT_AS, and with vm.overcommit_memory=2 as
 * memory, touched or not.
 */
#ifndef TEND_LOOP_FIBER_H
#define TEND_LOOP_FIBER_H

#include <stdbool.h>
#include <stddef.h>

#include <tend/loop.h>

struct fiber;

/* In the caller's storage, at the same address as long as it is open; fiber.c owns the members. */
struct fiber_pool {
	size_t   stack_size; /* of one stack, in whole pages */
	size_t   guard_size;
	bool     guards_marked; /* the kernel has marks for guards */
	bool     guards_split;  /* it has none: mprotect(), a mapping more */
	unsigned live;         /* fibers that have been started and have not returned */
	unsigned idle;         /* stacks that wait for the next one, hot and cold */
	unsigned keep;
	/* Last used first. `cold` ones have given back what a deep handler touched. */
	struct tend_link hot, cold;
	unsigned         hot_count;
};

/*
 * Opens a pool of this thread. Stacks have `stack_size` bytes, rounded up to pages and to at least
 * 16 KiB; `keep` of them, one at the least, are kept for later fibers when theirs have returned.
 * Gives the thread an alternate signal stack if it has none, so that an overflow can be told of.
 * -EINVAL: a size beyond all reason; or an errno of mmap().
 */
int  fiber_pool_open(struct fiber_pool *p, size_t stack_size, unsigned keep);
/*
 * In the thread that opened it. Every fiber must have returned: to end those that are suspended,
 * resume them with bad news and let them unwind. Accepts a pool of zeroes.
 */
void fiber_pool_close(struct fiber_pool *p);
/*
 * In a child after fork(), from a fiber or not. The parent's fibers are memory that nobody runs or
 * gives back, the pool may be opened anew, and a caller that was in a fiber is outside of any from
 * now on: it waits like everybody else and must not return from the fiber's function.
 */
void fiber_pool_forget(struct fiber_pool *p);

/*
 * Runs fn(arg) on a stack of the pool, at once, until it suspends or returns; `*into` is set before
 * and not touched afterwards, so that it may go away with what `fn` frees. From outside of any
 * fiber. 1: it has suspended. 0: it has returned, and is gone. -ENOMEM or -EAGAIN: no stack is to
 * be had, for a reason that stands above; nothing has run.
 */
int  fiber_start(struct fiber_pool *p, struct fiber **into, void (*fn)(void *), void *arg);
/*
 * Goes on with a suspended fiber until it suspends again (true) or returns and is gone (false). From
 * outside of any fiber, in the thread that started it.
 */
bool fiber_resume(struct fiber *f);
/* In a fiber: back to who started or resumed it. Returns when it is resumed. */
void fiber_suspend(void);
/* For a fiber that will be resumed soon: fetches its control block, and then, in a later call, the
   frames that it will return through. */
void fiber_foresee(const struct fiber *f, bool frames);
/* The fiber that this code runs in, NULL outside of any. */
struct fiber *fiber_current(void);

/*
 * For the whole process: when a fiber runs over its stack, calls `report` with the address that was
 * touched, in a signal handler on the alternate stack; it may do what is safe there. The process
 * then ends by that signal, as far as those who handled it before let it. SIGSEGV and SIGBUS for any
 * other reason go to whom they went before. -EBUSY: open already.
 */
int  fiber_overflow_open(void (*report)(void *data, const void *address), void *data);
void fiber_overflow_close(void);

#endif
