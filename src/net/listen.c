/*
 * Opening, adopting and releasing listening sockets, and the care that socket files need: a
 * stale one is replaced, one that somebody serves or that is no socket is left alone, and only
 * our own is removed in the end. What to listen on is decided in resolve.c, accepting is done
 * elsewhere.
 */
#include "net/listen.h"

#include <errno.h>
#include <fcntl.h>
#include <netinet/tcp.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include "base/str.h"
#include "net/datagram_batch.h"
#include "net/rights.h"

#define LOCK_TRIES 50
#define LOCK_PAUSE 20000000L /* nanoseconds */

static bool
is_local(const struct listener *l)
{
	return (l->transport->traits & TRANSPORT_LOCAL) != 0;
}

static bool
is_datagram(const struct listener *l)
{
	return (l->transport->traits & TRANSPORT_DATAGRAM) != 0;
}

/* Abstract names live and die with their socket. */
static bool
has_file(const struct listener *l)
{
	return is_local(l) && l->service != NULL && l->service[0] != '@';
}

static int
no_memory(struct error *e)
{
	return error_set(e, EX_OSERR, -ENOMEM, "out of memory");
}

/* ---- what went wrong ---- */

/* What to change, where that is known; or NULL. */
static const char *
bind_hint(const struct addr *a, int code)
{
	switch (-code) {
	case EADDRINUSE:
		return "another server listens there";
	case EACCES:
		return addr_port(a) < 1024
			   ? "ports below 1024 need root or CAP_NET_BIND_SERVICE"
			   : NULL;
	case EADDRNOTAVAIL:
		return "no interface of this machine has that address";
	case EAFNOSUPPORT:
		return a->u.any.sa_family == AF_INET6
			   ? "this machine has no IPv6; the option ipv 4 does without"
			   : NULL;
	case EINVAL:
		return a->u.any.sa_family == AF_INET6 &&
			       IN6_IS_ADDR_LINKLOCAL(&a->u.v6.sin6_addr)
			   ? "a link-local address needs its interface, as in fe80::1%eth0"
			   : NULL;
	default:
		return NULL;
	}
}

static int
open_failed(const struct listener *l, const char *what, int code, struct error *e)
{
	const char *hint = bind_hint(&l->addr, code);
	char host[ADDR_TEXT_MAX], path[160];

	if (is_local(l)) {
		str_escape(path, sizeof(path), l->service, strlen(l->service));
		return error_set(e, error_status_of(code), code,
		    "cannot %s %s socket '%s': %s", what, l->proto, path, error_reason(code));
	}
	addr_host_text(&l->addr, host);
	return error_set(e, error_status_of(code), code, "cannot %s %s port %u on %s: %s%s%s",
	    what, l->proto, addr_port(&l->addr), host, error_reason(code),
	    hint != NULL ? "; " : "", hint != NULL ? hint : "");
}

static int
file_refused(const struct listener *l, int status, int code, struct error *e, const char *why)
{
	char path[160];

	str_escape(path, sizeof(path), l->service, strlen(l->service));
	return error_set(
	    e, status, code, "cannot bind %s socket '%s': %s", l->proto, path, why);
}

/* ---- the socket file ---- */

static const char *
file_name(const struct listener *l)
{
	const char *slash = strrchr(l->service, '/');

	return slash != NULL ? slash + 1 : l->service;
}

const char *
listener_file(const struct listener *l)
{
	return has_file(l) ? file_name(l) : NULL;
}

/* Kept open, so that the file can still be removed when the path leads elsewhere, or nowhere. */
static int
directory_open(struct listener *l, struct error *e)
{
	size_t size = (size_t)(file_name(l) - l->service);
	char path[sizeof(l->addr.u.un.sun_path) + 1] = ".";

	if (size >= sizeof(path) || file_name(l)[0] == '\0')
		return file_refused(
		    l, EX_CONFIG, -EISDIR, e, "the path must end in the name of a file");
	if (size > 0) {
		memcpy(path, l->service, size);
		path[size] = '\0';
	}
	l->directory = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
#ifdef O_PATH
	/* A directory that we may enter and write but not list will do. */
	if (l->directory < 0 && errno == EACCES)
		l->directory = open(path, O_PATH | O_DIRECTORY | O_CLOEXEC);
#endif
	if (l->directory < 0) {
		int code = -errno;
		char why[128];

		snprintf(why, sizeof(why), "its directory: %s", error_reason(code));
		return file_refused(l, error_status_of(code), code, e, why);
	}
	return 0;
}

