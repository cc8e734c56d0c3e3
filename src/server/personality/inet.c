/*
 * INET: started by a super-server (inetd, xinetd, systemd with Accept=yes) with one client on
 * descriptors 0 and 1. Binds nothing, serves that client, ends.
 */
#include <errno.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <stdio.h>
#include <stdlib.h>
#include <arpa/inet.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/str.h"
#include "net/pipe.h"
#include "server/personality.h"
#include "server/serve.h"

/* The listener that the client would have come through, and the client's two descriptors. */
struct visit {
	struct listener listener;
	char            host[ADDR_TEXT_MAX], port[16];
	struct addr     peer;
	int             in, out; /* out -1: a socket, one for both */
};

/* An address that a super-server left in the environment, or the placeholder 0.0.0.0 (NS-INE-04). */
static struct addr
addr_of_environment(const char *ip_name, const char *port_name)
{
	const char *ip = getenv(ip_name), *port = getenv(port_name);
	struct addr a = { .length = sizeof(a.u.v4), .u.v4.sin_family = AF_INET };
	long number;

	if (ip != NULL && inet_pton(AF_INET6, ip, &a.u.v6.sin6_addr) == 1) {
		a.u.v6.sin6_family = AF_INET6;
		a.length = sizeof(a.u.v6);
	} else if (ip != NULL) {
		inet_pton(AF_INET, ip, &a.u.v4.sin_addr);
	}
	if (port != NULL && str_to_long(port, 0, 65535, &number) == 0)
		addr_set_port(&a, (unsigned)number);
	return a;
}

static bool
is_stream_socket(int fd)
{
	int type = 0;
	socklen_t size = sizeof(type);

	return getsockopt(fd, SOL_SOCKET, SO_TYPE, &type, &size) == 0 && type == SOCK_STREAM;
}

static void
describe(struct visit *v)
{
	struct listener *l = &v->listener;
	bool socket = is_stream_socket(STDIN_FILENO);
	bool local;

	if (!socket || addr_of_socket(&l->addr, STDIN_FILENO) < 0)
		l->addr = addr_of_environment("TCPLOCALIP", "TCPLOCALPORT");
	if (!socket || addr_of_peer(&v->peer, STDIN_FILENO) < 0)
		v->peer = addr_of_environment("TCPREMOTEIP", "TCPREMOTEPORT");
	local = l->addr.u.any.sa_family == AF_UNIX;
	l->fd = l->directory = -1;
	l->transport = !socket ? &transport_pipe : local ? &transport_unix : &transport_tcp;
	l->proto = l->proto_upper = (char *)(uintptr_t)(local ? "UNIX" : "TCP");
	l->host = v->host;
	l->service = v->port;
	addr_host_text(&l->addr, v->host);
	snprintf(v->port, sizeof(v->port), "%u", addr_port(&l->addr));
	v->out = socket ? -1 : 0;
}

static bool
stderr_is_client(void)
{
	struct stat in, error;

	return fstat(STDIN_FILENO, &in) == 0 && fstat(STDERR_FILENO, &error) == 0 &&
	    S_ISSOCK(in.st_mode) && in.st_dev == error.st_dev && in.st_ino == error.st_ino;
}

/*
 * The connection owns descriptors of its own; 0 and 1 are bound to it as elsewhere. inetd gives the
 * client as standard error too: our log is not for him.
 */
static int
take_descriptors(struct tend_server *srv, struct visit *v)
{
	v->in = fcntl(STDIN_FILENO, F_DUPFD_CLOEXEC, 3);
	if (v->out >= 0)
		v->out = fcntl(STDOUT_FILENO, F_DUPFD_CLOEXEC, 3);
	if (v->in < 0 || (v->out < 0 && v->listener.transport == &transport_pipe))
		return server_fail(srv, EX_OSERR, -errno, "standard input and output: %s",
		    error_reason(-errno));
	if (stderr_is_client())
		dup2(srv->null_fd, STDERR_FILENO);
	dup2(srv->null_fd, STDIN_FILENO);
	dup2(srv->null_fd, STDOUT_FILENO);
	return 0;
}

/* Before the first line of log. A log file that is opened later is not silenced. */
static int
prepare(struct tend_server *srv)
{
	if (stderr_is_client() && logger_is_stderr(&srv->log))
		logger_silence(&srv->log);
	return 0;
}

static int
loop(struct tend_server *srv)
{
	struct visit v = { .in = -1, .out = -1 };
	int r;

	describe(&v);
	r = take_descriptors(srv, &v);
	if (r < 0)
		return r;
	serve_open_mood(srv, true);
	signals_make_second_final();
	conn_open(&srv->seat.conn, v.in, &v.listener, &v.peer, &srv->seat.mood);
	if (v.out >= 0 && pipe_attach(&srv->seat.conn, v.out) < 0) {
		conn_leave(&srv->seat.conn);
		return server_fail(srv, EX_OSERR, -ENOMEM, "out of memory");
	}
	serve_opened(srv, &srv->seat.conn);
	return 0;
}

const struct personality personality_inet = {
	.name = "INET",
	.traits = PERSONALITY_NO_BIND,
	.prepare = prepare,
	.loop = loop,
};
