/*
 * Writing to a connection. Small pieces gather in a buffer; a large one is sent together with what
 * the buffer holds, in one call and without being copied. Where a call may wait, "sent" means that
 * the kernel has all of it; where it may not, what the kernel does not take stays in the buffer and
 * leaves by itself.
 */
#include <errno.h>
#include <poll.h>
#include <stdio.h>
#include <string.h>

#include "base/clock.h"
#include "net/conn.h"
#include "net/conn_queue.h"

#define OUTPUT_BUFFER 16384

int
conn_break(struct tend_conn *c, int code)
{
	if (c->broken == 0)
		c->broken = (int16_t)code;
	c->write_want = 0;
	buf_clear(&c->out);
	if (c->extras != NULL)
		buf_done(&c->extras->late);
	conn_queue_drop(c);
	return code;
}

/*
 * Where nobody waits the queue may grow, but not without bound: who writes more than the client
 * reads has been told by the mark (tend_conn_set_marks()) and went on.
 */
static int
check_bound(struct tend_conn *c)
{
	size_t most = c->mood->limits->max_output, have = buf_length(&c->out);

	if (c->extras != NULL)
		have += buf_length(&c->extras->late);
	if (most == 0 || c->mood->queued == NULL || have <= most)
		return 0;
	conn_break(c, -ENOBUFS);
	c->mood->queued(c);
	return -ENOBUFS;
}

/* Somebody else's words must not come between the halves of a piece under way. 0 or -errno. */
COLD static int
append_later(struct tend_conn *c, const void *data, size_t size)
{
	struct conn_extras *x = conn_extras(c);
	int r = x != NULL ? buf_append(&x->late, data, size) : -ENOMEM;

	return r < 0 ? r : check_bound(c);
}

/* Puts bytes behind all output there is. 0 or -errno. */
INLINE int
append(struct tend_conn *c, const void *data, size_t size)
{
	return c->sending == SENDING_PIECE ? append_later(c, data, size)
	                                   : buf_append(&c->out, data, size);
}

/* Takes `sent` bytes off the buffer first, then off the piece. */
static void
advance(struct tend_conn *c, size_t sent, const char **data, size_t *size)
{
	size_t buffered = buf_length(&c->out);
	size_t first = sent < buffered ? sent : buffered;

	buf_consume(&c->out, first);
	*data += sent - first;
	*size -= sent - first;
}

/* One call to the transport for the buffer and the piece. Bytes or -errno. */
static ssize_t
send_both(struct tend_conn *c, const char **data, size_t *size)
{
	struct iovec parts[2] = {
		{ .iov_base = buf_data(&c->out), .iov_len = buf_length(&c->out) },
		{ .iov_base = (void *)(uintptr_t)*data, .iov_len = *size },
	};
	int skip = parts[0].iov_len == 0;
	ssize_t n = conn_write_bytes(c, parts + skip, 2 - skip, buf_length(&c->out) + *size);

	if (n >= 0)
		advance(c, (size_t)n, data, size);
	return n;
}

/*
 * How long this wait may last. A transport that finds again and again that it cannot go on is as slow
 * as one that says so once: such waits share their time, which ends at `*until` (0: not known yet).
 */
static int64_t
rest_of(struct tend_conn *c, int64_t *until)
{
	int64_t now;

	if (c->balks < 2 || c->idle == CLOCK_NEVER) {
		*until = 0;
		return c->idle;
	}
	now = clock_now();
	if (*until == 0)
		*until = clock_after(now, c->idle);
	return *until > now ? *until - now : 0;
}

/* The transport cannot go on. 0: it was waited for; -EAGAIN: nobody may wait. */
static int
wait_to_send(struct tend_conn *c, unsigned events, int64_t *until)
{
	int r;

	c->write_want = (uint8_t)events;
	r = conn_wait(c, events, rest_of(c, until));
	if (r != -EAGAIN)
		c->write_want = 0;
	return r;
}

/* In the next turn of the loop goes on who may wait, and what is queued where nobody may. */
static int
let_a_turn_pass(struct tend_conn *c)
{
	int r = c->mood->wait(c, 0, clock_now() + CLOCK_MILLISECOND);

	return r == -ETIMEDOUT && !conn_expired(c) ? 0 : r;
}

