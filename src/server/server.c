/* The ladder: new, configure, run, free; with errors, the log, and options that are set or asked for. */
#include <errno.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "config/file.h"
#include "loop/loop.h"
#include "server/hooks.h"
#include "server/limits.h"
#include "server/personality.h"
#include "server/restart.h"
#include "server/server.h"
#include "server/supervise.h"
#include "server/trace.h"

#define PAGE ((size_t)4096)
/* Where the hot page's room begins: a loop is before it. */
#define HOT_START ((size_t)LOOP_ROOM)

/* ---- errors ---- */

int
server_fail(struct tend_server *srv, int status, int code, const char *format, ...)
{
	va_list args;

	va_start(args, format);
	error_vset(&srv->error, status, code, format, args);
	va_end(args);
	return code;
}

int
tend_server_fail(struct tend_server *srv, int code, const char *format, ...)
{
	char reason[sizeof(srv->error.text)];
	va_list args;

	va_start(args, format);
	vsnprintf(reason, sizeof(reason), format, args);
	va_end(args);
	/* A code that is no error would let the start go on after its reason was given. */
	if (code >= 0)
		code = -EINVAL;
	/* "Invalid argument" would add nothing to a sentence about a value that is wrong. */
	if (code == -EINVAL)
		return server_fail(srv, EX_CONFIG, code, "%s", reason);
	return server_fail(srv, error_status_of(code), code, "%s: %s", reason, error_reason(code));
}

int
server_new_loop(struct tend_server *srv)
{
	const char *poller = srv->settings.value.poller;
	/* The parent of a child has its own there, which the child may still read. */
	void *memory = srv->role == ROLE_CHILD ? NULL : srv->hot;

	srv->loop = loop_new_at(memory, strcmp(poller, "auto") == 0 ? NULL : poller);
	if (srv->loop == NULL)
		return server_fail(srv, EX_OSERR, -errno,
		    "cannot make an event loop (option poller): %s", error_reason(-errno));
	trace_init(srv, &srv->loop->tracer);
	return 0;
}

void
server_retire(struct tend_server *srv)
{
	enum stop_how not = STOP_NOT;

	if (!atomic_compare_exchange_strong(&srv->stop, &not, STOP_GRACEFUL))
		return;
	/* It may be a thread that says so, while the process waits on its loop. */
	if ((srv->personality->traits & PERSONALITY_THREADS) && srv->loop != NULL)
		tend_loop_wake(srv->loop);
}

void
server_fatal(struct tend_server *srv)
{
	if (srv->hooks->fatal != NULL)
		srv->hooks->fatal(srv, srv->error.text);
	/* On standard error the caller says it: once is enough. */
	if (srv->role == ROLE_CHILD || !logger_is_stderr(&srv->log))
		tend_log(srv, TEND_LOG_ERROR, "%s", srv->error.text);
}

const char *
tend_server_error(const struct tend_server *srv)
{
	return srv != NULL ? srv->error.text : "out of memory";
}

int
tend_server_exit_status(const struct tend_server *srv)
{
	return srv != NULL ? srv->error.status : EX_OSERR;
}

/* ---- life ---- */

static void
log_hook(void *data, enum tend_log_level level, const char *line)
{
	struct tend_server *srv = data;

	srv->hooks->log(srv, level, line);
}

/* Whom a line may be about: the client in the seat of this process. */
static const char *
log_client(void *data)
{
	struct tend_conn *c = &((struct tend_server *)data)->seat.conn;

	return c->open ? tend_peer(c) : NULL;
}

static char *
default_name(void)
{
	return strdup(program_invocation_short_name[0] != '\0' ? program_invocation_short_name
	                                                       : "tend");
}

/* Zeroed memory that begins a page; to be freed with free(). */
static void *
new_page(size_t size)
{
	void *p = aligned_alloc(PAGE, (size + PAGE - 1) / PAGE * PAGE);

	if (p != NULL)
		memset(p, 0, size);
	return p;
}

/* What the hot page had no room for. */
struct lukewarm {
	struct lukewarm *next;
	_Alignas(max_align_t) char memory[];
};

static void *
beside_the_hot_page(struct tend_server *srv, size_t size)
{
	struct lukewarm *l = calloc(1, sizeof(*l) + size);

	if (l == NULL)
		return NULL;
	l->next = srv->lukewarm;
	srv->lukewarm = l;
	return l->memory;
}

void *
server_hot(struct tend_server *srv, size_t size)
{
	size_t rounded = (size + 15) / 16 * 16;
	void *p = srv->hot + srv->hot_used;

	if (rounded < size || rounded > PAGE - srv->hot_used)
		return beside_the_hot_page(srv, size);
	srv->hot_used += rounded;
	memset(p, 0, size);
	return p;
}

