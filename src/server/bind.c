/*
 * From endpoints to listeners: each is inherited from the image before, or was opened by a supervisor,
 * or is bound here. And their end.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "server/restart.h"
#include "server/server.h"
#include "server/supervise.h"

#define SHARED_PORT_TRIES 8
/* So long the kernel keeps a silent client to itself (option defer_accept). */
#define DEFER_SECONDS 30

static const char *
ipv_text(unsigned ipv)
{
	return ipv == IPV_4 ? "4" : ipv == IPV_6 ? "6" : "*";
}

static void
log_binding(struct tend_server *srv, const struct endpoint *ep)
{
	const struct tend_transport *t = transport_find(ep->proto);

	if (t != NULL && (t->traits & TRANSPORT_LOCAL))
		tend_log(srv, TEND_LOG_NOTICE, "Binding to %s socket file \"%s\"", ep->proto, ep->port);
	else
		tend_log(srv, TEND_LOG_NOTICE, "Binding to %s port %s on host %s with IPv%s",
		    ep->proto, ep->port, ep->host, ipv_text(ep->ipv));
}

static void
log_bound(struct tend_server *srv, const struct listener *l)
{
	if (l->transport->traits & TRANSPORT_LOCAL)
		tend_log(srv, TEND_LOG_NOTICE, "Bound to %s socket %s", l->proto_upper, l->service);
	else if (strcmp(l->service, l->configured_port) != 0)
		tend_log(srv, TEND_LOG_NOTICE, "Bound to %s port %s on %s (port %s was asked for)",
		    l->proto_upper, l->service, l->host, l->configured_port);
	else
		tend_log(srv, TEND_LOG_NOTICE, "Bound to %s port %s on %s", l->proto_upper, l->service,
		    l->host);
}

/* Opens the endpoints from `first` to before `end`, which share a port; all of them or none. */
static int
open_together(struct tend_server *srv, size_t first, size_t end)
{
	size_t i;
	int r = 0;

	for (i = first; r == 0 && i < end; i++) {
		struct listener *l = &srv->listeners[i];

		r = inherit_listener(srv, i);
		if (r == 0)
			r = supervise_listener(srv, i);
		if (r == 0)
			r = listener_open(l, &srv->endpoints.list[i], i > first ? l - 1 : NULL,
			    &srv->error);
		if (r > 0)
			r = 0;
		if (r < 0)
			while (i-- > first)
				listener_close(&srv->listeners[i]);
	}
	return r;
}

/*
 * One endpoint and those that take its port. The kernel chose the port for the first alone: another
 * process may have it on the second's address, and then a new choice is made.
 */
static int
bind_request(struct tend_server *srv, size_t first)
{
	const struct endpoint *list = srv->endpoints.list;
	size_t i, end = first + 1;
	int tries, r = -EADDRINUSE;

	while (end < srv->endpoints.count && list[end].shares_port)
		end++;
	for (i = first; i < end; i++)
		log_binding(srv, &list[i]);
	for (tries = end > first + 1 ? SHARED_PORT_TRIES : 1; r == -EADDRINUSE && tries > 0; tries--)
		r = open_together(srv, first, end);
	if (r == -EADDRINUSE && inherit_make_room(srv, first))
		r = open_together(srv, first, end);
	if (r < 0)
		return r;
	error_clear(&srv->error);
	for (i = first; i < end; i++) {
		if (srv->settings.value.defer_accept)
			listener_defer(&srv->listeners[i], DEFER_SECONDS);
		log_bound(srv, &srv->listeners[i]);
	}
	srv->listener_count = end;
	return 0;
}

int
lifecycle_bind(struct tend_server *srv)
{
	int r;

	srv->listeners = calloc(srv->endpoints.count, sizeof(*srv->listeners));
	if (srv->listeners == NULL)
		return server_fail(srv, EX_OSERR, -ENOMEM, "out of memory");
	r = inherit_match(srv);
	while (r == 0 && srv->listener_count < srv->endpoints.count)
		r = bind_request(srv, srv->listener_count);
	supervise_bound(srv);
	srv->bound = true;
	return r;
}

void
lifecycle_close_listeners(struct tend_server *srv)
{
	size_t i;

	for (i = 0; i < srv->listener_count; i++) {
		struct listener *l = &srv->listeners[i];
		int r = listener_unlink(l);

		if (r < 0 && l->owner == getpid())
			tend_log(srv, TEND_LOG_WARNING, "Cannot remove the socket file %s: %s", l->service,
			    error_reason(r));
		listener_close(l);
	}
	free(srv->listeners);
	srv->listeners = NULL;
	srv->listener_count = 0;
}
