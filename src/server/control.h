/*
 * Who may look at a running server and change it: the control socket, a Unix socket for the
 * administrator (option control), and the endpoint for monitoring (option metrics). Both are desks
 * on the loop of the process that owns the server; where that process serves the clients itself
 * (Single) they are answered between two clients.
 */
#ifndef TEND_SERVER_CONTROL_H
#define TEND_SERVER_CONTROL_H

#include "server/server.h"

/* Before anything is bound: can this server have what the options ask for? */
int control_check(struct tend_server *srv);

/* A phase of the start: opens what the options ask for, still with all privileges. */
int control_open(struct tend_server *srv);

/* Gives the socket files to the user that the server becomes. */
int control_give(struct tend_server *srv);

/* The listeners of both, for who hands them on; NULL: there are not so many. */
const struct listener *control_listener(const struct tend_server *srv, size_t i);

/* The end of the server. NULL is accepted in srv->control, here and below. */
void control_close(struct tend_server *srv);

/* In a child: closes the descriptors and nothing else. */
void control_leave(const struct tend_server *srv);

/* When the sockets were opened, which is when the server started. */
int64_t control_since(const struct tend_server *srv);

#endif
