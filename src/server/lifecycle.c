/*
 * A server's life, from the first check to the last close (NS-FLW-01). Each phase is a row: what it
 * does, and the hook that follows it. All that can be known to be wrong is found by
 * lifecycle_check(), before anything is bound, written or detached.
 */
#include <errno.h>
#include <fcntl.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/clock.h"
#include "loop/loop.h"
#include "process/launch.h"
#include "server/control.h"
#include "server/directory.h"
#include "server/hooks.h"
#include "server/limits.h"
#include "server/lookup.h"
#include "server/personality.h"
#include "server/renewal.h"
#include "server/restart.h"
#include "server/serve.h"
#include "server/socket_rights.h"
#include "server/supervise.h"
#include "server/trace.h"
#include "server/waiter.h"

#define DEFAULT_PORT "20203"

/* ---- what can be known beforehand ---- */

/* The first of server_type that this build has (NS-MTY-01 to -03). */
static int
choose_personality(struct tend_server *srv)
{
	const struct tend_list *types = &srv->settings.server_type;
	const char *nearest = NULL, *waiter = waiter_personality(srv);
	size_t i;

	if (waiter != NULL && options_source(srv->options, "server_type") == SOURCE_BUILT_IN) {
		const char *const pair[] = { "server_type", waiter, NULL };

		srv->personality = personality_find(waiter, NULL);
		return options_set_defaults(srv->options, pair);
	}
	for (i = 0; i < types->count; i++) {
		srv->personality = personality_find(types->items[i], &nearest);
		if (srv->personality != NULL)
			return 0;
		tend_log(srv, TEND_LOG_WARNING, "server_type %s is not part of this build",
		    types->items[i]);
	}
	return server_fail(srv, EX_CONFIG, -EINVAL,
	    "server_type '%s' is not part of this build, which has %s%s%s%s",
	    options_get(srv->options, "server_type"), personality_names(),
	    nearest != NULL ? "; did you mean " : "", nearest != NULL ? nearest : "",
	    nearest != NULL ? "?" : "");
}

static int
parse_passthrough(struct tend_server *srv)
{
	const struct tend_list *list = &srv->settings.sig_passthrough;
	size_t i;

	srv->passthrough_count = 0;
	for (i = 0; i < list->count && i < SERVER_SIGNALS_MAX / 2; i++) {
		int signo = signals_number(list->items[i]);

		if (signo == 0)
			return server_fail(srv, EX_CONFIG, -EINVAL,
			    "sig_passthrough: there is no signal '%s'", list->items[i]);
		srv->passthrough[srv->passthrough_count++] = signo;
	}
	return 0;
}

static void
take_limits(struct tend_server *srv)
{
	const struct tend_config *c = &srv->settings.value;

	srv->limits = (struct conn_limits){
		.handshake = clock_from_seconds(c->handshake_timeout),
		.first_byte = clock_from_seconds(c->first_byte_timeout),
		.idle = clock_from_seconds(c->idle_timeout),
		.total = clock_from_seconds(c->connection_timeout),
		.linger = clock_from_seconds(c->linger_timeout),
		.max_line = (size_t)c->max_line,
		.max_output = (size_t)c->max_output,
	};
}

static void
take_policy(struct tend_server *srv)
{
	const struct tend_config *c = &srv->settings.value;

	srv->policy = (struct policy){
		.refuse_when_full = strcasecmp(c->full, "refuse") == 0,
		.grow_by_tenth = strcasecmp(c->growth, "tenth") == 0,
		.children_finish = strcasecmp(c->child_stop, "finish") == 0,
		.hup = signals_hup_means(c->hup),
		/* Only Fork's parent meets its clients (NW-44). */
		.accepted_in_parent = c->accepted_in_parent &&
		    (srv->personality->traits & PERSONALITY_FORKS) &&
		    !(srv->personality->traits & PERSONALITY_WORKERS),
		.titles = c->process_titles,
		.unused_retire_too = c->worker_idle_unused,
		.leave_strangers = strcasecmp(c->strangers, "leave") == 0,
		.worker_idle = clock_from_seconds(c->worker_idle_timeout),
	};
	lookup_configure(srv);
}

