/*
 * The accept loop of Single and of the workers. It tries first and waits second: under load a
 * connection costs accept4 and no wait. Many workers wait on the same listeners; TEND_EXCLUSIVE
 * makes the kernel wake one of them for a connection, and the descriptors being non-blocking makes
 * it harmless when it wakes another.
 */
#include "server/accept.h"

#include <errno.h>

#include "base/clock.h"
#include "loop/loop.h"
#include "net/accept.h"
#include "net/drain.h"
#include "server/child.h"
#include "server/hooks.h"
#include "server/inlets.h"
#include "server/limits.h"
#include "server/restart.h"
#include "server/serve.h"
#include "server/status.h"
#include "server/worker.h"

/* While connections never cease, the loop is looked at every so many of them all the same. */
#define ACCEPT_BATCH 64
/* While clients come one by one, a second one is hoped for only so often. */
#define HOPE_AGAIN 8
/* So many connections in a row from one listener, at most, while others have clients too. */
#define LOOK_AROUND 4

struct acceptor {
	struct tend_server *srv;
	struct serialize   *turns;
	struct inlets       in;
	size_t              next;    /* where the search for a ready one begins: none may starve */
	bool                waiting; /* blocked in the kernel, where one is woken for a client */
	bool                active;      /* a connection came since the last wait */
	int64_t             quiet_since; /* the last connection or idle hook */
	bool                sparse;  /* the last hope was in vain: clients come one by one */
	unsigned            since_hope;
	unsigned            since_look;
	unsigned            since_turn;
	int64_t             born, last_served; /* 0: nobody yet */
	struct tend_watch   lifeline;
	struct drains       drains;  /* clients served, but perhaps still sending */
	int                 broken;
};

static const char *
what_to_change(int code)
{
	switch (code) {
	case -EMFILE:
		return "; raise the limit of open files (ulimit -n) of the server";
	case -ENFILE:
		return "; raise fs.file-max of the system";
	default:
		return "";
	}
}

void
accept_report(struct tend_server *srv, const struct listener *l, int code)
{
	int64_t now = clock_now();

	status_count(srv, LEDGER_ACCEPT_ERRORS);
	if (srv->hooks->accept_failed != NULL)
		srv->hooks->accept_failed(srv, -code);
	if (srv->accept_error_logged != 0 && now - srv->accept_error_logged < CLOCK_SECOND)
		return;
	srv->accept_error_logged = now;
	tend_log(srv, TEND_LOG_WARNING,
	    "Cannot accept on %s port %s: %s; clients wait in the queue, trying again%s",
	    l->proto_upper, l->service, error_reason(code), what_to_change(code));
}

HOT int
accept_turn(struct tend_server *srv, double seconds)
{
	int r;

	hook_before_accept(srv);
	r = tend_loop_turn(srv->loop, seconds);
	if (r < 0)
		return server_fail(srv, EX_OSERR, r, "cannot wait for events: %s", error_reason(r));
	return 0;
}

/* ---- what the loop tells ---- */

static void
listener_ready(struct tend_watch *w, unsigned events)
{
	struct inlet *s = w->data;

	(void)events;
	s->ready = true;
	s->hoped = false;
	s->woken = LINK_OWNER(s->all, struct acceptor, in)->waiting;
}

static void
pause_over(struct tend_timer *t)
{
	struct inlets *in = t->data;
	size_t i;

	for (i = 0; i < in->count; i++)
		in->list[i].ready = true;
}

/* ---- accepting ---- */

static struct inlet *
next_ready(struct acceptor *a)
{
	size_t i;

	for (i = 0; i < a->in.count; i++) {
		struct inlet *s = &a->in.list[(a->next + i) % a->in.count];

		if (s->ready) {
			a->next = (a->next + i + 1) % a->in.count;
			return s;
		}
	}
	return NULL;
}

static void
starve(struct acceptor *a, const struct inlet *s, int code)
{
	size_t i;

	inlets_starve(&a->in, s->listener, code);
	for (i = 0; i < a->in.count; i++)
		a->in.list[i].ready = false;
}

/* Accepts from a listener that may have something. The descriptor, or negative: nothing for now. */
static int
take(struct acceptor *a, struct inlet *s, struct addr *peer)
{
	int fd = accept_client(s->listener->fd, peer);

	s->woken = false;
	if (s->hoped)
		a->sparse = fd == -EAGAIN;
	if (fd >= 0)
		return fd;
	s->ready = false;
	if (fd == -EAGAIN)
		return fd;
	/* Our successor listens elsewhere and has ended this one for everybody. */
	if (fd == -EINVAL && a->srv->role == ROLE_CHILD) {
		a->srv->stop = STOP_GRACEFUL;
		return fd;
	}
	if (accept_is_starved(fd)) {
		starve(a, s, fd);
		return fd;
	}
	a->broken = server_fail(a->srv, EX_OSERR, fd, "cannot accept on %s port %s: %s",
	    s->listener->proto_upper, s->listener->service, error_reason(fd));
	return fd;
}

