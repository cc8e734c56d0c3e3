/*
 * The two desks of a server. The protocol of the control socket is in tend(7): a line asks, "ok" or
 * "error NUMBER SENTENCE" answers, lines may follow, an empty one ends the answer.
 */
#include "server/control.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/str.h"
#include "server/commands.h"
#include "server/desk.h"
#include "server/metrics.h"
#include "server/personality.h"
#include "server/restart.h"
#include "server/socket_rights.h"

/* A client that watches asks every few seconds. */
#define CONTROL_PATIENCE 60.0
#define METRICS_PATIENCE 10.0
/* More commands than that in one turn are obeyed before their answers leave. */
#define AFTERWARDS 8

struct control {
	struct tend_server *srv;
	int64_t             since;
	struct desk         control, metrics;
	/* What commands do once their answers are on their way. */
	struct tend_later   later;
	void              (*afterwards[AFTERWARDS])(struct tend_server *srv);
	size_t              waiting; /* so many of them */
};

static bool
is_asked_for(const char *option)
{
	return option != NULL && option[0] != '\0';
}

/* ---- answering ---- */

static void
act(struct tend_later *l)
{
	struct control *ctl = l->data;
	size_t i;

	for (i = 0; i < ctl->waiting; i++)
		ctl->afterwards[i](ctl->srv);
	ctl->waiting = 0;
}

static void
say_error(struct desk_client *c, const struct error *e)
{
	char text[2 * sizeof(e->text)];

	/* A value that is quoted may hold anything. */
	str_escape(text, sizeof(text), e->text, strlen(e->text));
	if (buf_printf(&c->out, "error %d %s\n\n", e->status != 0 ? e->status : EX_SOFTWARE, text) < 0)
		c->last = true;
}

/* One who changes something is named in the log, and so is what became of it. */
static void
log_request(struct tend_server *srv, const struct desk_client *c, const char *line,
	const struct error *e)
{
	tend_log(srv, TEND_LOG_NOTICE, "Control: uid %ld, pid %ld: %s%s%s", (long)c->uid,
	    (long)c->pid, line, e != NULL ? ": refused: " : "", e != NULL ? e->text : "");
}

static void
run(struct control *ctl, struct desk_client *c, const struct control_line *line, const char *text)
{
	struct tend_server *srv = ctl->srv;
	struct error e = { 0 };
	const struct command *command = command_of(line, &e);
	int r;

	if (command == NULL) {
		say_error(c, &e);
		return;
	}
	if (buf_append_text(&c->out, "ok\n") < 0) {
		c->last = true;
		return;
	}
	r = command->run(srv, line, &c->out, &e);
	if (command->changes)
		log_request(srv, c, text, r < 0 ? &e : NULL);
	if (r < 0) {
		buf_clear(&c->out);
		say_error(c, &e);
		return;
	}
	if (buf_append(&c->out, "\n", 1) < 0)
		c->last = true;
	if (command->afterwards != NULL) {
		if (ctl->waiting == AFTERWARDS)
			act(&ctl->later);
		ctl->afterwards[ctl->waiting++] = command->afterwards;
		tend_later_start(srv->loop, &ctl->later);
	}
}

/* One line of the input, if a whole one is there. */
static void
answer_line(struct desk_client *c, void *data)
{
	const char *bytes = buf_data(&c->in);
	size_t size = buf_length(&c->in);
	const char *end = memchr(bytes, '\n', size);
	char room[CONTROL_LINE_MAX + 1], text[CONTROL_LINE_MAX + 1];
	struct control_line line;
	struct error e = { 0 };

	if (end == NULL && size <= CONTROL_LINE_MAX)
		return;
	size = end != NULL ? (size_t)(end - bytes) : size;
	if (control_line_parse(&line, room, bytes, size, &e) < 0) {
		say_error(c, &e);
		c->last = end == NULL; /* where the next line begins is not known */
	} else {
		snprintf(text, sizeof(text), "%.*s", (int)size, bytes);
		run(data, c, &line, text);
	}
	buf_consume(&c->in, end != NULL ? size + 1 : size);
}

