/*
 * Single: one process, one client at a time; the others wait in the kernel's queue. For debugging,
 * for services whose clients are served in microseconds, and for those that must not run twice.
 */
#include "server/accept.h"
#include "server/personality.h"
#include "server/serve.h"

static int
loop(struct tend_server *srv)
{
	serve_open_mood(srv, true);
	return accept_loop(srv, 0, NULL);
}

const struct personality personality_single = {
	.name = "Single",
	.loop = loop,
};
