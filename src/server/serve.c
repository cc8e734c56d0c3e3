/*
 * One client from accept to close, step by step in the order of the specification (NS-FLW-10 to
 * -13). Blocking personalities call it; who accepted and in which process is their business.
 */
#include "server/serve.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdio_ext.h>
#include <string.h>
#include <unistd.h>

#include "config.h"
#include "loop/loop.h"
#include "net/drain.h"
#include "server/hooks.h"
#include "server/limits.h"
#include "server/lookup.h"
#include "server/personality.h"
#include "server/status.h"

/* ---- standard input and output ---- */

/*
 * Where this process was not made to serve, its own standard input and output are kept, to be given
 * back when the server ends.
 */
static void
keep_stdio(struct tend_server *srv)
{
	if (srv->role != ROLE_PARENT || srv->kept_stdin >= 0)
		return;
	srv->kept_stdin = fcntl(STDIN_FILENO, F_DUPFD_CLOEXEC, 3);
	srv->kept_stdout = fcntl(STDOUT_FILENO, F_DUPFD_CLOEXEC, 3);
}

void
serve_restore_stdio(struct tend_server *srv)
{
	if (srv->kept_stdin >= 0) {
		dup2(srv->kept_stdin, STDIN_FILENO);
		close(srv->kept_stdin);
	}
	if (srv->kept_stdout >= 0) {
		dup2(srv->kept_stdout, STDOUT_FILENO);
		close(srv->kept_stdout);
	}
	srv->kept_stdin = srv->kept_stdout = -1;
}

/*
 * The streams become the connection's own, so that printf and fgets go through its buffers and obey
 * its deadlines. Where they may not be assigned, they keep their descriptors and must not hold what
 * is another's.
 */
static void
bind_streams(struct tend_server *srv, struct tend_conn *c)
{
#if HAVE_ASSIGNABLE_STDIO
	FILE *in, *out;

	if (tend_conn_stdio(c, &in, &out) < 0)
		return;
	srv->own_stdin = stdin;
	srv->own_stdout = stdout;
	stdin = in;
	stdout = out;
#else
	(void)c;
	srv->own_stdin = stdin;
	srv->own_stdout = stdout;
	fflush(stdout);
	__fpurge(stdin);
	clearerr(stdin);
#endif
}

static void
unbind_streams(struct tend_server *srv)
{
#if HAVE_ASSIGNABLE_STDIO
	if (srv->own_stdin != NULL) {
		stdin = srv->own_stdin;
		stdout = srv->own_stdout;
	}
#else
	fflush(stdout);
	__fpurge(stdin);
	clearerr(stdin);
	clearerr(stdout);
#endif
	srv->own_stdin = srv->own_stdout = NULL;
}

/*
 * Descriptors 0 and 1 become the client, so that child programs reach it too (NS-CIO-01). Not for
 * transports whose bytes are not the client's, nor where a process has many clients (MX-117).
 */
static void
bind_stdio(struct tend_server *srv, struct tend_conn *c)
{
	if (srv->settings.value.no_client_stdout || !conn_is_plain(c) ||
	    (srv->personality->traits & PERSONALITY_MANY))
		return;
	keep_stdio(srv);
	if (dup2(c->fd, STDIN_FILENO) < 0 || dup2(c->fd, STDOUT_FILENO) < 0)
		return;
	srv->stdio_bound = true;
	bind_streams(srv, c);
}

/* The null device takes the client's place before the client is let go of (NS-CIO-02). */
static void
unbind_stdio(struct tend_conn *c)
{
	struct tend_server *srv = c->mood->server;

	/* Not a connection that the handler made. */
	if (!srv->stdio_bound || c != &srv->seat.conn)
		return;
	srv->stdio_bound = false;
	unbind_streams(srv);
	dup2(srv->null_fd, STDIN_FILENO);
	dup2(srv->null_fd, STDOUT_FILENO);
}

/*
 * Programs must not speak to the client without its transport. The streams go through the connection and
 * stay, where there are such.
 */
