/*
 * The image that comes: it takes over what the one before has left, and keeps all of it as it was
 * until it serves, so that there is a way back. Only then are old sockets closed and old children
 * told to finish.
 */
#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <fcntl.h>
#include <limits.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/clock.h"
#include "net/rights.h"
#include "process/launch.h"
#include "server/hooks.h"
#include "server/master.h"
#include "server/restart.h"
#include "server/supervise.h"

static void
forget(struct restart *rs)
{
	if (rs->from != NULL) {
		reexec_close(rs->from);
		handover_done(rs->from);
		free(rs->from);
	}
	free(rs->match);
	free(rs->taken);
	rs->from = NULL;
	rs->match = NULL;
	rs->taken = NULL;
}

/* ---- coming ---- */

static uint64_t
blocked_now(void)
{
	uint64_t bits = 0;
	sigset_t set;
	int signo;

	sigprocmask(SIG_SETMASK, NULL, &set);
	for (signo = 1; signo <= 64; signo++)
		if (sigismember(&set, signo) == 1)
			bits |= UINT64_C(1) << (signo - 1);
	return bits;
}

void
inherit_receive(struct tend_server *srv)
{
	static unsigned runs;
	struct restart *rs = srv->restart;

	rs->run = runs++;
	rs->fallen = 0;
	rs->children_taken = rs->old_pid_file = rs->pid_file_kept = false;
	rs->from = reexec_take();
	rs->restarted = rs->from != NULL;
	rs->blocked = rs->from != NULL ? rs->from->blocked : blocked_now();
	/* Executed by descriptor the process does not know the path any more. */
	if (rs->from != NULL && rs->from->program != NULL)
		launch_set_program(rs->from->program);
}

int
inherit_conf(struct tend_server *srv, const char *path)
{
	const struct handover *h = reexec_received();
	int fd;

	(void)srv;
	if (h == NULL || h->kind != HANDOVER_RETURN || h->conf < 0 || h->conf_path == NULL ||
	    strcmp(path, h->conf_path) != 0)
		return -1;
	fd = fcntl(h->conf, F_DUPFD_CLOEXEC, 3);
	if (fd >= 0)
		lseek(fd, 0, SEEK_SET);
	return fd;
}

int
inherit_log(struct tend_server *srv, const char *path, int code)
{
	const struct handover *h = srv->restart->from;

	if (h == NULL || h->log < 0 || path == NULL || logger_adopt_file(&srv->log, path, h->log_path, h->log) < 0)
		return code;
	tend_log(srv, TEND_LOG_WARNING, "%s; still writing to the old file", srv->error.text);
	error_clear(&srv->error);
	return 0;
}

bool
inherit_pid_file(struct tend_server *srv, const char *path)
{
	struct restart *rs = srv->restart;
	struct handover *h = rs->from;
	struct pidfile fresh;
	struct error e = { 0 };
	int r;

	if (h == NULL || h->pid_file < 0)
		return false;
	rs->old_pid_file = path == NULL || strcmp(path, h->pid_file_path) != 0;
	if (rs->old_pid_file)
		return false;
	r = pidfile_adopt(&srv->pidfile, path, h->pid_file, h->pid_file_directory);
	if (r == -ESTALE && pidfile_open(&fresh, path, NULL, &e) == 0 && pidfile_write(&fresh, &e) == 0) {
		pidfile_close(&srv->pidfile);
		srv->pidfile = fresh;
	} else if (r == -ESTALE) {
		tend_log(srv, TEND_LOG_WARNING, "pid_file %s is not the one we wrote any more: %s", path,
		    e.text);
	}
	rs->pid_file_kept = r == 0 || r == -ESTALE;
	return rs->pid_file_kept;
}

void
inherit_signals(struct tend_server *srv)
{
	uint64_t blocked = srv->restart->blocked;
	sigset_t set;
	int signo;

	if (!inherit_is_pending(srv))
		return;
	sigemptyset(&set);
	for (signo = 1; signo <= 64; signo++)
		if (blocked & UINT64_C(1) << (signo - 1))
			sigaddset(&set, signo);
	sigprocmask(SIG_SETMASK, &set, NULL);
}

/* ---- sockets ---- */

static bool
is_for(const struct handed_listener *l, const struct endpoint *ep)
{
	return strcmp(l->host, ep->host) == 0 && strcmp(l->configured_port, ep->configured_port) == 0 &&
	    strcasecmp(l->proto, ep->proto) == 0 && l->ipv == ep->ipv &&
	    (strcmp(ep->port, "0") == 0 || strcmp(l->port, ep->port) == 0);
}

/* Is this one of the old listeners for an endpoint? Only the first `count` are asked. */
static bool
is_matched(const struct restart *rs, size_t listener, size_t count)
{
	size_t i;

	for (i = 0; i < count; i++)
		if (rs->match[i] == listener)
			return true;
	return rs->taken[listener];
}

