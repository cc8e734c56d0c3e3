/*
 * A buffer of bytes: appended at the end, consumed from the front, always followed by a NUL byte
 * that is not counted. Empty buffers hold no memory unless reserved. Zeroed storage is a valid,
 * empty buffer.
 */
#ifndef TEND_BASE_BUF_H
#define TEND_BASE_BUF_H

#include <stdarg.h>
#include <string.h>

#include <tend/base.h>

/* Short numbers: an idle connection has two of these. */
struct buf {
	char    *base;  /* the allocation */
	uint32_t start; /* first byte not yet consumed */
	uint32_t end;   /* one past the last byte */
	uint32_t size;  /* of the allocation, without the NUL's place */
};

/* No buffer grows larger. */
#define BUF_MAX (UINT32_C(1) << 31)

void buf_done(struct buf *b);
/* Of buf_reserve(): the room is not there yet. */
int buf_grow(struct buf *b, size_t more);
int buf_append_text(struct buf *b, const char *text);
int buf_printf(struct buf *b, const char *format, ...) TEND_PRINTF(2, 3);
int buf_vprintf(struct buf *b, const char *format, va_list args) TEND_PRINTF(2, 0);
/* Puts bytes in front of the first. */
int buf_prepend(struct buf *b, const void *data, size_t size);

static inline char *
buf_data(const struct buf *b)
{
	return b->base != NULL ? b->base + b->start : (char *)"";
}

static inline size_t
buf_length(const struct buf *b)
{
	return (size_t)(b->end - b->start);
}

/* Makes room for `more` bytes at the end. 0 or -ENOMEM; the buffer is unchanged on failure. */
static inline int
buf_reserve(struct buf *b, size_t more)
{
	return b->base != NULL && b->size - b->end >= more ? 0 : buf_grow(b, more);
}

/* The room behind the last byte, after buf_reserve(). */
static inline char *
buf_room(struct buf *b)
{
	return b->base + b->end;
}

static inline size_t
buf_room_size(const struct buf *b)
{
	return (size_t)(b->size - b->end);
}

/* `n` bytes were written into the room. */
static inline void
buf_added(struct buf *b, size_t n)
{
	b->end += (uint32_t)n;
	b->base[b->end] = '\0';
}

/* 0 or -ENOMEM. */
static inline int
buf_append(struct buf *b, const void *data, size_t size)
{
	int r = buf_reserve(b, size);

	if (r < 0)
		return r;
	if (size > 0)
		memcpy(buf_room(b), data, size);
	buf_added(b, size);
	return 0;
}

static inline void
buf_clear(struct buf *b)
{
	b->start = b->end = 0;
	/* Not written without need: the memory may be shared with a forked child. */
	if (b->base != NULL && b->base[0] != '\0')
		b->base[0] = '\0';
}

static inline void
buf_consume(struct buf *b, size_t n)
{
	b->start += (uint32_t)n;
	if (b->start == b->end)
		buf_clear(b);
}

#endif
