/*
 * How bytes move on a connection: the seam between the connection, which buffers and waits, and
 * tcp, unix and tls, which do not. The contract is that of tend/transport.h, since applications have
 * transports of their own (layer.h); this is about those that come with a protocol.
 */
#ifndef TEND_NET_TRANSPORT_H
#define TEND_NET_TRANSPORT_H

#include <tend/transport.h>

#include "base/error.h"

/* Of the protocol, so of a listener, whatever may stand over it. */
enum {
	TRANSPORT_DATAGRAM = 1 << 8, /* no connection: each packet is a client */
	TRANSPORT_LOCAL = 1 << 9,    /* peers are processes of this machine: no address rules */
};

extern const struct tend_transport transport_tcp;
extern const struct tend_transport transport_unix;
extern const struct tend_transport transport_udp;
extern const struct tend_transport transport_unixdgram;

/* By the name of a protocol, any case; NULL: unknown, or not in this build. */
const struct tend_transport *transport_find(const char *proto);

/*
 * The same for a string of the configuration, which the sentence quotes. EX_CONFIG with -EINVAL for
 * an unknown protocol, -EPROTONOSUPPORT for one that this build lacks.
 */
int transport_choose(const char *proto, const char *text, const struct tend_transport **into,
	struct error *e);

/* Is this a protocol that tend knows, in this build or not? `traits` may be NULL. Any case. */
bool transport_is_known(const char *proto, unsigned *traits);

/* The names of the transports in this build: "tcp, unix". Static. */
const char *transport_names(void);

#endif
