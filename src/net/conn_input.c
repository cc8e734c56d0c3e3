/*
 * Reading from a connection. One buffer holds what has come and not yet been read; every way of
 * reading is a thin layer over it, so they can be mixed, and what is left lying is read next.
 */
#include <errno.h>
#include <poll.h>
#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "net/conn.h"

/* What tend_take() asks the kernel for at most: as much as a warm buffer holds (CONNS_WARM_MOST). */
#define TAKE_MOST 65536

/*
 * Text lent to the handler ends with a NUL that stands where the next byte of the stream was. The
 * next call puts the byte back and consumes what was lent.
 */
void
conn_uncover(struct tend_conn *c)
{
	buf_data(&c->in)[c->taken] = c->lent;
	c->lent_nul = false;
}

/* Lends the first `size` bytes of the input, of which the first `text` end with a NUL. */
static char *
lend(struct tend_conn *c, size_t size, size_t text)
{
	char *data = buf_data(&c->in);

	c->taken = (uint32_t)size;
	if (text < size) {
		/* The terminator's own place: consumed with the loan, nothing to remember. */
		data[text] = '\0';
	} else if (size < buf_length(&c->in)) {
		/* Behind all there is stands the buffer's own. */
		c->lent = data[size];
		c->lent_nul = true;
		data[size] = '\0';
	}
	return data;
}

/*
 * How long this wait may last. The pieces of one line share their time: a client that sends a byte
 * now and then is as slow as one that sends nothing. So do waits after which the transport had
 * nothing for us.
 */
static int64_t
rest_of(struct tend_conn *c, int64_t limit)
{
	int64_t now;

	if ((!c->in_pieces && c->balks < 2) || limit == CLOCK_NEVER)
		return limit;
	now = clock_now();
	if (c->pieces_until == 0)
		c->pieces_until = clock_after(now, limit);
	return c->pieces_until > now ? c->pieces_until - now : 0;
}

/*
 * Waits until there is input. Output leaves first: the client may be waiting for it before it goes
 * on. (Where nobody waits it leaves after the hook.)
 */
HOT static int
wait_for_input(struct tend_conn *c)
{
	int64_t limit = c->idle, first_byte = c->mood->limits->first_byte;
	int r = tend_flush(c);

	if (r == -ECANCELED || r == -ETIMEDOUT || r == -ENOMEM)
		return r;
	if (!c->open) /* by a marker */
		return -ENOTCONN;
	/* A client that cannot be written to any more may still have sent something. */
	if (!c->heard && first_byte > 0 && first_byte < limit)
		limit = first_byte;
	limit = rest_of(c, limit);
	if (c->mood->may_wait_to_receive != NULL && c->mood->may_wait_to_receive(c, limit)) {
		c->patient = true;
		return 0;
	}
	return conn_wait(c, conn_read_want(c), limit);
}

static ssize_t
read_patiently(struct tend_conn *c, void *into, size_t size)
{
	ssize_t n;

	c->patient = false;
	n = c->mood->receive(c, into, size);
	if (conn_is_traced(c))
		conn_trace(c, TEND_TRACE_READ, n, size);
	return n;
}

/* Once, without waiting unless that was agreed upon, to the caller's memory or, where that is NULL, to the buffer. */
INLINE ssize_t
read_once(struct tend_conn *c, void *into, size_t size)
{
	bool buffered = into == NULL;
	ssize_t n;

	if (buffered) {
		if (UNLIKELY(buf_reserve(&c->in, size) < 0))
			return -ENOMEM;
		into = buf_room(&c->in);
		size = buf_room_size(&c->in);
	}
	n = c->patient ? read_patiently(c, into, size) : conn_read_bytes(c, into, size);
	if (buffered && LIKELY(n > 0))
		buf_added(&c->in, (size_t)n);
	return n;
}

/* Is it worth asking the transport again before something has happened? */
INLINE bool
has_drained(struct tend_conn *c, size_t got, size_t asked)
{
	return conn_spends_share(c->mood, got) || (got < asked && conn_pending(c) == 0);
}

/* What a wait may come to, and a read may not. */
static bool
is_end_of_wait(struct tend_conn *c, ssize_t n)
{
	c->timed_out |= n == -ETIMEDOUT;
	return n == -ETIMEDOUT || n == -ECANCELED;
}

/*
 * What will not get better is told once and is the end of input from then on: a handler that does not
 * look at errors comes to its end as well.
 */