static void
wrapped(struct tend_conn *c)
{
	struct tend_server *srv = c->mood->server;

	if (!srv->stdio_bound || c != &srv->seat.conn)
		return;
	fflush(stdout);
	dup2(srv->null_fd, STDIN_FILENO);
	dup2(srv->null_fd, STDOUT_FILENO);
}

/* Its place is free before it can see the end: it may come again at once. */
static void
let_go(struct tend_conn *c, bool lives_on)
{
	(void)lives_on;
	unbind_stdio(c);
	limits_leave(c->mood->server, c);
}

static void
drain(void *data, int fd)
{
	struct tend_server *srv = data;

	drain_start(srv->drains, fd);
}

/* ---- how calls wait ---- */

/*
 * Who ends after this client does not keep the door open for others, who would wait in vain
 * (NS-SHD-06). The null device takes the number: the loop and the acceptor still know it.
 */
void
serve_let_go_of_listeners(struct tend_server *srv)
{
	size_t i;

	for (i = 0; !srv->listeners_gone && i < srv->listener_count; i++)
		dup3(srv->null_fd, srv->listeners[i].fd, O_CLOEXEC);
	srv->listeners_gone = true;
}

static bool
cancelled(void *data)
{
	struct tend_server *srv = data;

	bool stop = signals_stop_requested(srv);

	/* With child_stop finish nothing but the end of the client ends its handler (NW-62a). */
	if (stop && !(srv->role == ROLE_CHILD && srv->policy.children_finish))
		return true;
	if (stop || signals_retire_requested(srv))
		serve_let_go_of_listeners(srv);
	return false;
}

/* The parent is gone: this client is served to its end, and the port is free for a new server. */
static void
orphaned(void *data)
{
	struct tend_server *srv = data;

	tend_log(srv, TEND_LOG_INFO, "The parent process is gone; leaving after this client");
	serve_let_go_of_listeners(srv);
	if (srv->stop == STOP_NOT)
		srv->stop = STOP_GRACEFUL;
}

/* A handler that waits is well, however long; one that never does is ended (option busy_timeout). */
static void
waits(void *data, bool begins)
{
	struct tend_server *srv = data;

	if (begins)
		board_pause(srv->board);
	else
		board_resume(srv->board);
}

void
serve_watch_loop(struct tend_server *srv)
{
	if (srv->role != ROLE_CHILD || srv->settings.value.busy_timeout <= 0)
		return;
	srv->loop->waits = waits;
	srv->loop->waits_data = srv;
}

static int
wait_watched(struct tend_conn *c, unsigned events, int64_t deadline)
{
	int r;

	waits(c->mood->data, true);
	r = conn_wait_blocking(c, events, deadline);
	waits(c->mood->data, false);
	return r;
}

void
serve_open_mood(struct tend_server *srv, bool interruptible)
{
	bool watched = srv->role == ROLE_CHILD && srv->settings.value.busy_timeout > 0;

	srv->seat.mood = (struct conn_mood){
		.wait = watched ? wait_watched : conn_wait_blocking,
		.waits = watched ? waits : NULL,
		.limits = &srv->limits,
		.server = srv,
		.interrupt_fd = interruptible ? loop_signal_fd(srv->loop) : -1,
		.cancelled = interruptible ? cancelled : NULL,
		.data = srv,
		.lifeline_fd = interruptible ? srv->lifeline : -1,
		.orphaned = orphaned,
		.wrapped = wrapped,
		.closing = let_go,
		.traced = srv->tracing.word,
		.tracer = &srv->tracing.tracer,
		.drain = srv->drains != NULL ? drain : NULL,
	};
	status_open_mood(srv, &srv->seat.mood, true);
}

/* ---- the steps ---- */

/* NS-LOG-21: tools parse this line. */
static void
log_connect(struct tend_server *srv, struct tend_conn *c)
{
	const char *name = tend_peer_name(c);

	if (!logger_wants(&srv->log, TEND_LOG_INFO) ||
	    (srv->personality->traits & PERSONALITY_NO_BIND))
		return;
	if (conn_is_local(c))
		tend_log(srv, TEND_LOG_INFO, "CONNECT %s Socket: \"%s\"", tend_conn_proto(c),
		    tend_conn_service(c));
	else
		tend_log(srv, TEND_LOG_INFO, "CONNECT %s Peer: \"[%s]:%u\"%s%s%s Local: \"[%s]:%u\"",
		    tend_conn_proto(c), tend_peer_host(c), tend_peer_port(c), name != NULL ? " (" : "",
		    name != NULL ? name : "", name != NULL ? ") " : "", tend_local_host(c),
		    tend_local_port(c));
}

