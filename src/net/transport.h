/*
 * How bytes move on a connection: the seam between the connection, which buffers and waits, and
 * tcp, unix and tls, which do not. No operation waits; one that cannot go on returns -EAGAIN and
 * says in conn_want() what it needs, which may be writability for a read.
 */
#ifndef TEND_NET_TRANSPORT_H
#define TEND_NET_TRANSPORT_H

#include <sys/types.h>
#include <sys/uio.h>

#include <tend/base.h>

#include "base/error.h"

enum {
	TRANSPORT_DATAGRAM = 1, /* no connection: each packet is a client */
	TRANSPORT_LOCAL = 2,    /* peers are processes of this machine: no address rules */
	TRANSPORT_WRAPPED = 4,  /* bytes on the descriptor are not the client's bytes */
};

struct transport {
	const char *name; /* "tcp" */
	unsigned    traits;

	/* A handshake of its own, called until it returns 0. NULL: none. */
	int (*handshake)(struct tend_conn *c);
	/* Bytes, 0 at the end of input, -EAGAIN or -errno. */
	ssize_t (*read)(struct tend_conn *c, void *into, size_t size);
	/* Bytes taken, -EAGAIN or -errno. */
	ssize_t (*write)(struct tend_conn *c, const struct iovec *parts, int count);
	/* Bytes that read() would give without asking the kernel. NULL: never any. */
	size_t (*pending)(struct tend_conn *c);
	/* Ends our output. 0, -EAGAIN or -errno. */
	int (*shutdown)(struct tend_conn *c);
	/* Frees what the transport keeps; the descriptor is the connection's. NULL: nothing. */
	void (*done)(struct tend_conn *c);
};

extern const struct transport transport_tcp;
extern const struct transport transport_unix;
extern const struct transport transport_udp;
extern const struct transport transport_unixdgram;

/* By the name of a protocol, any case; NULL: unknown, or not in this build. */
const struct transport *transport_find(const char *proto);

/*
 * The same for a string of the configuration, which the sentence quotes. EX_CONFIG with -EINVAL for
 * an unknown protocol, -EPROTONOSUPPORT for one that this build lacks.
 */
int transport_choose(const char *proto, const char *text, const struct transport **into,
	struct error *e);

/* Is this a protocol that tend knows, in this build or not? `traits` may be NULL. Any case. */
bool transport_is_known(const char *proto, unsigned *traits);

/* The names of the transports in this build: "tcp, unix". Static. */
const char *transport_names(void);

#endif
