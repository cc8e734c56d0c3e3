/* Taking the figures of a running server, and telling them. */
#include <errno.h>
#include <netinet/in.h>
#include <stdio.h>
#include <unistd.h>

#include "base/clock.h"
#include "config.h"
#include "server/control.h"
#include "server/master.h"
#include "server/personality.h"
#include "server/report.h"
#include "server/restart.h"
#include "server/status.h"

const char *
status_count_name(enum ledger_count what)
{
	static const char *const names[LEDGER_COUNTS] = {
		[LEDGER_DENIED_RULES] = "denied_rules",
		[LEDGER_DENIED_SERVICE] = "denied_service",
		[LEDGER_HANDSHAKE_FAILED] = "handshake_failed",
		[LEDGER_TIMED_OUT] = "timed_out",
		[LEDGER_ACCEPT_ERRORS] = "accept_errors",
	};

	return names[what];
}

const char *
status_refusal_name(enum tend_refusal why)
{
	static const char *const names[TEND_REFUSALS] = {
		[TEND_REFUSAL_SERVERS] = "max_servers",
		[TEND_REFUSAL_CONNECTIONS] = "max_connections",
		[TEND_REFUSAL_SOURCE] = "max_per_source",
		[TEND_REFUSAL_RATE] = "source_rate",
	};

	return names[why];
}

/* They were accepted, and no child has them among those it served. */
static void
count_refused(struct tend_server *srv, struct status *s)
{
	enum tend_refusal why;

	for (why = TEND_REFUSAL_NONE + 1; why < TEND_REFUSALS; why++) {
		s->refused[why] = tend_server_refused(srv, why);
		s->accepted += s->refused[why];
	}
}

/* How many lanes there are to be looked at. */
static unsigned
lanes_of(const struct tend_server *srv, const struct child *child)
{
	return srv->lanes != NULL && child->slot != CHILD_WITHOUT_SLOT ? lanes_end_of_use(srv->lanes) : 0;
}

static void
count_threads(struct tend_server *srv, const struct child *child, struct status *s)
{
	unsigned i, n = lanes_of(srv, child);

	for (i = 0; i < n; i++) {
		enum slot_state state = lanes_state(srv->lanes, child->slot, i);

		s->threads_waiting += state == SLOT_WAITING;
		s->threads_busy += state == SLOT_BUSY;
	}
}

static void
count_children(struct tend_server *srv, struct status *s)
{
	const struct children *kids = &srv->master->children;
	struct master_tally t = master_count(srv);
	size_t i;

	s->waiting = t.waiting;
	s->busy = t.busy;
	s->leaving = t.leaving;
	s->dequeue = t.dequeue;
	for (i = 0; i < kids->count; i++) {
		const struct child *child = &kids->list[i];

		if (child->kind == TEND_CHILD_DEQUEUE)
			continue;
		/* Of an earlier image: it finishes, and how many clients it has is not known. */
		if (child->slot == CHILD_WITHOUT_SLOT)
			s->leaving++;
		else
			s->active += board_clients_of(srv->board, child->slot);
		count_threads(srv, child, s);
	}
}

static const char *
why_unready(const struct tend_server *srv, const struct status *s)
{
	if (s->stopping)
		return "the server is stopping";
	if (srv->listener_count == 0)
		return "nothing is listened to";
	/* While workers are replaced those that leave serve still, and clients wait for the next. */
	if ((srv->personality->traits & PERSONALITY_WORKERS) &&
	    s->waiting + s->busy + s->leaving == 0)
		return "no worker is there";
	return NULL;
}

void
status_take(struct tend_server *srv, struct status *into)
{
	enum ledger_count what;

	*into = (struct status){
		.uptime = clock_to_seconds(clock_now() - control_since(srv)),
		.restarted = srv->restart->restarted,
		.stopping = srv->stop != STOP_NOT,
		.accepted = tend_server_served(srv),
	};
	if (srv->master != NULL)
		count_children(srv, into);
	if (srv->personality->servers != NULL)
		into->most = srv->personality->servers(srv);
	for (what = 0; srv->ledger != NULL && what < LEDGER_COUNTS; what++)
		into->counts[what] = ledger_sum(srv->ledger, what);
	if (srv->ledger != NULL)
		ledger_add_traffic(srv->ledger, &into->received, &into->sent);
	if (srv->lanes != NULL)
		lanes_add_traffic(srv->lanes, &into->received, &into->sent);
	count_refused(srv, into);
	into->unready = why_unready(srv, into);
}