static int
check_access(struct tend_server *srv)
{
	const struct settings *s = &srv->settings;
	struct access *fresh;
	int r = access_new(&fresh, &s->allow, &s->deny, &s->cidr_allow, &s->cidr_deny, &srv->error);

	/* A server at work that is told nonsense goes on with the rules that it has. */
	if (r < 0)
		return r;
	access_free(srv->access);
	srv->access = access_is_open(fresh) ? NULL : fresh;
	if (srv->access == NULL)
		access_free(fresh);
	return 0;
}

static int
check_identity(struct tend_server *srv)
{
	const struct tend_config *c = &srv->settings.value;
	int r = identity_lookup(&srv->identity, c->user, c->group, &srv->error);

	if (r == 0 && c->chroot != NULL && c->chroot[0] != '\0')
		r = privileges_check_root(c->chroot, &srv->error);
	return r;
}

static struct log_options
log_options(struct tend_server *srv)
{
	const struct tend_config *c = &srv->settings.value;
	bool ident_said = options_source(srv->options, "syslog_ident") != SOURCE_BUILT_IN;

	return (struct log_options){
		.file = c->log_file,
		.format = c->log_format,
		.ident = c->syslog_ident,
		.facility = c->syslog_facility,
		.logopt = c->syslog_logopt,
		.logsock = c->syslog_logsock,
		.identifier = ident_said ? c->syslog_ident : srv->name,
	};
}

static int
check_log(struct tend_server *srv)
{
	struct log_options o = log_options(srv);

	return logger_check(&o, &srv->error);
}

/* The handler that this personality needs. */
static int
check_hooks(struct tend_server *srv)
{
	/* Whether `datagram` will do for all endpoints is seen when they are known. */
	if (srv->hooks->process != NULL || ((srv->personality->traits & PERSONALITY_EVENTED) &&
	        (srv->hooks->readable != NULL || srv->hooks->datagram != NULL)))
		return 0;
	return server_fail(srv, EX_SOFTWARE, -EINVAL,
	    "the service %s has no hook `process`, which server_type %s needs", srv->name,
	    srv->personality->name);
}

/* What a child says of the level for itself is stronger than what all were told. */
static void
take_log_level(struct tend_server *srv)
{
	int level = srv->settings.value.log_level;

	if (level != srv->log.level && srv->role == ROLE_CHILD)
		srv->log.live_level = NULL;
	srv->log.level = level;
}

int
lifecycle_refresh(struct tend_server *srv)
{
	int r = 0;

	take_policy(srv);
	take_limits(srv);
	take_log_level(srv);
	trace_refresh(srv);
	if (srv->personality->prepare != NULL)
		r = srv->personality->prepare(srv);
	if (r == 0)
		r = renewal_check(srv);
	if (r == 0)
		r = limits_refresh(srv);
	return r == 0 ? check_access(srv) : r;
}

int
lifecycle_check(struct tend_server *srv)
{
	static int (*const checks[])(struct tend_server *) = {
		check_hooks, parse_passthrough, check_access, limits_check, check_identity,
		socket_rights_check, directory_check, renewal_check, check_log, control_check,
	};
	size_t i;
	int r = choose_personality(srv);

	if (r == 0 && srv->personality->defaults != NULL)
		r = options_set_defaults(srv->options, srv->personality->defaults);
	if (r == 0)
		r = waiter_translate(srv);
	if (r == 0)
		r = options_resolve(srv->options, &srv->settings, &srv->error);
	if (r < 0)
		return r;
	take_policy(srv);
	take_limits(srv);
	trace_refresh(srv);
	if (srv->personality->prepare != NULL)
		r = srv->personality->prepare(srv);
	for (i = 0; r == 0 && i < sizeof(checks) / sizeof(checks[0]); i++)
		r = checks[i](srv);
	return r;
}

