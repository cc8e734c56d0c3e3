/*
 * Looking after children. The loop sleeps until a signal, a worker that wakes it through the board,
 * a message on a private channel, or the time the personality asked for.
 */
#include "server/master.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <stdio.h>
#include <stdio_ext.h>
#include <stdlib.h>
#include <strings.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/clock.h"
#include "process/title.h"
#include "server/child.h"
#include "server/hooks.h"
#include "server/personality.h"

/* A child that ends badly sooner than this "died young". */
#define CHILD_YOUNG (1 * CLOCK_SECOND)
/* A child that was told to end is told again so often: it may have been about to block. */
#define TELL_AGAIN (1 * CLOCK_SECOND)
#define CHANNEL_MESSAGE_MAX 4096

/* ---- opening and closing ---- */

static void
woken(struct tend_watch *w, unsigned events)
{
	struct tend_server *srv = w->data;

	(void)events;
	board_woken(srv->board);
	srv->master->busy_turn = true;
}

static enum serialize_how
how_to_serialize(const struct tend_server *srv)
{
	static const enum serialize_how all[] = {
		SERIALIZE_FLOCK, SERIALIZE_SEMAPHORE, SERIALIZE_PIPE,
	};
	const char *asked = srv->settings.value.serialize;
	size_t i;

	for (i = 0; asked != NULL && i < sizeof(all) / sizeof(all[0]); i++)
		if (strcasecmp(asked, serialize_name(all[i])) == 0)
			return all[i];
	return SERIALIZE_NONE;
}

static int
open_board(struct tend_server *srv, unsigned slots)
{
	struct master *m = srv->master;
	int r = board_new(&srv->board, slots);

	tend_watch_init(&m->wake, woken, srv);
	if (r < 0)
		return server_fail(srv, EX_OSERR, r, "cannot make the board of %u children: %s",
		    slots, error_reason(r));
	return 0;
}

/*
 * What workers need that live long and wait by themselves: a way to wake us, and one to notice that
 * we are gone. Children for one client do without, and have fewer descriptors to be born with.
 */
static int
open_for_workers(struct tend_server *srv)
{
	struct master *m = srv->master;
	int r = board_let_wake(srv->board);

	if (r >= 0)
		r = tend_watch_start(srv->loop, &m->wake, r, TEND_READ);
	if (r < 0)
		return server_fail(srv, EX_OSERR, r, "cannot watch the board: %s", error_reason(r));
	if (pipe2(m->lifeline, O_CLOEXEC | O_NONBLOCK) < 0)
		return server_fail(srv, EX_OSERR, -errno, "cannot make a pipe: %s",
		    error_reason(-errno));
	return 0;
}

int
master_open(struct tend_server *srv, unsigned children)
{
	const struct tend_config *config = &srv->settings.value;
	struct master *m = calloc(1, sizeof(*m));
	enum serialize_how how = how_to_serialize(srv);
	int64_t now = clock_now();
	int r;

	if (m == NULL)
		return server_fail(srv, EX_OSERR, -ENOMEM, "out of memory");
	m->lifeline[0] = m->lifeline[1] = -1;
	m->recounted = m->polled = m->dequeued = m->idle_since = now;
	srv->master = m;
	if (children_reserve(&m->children) < 0)
		return server_fail(srv, EX_OSERR, -ENOMEM, "out of memory");
	/* See hooks_may_write(). */
	fflush(NULL);
	m->dequeue_room = (unsigned)config->max_dequeue;
	/* Twice what is allowed now, for TTIN, for those that are leaving, and for the dequeuers. */
	r = open_board(srv, 2 * children + 64 + m->dequeue_room);
	if (r == 0 && (srv->personality->traits & PERSONALITY_WORKERS))
		r = open_for_workers(srv);
	if (r < 0)
		return r;
	if (srv->policy.titles)
		title_open();
	r = serialize_open(&m->turns, how, config->lock_file, &srv->error);
	if (r < 0)
		return r;
	tend_log(srv, TEND_LOG_INFO, "Workers take turns at accept by: %s (option serialize)",
	    serialize_name(how));
	return 0;
}

unsigned
master_room(const struct tend_server *srv)
{
	return board_slots(srv->board) - srv->master->dequeue_room;
}

void
master_close(struct tend_server *srv)
{
	struct master *m = srv->master;

	if (m == NULL)
		return;
	tend_watch_stop(&m->wake);
	serialize_close(&m->turns);
	children_done(&m->children);
	if (m->lifeline[0] >= 0) {
		close(m->lifeline[0]);
		close(m->lifeline[1]);
	}
	free(m);
	srv->master = NULL;
	board_free(srv->board);
	srv->board = NULL;
}

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
static void
hear_last_words(struct tend_server *srv, const struct child *child)
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
	    master_spawn(srv, TEND_CHILD_WORKER, n - started, child_accept_loop, NULL) > 0)
		started++;
	return started;
}

/* ---- retiring children ---- */

