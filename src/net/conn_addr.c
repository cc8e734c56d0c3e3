/* Who is at the two ends of a connection, as text. Made when first asked for; most never are. */
#include <stdlib.h>
#include <string.h>

#include "net/conn.h"

enum text { PEER, PEER_HOST, LOCAL, LOCAL_HOST, TEXTS };

static void
learn_local(struct tend_conn *c)
{
	if (c->local_known)
		return;
	c->local_known = true;
	/* After the close only the listener can tell. */
	if (c->fd < 0 || addr_of_socket(&c->local, c->fd) < 0)
		c->local = c->listener->addr;
}

static void
learn_peer(struct tend_conn *c)
{
	if (c->peer.length == 0 && c->fd >= 0)
		addr_of_peer(&c->peer, c->fd);
}

static const char *
text(struct tend_conn *c, enum text which)
{
	char(*texts)[ADDR_TEXT_MAX];

	if (c->texts == NULL) {
		c->texts = calloc(TEXTS, ADDR_TEXT_MAX);
		if (c->texts == NULL)
			return "";
	}
	texts = (char(*)[ADDR_TEXT_MAX])c->texts;
	if (texts[which][0] != '\0')
		return texts[which];
	if (which == PEER || which == PEER_HOST)
		learn_peer(c);
	else
		learn_local(c);
	if (which == PEER)
		addr_text(&c->peer, texts[which]);
	else if (which == PEER_HOST)
		addr_host_text(&c->peer, texts[which]);
	else if (which == LOCAL)
		addr_text(&c->local, texts[which]);
	else
		addr_host_text(&c->local, texts[which]);
	return texts[which];
}

void
conn_addr_release(struct tend_conn *c)
{
	free(c->texts);
	c->texts = NULL;
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
	learn_peer(c);
	return addr_port(&c->peer);
}

unsigned
tend_local_port(struct tend_conn *c)
{
	learn_local(c);
	return addr_port(&c->local);
}

socklen_t
tend_peer_sockaddr(struct tend_conn *c, struct sockaddr_storage *into)
{
	learn_peer(c);
	memcpy(into, &c->peer.u.storage, sizeof(*into));
	return c->peer.length;
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