/* The file's mode keeps others out; this is for a directory or a mode that somebody changed. */
static bool
admit(struct desk_client *c, void *data)
{
	struct control *ctl = data;
	struct error e = { 0 };

	if (c->uid == 0 || c->uid == geteuid())
		return true;
	tend_log(ctl->srv, TEND_LOG_WARNING, "Control: uid %ld, pid %ld is neither root nor ours",
	    (long)c->uid, (long)c->pid);
	error_set(&e, EX_NOPERM, -EPERM, "the control socket is for root and for uid %ld",
	    (long)geteuid());
	say_error(c, &e);
	return false;
}

/* ---- opening ---- */

/* "1", what a key alone is set to: beside the pid file. */
static bool
is_beside_pid_file(const char *option)
{
	return strcmp(option, "1") == 0;
}

int
control_check(struct tend_server *srv)
{
	const struct tend_config *c = &srv->settings.value;

	if (!is_asked_for(c->control) && !is_asked_for(c->metrics))
		return 0;
	if (srv->personality->traits & PERSONALITY_NO_BIND)
		return server_fail(srv, EX_CONFIG, -EINVAL,
		    "the options control and metrics need a server that stays; server_type %s serves "
		    "one client and ends", srv->personality->name);
	if (is_asked_for(c->control) && is_beside_pid_file(c->control) && !is_asked_for(c->pid_file))
		return server_fail(srv, EX_CONFIG, -EINVAL,
		    "control is 1, beside the pid file, and there is no option pid_file; name a path");
	return 0;
}

/* Created for us alone from its first moment: nobody connects before a chmod. */
static int
open_control(struct tend_server *srv, struct control *ctl)
{
	const struct tend_config *config = &srv->settings.value;
	char path[sizeof(((struct sockaddr_un *)0)->sun_path) + 16];
	struct endpoint where = {
		.host = (char *)(uintptr_t)"*",
		.port = path,
		.configured_host = (char *)(uintptr_t)"*",
		.configured_port = path,
		.proto = (char *)(uintptr_t)"unix",
		.backlog = DESK_CLIENTS,
	};
	mode_t before;
	int r;

	if (is_beside_pid_file(config->control))
		snprintf(path, sizeof(path), "%s.control", config->pid_file);
	else
		snprintf(path, sizeof(path), "%s", config->control);
	if (path[0] == '@')
		return server_fail(srv, EX_CONFIG, -EINVAL,
		    "control is '%s', but an abstract socket has no mode that keeps others out; name "
		    "a file", path);
	if (addr_set_path(&where.addr, path) < 0)
		return server_fail(srv, EX_CONFIG, -ENAMETOOLONG,
		    "control: the path '%s' is longer than a socket's can be", path);
	before = umask(S_IXUSR | S_IRWXG | S_IRWXO);
	r = desk_open(&ctl->control, &where, inherit_socket(srv, &where), &srv->error);
	umask(before);
	if (r == 0)
		tend_log(srv, TEND_LOG_NOTICE, "Control socket \"%s\"", path);
	return r;
}

/* Of this machine only, unless an address is named: what is told here is nobody else's business. */
static int
resolve_metrics(struct tend_server *srv, struct endpoints *into)
{
	static const char *const host[] = { "127.0.0.1" }, *const proto[] = { "tcp" },
				 *const ipv[] = { "*" };
	const struct tend_list port = { 1, &srv->settings.value.metrics };
	const struct tend_list hosts = { 1, host }, protos = { 1, proto }, ipvs = { 1, ipv };
	const struct endpoint_config from = {
		.port = &port, .host = &hosts, .proto = &protos, .ipv = &ipvs,
		.backlog = 64, .default_port = "9464", .rights = socket_rights_of(srv),
	};

	return endpoints_resolve(into, &from, NULL, NULL, &srv->error);
}