static void
tell_to_retire(struct tend_server *srv, struct child *child, int64_t now)
{
	/* HUP alone may be anybody's; the board says that it is ours. */
	board_ask_to_retire(srv->board, child->slot);
	child->leaving = true;
	child->told = now;
	kill(child->pid, SIGHUP);
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
		    board_state(srv->board, child->slot) != state)
			continue;
		tell_to_retire(srv, child, now);
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
static void
tell_again(struct tend_server *srv, int64_t now)
{
	struct children *kids = &srv->master->children;
	size_t i;

	for (i = 0; i < kids->count; i++) {
		struct child *child = &kids->list[i];

		if (child->leaving && now - child->told >= TELL_AGAIN &&
		    board_state(srv->board, child->slot) == SLOT_WAITING)
			tell_to_retire(srv, child, now);
	}
}

struct master_tally
master_count(struct tend_server *srv)
{
	const struct children *kids = &srv->master->children;
	struct master_tally t = { 0, 0, 0, 0 };
	size_t i;

	for (i = 0; i < kids->count; i++) {
		const struct child *child = &kids->list[i];

		if (child->kind == TEND_CHILD_DEQUEUE)
			t.dequeue++;
		else if (child->leaving)
			t.leaving++;
		else if (board_state(srv->board, child->slot) == SLOT_WAITING)
			t.waiting++;
		else
			t.busy++;
	}
	return t;
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

	if (srv->stop != STOP_NOT || child->kind != TEND_CHILD_WORKER || child->leaving)
		return;
	/* Whatever its status: one that comes and goes without a client serves nobody. */
	if (!young || board_served_by(srv->board, child->slot) > 0) {
		backoff_succeeded(b);
	} else {
		backoff_failed(b, now);
		if (b->until == now + b->pause)
			tend_log(srv, TEND_LOG_WARNING,
			    "Workers die as soon as they start; the next starts in %.1f s",
			    clock_to_seconds(b->pause));
	}
}

static void
bury(struct tend_server *srv, pid_t pid, int status)
{
	struct master *m = srv->master;
	struct child *child = m != NULL ? children_find(&m->children, pid) : NULL;

	if (child == NULL) {
		hook_stranger_died(srv, pid, status);
		return;
	}
	/* The status of one that we ended ourselves is no news. */
	if (srv->stop == STOP_NOT || WIFEXITED(status))
		log_death(srv, pid, status);
	hear_last_words(srv, child);
	judge_death(srv, child);
	serialize_died(&m->turns, pid);
	/* It may have been killed after it marked us as woken and before it woke us. */
	if (WIFSIGNALED(status))
		board_woken(srv->board);
	board_release(srv->board, child->slot);
	children_remove(&m->children, child);
	m->busy_turn = true;
	hook_child_died(srv, pid, status);
}

