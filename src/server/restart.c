/*
 * The image that goes. A new configuration or program is first tried in a child, while this image
 * serves; only when the child says that it would start is it executed. From then on there is always
 * somebody who listens: the sockets stay open, and workers go on accepting until they are told that
 * their successors have come.
 */
#include "server/restart.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/auxv.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/str.h"
#include "process/launch.h"
#include "server/control.h"
#include "server/directory.h"
#include "server/hooks.h"
#include "server/master.h"
#include "server/personality.h"
#include "server/serve.h"
#include "server/supervise.h"

/* A trial looks up host names and reads files: longer than that it hangs. */
#define TRIAL_SECONDS 60.0
#define CONF_LIMIT (16L << 20)

static void trial_is_late(struct tend_timer *t);

int
restart_init(struct tend_server *srv)
{
	struct restart *rs = calloc(1, sizeof(*rs));

	if (rs == NULL)
		return -ENOMEM;
	rs->answer = rs->noise = -1;
	tend_timer_init(&rs->limit, trial_is_late, srv);
	srv->restart = rs;
	return 0;
}

void
restart_done(struct tend_server *srv)
{
	struct restart *rs = srv->restart;

	if (rs == NULL)
		return;
	free(rs->conf_path);
	free(rs->conf_text);
	free(rs);
	srv->restart = NULL;
}

/* ---- is it possible? ---- */

static bool
has_root_of_its_own(const struct tend_server *srv)
{
	const char *root = srv->settings.value.chroot;

	return root != NULL && root[0] != '\0';
}

/* Why this server cannot be restarted in place; NULL: it can. */
static const char *
obstacle(const struct tend_server *srv)
{
	const struct launch *l = launch_get();

	if (srv->personality->traits & PERSONALITY_NO_BIND)
		return "it serves one client only";
	if (has_root_of_its_own(srv))
		return "the program is outside of its chroot";
	if (l == NULL || l->program == NULL)
		return "the path of its program is not known";
	if (directory_bars_restart(srv))
		return "it cannot go back to the directory of its start";
	if (l->pid != getpid())
		return "its process was forked by a program that goes on differently";
	if (srv->restart->run > 0)
		return "it is not the first server of its process";
	if (getauxval(AT_SECURE))
		return "its program has privileges of its own";
	return NULL;
}

void
restart_announce(struct tend_server *srv)
{
	const char *conf = options_get(srv->options, "conf_file");

	if (srv->policy.hup != HUP_RESTARTS || (srv->personality->traits & PERSONALITY_NO_BIND))
		return;
	if (has_root_of_its_own(srv))
		tend_log(srv, TEND_LOG_NOTICE, "Signal HUP will not restart: %s (option chroot)",
		    obstacle(srv));
	else if (directory_bars_restart(srv))
		tend_log(srv, TEND_LOG_NOTICE,
		    "Signal HUP will not restart: %s; start it in one that its user may enter (options "
		    "directory, user)", obstacle(srv));
	else if (conf != NULL && conf[0] != '\0' && access(conf, R_OK) < 0)
		tend_log(srv, TEND_LOG_NOTICE,
		    "Signal HUP will not restart: %s cannot be read any more: %s (options conf_file, user)",
		    conf, error_reason(-errno));
}

/* ---- the conf file ---- */

static char *
read_whole(int fd, size_t *size)
{
	struct stat st;
	char *text;
	ssize_t n;

	if (fstat(fd, &st) < 0 || !S_ISREG(st.st_mode) || st.st_size > CONF_LIMIT)
		return NULL;
	text = malloc((size_t)st.st_size + 1);
	n = text != NULL ? pread(fd, text, (size_t)st.st_size, 0) : -1;
	if (n == st.st_size) {
		*size = (size_t)n;
		return text;
	}
	free(text);
	return NULL;
}

void
restart_remember_conf(struct tend_server *srv, const char *path, int kept)
{
	struct restart *rs = srv->restart;
	int fd = kept >= 0 ? kept : open(path, O_RDONLY | O_CLOEXEC | O_NOCTTY | O_NONBLOCK);

	free(rs->conf_path);
	free(rs->conf_text);
	rs->conf_path = strdup(path);
	rs->conf_text = fd >= 0 ? read_whole(fd, &rs->conf_size) : NULL;
	if (fd >= 0 && fd != kept)
		close(fd);
}

