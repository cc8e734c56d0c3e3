/* Valgrind is a processor and half a kernel of its own: what is true of neither there is not asked. */
#ifndef TESTS_UNDER_VALGRIND_H
#define TESTS_UNDER_VALGRIND_H

#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

static inline bool
under_valgrind(void)
{
	const char *preload = getenv("LD_PRELOAD");

	return preload != NULL && strstr(preload, "vgpreload") != NULL;
}

#endif
