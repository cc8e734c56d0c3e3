/* The transport of a client that is no socket: a descriptor to read from, another to write to. */
#ifndef TEND_NET_PIPE_H
#define TEND_NET_PIPE_H

#include "net/transport.h"

extern const struct tend_transport transport_pipe;

/* To an opened connection: the descriptor to write to, which is taken. 0 or -ENOMEM. */
int pipe_attach(struct tend_conn *c, int out);

#endif