/* Others who share the process get a look at it now and then. 0 or as wait_to_send(). */
static int
share(struct tend_conn *c, ssize_t sent, int64_t *until)
{
	if (conn_queue_is_due(c))
		return let_a_turn_pass(c);
	return conn_spends_share(c->mood, (size_t)sent) ? wait_to_send(c, POLLOUT, until) : 0;
}

static ssize_t
send_once(struct tend_conn *c, const char **data, size_t *size)
{
	if (c->extras != NULL && c->extras->queue != NULL)
		return conn_queue_send(c);
	return *size > 0 ? send_both(c, data, size) : conn_write_buffer(c);
}

/* The first call to the transport came to `n`: the others, and the waits between them. */
static int
send_rest(struct tend_conn *c, ssize_t n, const char **data, size_t *size)
{
	int64_t until = 0;
	int r;

	for (;;) {
		if (n == -EAGAIN)
			r = wait_to_send(c, c->want, &until);
		else if (n < 0)
			return (int)n;
		else
			r = conn_unsent(c) + *size > 0 ? share(c, n, &until) : 0;
		if (r < 0)
			return r;
		if (c->broken != 0)
			return c->broken;
		if (conn_unsent(c) + *size == 0)
			return 0;
		n = send_once(c, data, size);
	}
}

static int
send_all(struct tend_conn *c, const char **data, size_t *size)
{
	if (c->broken != 0)
		return c->broken;
	if (conn_unsent(c) + *size == 0)
		return 0;
	return send_rest(c, send_once(c, data, size), data, size);
}

/* What came meanwhile from elsewhere comes after the piece. */
static int
append_late(struct tend_conn *c)
{
	struct buf *late = c->extras != NULL ? &c->extras->late : NULL;
	int r = 0;

	if (late == NULL || buf_length(late) == 0)
		return 0;
	r = buf_append(&c->out, buf_data(late), buf_length(late));
	buf_done(late);
	return r;
}

/* What was to be done beside sending, and what could not be sent. `r`: how far that came. */
static int
after_sending(struct tend_conn *c, int r, const char *data, size_t size)
{
	if (r == -EAGAIN && size > 0 && append(c, data, size) < 0)
		r = -ENOMEM;
	if ((r == 0 || r == -EAGAIN) && append_late(c) < 0)
		r = -ENOMEM;
	if (r == -EAGAIN && check_bound(c) < 0)
		r = c->broken;
	else if (r < 0 && r != -EAGAIN)
		conn_break(c, r);
	/* A marker has asked for it. */
	if (c->closing) {
		c->closing = false;
		conn_close(c);
	}
	return r;
}

HOT int
conn_send(struct tend_conn *c, const void *more, size_t size)
{
	const char *data = more;
	int r;

	/* From a marker of the queue: whoever called it goes on sending. */
	if (c->sending != SENDING_NOT)
		return size > 0 ? append(c, data, size) : 0;
	/* Behind a queue there is no short cut. */
	if (size > 0 && c->extras != NULL && c->extras->queue != NULL) {
		r = append(c, data, size);
		if (r < 0)
			return r;
		size = 0;
	}
	c->sending = size > 0 ? SENDING_PIECE : SENDING_QUEUE;
	r = send_all(c, &data, &size);
	c->sending = SENDING_NOT;
	return after_sending(c, r, data, size);
}

int
conn_send_on(struct tend_conn *c, ssize_t n)
{
	const char *data = NULL;
	size_t size = 0;
	int r = send_rest(c, n, &data, &size);

	c->sending = SENDING_NOT;
	return after_sending(c, r, data, size);
}

/* A client that takes all we have never lets us wait, so here the handler is told that its time has passed. */
static int
in_time(const struct tend_conn *c, int r)
{
	if (r == -EAGAIN)
		return 0;
	return r == 0 && conn_expired(c) ? -ETIMEDOUT : r;
}

/* Sends what does not fit into the buffer. After its time a last word may still be written. */
ASIDE static int
send_full(struct tend_conn *c, const void *more, size_t size)
{
	int r;

	/* It is known that the kernel takes no more: not asked again for each piece. */
	if (c->write_want != 0 && !conn_may_wait(c)) {
		r = size > 0 ? append(c, more, size) : 0;
		return r < 0 ? r : check_bound(c);
	}
	return in_time(c, conn_send(c, more, size));
}

static void
tell_queued(struct tend_conn *c)
{
	if (c->mood->queued != NULL)
		c->mood->queued(c);
}

