/*
 * The end of children: told to retire, reaped, judged, and stopped all together.
 */
#include <errno.h>
#include <signal.h>
#include <sys/wait.h>

#include "base/clock.h"
#include "server/hooks.h"
#include "server/limits.h"
#include "server/master.h"
#include "server/restart.h"

/* A child that ends sooner than this, without a client, "died young". */
#define CHILD_YOUNG (1 * CLOCK_SECOND)
/* A child that was told to end is told again so often: it may have been about to block. */
#define TELL_AGAIN (1 * CLOCK_SECOND)

/* ---- retiring children ---- */

void
master_tell_to_retire(struct tend_server *srv, struct child *child, int64_t now)
{
	/* HUP alone may be anybody's; the board says that it is ours. */
	if (child->slot != CHILD_WITHOUT_SLOT)
		board_ask_to_retire(srv->board, child->slot);
	if (!child->leaving)
		child->retired = now;
	child->leaving = true;
	child->told = now;
	if (child->kind == TEND_CHILD_WORKER)
		kill(child->pid, SIGHUP);
}

/* What a child of an earlier image does is not known. */
static bool
may_wait(const struct tend_server *srv, const struct child *child)
{
	return child->slot == CHILD_WITHOUT_SLOT ||
	    board_state(srv->board, child->slot) == SLOT_WAITING;
}

static unsigned
retire_those(struct tend_server *srv, unsigned n, enum slot_state state, int64_t now)
{
	struct children *kids = &srv->master->children;
	unsigned told = 0;
	size_t i;

	for (i = 0; told < n && i < kids->count; i++) {
		struct child *child = &kids->list[i];

		if (child->kind != TEND_CHILD_WORKER || child->leaving ||
		    child->slot == CHILD_WITHOUT_SLOT ||
		    board_state(srv->board, child->slot) != state)
			continue;
		master_tell_to_retire(srv, child, now);
		told++;
	}
	return told;
}

unsigned
master_retire_workers(struct tend_server *srv, unsigned n, bool busy_too, int64_t now)
{
	unsigned told;

	if (n == 0)
		return 0;
	tend_log(srv, TEND_LOG_INFO, "Retiring %u worker%s", n, n == 1 ? "" : "s");
	told = retire_those(srv, n, SLOT_WAITING, now);
	if (busy_too)
		told += retire_those(srv, n - told, SLOT_BUSY, now);
	return told;
}

/* A worker that was told just before it blocked somewhere is told again. */
void
master_tell_again(struct tend_server *srv, int64_t now)
{
	struct children *kids = &srv->master->children;
	size_t i;

	for (i = 0; i < kids->count; i++) {
		struct child *child = &kids->list[i];

		if (child->leaving && now - child->told >= TELL_AGAIN && may_wait(srv, child))
			master_tell_to_retire(srv, child, now);
	}
}

/* ---- the end of children ---- */

static void
log_death(struct tend_server *srv, pid_t pid, int status)
{
	if (WIFSIGNALED(status))
		tend_log(srv, TEND_LOG_WARNING, "Child %ld was killed by signal %d (%s)", (long)pid,
		    WTERMSIG(status), signals_name(WTERMSIG(status)));
	else if (WEXITSTATUS(status) != 0)
		tend_log(srv, TEND_LOG_WARNING, "Child %ld ended with status %d", (long)pid,
		    WEXITSTATUS(status));
	else
		tend_log(srv, TEND_LOG_DEBUG, "Child %ld ended", (long)pid);
}

/* Children that die as soon as they start are not started again at full speed. */
static void
judge_death(struct tend_server *srv, const struct child *child)
{
	struct backoff *b = &srv->master->backoff;
	int64_t now = clock_now();
	bool young = now - child->started < CHILD_YOUNG;

	if (srv->stop != STOP_NOT || child->kind != TEND_CHILD_WORKER || child->leaving ||
	    child->slot == CHILD_WITHOUT_SLOT)
		return;
	/* Whatever its status: one that comes and goes without a client serves nobody. */
	if (!young || board_served_by(srv->board, child->slot) > 0) {
		backoff_succeeded(b);
	} else {
		backoff_failed(b, now);
		inherit_worker_fell(srv);
		if (b->until == now + b->pause)
			tend_log(srv, TEND_LOG_WARNING,
			    "Workers die as soon as they start; the next starts in %.1f s",
			    clock_to_seconds(b->pause));
	}
}

