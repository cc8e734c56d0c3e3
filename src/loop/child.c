/*
 * Children as events: SIGCHLD says that some child has ended, waitpid() of a pid that is watched
 * says how. Children of others (of a library, of popen()) are never reaped here.
 */
#include "loop/loop.h"

#include <errno.h>
#include <sys/wait.h>

static struct tend_child_watch *
child_of(const struct tend_link *l)
{
	return LINK_OWNER(l, struct tend_child_watch, link);
}

static struct tend_link *
bucket_of(struct tend_loop *loop, pid_t pid)
{
	return &loop->children[(unsigned)pid % CHILD_BUCKETS];
}

static void
on_sigchld(struct tend_signal *s)
{
	s->loop->children_due = true;
}

void
child_watches_init(struct tend_loop *loop)
{
	unsigned i;

	for (i = 0; i < CHILD_BUCKETS; i++)
		link_head_init(&loop->children[i]);
	tend_signal_init(&loop->child_signal, on_sigchld, NULL);
}

void
tend_child_init(struct tend_child_watch *c, tend_child_fn fn, void *data)
{
	*c = (struct tend_child_watch){ .fn = fn, .data = data };
}

/* 1 has ended, 0 lives, or -errno. Leaves the child as it is. */
static int
peek(idtype_t type, id_t id, pid_t *ended)
{
	siginfo_t info = { .si_pid = 0 };
	int r;

	do {
		r = waitid(type, id, &info, WEXITED | WNOHANG | WNOWAIT);
	} while (r < 0 && errno == EINTR);
	if (r < 0)
		return -errno;
	*ended = info.si_pid;
	return info.si_pid != 0;
}

int
tend_child_start(struct tend_loop *loop, struct tend_child_watch *c, pid_t pid)
{
	pid_t ended;
	int r;

	if (pid <= 0 || loop->doomed)
		return -EINVAL;
	tend_child_stop(c);
	if (loop->child_signal.loop == NULL) {
		r = tend_signal_start(loop, &loop->child_signal, SIGCHLD);
		if (r < 0)
			return r;
	}
	/* After the signal is watched, so that no end can slip through. */
	r = peek(P_PID, (id_t)pid, &ended);
	if (r < 0 && loop->stats.children == 0)
		tend_signal_stop(&loop->child_signal);
	if (r < 0)
		return r;
	if (r > 0)
		loop->children_due = true;
	c->loop = loop;
	c->pid = pid;
	c->status = 0;
	link_insert(bucket_of(loop, pid), &c->link);
	loop->stats.children++;
	return 0;
}

void
tend_child_stop(struct tend_child_watch *c)
{
	struct tend_loop *loop = c->loop;

	if (loop == NULL)
		return;
	link_remove(&c->link);
	c->loop = NULL;
	if (--loop->stats.children == 0)
		tend_signal_stop(&loop->child_signal);
}

static struct tend_child_watch *
find_child(struct tend_loop *loop, pid_t pid)
{
	struct tend_link *bucket = bucket_of(loop, pid), *l;

	for (l = bucket->next; l != bucket; l = l->next)
		if (child_of(l)->pid == pid)
			return child_of(l);
	return NULL;
}

/* Reaps the child if it has ended, and tells. True when it did. */
static bool
reap(struct tend_loop *loop, struct tend_child_watch *c)
{
	pid_t r;
	int status = 0;

	do {
		r = waitpid(c->pid, &status, WNOHANG);
	} while (r < 0 && errno == EINTR);
	if (r == 0)
		return false;
	c->status = r < 0 ? -1 : status;
	tend_child_stop(c);
	loop->stats.children_run++;
	if (loop->tracing)
		loop_trace(loop, TEND_TRACE_CHILD, c, (int)c->pid);
	c->fn(c);
	return true;
}

/*
 * Asks for each child that is watched: needed when a child that nobody here watches has ended and
 * is not reaped by its owner, as it hides those that ended after it. The callbacks may stop any
 * watch, so each bucket is looked at from its start until nothing in it ended.
 */
static void
ask_each(struct tend_loop *loop)
{
	struct tend_link *bucket, *l;
	unsigned i;

	for (i = 0; i < CHILD_BUCKETS && loop->stats.children > 0; i++) {
		bucket = &loop->children[i];
		l = bucket->next;
		while (l != bucket)
			l = reap(loop, child_of(l)) ? bucket->next : l->next;
	}
}

/* Usually the kernel says in one call who ended. */
void
child_watches_run(struct tend_loop *loop)
{
	struct tend_child_watch *c;
	pid_t ended;
	int r;

	loop->children_due = false;
	while (loop->stats.children > 0) {
		r = peek(P_ALL, 0, &ended);
		if (r == 0)
			return;
		c = r > 0 ? find_child(loop, ended) : NULL;
		if (c == NULL)
			break;
		reap(loop, c);
	}
	ask_each(loop);
}

void
child_watches_done(struct tend_loop *loop)
{
	unsigned i;

	for (i = 0; i < CHILD_BUCKETS; i++)
		while (!link_is_empty(&loop->children[i]))
			tend_child_stop(child_of(loop->children[i].next));
	loop->children_due = false;
}