/* Of a piece, whose first write came to `n`. */
ASIDE static int
send_piece_on(struct tend_conn *c, ssize_t n, const char *data, size_t size)
{
	int r;

	c->sending = SENDING_PIECE;
	if (n > 0)
		advance(c, (size_t)n, &data, &size);
	r = send_rest(c, n, &data, &size);
	c->sending = SENDING_NOT;
	return after_sending(c, r, data, size);
}

/* As send_full(), of an ordinary connection whose queue is empty. */
INLINE int
send_piece(struct tend_conn *c, const void *data, size_t size)
{
	struct iovec part = { .iov_base = (void *)(uintptr_t)data, .iov_len = size };
	ssize_t n;
	int r = 0;

	c->sending = SENDING_PIECE;
	n = conn_write_bytes(c, &part, 1, size);
	c->sending = SENDING_NOT;
	if (UNLIKELY(n != (ssize_t)size || !conn_is_ordinary(c) || c->extras != NULL))
		r = send_piece_on(c, n, data, size);
	return in_time(c, r);
}

ASIDE static ssize_t
write_any(struct tend_conn *c, const void *data, size_t size)
{
	int r;

	/* What was written to the stream before comes first. */
	conn_stdio_flush(c);
	r = conn_writable(c);
	if (r < 0)
		return r;
	if (buf_length(&c->out) + size < OUTPUT_BUFFER)
		r = append(c, data, size);
	else
		r = send_full(c, data, size);
	if (r < 0)
		return r;
	tell_queued(c);
	return (ssize_t)size;
}

/* Written out for a connection with nothing special to it. */
HOT ssize_t
tend_write(struct tend_conn *c, const void *data, size_t size)
{
	size_t before = buf_length(&c->out);
	int r;

	if (UNLIKELY(!conn_is_ordinary(c) || c->extras != NULL || conn_is_traced(c)))
		return write_any(c, data, size);
	if (before + size < OUTPUT_BUFFER)
		r = buf_append(&c->out, data, size);
	else
		r = before == 0 ? send_piece(c, data, size) : send_full(c, data, size);
	if (UNLIKELY(r < 0))
		return r;
	tell_queued(c);
	return (ssize_t)size;
}

HOT ssize_t
tend_vprintf(struct tend_conn *c, const char *format, va_list args)
{
	struct buf *into;
	size_t before, size;
	int r;

	conn_stdio_flush(c);
	r = conn_writable(c);
	if (r < 0)
		return r;
	if (c->sending == SENDING_PIECE && conn_extras(c) == NULL)
		return -ENOMEM;
	into = c->sending == SENDING_PIECE ? &c->extras->late : &c->out;
	before = buf_length(into);
	r = buf_vprintf(into, format, args);
	if (r < 0)
		return r;
	size = buf_length(into) - before;
	if (into != &c->out)
		r = check_bound(c);
	else if (before + size >= OUTPUT_BUFFER)
		r = send_full(c, NULL, 0);
	if (r < 0)
		return r;
	tell_queued(c);
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

HOT int
tend_flush(struct tend_conn *c)
{
	int r;

	conn_stdio_flush(c);
	if (!c->open)
		return -ENOTCONN;
	if (c->broken != 0)
		return c->broken;
	if (conn_unsent(c) == 0)
		return 0;
	if (c->write_want != 0 && !conn_may_wait(c))
		return -EAGAIN;
	r = c->sending == SENDING_NOT && conn_is_simple(c) ? conn_send_buffer(c) : conn_send(c, NULL, 0);
	/* By a marker. */
	return r == 0 && !c->open ? -ENOTCONN : r;
}

int
conn_end_output(struct tend_conn *c)
{
	int64_t until = 0;
	int r;

	while ((r = conn_shutdown_once(c)) == -EAGAIN)
		if ((r = wait_to_send(c, c->want, &until)) < 0)
			return r == -EAGAIN ? r : conn_break(c, r);
	if (r == 0)
		c->output_ended = true;
	c->ending = false;
	return r;
}

int
tend_shutdown(struct tend_conn *c)
{
	int r = conn_writable(c);

	if (r < 0)
		return r == -EPIPE && (c->output_ended || c->ending) ? 0 : r;
	conn_stdio_flush(c);
	r = tend_flush(c);
	if (r == 0)
		r = conn_end_output(c);
	if (r != -EAGAIN)
		return r;
	/* When the queue is empty, or the transport lets us. */
	c->ending = true;
	tell_queued(c);
	return 0;
}
