/* tend echo: every byte comes back (RFC 862). For trying things, tests and benches. */
#include "tend.h"

static void
echo(struct tend_conn *c)
{
	char buffer[65536];
	ssize_t n;

	while ((n = tend_read(c, buffer, sizeof(buffer))) > 0)
		if (tend_write(c, buffer, (size_t)n) < 0)
			return;
}

static const struct tend_service echo_service = {
	.name = "tend echo",
	.about = "Sends back every byte (RFC 862).",
	.hooks.process = echo,
};

int
command_echo(int argc, char **argv)
{
	return tend_main(argc, argv, &echo_service);
}
