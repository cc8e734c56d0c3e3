/*
 * The sequence that every timer program goes through, and what a library must offer for it. The
 * sequence is in timers.c; each library is a file beside it that implements the operations and is
 * linked into a program of its own.
 *
 * Delays are whole milliseconds, because that is the finest that all of them can take.
 */
#ifndef BENCH_TIMERS_H
#define BENCH_TIMERS_H

#include <stddef.h>

/* Makes room for `count` timers, numbered from 0, none of them started. */
void timers_open(size_t count);
/* Makes the library's own clock new, where it keeps one. Called before each part that is measured. */
void timers_update_clock(void);
void timer_start(size_t i, unsigned ms);
/* The same for one that is running: it is moved, in the way the library's manual names for it. */
void timer_restart(size_t i, unsigned ms);
void timer_stop(size_t i);
/* Waits, and calls timer_fired() for whatever is due, until timers_end() has been called. */
void timers_run(void);
void timers_end(void);

/* By the library, for a timer that has run out and is stopped by that. */
void timer_fired(size_t i);

_Noreturn void timers_fail(const char *what);

#endif
