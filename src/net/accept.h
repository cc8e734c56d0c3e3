/* Accepting one client, whoever does it. */
#ifndef TEND_NET_ACCEPT_H
#define TEND_NET_ACCEPT_H

#include "net/addr.h"

/*
 * Tries to accept one connection: its descriptor, close-on-exec, -EAGAIN when there is none (any
 * more), or another error of accept(). Errors that only this client had are passed over.
 */
int accept_client(int fd, struct addr *peer);

/* True for errors that say that this process or machine is out of something for the moment. */
bool accept_is_starved(int code);

#endif
