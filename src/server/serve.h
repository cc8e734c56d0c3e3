/* What happens with one client, the same under every personality (NS-FLW-10). */
#ifndef TEND_SERVER_SERVE_H
#define TEND_SERVER_SERVE_H

#include "server/server.h"

/* How blocking calls of this process wait; after signals are open, again after a fork. */
void serve_open_mood(struct tend_server *srv, bool interruptible);

/*
 * Serves the client on `fd`, which is taken, from the first step to the last. `peer` may be NULL.
 * Failures end this connection and nothing else.
 */
void serve_connection(struct tend_server *srv, int fd, const struct listener *from,
	const struct addr *peer);

#endif
