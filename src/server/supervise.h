/*
 * The supervisor's view of a server: when it is ready, reloads and stops, that it lives, and which
 * sockets it was given (NS-DMN-06, NS-BND-09).
 */
#ifndef TEND_SERVER_SUPERVISE_H
#define TEND_SERVER_SUPERVISE_H

#include "process/notify.h"
#include "server/server.h"

struct supervise {
	struct notify         notify;
	struct tend_timer     beat; /* of the watchdog */
	struct passed_socket *passed;
	size_t                passed_count;
	struct tend_listen   *endpoints; /* made of them where no port is configured */
	char                 *texts;     /* of those */
};

int  supervise_init(struct tend_server *srv);
void supervise_done(struct tend_server *srv);

/* First thing of a run: which sockets we were given. 0 or -errno. */
int supervise_receive(struct tend_server *srv);
/* In the process that will serve, with its loop. 0 or -errno. */
int supervise_open(struct tend_server *srv);

/* Where no port is configured: the sockets that we were given, now or before a restart. NULL: none. */
const struct tend_listen *supervise_endpoints(struct tend_server *srv);
/* Adopts the socket that was given for endpoint `i`. 1: done; 0: there is none; or -errno. */
int supervise_listener(struct tend_server *srv, size_t i);
/* All endpoints are bound: what is left is for nobody. */
void supervise_bound(struct tend_server *srv);

/* Serving, for the first time or again. */
void supervise_ready(struct tend_server *srv, const char *status);
/* A restart or fresh workers have been asked for; supervise_ready() is to follow in any case. */
void supervise_reloading(struct tend_server *srv, const char *status);
/* Nothing comes of it. Both are said: a supervisor that has sent the signal waits for them. */
void supervise_unchanged(struct tend_server *srv, const char *status);
void supervise_stopping(struct tend_server *srv);

/* In the end; and in a child. */
void supervise_close(struct tend_server *srv);
void supervise_leave(const struct tend_server *srv);

#endif
