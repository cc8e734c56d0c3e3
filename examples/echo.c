/*
 * Every byte comes back. The handler is plain blocking code; which process it runs in, and how many
 * run at once, is decided on the command line:
 *
 *	./echo --port 7007
 *	./echo --port 7007 --server_type PreFork --max_servers 8
 *	./echo --port /tmp/echo.sock/unix --server_type Single
 */
#include <tend/tend.h>

static void
echo(struct tend_conn *c)
{
	char *data;
	ssize_t n;

	/* 0: the client has finished. Negative: it is gone, too slow, or we are told to stop. */
	while ((n = tend_take(c, &data, 0)) > 0)
		if (tend_write(c, data, (size_t)n) < 0)
			break;
	/* What is still buffered leaves when the handler returns, and the connection is closed. */
}

static const struct tend_service service = {
	.name = "echo",
	.about = "Sends back every byte.",
	.hooks.process = echo,
};

int
main(int argc, char **argv)
{
	return tend_main(argc, argv, &service);
}
