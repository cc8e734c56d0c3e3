/*
 * The discipline after fork. The parent blocks all signals around it, so that none is handled with
 * the parent's state in the child; the child gives up, takes, and only then listens again.
 */
#include "server/child.h"

#include <errno.h>
#include <pthread.h>
#include <stdio.h>
#include <stdio_ext.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <unistd.h>

#include "loop/loop.h"
#include "process/newborn.h"
#include "process/title.h"
#include "server/control.h"
#include "server/hooks.h"
#include "server/lookup.h"
#include "server/personality.h"
#include "server/restart.h"
#include "server/serve.h"
#include "server/supervise.h"

/* Does a stream hold output? Asked of the C library, that is a page of it which nothing else needs. */
static bool
has_output(FILE *stream)
{
#if defined(__GLIBC__) && defined(_IO_EOF_SEEN)
	return stream->_IO_write_ptr > stream->_IO_write_base;
#else
	return __fpending(stream) > 0;
#endif
}

/*
 * Signals are events for workers. A child for one client has them only where they mean something to
 * it: most such children are too short-lived for a loop.
 */
bool
child_hears_signals(const struct tend_server *srv, enum tend_child_kind kind)
{
	return kind != TEND_CHILD_FORK || srv->hooks->signal != NULL || srv->policy.children_finish;
}

/*
 * What the parent seldom has. It is asked for here, so that a child of Fork, which maps every page of
 * text anew, does not fetch those of five files to find nothing.
 */
static void
give_up_the_rare(struct tend_server *srv)
{
	const struct restart *rs = srv->restart;
	const struct notify *n = &srv->supervise->notify;

	if (rs->answer >= 0 || rs->noise >= 0 || rs->from != NULL)
		restart_forget(srv);
	if (n->socket >= 0 || n->ready_fd >= 0)
		supervise_leave(srv);
	if (srv->pidfile.fd >= 0)
		pidfile_close(&srv->pidfile);
	if (srv->daemon.ready_fd >= 0)
		daemonize_forget(&srv->daemon);
	if (srv->control != NULL)
		control_leave(srv);
}

/*
 * The parent's private things: descriptors closed, objects forgotten, nothing told to anyone. What
 * is only memory is left as it is: giving it back would copy the pages that it lies on.
 */
static void
give_up(struct tend_server *srv, enum tend_child_kind kind, int parents_channel)
{
	struct master *m = srv->master;
	size_t i;

	signals_reset_child(srv, child_hears_signals(srv, kind));
	lookup_forget(srv);
	loop_abandon(srv->loop);
	srv->loop = NULL;
	/* Of socket files: only the parent removes them, and they are a way out of a chroot. */
	for (i = 0; i < srv->listener_count; i++)
		if (srv->listeners[i].directory >= 0)
			close(srv->listeners[i].directory);
	for (i = 0; i < m->children.count; i++)
		if (m->children.list[i].channel >= 0)
			close(m->children.list[i].channel);
	if (parents_channel >= 0)
		close(parents_channel);
	if (m->lifeline[1] >= 0)
		close(m->lifeline[1]);
	give_up_the_rare(srv);
}

static void
unblock_signals(const struct tend_server *srv)
{
	newborn_mask(&srv->birth->mask);
}

void
child_become_worker(struct tend_server *srv, const struct birth *birth)
{
	srv->role = ROLE_CHILD;
	srv->stop = STOP_NOT;
	srv->requests = 0;
	give_up(srv, birth->kind, birth->channel[0]);
	srv->lifeline = srv->master->lifeline[0];
	srv->parent_channel = birth->channel[1];
	srv->birth = birth;
	srv->ledger_page = birth->slot;
	serve_open_mood(srv, false);
	/* One that is to hear of signals hears nothing before it can: a request for a fresh log would
	   kill it (NS-SIG-20). */
	if (!child_hears_signals(srv, birth->kind))
		unblock_signals(srv);
}

int
child_open_loop(struct tend_server *srv)
{
	int r;

	r = server_new_loop(srv);
	if (r == 0)
		r = signals_open_worker(srv);
	if (r < 0)
		return r;
	serve_open_mood(srv, true);
	unblock_signals(srv);
	return 0;
}