/*
 * Two servers that start at the same moment must not both find the path stale and take it from
 * each other. The lock is a courtesy between them: somebody else's lock on the directory holds
 * us up for a second and no longer.
 */
static void
directory_lock(const struct listener *l)
{
	struct timespec pause = { .tv_nsec = LOCK_PAUSE };
	int tries = LOCK_TRIES;

	while (
	    tries-- > 0 && flock(l->directory, LOCK_EX | LOCK_NB) < 0 && errno == EWOULDBLOCK)
		nanosleep(&pause, NULL);
}

static void
directory_unlock(const struct listener *l)
{
	if (l->directory >= 0)
		flock(l->directory, LOCK_UN);
}

/* 0: nobody answers at the path any more; otherwise -errno. */
static int
probe(const struct addr *a)
{
	int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0),
	    code = -EADDRINUSE;

	if (fd < 0)
		return -errno;
	/* EAGAIN is a full queue and EPROTOTYPE a socket of another type: alive, both of them.
	 */
	if (connect(fd, &a->u.any, a->length) < 0) {
		if (errno == ECONNREFUSED || errno == ENOENT)
			code = 0;
		else if (errno == EACCES || errno == EPERM)
			code = -errno;
	}
	close(fd);
	return code;
}

/* Makes the path free if what is there is the socket of a server that is no more (NS-UNX-02). */
static int
file_clear(const struct listener *l, struct error *e)
{
	struct stat st;
	int code;

	if (fstatat(l->directory, file_name(l), &st, AT_SYMLINK_NOFOLLOW) < 0)
		return errno == ENOENT ? 0 : open_failed(l, "look at", -errno, e);
	if (!S_ISSOCK(st.st_mode))
		return file_refused(l, EX_CANTCREAT, -EEXIST, e,
		    S_ISDIR(st.st_mode) ? "that is a directory; name a file in it"
					: "a file that is no socket has this name; remove it "
					  "or choose another path");
	code = probe(&l->addr);
	if (code == -EADDRINUSE)
		return file_refused(l, EX_UNAVAILABLE, code, e,
		    "address already in use; another server listens there");
	if (code < 0)
		return file_refused(l, error_status_of(code), code, e,
		    "a socket has this name, and we have no permission to see whether it is "
		    "in use");
	if (unlinkat(l->directory, file_name(l), 0) < 0 && errno != ENOENT)
		return open_failed(l, "replace the stale", -errno, e);
	return 0;
}

static void
file_remember(struct listener *l)
{
	struct stat st;

	if (fstatat(l->directory, file_name(l), &st, AT_SYMLINK_NOFOLLOW) < 0 ||
	    !S_ISSOCK(st.st_mode))
		return;
	l->device = st.st_dev;
	l->inode = st.st_ino;
	l->owner = getpid();
}

int
listener_unlink(struct listener *l)
{
	struct stat st;

	if (l->directory < 0 || l->owner != getpid() || !has_file(l))
		return 0;
	if (fstatat(l->directory, file_name(l), &st, AT_SYMLINK_NOFOLLOW) < 0)
		return errno == ENOENT ? 0 : -errno;
	/* A server that was started since may have its own socket here. */
	if (!S_ISSOCK(st.st_mode) || st.st_dev != l->device || st.st_ino != l->inode)
		return 0;
	if (unlinkat(l->directory, file_name(l), 0) < 0 && errno != ENOENT)
		return -errno;
	l->owner = 0;
	return 0;
}

/* ---- the socket ---- */

/* The longest queue that the system allows. */
static int
system_backlog(void)
{
	FILE *f = fopen("/proc/sys/net/core/somaxconn", "re");
	char line[32];
	long n = SOMAXCONN;

	if (f == NULL)
		return SOMAXCONN;
	if (fgets(line, sizeof(line), f) != NULL) {
		line[strcspn(line, "\n")] = '\0';
		if (str_to_long(line, 1, INT32_MAX, &n) < 0)
			n = SOMAXCONN;
	}
	fclose(f);
	return (int)n;
}

