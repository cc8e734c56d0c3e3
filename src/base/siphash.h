/*
 * SipHash-2-4: a hash under a secret key. Whoever does not know the key can neither choose inputs
 * that fall together nor guess where one falls; for tables that strangers fill.
 */
#ifndef TEND_BASE_SIPHASH_H
#define TEND_BASE_SIPHASH_H

#include <stddef.h>
#include <stdint.h>

struct siphash_key {
	uint64_t k0, k1;
};

/* `size` bytes at `data` as a number. */
uint64_t siphash(const struct siphash_key *key, const void *data, size_t size);

#endif
