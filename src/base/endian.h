/* Numbers in the order of the network. */
#ifndef TEND_BASE_ENDIAN_H
#define TEND_BASE_ENDIAN_H

#include <stdint.h>

static inline uint64_t
endian_load64(const unsigned char bytes[8])
{
	uint64_t n = 0;
	int i;

	for (i = 0; i < 8; i++)
		n = n << 8 | bytes[i];
	return n;
}

static inline void
endian_store64(unsigned char bytes[8], uint64_t n)
{
	int i;

	for (i = 7; i >= 0; i--, n >>= 8)
		bytes[i] = (unsigned char)n;
}

#endif