/* ---- phases ---- */

static bool
is_inet(const struct tend_server *srv)
{
	return srv->personality->traits & PERSONALITY_NO_BIND;
}

static int
open_streams(struct tend_server *srv)
{
	int r = stdio_sanitize(&srv->error);

	/* Before the first line of log: its reader may be gone. */
	signals_ignore_pipe(srv);
	if (r < 0)
		return r;
	/* For the whole life: a chroot may have no null device (NS-DMN-18). */
	srv->null_fd = open("/dev/null", O_RDWR | O_CLOEXEC);
	if (srv->null_fd < 0)
		return server_fail(srv, EX_OSERR, -errno, "cannot open /dev/null: %s",
		    error_reason(-errno));
	return 0;
}

static int
open_log(struct tend_server *srv)
{
	struct log_options o = log_options(srv);
	int r;

	srv->log.level = srv->settings.value.log_level;
	r = logger_open(&srv->log, &o, &srv->error);
	return r < 0 ? inherit_log(srv, o.file, r) : 0;
}

static int
lock_pid_file(struct tend_server *srv)
{
	const char *path = srv->settings.value.pid_file;
	pid_t stale = 0;
	int r;

	if (inherit_pid_file(srv, path) || path == NULL || path[0] == '\0')
		return 0;
	r = pidfile_open(&srv->pidfile, path, &stale, &srv->error);
	if (r == 0 && stale > 0)
		tend_log(srv, TEND_LOG_WARNING,
		    "pid_file %s names process %ld, which is not its server any more; taking it over", path, (long)stale);
	return r;
}

/* Errors are in the log as well: nobody would see them twice. */
static void
stderr_to_log(struct tend_server *srv)
{
	dup2(srv->log.fd, STDERR_FILENO);
	srv->caller_told = true;
}

/* Without a log and without anybody at standard error, what ends the server is told to syslog. */
static void
keep_errors(struct tend_server *srv)
{
	struct log_options o = log_options(srv);

	logger_keep_errors(&srv->log, &o);
}

/*
 * NS-DMN-01 to -04: the table of standard streams. In the foreground standard error stays the
 * caller's until get_ready(), to say why a start failed.
 */
static int
detach(struct tend_server *srv)
{
	const struct tend_config *c = &srv->settings.value;
	bool to_file = srv->log.path != NULL;
	bool has_log = c->log_file != NULL && c->log_file[0] != '\0';
	int r = 0;

	if ((c->setsid || has_log) && !is_inet(srv))
		r = stdio_to_null(false, &srv->error);
	if (r == 0 && (c->setsid || c->background) && !is_inet(srv) && !inherit_is_pending(srv)) {
		r = daemonize_fork(&srv->daemon, c->setsid, &srv->error);
		srv->parent = getpid();
		launch_passed_on();
		if (r == 0)
			tend_log(srv, TEND_LOG_NOTICE, "Process Backgrounded");
	}
	if (r < 0)
		return r;
	if (to_file) {
		if (is_inet(srv) || srv->daemon.ready_fd >= 0)
			stderr_to_log(srv);
	} else if (c->setsid) {
		if (!has_log && srv->hooks->log == NULL)
			keep_errors(srv);
		r = stdio_to_null(true, &srv->error);
	}
	return r;
}

/* From here on signals are events: one that comes during the start ends it in order (NS-SIG-06). */
static int
listen_to_signals(struct tend_server *srv)
{
	int r = server_new_loop(srv);

	if (r == 0)
		r = signals_open_parent(srv);
	inherit_signals(srv);
	return r < 0 ? r : supervise_open(srv);
}

