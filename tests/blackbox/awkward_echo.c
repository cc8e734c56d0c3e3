/*
 * Every byte comes back, over the awkward transport of tests/unit/awkward.h: what the conversations of
 * test_conversation.py hold also where reads want to write, writes take three bytes, and bytes lie
 * in wait. `fibers` as the first word leaves out the evented handler.
 */
#include <stdlib.h>
#include <string.h>

#include <tend/tend.h>

#include "../unit/awkward.h"

/* A mebibyte by threes would take all day. */
#define PATIENCE 3000

static void
forget(struct tend_conn *c)
{
	free(awkward_of(c));
}

static const struct tend_transport forgetful = {
	.name = "awkward",
	.handshake = awkward_handshake,
	.read = awkward_read,
	.write = awkward_write,
	.pending = awkward_pending,
	.shutdown = awkward_shutdown,
	.done = forget,
};

static void
be_awkward(struct tend_conn *c)
{
	struct awkward *a = calloc(1, sizeof(*a));

	if (a != NULL)
		a->gets_over = PATIENCE;
	if (a == NULL || tend_conn_set_transport(c, &forgetful, a) < 0)
		tend_abort(c);
}

static void
send_back(struct tend_conn *c)
{
	char bytes[16384];
	ssize_t n;

	while ((n = tend_read(c, bytes, sizeof(bytes))) > 0)
		if (tend_write(c, bytes, (size_t)n) < 0)
			return;
}

static const struct tend_service evented = {
	.name = "awkward_echo",
	.hooks.accepted = be_awkward,
	.hooks.process = send_back,
	.hooks.readable = send_back,
};

static const struct tend_service fibers = {
	.name = "awkward_echo",
	.hooks.accepted = be_awkward,
	.hooks.process = send_back,
};

int
main(int argc, char **argv)
{
	if (argc < 2 || strcmp(argv[1], "fibers") != 0)
		return tend_main(argc, argv, &evented);
	argv[1] = argv[0];
	return tend_main(argc - 1, argv + 1, &fibers);
}