void
server_cool(struct tend_server *srv)
{
	struct lukewarm *l;

	while ((l = srv->lukewarm) != NULL) {
		srv->lukewarm = l->next;
		free(l);
	}
	srv->hot_used = HOT_START;
}

struct tend_server *
tend_server_new(const struct tend_service *service)
{
	struct tend_server *srv = new_page(sizeof(*srv));

	if (srv == NULL)
		return NULL;
	srv->service = service;
	srv->hooks = &service->hooks;
	srv->name = service->name != NULL ? strdup(service->name) : default_name();
	srv->null_fd = srv->parent_channel = srv->lifeline = -1;
	srv->kept_stdin = srv->kept_stdout = -1;
	srv->parent = getpid();
	logger_init(&srv->log);
	trace_share(srv, NULL);
	srv->log.client = log_client;
	srv->log.hook_data = srv;
	if (srv->hooks->log != NULL)
		logger_use_hook(&srv->log, log_hook, srv);
	pidfile_init(&srv->pidfile);
	daemonize_init(&srv->daemon);
	conn_init(&srv->seat.conn);
	srv->hot = new_page(PAGE);
	srv->hot_used = HOT_START;
	if (srv->hot == NULL || restart_init(srv) < 0 || supervise_init(srv) < 0 || srv->name == NULL) {
		tend_server_free(srv);
		return NULL;
	}
	srv->log.server = srv->name;
	return srv;
}

void
tend_server_free(struct tend_server *srv)
{
	if (srv == NULL)
		return;
	conn_done(&srv->seat.conn);
	server_cool(srv);
	free(srv->hot);
	access_free(srv->access);
	limits_free(srv);
	free(srv->directory);
	free(srv->came_from);
	endpoints_done(&srv->endpoints);
	options_free(srv->options);
	logger_done(&srv->log);
	restart_done(srv);
	supervise_done(srv);
	free(srv->name);
	free(srv);
}

void
tend_server_arguments(struct tend_server *srv, const char *const *pairs)
{
	if (srv != NULL)
		srv->arguments = pairs;
}

static int
run_configure_hook(struct tend_server *srv)
{
	int r;

	srv->in_configure_hook = true;
	r = hook_start(srv, srv->hooks->configure);
	srv->in_configure_hook = false;
	return r;
}

/* After a return to this image, what it was configured with and not what the file says now. */
static int
read_conf_file(struct tend_server *srv, const char *path)
{
	int kept = inherit_conf(srv, path), r;

	if (kept >= 0)
		r = conf_read(srv->options, kept, path, srv->strict, &srv->error);
	else
		r = options_from_file(srv->options, path, srv->strict, &srv->error);
	/* Also what was handed back: the next image may fail as well. */
	if (r == 0)
		restart_remember_conf(srv, path, kept);
	if (kept >= 0)
		close(kept);
	return r;
}

/* Every source in turn; which one wins is not a matter of order (NS-OPT-08). */
static int
read_sources(struct tend_server *srv, int argc, char **argv)
{
	const struct tend_service *service = srv->service;
	struct options *o = srv->options;
	struct error *e = &srv->error;
	const char *file;
	int r;

	if ((r = options_from_code(o, &service->config, e)) < 0 || (r = run_configure_hook(srv)) < 0)
		return r;
	if (argc > 1 && (r = options_from_command_line(o, argc - 1, argv + 1, &srv->leftovers,
	                     &srv->leftover_count, e)) < 0)
		return r;
	if (srv->arguments != NULL &&
	    (r = options_from_pairs(o, SOURCE_ARGUMENTS, srv->arguments, e)) < 0)
		return r;
	if (service->defaults != NULL &&
	    (r = options_from_pairs(o, SOURCE_DEFAULTS, service->defaults, e)) < 0)
		return r;
	file = options_get(o, "conf_file");
	if (file != NULL && file[0] != '\0') {
		char *path = strdup(file);

		r = path != NULL ? read_conf_file(srv, path) : -ENOMEM;
		free(path);
	}
	return r;
}

int
tend_server_configure(struct tend_server *srv, int argc, char **argv)
{
	int r;

	if (srv == NULL)
		return -ENOMEM;
	error_clear(&srv->error);
	srv->configured = false;
	options_free(srv->options);
	srv->options = NULL;
	r = options_new(&srv->options, srv->service->options, &srv->error);
	if (r == 0)
		r = read_sources(srv, argc, argv);
	if (r == 0)
		r = options_resolve(srv->options, &srv->settings, &srv->error);
	if (r == 0)
		r = lifecycle_check(srv);
	srv->configured = r == 0;
	if (r < 0 && reexec_is_trial())
		reexec_answer(srv->error.text);
	if (r < 0 && srv->hooks->fatal != NULL)
		srv->hooks->fatal(srv, srv->error.text);
	return r;
}

