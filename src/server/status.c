/* Taking the figures of a running server, and saying them. */
#include "server/status.h"

#include <errno.h>
#include <math.h>
#include <netinet/in.h>
#include <stdio.h>
#include <unistd.h>

#include "base/clock.h"
#include "config.h"
#include "server/control.h"
#include "server/master.h"
#include "server/personality.h"

/* ---- what is put down ---- */

int
status_open(struct tend_server *srv, unsigned slots)
{
	int r;

	if (srv->control == NULL)
		return 0;
	r = ledger_new(&srv->ledger, slots + 1);
	if (r < 0)
		return server_fail(srv, EX_OSERR, r, "cannot make the ledger of %u children: %s",
		    slots, error_reason(r));
	/* The last page is the parent's own. */
	srv->ledger_page = slots;
	srv->log.live_level = ledger_log_level(srv->ledger);
	return 0;
}

void
status_close(struct tend_server *srv)
{
	srv->log.live_level = NULL;
	ledger_free(srv->ledger);
	srv->ledger = NULL;
}

static struct ledger_client
pack(const struct tend_conn *c)
{
	struct ledger_client client = { .family = AF_UNIX };

	if (c->peer.length == 0)
		return client;
	client.family = c->peer.u.any.sa_family;
	if (client.family == AF_INET) {
		client.port = ntohs(c->peer.u.v4.sin_port);
		memcpy(client.address, &c->peer.u.v4.sin_addr, sizeof(c->peer.u.v4.sin_addr));
	} else if (client.family == AF_INET6) {
		client.port = ntohs(c->peer.u.v6.sin6_port);
		memcpy(client.address, &c->peer.u.v6.sin6_addr, sizeof(c->peer.u.v6.sin6_addr));
	}
	return client;
}

static void
unpack(const struct ledger_client *c, char into[ADDR_TEXT_MAX])
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

/* Whoever serves several at once has others than the one seat of a process. */
static bool
is_only_client(const struct tend_server *srv, const struct tend_conn *c)
{
	return c == &srv->seat.conn;
}

int64_t
status_serving(struct tend_server *srv, const struct tend_conn *c)
{
	if (srv->ledger == NULL)
		return 0;
	if (is_only_client(srv, c)) {
		struct ledger_client client = pack(c);

		ledger_show(srv->ledger, srv->ledger_page, &client);
	}
	return srv->settings.value.metrics != NULL ? clock_now() : 0;
}

static void
add_up(struct tend_server *srv, enum ledger_count what, uint64_t *n)
{
	if (*n > 0)
		ledger_add(srv->ledger, srv->ledger_page, what, *n);
	*n = 0;
}

void
status_took(struct tend_server *srv, int64_t began)
{
	if (began != 0)
		ledger_took(srv->ledger, srv->ledger_page, clock_now() - began);
}

/* The counts are those of all connections that share a mood: sooner or later each is put down. */
void
status_closed(struct tend_server *srv, struct tend_conn *c)
{
	if (srv->ledger == NULL)
		return;
	add_up(srv, LEDGER_RECEIVED, &c->mood->received);
	add_up(srv, LEDGER_SENT, &c->mood->sent);
	if (c->timed_out)
		status_count(srv, LEDGER_TIMED_OUT);
	if (is_only_client(srv, c))
		ledger_show(srv->ledger, srv->ledger_page, NULL);
}

/* ---- taking the figures ---- */