static int
set_option(const struct listener *l, int level, int name, int value)
{
	return setsockopt(l->fd, level, name, &value, sizeof(value)) < 0 ? -errno : 0;
}

static int
set_options(const struct listener *l)
{
	int family = l->addr.u.any.sa_family, code = 0;

	if (is_local(l))
		return 0;
	code = set_option(l, SOL_SOCKET, SO_REUSEADDR, 1);
	/* Always said, so that the default of the system does not matter (NS-IPV-07). */
	if (code == 0 && family == AF_INET6)
		code = set_option(l, IPPROTO_IPV6, IPV6_V6ONLY, l->ipv != IPV_ANY);
	/* Accepted sockets inherit it. Output is buffered, so waiting for more gains nothing.
	 */
	if (code == 0 && !is_datagram(l))
		code = set_option(l, IPPROTO_TCP, TCP_NODELAY, 1);
	/* Before anything can come: for what came earlier the system does not know it any more. */
	if (code == 0 && is_datagram(l) && addr_is_wildcard(&l->addr))
		packet_info_ask(l->fd, family);
	return code;
}

/* To an address, or to a file that gets its rights before anybody can connect. */
static int
socket_bind(struct listener *l, const struct socket_rights *asked, struct error *e)
{
	bool rights = asked != NULL && has_file(l);
	struct socket_rights r;
	int code;

	if (rights) {
		r = *asked;
		code = rights_bind(&r, l->fd, &l->addr);
	} else {
		code = bind(l->fd, &l->addr.u.any, l->addr.length) < 0 ? -errno : 0;
	}
	if (code < 0)
		return open_failed(l, "bind", code, e);
	if (has_file(l))
		file_remember(l);
	return rights ? rights_apply(&r, l, e) : 0;
}

/* socket, bind, listen. The descriptor stays in `l` on failure. */
static int
socket_open(struct listener *l, const struct socket_rights *rights, struct error *e)
{
	int type = (is_datagram(l) ? SOCK_DGRAM : SOCK_STREAM) | SOCK_NONBLOCK | SOCK_CLOEXEC,
	    code;

	l->fd = socket(l->addr.u.any.sa_family, type, 0);
	if (l->fd < 0)
		return open_failed(l, "make a socket for", -errno, e);
	code = set_options(l);
	if (code < 0)
		return open_failed(l, "set the options of", code, e);
	code = socket_bind(l, rights, e);
	if (code < 0)
		return code;
	if (!is_datagram(l) && listen(l->fd, l->backlog) < 0)
		return open_failed(l, "listen on", -errno, e);
	return 0;
}

/* ---- listeners ---- */

static char *
upper(const char *text)
{
	char *copy = strdup(text), *p;

	for (p = copy; p != NULL && *p != '\0'; p++)
		if (*p >= 'a' && *p <= 'z')
			*p = (char)(*p - 'a' + 'A');
	return copy;
}

/* Everything that the endpoint tells; the socket and its real port are still to come. */
static int
describe(struct listener *l, const struct endpoint *from, struct error *e)
{
	int code;

	*l = (struct listener){
		.fd = -1,
		.directory = -1,
		.addr = from->addr,
		.ipv = from->ipv,
		.backlog = from->backlog > 0 ? from->backlog : system_backlog(),
	};
	code = transport_choose(from->proto, from->configured_port, &l->transport, e);
	if (code < 0)
		return code;
	l->host = strdup(from->host);
	l->service = strdup(from->port);
	l->configured_port = strdup(from->configured_port);
	l->proto = strdup(from->proto);
	l->proto_upper = upper(from->proto);
	if (l->host == NULL || l->service == NULL || l->configured_port == NULL ||
	    l->proto == NULL || l->proto_upper == NULL)
		return no_memory(e);
	return 0;
}