COLD static ssize_t
tell_end(struct tend_conn *c, ssize_t why)
{
	if (why != -ECANCELED && !(why == -ETIMEDOUT && conn_expired(c)))
		return why;
	if (c->final_told)
		return 0;
	c->final_told = true;
	return why;
}

/*
 * 1: there may be input now; else what the call returns. Whoever waited in vain looks again next
 * time; whoever may not wait is told.
 */
HOT static ssize_t
await_input(struct tend_conn *c)
{
	int r = -EAGAIN;

	if (!c->mood->never_waits) {
		c->reading = true;
		r = wait_for_input(c);
		c->reading = false;
	}
	c->drained = c->starved = r == -EAGAIN;
	if (r == 0)
		return 1;
	return r == -EAGAIN ? r : tell_end(c, r);
}

/* A read of at most `size` bytes has brought `n`. */
INLINE void
came(struct tend_conn *c, ssize_t n, size_t size)
{
	c->heard = true;
	c->balks = 0;
	if (c->mood->traffic != NULL)
		conn_traffic_add(&c->mood->traffic->received, (size_t)n);
	c->received += (uint32_t)n;
	c->more = (uint8_t)((c->more & MORE_SURELY) | ((size_t)n >= size ? MORE_MAYBE : 0));
}

/* The same, and what it says about the next read. */
INLINE ssize_t
got(struct tend_conn *c, ssize_t n, size_t size)
{
	came(c, n, size);
	c->read_want = 0;
	c->drained = has_drained(c, (size_t)n, size);
	return n;
}

/* A read has brought nothing but `n`. What that means; -EAGAIN: it is worth waiting for more. */
static ssize_t
got_nothing(struct tend_conn *c, ssize_t n, bool patient)
{
	if (patient && is_end_of_wait(c, n))
		return tell_end(c, n);
	c->read_want = 0;
	if (n != -ENOMEM)
		c->more = 0;
	if (n == -EAGAIN) {
		c->drained = true;
		/* What every read waits for is nothing special. */
		if (c->want == POLLIN)
			c->want = 0;
		else
			c->read_want = c->want;
		return n;
	}
	if (n == 0)
		c->input_ended = true;
	else if (n != -ENOMEM)
		c->input_error = (int16_t)n;
	return tell_end(c, n);
}

/* The first read came to `n`, which is no input: waits, and reads until there is some. */
static ssize_t
receive_later(struct tend_conn *c, void *into, size_t size, ssize_t n, bool patient)
{
	bool tried = false;

	while (n <= 0) {
		n = got_nothing(c, n, patient);
		if (n != -EAGAIN)
			return n;
		if (!tried && !c->in_pieces)
			c->pieces_until = 0;
		tried = true;
		n = await_input(c);
		if (n <= 0)
			return n;
		patient = c->patient;
		n = read_once(c, into, size);
	}
	return got(c, n, size);
}

/* There is no more, or no more time. */
COLD static ssize_t
no_more(struct tend_conn *c)
{
	if (!c->open)
		return -ENOTCONN;
	/* A failure was told. */
	if (c->input_ended || c->input_error != 0)
		return 0;
	/* A client that never lets us wait must not outlive its time. */
	return tell_end(c, -ETIMEDOUT);
}

/*
 * Bytes, 0 at the end, -errno; waits while there is nothing. `into`: NULL for the buffer. Written out
 * where it is called for each message.
 */
INLINE ssize_t
receive(struct tend_conn *c, void *into, size_t size)
{
	bool patient;
	ssize_t n;

	if (UNLIKELY(!c->open || c->input_ended || c->input_error != 0 || conn_expired(c)))
		return no_more(c);
	if (c->drained) {
		if (c->mood->never_waits) {
			c->starved = true;
			return -EAGAIN;
		}
		n = await_input(c);
		if (n <= 0)
			return n;
	}
	patient = c->patient;
	n = read_once(c, into, size);
	return LIKELY(n > 0) ? got(c, n, size) : receive_later(c, into, size, n, patient);
}

HOT int
conn_fill(struct tend_conn *c, size_t room)
{
	return (int)receive(c, NULL, room);
}

/* 0 when the caller may read. In the middle of a call that reads, markers may not. */
static int
readable(struct tend_conn *c)
{
	if (UNLIKELY(!c->open))
		return -ENOTCONN;
	if (UNLIKELY(c->reading) || (c->mood->may_read != NULL && !c->mood->may_read(c)))
		return -EBUSY;
	return 0;
}

