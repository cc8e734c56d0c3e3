/*
 * Signals as events: which signal means what to the parent and to a worker (design.md, 4). The
 * handlers themselves are the loop's and do one write; everything here runs between two pieces of
 * other work, never inside a hook.
 */
#include <errno.h>
#include <signal.h>
#include <string.h>
#include <strings.h>
#include <unistd.h>

#include "loop/loop.h"
#include "process/newborn.h"
#include "server/hooks.h"
#include "server/master.h"
#include "server/personality.h"
#include "server/restart.h"
#include "server/server.h"
#include "server/supervise.h"

/* ---- names ---- */

static const struct {
	const char *name;
	int         number;
} names[] = {
	{ "HUP", SIGHUP },       { "INT", SIGINT },   { "QUIT", SIGQUIT },     { "TERM", SIGTERM },
	{ "USR1", SIGUSR1 },     { "USR2", SIGUSR2 }, { "CHLD", SIGCHLD },     { "PIPE", SIGPIPE },
	{ "TTIN", SIGTTIN },     { "TTOU", SIGTTOU }, { "ALRM", SIGALRM },     { "CONT", SIGCONT },
	{ "WINCH", SIGWINCH },   { "IO", SIGIO },     { "URG", SIGURG },       { "TSTP", SIGTSTP },
	{ "VTALRM", SIGVTALRM }, { "PROF", SIGPROF },
};

/* Those that nobody can ask for, but that end children. */
static const struct {
	const char *name;
	int         number;
} deadly_names[] = {
	{ "KILL", SIGKILL }, { "SEGV", SIGSEGV }, { "ABRT", SIGABRT }, { "BUS", SIGBUS },
	{ "FPE", SIGFPE },   { "ILL", SIGILL },   { "SYS", SIGSYS },   { "TRAP", SIGTRAP },
	{ "XCPU", SIGXCPU }, { "XFSZ", SIGXFSZ },
};

#define COUNT(array) (sizeof(array) / sizeof((array)[0]))

int
signals_number(const char *name)
{
	size_t i;

	if (strncasecmp(name, "SIG", 3) == 0)
		name += 3;
	for (i = 0; i < COUNT(names); i++)
		if (strcasecmp(name, names[i].name) == 0)
			return names[i].number;
	return 0;
}

const char *
signals_name(int signo)
{
	size_t i;

	for (i = 0; i < COUNT(names); i++)
		if (signo == names[i].number)
			return names[i].name;
	for (i = 0; i < COUNT(deadly_names); i++)
		if (signo == deadly_names[i].number)
			return deadly_names[i].name;
	return "unknown";
}

/* ---- what they mean ---- */

static void
stop_now(struct tend_server *srv, int signo)
{
	(void)signo;
	srv->stop = STOP_NOW;
}

static void
stop_gracefully(struct tend_server *srv, int signo)
{
	(void)signo;
	if (srv->stop == STOP_NOT)
		srv->stop = STOP_GRACEFUL;
}

/* For who has nothing to do but to look up from where it waits. */
static void
do_nothing(struct tend_server *srv, int signo)
{
	(void)srv;
	(void)signo;
}

static void
restart(struct tend_server *srv, int signo)
{
	(void)signo;
	if (!(srv->personality->traits & PERSONALITY_NO_BIND))
		server_restart(srv, RESTART_RELOAD);
}

static void
renew_workers(struct tend_server *srv, int signo)
{
	(void)signo;
	if (srv->master != NULL && (srv->personality->traits & PERSONALITY_WORKERS)) {
		master_renew_for_hup(srv);
		return;
	}
	tend_log(srv, TEND_LOG_INFO,
	    "Signal HUP: server_type %s has no workers to replace (option hup)",
	    srv->personality->name);
	supervise_unchanged(srv, "Serving as before; there are no workers to replace");
}

static void
pass_over(struct tend_server *srv, int signo)
{
	tend_log(srv, TEND_LOG_INFO, "Signal %s is ignored (option hup)", signals_name(signo));
	supervise_unchanged(srv, "Serving as before; the signal is ignored");
}

/* What HUP means to the parent, and to a worker that its parent has not told to retire. */
static const struct {
	const char *word; /* the option hup */
	void (*parent)(struct tend_server *srv, int signo);
	void (*worker)(struct tend_server *srv, int signo);
} hup_means[] = {
	[HUP_RESTARTS] = { "restart", restart, stop_gracefully },
	[HUP_CALLS_HOOK] = { "hook", hook_signal, hook_signal },
	[HUP_RENEWS_WORKERS] = { "workers", renew_workers, stop_gracefully },
	[HUP_MEANS_NOTHING] = { "ignore", pass_over, do_nothing },
};