int
inherit_match(struct tend_server *srv)
{
	struct restart *rs = srv->restart;
	size_t i, j;

	if (rs->from == NULL)
		return 0;
	hook_parent(srv, srv->hooks->after_restart);
	rs->match = calloc(srv->endpoints.count, sizeof(*rs->match));
	rs->taken = calloc(rs->from->listener_count + 1, sizeof(*rs->taken));
	if (rs->match == NULL || rs->taken == NULL)
		return server_fail(srv, EX_OSERR, -ENOMEM, "out of memory");
	for (i = 0; i < srv->endpoints.count; i++) {
		rs->match[i] = NO_MATCH;
		for (j = 0; rs->match[i] == NO_MATCH && j < rs->from->listener_count; j++)
			if (is_for(&rs->from->listeners[j], &srv->endpoints.list[i]) && !is_matched(rs, j, i))
				rs->match[i] = j;
	}
	return 0;
}

/* Its directory may be out of reach by now. */
static void
adopt_socket_file(struct listener *l, const struct handed_listener *from)
{
	l->passed = !from->ours;
	/* Or another server has taken the place of ours: that file is not for us to change or remove. */
	if (!from->ours || (from->directory >= 0 &&
	        ((uint64_t)l->device != from->device || (uint64_t)l->inode != from->inode)))
		l->owner = 0;
	if (l->directory >= 0 || from->directory < 0)
		return;
	l->directory = fcntl(from->directory, F_DUPFD_CLOEXEC, 3);
	l->device = (dev_t)from->device;
	l->inode = (ino_t)from->inode;
	l->owner = from->ours ? getpid() : 0;
}

int
inherit_listener(struct tend_server *srv, size_t i)
{
	struct restart *rs = srv->restart;
	const struct endpoint *ep = &srv->endpoints.list[i];
	struct listener *l = &srv->listeners[i];
	const struct handed_listener *from;
	int fd, r;

	if (rs->from == NULL || rs->match[i] == NO_MATCH)
		return 0;
	from = &rs->from->listeners[rs->match[i]];
	/* Ours is one more descriptor of the same socket: the way back needs the other. */
	fd = fcntl(from->fd, F_DUPFD_CLOEXEC, 3);
	if (fd < 0)
		return server_fail(srv, EX_OSERR, -errno, "cannot take over descriptor %d: %s", from->fd,
		    error_reason(-errno));
	/* The length of the queue may have changed; and an image that gave up may have stopped it. */
	listen(fd, ep->backlog > 0 ? ep->backlog : INT_MAX);
	r = listener_adopt(l, fd, ep, &srv->error);
	if (r < 0)
		return r;
	adopt_socket_file(l, from);
	r = rights_renew(ep->rights, l, &srv->error);
	if (r < 0)
		return r;
	tend_log(srv, TEND_LOG_INFO, "Took over descriptor %d for %s port %s on %s", l->fd,
	    l->proto_upper, l->service, l->host);
	return 1;
}

int
inherit_socket(struct tend_server *srv, const struct endpoint *ep)
{
	struct restart *rs = srv->restart;
	size_t i;

	for (i = 0; rs->from != NULL && i < rs->from->listener_count; i++) {
		if (is_matched(rs, i, srv->endpoints.count) || !is_for(&rs->from->listeners[i], ep))
			continue;
		rs->taken[i] = true;
		return fcntl(rs->from->listeners[i].fd, F_DUPFD_CLOEXEC, 3);
	}
	return -1;
}

/* ---- making room ---- */

/* Only an old socket of the same port can be in the way, and only when it listens. */
static bool
is_in_the_way(const struct handed_listener *l, const struct endpoint *ep)
{
	int domain = AF_UNIX;
	socklen_t size = sizeof(domain);

	return strcmp(l->port, ep->port) == 0 &&
	    getsockopt(l->fd, SOL_SOCKET, SO_DOMAIN, &domain, &size) == 0 && domain != AF_UNIX;
}

bool
inherit_make_room(struct tend_server *srv, size_t endpoint)
{
	const struct endpoint *ep = &srv->endpoints.list[endpoint];
	struct restart *rs = srv->restart;
	bool room = false;
	size_t i;

	if (rs->from == NULL)
		return false;
	for (i = 0; i < rs->from->listener_count; i++) {
		if (is_matched(rs, i, srv->endpoints.count) || !is_in_the_way(&rs->from->listeners[i], ep))
			continue;
		if (!room)
			inherit_tell_orphans(rs->from, SIGHUP);
		room = true;
		/* For every process that has it; listen() puts it back should we have to go back. */
		shutdown(rs->from->listeners[i].fd, SHUT_RDWR);
	}
	return room;
}

/* ---- settling ---- */

static void
remove_socket_file(const struct handed_listener *l)
{
	const char *slash = strrchr(l->port, '/'), *name = slash != NULL ? slash + 1 : l->port;
	struct stat st;

	if (!l->ours || l->directory < 0 || fstatat(l->directory, name, &st, AT_SYMLINK_NOFOLLOW) < 0)
		return;
	if (S_ISSOCK(st.st_mode) && (uint64_t)st.st_dev == l->device && (uint64_t)st.st_ino == l->inode)
		unlinkat(l->directory, name, 0);
}

