/* The transports udp and unixdgram, for handlers of connections. Nothing here is ever waited for. */
#include "net/parcel.h"

#include <errno.h>
#include <string.h>

void
parcel_put(struct parcel *p, const void *data, size_t size)
{
	p->data = data;
	p->size = size;
	p->ended = p->spoilt = false;
	buf_clear(&p->answer);
}

static ssize_t
parcel_read(struct tend_conn *c, void *into, size_t size)
{
	struct parcel *p = parcel_of(c);

	if (size > p->size)
		size = p->size;
	p->ended = size == 0;
	if (size == 0)
		return 0;
	memcpy(into, p->data, size);
	p->data += size;
	p->size -= size;
	return (ssize_t)size;
}

/* The end of input counts: who waits for something to read has waited long enough. */
static size_t
parcel_pending(struct tend_conn *c)
{
	const struct parcel *p = parcel_of(c);

	return p->size > 0 ? p->size : !p->ended;
}

static ssize_t
parcel_write(struct tend_conn *c, const struct iovec *parts, int count)
{
	struct parcel *p = parcel_of(c);
	size_t before = buf_length(&p->answer);
	int i, r = 0;

	for (i = 0; r == 0 && i < count; i++) {
		if (buf_length(&p->answer) + parts[i].iov_len > p->most)
			r = -EMSGSIZE;
		else
			r = buf_append(&p->answer, parts[i].iov_base, parts[i].iov_len);
	}
	p->spoilt |= r < 0;
	return r < 0 ? r : (ssize_t)(buf_length(&p->answer) - before);
}

/* A part of an answer is none. */
static int
parcel_shutdown(struct tend_conn *c)
{
	struct parcel *p = parcel_of(c);

	if (p->spoilt || c->broken != 0 || buf_length(&p->answer) == 0)
		return 0;
	return p->send(c, buf_data(&p->answer), buf_length(&p->answer));
}

const struct tend_transport transport_udp = {
	.name = "udp",
	.traits = TRANSPORT_DATAGRAM,
	.read = parcel_read,
	.write = parcel_write,
	.pending = parcel_pending,
	.shutdown = parcel_shutdown,
};

const struct tend_transport transport_unixdgram = {
	.name = "unixdgram",
	.traits = TRANSPORT_LOCAL | TRANSPORT_DATAGRAM,
	.read = parcel_read,
	.write = parcel_write,
	.pending = parcel_pending,
	.shutdown = parcel_shutdown,
};
