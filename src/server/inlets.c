/* Watching listeners, and leaving them alone. */
#include "server/inlets.h"

#include <errno.h>
#include <stdlib.h>

#include "server/accept.h"
#include "server/parcels.h"

int
inlets_open(struct inlets *in, struct tend_server *srv, tend_watch_fn knock, tend_timer_fn over)
{
	size_t i;

	*in = (struct inlets){ .srv = srv };
	tend_timer_init(&in->pause, over, in);
	in->list = calloc(srv->listener_count, sizeof(*in->list));
	if (in->list == NULL)
		return server_fail(srv, EX_OSERR, -ENOMEM, "out of memory");
	for (i = 0; i < srv->listener_count; i++) {
		struct inlet *inlet = &in->list[in->count];

		if (parcels_is_for(&srv->listeners[i]))
			continue;
		*inlet = (struct inlet){ .all = in, .listener = &srv->listeners[i] };
		tend_watch_init(&inlet->watch, knock, inlet);
		in->count++;
	}
	return 0;
}

void
inlets_close(struct inlets *in)
{
	inlets_ignore(in);
	tend_timer_stop(&in->pause);
	free(in->list);
	in->list = NULL;
	in->count = 0;
}

int
inlets_watch(struct inlets *in)
{
	size_t i;
	int r = 0;

	if (in->watched)
		return 0;
	in->watched = true;
	for (i = 0; r == 0 && i < in->count; i++)
		r = tend_watch_start(in->srv->loop, &in->list[i].watch, in->list[i].listener->fd,
		    TEND_READ | TEND_EXCLUSIVE);
	if (r < 0)
		inlets_ignore(in);
	return r;
}

void
inlets_ignore(struct inlets *in)
{
	size_t i;

	for (i = 0; in->watched && i < in->count; i++)
		tend_watch_stop(&in->list[i].watch);
	in->watched = false;
}

void
inlets_starve(struct inlets *in, const struct listener *l, int code)
{
	accept_report(in->srv, l, code);
	inlets_ignore(in);
	tend_timer_start(in->srv->loop, &in->pause, ACCEPT_PAUSE);
}
