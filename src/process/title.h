/*
 * What the process list shows. The memory is that of the arguments and the environment, which are
 * moved out of the way before the first title is written.
 */
#ifndef TEND_PROCESS_TITLE_H
#define TEND_PROCESS_TITLE_H

#include <tend/base.h>

/*
 * Before the first fork: makes room. Until it has succeeded title_set() does nothing. -ENOTSUP where
 * the system does not tell a library where the arguments lie; -ENOMEM.
 */
int title_open(void);

/* Cut when it is longer than the room. Costs no system call. */
void title_set(const char *format, ...) TEND_PRINTF(1, 2);

#endif
