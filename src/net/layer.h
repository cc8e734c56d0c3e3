/*
 * Transports of the application's own (tend/transport.h), one over the other, and at the bottom the one
 * that the connection was opened with. The connection calls the uppermost as it calls any transport;
 * while that one calls what it stands on, the connection shows the one below and its data.
 */
#ifndef TEND_NET_LAYER_H
#define TEND_NET_LAYER_H

#include "net/conn.h"

/* One of them: the transport_data of a connection whose transport is not its listener's. */
struct layer {
	const struct tend_transport *below;
	void                        *below_data;
	void                        *data;     /* the application's */
	struct buf                   held;     /* received before it was put on: it has to be read first */
	bool                         ended;    /* ...and then comes the end */
	int64_t                      deadline; /* the connection's, while hands are shaken; 0: they are not */
};

/* The uppermost; NULL: there is none. */
static inline struct layer *
conn_layer(const struct tend_conn *c)
{
	return c->transport != c->listener->transport ? c->transport_data : NULL;
}

/* Frees what all of its transports keep. The descriptor is still there. */
void conn_transport_done(struct tend_conn *c);

#endif
