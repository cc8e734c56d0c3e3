/*
 * The demonstration that Net::Waiter came with: a pool of four that says hello over HTTP/1.0, for
 * NW-T37. It is as short as it was there.
 */
#include <tend/tend.h>

static void
say_hello(struct tend_conn *c)
{
	char *line;

	while (tend_getline(c, &line) > 1)
		;
	tend_printf(c, "HTTP/1.0 200 OK\r\nContent-Type: text/plain\r\n\r\nhello world\n");
}

static const struct tend_service hello = {
	.config.prefork = 4,
	.config.maxfork = 128,
	.config.px_idle = 15,
	.hooks.process = say_hello,
};

int
main(int argc, char **argv)
{
	return tend_main(argc, argv, &hello);
}