/* ---- the trial ---- */

static void
close_trial(struct restart *rs)
{
	tend_timer_stop(&rs->limit);
	if (rs->answer >= 0)
		close(rs->answer);
	if (rs->noise >= 0)
		close(rs->noise);
	rs->answer = rs->noise = -1;
	rs->trial = 0;
	rs->late = false;
}

static const char *
word(enum restart_how how)
{
	return how == RESTART_UPGRADE ? "upgrade" : "restart";
}

static void
refuse(struct tend_server *srv, const char *why)
{
	struct restart *rs = srv->restart;

	error_set(&rs->refusal, EX_CONFIG, -EINVAL, "%s", why);
	tend_log(srv, TEND_LOG_WARNING, "No %s: %s; going on as before", word(rs->how), why);
	supervise_ready(srv, "Serving as before; the restart was refused, the log says why");
}

static void
kill_trial(const struct restart *rs)
{
	/* Its group may not be there yet. */
	kill(-rs->trial, SIGKILL);
	kill(rs->trial, SIGKILL);
}

static void
trial_is_late(struct tend_timer *t)
{
	struct tend_server *srv = t->data;

	struct restart *rs = srv->restart;
	siginfo_t info;

	rs->late = true;
	kill_trial(rs);
	/* Somebody else has waited for it: we would wait for ever. */
	if (waitid(P_PID, (id_t)rs->trial, &info, WEXITED | WNOHANG | WNOWAIT) < 0 && errno == ECHILD)
		restart_child_ended(srv, rs->trial, W_EXITCODE(EX_SOFTWARE, 0));
}

/* What a child needs to try the new image. */
static int
start_trial(struct tend_server *srv)
{
	struct restart *rs = srv->restart;
	struct handover h;
	int r;

	handover_init(&h);
	h.kind = HANDOVER_TRIAL;
	h.pid = getpid();
	h.program = launch_get()->program;
	rs->noise = reexec_file("", 0);
	r = rs->noise < 0 ? rs->noise : reexec_try(&h, rs->noise, &rs->trial);
	if (r < 0)
		return r;
	rs->answer = r;
	tend_timer_start(srv->loop, &rs->limit, TRIAL_SECONDS);
	return 0;
}

void
restart_next(struct tend_server *srv)
{
	struct restart *rs = srv->restart;
	int r;

	if (rs->wanted == RESTART_NOT || rs->trial != 0 || rs->due || rs->back || rs->from != NULL ||
	    srv->stop != STOP_NOT)
		return;
	rs->how = rs->wanted;
	rs->wanted = RESTART_NOT;
	tend_log(srv, TEND_LOG_NOTICE, "About to %s: trying %s first", word(rs->how),
	    launch_get()->program);
	supervise_reloading(srv, "About to restart");
	r = start_trial(srv);
	if (r < 0) {
		char why[200];

		snprintf(why, sizeof(why), "cannot try it in a child: %s", error_reason(r));
		close_trial(rs);
		refuse(srv, why);
	}
}

int
server_restart(struct tend_server *srv, enum restart_how how)
{
	struct restart *rs = srv->restart;
	const char *why = obstacle(srv);

	if (why != NULL) {
		error_set(&rs->refusal, EX_CONFIG, -ENOTSUP, "this server cannot %s in place: %s",
		    word(how), why);
		tend_log(srv, TEND_LOG_WARNING, "%s; going on as before", rs->refusal.text);
		supervise_unchanged(srv, "Serving as before; it cannot be restarted in place");
		return -ENOTSUP;
	}
	if (how > rs->wanted)
		rs->wanted = how;
	restart_next(srv);
	return 0;
}

/* The last line that is not empty, printable; false: there is none. */
static bool
last_words(int noise, char *into, size_t size)
{
	char text[2048], *end, *line;
	struct stat st;
	off_t from;
	ssize_t n;

	if (fstat(noise, &st) < 0)
		return false;
	from = st.st_size < (off_t)sizeof(text) ? 0 : st.st_size - (off_t)sizeof(text) + 1;
	n = pread(noise, text, sizeof(text) - 1, from);
	for (end = text + (n > 0 ? n : 0); end > text && end[-1] == '\n'; end--)
		;
	*end = '\0';
	line = strrchr(text, '\n');
	line = line != NULL ? line + 1 : text;
	str_escape(into, size, line, strlen(line));
	return end > text;
}

