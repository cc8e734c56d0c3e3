/*
 * Listening sockets: one for each endpoint, non-blocking and close-on-exec from birth, released
 * with close and never with shutdown (NS-BND-10).
 */
#ifndef TEND_NET_LISTEN_H
#define TEND_NET_LISTEN_H

#include <sys/types.h>

#include "base/error.h"
#include "net/addr.h"
#include "net/endpoint.h"
#include "net/transport.h"

struct listener {
	int                     fd; /* -1: closed */
	const struct tend_transport *transport;
	struct addr             addr;     /* as bound, the real port in it */
	char                   *host;     /* text of addr; "*" for unix */
	char                   *service;  /* the bound port as digits, or the path */
	char                   *configured_port;
	char                   *proto;    /* as written */
	char                   *proto_upper; /* for log lines and tend_conn_proto() */
	unsigned                ipv;
	int                     backlog;
	pid_t                   owner;    /* the process that may unlink the path */
	bool                    passed;   /* a supervisor opened it, and has it too */
	int                     directory; /* of a unix path, opened before a chroot; -1 */
	dev_t                   device;   /* of the socket file, so that only our own is removed */
	ino_t                   inode;
	struct socket_rights    before;   /* of a file that was adopted and changed: what it was */
};

/*
 * Creates, binds and listens; a socket file has the rights of `from` before it does. The sentence names protocol, host, port and the reason, and says what
 * to change where that is known. A stale unix socket is replaced; a live one, or a file that is no
 * socket, is not touched (NS-UNX-02). `before` is the endpoint bound before this one, for
 * shares_port; may be NULL.
 */
int listener_open(struct listener *l, const struct endpoint *from, const struct listener *before,
	struct error *e);

/*
 * Takes over a socket that listens already, from before a restart or from a service manager; takes
 * `fd` on failure too. Its address is not compared with that of `from`, its family and type are. The
 * socket file of a service manager is not ours to remove: set `owner` to 0 then.
 */
int listener_adopt(struct listener *l, int fd, const struct endpoint *from, struct error *e);

/* Where the kernel can, clients are not shown before they have sent something or `seconds` are over. */
void listener_defer(const struct listener *l, int seconds);

/* The name of its socket file, in its directory; NULL: it has none. */
const char *listener_file(const struct listener *l);

/* Closes the descriptor and frees. The socket file stays. */
void listener_close(struct listener *l);

/*
 * Removes the socket file of a unix listener, if it is still ours and this process owns it; works
 * after a chroot. 0 when there is nothing (more) to remove, or -errno of what kept it from going.
 */
int listener_unlink(struct listener *l);

#endif