/* The name, the rules, then the hook; a denial is always told to the log (NS-ACC-18). */
static bool
is_allowed(struct tend_server *srv, struct tend_conn *c)
{
	const struct tend_hooks *hooks = srv->hooks;
	const char *refusal = lookup_refusal(srv, c);

	if (refusal != NULL) {
		tend_log(srv, TEND_LOG_NOTICE, "Denied %s: %s", tend_peer(c), refusal);
		return false;
	}
	if (srv->access != NULL && !conn_is_local(c)) {
		struct sockaddr_storage peer;
		socklen_t length = tend_peer_sockaddr(c, &peer);
		struct access_verdict v =
		    access_check(srv->access, (struct sockaddr *)&peer, length, tend_peer_name(c));

		if (!v.allowed) {
			status_count(srv, LEDGER_DENIED_RULES);
			tend_log(srv, TEND_LOG_NOTICE, "Denied %s: %s", tend_peer(c), v.reason);
			return false;
		}
	}
	if (hooks->allow != NULL && !hooks->allow(c)) {
		status_count(srv, LEDGER_DENIED_SERVICE);
		tend_log(srv, TEND_LOG_NOTICE, "Denied %s: refused by the service", tend_peer(c));
		return false;
	}
	return true;
}

static void
tell_accepted(struct tend_server *srv, struct tend_conn *c)
{
	log_connect(srv, c);
	if (srv->hooks->accepted != NULL)
		srv->hooks->accepted(c);
}

/* Asks the rules and the hook; a client that is denied hears so. */
static bool
admit(struct tend_server *srv, struct tend_conn *c)
{
	if (is_allowed(srv, c)) {
		c->unknown = false;
		return true;
	}
	/* Its request may be on the way: the farewell must not be lost to a reset. */
	conn_refuse_input(c);
	if (srv->hooks->denied != NULL)
		srv->hooks->denied(c);
	return false;
}

bool
serve_admit(struct tend_server *srv, struct tend_conn *c)
{
	srv->requests++;
	tell_accepted(srv, c);
	return admit(srv, c);
}

void
serve_processed(struct tend_server *srv, struct tend_conn *c, bool allowed)
{
	if (srv->hooks->processed != NULL)
		srv->hooks->processed(c, allowed);
}

/* The middle of a connection: it is accepted and, if its transport wants, shaken hands with. */
static void
serve_client(struct tend_server *srv, struct tend_conn *c)
{
	bool allowed;

	bind_stdio(srv, c);
	lookup_peer(srv, c);
	if (!srv->policy.accepted_in_parent)
		tell_accepted(srv, c);
	allowed = admit(srv, c);
	if (allowed)
		srv->hooks->process(c);
	serve_processed(srv, c, allowed);
}

void
serve_not_shaken(struct tend_server *srv, struct tend_conn *c, int code)
{
	const char *reason = error_reason(code);

	status_count(srv, LEDGER_HANDSHAKE_FAILED);
	tend_log(srv, TEND_LOG_WARNING, "Handshake with %s failed: %s", tend_peer(c), reason);
	if (srv->hooks->tls_failed != NULL)
		srv->hooks->tls_failed(c, reason);
}

void
serve_closed(struct tend_server *srv, struct tend_conn *c)
{
	lookup_cancel(c);
	limits_leave(srv, c);
	status_closed(srv, c);
	if (srv->hooks->closed != NULL)
		srv->hooks->closed(c);
	conn_release(c);
}

void
serve_opened(struct tend_server *srv, struct tend_conn *c)
{
	int64_t began = status_serving(srv, c);
	int r = conn_handshake(c);

	srv->requests++;
	if (r == 0)
		serve_client(srv, c);
	else
		serve_not_shaken(srv, c, r);
	conn_close(c);
	status_took(srv, began);
	serve_closed(srv, c);
}