HOT ssize_t
tend_read(struct tend_conn *c, void *into, size_t size)
{
	size_t have;
	int r = readable(c);

	if (r < 0)
		return r;
	conn_take_back(c);
	if (size == 0)
		return 0;
	have = buf_length(&c->in);
	if (have == 0) {
		/* A large read goes straight to the handler's memory. */
		if (size >= CONN_INPUT_CHUNK)
			return receive(c, into, size);
		r = conn_fill(c, CONN_INPUT_CHUNK);
		if (r <= 0)
			return r;
		have = buf_length(&c->in);
	}
	if (size > have)
		size = have;
	memcpy(into, buf_data(&c->in), size);
	buf_consume(&c->in, size);
	return (ssize_t)size;
}

/*
 * How much the buffer holds is how much is asked for. One that the last read has filled is made larger,
 * so that those who send much are read from seldom, and the others cost no memory.
 */
static size_t
room_to_take(struct buf *in, size_t was_end)
{
	if (UNLIKELY(was_end > 0 && was_end == in->size && in->size < TAKE_MOST))
		buf_reserve(in, (size_t)in->size * 2); /* or it stays as it is */
	return in->size < CONN_INPUT_CHUNK ? CONN_INPUT_CHUNK : in->size;
}

static bool
is_in_packets(const struct tend_conn *c)
{
	return (c->transport->traits & TRANSPORT_DATAGRAM) != 0;
}

ASIDE static ssize_t
take(struct tend_conn *c, char **data, size_t most)
{
	size_t was_end = c->in.end, have;
	int r = readable(c);

	if (UNLIKELY(r < 0))
		return r;
	conn_take_back(c);
	if (most == 0 || most > TAKE_MOST)
		most = TAKE_MOST;
	have = buf_length(&c->in);
	if (have == 0) {
		size_t room = room_to_take(&c->in, was_end);

		/* A packet comes whole. */
		ssize_t n = receive(c, NULL, room < most && !is_in_packets(c) ? room : most);

		if (n <= 0)
			return n;
		have = buf_length(&c->in);
	}
	if (have > most)
		have = most;
	*data = lend(c, have, have);
	return (ssize_t)have;
}

/* The read of take_at_once() has brought nothing, or what makes no sense. */
COLD static ssize_t
took_nothing(struct tend_conn *c, ssize_t n)
{
	if (n != 0)
		n = conn_balked(c, n, POLLIN);
	return receive_later(c, NULL, c->in.size, n, false);
}

/* What take() comes to for an empty buffer. */
INLINE ssize_t
take_at_once(struct tend_conn *c, char **data)
{
	size_t size = c->in.size;
	ssize_t n = c->transport->read(c, c->in.base, size);

	if (UNLIKELY(n <= 0 || (size_t)n > size))
		return took_nothing(c, n);
	buf_added(&c->in, (size_t)n);
	came(c, n, size);
	c->drained = true; /* one read, and the others get a look */
	c->taken = (uint32_t)n;
	*data = c->in.base;
	return n;
}

/* The buffer is there and empty, and its memory is what take() would ask for. */
INLINE bool
is_room_to_take(const struct tend_conn *c, size_t most)
{
	return c->in.end == 0 && c->in.size >= CONN_INPUT_CHUNK && c->in.size <= TAKE_MOST &&
	    (most == 0 || most >= c->in.size) && !is_in_packets(c);
}

/*
 * Where nobody waits, a hook takes what has come, and then once more, to see that there is nothing. Both
 * are written out for a connection with nothing special to it.
 */
HOT ssize_t
tend_take(struct tend_conn *c, char **data, size_t most)
{
	if (LIKELY(conn_is_ordinary(c) && c->mood->never_waits && c->deadline == CLOCK_NEVER && !conn_is_traced(c))) {
		if (!c->drained && is_room_to_take(c, most))
			return take_at_once(c, data);
		/* If it filled the buffer, that is to grow. */
		if (c->drained && buf_length(&c->in) == c->taken && c->in.end < c->in.size) {
			conn_take_back(c);
			c->starved = true;
			return -EAGAIN;
		}
	}
	return take(c, data, most);
}

/* A single byte, the end of a line, is what nearly everybody looks for. */
static char *
look_for(char *data, size_t size, const char *terminator, size_t length)
{
	return length == 1 ? memchr(data, terminator[0], size)
	                   : memmem(data, size, terminator, length);
}

/*
 * Looks for `terminator` in the input, reading on until it is there, `limit` bytes are, or the input
 * ends. Returns the bytes up to and including it; 0 at the end of input with nothing left.
 */
