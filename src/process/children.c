/* The table of children. A few hundred rows at most: looked through from end to end. */
#include "process/children.h"

#include <errno.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

static void
close_channel(struct child *child)
{
	if (child->watch != NULL) {
		tend_watch_stop(child->watch);
		free(child->watch);
		child->watch = NULL;
	}
	if (child->channel >= 0)
		close(child->channel);
	child->channel = -1;
}

void
children_done(struct children *kids)
{
	size_t i;

	for (i = 0; i < kids->count; i++)
		close_channel(&kids->list[i]);
	if (kids->list != kids->few)
		free(kids->list);
	*kids = (struct children){ 0 };
}

int
children_reserve(struct children *kids)
{
	size_t size = kids->size > 0 ? kids->size * 2 : CHILDREN_FEW;
	struct child *list = kids->few;

	if (kids->count < kids->size)
		return 0;
	if (size > CHILDREN_FEW)
		list = realloc(kids->list != kids->few ? kids->list : NULL, size * sizeof(*list));
	if (list == NULL)
		return -ENOMEM;
	if (kids->list == kids->few)
		memcpy(list, kids->few, sizeof(kids->few));
	kids->list = list;
	kids->size = size;
	return 0;
}

struct child *
children_add(struct children *kids, pid_t pid, enum tend_child_kind kind)
{
	struct child *child = &kids->list[kids->count++];

	*child = (struct child){ .pid = pid, .kind = kind, .channel = -1 };
	kids->by_kind[kind]++;
	return child;
}

struct child *
children_find(struct children *kids, pid_t pid)
{
	size_t i;

	for (i = 0; i < kids->count; i++)
		if (kids->list[i].pid == pid)
			return &kids->list[i];
	return NULL;
}

void
children_remove(struct children *kids, struct child *child)
{
	close_channel(child);
	kids->by_kind[child->kind]--;
	*child = kids->list[--kids->count];
}

size_t
children_serving(const struct children *kids)
{
	return kids->count - kids->by_kind[TEND_CHILD_DEQUEUE];
}

size_t
children_signal(const struct children *kids, int signo)
{
	size_t i, sent = 0;

	for (i = 0; i < kids->count; i++)
		if (kill(kids->list[i].pid, signo) == 0)
			sent++;
	return sent;
}
