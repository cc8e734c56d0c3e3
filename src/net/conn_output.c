/*
 * Writing to a connection. Small pieces gather in a buffer; a large one is sent together with what
 * the buffer holds, in one call and without being copied. In the blocking mood "sent" means that the
 * kernel has all of it.
 */
#include <errno.h>
#include <poll.h>
#include <stdio.h>
#include <string.h>

#include "base/clock.h"
#include "net/conn.h"

#define OUTPUT_BUFFER 16384

/* Remembers why output came to its end; every later call says the same. */
static int
break_output(struct tend_conn *c, int code)
{
	c->broken = code;
	buf_clear(&c->out);
	return code;
}

/* Takes `sent` bytes off the buffer first, then off the piece. */
static void
advance(struct tend_conn *c, size_t sent, const char **data, size_t *size)
{
	size_t buffered = buf_length(&c->out);
	size_t first = sent < buffered ? sent : buffered;

	buf_consume(&c->out, first);
	if (sent == first)
		return; /* there may be no piece at all */
	*data += sent - first;
	*size -= sent - first;
}

int
conn_send(struct tend_conn *c, const void *more, size_t size)
{
	const char *data = more;

	while (buf_length(&c->out) + size > 0) {
		struct iovec parts[2] = {
			{ .iov_base = buf_data(&c->out), .iov_len = buf_length(&c->out) },
			{ .iov_base = (void *)(uintptr_t)data, .iov_len = size },
		};
		int skip = parts[0].iov_len == 0;
		int count = (size > 0 ? 2 : 1) - skip;
		ssize_t n = c->transport->write(c, parts + skip, count);
		int r;

		if (n >= 0) {
			advance(c, (size_t)n, &data, &size);
			continue;
		}
		if (n != -EAGAIN)
			return break_output(c, (int)n);
		r = conn_wait(c, c->want, c->idle);
		if (r < 0)
			return break_output(c, r);
	}
	return 0;
}

/*
 * Sends what does not fit into the buffer. A client that takes all we have never lets us wait, so
 * here the handler is told that its time has passed; a last word may still be written.
 */
static int
send_full(struct tend_conn *c, const void *more, size_t size)
{
	int r = conn_send(c, more, size);

	return r == 0 && conn_expired(c) ? -ETIMEDOUT : r;
}

/* 0 when output can be taken. */
static int
writable(const struct tend_conn *c)
{
	if (c->state != CONN_OPEN)
		return -ENOTCONN;
	if (c->output_ended)
		return -EPIPE;
	return c->broken;
}

ssize_t
tend_write(struct tend_conn *c, const void *data, size_t size)
{
	int r;

	/* What was written to the stream before comes first. */
	conn_stdio_flush(c);
	r = writable(c);
	if (r < 0)
		return r;
	if (buf_length(&c->out) + size < OUTPUT_BUFFER) {
		r = buf_append(&c->out, data, size);
		return r < 0 ? r : (ssize_t)size;
	}
	r = send_full(c, data, size);
	return r < 0 ? r : (ssize_t)size;
}

ssize_t
tend_vprintf(struct tend_conn *c, const char *format, va_list args)
{
	size_t before, size;
	int r;

	conn_stdio_flush(c);
	before = buf_length(&c->out);
	r = writable(c);
	if (r < 0)
		return r;
	r = buf_vprintf(&c->out, format, args);
	if (r < 0)
		return r;
	size = buf_length(&c->out) - before;
	if (before + size >= OUTPUT_BUFFER) {
		r = send_full(c, NULL, 0);
		if (r < 0)
			return r;
	}
	return (ssize_t)size;
}

ssize_t
tend_printf(struct tend_conn *c, const char *format, ...)
{
	va_list args;
	ssize_t n;

	va_start(args, format);
	n = tend_vprintf(c, format, args);
	va_end(args);
	return n;
}

int
tend_flush(struct tend_conn *c)
{
	conn_stdio_flush(c);
	if (c->state != CONN_OPEN)
		return -ENOTCONN;
	return c->broken != 0 ? c->broken : conn_send(c, NULL, 0);
}

int
tend_shutdown(struct tend_conn *c)
{
	int r = writable(c);

	if (r < 0)
		return r == -EPIPE && c->output_ended ? 0 : r;
	conn_stdio_flush(c);
	r = tend_flush(c);
	if (r < 0)
		return r;
	while ((r = c->transport->shutdown(c)) == -EAGAIN)
		if ((r = conn_wait(c, c->want, c->idle)) < 0)
			return break_output(c, r);
	if (r == 0)
		c->output_ended = true;
	return r;
}
