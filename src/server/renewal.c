/*
 * Workers that are to be replaced: those that have grown too old or too large and, when HUP asks
 * for it, all. They are marked when that is seen, and told to retire a few at a time, so that the
 * others can do the work: how many and when is process/renewal.c's to say.
 *
 * Ages are looked at when the first of them is due. For memory there is no such time; without the
 * option nothing ticks. Workers of an earlier image are told by inherit.c, and children for one
 * client end by themselves.
 */
#include "server/renewal.h"

#include <stdio.h>
#include <unistd.h>

#include "base/clock.h"
#include "process/memory.h"
#include "process/renewal.h"
#include "server/master.h"
#include "server/personality.h"
#include "server/restart.h"
#include "server/supervise.h"

/*
 * The memory of workers is looked at so often. What leaks takes minutes to hours, and a look costs
 * a few microseconds a worker; what grows faster would be over any limit before it is seen.
 */
#define LOOK_AT_MEMORY (5 * CLOCK_SECOND)
/* One that has not left so long after it was told has a client, which has the place anyway. */
#define LEAVES_WITHIN (2 * CLOCK_SECOND)
/* One that has not come up so long after its birth is not waited for. */
#define COMES_UP_WITHIN (60 * CLOCK_SECOND)

#define MIB (INT64_C(1) << 20)

int
renewal_check(struct tend_server *srv)
{
	const struct tend_config *c = &srv->settings.value;
	bool has_root = c->chroot != NULL && c->chroot[0] != '\0';
	/* A server at work has that root already. */
	const char *root = has_root && !srv->bound ? c->chroot : "";
	int r;

	if (c->max_worker_memory == 0 || !(srv->personality->traits & PERSONALITY_WORKERS))
		return 0;
	r = memory_is_told(root);
	if (r == 0)
		return 0;
	return server_fail(srv, EX_CONFIG, r,
	    "max_worker_memory (%d) needs %s/proc to tell the memory of processes: %s%s",
	    c->max_worker_memory, root, error_reason(r),
	    has_root ? "; mount it inside of the chroot, or drop one of the two options" : "");
}

/* ---- who is to be replaced ---- */

static bool
is_worker(const struct child *child)
{
	return child->kind == TEND_CHILD_WORKER && child->slot != CHILD_WITHOUT_SLOT;
}

static bool
is_leaving(struct tend_server *srv, const struct child *child)
{
	return child->leaving || board_is_leaving(srv->board, child->slot);
}

/* One that may yet be found to be too old or too large. */
static bool
is_good(struct tend_server *srv, const struct child *child)
{
	return is_worker(child) && !child->worn && !is_leaving(srv, child);
}

static void
mark(struct tend_server *srv, struct child *child)
{
	child->worn = true;
	srv->master->renewal.worn++;
}

static int64_t
mark_old(struct tend_server *srv, int64_t now)
{
	int64_t limit = clock_from_seconds(srv->settings.value.max_worker_age), next = CLOCK_NEVER;
	struct children *kids = &srv->master->children;
	size_t i;

	for (i = 0; limit > 0 && i < kids->count; i++) {
		struct child *child = &kids->list[i];
		int64_t due = clock_after(child->started, renewal_age(limit, child->pid));

		if (!is_good(srv, child))
			continue;
		if (now < due) {
			next = earlier(next, due);
			continue;
		}
		tend_log(srv, TEND_LOG_INFO,
		    "Worker %ld is %.0f s old; replacing it (option max_worker_age)",
		    (long)child->pid, clock_to_seconds(now - child->started));
		mark(srv, child);
	}
	return next;
}

static void
say_futile(struct tend_server *srv, const char *why)
{
	int limit = srv->settings.value.max_worker_memory;

	if (srv->master->renewal.futile != limit)
		tend_log(srv, TEND_LOG_WARNING, "max_worker_memory (%d) has no effect: %s", limit,
		    why);
	srv->master->renewal.futile = limit;
}

/* Workers begin with what we have: if that is too much, every successor would be too large. */
static bool
can_help(struct tend_server *srv, int64_t limit)
{
	int64_t ours;

	if (memory_own(getpid(), &ours) < 0 || ours <= limit)
		return true;
	say_futile(srv, "the first process itself has more, and workers begin with that");
	return false;
}

static void
look_at_size(struct tend_server *srv, struct child *child, int64_t limit)
{
	int64_t bytes;
	char why[160];
	int r;

	/* One that has served nobody would be followed by another like it. */
	if (!is_good(srv, child) || board_served_by(srv->board, child->slot) == 0)
		return;
	r = memory_own(child->pid, &bytes);
	if (r < 0) {
		snprintf(why, sizeof(why), "cannot see the memory of worker %ld: %s",
		    (long)child->pid, error_reason(r));
		say_futile(srv, why);
		return;
	}
	if (bytes <= limit)
		return;
	tend_log(srv, TEND_LOG_NOTICE,
	    "Worker %ld has %lld MiB for itself, more than %d; replacing it "
	    "(option max_worker_memory)",
	    (long)child->pid, (long long)((bytes + MIB - 1) / MIB),
	    srv->settings.value.max_worker_memory);
	mark(srv, child);
}

