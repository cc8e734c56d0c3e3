/*
 * What the connections of a loop share: the list of those that have something to be done at the end
 * of the turn, warm buffers for those that have something to say, and the end of them all.
 */
#include <stdlib.h>

#include "net/evented.h"

static const struct conn_limits plain_limits = {
	.linger = 2 * CLOCK_SECOND,
	.max_line = 65536,
	.max_output = 1024 * 1024,
};

const struct listener socket_listener = {
	.fd = -1,
	.transport = &transport_tcp, /* and any other stream socket */
	.host = (char *)(uintptr_t)"",
	.service = (char *)(uintptr_t)"",
	.configured_port = (char *)(uintptr_t)"",
	.proto = (char *)(uintptr_t)"socket",
	.proto_upper = (char *)(uintptr_t)"SOCKET",
	.directory = -1,
};

/* ---- who holds up the others ---- */

void
conns_watch_stalls(struct conns *all, int64_t longest,
	void (*stalled)(void *data, struct tend_conn *c, int64_t took), void *data)
{
	all->stall = longest;
	all->grain = longest > 0 ? clock_grain() : 0;
	all->stalled = stalled;
	all->stalled_data = data;
}

void
conns_tell_stall(struct evented *m, int64_t took)
{
	struct conns *all = evented_mood_of(&m->c)->conns;

	all->stalled(all->stalled_data, &m->c, took);
}

/* ---- the end of the turn ---- */

void
conns_attend(struct evented *m)
{
	struct conns *all = evented_mood_of(&m->c)->conns;

	if (m->is_due)
		return;
	m->is_due = true;
	m->next_due = NULL;
	*all->due_end = m;
	all->due_end = &m->next_due;
	tend_later_start(all->loop, &all->attend);
}

static struct evented *
take_due(struct conns *all)
{
	struct evented *first = all->due;

	all->due = NULL;
	all->due_end = &all->due;
	return first;
}

/* Those that come meanwhile have their turn in the next one, which does not wait. */
static void
attend(struct tend_later *later)
{
	struct conns *all = later->data;
	struct evented *m = take_due(all), *next;
	int64_t begun;

	for (; m != NULL; m = next) {
		next = m->next_due;
		m->is_due = false;
		if (m->phase == EVENTED_DEAD) {
			evented_free(m);
			continue;
		}
		begun = conns_clock(all);
		evented_due(m);
		conns_took(all, m, begun);
	}
}

/* ---- beginning and end ---- */

void
conns_cut(struct conns *all)
{
	struct tend_watch *w;
	int fd = 0;

	for (; (w = watch_find(all->loop, evented_event, &fd)) != NULL; fd++)
		tend_abort(&((struct evented *)w->data)->c);
}

/* The loop is about to go: every connection is cut, and told so. */
static void
quiet(struct tenant *t)
{
	struct conns *all = (struct conns *)t;

	all->over = true;
	conns_cut(all);
	drains_done(&all->drains);
	tend_later_stop(&all->attend);
}

static void
free_conns(struct tenant *t)
{
	struct conns *all = (struct conns *)t;
	struct evented *m;

	/* Hooks of those that are told now may close others. */
	while (all->due != NULL) {
		m = all->due;
		all->due = m->next_due;
		if (all->due == NULL)
			all->due_end = &all->due;
		m->is_due = false;
		evented_free(m);
	}
	buf_done(&all->spare_in);
	buf_done(&all->spare_out);
	free(all->plain);
	free(all);
}

static void
drain(void *data, int fd)
{
	struct conns *all = data;

	drain_start(&all->drains, fd);
}

struct conns *
conns_find(const struct tend_loop *loop)
{
	return (struct conns *)tenant_find(loop, quiet);
}

struct conns *
conns_of(struct tend_loop *loop)
{
	struct conns *all = conns_find(loop);

	if (all != NULL)
		return all;
	all = calloc(1, sizeof(*all));
	if (all == NULL)
		return NULL;
	all->plain = calloc(1, sizeof(*all->plain));
	if (all->plain == NULL) {
		free(all);
		return NULL;
	}
	all->tenant.quiet = quiet;
	all->tenant.free = free_conns;
	all->loop = loop;
	all->due_end = &all->due;
	tend_later_init(&all->attend, attend, all);
	drains_init(&all->drains, loop, clock_to_seconds(plain_limits.linger));
	evented_mood_init(all->plain, all);
	all->plain->mood.limits = &plain_limits;
	all->plain->mood.drain = drain;
	all->plain->mood.data = all;
	tenant_add(loop, &all->tenant, true);
	return all;
}