int
tend_server_run(struct tend_server *srv)
{
	int r;

	if (srv == NULL)
		return -ENOMEM;
	if (!srv->configured)
		return srv->error.code < 0 ? srv->error.code
		                           : server_fail(srv, EX_SOFTWARE, -EINVAL,
		                                 "tend_server_run() without tend_server_configure()");
	if (srv->running)
		return server_fail(srv, EX_SOFTWARE, -EBUSY, "the server is running");
	if (reexec_is_trial())
		restart_answer(srv);
	srv->running = true;
	error_clear(&srv->error);
	/* Told to stop in the hook `configure`: there is nothing to begin (NW-20). */
	r = srv->stop == STOP_NOT ? lifecycle_run(srv) : 0;
	srv->running = false;
	/* It ended this run, and no other (NW-19). */
	srv->stop = STOP_NOT;
	return r;
}

/* ---- log ---- */

void
tend_vlog(struct tend_server *srv, enum tend_log_level level, const char *format, va_list args)
{
	logger_vwrite(&srv->log, level, format, args);
}

void
tend_log(struct tend_server *srv, enum tend_log_level level, const char *format, ...)
{
	va_list args;

	va_start(args, format);
	logger_vwrite(&srv->log, level, format, args);
	va_end(args);
}

/* ---- configuration ---- */

/* What the start has used already cannot be changed by being said anew. */
static bool
is_settled(const struct tend_server *srv, const char *name)
{
	static const char *const by_start[] = { "conf_file", "log_file", "log_format", "pid_file",
		"background", "setsid", "syslog_ident", "syslog_logopt", "syslog_facility",
		"syslog_logsock" };
	static const char *const by_binding[] = { "port", "host", "proto", "ipv", "listen",
		"server_type", "personality", "user", "group", "chroot", "serialize", "lock_file",
		"child_communication", "sig_passthrough", "source_prefix_v4", "source_prefix_v6",
		"control", "metrics", "socket_mode", "socket_user", "socket_group", "directory" };
	size_t i;

	for (i = 0; srv->running && i < sizeof(by_start) / sizeof(by_start[0]); i++)
		if (strcmp(name, by_start[i]) == 0)
			return true;
	for (i = 0; srv->bound && i < sizeof(by_binding) / sizeof(by_binding[0]); i++)
		if (strcmp(name, by_binding[i]) == 0)
			return true;
	return false;
}

static int
set_while_running(struct tend_server *srv, const char *name, const char *value)
{
	struct settings before = srv->settings;
	struct error e;
	int r = options_set(srv->options, SOURCE_CODE, "tend_server_set", name, value, &srv->error);

	if (r == 0)
		r = options_resolve(srv->options, &srv->settings, &srv->error);
	if (r == 0)
		r = srv->bound ? lifecycle_refresh(srv) : lifecycle_check(srv);
	if (r == 0)
		return 0;
	/* As if it had never been asked for, in the service's own variables too. */
	e = srv->error;
	options_take_back(srv->options);
	options_resolve(srv->options, &srv->settings, &srv->error);
	srv->settings = before;
	srv->error = e;
	return r;
}

int
tend_server_set(struct tend_server *srv, const char *name, const char *value)
{
	if (srv == NULL)
		return -ENOMEM;
	if (srv->in_configure_hook)
		return options_set(srv->options, SOURCE_CODE, "configure hook", name, value,
		    &srv->error);
	if (!srv->configured)
		return server_fail(srv, EX_SOFTWARE, -EINVAL,
		    "tend_server_set(%s) before tend_server_configure(); use the hook `configure`", name);
	if (is_settled(srv, name))
		return server_fail(srv, EX_SOFTWARE, -EBUSY,
		    "option %s cannot be changed any more: the server has used it", name);
	return set_while_running(srv, name, value);
}

const char *
tend_server_get(struct tend_server *srv, const char *name)
{
	return srv != NULL && srv->options != NULL ? options_get(srv->options, name) : NULL;
}

char **
tend_server_leftovers(struct tend_server *srv, int *count)
{
	static char *none[] = { NULL };

	if (count != NULL)
		*count = srv != NULL ? srv->leftover_count : 0;
	return srv != NULL && srv->leftovers != NULL ? srv->leftovers : none;
}

void
tend_server_dump(struct tend_server *srv, FILE *out)
{
	if (srv != NULL && srv->options != NULL)
		options_dump(srv->options, out);
}

void
tend_server_usage(struct tend_server *srv, FILE *out)
{
	struct error e = { 0 };

	if (srv == NULL)
		return;
	if (srv->options == NULL && options_new(&srv->options, srv->service->options, &e) < 0)
		return;
	options_usage(srv->options, out);
}
