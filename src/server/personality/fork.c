/*
 * Fork: a child for each client. The master accepts and forks, the child serves and exits. At
 * max_servers the master stops accepting: clients wait in the kernel's queue for a child to end.
 */
#include <errno.h>
#include <stdlib.h>
#include <unistd.h>

#include "base/clock.h"
#include "net/accept.h"
#include "net/drain.h"
#include "server/accept.h"
#include "server/child.h"
#include "server/hooks.h"
#include "server/limits.h"
#include "server/personality.h"
#include "server/restart.h"
#include "server/serve.h"

struct gate {
	const struct listener *listener;
	struct tend_watch      watch;
	bool                   ready;
};

/* The listeners as the master of Fork watches them: srv->personality_state. */
struct door {
	struct gate *gates;
	size_t       count;
	bool         open;
	size_t       next; /* where the search for a ready one begins: none may starve */
	int64_t      starved_until;
	int64_t      limit_logged;
	struct drains *drains; /* refused clients on their way out; NULL where none are refused */
};

static void
knock(struct tend_watch *w, unsigned events)
{
	struct gate *g = w->data;

	(void)events;
	g->ready = true;
}

static void
close_door(struct tend_server *srv)
{
	struct door *door = srv->personality_state;
	size_t i;

	for (i = 0; i < door->count; i++)
		tend_watch_stop(&door->gates[i].watch);
	door->open = false;
}

static void
open_door(struct tend_server *srv, int64_t now)
{
	struct door *door = srv->personality_state;
	size_t i;

	if (door->open)
		return;
	door->open = true;
	for (i = 0; i < door->count; i++) {
		struct gate *g = &door->gates[i];
		int r = tend_watch_start(srv->loop, &g->watch, g->listener->fd, TEND_READ);

		if (r < 0) {
			accept_report(srv, g->listener, r);
			door->open = false; /* all are tried again */
			door->starved_until = clock_after(now, clock_from_seconds(ACCEPT_PAUSE));
		}
	}
}

/* The body of a child: the client that the parent has met, and no other (NS-FRK-14). */
static int
serve_guest(struct tend_server *srv, void *data)
{
	const struct door *door = data;
	size_t i;
	int r;

	if (door->drains != NULL)
		drains_leave(door->drains);
	for (i = 0; i < srv->listener_count; i++)
		close(srv->listeners[i].fd);
	srv->listeners_gone = true;
	if (child_hears_signals(srv, TEND_CHILD_FORK) && (r = child_open_loop(srv)) < 0)
		return child_report(srv, r);
	if ((r = hook_child_start(srv, TEND_CHILD_FORK)) < 0)
		return child_report(srv, r);
	child_title(srv, true);
	serve_opened(srv, &srv->seat.conn);
	child_title(srv, false);
	if (srv->loop != NULL)
		tend_loop_turn(srv->loop, 0);
	hook_child_exit(srv, TEND_CHILD_FORK);
	return srv->client_failed ? EX_SOFTWARE : 0;
}

static bool
is_full(struct tend_server *srv)
{
	size_t most = (size_t)srv->settings.value.max_servers, room = master_room(srv);

	return children_serving(&srv->master->children) >= (most < room ? most : room);
}

/* At the limit new clients wait in the queue, unless they are to be told (NS-FRK-11, NW-27). */
static bool
must_wait(struct tend_server *srv)
{
	return is_full(srv) && !srv->policy.refuse_when_full;
}

static void
log_limit(struct tend_server *srv, int64_t now)
{
	struct door *door = srv->personality_state;
	int64_t period = clock_from_seconds(srv->settings.value.check_for_dead);

	if (door->limit_logged != 0 && (period == 0 || now - door->limit_logged < period))
		return;
	door->limit_logged = now;
	tend_log(srv, TEND_LOG_NOTICE, "%d clients are served, new ones %s (option max_servers)",
	    srv->settings.value.max_servers,
	    srv->policy.refuse_when_full ? "are refused" : "wait in the queue");
}

/* For a client that has been accepted: why it is one too many, if it is. */
static enum tend_refusal
find_room(struct tend_server *srv, const struct addr *peer, uint32_t *place, int64_t now)
{
	*place = 0;
	if (!is_full(srv))
		return limits_enter(srv, peer, place);
	log_limit(srv, now);
	return TEND_REFUSAL_SERVERS;
}