/* Why the trial has failed. Its answer is best, what it said else is second. */
static void
explain(struct tend_server *srv, int status, const char *answer, char *why, size_t size)
{
	const struct restart *rs = srv->restart;
	char said[400];
	bool has_said = last_words(rs->noise, said, sizeof(said));

	if (answer[0] != '\0')
		snprintf(why, size, "%s", answer);
	else if (rs->late)
		snprintf(why, size, "the new image did not say within %g s whether it would start",
		    TRIAL_SECONDS);
	else if (WIFSIGNALED(status))
		snprintf(why, size, "the new image was ended by signal %s before it could serve",
		    signals_name(WTERMSIG(status)));
	else
		snprintf(why, size, "the new image ended with status %d before it could serve%s%s",
		    WEXITSTATUS(status), has_said ? ": " : "", has_said ? said : "");
}

bool
restart_child_ended(struct tend_server *srv, pid_t pid, int status)
{
	struct restart *rs = srv->restart;
	char answer[500], why[1000];
	bool answered;

	if (rs->trial == 0 || pid != rs->trial)
		return false;
	answered = reexec_read_answer(rs->answer, answer, sizeof(answer));
	if (answered && answer[0] == '\0') {
		rs->due = true;
		close_trial(rs);
		return true;
	}
	explain(srv, status, answer, why, sizeof(why));
	close_trial(rs);
	refuse(srv, why);
	restart_next(srv);
	return true;
}

void
restart_reap(struct tend_server *srv)
{
	pid_t pid = srv->restart->trial;
	int status;

	if (pid != 0 && waitpid(pid, &status, WNOHANG) == pid)
		restart_child_ended(srv, pid, status);
}

_Noreturn void
restart_answer(struct tend_server *srv)
{
	int r = tend_server_check(srv);

	reexec_answer(r < 0 ? srv->error.text : "");
	/* What main() does behind the run is for a server that has run. */
	_exit(r < 0 ? srv->error.status : 0);
}

/* ---- going ---- */

bool
restart_is_due(const struct tend_server *srv)
{
	return (srv->restart->due || srv->restart->back) && srv->stop == STOP_NOT;
}

/* `host`: as the endpoint has it. */
static int
hand_listener(struct handover *h, const struct listener *l, char *host)
{
	return handover_add_listener(h, &(struct handed_listener){
		.fd = l->fd,
		.directory = l->directory,
		.device = l->device,
		.inode = l->inode,
		.ours = !l->passed && (l->directory < 0 || l->owner == getpid()),
		.ipv = l->ipv,
		.proto = l->proto,
		.host = host,
		.port = l->service,
		.configured_port = l->configured_port,
	});
}

static int
hand_listeners(struct tend_server *srv, struct handover *h)
{
	const struct listener *l;
	size_t i;
	int r = 0;

	for (i = 0; r == 0 && i < srv->listener_count; i++)
		r = hand_listener(h, &srv->listeners[i], srv->endpoints.list[i].host);
	for (i = 0; r == 0 && (l = control_listener(srv, i)) != NULL; i++)
		r = hand_listener(h, l, l->host);
	return r;
}

static int
hand_children(struct tend_server *srv, struct handover *h)
{
	struct master *m = srv->master;
	size_t i;
	int r = 0;

	if (m == NULL)
		return 0;
	for (i = 0; r == 0 && i < m->children.count; i++) {
		const struct child *child = &m->children.list[i];

		/* By HUP of their parent, whatever HUP means else. */
		if (child->slot != CHILD_WITHOUT_SLOT)
			board_ask_to_retire(srv->board, child->slot);
		r = handover_add_child(h, child->pid, child->kind);
	}
	h->lifeline[0] = m->lifeline[0];
	h->lifeline[1] = m->lifeline[1];
	return r;
}

