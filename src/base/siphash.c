/* SipHash as its authors describe it: two rounds a word, four at the end. */
#include "base/siphash.h"

struct state {
	uint64_t v0, v1, v2, v3;
};

static uint64_t
rotate(uint64_t n, unsigned by)
{
	return n << by | n >> (64 - by);
}

static void
one_round(struct state *s)
{
	s->v0 += s->v1;
	s->v2 += s->v3;
	s->v1 = rotate(s->v1, 13) ^ s->v0;
	s->v3 = rotate(s->v3, 16) ^ s->v2;
	s->v0 = rotate(s->v0, 32);
	s->v2 += s->v1;
	s->v0 += s->v3;
	s->v1 = rotate(s->v1, 17) ^ s->v2;
	s->v3 = rotate(s->v3, 21) ^ s->v0;
	s->v2 = rotate(s->v2, 32);
}

static void
absorb(struct state *s, uint64_t word)
{
	s->v3 ^= word;
	one_round(s);
	one_round(s);
	s->v0 ^= word;
}

/* The first byte is the lowest, on every machine. */
static uint64_t
little_endian(const unsigned char *bytes, size_t count)
{
	uint64_t word = 0;

	while (count-- > 0)
		word = word << 8 | bytes[count];
	return word;
}

uint64_t
siphash(const struct siphash_key *key, const void *data, size_t size)
{
	const unsigned char *bytes = data;
	struct state s = {
		key->k0 ^ UINT64_C(0x736f6d6570736575), key->k1 ^ UINT64_C(0x646f72616e646f6d),
		key->k0 ^ UINT64_C(0x6c7967656e657261), key->k1 ^ UINT64_C(0x7465646279746573),
	};
	size_t left = size;
	int i;

	for (; left >= 8; left -= 8, bytes += 8)
		absorb(&s, little_endian(bytes, 8));
	absorb(&s, (uint64_t)size << 56 | little_endian(bytes, left));
	s.v2 ^= 0xff;
	for (i = 0; i < 4; i++)
		one_round(&s);
	return s.v0 ^ s.v1 ^ s.v2 ^ s.v3;
}
