/*
 * Output that is not a copy in the connection's buffer: pieces that stay where they are until they
 * have been sent, and markers that are called when all before them has left. Most connections never
 * have any.
 */
#ifndef TEND_NET_CONN_QUEUE_H
#define TEND_NET_CONN_QUEUE_H

#include "net/conn.h"

/* Sends what is first, pieces and buffer gathered in one call, and runs the markers that come due.
   Bytes or -errno. The queue frees itself when it becomes empty. */
ssize_t conn_queue_send(struct tend_conn *c);

/* A marker has added another before which there is nothing to send: it is for the next call. */
bool conn_queue_is_due(const struct tend_conn *c);

/* Forgets it all: pieces are released, markers are called with -ECANCELED. */
void conn_queue_drop(struct tend_conn *c);

/* One of its markers is being run, and nothing was written behind it before. */
bool conn_queue_is_at_end(const struct tend_conn *c);

#endif
