/* Deferred work: run once at the end of a turn, in the order it was started. */
#include "loop/loop.h"

void
tend_later_init(struct tend_later *l, tend_later_fn fn, void *data)
{
	*l = (struct tend_later){ .fn = fn, .data = data };
}

void
tend_later_start(struct tend_loop *loop, struct tend_later *l)
{
	if (l->loop == loop)
		return;
	tend_later_stop(l);
	if (loop->doomed)
		return;
	l->loop = loop;
	link_insert(&loop->later, &l->link);
}

void
tend_later_stop(struct tend_later *l)
{
	if (l->loop == NULL)
		return;
	link_remove(&l->link);
	l->loop = NULL;
}

static struct tend_later *
take_first(struct tend_link *list)
{
	struct tend_later *l = LINK_OWNER(list->next, struct tend_later, link);

	link_remove(&l->link);
	l->loop = NULL;
	return l;
}

/* What is started meanwhile waits for the next turn, or work that renews itself never ends. */
void
later_run(struct tend_loop *loop)
{
	struct tend_later *l;

	link_splice(&loop->later_now, &loop->later);
	while (!link_is_empty(&loop->later_now)) {
		l = take_first(&loop->later_now);
		loop->stats.later_run++;
		l->fn(l);
	}
}

void
later_done(struct tend_loop *loop)
{
	link_splice(&loop->later, &loop->later_now);
	while (!link_is_empty(&loop->later))
		take_first(&loop->later);
}