void
serve_datagram(struct tend_server *srv, struct tend_conn *c, const void *data, size_t size)
{
	int64_t began = status_serving(srv, c);
	bool allowed;

	lookup_peer(srv, c);
	allowed = serve_admit(srv, c);
	if (allowed && srv->hooks->datagram != NULL) {
		if (c->mood->traffic != NULL)
			conn_traffic_add(&c->mood->traffic->received, size);
		srv->hooks->datagram(c, data, size);
	} else if (allowed) {
		srv->hooks->process(c);
	}
	serve_processed(srv, c, allowed);
	conn_close(c);
	status_took(srv, began);
	serve_closed(srv, c);
}

void
serve_connection(struct tend_server *srv, struct seat *seat, int fd, const struct listener *from,
	const struct addr *peer, uint32_t place)
{
	conn_open(&seat->conn, fd, from, peer, &seat->mood);
	seat->conn.place = place;
	serve_opened(srv, &seat->conn);
}

/* ---- in a parent that accepts for its children ---- */

/* Opens the connection for one who waits for nobody: he has others to accept. */
static void
meet(struct tend_server *srv, struct seat *seat, int fd, const struct listener *from,
	const struct addr *peer, enum tend_refusal why)
{
	seat->mood = (struct conn_mood){
		.wait = conn_wait_never,
		.limits = &srv->limits,
		.server = srv,
		.traced = srv->tracing.word,
		.tracer = &srv->tracing.tracer,
		.interrupt_fd = -1,
		.lifeline_fd = -1,
		.traffic = seat->mood.traffic,
	};
	if (seat->mood.traffic == NULL)
		status_open_mood(srv, &seat->mood, false);
	conn_open(&seat->conn, fd, from, peer, &seat->mood);
	seat->conn.refusal = (uint8_t)why;
	if (srv->policy.accepted_in_parent)
		tell_accepted(srv, &seat->conn);
}

void
serve_meet(struct tend_server *srv, int fd, const struct listener *from, const struct addr *peer)
{
	meet(srv, &srv->seat, fd, from, peer, TEND_REFUSAL_NONE);
}

void
serve_part(struct tend_server *srv)
{
	conn_leave(&srv->seat.conn);
	conn_release(&srv->seat.conn);
}

void
serve_abandon(struct tend_server *srv)
{
	conn_leave(&srv->seat.conn);
	limits_leave(srv, &srv->seat.conn);
	if (srv->policy.accepted_in_parent)
		serve_closed(srv, &srv->seat.conn);
	else
		conn_release(&srv->seat.conn);
}

/* ---- clients that are one too many ---- */

/* The hooks `full` and `closed`. The descriptor, on which the farewell has been sent, or -1 when the
   hook closed it. */
static int
say_farewell(struct tend_server *srv, struct tend_conn *c)
{
	int fd;

	if (srv->hooks->full != NULL)
		srv->hooks->full(c);
	fd = c->open ? conn_give_up_fd(c) : -1;
	serve_closed(srv, c);
	return fd;
}

void
serve_turn_away(struct tend_server *srv, struct seat *seat, int fd, const struct listener *from,
	const struct addr *peer, enum tend_refusal why, struct drains *drains)
{
	struct conn_mood mood = seat->mood;

	if (why == TEND_REFUSAL_SERVERS)
		srv->refused_full++;
	/* Nobody has anything to say: a flood of such clients costs an accept and a close each. */
	if (srv->hooks->full == NULL && srv->hooks->closed == NULL &&
	    !srv->policy.accepted_in_parent) {
		close(fd);
		return;
	}
	meet(srv, seat, fd, from, peer, why);
	fd = say_farewell(srv, &seat->conn);
	seat->mood = mood;
	if (fd >= 0 && drains != NULL)
		drain_start(drains, fd);
	else if (fd >= 0 && mood.drain != NULL)
		mood.drain(mood.data, fd);
	else if (fd >= 0)
		close(fd);
}