/*
 * Where one client came there may be another: under load that try replaces a wait. When it fails
 * again and again it is an idle system call for each client, so it is made less often.
 */
static void
hope_for_another(struct acceptor *a, struct inlet *s)
{
	s->hoped = true;
	s->ready = !a->sparse || ++a->since_hope % HOPE_AGAIN == 0;
}

/* As long as clients come at one listener nobody waits, and so nobody hears of the others. */
static void
look_at_the_others(struct acceptor *a, const struct inlet *s)
{
	size_t i;

	if (a->in.count == 1 || ++a->since_look % LOOK_AROUND != 0)
		return;
	for (i = 0; i < a->in.count; i++)
		if (&a->in.list[i] != s) {
			a->in.list[i].ready = true;
			a->in.list[i].hoped = false;
		}
}

static bool
has_idle_hook(const struct tend_server *srv)
{
	return (srv->role == ROLE_PARENT ? srv->hooks->idle : srv->hooks->child_idle) != NULL;
}

/* Whom it costs something to be woken now and then: nobody who has no use for it. */
static bool
wants_idle_turns(const struct tend_server *srv)
{
	return has_idle_hook(srv) ||
	    (srv->role == ROLE_CHILD && (srv->policy.worker_idle > 0 || srv->policy.titles));
}

/* A turn without anything to do: the hook, the title, and the end of a worker that nobody needs. */
static void
idle_turn(struct acceptor *a)
{
	struct tend_server *srv = a->srv;
	int64_t now = clock_now(), since = a->last_served;

	hook_idle(srv);
	if (srv->role == ROLE_PARENT)
		return;
	child_title_idle(srv, since != 0 ? (long)((now - since) / CLOCK_SECOND)
	                                 : -(long)((now - a->born) / CLOCK_SECOND));
	if (since == 0 && srv->policy.unused_retire_too)
		since = a->born;
	if (since != 0)
		worker_end_if_idle(srv, now - since);
}

/*
 * Waits for a listener, a signal, the parent's end, or, where somebody asked for it, until nothing
 * happened for idle_period.
 */
static int
wait_for_event(struct acceptor *a)
{
	struct tend_server *srv = a->srv;
	double idle = wants_idle_turns(srv) ? srv->settings.value.idle_period : 0;
	int64_t now = idle > 0 ? clock_now() : 0, until;
	int r;

	if (a->active || a->quiet_since == 0)
		a->quiet_since = now;
	a->active = false;
	until = clock_after(a->quiet_since, clock_from_seconds(idle));
	if (!tend_timer_running(&a->in.pause) && (r = inlets_watch(&a->in)) < 0)
		return server_fail(srv, EX_OSERR, r, "cannot watch a listener: %s", error_reason(r));
	if (srv->board != NULL)
		board_say_again(srv->board);
	a->waiting = true;
	r = accept_turn(srv, idle <= 0 ? -1 : until > now ? clock_to_seconds(until - now) : 0);
	a->waiting = false;
	if (r < 0)
		return r;
	/* A signal alone neither is idleness nor puts it off (NW-25, NW-T10). */
	if (idle > 0 && srv->stop == STOP_NOT && (now = clock_now()) >= until) {
		a->quiet_since = now;
		idle_turn(a);
	}
	return 0;
}

/* With turns, only the worker whose turn it is waits for the listeners. */
static int
wait_for_turn(struct acceptor *a)
{
	int r;

	if (a->turns == NULL || a->turns->how == SERIALIZE_NONE)
		return 0;
	r = serialize_wait(a->turns, loop_signal_fd(a->srv->loop));
	if (r == -EINTR)
		return tend_loop_turn(a->srv->loop, 0) < 0 ? -EIO : -EINTR;
	if (r < 0) {
		tend_log(a->srv, TEND_LOG_WARNING,
		    "serialize %s failed: %s; going on without (option serialize)",
		    serialize_name(a->turns->how), error_reason(r));
		a->turns = NULL;
	}
	return 0;
}

static void
pass_turn(struct acceptor *a)
{
	if (a->turns == NULL || a->turns->how == SERIALIZE_NONE)
		return;
	/* Not to be woken for a connection that is another's to take. */
	inlets_ignore(&a->in);
	serialize_pass(a->turns);
}

