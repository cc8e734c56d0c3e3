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

#endif
