/*
 * INET: started by a super-server (inetd, xinetd, systemd with Accept=yes) with one client on
 * descriptors 0 and 1. Binds nothing, serves that client, ends.
 */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <sys/socket.h>
#include <unistd.h>

#include "server/personality.h"
#include "server/serve.h"

/* What is on descriptor 0: a stream socket, TCP or local. */
static int
listener_of_client(struct tend_server *srv, struct listener *l)
{
	int type = 0, r;
	socklen_t size = sizeof(type);

	if (getsockopt(STDIN_FILENO, SOL_SOCKET, SO_TYPE, &type, &size) < 0)
		return server_fail(srv, EX_USAGE, -errno,
		    "server_type INET: standard input is not a socket; start it from inetd, xinetd or "
		    "a socket unit");
	if (type != SOCK_STREAM)
		return server_fail(srv, EX_USAGE, -EPROTOTYPE,
		    "server_type INET: standard input is not a stream socket");
	r = addr_of_socket(&l->addr, STDIN_FILENO);
	if (r < 0)
		return server_fail(srv, EX_OSERR, r, "standard input: %s", error_reason(r));
	return 0;
}

static int
loop(struct tend_server *srv)
{
	char host[ADDR_TEXT_MAX], port[16];
	struct listener l = { .fd = -1, .host = host, .service = port };
	bool local;
	int fd, r = listener_of_client(srv, &l);

	if (r < 0)
		return r;
	local = l.addr.u.any.sa_family == AF_UNIX;
	l.transport = local ? &transport_unix : &transport_tcp;
	l.proto = l.proto_upper = (char *)(uintptr_t)(local ? "UNIX" : "TCP");
	addr_host_text(&l.addr, host);
	snprintf(port, sizeof(port), "%u", addr_port(&l.addr));
	/* The connection owns a descriptor of its own; 0 and 1 are bound to it as elsewhere. */
	fd = fcntl(STDIN_FILENO, F_DUPFD_CLOEXEC, 3);
	if (fd < 0)
		return server_fail(srv, EX_OSERR, -errno, "standard input: %s", error_reason(-errno));
	dup2(srv->null_fd, STDIN_FILENO);
	dup2(srv->null_fd, STDOUT_FILENO);
	serve_open_mood(srv, true);
	serve_connection(srv, fd, &l, NULL);
	return 0;
}

const struct personality personality_inet = {
	.name = "INET",
	.traits = PERSONALITY_NO_BIND,
	.loop = loop,
};