static size_t
close_old_sockets(struct tend_server *srv)
{
	struct restart *rs = srv->restart;
	size_t i, n = 0;

	for (i = 0; i < rs->from->listener_count; i++) {
		const struct handed_listener *l = &rs->from->listeners[i];

		if (is_matched(rs, i, srv->endpoints.count))
			continue;
		n++;
		tend_log(srv, TEND_LOG_NOTICE, "Closing %s port %s on %s: it is not configured any more",
		    l->proto, l->port, l->host);
		remove_socket_file(l);
	}
	return n;
}

static void
remove_old_pid_file(struct tend_server *srv)
{
	struct handover *h = srv->restart->from;
	struct error e = { 0 };
	struct pidfile old;

	if (!srv->restart->old_pid_file ||
	    pidfile_adopt(&old, h->pid_file_path, h->pid_file, h->pid_file_directory) < 0)
		return;
	if (pidfile_remove(&old, &e) < 0)
		tend_log(srv, TEND_LOG_WARNING, "%s", e.text);
	pidfile_close(&old);
}

void
inherit_settle(struct tend_server *srv)
{
	struct restart *rs = srv->restart;
	size_t closed, kept, i;

	if (rs->from == NULL)
		return;
	if (rs->from->kind == HANDOVER_RETURN)
		tend_log(srv, TEND_LOG_WARNING,
		    "The new image did not become ready: %s; the one before goes on", rs->from->reason);
	closed = close_old_sockets(srv);
	for (i = kept = 0; i < srv->listener_count; i++)
		kept += rs->match[i] != NO_MATCH;
	tend_log(srv, TEND_LOG_NOTICE,
	    "Restarted: %zu sockets taken over, %zu opened, %zu closed; %zu children of before finish",
	    kept, srv->listener_count - kept, closed, rs->from->child_count);
	remove_old_pid_file(srv);
	inherit_dismiss_children(srv);
	supervise_ready(srv, rs->from->kind == HANDOVER_RETURN
	        ? "Serving as before; the new image did not become ready, the log says why" : "Serving");
	forget(rs);
	restart_next(srv);
}

/* ---- going back ---- */

/* What this image has made and the one before knows nothing of. */
static void
clean_up(struct tend_server *srv)
{
	struct restart *rs = srv->restart;
	size_t i;

	if (srv->pidfile.fd >= 0 && rs->old_pid_file)
		pidfile_remove(&srv->pidfile, NULL);
	for (i = 0; i < srv->listener_count; i++) {
		struct listener *l = &srv->listeners[i];
		bool handed = false;
		size_t j;

		for (j = 0; j < rs->from->listener_count; j++)
			handed = handed || (rs->from->listeners[j].inode == (uint64_t)l->inode &&
			    rs->from->listeners[j].device == (uint64_t)l->device);
		if (!handed)
			listener_unlink(l);
		else
			rights_put_back(l);
	}
}

void
inherit_go_back(struct tend_server *srv, const char *reason)
{
	struct restart *rs = srv->restart;
	struct handover *h = rs->from;
	struct children *kids = srv->master != NULL ? &srv->master->children : NULL;
	sigset_t all, before;
	size_t i;
	int r;

	if (h == NULL || h->kind == HANDOVER_RETURN || h->image < 0)
		return;
	tend_log(srv, TEND_LOG_WARNING, "Cannot go on with the new image: %s; going back", reason);
	sigfillset(&all);
	sigprocmask(SIG_SETMASK, &all, &before);
	signals_keep(srv);
	clean_up(srv);
	h->kind = HANDOVER_RETURN;
	free(h->reason);
	h->reason = strdup(reason);
	/* Those who live now: theirs and ours. */
	if (rs->children_taken)
		h->child_count = 0;
	for (i = 0; kids != NULL && i < kids->count; i++) {
		/* By HUP of that image, whatever HUP means else. */
		if (kids->list[i].slot != CHILD_WITHOUT_SLOT)
			board_ask_to_retire(srv->board, kids->list[i].slot);
		handover_add_child(h, kids->list[i].pid, kids->list[i].kind);
	}
	fflush(NULL);
	signals_restore_pipe(srv);
	r = reexec_execute(h, true);
	restart_keep_children(srv);
	signals_ignore_pipe(srv);
	sigprocmask(SIG_SETMASK, &before, NULL);
	tend_log(srv, TEND_LOG_ERROR, "Cannot execute the image before: %s", error_reason(r));
}

/* ---- an end before there was a beginning ---- */

void
inherit_close(struct tend_server *srv)
{
	struct restart *rs = srv->restart;

	if (rs->from == NULL)
		return;
	if (!rs->children_taken)
		inherit_end_orphans(rs->from, srv->settings.value.stop_timeout);
	forget(rs);
}
