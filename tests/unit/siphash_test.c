/* SipHash-2-4 against the vectors that its authors published. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include "base/siphash.h"

/* Key and input are 00 01 02 ...; the result for each length. */
static void
published_vectors(void **state)
{
	static const struct siphash_key key = {
		UINT64_C(0x0706050403020100), UINT64_C(0x0f0e0d0c0b0a0908),
	};
	static const struct {
		size_t   size;
		uint64_t wanted;
	} vectors[] = {
		{ 0, UINT64_C(0x726fdb47dd0e0e31) },
		{ 1, UINT64_C(0x74f839c593dc67fd) },
		{ 2, UINT64_C(0x0d6c8009d9a94f5a) },
		{ 7, UINT64_C(0xab0200f58b01d137) },
		{ 8, UINT64_C(0x93f5f5799a932462) },
		{ 15, UINT64_C(0xa129ca6149be45e5) },
	};
	unsigned char input[16];
	size_t i;

	(void)state;
	for (i = 0; i < sizeof(input); i++)
		input[i] = (unsigned char)i;
	for (i = 0; i < sizeof(vectors) / sizeof(vectors[0]); i++)
		assert_true(siphash(&key, input, vectors[i].size) == vectors[i].wanted);
}

static void
another_key_is_another_hash(void **state)
{
	static const struct siphash_key one = { 1, 2 }, two = { 1, 3 };

	(void)state;
	assert_true(siphash(&one, "abc", 3) != siphash(&two, "abc", 3));
	assert_true(siphash(&one, "abc", 3) == siphash(&one, "abcd", 3));
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(published_vectors),
		cmocka_unit_test(another_key_is_another_hash),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