HOT static ssize_t
find_in_time(struct tend_conn *c, const char *terminator, size_t length, size_t limit,
	enum tend_until *why)
{
	size_t searched = 0;

	for (;;) {
		size_t have = buf_length(&c->in);
		size_t within = have < limit ? have : limit;
		char *data = buf_data(&c->in), *at = NULL;
		int r;

		if (length > 0 && within >= length)
			at = look_for(data + searched, within - searched, terminator, length);
		if (at != NULL) {
			*why = TEND_UNTIL_TERMINATOR;
			return at - data + (ssize_t)length;
		}
		if (have >= limit) {
			*why = TEND_UNTIL_LIMIT;
			return (ssize_t)limit;
		}
		/* The terminator may have arrived in part: look at its beginning again. */
		if (length > 0 && within >= length)
			searched = within - length + 1;
		r = conn_fill(c, limit - have < CONN_INPUT_CHUNK ? limit - have : CONN_INPUT_CHUNK);
		if (r < 0)
			return r;
		if (r == 0) {
			*why = TEND_UNTIL_END;
			return (ssize_t)have;
		}
	}
}

static ssize_t
find(struct tend_conn *c, const char *terminator, size_t length, size_t limit,
	enum tend_until *why)
{
	ssize_t n;

	c->in_pieces = true;
	c->pieces_until = 0;
	n = find_in_time(c, terminator, length, limit, why);
	c->in_pieces = false;
	return n;
}

HOT ssize_t
tend_getline(struct tend_conn *c, char **line)
{
	/* Room for the longest line and its "\r\n". */
	size_t limit = c->mood->limits->max_line + 2, length;
	enum tend_until why;
	ssize_t n = readable(c);

	if (n < 0)
		return n;
	conn_take_back(c);
	n = find(c, "\n", 1, limit, &why);
	if (n <= 0)
		return n;
	length = (size_t)n;
	if (why == TEND_UNTIL_TERMINATOR) {
		length--;
		if (length > 0 && buf_data(&c->in)[length - 1] == '\r')
			length--;
	}
	/* It stays in the buffer, so that a close waits for the client to stop; unless it is read. */
	if (length > c->mood->limits->max_line)
		return -EMSGSIZE;
	*line = lend(c, (size_t)n, length);
	return (ssize_t)length + 1;
}

ssize_t
tend_read_until(struct tend_conn *c, const char *terminator, size_t limit, char **data,
	enum tend_until *why)
{
	size_t length = terminator != NULL ? strlen(terminator) : 0;
	enum tend_until reason = TEND_UNTIL_ERROR;
	ssize_t n;

	if (why != NULL)
		*why = reason;
	if (length == 0 && limit == 0)
		return -EINVAL;
	n = readable(c);
	if (n < 0)
		return n;
	conn_take_back(c);
	n = find(c, terminator, length, limit > 0 ? limit : c->mood->limits->max_line, &reason);
	if (n < 0)
		return n;
	if (why != NULL)
		*why = reason;
	*data = lend(c, (size_t)n, (size_t)n);
	return n;
}

int
tend_unread(struct tend_conn *c, const void *data, size_t size)
{
	char *copy;
	int r = readable(c);

	if (r < 0)
		return r;
	/* The bytes may be a line that getline() lent, which ends with the loan. */
	copy = c->taken > 0 ? malloc(size + 1) : NULL;
	if (c->taken > 0 && copy == NULL)
		return -ENOMEM;
	if (copy != NULL)
		memcpy(copy, data, size);
	conn_take_back(c);
	r = buf_prepend(&c->in, copy != NULL ? copy : data, size);
	free(copy);
	return r;
}

int
tend_wait_readable(struct tend_conn *c, double seconds)
{
	int64_t limit = seconds < 0 ? CLOCK_NEVER : clock_from_seconds(seconds);
	int r = readable(c);

	if (r < 0)
		return r;
	conn_take_back(c);
	if (buf_length(&c->in) > 0 || c->input_ended)
		return 1;
	if (conn_pending(c) > 0)
		return 1;
	r = tend_flush(c);
	if (r == -ECANCELED || r == -ETIMEDOUT)
		return r;
	if (!c->open)
		return -ENOTCONN;
	r = conn_wait(c, POLLIN, limit);
	if (r == 0)
		c->drained = false;
	/* The time of the whole connection is not the time that was asked for. */
	if (r == -ETIMEDOUT && !conn_expired(c))
		return 0;
	return r == 0 ? 1 : r;
}
