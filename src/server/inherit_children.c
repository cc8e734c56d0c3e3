/*
 * The children of the image before. They go on accepting until those of this one have come up, and then
 * have some time for their clients. Before there is a master they are orphans: known by their numbers
 * alone.
 */
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/clock.h"
#include "server/master.h"
#include "server/personality.h"
#include "server/restart.h"

/* A new generation is looked after so often while it is not up. */
#define LOOK_AGAIN (1 * CLOCK_SECOND)

/* ---- the master's ---- */

static bool
has_workers(const struct tend_server *srv)
{
	return srv->personality->traits & PERSONALITY_WORKERS;
}

bool
inherit_lifeline(struct tend_server *srv, int lifeline[2])
{
	const struct handover *h = srv->restart->from;

	if (h == NULL || h->lifeline[0] < 0)
		return false;
	lifeline[0] = fcntl(h->lifeline[0], F_DUPFD_CLOEXEC, 3);
	lifeline[1] = fcntl(h->lifeline[1], F_DUPFD_CLOEXEC, 3);
	if (lifeline[0] >= 0 && lifeline[1] >= 0)
		return true;
	if (lifeline[0] >= 0)
		close(lifeline[0]);
	lifeline[0] = lifeline[1] = -1;
	return false;
}

int
inherit_children(struct tend_server *srv)
{
	struct restart *rs = srv->restart;
	struct children *kids = &srv->master->children;
	size_t i;

	if (rs->from == NULL || rs->children_taken)
		return 0;
	for (i = 0; i < rs->from->child_count; i++) {
		const struct handed_child *from = &rs->from->children[i];
		struct child *child;

		if (children_reserve(kids) < 0)
			return server_fail(srv, EX_OSERR, -ENOMEM, "out of memory");
		child = children_add(kids, from->pid, (enum tend_child_kind)from->kind);
		child->slot = CHILD_WITHOUT_SLOT;
		child->started = clock_now();
	}
	rs->children_taken = true;
	/* Who ended meanwhile is found now. */
	master_reap(srv);
	return 0;
}

static size_t
old_children(const struct tend_server *srv)
{
	const struct children *kids = &srv->master->children;
	size_t i, n = 0;

	for (i = 0; i < kids->count; i++)
		n += kids->list[i].slot == CHILD_WITHOUT_SLOT;
	return n;
}

/* Each of its workers has come to where it accepts. */
static bool
generation_is_up(const struct tend_server *srv)
{
	const struct children *kids = &srv->master->children;
	size_t workers = kids->by_kind[TEND_CHILD_WORKER], i;

	for (i = 0; i < kids->count; i++)
		if (kids->list[i].kind == TEND_CHILD_WORKER && kids->list[i].slot == CHILD_WITHOUT_SLOT)
			workers--;
	return workers > 0 && board_arrived(srv->board) >= workers;
}

/*
 * Old children have graceful_timeout for their clients, or all the time they want; then they are
 * ended, and killed stop_timeout later.
 */
static int64_t
hurry_old_children(struct tend_server *srv, int64_t now)
{
	const struct tend_config *config = &srv->settings.value;
	int64_t patience = clock_from_seconds(config->graceful_timeout), next = CLOCK_NEVER;
	struct children *kids = &srv->master->children;
	size_t i;

	if (patience == 0 || config->leave_children_open_on_hup)
		return CLOCK_NEVER;
	for (i = 0; i < kids->count; i++) {
		struct child *child = &kids->list[i];
		int64_t end = clock_after(child->retired, patience);
		int64_t kill_at = clock_after(end, clock_limit(config->stop_timeout));

		if (child->slot != CHILD_WITHOUT_SLOT || !child->leaving)
			continue;
		if (now >= end)
			kill(child->pid, now >= kill_at ? SIGKILL : SIGTERM);
		next = earlier(next, now < end ? end : now < kill_at ? kill_at : clock_after(now, LOOK_AGAIN));
	}
	return next;
}

int64_t
inherit_look(struct tend_server *srv, int64_t now)
{
	if (inherit_is_pending(srv)) {
		/* Those of Fork come when clients come; its parent accepts already. */
		if (!has_workers(srv) || generation_is_up(srv))
			inherit_settle(srv);
		return clock_after(now, LOOK_AGAIN);
	}
	if (old_children(srv) == 0)
		return CLOCK_NEVER;
	return earlier(clock_after(now, LOOK_AGAIN), hurry_old_children(srv, now));
}

void
inherit_worker_fell(struct tend_server *srv)
{
	struct restart *rs = srv->restart;

	if (!inherit_is_pending(srv) || rs->from->kind == HANDOVER_RETURN ||
	    board_arrived(srv->board) > 0)
		return;
	if (++rs->fallen >= RESTART_TRIES)
		rs->back = true;
}

/* ---- orphans ---- */

/* Without a master of our own: workers see their lifeline end, others finish by themselves. */
void
inherit_tell_orphans(const struct handover *h, int signo)
{
	size_t i;

	for (i = 0; i < h->child_count; i++)
		if (h->children[i].kind == TEND_CHILD_WORKER || signo != SIGHUP)
			kill(h->children[i].pid, signo);
}

static bool
wait_for_orphans(const struct handover *h, double seconds)
{
	int64_t until = clock_after(clock_now(), clock_limit(seconds));
	size_t i, left;

	for (;;) {
		for (i = left = 0; i < h->child_count; i++) {
			int status;

			left += waitpid(h->children[i].pid, &status, WNOHANG) == 0;
		}
		if (left == 0 || clock_now() >= until)
			return left == 0;
		poll(NULL, 0, 5);
	}
}

void
inherit_end_orphans(const struct handover *h, double grace)
{
	inherit_tell_orphans(h, SIGTERM);
	if (wait_for_orphans(h, grace))
		return;
	inherit_tell_orphans(h, SIGKILL);
	wait_for_orphans(h, 0);
}

/* ---- told to go ---- */

static void
tell_old_children(struct tend_server *srv, int64_t now)
{
	struct children *kids = &srv->master->children;
	size_t i;

	for (i = 0; i < kids->count; i++)
		if (kids->list[i].slot == CHILD_WITHOUT_SLOT)
			master_tell_to_retire(srv, &kids->list[i], now);
}

void
inherit_dismiss_children(struct tend_server *srv)
{
	const struct restart *rs = srv->restart;

	if (srv->master != NULL && rs->children_taken)
		tell_old_children(srv, clock_now());
	else
		inherit_tell_orphans(rs->from, SIGHUP);
}