_Noreturn void
child_run(struct tend_server *srv, const struct birth *birth, master_child_fn body, void *data)
{
	int status;

	child_become_worker(srv, birth);
	/* A worker has nothing to gain from set-user-id programs, and an intruder has. */
	prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0);
	status = body(srv, data);
	/* A child for one client looks at the one stream that is bound to it: going through all of them
	   would cost a tenth of its life. */
	if (birth->kind != TEND_CHILD_FORK)
		fflush(NULL);
	else if (has_output(stdout))
		fflush(stdout);
	/* Not exit(): what the application registered with atexit() is the parent's to run. */
	_exit(status);
}

int
child_report(struct tend_server *srv, int code)
{
	if (srv->error.code == 0)
		server_fail(srv, EX_SOFTWARE, code, "a child cannot go on: %s", error_reason(code));
	server_fatal(srv);
	return srv->error.status != 0 ? srv->error.status : EX_SOFTWARE;
}

/* Spread by max_requests_jitter, so that workers started together do not all end together. */
static unsigned long
requests_of_this_worker(const struct tend_server *srv)
{
	unsigned long most = (unsigned long)srv->settings.value.max_requests;
	unsigned jitter = (unsigned)srv->settings.value.max_requests_jitter;
	unsigned seed = (unsigned)getpid() * 2654435761u ^ (unsigned)clock_now();

	if (most == 0 || jitter == 0)
		return most;
	return most + seed % (jitter + 1);
}

int
child_work(struct tend_server *srv, void *data)
{
	unsigned long most = requests_of_this_worker(srv);
	int r;

	(void)data;
	r = child_open_loop(srv);
	if (r == 0)
		r = hook_child_start(srv, TEND_CHILD_WORKER);
	if (r < 0)
		return child_report(srv, r);
	child_title(srv, false);
	r = srv->personality->work(srv, most);
	if (r < 0)
		child_report(srv, r);
	else if (most != 0 && srv->requests >= most)
		tend_log(srv, TEND_LOG_DEBUG, "Worker ends after %lu connections (option max_requests)",
		    srv->requests);
	hook_child_exit(srv, TEND_CHILD_WORKER);
	return r < 0 ? EX_SOFTWARE : 0;
}

int
child_dequeue(struct tend_server *srv, void *data)
{
	int r;

	(void)data;
	/* Signals as events: one that tells it to end lets the hook come to its end (NS-HOK-04). */
	r = child_open_loop(srv);
	if (r == 0)
		r = hook_child_start(srv, TEND_CHILD_DEQUEUE);
	if (r < 0)
		return child_report(srv, r);
	if (srv->hooks->dequeue != NULL)
		srv->hooks->dequeue(srv);
	hook_child_exit(srv, TEND_CHILD_DEQUEUE);
	return 0;
}

/* ---- what a child shows ---- */

/* The connections of a child for one client are not worth counting (NW-56). */
static const char *
count_text(struct tend_server *srv, char text[24])
{
	text[0] = '\0';
	if (srv->personality->traits & PERSONALITY_WORKERS)
		snprintf(text, 24, "%llu", (unsigned long long)board_my_served(srv->board));
	return strcmp(text, "0") == 0 ? "" : text;
}

/* A process has one title, however many threads. */
static pthread_mutex_t title = PTHREAD_MUTEX_INITIALIZER;

void
child_title(struct tend_server *srv, bool busy)
{
	char count[24];

	if (!srv->policy.titles)
		return;
	pthread_mutex_lock(&title);
	title_set("%s | %c:%s", srv->name, busy ? '*' : '-', count_text(srv, count));
	pthread_mutex_unlock(&title);
}

void
child_title_idle(struct tend_server *srv, long seconds)
{
	char count[24];

	if (!srv->policy.titles)
		return;
	pthread_mutex_lock(&title);
	title_set("%s | -:%s [%ld]", srv->name, count_text(srv, count), seconds);
	pthread_mutex_unlock(&title);
}

void
child_busy(struct tend_server *srv)
{
	board_busy(srv->board);
	child_title(srv, true);
}

void
child_waiting(struct tend_server *srv)
{
	board_waiting(srv->board);
	child_title(srv, false);
}