static void
count_end(struct tend_server *srv, const struct child *child, int status)
{
	struct master_ends *ends = &srv->master->ends;

	if (WIFSIGNALED(status))
		ends->signal++;
	else if (WEXITSTATUS(status) != 0)
		ends->error++;
	else
		ends->order++;
	/* One that was killed left its client there, for the next to have the slot. */
	if (srv->ledger != NULL && child->slot != CHILD_WITHOUT_SLOT)
		shown_put(ledger_shown(srv->ledger, child->slot), NULL);
}

/* Strikes it from every list. */
static void
forget(struct tend_server *srv, struct child *child, int status)
{
	struct master *m = srv->master;
	pid_t pid = child->pid;

	master_hear_last_words(srv, child);
	judge_death(srv, child);
	count_end(srv, child, status);
	serialize_died(&m->turns, pid);
	/* It may have been killed after it marked us as woken and before it woke us. */
	if (WIFSIGNALED(status))
		board_woken(srv->board);
	if (child->slot != CHILD_WITHOUT_SLOT) {
		limits_reclaim(srv, child->slot);
		board_release(srv->board, child->slot);
		if (srv->lanes != NULL)
			lanes_release(srv->lanes, child->slot);
	}
	children_remove(&m->children, child);
	m->busy_turn = true;
	hook_child_died(srv, pid, status);
}

static void
bury(struct tend_server *srv, pid_t pid, int status)
{
	struct master *m = srv->master;
	struct child *child = m != NULL ? children_find(&m->children, pid) : NULL;

	if (restart_child_ended(srv, pid, status))
		return;
	if (child == NULL) {
		hook_stranger_died(srv, pid, status);
		return;
	}
	/* The status of one that we ended ourselves is no news. */
	if (srv->stop == STOP_NOT || WIFEXITED(status))
		log_death(srv, pid, status);
	forget(srv, child, status);
}

/* Those that stand in our table, each asked for by itself. */
static void
reap_by_table(struct tend_server *srv)
{
	struct children *kids = &srv->master->children;
	size_t i = kids->count;
	int status;

	/* Burying one moves the last to its place, and that one was asked already. What the hook does
	   may bury others. */
	while (i-- > 0)
		if (i < kids->count &&
		    waitpid(kids->list[i].pid, &status, WNOHANG) == kids->list[i].pid)
			bury(srv, kids->list[i].pid, status);
}

/*
 * With strangers left to the program (NW-62b) we look who it is before we wait for it. As long as a
 * stranger lies there nobody else is shown: then the table tells.
 */
static void
reap_ours(struct tend_server *srv)
{
	siginfo_t info = { .si_pid = 0 };
	int status;

	if (srv->master == NULL)
		return;
	while (waitid(P_ALL, 0, &info, WEXITED | WNOHANG | WNOWAIT) == 0 && info.si_pid != 0) {
		if (children_find(&srv->master->children, info.si_pid) == NULL) {
			reap_by_table(srv);
			return;
		}
		if (waitpid(info.si_pid, &status, 0) == info.si_pid)
			bury(srv, info.si_pid, status);
		info.si_pid = 0;
	}
}

void
master_reap(struct tend_server *srv)
{
	int status;
	pid_t pid;

	restart_reap(srv);
	if (srv->policy.leave_strangers) {
		reap_ours(srv);
		return;
	}
	while ((pid = waitpid(-1, &status, WNOHANG)) > 0)
		bury(srv, pid, status);
}

void
master_find_missing(struct tend_server *srv)
{
	struct children *kids = &srv->master->children;
	size_t i = kids->count;

	while (i-- > 0) {
		struct child *child = &kids->list[i];
		siginfo_t info;

		/* What a hook does may bury others. */
		if (i >= kids->count ||
		    waitid(P_PID, (id_t)child->pid, &info, WEXITED | WNOHANG | WNOWAIT) == 0 ||
		    errno != ECHILD)
			continue;
		tend_log(srv, TEND_LOG_WARNING,
		    "Child %ld is gone and its status with it: something else waited for it",
		    (long)child->pid);
		/* All that is known of its end is that it was not in order. */
		forget(srv, child, W_EXITCODE(EX_SOFTWARE, 0));
	}
}

void
master_pass_signal(struct tend_server *srv, int signo)
{
	const struct children *kids = &srv->master->children;
	size_t i;

	for (i = 0; i < kids->count; i++) {
		tend_log(srv, TEND_LOG_DEBUG, "Passing signal %s to child %ld", signals_name(signo),
		    (long)kids->list[i].pid);
		kill(kids->list[i].pid, signo);
	}
}

void
master_signal_workers(struct tend_server *srv, int signo)
{
	const struct children *kids = &srv->master->children;
	size_t i;

	for (i = 0; i < kids->count; i++)
		if (kids->list[i].kind == TEND_CHILD_WORKER)
			kill(kids->list[i].pid, signo);
}

