/* Memory that is fetched while something else is done. */
#ifndef TEND_BASE_PREFETCH_H
#define TEND_BASE_PREFETCH_H

#include <stddef.h>

/* Asks the processor for memory that will be needed soon. It need not be there. */
static inline void
prefetch(const void *memory, size_t size)
{
#if defined(__GNUC__)
	size_t at;

	for (at = 0; at < size; at += 64)
		__builtin_prefetch((const char *)memory + at);
#else
	(void)memory;
	(void)size;
#endif
}

#endif
