/*
 * A datagram as a connection: its input is that datagram and then the end of input, its output
 * gathers and leaves as one datagram when the connection is closed or its output ended. This is what
 * the transports udp and unixdgram do; the parcel is their connection's transport_data.
 */
#ifndef TEND_NET_PARCEL_H
#define TEND_NET_PARCEL_H

#include "net/conn.h"

struct parcel {
	const char *data; /* what has come, and not been read */
	size_t      size;
	bool        ended;   /* the end of input was told */
	bool        spoilt;  /* more was written than fits: nothing is sent */
	struct buf  answer;
	size_t      most;    /* bytes of an answer */
	/* Sends the answer to whom the datagram came from. 0 or -errno. */
	int       (*send)(struct tend_conn *c, const void *data, size_t size);
};

static inline struct parcel *
parcel_of(const struct tend_conn *c)
{
	return c->transport_data;
}

/* A new datagram, in memory that stays until the connection is closed. Keeps the answer's memory. */
void parcel_put(struct parcel *p, const void *data, size_t size);

#endif