static int
write_pid_file(struct tend_server *srv)
{
	if (srv->restart->pid_file_kept)
		return 0;
	return srv->pidfile.fd >= 0 ? pidfile_write(&srv->pidfile, &srv->error) : 0;
}

static void
note(void *data, const char *text)
{
	tend_log(data, TEND_LOG_NOTICE, "%s", text);
}

static int
announce(struct tend_server *srv)
{
	options_notes(srv->options, note, srv);
	if (!is_inet(srv))
		tend_log(srv, TEND_LOG_NOTICE, "%s (type %s) starting! pid(%ld)", srv->name,
		    srv->personality->name, (long)getpid());
	return 0;
}

/* Does anybody serve what comes there? */
static int
check_endpoint(struct tend_server *srv, const struct endpoint *ep)
{
	const struct tend_hooks *h = srv->hooks;
	const struct tend_transport *t = transport_find(ep->proto);
	bool datagram = t != NULL && (t->traits & TRANSPORT_DATAGRAM) != 0;

	if (datagram && !(srv->personality->traits & PERSONALITY_EVENTED))
		return server_fail(srv, EX_CONFIG, -EPROTONOSUPPORT,
		    "proto %s of port '%s' is served under server_type Multiplex only, and this is %s",
		    ep->proto, ep->configured_port, srv->personality->name);
	if (h->process != NULL || (datagram ? h->datagram != NULL : h->readable != NULL))
		return 0;
	return server_fail(srv, EX_CONFIG, -EINVAL,
	    "nobody serves proto %s of port '%s': the service %s has no hook `%s` and no `process`",
	    ep->proto, ep->configured_port, srv->name, datagram ? "datagram" : "readable");
}

static int
resolve(struct tend_server *srv, endpoint_note_fn fn)
{
	struct settings *s = &srv->settings;
	struct endpoint_config from = {
		.port = &s->port,
		.host = &s->host,
		.proto = &s->proto,
		.ipv = &s->ipv,
		.listen_at = srv->service->config.listen_at,
		.backlog = s->value.listen,
		.default_port = DEFAULT_PORT,
		.rights = socket_rights_of(srv),
	};
	size_t i;
	int r;

	/* NS-BND-09 */
	if (from.listen_at == NULL && s->port.count == 0)
		from.listen_at = supervise_endpoints(srv);
	endpoints_done(&srv->endpoints);
	r = endpoints_resolve(&srv->endpoints, &from, fn, srv, &srv->error);
	for (i = 0; r == 0 && i < srv->endpoints.count; i++)
		r = check_endpoint(srv, &srv->endpoints.list[i]);
	return r;
}

static int
find_endpoints(struct tend_server *srv)
{
	return is_inet(srv) ? 0 : resolve(srv, note);
}

static int
bind_endpoints(struct tend_server *srv)
{
	return is_inet(srv) ? 0 : lifecycle_bind(srv);
}

/* What the new identity must be able to open or remove later (NS-DMN-12). */
static int
give_files(struct tend_server *srv)
{
	const struct identity *id = &srv->identity;
	/* Where anything is asked of socket files they have got it when they were bound. */
	size_t count = socket_rights_of(srv) == NULL ? srv->listener_count : 0, i;
	int r = 0;

	for (i = 0; r == 0 && i < count; i++) {
		const struct listener *l = &srv->listeners[i];

		if (!l->passed && listener_file(l) != NULL)
			r = identity_give(id, l->service, &srv->error);
	}
	/* Not the pid file: who can write it chooses whom a stop script of root's will kill. It is
	   emptied through its open descriptor. */
	if (r == 0 && srv->log.path != NULL)
		r = identity_give(id, srv->log.path, &srv->error);
	return r == 0 ? control_give(srv) : r;
}

