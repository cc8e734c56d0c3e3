/*
 * The operations of transports whose bytes on the socket are the client's bytes: tcp and unix are
 * two rows over these.
 */
#ifndef TEND_NET_PLAIN_H
#define TEND_NET_PLAIN_H

#include "net/transport.h"

ssize_t plain_read(struct tend_conn *c, void *into, size_t size);
ssize_t plain_write(struct tend_conn *c, const struct iovec *parts, int count);
int     plain_shutdown(struct tend_conn *c);

#endif