static const char *
kind_of(const struct child *child)
{
	static const char *const kinds[] = {
		[TEND_CHILD_FORK] = "child",
		[TEND_CHILD_WORKER] = "worker",
		[TEND_CHILD_DEQUEUE] = "dequeue",
	};

	return kinds[child->kind];
}

static const char *
state_name(enum slot_state state)
{
	static const char *const names[] = {
		[SLOT_FREE] = "unknown",
		[SLOT_WAITING] = "waiting",
		[SLOT_BUSY] = "busy",
		[SLOT_DEQUEUE] = "busy",
		[SLOT_STATES] = "unknown",
	};

	return names[state];
}

static const char *
state_of(struct tend_server *srv, const struct child *child)
{
	if (child->slot == CHILD_WITHOUT_SLOT || child->leaving ||
	    board_is_leaving(srv->board, child->slot))
		return "leaving";
	return state_name(board_state(srv->board, child->slot));
}

static double
seconds_since(int64_t then)
{
	int64_t now = clock_now();

	/* The board's clock is coarse, and a child that ran wild may have written anything there. */
	return then > 0 && then < now ? clock_to_seconds(now - then) : 0;
}

static void
unpack(const struct shown_client *c, char into[ADDR_TEXT_MAX])
{
	struct addr a = { .length = sizeof(a.u) };

	a.u.any.sa_family = c->family;
	if (c->family == AF_INET)
		memcpy(&a.u.v4.sin_addr, c->address, sizeof(a.u.v4.sin_addr));
	else if (c->family == AF_INET6)
		memcpy(&a.u.v6.sin6_addr, c->address, sizeof(a.u.v6.sin6_addr));
	else
		a.length = offsetof(struct sockaddr_un, sun_path);
	addr_set_port(&a, c->port);
	addr_text(&a, into);
}

static void
name_client(const struct shown *s, char into[ADDR_TEXT_MAX])
{
	struct shown_client client;

	if (shown_get(s, &client))
		unpack(&client, into);
}

bool
status_child(struct tend_server *srv, size_t i, struct status_child *into)
{
	const struct child *child;

	if (srv->master == NULL || i >= srv->master->children.count)
		return false;
	child = &srv->master->children.list[i];
	*into = (struct status_child){
		.pid = child->pid,
		.kind = kind_of(child),
		.state = state_of(srv, child),
		.age = seconds_since(child->started),
	};
	/* Of an earlier image no more is known; its age counts from the restart. */
	if (child->slot == CHILD_WITHOUT_SLOT)
		return true;
	into->since = seconds_since(board_since(srv->board, child->slot));
	into->clients = board_clients_of(srv->board, child->slot);
	into->served = board_served_by(srv->board, child->slot);
	if (into->clients > 0 && srv->ledger != NULL)
		name_client(ledger_shown(srv->ledger, child->slot), into->client);
	return true;
}

bool
status_thread(struct tend_server *srv, size_t i, unsigned *lane, struct status_child *into)
{
	const struct child *child = &srv->master->children.list[i];
	unsigned slot = (unsigned)child->slot, n = lanes_of(srv, child);
	enum slot_state state = SLOT_FREE;
	struct lanes *lanes = srv->lanes;

	while (*lane < n && (state = lanes_state(lanes, slot, *lane)) == SLOT_FREE)
		++*lane;
	if (state == SLOT_FREE)
		return false;
	*into = (struct status_child){
		.pid = child->pid,
		.state = state_name(state),
		.age = seconds_since(lanes_born(lanes, slot, *lane)),
		.since = seconds_since(lanes_since(lanes, slot, *lane)),
		.clients = state == SLOT_BUSY,
		.served = lanes_served(lanes, slot, *lane),
	};
	if (into->clients > 0)
		name_client(lanes_shown(lanes, slot, *lane), into->client);
	return true;
}