enum hup_means
signals_hup_means(const char *word)
{
	size_t i = COUNT(hup_means) - 1;

	while (i > 0 && strcasecmp(hup_means[i].word, word) != 0)
		i--;
	return (enum hup_means)i;
}

static void
hang_up(struct tend_server *srv, int signo)
{
	hup_means[srv->policy.hup].parent(srv, signo);
}

/* A worker that is told to retire finishes the client it has (NS-SIG-20, -23). */
static void
retire(struct tend_server *srv, int signo)
{
	if (board_asked_to_retire(srv->board))
		stop_gracefully(srv, signo);
	else
		hup_means[srv->policy.hup].worker(srv, signo);
}

/* What ends a worker; with child_stop finish, after the client that it has (NW-62a). */
static void
leave(struct tend_server *srv, int signo)
{
	if (srv->policy.children_finish)
		stop_gracefully(srv, signo);
	else
		stop_now(srv, signo);
}

static void
reap(struct tend_server *srv, int signo)
{
	(void)signo;
	master_reap(srv);
}

static void
resize(struct tend_server *srv, int signo)
{
	if (srv->personality->resize != NULL)
		srv->personality->resize(srv, signo == SIGTTIN ? 1 : -1);
}

/* A rotation moved the log away. Every process has its own descriptor of it; those that no signal
   reaches follow before their next line. */
static void
reopen_log(struct tend_server *srv)
{
	struct error e = { 0 };

	if (!logger_can_reopen(&srv->log))
		return;
	if (logger_reopen(&srv->log, &e) < 0) {
		tend_log(srv, TEND_LOG_WARNING, "%s; still writing to the old file", e.text);
		return;
	}
	if (srv->log.path != NULL)
		dup2(srv->log.fd, STDERR_FILENO);
	if (srv->role == ROLE_PARENT)
		logger_reopen_elsewhere(&srv->log);
	if (srv->role == ROLE_PARENT && srv->master != NULL && !srv->settings.value.prop_sigusr)
		master_signal_workers(srv, SIGUSR1);
}

static void
user_signal(struct tend_server *srv, int signo)
{
	if (signo == SIGUSR1)
		reopen_log(srv);
	hook_signal(srv, signo);
}

struct meaning {
	int signo;
	void (*act)(struct tend_server *srv, int signo);
};

static const struct meaning for_parent[] = {
	{ SIGTERM, stop_now }, { SIGINT, stop_now },      { SIGQUIT, stop_gracefully },
	{ SIGHUP, hang_up },   { SIGCHLD, reap },         { SIGTTIN, resize },
	{ SIGTTOU, resize },   { SIGUSR1, user_signal },  { SIGUSR2, user_signal },
};

static const struct meaning for_worker[] = {
	{ SIGTERM, leave }, { SIGINT, leave },        { SIGQUIT, leave },
	{ SIGHUP, retire }, { SIGUSR1, user_signal }, { SIGUSR2, user_signal },
	/* How many threads there may be stands in the lanes: being woken is enough. */
	{ SIGTTIN, do_nothing },
};

static void
act(struct tend_server *srv, const struct meaning *table, size_t count, int signo)
{
	size_t i;

	for (i = 0; i < count; i++)
		if (table[i].signo == signo) {
			table[i].act(srv, signo);
			return;
		}
	hook_signal(srv, signo);
}

void
signals_act(struct tend_server *srv, int signo)
{
	size_t i;

	/* To the children first, then what it means to us (NS-SIG-04). */
	for (i = 0; i < srv->passthrough_count; i++)
		if (srv->passthrough[i] == signo && srv->master != NULL)
			master_pass_signal(srv, signo);
	act(srv, for_parent, COUNT(for_parent), signo);
	/* Net::Waiter's order is the other one (NW-10). */
	if (srv->settings.value.prop_sigusr && srv->master != NULL &&
	    (signo == SIGUSR1 || signo == SIGUSR2))
		master_pass_signal(srv, signo);
}

static void
parent_signal(struct tend_signal *sig)
{
	signals_act(sig->data, sig->signo);
}

static void
worker_signal(struct tend_signal *sig)
{
	act(sig->data, for_worker, COUNT(for_worker), sig->signo);
}

/* ---- opening and closing ---- */

static bool
is_watched(const struct tend_server *srv, int signo)
{
	size_t i;

	for (i = 0; i < srv->signal_count; i++)
		if (srv->signals[i].signo == signo)
			return true;
	return false;
}

static int
watch(struct tend_server *srv, tend_signal_fn fn, int signo)
{
	struct tend_signal *s = &srv->signals[srv->signal_count];
	int r;

	if (is_watched(srv, signo))
		return 0;
	tend_signal_init(s, fn, srv);
	r = tend_signal_start(srv->loop, s, signo);
	if (r < 0)
		return server_fail(srv, EX_OSERR, r, "cannot watch signal %s: %s",
		    signals_name(signo), error_reason(r));
	srv->signal_count++;
	return 0;
}

