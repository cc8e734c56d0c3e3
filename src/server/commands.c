/* The verbs of the control socket. */
#include "server/commands.h"

#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/str.h"
#include "server/master.h"
#include "server/metrics.h"
#include "server/personality.h"
#include "server/renewal.h"
#include "server/restart.h"
#include "server/status.h"

static int
out_of_memory(struct error *e)
{
	return error_set(e, EX_OSERR, -ENOMEM, "out of memory");
}

/* ---- looking ---- */

static int
status(struct tend_server *srv, const struct control_line *line, struct buf *out, struct error *e)
{
	bool json = strcmp(line->word, "json") == 0;

	if (!json && line->word[0] != '\0')
		return error_set(e, EX_USAGE, -EINVAL, "status is told as text or as json, not as '%s'",
		    line->word);
	return status_tell(srv, out, json) < 0 ? out_of_memory(e) : 0;
}

static int
metrics(struct tend_server *srv, const struct control_line *line, struct buf *out, struct error *e)
{
	(void)line;
	return metrics_text(srv, out) < 0 ? out_of_memory(e) : 0;
}

static int
get(struct tend_server *srv, const struct control_line *line, struct buf *out, struct error *e)
{
	const char *value = tend_server_get(srv, line->word);
	char *text;
	int r;

	if (value == NULL)
		return error_set(e, EX_USAGE, -ENOENT, "there is no option '%s'", line->word);
	text = malloc(3 * strlen(value) + 1);
	if (text == NULL)
		return out_of_memory(e);
	/* Code may set whatever it likes, and an answer is lines. */
	str_escape(text, 3 * strlen(value) + 1, value, strlen(value));
	r = buf_printf(out, "%s %s\n", line->word, text);
	free(text);
	return r < 0 ? out_of_memory(e) : 0;
}

/* ---- changing ---- */

/*
 * Workers that are there go on with the old value until they are replaced, each after its client, and
 * only so many at a time that the others can do the work.
 */
static void
replace_workers(struct tend_server *srv)
{
	if (srv->master != NULL && (srv->personality->traits & PERSONALITY_WORKERS) != 0)
		master_renew_all(srv);
}

/* The level is a word that all processes share: it counts from the next line on. */
static int
set_log_level(struct tend_server *srv, const char *value, struct error *e)
{
	long level;

	if (str_to_long(value, 0, 4, &level) < 0)
		return error_set(e, EX_USAGE, -EINVAL, "log_level is a number from 0 to 4, not '%s'",
		    value);
	if (tend_server_set(srv, "log_level", value) < 0) {
		*e = srv->error;
		return e->code;
	}
	if (srv->log.live_level != NULL)
		atomic_store(srv->log.live_level, (int)level);
	return 0;
}

static int
set(struct tend_server *srv, const struct control_line *line, struct buf *out, struct error *e)
{
	enum live live = options_live(srv->options, line->word);
	int r;

	(void)out;
	if (strcmp(line->word, "log_level") == 0)
		return set_log_level(srv, line->rest, e);
	if (live == LIVE_UNKNOWN)
		return error_set(e, EX_USAGE, -ENOENT, "there is no option '%s'", line->word);
	if (live == LIVE_NOT)
		return error_set(e, EX_UNAVAILABLE, -EBUSY,
		    "%s cannot change while the server runs; change the conf file and reload",
		    line->word);
	r = tend_server_set(srv, line->word, line->rest);
	if (r < 0) {
		*e = srv->error;
		return r;
	}
	if (live == LIVE_FOR_NEW_WORKERS)
		replace_workers(srv);
	return 0;
}

static int
loglevel(struct tend_server *srv, const struct control_line *line, struct buf *out, struct error *e)
{
	(void)out;
	return set_log_level(srv, line->word, e);
}

/* As so many TTIN or TTOU. */
static int
resize(struct tend_server *srv, const struct control_line *line, struct buf *out, struct error *e)
{
	const struct personality *p = srv->personality;
	long wanted;

	if (p->resize == NULL || p->servers == NULL)
		return error_set(e, EX_UNAVAILABLE, -EINVAL,
		    "server_type %s has no number of servers that could change", p->name);
	if (str_to_long(line->word, 1, (long)master_limit_room(srv), &wanted) < 0)
		return error_set(e, EX_USAGE, -EINVAL,
		    "resize wants a number from 1 to %u (room that was made at the start), not '%s'",
		    master_limit_room(srv), line->word);
	if ((unsigned)wanted != p->servers(srv))
		p->resize(srv, (int)(wanted - (long)p->servers(srv)));
	return buf_printf(out, "max_servers %u\n", p->servers(srv)) < 0 ? out_of_memory(e) : 0;
}