/* ---- stopping ---- */

static void
signal_all(struct tend_server *srv, int signo)
{
	const struct children *kids = &srv->master->children;
	size_t i, n;

	for (i = 0; i < kids->count; i++)
		tend_log(srv, TEND_LOG_DEBUG, "Signal %s to child %ld", signals_name(signo),
		    (long)kids->list[i].pid);
	n = children_signal(kids, signo);
	if (n > 0)
		tend_log(srv, TEND_LOG_INFO, "Sent signal %s to %zu children", signals_name(signo), n);
}

/* Waits until no child is left, `until` comes, or the server is told to hurry. */
static int
wait_for_children(struct tend_server *srv, int64_t until, enum stop_how unless)
{
	struct children *kids = &srv->master->children;
	int r = 0;

	while (r == 0 && kids->count > 0 && srv->stop < unless && clock_now() < until) {
		int64_t again = clock_after(clock_now(), TELL_AGAIN);

		r = master_turn_until(srv, earlier(until, again));
		if (clock_now() >= again)
			master_find_missing(srv);
		master_tell_again(srv, clock_now());
		master_end_stuck(srv, clock_now());
	}
	return r;
}

static int64_t
time_limit(double seconds)
{
	return clock_after(clock_now(), clock_limit(seconds));
}

/*
 * QUIT: new clients are refused from the first moment, those that are served are served to their
 * end (NS-SHD-04 to -06).
 */
int
master_stop_gracefully(struct tend_server *srv)
{
	struct children *kids = &srv->master->children;
	double limit = srv->settings.value.graceful_timeout;
	int64_t now = clock_now();
	size_t i;
	int r;

	tend_log(srv, TEND_LOG_INFO, "Stopping gracefully: waiting for %zu children", kids->count);
	for (i = 0; i < kids->count; i++)
		if (kids->list[i].kind == TEND_CHILD_WORKER)
			master_tell_to_retire(srv, &kids->list[i], now);
	r = wait_for_children(srv, time_limit(limit), STOP_NOW);
	if (r == 0 && kids->count > 0 && srv->stop < STOP_NOW) {
		tend_log(srv, TEND_LOG_WARNING,
		    "%zu children still serve after %g s; ending them (option graceful_timeout)",
		    kids->count, limit);
		srv->stop = STOP_NOW;
	}
	return r;
}

static int
ask_to_end(struct tend_server *srv, int signo, double grace)
{
	signal_all(srv, signo);
	return wait_for_children(srv, time_limit(grace), STOP_NOW + 1);
}

static int
kill_the_rest(struct tend_server *srv, double grace)
{
	const struct children *kids = &srv->master->children;

	if (kids->count == 0)
		return 0;
	tend_log(srv, TEND_LOG_WARNING,
	    "%zu children did not end within %g s; killing them (option stop_timeout)", kids->count,
	    grace);
	signal_all(srv, SIGKILL);
	return wait_for_children(srv, CLOCK_NEVER, STOP_NOW + 1);
}

int
master_stop_children(struct tend_server *srv, int signo, double grace)
{
	int r = ask_to_end(srv, signo, grace);

	return r == 0 ? kill_the_rest(srv, grace) : r;
}

/*
 * Those that serve know what to do: they were told to end, and hear that the parent is gone. Their
 * ends are heard of by whoever waits for the children of this program (NW-62).
 */
static void
leave_behind(struct tend_server *srv)
{
	struct children *kids = &srv->master->children;
	size_t i = kids->count, left = 0;

	while (i-- > 0) {
		struct child *child = &kids->list[i];

		/* One of an earlier image was told to end, and is there because it serves. */
		if (child->kind == TEND_CHILD_DEQUEUE || (child->slot != CHILD_WITHOUT_SLOT &&
		        board_state(srv->board, child->slot) != SLOT_BUSY))
			continue;
		children_remove(kids, child);
		left++;
	}
	if (left > 0)
		tend_log(srv, TEND_LOG_NOTICE,
		    "%zu children still serve after %g s; leaving them behind (option leave_busy)",
		    left, srv->settings.value.stop_timeout);
}

/* TERM, then KILL for those that do not listen (NS-SHD-07). */
int
master_end_children(struct tend_server *srv)
{
	const struct tend_config *config = &srv->settings.value;
	int r = ask_to_end(srv, SIGTERM, config->stop_timeout);

	if (r == 0 && config->leave_busy)
		leave_behind(srv);
	return r == 0 ? kill_the_rest(srv, config->stop_timeout) : r;
}
