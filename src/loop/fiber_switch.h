/*
 * The switch between two stacks, the only part of fibers that depends on the processor: assembly
 * where there is some (fiber_switch_*.S), ucontext(3) elsewhere. The build chooses one (option
 * `fiber`).
 */
#ifndef TEND_LOOP_FIBER_SWITCH_H
#define TEND_LOOP_FIBER_SWITCH_H

#include <stdbool.h>
#include <stddef.h>

/*
 * Leaves the running context in `*save` and goes on with `to`, which was saved before, where the
 * call that saved it returns `word`.
 */
bool fiber_switch(void **save, void *to, bool word);

/*
 * The same, going on with entry(arg) on a new stack; the end of the stack is aligned to 16 bytes.
 * `entry` must not return.
 */
bool fiber_switch_new(
    void **save, void *stack, size_t size, void (*entry)(void *arg), void *arg);

#endif
