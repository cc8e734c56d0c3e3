/* Every byte comes back, as from `tend echo`, in the evented mood. */
#include <tend/tend.h>

static void
send_back(struct tend_conn *c)
{
	char bytes[16384];
	ssize_t n;

	while ((n = tend_read(c, bytes, sizeof(bytes))) > 0)
		if (tend_write(c, bytes, (size_t)n) < 0)
			return;
}

static const struct tend_service echo = {
	.name = "evented_echo",
	.hooks.readable = send_back,
};

int
main(int argc, char **argv)
{
	return tend_main(argc, argv, &echo);
}