/* ---- the life of the server ---- */

static int
granted(struct tend_server *srv, const struct control_line *line, struct buf *out, struct error *e)
{
	(void)srv;
	(void)line;
	(void)out;
	(void)e;
	return 0;
}

/* As HUP, but where that means less than a new configuration. */
static void
reload(struct tend_server *srv)
{
	if (srv->policy.hup == HUP_RENEWS_WORKERS || srv->policy.hup == HUP_MEANS_NOTHING)
		server_restart(srv, RESTART_RELOAD);
	else
		signals_act(srv, SIGHUP);
}

/* As HUP, but the program is what its file has become since. */
static int
upgrade(struct tend_server *srv, const struct control_line *line, struct buf *out, struct error *e)
{
	(void)line;
	(void)out;
	if (server_restart(srv, RESTART_UPGRADE) == 0)
		return 0;
	*e = srv->restart->refusal;
	return e->code;
}

static void
stop(struct tend_server *srv)
{
	signals_act(srv, SIGTERM);
}

static void
drain(struct tend_server *srv)
{
	signals_act(srv, SIGQUIT);
}

static void
reopen(struct tend_server *srv)
{
	signals_act(srv, SIGUSR1);
}

/* ---- the table ---- */

static int help(struct tend_server *srv, const struct control_line *line, struct buf *out,
	struct error *e);

static const struct command commands[] = {
	{ "status", "[json]", "what the server is doing", status, NULL, false },
	{ "metrics", "", "the same for monitoring, as OpenMetrics", metrics, NULL, false },
	{ "get", "OPTION", "the value of an option", get, NULL, false },
	{ "set", "OPTION VALUE", "changes an option that can change at work", set, NULL, true },
	{ "loglevel", "NUMBER", "set log_level", loglevel, NULL, true },
	{ "resize", "NUMBER", "how many servers there may be", resize, NULL, true },
	{ "reload", "", "a new configuration, as HUP", granted, reload, true },
	{ "upgrade", "", "the program's file becomes the running program", upgrade, NULL, true },
	{ "reopen", "", "opens the log file again, as USR1", granted, reopen, true },
	{ "drain", "", "ends when the clients are served, as QUIT", granted, drain, true },
	{ "stop", "", "ends now, as TERM", granted, stop, true },
	{ "help", "", "this list", help, NULL, false },
};

#define COUNT (sizeof(commands) / sizeof(commands[0]))

static int
help(struct tend_server *srv, const struct control_line *line, struct buf *out, struct error *e)
{
	size_t i;
	int r = 0;

	(void)srv;
	(void)line;
	for (i = 0; r == 0 && i < COUNT; i++)
		r = buf_printf(out, "%s%s%s: %s\n", commands[i].name,
		    commands[i].usage[0] != '\0' ? " " : "", commands[i].usage, commands[i].help);
	return r < 0 ? out_of_memory(e) : 0;
}

/* Do as many words follow as the usage says? Only set takes the rest of the line. */
static bool
fits(const struct command *c, const struct control_line *line)
{
	bool wants_word = c->usage[0] != '\0' && c->usage[0] != '[';
	bool wants_rest = strchr(c->usage, ' ') != NULL;

	if (wants_word && line->word[0] == '\0')
		return false;
	if (c->usage[0] == '\0' && line->word[0] != '\0')
		return false;
	return wants_rest || line->rest[0] == '\0';
}

const struct command *
command_of(const struct control_line *line, struct error *e)
{
	const char *names[COUNT], *nearest;
	size_t i;

	for (i = 0; i < COUNT; i++) {
		names[i] = commands[i].name;
		if (strcmp(line->verb, names[i]) != 0)
			continue;
		if (fits(&commands[i], line))
			return &commands[i];
		error_set(e, EX_USAGE, -EINVAL, "usage: %s%s%s", names[i],
		    commands[i].usage[0] != '\0' ? " " : "", commands[i].usage);
		return NULL;
	}
	nearest = str_nearest(line->verb, names, COUNT);
	error_set(e, EX_USAGE, -EINVAL, "'%.40s' is nothing that can be asked%s%s", line->verb,
	    nearest != NULL ? "; did you mean " : "; help lists what is",
	    nearest != NULL ? nearest : "");
	return NULL;
}
