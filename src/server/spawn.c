/*
 * The birth of children: what is prepared before the fork, what is written down after it, and the
 * private channel on which a child may speak.
 */
#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/clock.h"
#include "server/child.h"
#include "server/hooks.h"

#define CHANNEL_MESSAGE_MAX 4096

/* ---- what children say ---- */

/* One message of a child. False: there is none for now. */
static bool
hear(struct tend_server *srv, const struct child *child)
{
	char message[CHANNEL_MESSAGE_MAX];
	ssize_t n = recv(child->channel, message, sizeof(message), MSG_DONTWAIT);

	if (n > 0 && srv->hooks->child_spoke != NULL)
		srv->hooks->child_spoke(srv, child->pid, message, (size_t)n);
	/* It hung up; its exit status will tell the rest (NS-PF-26). */
	if (n == 0 || (n < 0 && errno != EAGAIN && errno != EINTR))
		tend_watch_stop(child->watch);
	return n > 0;
}

static void
child_speaks(struct tend_watch *w, unsigned events)
{
	struct tend_server *srv = w->data;
	struct children *kids = &srv->master->children;
	size_t i;

	(void)events;
	for (i = 0; i < kids->count && kids->list[i].watch != w; i++)
		;
	if (i < kids->count)
		hear(srv, &kids->list[i]);
}

/* What a child said just before it ended: its death is often heard of first. */
void
master_hear_last_words(struct tend_server *srv, const struct child *child)
{
	while (child->watch != NULL && hear(srv, child))
		;
}

/* Watches the parent's end of a channel. Without it the child only goes unheard. */
static void
listen_to_child(struct tend_server *srv, struct child *child, int channel)
{
	int r = -ENOMEM;

	child->channel = channel;
	child->watch = calloc(1, sizeof(*child->watch));
	if (child->watch != NULL) {
		tend_watch_init(child->watch, child_speaks, srv);
		r = tend_watch_start(srv->loop, child->watch, channel, TEND_READ);
	}
	if (r < 0)
		tend_log(srv, TEND_LOG_WARNING, "Cannot listen to child %ld: %s",
		    (long)child->pid, error_reason(r));
}

/* ---- starting children ---- */

int64_t
master_may_spawn(struct tend_server *srv, int64_t now)
{
	return backoff_left(&srv->master->backoff, now);
}

/*
 * What the parent has not written yet must not be written twice, by its child as well. While it
 * serves, only hooks can have left something in a stream.
 */
static bool
hooks_may_write(const struct tend_server *srv)
{
	const struct tend_hooks *h = srv->hooks;

	return h->before_spawn != NULL || h->child_born != NULL || h->child_died != NULL ||
	    h->stranger_died != NULL || h->idle != NULL || h->child_spoke != NULL ||
	    h->before_accept != NULL || h->accept_failed != NULL || h->accepted != NULL ||
	    h->full != NULL || h->closed != NULL || h->signal != NULL || h->log != NULL;
}

/* All that can fail is done before the fork. */
static int
prepare_birth(struct tend_server *srv, struct birth *birth, enum tend_child_kind kind)
{
	int slot, r = children_reserve(&srv->master->children);

	logger_before_fork(&srv->log);
	*birth = (struct birth){ .kind = kind, .channel = { -1, -1 } };
	if (r < 0)
		return r;
	slot = board_claim(srv->board, kind == TEND_CHILD_DEQUEUE ? SLOT_DEQUEUE
	    : kind == TEND_CHILD_FORK ? SLOT_BUSY : SLOT_WAITING);
	if (slot < 0)
		return slot;
	birth->slot = (unsigned)slot;
	if (srv->settings.value.child_communication &&
	    socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, birth->channel) < 0) {
		r = -errno;
		board_release(srv->board, birth->slot);
	}
	return r;
}

static void
undo_birth(struct tend_server *srv, struct birth *birth)
{
	board_release(srv->board, birth->slot);
	if (birth->channel[0] >= 0) {
		close(birth->channel[0]);
		close(birth->channel[1]);
	}
}

static int
spawn_failed(struct tend_server *srv, int code)
{
	struct backoff *b = &srv->master->backoff;
	int64_t now = clock_now();

	backoff_failed(b, now);
	tend_log(srv, TEND_LOG_WARNING, "Cannot start a child: %s; trying again in %.1f s",
	    error_reason(code), clock_to_seconds(backoff_left(b, now)));
	return code;
}

/* In the parent: the child is written down before its death can be heard of. */
static void
record_birth(struct tend_server *srv, const struct birth *birth, pid_t pid)
{
	struct child *child = children_add(&srv->master->children, pid, birth->kind);

	child->slot = birth->slot;
	child->started = clock_now();
	board_set_pid(srv->board, birth->slot, pid);
	if (birth->channel[0] >= 0) {
		close(birth->channel[1]);
		listen_to_child(srv, child, birth->channel[0]);
	}
	/* A child for a client is a success by being there; a worker has to prove itself. */
	if (birth->kind == TEND_CHILD_FORK)
		backoff_succeeded(&srv->master->backoff);
	tend_log(srv, TEND_LOG_DEBUG, "Started child %ld", (long)pid);
}

pid_t
master_spawn(struct tend_server *srv, enum tend_child_kind kind, unsigned left, master_child_fn body,
	void *data)
{
	struct birth birth;
	sigset_t all;
	pid_t pid;
	int r = prepare_birth(srv, &birth, kind);

	if (r < 0)
		return spawn_failed(srv, r);
	hook_before_spawn(srv, kind, left);
	if (hooks_may_write(srv))
		fflush(NULL);
	sigfillset(&all);
	sigprocmask(SIG_SETMASK, &all, &birth.mask);
	/* Said here, where it costs nothing: the child would copy a page to say it. */
	board_mine(srv->board, birth.slot);
	pid = fork();
	if (pid == 0)
		child_run(srv, &birth, body, data);
	r = -errno;
	if (pid > 0)
		record_birth(srv, &birth, pid);
	sigprocmask(SIG_SETMASK, &birth.mask, NULL);
	if (pid < 0) {
		undo_birth(srv, &birth);
		return spawn_failed(srv, r);
	}
	/* Children are reaped from the loop: this one's death is told later than its birth. */
	hook_child_born(srv, pid, kind);
	return pid;
}

unsigned
master_start_workers(struct tend_server *srv, unsigned n)
{
	unsigned started = 0;

	if (n == 0 || master_may_spawn(srv, clock_now()) > 0)
		return 0;
	tend_log(srv, TEND_LOG_INFO, "Starting %u worker%s", n, n == 1 ? "" : "s");
	while (started < n &&
	    master_spawn(srv, TEND_CHILD_WORKER, n - started, child_work, NULL) > 0)
		started++;
	return started;
}

int64_t
master_keep_workers(struct tend_server *srv, unsigned have, unsigned most, int64_t now)
{
	unsigned room = master_room(srv);
	int64_t pause = master_may_spawn(srv, now);

	if (most > room)
		most = room;
	if (have < most && pause == 0) {
		master_start_workers(srv, most - have);
		pause = master_may_spawn(srv, now);
	}
	return pause > 0 ? clock_after(now, pause) : CLOCK_NEVER;
}
