/* Buffers against a model: a plain array that is moved about the slow way. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "base/buf.h"

#define MODEL_MAX 65536
#define STEPS 20000

struct model {
	char   bytes[MODEL_MAX];
	size_t length;
};

/* The same numbers on every machine and in every run. */
static uint32_t
next_random(uint32_t *seed)
{
	*seed = *seed * 1664525u + 1013904223u;
	return *seed >> 8;
}

static void
assert_same(const struct buf *b, const struct model *m)
{
	assert_int_equal(buf_length(b), m->length);
	assert_memory_equal(buf_data(b), m->bytes, m->length);
	/* Always followed by a NUL, empty or not. */
	assert_int_equal(buf_data(b)[m->length], '\0');
	assert_true(b->end <= b->size);
}

static void
append(struct buf *b, struct model *m, const char *data, size_t n)
{
	if (n > MODEL_MAX - m->length)
		n = MODEL_MAX - m->length;
	assert_int_equal(buf_append(b, data, n), 0);
	memcpy(m->bytes + m->length, data, n);
	m->length += n;
}

static void
prepend(struct buf *b, struct model *m, const char *data, size_t n)
{
	if (n > MODEL_MAX - m->length)
		n = MODEL_MAX - m->length;
	assert_int_equal(buf_prepend(b, data, n), 0);
	memmove(m->bytes + n, m->bytes, m->length);
	memcpy(m->bytes, data, n);
	m->length += n;
}

static void
consume(struct buf *b, struct model *m, size_t n)
{
	if (n > m->length)
		n = m->length;
	buf_consume(b, n);
	memmove(m->bytes, m->bytes + n, m->length - n);
	m->length -= n;
}

/* Through the room behind the end, as one who reads from a socket does. */
static void
fill_room(struct buf *b, struct model *m, const char *data, size_t n)
{
	if (n > MODEL_MAX - m->length)
		n = MODEL_MAX - m->length;
	assert_int_equal(buf_reserve(b, n), 0);
	assert_true(buf_room_size(b) >= n);
	memcpy(buf_room(b), data, n);
	buf_added(b, n);
	memcpy(m->bytes + m->length, data, n);
	m->length += n;
}

static void
any_sequence_of_changes_leaves_what_a_plain_array_has(void **state)
{
	static struct model m;
	struct buf b = { 0 };
	uint32_t seed = 20240607;
	char data[512];
	int i;

	(void)state;
	for (i = 0; i < (int)sizeof(data); i++)
		data[i] = (char)i;
	m.length = 0;
	for (i = 0; i < STEPS; i++) {
		size_t n = next_random(&seed) % (sizeof(data) + 1);

		switch (next_random(&seed) % 8) {
		case 0:
		case 1:
			append(&b, &m, data, n);
			break;
		case 2:
			prepend(&b, &m, data, n % 64);
			break;
		case 3:
			fill_room(&b, &m, data, n);
			break;
		case 4:
			append(&b, &m, data, n % 4);
			break;
		case 5:
		case 6:
			consume(&b, &m, n);
			break;
		default:
			/* Now and then to nothing, by consuming or by clearing. */
			if (next_random(&seed) % 16 == 0) {
				buf_clear(&b);
				m.length = 0;
			} else if (next_random(&seed) % 16 == 0) {
				consume(&b, &m, m.length);
			}
		}
		assert_same(&b, &m);
	}
	buf_done(&b);
}

static void
zeroed_storage_is_an_empty_buffer_without_memory(void **state)
{
	struct buf b = { 0 };

	(void)state;
	assert_int_equal(buf_length(&b), 0);
	assert_string_equal(buf_data(&b), "");
	assert_null(b.base);
	buf_clear(&b);
	buf_consume(&b, 0);
	assert_int_equal(buf_prepend(&b, NULL, 0), 0);
	assert_null(b.base);
	buf_done(&b);
	buf_done(&b);
}

static void
an_emptied_buffer_reads_as_the_empty_string(void **state)
{
	struct buf b = { 0 };

	(void)state;
	assert_int_equal(buf_append_text(&b, "stale"), 0);
	buf_consume(&b, 5);
	assert_string_equal(buf_data(&b), "");
	assert_int_equal(buf_append_text(&b, "stale"), 0);
	buf_clear(&b);
	assert_string_equal(buf_data(&b), "");
	buf_done(&b);
}

static void
text_is_formatted_at_the_end(void **state)
{
	struct buf b = { 0 };
	char long_text[1000];

	(void)state;
	memset(long_text, 'x', sizeof(long_text) - 1);
	long_text[sizeof(long_text) - 1] = '\0';
	assert_int_equal(buf_printf(&b, "%d-%s", 42, "answer"), 0);
	assert_string_equal(buf_data(&b), "42-answer");
	assert_int_equal(buf_printf(&b, "%s", ""), 0);
	assert_int_equal(buf_printf(&b, "[%s]", long_text), 0);
	assert_int_equal(buf_length(&b), 9 + 2 + sizeof(long_text) - 1);
	assert_memory_equal(buf_data(&b), "42-answer[xxx", 13);
	assert_int_equal(buf_data(&b)[buf_length(&b) - 1], ']');
	buf_done(&b);
}

static void
too_much_is_refused_and_changes_nothing(void **state)
{
	/* Not known to the compiler, which would tell of it. */
	volatile size_t huge = SIZE_MAX - 2;
	struct buf b = { 0 };

	(void)state;
	assert_int_equal(buf_append_text(&b, "kept"), 0);
	assert_int_equal(buf_reserve(&b, SIZE_MAX), -ENOMEM);
	assert_int_equal(buf_reserve(&b, SIZE_MAX / 2), -ENOMEM);
	assert_int_equal(buf_append(&b, "", huge), -ENOMEM);
	assert_int_equal(buf_prepend(&b, "", huge), -ENOMEM);
	assert_string_equal(buf_data(&b), "kept");
	buf_done(&b);
}

/* A window that slides over a long stream: memory is moved now and then, not at every byte. */
static void
a_byte_in_and_a_byte_out_is_cheap_however_full_the_buffer(void **state)
{
	struct buf b = { 0 };
	const char *base;
	unsigned moved = 0;
	int i;

	(void)state;
	for (i = 0; i < 4095; i++)
		assert_int_equal(buf_append(&b, "x", 1), 0);
	for (i = 0; i < 100000; i++) {
		size_t start;

		buf_consume(&b, 1);
		base = b.base;
		start = b.start;
		assert_int_equal(buf_append(&b, "y", 1), 0);
		if (b.base != base || b.start != start)
			moved++;
	}
	assert_int_equal(buf_length(&b), 4095);
	assert_in_range(moved, 1, 100000 / 4095 + 2);
	assert_in_range(b.size, 4095, 4 * 4096);
	buf_done(&b);
}

int
main(void)
{
	static const struct CMUnitTest tests[] = {
		cmocka_unit_test(any_sequence_of_changes_leaves_what_a_plain_array_has),
		cmocka_unit_test(zeroed_storage_is_an_empty_buffer_without_memory),
		cmocka_unit_test(an_emptied_buffer_reads_as_the_empty_string),
		cmocka_unit_test(text_is_formatted_at_the_end),
		cmocka_unit_test(too_much_is_refused_and_changes_nothing),
		cmocka_unit_test(a_byte_in_and_a_byte_out_is_cheap_however_full_the_buffer),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
