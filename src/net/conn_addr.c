/* Who is at the two ends of a connection, as text. Made when first asked for; most never are. */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "net/conn.h"

enum text { PEER, PEER_HOST, LOCAL, LOCAL_HOST, TEXTS };

static const struct addr *
local(struct tend_conn *c)
{
	static const struct addr unknown;
	struct conn_extras *x = conn_extras(c);

	if (x == NULL)
		return &unknown;
	/* After the close only the listener can tell. */
	if (x->local.length == 0 && (c->fd < 0 || addr_of_socket(&x->local, c->fd) < 0))
		x->local = c->listener->addr;
	return &x->local;
}

void
conn_learn_peer(struct tend_conn *c)
{
	struct addr found;

	if (c->peer.length > 0 || (c->extras != NULL && c->extras->peer.length > 0) || c->fd < 0 ||
	    addr_of_peer(&found, c->fd) < 0)
		return;
	if (found.length <= sizeof(c->peer.u)) {
		c->peer.length = found.length;
		memcpy(&c->peer.u, &found.u, found.length);
	} else if (conn_extras(c) != NULL) {
		c->extras->peer = found;
	}
}

static const struct addr *
peer(struct tend_conn *c)
{
	static const struct addr unknown;
	struct conn_extras *x;

	conn_learn_peer(c);
	x = conn_extras(c);
	if (x == NULL)
		return &unknown;
	if (x->peer.length == 0 && c->peer.length > 0) {
		memcpy(&x->peer.u, &c->peer.u, c->peer.length);
		x->peer.length = c->peer.length;
	}
	return &x->peer;
}

static const char *
text(struct tend_conn *c, enum text which)
{
	struct conn_extras *x = conn_extras(c);
	char shown[ADDR_TEXT_MAX];

	if (x == NULL)
		return "";
	if (x->texts[which] != NULL)
		return x->texts[which];
	if (which == PEER)
		addr_text(peer(c), shown);
	else if (which == PEER_HOST)
		addr_host_text(peer(c), shown);
	else if (which == LOCAL)
		addr_text(local(c), shown);
	else
		addr_host_text(local(c), shown);
	x->texts[which] = strdup(shown);
	return x->texts[which] != NULL ? x->texts[which] : "";
}

void
conn_addr_release(struct tend_conn *c)
{
	struct conn_extras *x = c->extras;
	int i;

	if (x == NULL)
		return;
	for (i = 0; i < TEXTS; i++) {
		free(x->texts[i]);
		x->texts[i] = NULL;
	}
	x->peer.length = x->local.length = 0;
	free(x->peer_name);
	x->peer_name = NULL;
	x->lookup_result = 0;
}

int
conn_set_peer_name(struct tend_conn *c, const char *name)
{
	struct conn_extras *x = conn_extras(c);

	if (x == NULL)
		return -ENOMEM;
	free(x->peer_name);
	x->peer_name = strdup(name);
	return x->peer_name != NULL ? 0 : -ENOMEM;
}

const char *
tend_peer_name(struct tend_conn *c)
{
	return c->extras != NULL ? c->extras->peer_name : NULL;
}

const char *
tend_peer(struct tend_conn *c)
{
	return text(c, PEER);
}

const char *
tend_local(struct tend_conn *c)
{
	return text(c, LOCAL);
}

const char *
tend_peer_host(struct tend_conn *c)
{
	return text(c, PEER_HOST);
}

const char *
tend_local_host(struct tend_conn *c)
{
	return text(c, LOCAL_HOST);
}

unsigned
tend_peer_port(struct tend_conn *c)
{
	return addr_port(peer(c));
}

unsigned
tend_local_port(struct tend_conn *c)
{
	return addr_port(local(c));
}

socklen_t
tend_peer_sockaddr(struct tend_conn *c, struct sockaddr_storage *into)
{
	const struct addr *a = peer(c);

	memcpy(into, &a->u.storage, sizeof(*into));
	return a->length;
}

const char *
tend_conn_proto(struct tend_conn *c)
{
	return c->listener->proto_upper;
}

const char *
tend_conn_service(struct tend_conn *c)
{
	return c->listener->service;
}
