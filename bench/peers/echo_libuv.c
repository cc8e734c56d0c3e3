/*
 * Every byte comes back, with libuv as one who knows it writes it: one buffer for all reads, since
 * each is used up before the next; uv_try_write() first, so that the usual answer costs no request and
 * no allocation; a copy and uv_write() for what the socket did not take, and no reading meanwhile.
 */
#include "../bare/bare.h"

#include <stdlib.h>
#include <string.h>
#include <uv.h>

struct rest {
	uv_write_t request;
	char data[];
};

static char buffer[BARE_ROOM];

static void readable(uv_stream_t *client, ssize_t n, const uv_buf_t *data);

static void
lend_buffer(uv_handle_t *client, size_t wanted, uv_buf_t *into)
{
	(void)client;
	(void)wanted;
	*into = uv_buf_init(buffer, sizeof(buffer));
}

static void
release(uv_handle_t *client)
{
	free(client);
}

static void
leave(uv_stream_t *client)
{
	uv_close((uv_handle_t *)client, release);
}

static void
rest_sent(uv_write_t *request, int status)
{
	uv_stream_t *client = request->handle;

	free(request);
	if (status == UV_ECANCELED)
		return;
	if (status < 0)
		leave(client);
	else
		uv_read_start(client, lend_buffer, readable);
}

static void
send_rest(uv_stream_t *client, char *data, size_t size)
{
	struct rest *r = malloc(sizeof(*r) + size);
	uv_buf_t all;

	if (r == NULL)
		bare_fail("allocate");
	memcpy(r->data, data, size);
	all = uv_buf_init(r->data, (unsigned)size);
	uv_read_stop(client);
	uv_write(&r->request, client, &all, 1, rest_sent);
}

static void
readable(uv_stream_t *client, ssize_t n, const uv_buf_t *data)
{
	uv_buf_t all;
	int sent;

	if (n < 0) {
		leave(client);
		return;
	}
	if (n == 0)
		return;
	all = uv_buf_init(data->base, (unsigned)n);
	sent = uv_try_write(client, &all, 1);
	if (sent == n)
		return;
	if (sent < 0 && sent != UV_EAGAIN)
		leave(client);
	else
		send_rest(client, data->base + (sent > 0 ? sent : 0), (size_t)(n - (sent > 0 ? sent : 0)));
}

static void
meet(uv_stream_t *listener, int status)
{
	uv_tcp_t *client;

	if (status < 0)
		return;
	client = malloc(sizeof(*client));
	if (client == NULL)
		bare_fail("allocate");
	uv_tcp_init(listener->loop, client);
	if (uv_accept(listener, (uv_stream_t *)client) == 0)
		uv_read_start((uv_stream_t *)client, lend_buffer, readable);
	else
		leave((uv_stream_t *)client);
}

int
main(int argc, char **argv)
{
	struct bare_options o = bare_parse(argc, argv);
	uv_tcp_t listener;

	uv_tcp_init(uv_default_loop(), &listener);
	if (uv_tcp_open(&listener, bare_listen(o.port)) < 0 ||
	    uv_listen((uv_stream_t *)&listener, 4096, meet) < 0)
		bare_fail("listen with libuv");
	return uv_run(uv_default_loop(), UV_RUN_DEFAULT);
}
