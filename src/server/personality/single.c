/*
 * Single: one process, one client at a time; the others wait in the kernel's queue. For debugging,
 * for services whose clients are served in microseconds, and for those that must not run twice.
 */
#include "server/accept.h"
#include "server/personality.h"
#include "server/serve.h"
#include "server/status.h"

static int
loop(struct tend_server *srv)
{
	/* Who says nofork has no children, but handlers written for them (NW-51). */
	bool childlike = srv->settings.value.nofork;
	int r = 0;

	serve_open_mood(srv, true);
	signals_make_second_final();
	if (childlike && srv->hooks->child_start != NULL)
		r = srv->hooks->child_start(srv, TEND_CHILD_FORK);
	if (r == 0)
		r = accept_loop(srv, 0, NULL);
	if (childlike && srv->hooks->child_exit != NULL)
		srv->hooks->child_exit(srv, TEND_CHILD_FORK);
	return r;
}

static int
open_single(struct tend_server *srv)
{
	return status_open(srv, 0);
}

const struct personality personality_single = {
	.name = "Single",
	.open = open_single,
	.close = status_close,
	.loop = loop,
};