static int
open_metrics(struct tend_server *srv, struct control *ctl)
{
	struct endpoints list = { NULL, 0 };
	size_t i;
	int r = resolve_metrics(srv, &list);

	for (i = 0; r == 0 && i < list.count; i++) {
		const struct listener *l = &ctl->metrics.listeners[i];

		r = desk_open(&ctl->metrics, &list.list[i], inherit_socket(srv, &list.list[i]),
		    &srv->error);
		if (r == 0 && (l->transport->traits & TRANSPORT_LOCAL))
			tend_log(srv, TEND_LOG_NOTICE, "Metrics on socket \"%s\"", l->service);
		else if (r == 0)
			tend_log(srv, TEND_LOG_NOTICE, "Metrics on http://%s%s%s:%s/metrics",
			    strchr(l->host, ':') != NULL ? "[" : "", l->host,
			    strchr(l->host, ':') != NULL ? "]" : "", l->service);
	}
	endpoints_done(&list);
	return r;
}

static struct control *
control_new(struct tend_server *srv)
{
	struct control *ctl = calloc(1, sizeof(*ctl));

	if (ctl == NULL)
		return NULL;
	ctl->srv = srv;
	ctl->since = clock_now();
	ctl->control = (struct desk){
		.answer = answer_line, .admit = admit, .data = ctl, .patience = CONTROL_PATIENCE,
		.farewell = "error 75 too many ask at the same time; try again\n\n",
	};
	ctl->metrics = (struct desk){
		.answer = metrics_answer, .data = srv, .patience = METRICS_PATIENCE,
		.farewell = METRICS_FAREWELL,
	};
	desk_init(&ctl->control, srv->loop);
	desk_init(&ctl->metrics, srv->loop);
	tend_later_init(&ctl->later, act, ctl);
	return ctl;
}

int
control_open(struct tend_server *srv)
{
	const struct tend_config *c = &srv->settings.value;
	int r = 0;

	if (!is_asked_for(c->control) && !is_asked_for(c->metrics))
		return 0;
	srv->control = control_new(srv);
	if (srv->control == NULL)
		return server_fail(srv, EX_OSERR, -ENOMEM, "out of memory");
	if (is_asked_for(c->control))
		r = open_control(srv, srv->control);
	if (r == 0 && is_asked_for(c->metrics))
		r = open_metrics(srv, srv->control);
	return r;
}

static int
give(struct tend_server *srv, const struct desk *d)
{
	size_t i;
	int r = 0;

	for (i = 0; r == 0 && i < d->count; i++) {
		const struct listener *l = &d->listeners[i];

		if (l->addr.u.any.sa_family == AF_UNIX && l->addr.u.un.sun_path[0] != '\0')
			r = identity_give(&srv->identity, l->service, &srv->error);
	}
	return r;
}

int
control_give(struct tend_server *srv)
{
	int r;

	if (srv->control == NULL)
		return 0;
	r = give(srv, &srv->control->control);
	return r == 0 && socket_rights_of(srv) == NULL ? give(srv, &srv->control->metrics) : r;
}

/* The user that the server has become may have no say in the directory. */
static void
remove_files(struct tend_server *srv, struct desk *d)
{
	size_t i;

	for (i = 0; i < d->count; i++) {
		int r = listener_unlink(&d->listeners[i]);

		if (r < 0)
			tend_log(srv, TEND_LOG_WARNING, "Cannot remove the socket file %s: %s",
			    d->listeners[i].service, error_reason(r));
	}
}

const struct listener *
control_listener(const struct tend_server *srv, size_t i)
{
	const struct control *ctl = srv->control;

	if (ctl == NULL || i >= ctl->control.count + ctl->metrics.count)
		return NULL;
	return i < ctl->control.count ? &ctl->control.listeners[i]
	    : &ctl->metrics.listeners[i - ctl->control.count];
}

void
control_close(struct tend_server *srv)
{
	struct control *ctl = srv->control;

	if (ctl == NULL)
		return;
	tend_later_stop(&ctl->later);
	remove_files(srv, &ctl->control);
	remove_files(srv, &ctl->metrics);
	desk_close(&ctl->control);
	desk_close(&ctl->metrics);
	free(ctl);
	srv->control = NULL;
}

void
control_leave(const struct tend_server *srv)
{
	if (srv->control == NULL)
		return;
	desk_leave(&srv->control->control);
	desk_leave(&srv->control->metrics);
}

int64_t
control_since(const struct tend_server *srv)
{
	return srv->control->since;
}