static int
open_acceptor(struct acceptor *a, struct tend_server *srv, struct serialize *turns)
{
	size_t i;
	int r;

	*a = (struct acceptor){ .srv = srv, .turns = turns, .born = clock_now() };
	r = inlets_open(&a->in, srv, listener_ready, pause_over);
	if (r < 0)
		return r;
	for (i = 0; i < a->in.count; i++)
		a->in.list[i].ready = true;
	drains_init(&a->drains, srv->loop, srv->settings.value.linger_timeout);
	srv->drains = &a->drains;
	serve_open_mood(srv, true);
	return srv->role == ROLE_CHILD ? worker_come_up(srv, &a->lifeline) : 0;
}

/* Clients whose last answer is still on its way are not cut off by our end. */
static void
close_drains(struct acceptor *a)
{
	struct tend_server *srv = a->srv;

	while (srv->stop != STOP_NOW && drains_active(&a->drains) > 0 &&
	    tend_loop_turn(srv->loop, -1) == 0)
		;
	drains_done(&a->drains);
	srv->drains = NULL;
}

static void
close_acceptor(struct acceptor *a)
{
	inlets_ignore(&a->in);
	pass_turn(a);
	close_drains(a);
	tend_watch_stop(&a->lifeline);
	inlets_close(&a->in);
}

static void
serve_taken(struct acceptor *a, const struct inlet *s, int fd, const struct addr *peer)
{
	struct tend_server *srv = a->srv;
	uint32_t place;
	enum tend_refusal why = limits_enter(srv, peer, &place);

	if (why != TEND_REFUSAL_NONE) {
		serve_turn_away(srv, &srv->seat, fd, s->listener, peer, why, &a->drains);
		return;
	}
	if (srv->board != NULL)
		child_busy(srv);
	serve_connection(srv, &srv->seat, fd, s->listener, peer, place);
	if (srv->board != NULL) {
		child_waiting(srv);
		child_title_idle(srv, 0);
	}
	if (srv->policy.worker_idle > 0 || srv->policy.titles)
		a->last_served = clock_now();
}

/* One round: accept and serve, or wait. 0 to go on. */
static int
accept_round(struct acceptor *a)
{
	struct tend_server *srv = a->srv;
	struct inlet *s;
	struct addr peer;
	int fd;

	if (wait_for_turn(a) < 0)
		return 0;
	s = next_ready(a);
	if (s == NULL)
		return wait_for_event(a);
	fd = take(a, s, &peer);
	if (fd < 0)
		return a->broken;
	a->active = true;
	pass_turn(a);
	hope_for_another(a, s);
	look_at_the_others(a, s);
	serve_taken(a, s, fd, &peer);
	/* Signals and timers are looked at when there is one, and now and then in any case. */
	if (loop_signal_seen(srv->loop) || ++a->since_turn % ACCEPT_BATCH == 0)
		return tend_loop_turn(srv->loop, 0) < 0 ? -EIO : 0;
	return 0;
}

/*
 * The kernel may have woken us, and nobody else, for a client in the same turn that told us to end.
 * That one is served.
 */
static void
serve_the_last(struct acceptor *a)
{
	size_t i;

	for (i = 0; i < a->in.count; i++) {
		const struct inlet *s = &a->in.list[i];
		struct addr peer;
		int fd = s->woken ? accept_client(s->listener->fd, &peer) : -EAGAIN;

		if (fd >= 0)
			serve_taken(a, s, fd, &peer);
	}
}

int
accept_loop(struct tend_server *srv, unsigned long max_requests, struct serialize *turns)
{
	struct acceptor a;
	int r = open_acceptor(&a, srv, turns);

	while (r == 0 && srv->stop == STOP_NOT && !restart_is_due(srv) &&
	    (max_requests == 0 || srv->requests < max_requests))
		r = accept_round(&a);
	/* Not at max_requests: another worker takes our place and looks first. Nor when a client told
	   us to retire: nobody has been woken for us since, and one more would be one too many. */
	if (r == 0 && srv->stop == STOP_GRACEFUL && !a.active)
		serve_the_last(&a);
	close_acceptor(&a);
	return r;
}

int
accept_work(struct tend_server *srv, unsigned long max_requests)
{
	struct serialize *turns = &srv->master->turns;
	int r;

	turns->lifeline = srv->lifeline;
	r = serialize_join(turns, &srv->error);
	return r < 0 ? r : accept_loop(srv, max_requests, turns);
}
