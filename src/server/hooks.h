/*
 * Calling hooks. Each is called from one place, in its process, and may be NULL. The asserts state
 * the contract of tend/service.h: which process runs the hook.
 */
#ifndef TEND_SERVER_HOOKS_H
#define TEND_SERVER_HOOKS_H

#include <assert.h>

#include "server/server.h"

#define HOOK_IN(srv, where) assert((srv)->role == (where))

/* Of the start, in the parent: 0 or the hook's refusal. */
int hook_start(struct tend_server *srv, int (*hook)(struct tend_server *srv));

static inline void
hook_parent(struct tend_server *srv, void (*hook)(struct tend_server *srv))
{
	HOOK_IN(srv, ROLE_PARENT);
	if (hook != NULL)
		hook(srv);
}

static inline void
hook_before_spawn(struct tend_server *srv, enum tend_child_kind kind, unsigned left)
{
	HOOK_IN(srv, ROLE_PARENT);
	if (srv->hooks->before_spawn != NULL)
		srv->hooks->before_spawn(srv, kind, left);
}

static inline void
hook_child_born(struct tend_server *srv, pid_t pid, enum tend_child_kind kind)
{
	HOOK_IN(srv, ROLE_PARENT);
	if (srv->hooks->child_born != NULL)
		srv->hooks->child_born(srv, pid, kind);
}

static inline void
hook_child_died(struct tend_server *srv, pid_t pid, int status)
{
	HOOK_IN(srv, ROLE_PARENT);
	if (srv->hooks->child_died != NULL)
		srv->hooks->child_died(srv, pid, status);
}

static inline void
hook_stranger_died(struct tend_server *srv, pid_t pid, int status)
{
	HOOK_IN(srv, ROLE_PARENT);
	if (srv->hooks->stranger_died != NULL)
		srv->hooks->stranger_died(srv, pid, status);
}

static inline int
hook_child_start(struct tend_server *srv, enum tend_child_kind kind)
{
	HOOK_IN(srv, ROLE_CHILD);
	return srv->hooks->child_start != NULL ? srv->hooks->child_start(srv, kind) : 0;
}

static inline void
hook_child_exit(struct tend_server *srv, enum tend_child_kind kind)
{
	HOOK_IN(srv, ROLE_CHILD);
	if (srv->hooks->child_exit != NULL)
		srv->hooks->child_exit(srv, kind);
}

/* idle in the parent, child_idle in a child. */
static inline void
hook_idle(struct tend_server *srv)
{
	void (*hook)(struct tend_server *) =
	    srv->role == ROLE_PARENT ? srv->hooks->idle : srv->hooks->child_idle;

	if (hook != NULL)
		hook(srv);
}

static inline void
hook_before_accept(struct tend_server *srv)
{
	if (srv->hooks->before_accept != NULL)
		srv->hooks->before_accept(srv);
}

static inline void
hook_signal(struct tend_server *srv, int signo)
{
	if (srv->hooks->signal != NULL)
		srv->hooks->signal(srv, signo);
}

#endif