void
master_reap(struct tend_server *srv)
{
	int status;
	pid_t pid;

	while ((pid = waitpid(-1, &status, WNOHANG)) > 0)
		bury(srv, pid, status);
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

/* ---- now and then ---- */

static int64_t
earlier(int64_t a, int64_t b)
{
	return a < b ? a : b;
}

/*
 * When something that happens every `seconds` (0: never) is next due; `*last` is moved when it is
 * due now.
 */
static int64_t
due(double seconds, int64_t *last, int64_t now, bool *is_due)
{
	int64_t period = clock_from_seconds(seconds);

	*is_due = false;
	if (period == 0)
		return CLOCK_NEVER;
	if (now - *last >= period) {
		*last = now;
		*is_due = true;
	}
	return clock_after(*last, period);
}

/* A child of its own for the dequeue hook, every so often and at most so many (NS-FRK-18). */
static int64_t
dequeue_if_due(struct tend_server *srv, int64_t now)
{
	const struct tend_config *config = &srv->settings.value;
	struct master *m = srv->master;
	bool is_due;
	int64_t next = due(config->check_for_dequeue, &m->dequeued, now, &is_due);

	if (config->max_dequeue <= 0)
		return CLOCK_NEVER;
	if (is_due && m->children.by_kind[TEND_CHILD_DEQUEUE] < (size_t)config->max_dequeue &&
	    master_may_spawn(srv, now) == 0) {
		pid_t pid = master_spawn(srv, TEND_CHILD_DEQUEUE, 1, child_dequeue, NULL);

		if (pid > 0)
			tend_log(srv, TEND_LOG_DEBUG, "Started dequeue child %ld", (long)pid);
	}
	return next;
}

/* Right again whatever a child that was killed, or ran wild, left there (NW-67). */
static void
check_board(struct tend_server *srv)
{
	unsigned unsound = board_rebuild(srv->board);
	int wrong = board_recount(srv->board);

	/* The mark that we are awake may be set though nobody woke us. */
	board_woken(srv->board);
	if (unsound > 0)
		tend_log(srv, TEND_LOG_WARNING, "%u slots of the board were overwritten; set right",
		    unsound);
	if (wrong != 0)
		tend_log(srv, TEND_LOG_INFO, "The count of waiting workers was off by %+d; set right",
		    wrong);
}

/* What heals by itself: a signal that got lost, a counter that a killed worker left wrong. */
static int64_t
check_if_due(struct tend_server *srv, int64_t now)
{
	const struct tend_config *config = &srv->settings.value;
	struct master *m = srv->master;
	bool is_due;
	int64_t next = due(config->check_for_dead, &m->polled, now, &is_due);

	if (is_due)
		master_reap(srv);
	next = earlier(next, due(config->check_for_spawn, &m->recounted, now, &is_due));
	if (is_due)
		check_board(srv);
	return next;
}

static int64_t
idle_if_due(struct tend_server *srv, int64_t now)
{
	struct master *m = srv->master;
	bool is_due;
	int64_t next;

	if (m->busy_turn)
		m->idle_since = now;
	m->busy_turn = false;
	next = due(srv->settings.value.idle_period, &m->idle_since, now, &is_due);
	if (is_due)
		hook_idle(srv);
	return next;
}

static int
turn_until(struct tend_server *srv, int64_t when)
{
	int64_t now = clock_now();
	double seconds = when == CLOCK_NEVER ? -1 : when <= now ? 0 : clock_to_seconds(when - now);
	int r = tend_loop_turn(srv->loop, seconds);

	/* A hook that runs in a turn waits for children to end: loops do not nest. */
	if (r == -EBUSY) {
		poll(NULL, 0, 10);
		master_reap(srv);
		return 0;
	}
	if (r < 0)
		return server_fail(srv, EX_OSERR, r, "cannot wait for events: %s", error_reason(r));
	return 0;
}

/* ---- stopping ---- */

static void
signal_all(struct tend_server *srv, int signo)
{
	size_t n = children_signal(&srv->master->children, signo);

	if (n > 0)
		tend_log(srv, TEND_LOG_DEBUG, "Sent signal %s to %zu children", signals_name(signo), n);
}

/* Waits until no child is left, `until` comes, or the server is told to hurry. */
static int
wait_for_children(struct tend_server *srv, int64_t until, enum stop_how unless)
{
	struct children *kids = &srv->master->children;
	int r = 0;

	while (r == 0 && kids->count > 0 && srv->stop < unless && clock_now() < until) {
		int64_t again = clock_after(clock_now(), TELL_AGAIN);

		r = turn_until(srv, earlier(until, again));
		tell_again(srv, clock_now());
	}
	return r;
}

static int64_t
time_limit(double seconds)
{
	return seconds > 0 ? clock_after(clock_now(), clock_from_seconds(seconds)) : CLOCK_NEVER;
}

/*
 * QUIT: new clients are refused from the first moment, those that are served are served to their
 * end (NS-SHD-04 to -06).
 */
static int
stop_gracefully(struct tend_server *srv)
{
	struct children *kids = &srv->master->children;
	double limit = srv->settings.value.graceful_timeout;
	int64_t now = clock_now();
	size_t i;
	int r;

	tend_log(srv, TEND_LOG_INFO, "Stopping gracefully: waiting for %zu children", kids->count);
	for (i = 0; i < kids->count; i++)
		if (kids->list[i].kind == TEND_CHILD_WORKER)
			tell_to_retire(srv, &kids->list[i], now);
	r = wait_for_children(srv, time_limit(limit), STOP_NOW);
	if (r == 0 && kids->count > 0 && srv->stop < STOP_NOW) {
		tend_log(srv, TEND_LOG_WARNING,
		    "%zu children still serve after %g s; ending them (option graceful_timeout)",
		    kids->count, limit);
		srv->stop = STOP_NOW;
	}
	return r;
}

int
master_stop_children(struct tend_server *srv, int signo, double grace)
{
	struct children *kids = &srv->master->children;
	int r;

	signal_all(srv, signo);
	r = wait_for_children(srv, time_limit(grace), STOP_NOW + 1);
	if (r == 0 && kids->count > 0) {
		tend_log(srv, TEND_LOG_WARNING,
		    "%zu children did not end within %g s; killing them (option stop_timeout)",
		    kids->count, grace);
		signal_all(srv, SIGKILL);
		r = wait_for_children(srv, CLOCK_NEVER, STOP_NOW + 1);
	}
	return r;
}

int
master_loop(struct tend_server *srv, master_manage_fn manage)
{
	int r = 0;

	while (r == 0 && srv->stop == STOP_NOT) {
		int64_t now = clock_now(), next;

		next = manage(srv, now);
		next = earlier(next, dequeue_if_due(srv, now));
		next = earlier(next, check_if_due(srv, now));
		next = earlier(next, idle_if_due(srv, now));
		tell_again(srv, now);
		r = turn_until(srv, next);
	}
	lifecycle_begin_close(srv);
	lifecycle_close_listeners(srv);
	if (r == 0 && srv->stop == STOP_GRACEFUL)
		r = stop_gracefully(srv);
	/* Also after a failure: no child outlives the server. */
	if (srv->master->children.count > 0) {
		/* TERM, then KILL for those that do not listen (NS-SHD-07). */
		int stopped = master_stop_children(srv, SIGTERM, srv->settings.value.stop_timeout);

		r = r < 0 ? r : stopped;
	}
	return r;
}
