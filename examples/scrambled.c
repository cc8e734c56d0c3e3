/*
 * A transport of one's own: every byte on the wire is changed by a key, and at the end the log says how
 * many there were. The handler is that of echo.c and knows nothing of it.
 *
 *	./scrambled --port 7007 --key 42
 *
 * (This hides nothing from anybody. A cipher, or the TLS of another library, stands in the same place.)
 */
#include <stdlib.h>

#include <tend/tend.h>

static unsigned key;

static const struct tend_option options[] = {
	{ "key", TEND_INTO(&key), .value = "42", .help = "changes every byte, 0 to 255" },
	TEND_END
};

/* ---- the transport ---- */

struct tally {
	unsigned long received, sent;
};

static void
scramble(unsigned char *bytes, size_t size)
{
	size_t i;

	for (i = 0; i < size; i++)
		bytes[i] ^= (unsigned char)key;
}

static ssize_t
scrambled_read(struct tend_conn *c, void *into, size_t size)
{
	struct tally *t = tend_conn_transport_data(c);
	ssize_t n = tend_below_read(c, into, size);

	if (n > 0) {
		scramble(into, (size_t)n);
		t->received += (unsigned long)n;
	}
	return n;
}

/* What the connection wants to send stays as it is: it may have to be sent again. */
static ssize_t
scrambled_write(struct tend_conn *c, const struct iovec *parts, int count)
{
	struct tally *t = tend_conn_transport_data(c);
	unsigned char bytes[4096];
	struct iovec part = { .iov_base = bytes };
	ssize_t n;
	int i;

	for (i = 0; i < count; i++) {
		const unsigned char *from = parts[i].iov_base;
		size_t at;

		for (at = 0; at < parts[i].iov_len && part.iov_len < sizeof(bytes); at++)
			bytes[part.iov_len++] = from[at];
	}
	scramble(bytes, part.iov_len);
	n = tend_below_write(c, &part, 1);
	if (n > 0)
		t->sent += (unsigned long)n;
	return n;
}

static void
scrambled_done(struct tend_conn *c)
{
	struct tally *t = tend_conn_transport_data(c);

	tend_log(tend_conn_server(c), TEND_LOG_NOTICE, "%s: %lu bytes received, %lu sent", tend_peer(c),
	    t->received, t->sent);
	free(t);
}

static const struct tend_transport scrambled = {
	.name = "scrambled",
	.read = scrambled_read,
	.write = scrambled_write,
	.pending = tend_below_pending,
	.shutdown = tend_below_shutdown,
	.done = scrambled_done,
};

/* ---- the service ---- */

static void
accepted(struct tend_conn *c)
{
	struct tally *t = calloc(1, sizeof(*t));

	if (t == NULL || tend_conn_set_transport(c, &scrambled, t) < 0)
		tend_abort(c);
}

static void
echo(struct tend_conn *c)
{
	char data[16384];
	ssize_t n;

	while ((n = tend_read(c, data, sizeof(data))) > 0)
		if (tend_write(c, data, (size_t)n) < 0)
			return;
}

static const struct tend_service service = {
	.name = "scrambled",
	.about = "Sends back every byte, over a transport of its own.",
	.options = options,
	.hooks.accepted = accepted,
	.hooks.process = echo,
};

int
main(int argc, char **argv)
{
	return tend_main(argc, argv, &service);
}
