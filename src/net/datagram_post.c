/*
 * What the datagram sockets of a loop share: memory, and the end of the turn.
 */
#include <stdlib.h>
#include <string.h>

#include "net/datagram.h"

/* Pieces of memory for datagrams, each class four times as large; the kernel has no larger ones. */
#define CLASS_ROOM(class) ((size_t)256 << (2 * (class)))
/* Bytes that are kept warm for the next ones. */
#define SPARE_MOST (1024 * 1024)
/* Rooms that all begin at the same lines of the processor's cache would drive each other out. */
#define ROOM_STRIDE (DATAGRAM_ROOM + 192)

/* ---- memory ---- */

struct letter *
post_letter(struct post *p, size_t size)
{
	struct letter *l;
	unsigned class = 0;

	while (CLASS_ROOM(class) < size)
		class++;
	l = p->spare[class];
	if (l != NULL) {
		p->spare[class] = l->next;
		p->spare_bytes -= CLASS_ROOM(class);
	} else {
		l = malloc(sizeof(*l) + CLASS_ROOM(class));
		if (l == NULL)
			return NULL;
	}
	l->next = NULL;
	l->class = (uint8_t)class;
	l->size = (uint32_t)size;
	l->tried = false;
	return l;
}

void
post_forget(struct post *p, struct letter *l)
{
	size_t room = CLASS_ROOM(l->class);

	if (p->spare_bytes + room > SPARE_MOST) {
		free(l);
		return;
	}
	p->spare_bytes += room;
	l->next = p->spare[l->class];
	p->spare[l->class] = l;
}

/* ---- the end of the turn ---- */

void
post_attend(struct tend_datagrams *s)
{
	struct post *p = s->post;

	if (s->is_due)
		return;
	s->is_due = true;
	s->next_due = NULL;
	*p->due_end = s;
	p->due_end = &s->next_due;
	tend_later_start(p->loop, &p->attend);
}

static void
free_stopped(struct post *p)
{
	struct tend_link *at = p->stopped.next, *next;

	for (; at != &p->stopped; at = next) {
		struct tend_datagrams *s = LINK_OWNER(at, struct tend_datagrams, place);

		next = at->next;
		/* In the list of the next turn, which comes by here again. */
		if (s->is_due)
			continue;
		link_remove(&s->place);
		free(s);
	}
}

static void
attend(struct tend_later *later)
{
	struct post *p = later->data;
	struct tend_datagrams *s = p->due, *next;

	p->due = NULL;
	p->due_end = &p->due;
	for (; s != NULL; s = next) {
		next = s->next_due;
		s->is_due = false;
		if (s->fd >= 0)
			datagrams_due(s);
	}
	free_stopped(p);
}

/* ---- beginning and end ---- */

static void
quiet(struct tenant *t)
{
	struct post *p = (struct post *)t;

	while (!link_is_empty(&p->sockets))
		tend_datagrams_stop(LINK_OWNER(p->sockets.next, struct tend_datagrams, place));
}

static void
free_post(struct tenant *t)
{
	struct post *p = (struct post *)t;
	struct tend_datagrams *s;
	struct letter *l;
	unsigned class;

	/* Hooks of the last moments may have made others. */
	quiet(t);
	for (s = p->due; s != NULL; s = s->next_due)
		s->is_due = false;
	free_stopped(p);
	for (class = 0; class < LETTER_CLASSES; class++)
		while ((l = p->spare[class]) != NULL) {
			p->spare[class] = l->next;
			free(l);
		}
	free(p->room);
	free(p);
}

/* What of each message stays the same. */
static void
lay_out(struct post *p)
{
	unsigned i;

	for (i = 0; i < DATAGRAM_BATCH; i++) {
		p->incoming.parts[i] = (struct iovec){
			.iov_base = p->room + i * ROOM_STRIDE,
			.iov_len = DATAGRAM_ROOM,
		};
		p->incoming.messages[i].msg_hdr = (struct msghdr){
			.msg_iov = &p->incoming.parts[i],
			.msg_iovlen = 1,
			.msg_name = &p->routes[i].peer,
		};
		p->outgoing.messages[i].msg_hdr = (struct msghdr){
			.msg_iov = &p->outgoing.parts[i],
			.msg_iovlen = 1,
		};
	}
	p->used = DATAGRAM_BATCH;
}

struct post *
post_of(struct tend_loop *loop)
{
	struct post *p = (struct post *)tenant_find(loop, quiet);

	if (p != NULL)
		return p;
	p = calloc(1, sizeof(*p));
	if (p == NULL)
		return NULL;
	/* Address space: pages come with the datagrams that are large enough to need them. */
	p->room = malloc((size_t)DATAGRAM_BATCH * ROOM_STRIDE);
	if (p->room == NULL) {
		free(p);
		return NULL;
	}
	p->tenant.quiet = quiet;
	p->tenant.free = free_post;
	p->loop = loop;
	link_head_init(&p->sockets);
	link_head_init(&p->stopped);
	p->due_end = &p->due;
	tend_later_init(&p->attend, attend, p);
	lay_out(p);
	tenant_add(loop, &p->tenant, false);
	return p;
}
