/*
 * Circular lists of links that live inside the objects: constant time in and out, without knowing
 * the list. The head is a link too. A link outside of any list has NULL in `next`.
 */
#ifndef TEND_LOOP_LINK_H
#define TEND_LOOP_LINK_H

#include <tend/loop.h>

/* The object of type `type` whose member `member` is at `link`. */
#define LINK_OWNER(of, type, member) ((type *)(void *)((char *)(of) - offsetof(type, member)))

static inline void
link_head_init(struct tend_link *head)
{
	head->next = head->prev = head;
}

static inline bool
link_is_empty(const struct tend_link *head)
{
	return head->next == head;
}

static inline bool
link_is_in(const struct tend_link *l)
{
	return l->next != NULL;
}

/* Puts `l` in front of `place`; in front of the head is the end of the list. */
static inline void
link_insert(struct tend_link *place, struct tend_link *l)
{
	l->prev = place->prev;
	l->next = place;
	place->prev->next = l;
	place->prev = l;
}

static inline void
link_remove(struct tend_link *l)
{
	l->prev->next = l->next;
	l->next->prev = l->prev;
	l->next = l->prev = NULL;
}

/* Moves all of `from` to the end of `to`. */
static inline void
link_splice(struct tend_link *to, struct tend_link *from)
{
	if (link_is_empty(from))
		return;
	from->next->prev = to->prev;
	from->prev->next = to;
	to->prev->next = from->next;
	to->prev = from->prev;
	link_head_init(from);
}

#endif