static int64_t
mark_large(struct tend_server *srv, int64_t now)
{
	int64_t limit = srv->settings.value.max_worker_memory * MIB;
	struct renewal *rn = &srv->master->renewal;
	struct children *kids = &srv->master->children;
	size_t i;

	if (limit == 0)
		return CLOCK_NEVER;
	if (now - rn->looked < LOOK_AT_MEMORY)
		return clock_after(rn->looked, LOOK_AT_MEMORY);
	rn->looked = now;
	if (can_help(srv, limit))
		for (i = 0; i < kids->count; i++)
			look_at_size(srv, &kids->list[i], limit);
	return clock_after(now, LOOK_AT_MEMORY);
}

void
master_renew_all(struct tend_server *srv)
{
	struct children *kids = &srv->master->children;
	size_t i;

	for (i = 0; i < kids->count; i++)
		if (is_good(srv, &kids->list[i]))
			mark(srv, &kids->list[i]);
}

void
master_renew_for_hup(struct tend_server *srv)
{
	struct renewal *rn = &srv->master->renewal;

	master_renew_all(srv);
	rn->all = true;
	supervise_reloading(srv, "Replacing workers");
	tend_log(srv, TEND_LOG_NOTICE, "Replacing %u worker%s (option hup)", rn->worn,
	    rn->worn == 1 ? "" : "s");
}

/* ---- replacing ---- */

/* Where workers have many clients one that leaves is not in the way of its successor. */
static bool
is_constant(const struct tend_server *srv)
{
	return (srv->personality->traits & PERSONALITY_MANY) != 0;
}

/* Until when others have to do without this one; 0: they need not. */
static int64_t
away_until(struct tend_server *srv, const struct child *child)
{
	if (child->leaving)
		return is_constant(srv) ? 0 : clock_after(child->retired, LEAVES_WITHIN);
	if (board_has_arrived(srv->board, child->slot))
		return 0;
	return clock_after(child->started, COMES_UP_WITHIN);
}

/* Also counts anew how many are worn. `*next` is moved to when time alone changes something. */
static struct renewal_view
look(struct tend_server *srv, int64_t now, int64_t *next)
{
	struct renewal_view v = { .wanted = is_constant(srv) ? (unsigned)srv->workers : 0 };
	struct renewal *rn = &srv->master->renewal;
	struct children *kids = &srv->master->children;
	size_t i;

	rn->worn = 0;
	for (i = 0; i < kids->count; i++) {
		const struct child *child = &kids->list[i];
		int64_t until;

		if (!is_worker(child))
			continue;
		if (child->worn && !is_leaving(srv, child))
			rn->worn++;
		until = away_until(srv, child);
		if (now < until) {
			v.away++;
			*next = earlier(*next, until);
		} else if (!is_leaving(srv, child)) {
			v.serving++;
			v.worn += child->worn;
		}
	}
	return v;
}

static void
tell(struct tend_server *srv, unsigned n, int64_t now)
{
	struct children *kids = &srv->master->children;
	size_t i;

	for (i = 0; n > 0 && i < kids->count; i++) {
		struct child *child = &kids->list[i];

		if (!is_worker(child) || !child->worn || is_leaving(srv, child) ||
		    now < away_until(srv, child))
			continue;
		master_tell_to_retire(srv, child, now);
		srv->master->renewal.worn--;
		n--;
	}
}

/* All that were there have been told, and whoever was to come has come. */
static void
finish(struct tend_server *srv)
{
	const struct children *kids = &srv->master->children;
	unsigned serve = 0;
	size_t i;

	for (i = 0; i < kids->count; i++)
		serve += is_worker(&kids->list[i]) && is_leaving(srv, &kids->list[i]) &&
		    board_state(srv->board, kids->list[i].slot) == SLOT_BUSY;
	srv->master->renewal.all = false;
	tend_log(srv, TEND_LOG_NOTICE,
	    "Workers replaced; %u of before still finish their clients (option hup)", serve);
	supervise_ready(srv, "Serving");
}

static int64_t
go_on(struct tend_server *srv, int64_t now)
{
	struct renewal *rn = &srv->master->renewal;
	int64_t next = CLOCK_NEVER;
	struct renewal_view v = look(srv, now, &next);
	struct renewal_plan plan = renewal_decide(&v);
	bool more = plan.tell > 0 || plan.ahead > rn->ahead;

	tell(srv, plan.tell, now);
	rn->ahead = plan.ahead;
	if (rn->all && rn->worn == 0 && v.away == 0 && !more)
		finish(srv);
	board_await(srv->board, rn->worn > 0 || rn->all);
	/* The personality starts successors, and does so at the beginning of a turn. */
	return more ? now : next;
}

int64_t
master_renew_workers(struct tend_server *srv, int64_t now)
{
	struct renewal *rn = &srv->master->renewal;
	int64_t next, pause;

	/* A new generation that is not up yet comes first. */
	if (!(srv->personality->traits & PERSONALITY_WORKERS) || inherit_is_pending(srv))
		return CLOCK_NEVER;
	next = earlier(mark_old(srv, now), mark_large(srv, now));
	if (rn->worn == 0 && !rn->all)
		return next;
	/* Nobody leaves while a successor could not be started. */
	pause = master_may_spawn(srv, now);
	return earlier(next, pause > 0 ? clock_after(now, pause) : go_on(srv, now));
}
