/* Growth of buffers. Sizes double, so that appending costs O(1) a byte. */
#include "base/buf.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>

#define BUF_MIN 64

void
buf_done(struct buf *b)
{
	free(b->base);
	memset(b, 0, sizeof(*b));
}

int
buf_grow(struct buf *b, size_t more)
{
	size_t used = buf_length(b), size;
	char *base;

	if (b->start > 0 && b->start >= used && b->size - used >= more) {
		memmove(b->base, b->base + b->start, used + 1);
		b->start = 0;
		b->end = (uint32_t)used;
		return 0;
	}
	if (more >= BUF_MAX / 2 || used >= BUF_MAX / 2)
		return -ENOMEM;
	size = b->size > BUF_MIN ? b->size : BUF_MIN;
	/* Grows although all would fit, when little was consumed: the next call must not copy again. */
	while (size < used + more || size == b->size)
		size *= 2;
	base = malloc(size + 1);
	if (base == NULL)
		return -ENOMEM;
	memcpy(base, buf_data(b), used);
	base[used] = '\0';
	free(b->base);
	*b = (struct buf){ .base = base, .end = (uint32_t)used, .size = (uint32_t)size };
	return 0;
}

int
buf_append_text(struct buf *b, const char *text)
{
	return buf_append(b, text, strlen(text));
}

int
buf_prepend(struct buf *b, const void *data, size_t size)
{
	size_t used = buf_length(b);

	if (b->start < size) {
		int r = buf_reserve(b, size);

		if (r < 0)
			return r;
		memmove(b->base + b->start + size, b->base + b->start, used + 1);
		b->end += (uint32_t)size;
	} else {
		b->start -= (uint32_t)size;
	}
	if (size > 0)
		memcpy(b->base + b->start, data, size);
	return 0;
}

int
buf_vprintf(struct buf *b, const char *format, va_list args)
{
	va_list again;
	int n, r;

	va_copy(again, args);
	n = vsnprintf(NULL, 0, format, again);
	va_end(again);
	if (n < 0)
		return -EINVAL;
	r = buf_reserve(b, (size_t)n);
	if (r < 0)
		return r;
	vsnprintf(buf_room(b), (size_t)n + 1, format, args);
	buf_added(b, (size_t)n);
	return 0;
}

int
buf_printf(struct buf *b, const char *format, ...)
{
	va_list args;
	int r;

	va_start(args, format);
	r = buf_vprintf(b, format, args);
	va_end(args);
	return r;
}
