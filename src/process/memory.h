/*
 * How much memory a process has for itself, as the kernel tells it in /proc. Three system calls and
 * no memory of ours, so a master may ask for all of its children every few seconds.
 */
#ifndef TEND_PROCESS_MEMORY_H
#define TEND_PROCESS_MEMORY_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

/*
 * Bytes that are resident and belong to no file and no shared mapping. What a child was born with
 * counts, although it shares those pages with its parent until one of them writes there. 0;
 * -ENOENT: there is no such process, or we may not see it; -ENOTSUP: this is not told here.
 */
int memory_own(pid_t pid, int64_t *bytes);

/*
 * Whether it is told at all to a process whose root directory is `root`, "" for our own: 0, or why
 * not, as above.
 */
int memory_is_told(const char *root);

/* For memory_own(): from the text of statm, whose figures are pages of this size. */
bool memory_parse(const char *text, long page, int64_t *bytes);

#endif