static void
log_identity(struct tend_server *srv)
{
	const struct identity *id = &srv->identity;
	/* Root is worth a warning; anybody else is who he is. */
	enum tend_log_level level = geteuid() == 0 ? TEND_LOG_WARNING : TEND_LOG_INFO;

	if (id->set_group)
		tend_log(srv, TEND_LOG_NOTICE, "Setting gid to \"%ld\" and %zu groups", (long)id->gid,
		    id->group_count);
	else
		tend_log(srv, level, "Group Not Defined. Keeping gid %ld (option group)",
		    (long)getegid());
	if (id->set_user)
		tend_log(srv, TEND_LOG_NOTICE, "Setting uid to \"%ld\"", (long)id->uid);
	else
		tend_log(srv, level, "User Not Defined. Keeping uid %ld (option user)",
		    (long)geteuid());
}

static int
drop_privileges(struct tend_server *srv)
{
	const char *root = srv->settings.value.chroot;
	int r = give_files(srv);

	if (r == 0 && root != NULL && root[0] != '\0') {
		r = privileges_change_root(root, &srv->error);
		if (r == 0) {
			logger_enter_root(&srv->log, root);
			tend_log(srv, TEND_LOG_NOTICE, "Chrooting to %s", root);
		}
	}
	if (r < 0)
		return r;
	log_identity(srv);
	r = privileges_drop(&srv->identity, &srv->error);
	srv->requests = 0;
	if (r == 0)
		restart_announce(srv);
	return r;
}

static int
open_personality(struct tend_server *srv)
{
	const struct personality *p = srv->personality;
	int r;

	if (p->state_size > 0) {
		srv->personality_state = server_hot(srv, p->state_size);
		if (srv->personality_state == NULL)
			return server_fail(srv, EX_OSERR, -ENOMEM, "out of memory");
	}
	r = p->open != NULL ? p->open(srv) : 0;
	return r == 0 && !is_inet(srv) ? limits_open(srv) : r;
}

static void
close_personality(struct tend_server *srv)
{
	if (srv->personality->close != NULL)
		srv->personality->close(srv);
	srv->personality_state = NULL;
	server_cool(srv);
	limits_close(srv);
}

static int
get_ready(struct tend_server *srv)
{
	if (srv->log.path != NULL)
		stderr_to_log(srv);
	daemonize_ready(&srv->daemon);
	if (!inherit_is_pending(srv))
		supervise_ready(srv, "Serving");
	/* Who has a master settles when its children can take the place of the old ones. */
	if (!(srv->personality->traits & PERSONALITY_FORKS))
		inherit_settle(srv);
	return 0;
}

static int
loop(struct tend_server *srv)
{
	int r = srv->personality->loop(srv);

	while (r == 0 && restart_is_due(srv)) {
		restart_execute(srv);
		r = srv->personality->loop(srv);
	}
	return r;
}

#define HOOK(name) offsetof(struct tend_hooks, name)
#define NO_HOOK SIZE_MAX

static const struct phase {
	int (*enter)(struct tend_server *srv);
	size_t hook; /* follows it */
} phases[] = {
	{ open_streams, NO_HOOK },
	{ open_log, NO_HOOK },
	{ lock_pid_file, NO_HOOK },
	{ detach, NO_HOOK },
	{ listen_to_signals, NO_HOOK },
	{ write_pid_file, HOOK(configured) },
	{ announce, NO_HOOK },
	{ find_endpoints, NO_HOOK },
	{ bind_endpoints, HOOK(bound) },
	{ control_open, NO_HOOK },
	{ drop_privileges, NO_HOOK },
	{ open_personality, NO_HOOK },
	{ directory_enter, HOOK(ready) },
	{ get_ready, NO_HOOK },
	{ loop, NO_HOOK },
};

static int
run_hook_at(struct tend_server *srv, size_t offset)
{
	int (*hook)(struct tend_server *);

	if (offset == NO_HOOK)
		return 0;
	memcpy(&hook, (const char *)srv->hooks + offset, sizeof(hook));
	return hook_start(srv, hook);
}