/* ---- telling them ---- */

static void
tell_server(struct report *rep, struct tend_server *srv, const struct status *s)
{
	report_text(rep, "server", srv->name);
	report_text(rep, "version", TEND_VERSION);
	report_number(rep, "pid", (uint64_t)getpid());
	report_text(rep, "server_type", srv->personality->name);
	report_text(rep, "state", s->stopping ? "stopping" : "serving");
	report_answer(rep, "ready", "unready", s->unready);
	report_seconds(rep, "uptime", s->uptime);
	report_text(rep, "began_by", s->restarted ? "restart" : "start");
	report_number(rep, "log_level", (uint64_t)logger_level(&srv->log));
}

static void
tell_endpoints(struct report *rep, const struct tend_server *srv)
{
	size_t i;

	report_list(rep, "endpoints");
	for (i = 0; i < srv->listener_count; i++) {
		const struct listener *l = &srv->listeners[i];

		report_record(rep, "endpoint");
		report_text(rep, "proto", l->proto);
		report_text(rep, "host", l->transport->traits & TRANSPORT_LOCAL ? NULL : l->host);
		report_text(rep, "service", l->service);
		report_record_end(rep);
	}
	report_list_end(rep);
}

static void
tell_figures(struct report *rep, const struct status *s)
{
	enum ledger_count what;
	enum tend_refusal why;
	char name[64];

	report_number(rep, "max_servers", s->most);
	report_number(rep, "waiting", s->waiting);
	report_number(rep, "busy", s->busy);
	report_number(rep, "leaving", s->leaving);
	report_number(rep, "dequeue", s->dequeue);
	report_number(rep, "threads_waiting", s->threads_waiting);
	report_number(rep, "threads_busy", s->threads_busy);
	report_number(rep, "accepted", s->accepted);
	report_number(rep, "active", s->active);
	for (what = 0; what < LEDGER_COUNTS; what++)
		report_number(rep, status_count_name(what), s->counts[what]);
	report_number(rep, "bytes_received", s->received);
	report_number(rep, "bytes_sent", s->sent);
	for (why = TEND_REFUSAL_NONE + 1; why < TEND_REFUSALS; why++) {
		snprintf(name, sizeof(name), "refused_%s", status_refusal_name(why));
		report_number(rep, name, s->refused[why]);
	}
}

/* A child with what kind it is, or a thread with its number. */
static void
tell_row(struct report *rep, const struct status_child *c, unsigned lane)
{
	report_record(rep, c->kind != NULL ? "child" : "thread");
	report_number(rep, "pid", (uint64_t)c->pid);
	if (c->kind != NULL)
		report_text(rep, "kind", c->kind);
	else
		report_number(rep, "thread", lane);
	report_text(rep, "state", c->state);
	report_seconds(rep, "age", c->age);
	report_seconds(rep, "since", c->since);
	report_number(rep, "clients", c->clients);
	report_number(rep, "served", c->served);
	report_text(rep, "client", c->client[0] != '\0' ? c->client : NULL);
	report_record_end(rep);
}

static void
tell_children(struct report *rep, struct tend_server *srv)
{
	struct status_child c;
	size_t i;

	report_list(rep, "children");
	for (i = 0; status_child(srv, i, &c); i++)
		tell_row(rep, &c, 0);
	report_list_end(rep);
}

static void
tell_threads(struct report *rep, struct tend_server *srv)
{
	struct status_child t;
	unsigned lane;
	size_t i;

	report_list(rep, "threads");
	for (i = 0; srv->lanes != NULL && i < srv->master->children.count; i++)
		for (lane = 0; status_thread(srv, i, &lane, &t); lane++)
			tell_row(rep, &t, lane);
	report_list_end(rep);
}

int
status_tell(struct tend_server *srv, struct buf *into, bool json)
{
	struct report rep;
	struct status s;

	status_take(srv, &s);
	report_begin(&rep, into, json);
	tell_server(&rep, srv, &s);
	tell_endpoints(&rep, srv);
	tell_figures(&rep, &s);
	tell_children(&rep, srv);
	tell_threads(&rep, srv);
	return report_end(&rep);
}
