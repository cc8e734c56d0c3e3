/*
 * The first system calls of a child of fork: signals back to normal, and let in. The C library's
 * functions for that lie on pages of its text which nothing else in a short-lived child needs, and
 * each is fetched anew for each child. Where the kernel's own interface is known, the calls go through
 * syscall(), which lies beside close() and recv(); elsewhere they are the C library's.
 */
#ifndef TEND_PROCESS_NEWBORN_H
#define TEND_PROCESS_NEWBORN_H

#include <signal.h>

/* SIG_DFL or SIG_IGN for a signal. */
void newborn_signal(int signo, void (*handler)(int));

/* The mask of blocked signals, as sigprocmask(SIG_SETMASK). */
void newborn_mask(const sigset_t *mask);

#endif