/* ---- the end ---- */

void
lifecycle_begin_close(struct tend_server *srv)
{
	if (srv->closing)
		return;
	srv->closing = true;
	/* Net::Waiter tells of no end where it has not told of a beginning (NW-15). */
	srv->end_untold = waiter_personality(srv) != NULL && srv->listener_count == 0;
	if (!srv->end_untold)
		hook_parent(srv, srv->hooks->stopping);
	tend_log(srv, TEND_LOG_NOTICE, "Server closing!");
	supervise_stopping(srv);
}

static void
close_all(struct tend_server *srv)
{
	struct error e = { 0 };

	lifecycle_begin_close(srv);
	if (!srv->end_untold)
		hook_parent(srv, srv->hooks->children_gone);
	close_personality(srv);
	lookup_close(srv);
	restart_close(srv);
	inherit_close(srv);
	/* Before the pid file: a script that starts the next server when it is gone finds the ports
	   free. */
	lifecycle_close_listeners(srv);
	control_close(srv);
	if (srv->pidfile.fd >= 0 && pidfile_remove(&srv->pidfile, &e) < 0)
		tend_log(srv, TEND_LOG_WARNING, "%s", e.text);
	pidfile_close(&srv->pidfile);
	endpoints_done(&srv->endpoints);
	conn_done(&srv->seat.conn);
	supervise_close(srv);
	if (srv->loop != NULL) {
		signals_close(srv);
		tend_loop_free(srv->loop);
		srv->loop = NULL;
	}
	serve_restore_stdio(srv);
	if (srv->null_fd >= 0)
		close(srv->null_fd);
	srv->null_fd = -1;
	directory_leave(srv);
	signals_restore_pipe(srv);
}

/* The launcher prints the sentence as it is: with the name that it would have had here. */
static void
tell_launcher(struct tend_server *srv)
{
	struct error e = srv->error;

	error_set(&e, e.status, e.code, "%s: %s", srv->name, srv->error.text);
	if (srv->daemon.ready_fd >= 0)
		srv->caller_told = true;
	daemonize_failed(&srv->daemon, &e);
}

/* TERM, INT or QUIT during the start: nothing was served, so there is nothing to finish. */
static bool
is_over(struct tend_server *srv)
{
	if (srv->stop == STOP_NOT && srv->loop != NULL &&
	    (signals_stop_requested(srv) || loop_signal_pending(srv->loop, SIGQUIT)))
		srv->stop = STOP_NOW;
	return srv->stop != STOP_NOT;
}

int
lifecycle_run(struct tend_server *srv)
{
	size_t i;
	int r = 0;

	srv->stop = STOP_NOT;
	srv->closing = srv->bound = false;
	srv->caller_told = false;
	srv->listeners_gone = false;
	srv->parent = getpid();
	inherit_receive(srv);
	r = supervise_receive(srv);
	for (i = 0; r == 0 && !is_over(srv) && i < sizeof(phases) / sizeof(phases[0]); i++) {
		r = phases[i].enter(srv);
		if (r == 0)
			r = run_hook_at(srv, phases[i].hook);
	}
	if (r < 0 && srv->stop == STOP_NOT)
		inherit_go_back(srv, srv->error.text);
	if (r < 0)
		server_fatal(srv);
	close_all(srv);
	/* The last act: whoever waits may try again at once, and must find nothing in his way. */
	if (r < 0)
		tell_launcher(srv);
	else
		daemonize_ready(&srv->daemon);
	return r;
}

int
tend_server_check(struct tend_server *srv)
{
	int r;

	if (srv == NULL)
		return -ENOMEM;
	if (!srv->configured)
		return srv->error.code < 0 ? srv->error.code : -EINVAL;
	if (is_inet(srv))
		return 0;
	r = resolve(srv, NULL);
	endpoints_done(&srv->endpoints);
	return r;
}
