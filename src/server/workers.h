/*
 * A constant number of worker processes, each with many clients at once: the master's side of
 * Multiplex and Thread (option workers).
 */
#ifndef TEND_SERVER_WORKERS_H
#define TEND_SERVER_WORKERS_H

#include "server/server.h"

/* The rows of such a personality. */
int  workers_prepare(struct tend_server *srv);
int  workers_open(struct tend_server *srv);
int64_t workers_manage(struct tend_server *srv, int64_t now);
void workers_resize(struct tend_server *srv, int by);
unsigned workers_servers(struct tend_server *srv);

#endif