void
restart_keep_children(struct tend_server *srv)
{
	struct master *m = srv->master;
	size_t i;

	for (i = 0; m != NULL && i < m->children.count; i++) {
		const struct child *child = &m->children.list[i];

		if (child->slot != CHILD_WITHOUT_SLOT && !child->leaving)
			board_let_stay(srv->board, child->slot);
	}
}

static int
copy_text(char **into, const char *from)
{
	if (from == NULL)
		return 0;
	*into = strdup(from);
	return *into != NULL ? 0 : -ENOMEM;
}

/* All that is to pass. */
static int
hand_over(struct tend_server *srv, struct handover *h)
{
	const struct restart *rs = srv->restart;
	int r;

	handover_init(h);
	h->kind = HANDOVER_RESTART;
	h->pid = getpid();
	h->blocked = rs->blocked;
	h->image = reexec_open_image();
	h->log = srv->log.path != NULL ? srv->log.fd : -1;
	h->pid_file = srv->pidfile.fd;
	h->pid_file_directory = srv->pidfile.directory;
	if (rs->conf_text != NULL)
		h->conf = reexec_file(rs->conf_text, rs->conf_size);
	if ((r = copy_text(&h->program, launch_get()->program)) < 0 ||
	    (r = copy_text(&h->log_path, srv->log.path)) < 0 ||
	    (r = copy_text(&h->pid_file_path, srv->pidfile.path)) < 0 ||
	    (r = copy_text(&h->conf_path, rs->conf_path)) < 0 || (r = hand_listeners(srv, h)) < 0)
		return r;
	return hand_children(srv, h);
}

/* The other descriptors are still used by those who have them. */
static void
take_back(struct handover *h)
{
	if (h->image >= 0)
		close(h->image);
	if (h->conf >= 0)
		close(h->conf);
	handover_done(h);
}

/* First the new image; when that is not to be, ours once more, which knows how to begin. */
static int
go(struct tend_server *srv, struct handover *h)
{
	int r = hand_over(srv, h);

	if (r < 0)
		return r;
	r = reexec_execute(h, false);
	if (h->image < 0)
		return r;
	h->kind = HANDOVER_RETURN;
	if (asprintf(&h->reason, "cannot execute %s: %s", h->program, error_reason(r)) < 0)
		h->reason = NULL;
	reexec_execute(h, true);
	return r;
}

static void
execute_next(struct tend_server *srv)
{
	struct restart *rs = srv->restart;
	sigset_t all, before;
	struct handover h;
	int r;

	rs->due = false;
	tend_log(srv, TEND_LOG_NOTICE, "%s: executing %s",
	    rs->how == RESTART_UPGRADE ? "Upgrading" : "Restarting", launch_get()->program);
	hook_parent(srv, srv->hooks->stopping);
	hook_parent(srv, srv->hooks->before_restart);
	serve_restore_stdio(srv);
	fflush(NULL);
	/* They wait for the next image: none is lost, and none kills it before it can hear. */
	sigfillset(&all);
	sigprocmask(SIG_SETMASK, &all, &before);
	signals_keep(srv);
	signals_restore_pipe(srv);
	r = go(srv, &h);
	restart_keep_children(srv);
	take_back(&h);
	signals_ignore_pipe(srv);
	sigprocmask(SIG_SETMASK, &before, NULL);
	refuse(srv, error_reason(r));
	restart_next(srv);
}

void
restart_execute(struct tend_server *srv)
{
	struct restart *rs = srv->restart;

	if (!rs->back) {
		execute_next(srv);
	} else {
		rs->back = false;
		inherit_go_back(srv, "its workers end as soon as they start");
	}
	/* The next image would have begun where this one did. */
	directory_enter(srv);
}

/* ---- the end ---- */

void
restart_forget(struct tend_server *srv)
{
	struct restart *rs = srv->restart;

	if (rs->answer >= 0)
		close(rs->answer);
	if (rs->noise >= 0)
		close(rs->noise);
	if (rs->from != NULL)
		reexec_close(rs->from);
}

void
restart_close(struct tend_server *srv)
{
	struct restart *rs = srv->restart;

	rs->wanted = RESTART_NOT;
	rs->due = rs->back = false;
	if (rs->trial == 0)
		return;
	kill_trial(rs);
	while (waitpid(rs->trial, NULL, 0) < 0 && errno == EINTR)
		;
	close_trial(rs);
}