/* Asks the socket what it was really bound to: port 0 has become a port now (NS-BND-03). */
static int
learn_address(struct listener *l, struct error *e)
{
	char host[ADDR_TEXT_MAX], *copy, *service;
	int code = addr_of_socket(&l->addr, l->fd);

	if (code < 0)
		return open_failed(l, "ask for the address of", code, e);
	if (is_local(l))
		return 0;
	addr_host_text(&l->addr, host);
	copy = strdup(host);
	if (asprintf(&service, "%u", addr_port(&l->addr)) < 0 || copy == NULL) {
		free(copy);
		return no_memory(e);
	}
	free(l->host);
	free(l->service);
	l->host = copy;
	l->service = service;
	return 0;
}

int
listener_open(struct listener *l, const struct endpoint *from, const struct listener *before,
    struct error *e)
{
	int code = describe(l, from, e);

	if (code < 0)
		goto close_listener;
	if (from->shares_port && before != NULL)
		addr_set_port(&l->addr, addr_port(&before->addr));
	if (has_file(l)) {
		code = directory_open(l, e);
		if (code < 0)
			goto close_listener;
		directory_lock(l);
		code = file_clear(l, e);
	}
	if (code == 0)
		code = socket_open(l, from->rights, e);
	directory_unlock(l);
	if (code == 0)
		code = learn_address(l, e);
	if (code < 0)
		goto unlink_file;
	return 0;

unlink_file:
	listener_unlink(l);
close_listener:
	listener_close(l);
	return code;
}

/* Is it a socket of this family and type, and does it listen? */
static bool
fits(const struct listener *l)
{
	int type = 0, listening = 0;
	socklen_t size = sizeof(int);
	struct addr a;

	if (addr_of_socket(&a, l->fd) < 0 || a.u.any.sa_family != l->addr.u.any.sa_family)
		return false;
	if (getsockopt(l->fd, SOL_SOCKET, SO_TYPE, &type, &size) < 0)
		return false;
	if (is_datagram(l))
		return type == SOCK_DGRAM;
	size = sizeof(int);
	return type == SOCK_STREAM &&
	       getsockopt(l->fd, SOL_SOCKET, SO_ACCEPTCONN, &listening, &size) == 0 &&
	       listening != 0;
}

/* A failure is no reason to refuse a socket that serves: its file is then not removed by us. */
static void
adopt_file(struct listener *l)
{
	if (directory_open(l, NULL) == 0)
		file_remember(l);
}

int
listener_adopt(struct listener *l, int fd, const struct endpoint *from, struct error *e)
{
	int code = describe(l, from, e), flags;

	l->fd = fd;
	if (code < 0)
		goto close_listener;
	code = -EINVAL;
	if (!fits(l)) {
		error_set(e, EX_CONFIG, code,
		    "descriptor %d is no listening socket for %s port '%s'", fd, l->proto,
		    l->configured_port);
		goto close_listener;
	}
	flags = fcntl(fd, F_GETFL);
	if (flags < 0 || fcntl(fd, F_SETFL, flags | O_NONBLOCK) < 0 ||
	    fcntl(fd, F_SETFD, FD_CLOEXEC) < 0) {
		code = open_failed(l, "adopt", -errno, e);
		goto close_listener;
	}
	if (!is_local(l) && !is_datagram(l))
		set_option(l, IPPROTO_TCP, TCP_NODELAY, 1);
	code = learn_address(l, e);
	if (code < 0)
		goto close_listener;
	if (has_file(l))
		adopt_file(l);
	return 0;

close_listener:
	listener_close(l);
	return code;
}

void
listener_defer(const struct listener *l, int seconds)
{
#ifdef TCP_DEFER_ACCEPT
	/* Of unix sockets it is refused, which does no harm. */
	setsockopt(l->fd, IPPROTO_TCP, TCP_DEFER_ACCEPT, &seconds, sizeof(seconds));
#else
	(void)l;
	(void)seconds;
#endif
}

void
listener_close(struct listener *l)
{
	/* Never shutdown(): that would end the socket for every process that shares it. */
	if (l->fd >= 0)
		close(l->fd);
	if (l->directory >= 0)
		close(l->directory);
	free(l->host);
	free(l->service);
	free(l->configured_port);
	free(l->proto);
	free(l->proto_upper);
	*l = (struct listener){ .fd = -1, .directory = -1 };
}
