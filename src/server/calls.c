/*
 * What a service asks of its server while it runs, in the parent or in a child: to stop, to mark a
 * worker, to say who the children are and how many clients there were.
 */
#include <errno.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <sys/socket.h>
#include <unistd.h>

#include "server/child.h"
#include "server/personality.h"

void
tend_server_stop(struct tend_server *srv)
{
	if (srv->role == ROLE_PARENT) {
		srv->stop = STOP_NOW;
		if (srv->loop != NULL)
			tend_loop_wake(srv->loop);
		return;
	}
	tend_worker_retire(srv);
	/* The number may be another's by now. */
	if (!srv->settings.value.no_close_by_child && getppid() == srv->parent)
		kill(srv->parent, SIGINT);
}

void
tend_worker_retire(struct tend_server *srv)
{
	if (srv->role == ROLE_CHILD)
		server_retire(srv);
}

/* Of one that has many clients the number of them says it. */
static bool
is_busy_by_number(const struct tend_server *srv)
{
	return (srv->personality->traits & PERSONALITY_MANY) != 0;
}

/* A child that is marked as it is already has nothing to report. */
int
tend_worker_busy(struct tend_server *srv)
{
	if (srv->role != ROLE_CHILD)
		return 0;
	if (!is_busy_by_number(srv) && !board_am_busy(srv->board))
		child_busy(srv);
	return 1;
}

int
tend_worker_idle(struct tend_server *srv)
{
	if (srv->role != ROLE_CHILD)
		return 0;
	if (!is_busy_by_number(srv) && board_am_busy(srv->board))
		child_waiting(srv);
	return 1;
}

pid_t
tend_child_pid(const struct tend_server *srv, unsigned i)
{
	if (srv->role != ROLE_PARENT || srv->master == NULL || i >= srv->master->children.count)
		return 0;
	return srv->master->children.list[i].pid;
}

unsigned
tend_signal_children(struct tend_server *srv, int signo)
{
	if (srv->role != ROLE_PARENT || srv->master == NULL)
		return 0;
	return (unsigned)children_signal(&srv->master->children, signo);
}

int
tend_stop_children(struct tend_server *srv, int signo, double grace)
{
	if (srv->role != ROLE_PARENT || srv->master == NULL)
		return 0;
	return master_stop_children(srv, signo, grace);
}

int
tend_conn_fail(struct tend_conn *c, int code, const char *format, ...)
{
	struct tend_server *srv = c->mood->server;
	char reason[400];
	va_list args;

	va_start(args, format);
	vsnprintf(reason, sizeof(reason), format, args);
	va_end(args);
	tend_log(srv, TEND_LOG_WARNING, "Serving %s failed: %s: %s", tend_peer(c), reason,
	    error_reason(code));
	srv->client_failed = true;
	return code;
}

const char *
tend_server_name(const struct tend_server *srv)
{
	return srv->name;
}

void *
tend_server_data(const struct tend_server *srv)
{
	return srv->service->data;
}

bool
tend_server_is_child(const struct tend_server *srv)
{
	return srv->role == ROLE_CHILD;
}

pid_t
tend_server_parent(const struct tend_server *srv)
{
	return srv->parent;
}

struct tend_loop *
tend_server_loop(struct tend_server *srv)
{
	return srv->loop;
}

unsigned long
tend_server_requests(const struct tend_server *srv)
{
	return srv->requests;
}

unsigned
tend_server_children(const struct tend_server *srv)
{
	struct board_tally t;

	if (srv->board == NULL)
		return 0;
	t = board_count(srv->board);
	return t.waiting + t.busy;
}

unsigned
tend_server_busy(const struct tend_server *srv)
{
	return srv->board != NULL ? board_count(srv->board).busy : 0;
}

unsigned long
tend_server_served(const struct tend_server *srv)
{
	return srv->board != NULL ? (unsigned long)board_served(srv->board) : srv->requests;
}

bool
tend_server_endpoint(struct tend_server *srv, unsigned i, struct tend_endpoint *into)
{
	const struct listener *l;

	if (i >= srv->listener_count)
		return false;
	l = &srv->listeners[i];
	*into = (struct tend_endpoint){
		.proto = l->proto_upper,
		.host = l->transport->traits & TRANSPORT_LOCAL ? "" : l->host,
		.service = l->service,
		.port = addr_port(&l->addr),
		.fd = srv->listeners_gone ? -1 : l->fd,
	};
	return true;
}

int
tend_tell_parent(struct tend_server *srv, const void *data, size_t size)
{
	if (srv->role != ROLE_CHILD || srv->parent_channel < 0)
		return -ENOTCONN;
	if (size == 0)
		return -EINVAL;
	if (size > 4096)
		return -EMSGSIZE;
	if (send(srv->parent_channel, data, size, MSG_DONTWAIT | MSG_NOSIGNAL) < 0)
		return errno == EWOULDBLOCK ? -EAGAIN : -errno;
	return 0;
}
