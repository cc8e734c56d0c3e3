/* The parts that the bare servers share; see bare.h. How a client gets its process is theirs.
 */
#include "bare.h"

#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <netinet/tcp.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sysexits.h>
#include <unistd.h>

#define MESSAGE 64

/* 63 characters and a newline. */
static const char answer[] =
    "the quick brown fox jumps over the lazy dog, 64 bytes at a time\n";
_Static_assert(sizeof(answer) == MESSAGE + 1, "the answer has 64 bytes");

void
bare_fail(const char *what)
{
	fprintf(stderr, "cannot %s: %s\n", what, strerror(errno));
	exit(EX_OSERR);
}

static int
parse_number(const char *option, const char *text, long least, long most)
{
	char *end;
	long n;

	errno = 0;
	n = strtol(text, &end, 10);
	if (errno != 0 || end == text || *end != '\0' || n < least || n > most) {
		fprintf(stderr, "%s %s: give a number from %ld to %ld\n", option, text, least,
		    most);
		exit(EX_USAGE);
	}
	return (int)n;
}

struct bare_options
bare_parse(int argc, char **argv)
{
	struct bare_options o = { .port = 0, .workers = 8 };
	int i;

	for (i = 1; i + 1 < argc; i += 2) {
		if (strcmp(argv[i], "--port") == 0)
			o.port = parse_number(argv[i], argv[i + 1], 0, 65535);
		else if (strcmp(argv[i], "--workers") == 0)
			o.workers = parse_number(argv[i], argv[i + 1], 1, BARE_WORKERS_MAX);
		else
			break;
	}
	if (i < argc) {
		fprintf(stderr, "usage: %s [--port N] [--workers N]\n", argv[0]);
		exit(EX_USAGE);
	}
	return o;
}

/* As many descriptors as we may have: the default of 1024 is no limit of a server's. */
static void
raise_descriptors(void)
{
	struct rlimit l;

	if (getrlimit(RLIMIT_NOFILE, &l) < 0)
		bare_fail("read the limit of descriptors");
	l.rlim_cur = l.rlim_max;
	if (setrlimit(RLIMIT_NOFILE, &l) < 0)
		bare_fail("raise the limit of descriptors");
}

int
bare_listen(int port)
{
	struct sockaddr_in at = { .sin_family = AF_INET, .sin_port = htons((uint16_t)port) };
	socklen_t size = sizeof(at);
	int fd, on = 1;

	/* A client that leaves early must not end the server. */
	signal(SIGPIPE, SIG_IGN);
	raise_descriptors();
	at.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
	fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
	if (fd < 0)
		bare_fail("make a socket");
	if (setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &on, sizeof(on)) < 0 ||
	    setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof(on)) < 0 ||
	    bind(fd, (struct sockaddr *)&at, sizeof(at)) < 0 || listen(fd, SOMAXCONN) < 0 ||
	    getsockname(fd, (struct sockaddr *)&at, &size) < 0)
		bare_fail("listen on 127.0.0.1");
	printf("listening on 127.0.0.1:%u\n", ntohs(at.sin_port));
	/* Now, or every forked child would print it again. */
	fflush(stdout);
	return fd;
}

void
bare_unblock(int fd)
{
	if (fcntl(fd, F_SETFL, O_NONBLOCK) < 0)
		bare_fail("make a descriptor that does not wait");
}

int
bare_accept(int listener)
{
	int fd;

	do
		fd = accept4(listener, NULL, NULL, SOCK_CLOEXEC);
	while (fd < 0 && (errno == EINTR || errno == ECONNABORTED));
	if (fd < 0)
		bare_fail("accept");
	return fd;
}

/* True once a whole request is in. */
static int
read_request(int in)
{
	char request[MESSAGE];
	size_t have = 0;
	ssize_t n;

	while (have < sizeof(request)) {
		n = read(in, request + have, sizeof(request) - have);
		if (n < 0 && errno == EINTR)
			continue;
		if (n <= 0)
			return 0;
		if (memchr(request + have, '\n', (size_t)n) != NULL)
			return 1;
		have += (size_t)n;
	}
	return 1;
}

void
bare_serve(int in, int out)
{
	ssize_t n;

	if (!read_request(in))
		return;
	/* 64 bytes always fit into the empty send buffer of a new connection: one call will
	 * do. */
	do
		n = write(out, answer, MESSAGE);
	while (n < 0 && errno == EINTR);
}

bool
bare_try(int fd)
{
	char request[2 * MESSAGE];
	ssize_t n = read(fd, request, sizeof(request));

	if (n < 0 && (errno == EAGAIN || errno == EINTR))
		return false;
	if (n > 0)
		n = write(fd, answer, MESSAGE); /* a client that has gone misses it */
	return true;
}