const char *
status_count_name(enum ledger_count what)
{
	static const char *const names[LEDGER_COUNTS] = {
		[LEDGER_DENIED_RULES] = "denied_rules",
		[LEDGER_DENIED_SERVICE] = "denied_service",
		[LEDGER_HANDSHAKE_FAILED] = "handshake_failed",
		[LEDGER_TIMED_OUT] = "timed_out",
		[LEDGER_ACCEPT_ERRORS] = "accept_errors",
		[LEDGER_RECEIVED] = "bytes_received",
		[LEDGER_SENT] = "bytes_sent",
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
		.stopping = srv->stop != STOP_NOT,
		.accepted = tend_server_served(srv),
	};
	if (srv->master != NULL)
		count_children(srv, into);
	if (srv->personality->servers != NULL)
		into->most = srv->personality->servers(srv);
	for (what = 0; srv->ledger != NULL && what < LEDGER_COUNTS; what++)
		into->counts[what] = ledger_sum(srv->ledger, what);
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
state_of(struct tend_server *srv, const struct child *child)
{
	if (child->leaving || child->slot == CHILD_WITHOUT_SLOT)
		return "leaving";
	switch (board_state(srv->board, child->slot)) {
	case SLOT_WAITING:
		return "waiting";
	case SLOT_BUSY:
	case SLOT_DEQUEUE:
		return "busy";
	default:
		return "unknown";
	}
}

static double
seconds_since(int64_t then)
{
	int64_t now = clock_now();

	/* The board's clock is coarse, and a child that ran wild may have written anything there. */
	return then > 0 && then < now ? clock_to_seconds(now - then) : 0;
}

bool
status_child(struct tend_server *srv, size_t i, struct status_child *into)
{
	struct ledger_client client;
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
	if (into->clients > 0 && srv->ledger != NULL &&
	    ledger_client(srv->ledger, child->slot, &client))
		unpack(&client, into->client);
	return true;
}

/* ---- as text ---- */

static const char *
host_of(const struct listener *l)
{
	return l->transport->traits & TRANSPORT_LOCAL ? "-" : l->host;
}

static int
text_of_server(struct tend_server *srv, const struct status *s, struct buf *into)
{
	size_t i;
	int r = buf_printf(into, "server %s\nversion %s\npid %ld\nserver_type %s\nstate %s\n",
	    srv->name, TEND_VERSION, (long)getpid(), srv->personality->name,
	    s->stopping ? "stopping" : "serving");

	if (r == 0)
		r = buf_printf(into, "ready %s%s\nuptime %.3f\nlog_level %d\n",
		    s->unready == NULL ? "yes" : "no ", s->unready == NULL ? "" : s->unready,
		    s->uptime, logger_level(&srv->log));
	for (i = 0; r == 0 && i < srv->listener_count; i++) {
		const struct listener *l = &srv->listeners[i];

		r = buf_printf(into, "endpoint %s %s %s\n", l->proto, host_of(l), l->service);
	}
	return r;
}

static int
text_of_figures(const struct status *s, struct buf *into)
{
	enum ledger_count what;
	enum tend_refusal why;
	int r = buf_printf(into,
	    "max_servers %u\nwaiting %u\nbusy %u\nleaving %u\ndequeue %u\naccepted %llu\nactive %llu\n",
	    s->most, s->waiting, s->busy, s->leaving, s->dequeue, (unsigned long long)s->accepted,
	    (unsigned long long)s->active);

	for (what = 0; r == 0 && what < LEDGER_COUNTS; what++)
		r = buf_printf(into, "%s %llu\n", status_count_name(what),
		    (unsigned long long)s->counts[what]);
	for (why = TEND_REFUSAL_NONE + 1; r == 0 && why < TEND_REFUSALS; why++)
		r = buf_printf(into, "refused_%s %llu\n", status_refusal_name(why),
		    (unsigned long long)s->refused[why]);
	return r;
}

int
status_text(struct tend_server *srv, struct buf *into)
{
	struct status s;
	struct status_child c;
	size_t i;
	int r;

	status_take(srv, &s);
	r = text_of_server(srv, &s, into);
	if (r == 0)
		r = text_of_figures(&s, into);
	for (i = 0; r == 0 && status_child(srv, i, &c); i++)
		r = buf_printf(into, "child %ld %s %s %.3f %.3f %u %llu %s\n", (long)c.pid, c.kind,
		    c.state, c.age, c.since, c.clients, (unsigned long long)c.served,
		    c.client[0] != '\0' ? c.client : "-");
	return r;
}

/* ---- as JSON ---- */

static int
json_string(struct buf *into, const char *text)
{
	int r = buf_append(into, "\"", 1);

	for (; r == 0 && *text != '\0'; text++) {
		unsigned char c = (unsigned char)*text;

		if (c < ' ' || c == '"' || c == '\\' || c == 127)
			r = buf_printf(into, "\\u%04x", c);
		else
			r = buf_append(into, text, 1);
	}
	return r == 0 ? buf_append(into, "\"", 1) : r;
}

static int
json_member(struct buf *into, const char *name, const char *text)
{
	int r = buf_printf(into, "\"%s\":", name);

	if (r == 0)
		r = text != NULL ? json_string(into, text) : buf_append_text(into, "null");
	return r == 0 ? buf_append(into, ",", 1) : r;
}

static int
json_of_server(struct tend_server *srv, const struct status *s, struct buf *into)
{
	int r = buf_append(into, "{", 1);

	if (r == 0)
		r = json_member(into, "server", srv->name);
	if (r == 0)
		r = json_member(into, "version", TEND_VERSION);
	if (r == 0)
		r = json_member(into, "server_type", srv->personality->name);
	if (r == 0)
		r = json_member(into, "state", s->stopping ? "stopping" : "serving");
	if (r == 0)
		r = json_member(into, "unready", s->unready);
	return r == 0 ? buf_printf(into, "\"ready\":%s,\"pid\":%ld,\"uptime\":%.3f,\"log_level\":%d,",
	                    s->unready == NULL ? "true" : "false", (long)getpid(), s->uptime,
	                    logger_level(&srv->log))
	              : r;
}

static int
json_of_endpoints(struct tend_server *srv, struct buf *into)
{
	size_t i;
	int r = buf_append_text(into, "\"endpoints\":[");

	for (i = 0; r == 0 && i < srv->listener_count; i++) {
		const struct listener *l = &srv->listeners[i];

		r = buf_append_text(into, i > 0 ? ",{" : "{");
		if (r == 0)
			r = json_member(into, "proto", l->proto);
		if (r == 0)
			r = json_member(into, "host",
			    l->transport->traits & TRANSPORT_LOCAL ? NULL : l->host);
		if (r == 0)
			r = buf_append_text(into, "\"service\":");
		if (r == 0)
			r = json_string(into, l->service);
		if (r == 0)
			r = buf_append(into, "}", 1);
	}
	return r == 0 ? buf_append_text(into, "],") : r;
}

static int
json_of_figures(const struct status *s, struct buf *into)
{
	enum ledger_count what;
	enum tend_refusal why;
	int r = buf_printf(into,
	    "\"max_servers\":%u,\"waiting\":%u,\"busy\":%u,\"leaving\":%u,\"dequeue\":%u,"
	    "\"accepted\":%llu,\"active\":%llu,",
	    s->most, s->waiting, s->busy, s->leaving, s->dequeue, (unsigned long long)s->accepted,
	    (unsigned long long)s->active);

	for (what = 0; r == 0 && what < LEDGER_COUNTS; what++)
		r = buf_printf(into, "\"%s\":%llu,", status_count_name(what),
		    (unsigned long long)s->counts[what]);
	for (why = TEND_REFUSAL_NONE + 1; r == 0 && why < TEND_REFUSALS; why++)
		r = buf_printf(into, "\"refused_%s\":%llu,", status_refusal_name(why),
		    (unsigned long long)s->refused[why]);
	return r;
}

static int
json_of_children(struct tend_server *srv, struct buf *into)
{
	struct status_child c;
	size_t i;
	int r = buf_append_text(into, "\"children\":[");

	for (i = 0; r == 0 && status_child(srv, i, &c); i++) {
		r = buf_append_text(into, i > 0 ? ",{" : "{");
		if (r == 0)
			r = json_member(into, "client", c.client[0] != '\0' ? c.client : NULL);
		if (r == 0)
			r = buf_printf(into, "\"pid\":%ld,\"kind\":\"%s\",\"state\":\"%s\",\"age\":%.3f,"
			    "\"since\":%.3f,\"clients\":%u,\"served\":%llu}", (long)c.pid, c.kind,
			    c.state, c.age, c.since, c.clients, (unsigned long long)c.served);
	}
	return r == 0 ? buf_append_text(into, "]}\n") : r;
}

int
status_json(struct tend_server *srv, struct buf *into)
{
	struct status s;
	int r;

	status_take(srv, &s);
	r = json_of_server(srv, &s, into);
	if (r == 0)
		r = json_of_endpoints(srv, into);
	if (r == 0)
		r = json_of_figures(&s, into);
	return r == 0 ? json_of_children(srv, into) : r;
}