static int
watch_all(struct tend_server *srv, const struct meaning *table, size_t count, tend_signal_fn fn)
{
	size_t i;
	int r = 0;

	srv->signal_count = 0;
	for (i = 0; r == 0 && i < count; i++)
		r = watch(srv, fn, table[i].signo);
	for (i = 0; r == 0 && i < srv->passthrough_count; i++)
		r = watch(srv, fn, srv->passthrough[i]);
	return r;
}

int
signals_open_parent(struct tend_server *srv)
{
	return watch_all(srv, for_parent, COUNT(for_parent), parent_signal);
}

/* NS-SIG-04 */
void
signals_announce_passthrough(struct tend_server *srv)
{
	size_t i, j;

	for (i = 0; i < srv->passthrough_count; i++) {
		for (j = 0; j < COUNT(for_parent) && for_parent[j].signo != srv->passthrough[i]; j++)
			;
		tend_log(srv, TEND_LOG_NOTICE, "Passing signal %s on to children%s",
		    signals_name(srv->passthrough[i]),
		    j < COUNT(for_parent) ? "; the server acts on it too" : "");
	}
}

int
signals_open_worker(struct tend_server *srv)
{
	return watch_all(srv, for_worker, COUNT(for_worker), worker_signal);
}

void
signals_close(struct tend_server *srv)
{
	size_t i;

	for (i = 0; i < srv->signal_count; i++)
		tend_signal_stop(&srv->signals[i]);
	srv->signal_count = 0;
}

void
signals_keep(struct tend_server *srv)
{
	size_t i;

	if (srv->loop == NULL)
		return;
	loop_signals_collect(srv->loop);
	for (i = 0; i < srv->signal_count; i++)
		if (loop_signal_pending(srv->loop, srv->signals[i].signo))
			kill(getpid(), srv->signals[i].signo);
}

void
signals_ignore_pipe(struct tend_server *srv)
{
	struct sigaction ignore = { .sa_handler = SIG_IGN };

	sigaction(SIGPIPE, &ignore, &srv->pipe_before);
	sigaction(SIGXFSZ, &ignore, &srv->xfsz_before);
}

void
signals_restore_pipe(struct tend_server *srv)
{
	sigaction(SIGPIPE, &srv->pipe_before, NULL);
	sigaction(SIGXFSZ, &srv->xfsz_before, NULL);
}

/*
 * TTIN and TTOU are ignored: they are the parent's, and their default would stop the child
 * (NS-SIG-21). CHLD gets its default, so that handlers can have children of their own (NW-71).
 * USR1 and USR2 do not kill a child that has no ear for them, nor does HUP where it is ignored.
 * Nothing is written to memory: a child for one client would pay with a copy of each page.
 */
void
signals_reset_child(const struct tend_server *srv, bool will_hear)
{
	size_t i;

	for (i = 0; i < srv->passthrough_count; i++)
		newborn_signal(srv->passthrough[i], SIG_DFL);
	for (i = 0; i < COUNT(for_parent); i++) {
		int signo = for_parent[i].signo;
		bool spared = signo == SIGTTIN || signo == SIGTTOU ||
		    (!will_hear && (signo == SIGUSR1 || signo == SIGUSR2 ||
		        (signo == SIGHUP && srv->policy.hup == HUP_MEANS_NOTHING)));

		newborn_signal(signo, spared ? SIG_IGN : SIG_DFL);
	}
}

/*
 * Where nobody watches over the process, a handler that computes for ever would keep it from
 * ending: the second TERM or INT ends it whatever it does.
 */
void
signals_make_second_final(void)
{
	static const int final[] = { SIGTERM, SIGINT };
	size_t i;

	for (i = 0; i < COUNT(final); i++) {
		struct sigaction act;

		sigaction(final[i], NULL, &act);
		act.sa_flags |= (int)SA_RESETHAND;
		sigaction(final[i], &act, NULL);
	}
}

bool
signals_stop_requested(struct tend_server *srv)
{
	if (srv->stop == STOP_NOW)
		return true;
	loop_signals_collect(srv->loop);
	return loop_signal_pending(srv->loop, SIGTERM) || loop_signal_pending(srv->loop, SIGINT) ||
	    ((srv->role == ROLE_CHILD || (srv->personality->traits & PERSONALITY_NO_BIND)) &&
		loop_signal_pending(srv->loop, SIGQUIT));
}

bool
signals_retire_requested(struct tend_server *srv)
{
	if (srv->role != ROLE_CHILD)
		return loop_signal_pending(srv->loop, SIGQUIT);
	return loop_signal_pending(srv->loop, SIGHUP) &&
	    (board_asked_to_retire(srv->board) ||
		hup_means[srv->policy.hup].worker == stop_gracefully);
}
