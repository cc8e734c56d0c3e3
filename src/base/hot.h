/*
 * Where functions lie. Whoever has slept until a message came finds the processor's caches, and what
 * it knows of pages, full of the kernel's things; each page of text that the message goes through is
 * looked up anew. So those functions lie together.
 */
#ifndef TEND_BASE_HOT_H
#define TEND_BASE_HOT_H

/* Called for each message. */
#define HOT __attribute__((hot))
/* Seldom called, and not to be in the way of what is called all the time. */
#define COLD __attribute__((cold))
/* A step of what is called for each message, which the compiler would make a call of where it is written
   twice. */
#define INLINE static inline __attribute__((always_inline))

/* What the usual way leaves aside: as a part of it, it would have it save registers for nothing. */
#define ASIDE __attribute__((noinline))

/* What a condition nearly always is: the usual way is laid out without jumps. */
#define LIKELY(x) __builtin_expect(!!(x), 1)
#define UNLIKELY(x) __builtin_expect(!!(x), 0)

#endif
