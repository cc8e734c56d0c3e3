/*
 * Standard streams over a connection, through its buffers and its transport, so that a handler may
 * use fgets() and fprintf() and still obey the deadlines.
 */
#include <errno.h>
#include <stdio.h>
#include <stdio_ext.h>

#include "net/conn.h"

static ssize_t
stream_read(void *cookie, char *into, size_t size)
{
	struct tend_conn *c = cookie;
	ssize_t n;

	/* What the handler wrote must leave before it waits for an answer, as with the calls. */
	conn_stdio_flush(c);
	n = tend_read(c, into, size);
	if (n >= 0)
		return n;
	errno = (int)-n;
	return -1;
}

/*
 * The stream has gathered it: it leaves now, so that fflush() means what it says, also to a child
 * program that writes next.
 */
static ssize_t
stream_write(void *cookie, const char *data, size_t size)
{
	struct tend_conn *c = cookie;
	ssize_t n;
	int r;

	c->in_stream = true;
	n = tend_write(c, data, size);
	/* Where nobody waits, what the kernel does not take is queued, and so accepted. */
	if (n >= 0 && (r = tend_flush(c)) < 0 && r != -EAGAIN)
		n = r;
	c->in_stream = false;
	if (n >= 0)
		return n;
	errno = (int)-n;
	return 0; /* what fopencookie() takes for failure */
}

int
tend_conn_stdio(struct tend_conn *c, FILE **in, FILE **out)
{
	static const cookie_io_functions_t reader = { .read = stream_read };
	static const cookie_io_functions_t writer = { .write = stream_write };

	struct conn_extras *x = conn_extras(c);

	if (x == NULL)
		return -ENOMEM;
	if (x->stdio_in == NULL)
		x->stdio_in = fopencookie(c, "r", reader);
	if (x->stdio_out == NULL)
		x->stdio_out = fopencookie(c, "w", writer);
	if (x->stdio_in == NULL || x->stdio_out == NULL)
		return -ENOMEM;
	if (in != NULL)
		*in = x->stdio_in;
	if (out != NULL)
		*out = x->stdio_out;
	return 0;
}

void
conn_stdio_flush_stream(struct tend_conn *c)
{
	FILE *out = c->extras->stdio_out;

	if (!c->in_stream && __fpending(out) > 0)
		fflush(out);
}

/* Output that is not to be sent any more. */
void
conn_stdio_drop(struct tend_conn *c)
{
	FILE *out = c->extras != NULL ? c->extras->stdio_out : NULL;

	if (out != NULL)
		__fpurge(out);
}

static void
reset(FILE *stream)
{
	if (stream == NULL)
		return;
	__fpurge(stream);
	clearerr(stream);
}

void
conn_stdio_forget(struct tend_conn *c)
{
	if (c->extras != NULL)
		reset(c->extras->stdio_in);
}

/* For the next client: nothing of this one is left, and the streams are as new. */
void
conn_stdio_reset(struct tend_conn *c)
{
	if (c->extras == NULL)
		return;
	reset(c->extras->stdio_in);
	reset(c->extras->stdio_out);
}

void
conn_stdio_close(struct tend_conn *c)
{
	struct conn_extras *x = c->extras;

	if (x == NULL)
		return;
	if (x->stdio_in != NULL)
		fclose(x->stdio_in);
	if (x->stdio_out != NULL)
		fclose(x->stdio_out);
	x->stdio_in = x->stdio_out = NULL;
}
