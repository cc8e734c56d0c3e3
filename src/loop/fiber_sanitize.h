/*
 * What AddressSanitizer, ThreadSanitizer and valgrind are told of stacks and switches. Without them
 * every function here is empty, and valgrind's two are a few instructions for a new stack.
 */
#ifndef TEND_LOOP_FIBER_SANITIZE_H
#define TEND_LOOP_FIBER_SANITIZE_H

#include <stddef.h>

#include "config.h"

#ifdef __has_feature
#if __has_feature(address_sanitizer)
#define SANITIZE_ADDRESS 1
#endif
#if __has_feature(thread_sanitizer)
#define SANITIZE_THREAD 1
#endif
#endif
#ifdef __SANITIZE_ADDRESS__
#define SANITIZE_ADDRESS 1
#endif
#ifdef __SANITIZE_THREAD__
#define SANITIZE_THREAD 1
#endif

#ifdef SANITIZE_ADDRESS
#include <sanitizer/asan_interface.h>
#include <sanitizer/common_interface_defs.h>
#endif
#ifdef SANITIZE_THREAD
#include <sanitizer/tsan_interface.h>
#endif
#if HAVE_VALGRIND
#include <valgrind/valgrind.h>
#endif

/*
 * ThreadSanitizer keeps a stack of calls for each fiber: a function that is entered in one and never
 * left, or left in another, must not be counted.
 */
#ifdef SANITIZE_THREAD
#define SANITIZE_NO_THREAD __attribute__((no_sanitize("thread")))
#else
#define SANITIZE_NO_THREAD
#endif
#define SANITIZE_INLINE static inline __attribute__((always_inline))

/* One for each stack, that of the thread included. */
struct sanitize {
#ifdef SANITIZE_ADDRESS
	const void *low;
	size_t      size;
	void       *fake; /* its locals that AddressSanitizer put elsewhere, while it is left */
#endif
#ifdef SANITIZE_THREAD
	void *fiber;
#endif
#if HAVE_VALGRIND
	unsigned id;
#endif
	char nothing;
};

/* A stack was mapped, and is about to be unmapped. */
SANITIZE_INLINE void
sanitize_init(struct sanitize *s, void *low, size_t size)
{
	(void)s, (void)low, (void)size;
#ifdef SANITIZE_ADDRESS
	s->low = low;
	s->size = size;
#endif
#ifdef SANITIZE_THREAD
	s->fiber = __tsan_create_fiber(0);
#endif
#if HAVE_VALGRIND
	s->id = VALGRIND_STACK_REGISTER(low, (char *)low + size);
#endif
}

SANITIZE_INLINE void
sanitize_done(struct sanitize *s)
{
	(void)s;
#ifdef SANITIZE_THREAD
	__tsan_destroy_fiber(s->fiber);
#endif
#if HAVE_VALGRIND
	VALGRIND_STACK_DEREGISTER(s->id);
#endif
}

/* Just before a switch. */
SANITIZE_INLINE void
sanitize_leave(struct sanitize *from, struct sanitize *to)
{
	(void)from, (void)to;
#ifdef SANITIZE_ADDRESS
	__sanitizer_start_switch_fiber(&from->fake, to->low, to->size);
#endif
#ifdef SANITIZE_THREAD
	/* How the thread's own stack is called is known only when a fiber is not running. */
	from->fiber = __tsan_get_current_fiber();
	__tsan_switch_to_fiber(to->fiber, 0);
#endif
}

/* Just before the last switch away from a stack, whose frames are never returned to. */
SANITIZE_INLINE void
sanitize_leave_for_good(struct sanitize *from, struct sanitize *to)
{
	(void)from, (void)to;
#ifdef SANITIZE_ADDRESS
	__asan_unpoison_memory_region(from->low, from->size);
	from->fake = NULL;
	__sanitizer_start_switch_fiber(NULL, to->low, to->size);
#endif
#ifdef SANITIZE_THREAD
	__tsan_switch_to_fiber(to->fiber, 0);
#endif
}

/* Just after a switch. */
SANITIZE_INLINE void
sanitize_arrive(struct sanitize *at)
{
	(void)at;
#ifdef SANITIZE_ADDRESS
	__sanitizer_finish_switch_fiber(at->fake, NULL, NULL);
#endif
}

/* The same on a new stack, which learns where the thread's own lies. */
SANITIZE_INLINE void
sanitize_arrive_first(struct sanitize *at, struct sanitize *home)
{
	(void)at, (void)home;
#ifdef SANITIZE_ADDRESS
	__sanitizer_finish_switch_fiber(at->fake, &home->low, &home->size);
#endif
}

#endif
