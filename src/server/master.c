/*
 * Looking after children. The loop sleeps until a signal, a worker that wakes it through the board,
 * a message on a private channel, or the time the personality asked for. Children are born in
 * spawn.c and come to their end in retire.c.
 */
#include "server/master.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <strings.h>
#include <unistd.h>

#include "base/clock.h"
#include "process/title.h"
#include "server/child.h"
#include "server/hooks.h"
#include "server/limits.h"
#include "server/personality.h"
#include "server/restart.h"
#include "server/status.h"

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
	void *memory = server_hot(srv, board_size(slots));
	int r = memory != NULL ? board_new(&srv->board, slots, memory) : -ENOMEM;

	tend_watch_init(&m->wake, woken, srv);
	if (r < 0)
		return server_fail(srv, EX_OSERR, r, "cannot make the board of %u children: %s",
		    slots, error_reason(r));
	return status_open(srv, slots);
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
	board_await(srv->board, inherit_is_pending(srv));
	/* One for all generations: none of them is to think that its parent is gone. */
	if (!inherit_lifeline(srv, m->lifeline) && pipe2(m->lifeline, O_CLOEXEC | O_NONBLOCK) < 0)
		return server_fail(srv, EX_OSERR, -errno, "cannot make a pipe: %s",
		    error_reason(-errno));
	return 0;
}

int
master_open(struct tend_server *srv, unsigned children)
{
	const struct tend_config *config = &srv->settings.value;
	struct master *m = server_hot(srv, sizeof(*m));
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
	signals_announce_passthrough(srv);
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

unsigned
master_limit_room(const struct tend_server *srv)
{
	return srv->lanes != NULL ? lanes_room(srv->lanes) : master_room(srv);
}

unsigned
master_move_limit(struct tend_server *srv, int by)
{
	int wanted = srv->settings.value.max_servers + by;
	char text[16];

	if (wanted < 1 || (by > 0 && (unsigned)wanted > master_limit_room(srv)))
		return 0;
	snprintf(text, sizeof(text), "%d", wanted);
	if (options_set(srv->options, SOURCE_CODE, "resized", "max_servers", text, NULL) < 0)
		return 0;
	srv->settings.value.max_servers = wanted;
	return (unsigned)wanted;
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
	srv->master = NULL;
	board_free(srv->board);
	srv->board = NULL;
	status_close(srv);
}

/* ---- counting ---- */

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
		else if (child->slot == CHILD_WITHOUT_SLOT)
			continue; /* the new generation does not wait for the old one */
		else if (child->leaving || board_is_leaving(srv->board, child->slot))
			t.leaving++;
		else if (board_state(srv->board, child->slot) == SLOT_WAITING)
			t.waiting++;
		else
			t.busy++;
	}
	return t;
}

/* ---- now and then ---- */

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

	if (is_due) {
		master_reap(srv);
		master_find_missing(srv);
	}
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

int
master_turn_until(struct tend_server *srv, int64_t when)
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

/* ---- the loop ---- */

int
master_loop(struct tend_server *srv)
{
	bool ready = false;
	int r = inherit_children(srv);

	while (r == 0 && srv->stop == STOP_NOT && !restart_is_due(srv)) {
		int64_t now = clock_now(), next;

		next = srv->personality->manage(srv, now);
		if (!ready)
			tend_log(srv, TEND_LOG_DEBUG, "The parent is ready, with %zu children",
			    srv->master->children.count);
		ready = true;
		next = earlier(next, dequeue_if_due(srv, now));
		next = earlier(next, check_if_due(srv, now));
		next = earlier(next, idle_if_due(srv, now));
		next = earlier(next, master_end_stuck(srv, now));
		next = earlier(next, master_renew_workers(srv, now));
		next = earlier(next, limits_look_after(srv, now));
		next = earlier(next, inherit_look(srv, now));
		master_tell_again(srv, now);
		r = master_turn_until(srv, next);
	}
	if (r == 0 && restart_is_due(srv))
		return 0;
	lifecycle_begin_close(srv);
	lifecycle_close_listeners(srv);
	if (r == 0 && srv->stop == STOP_GRACEFUL)
		r = master_stop_gracefully(srv);
	/* Also after a failure: no child outlives the server. */
	if (srv->master->children.count > 0) {
		int stopped = master_end_children(srv);

		r = r < 0 ? r : stopped;
	}
	return r;
}