/* Accepts from one listener and forks. */
static void
admit(struct tend_server *srv, struct gate *g, int64_t now)
{
	struct door *door = srv->personality_state;
	struct addr peer;
	int fd = accept_client(g->listener->fd, &peer);
	enum tend_refusal why;
	uint32_t place;
	pid_t pid;

	g->ready = false;
	if (fd == -EAGAIN)
		return;
	if (fd < 0) {
		accept_report(srv, g->listener, fd);
		door->starved_until = now + clock_from_seconds(ACCEPT_PAUSE);
		return;
	}
	srv->master->busy_turn = true;
	why = find_room(srv, &peer, &place, now);
	if (why != TEND_REFUSAL_NONE) {
		serve_turn_away(srv, &srv->seat, fd, g->listener, &peer, why, door->drains);
		return;
	}
	serve_meet(srv, fd, g->listener, &peer);
	srv->seat.conn.place = place;
	pid = master_spawn(srv, TEND_CHILD_FORK, 1, serve_guest, door);
	if (pid > 0) {
		limits_hand_over(srv, &srv->seat.conn, pid);
		serve_part(srv);
	} else {
		serve_abandon(srv);
	}
}

/*
 * One client of each listener that has some, in turn; the loop tells again when there are more. That
 * is fair, and asking for another would mostly be in vain: forking takes longer than clients take
 * to come.
 */
static void
admit_waiting(struct tend_server *srv, int64_t now)
{
	struct door *door = srv->personality_state;
	size_t i;

	for (i = 0; i < door->count && !must_wait(srv) && master_may_spawn(srv, now) == 0; i++) {
		struct gate *g = &door->gates[door->next++ % door->count];

		if (g->ready)
			admit(srv, g, now);
	}
}

static int64_t
manage(struct tend_server *srv, int64_t now)
{
	struct door *door = srv->personality_state;
	int64_t pause = master_may_spawn(srv, now);

	if (door->starved_until > now && door->starved_until - now > pause)
		pause = door->starved_until - now;
	if (pause > 0 || must_wait(srv)) {
		close_door(srv);
		if (pause == 0)
			log_limit(srv, now);
		return pause > 0 ? clock_after(now, pause) : CLOCK_NEVER;
	}
	open_door(srv, now);
	admit_waiting(srv, now);
	hook_before_accept(srv);
	if (must_wait(srv) || master_may_spawn(srv, now) > 0 || door->starved_until > now)
		return now;
	return CLOCK_NEVER;
}

static void
resize(struct tend_server *srv, int by)
{
	unsigned most = master_move_limit(srv, by);

	if (most == 0)
		return;
	tend_log(srv, TEND_LOG_INFO, "At most %u clients at once now (option max_servers)", most);
}

static unsigned
servers(struct tend_server *srv)
{
	return (unsigned)srv->settings.value.max_servers;
}

static int
open_drains(struct tend_server *srv, struct door *door)
{
	door->drains = malloc(sizeof(*door->drains));
	if (door->drains == NULL)
		return server_fail(srv, EX_OSERR, -ENOMEM, "out of memory");
	drains_init(door->drains, srv->loop, srv->settings.value.linger_timeout);
	return 0;
}

static int
open_fork(struct tend_server *srv)
{
	struct door *door = srv->personality_state;
	size_t i;
	int r = master_open(srv, (unsigned)srv->settings.value.max_servers);

	if (r < 0)
		return r;
	if ((srv->policy.refuse_when_full || limits_are_set(srv)) && (r = open_drains(srv, door)) < 0)
		return r;
	door->gates = server_hot(srv, srv->listener_count * sizeof(*door->gates));
	if (door->gates == NULL || conn_warm(&srv->seat.conn, !srv->settings.value.no_client_stdout) < 0)
		return server_fail(srv, EX_OSERR, -ENOMEM, "out of memory");
	door->count = srv->listener_count;
	for (i = 0; i < door->count; i++) {
		door->gates[i].listener = &srv->listeners[i];
		tend_watch_init(&door->gates[i].watch, knock, &door->gates[i]);
	}
	return 0;
}

static int
loop(struct tend_server *srv)
{
	const struct door *door = srv->personality_state;
	int r = master_loop(srv);

	/* Nobody is let in any more, and those who knock are no reason to wake. */
	if (r == 0 && restart_is_due(srv))
		close_door(srv);
	/* Refused clients whose farewell is still on its way would be cut off by what follows. */
	while (r == 0 && restart_is_due(srv) && door->drains != NULL && drains_active(door->drains) > 0)
		r = master_turn_until(srv, CLOCK_NEVER);
	return r;
}

static void
close_fork(struct tend_server *srv)
{
	struct door *door = srv->personality_state;

	if (door != NULL) {
		close_door(srv);
		if (door->drains != NULL)
			drains_done(door->drains);
		free(door->drains);
	}
	master_close(srv);
}

static const char *const defaults[] = { "max_servers", "256", NULL };

const struct personality personality_fork = {
	.name = "Fork",
	.traits = PERSONALITY_FORKS,
	.defaults = defaults,
	.state_size = sizeof(struct door),
	.open = open_fork,
	.loop = loop,
	.manage = manage,
	.close = close_fork,
	.resize = resize,
	.servers = servers,
};
