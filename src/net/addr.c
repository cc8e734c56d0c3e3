/*
 * Socket addresses as values: text for logs and handlers, comparison, classification; and the socket
 * that is bound to one. No lookups by name here (resolve.c) and no opinion about what an address may
 * be used for.
 */
#include "net/addr.h"

#include <arpa/inet.h>
#include <errno.h>
#include <net/if.h>
#include <netdb.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "base/str.h"

#define UN_PATH_AT offsetof(struct sockaddr_un, sun_path)

/* The bytes of a unix path: no final zero, but the leading one of an abstract name. */
static size_t
path_length(const struct addr *a)
{
	size_t size = a->length > UN_PATH_AT ? a->length - UN_PATH_AT : 0;

	if (size > sizeof(a->u.un.sun_path))
		size = sizeof(a->u.un.sun_path);
	if (size > 0 && a->u.un.sun_path[0] == '\0')
		return size;
	return strnlen(a->u.un.sun_path, size);
}

static int
family_of(const struct addr *a)
{
	return a->length > 0 ? a->u.any.sa_family : AF_UNSPEC;
}

void
addr_host_text(const struct addr *a, char into[ADDR_TEXT_MAX])
{
	char zone[IF_NAMESIZE];
	size_t n;

	into[0] = '\0';
	if (family_of(a) == AF_INET) {
		inet_ntop(AF_INET, &a->u.v4.sin_addr, into, ADDR_TEXT_MAX);
	} else if (family_of(a) == AF_INET6) {
		inet_ntop(AF_INET6, &a->u.v6.sin6_addr, into, ADDR_TEXT_MAX);
		if (a->u.v6.sin6_scope_id == 0)
			return;
		/* The interface may be gone by now; its number still tells. */
		n = strlen(into);
		if (if_indextoname(a->u.v6.sin6_scope_id, zone) != NULL)
			snprintf(into + n, ADDR_TEXT_MAX - n, "%%%s", zone);
		else
			snprintf(into + n, ADDR_TEXT_MAX - n, "%%%u", a->u.v6.sin6_scope_id);
	}
}

/* The path comes from the peer, so it is made safe to print. */
static void
unix_text(const struct addr *a, char into[ADDR_TEXT_MAX])
{
	const char *path = a->u.un.sun_path;
	size_t size = path_length(a), n = 5;

	memcpy(into, "unix:", n + 1);
	if (size > 0 && path[0] == '\0') {
		into[n++] = '@';
		path++;
		size--;
	}
	str_escape(into + n, ADDR_TEXT_MAX - n, path, size);
}

void
addr_text(const struct addr *a, char into[ADDR_TEXT_MAX])
{
	char host[ADDR_TEXT_MAX];

	switch (family_of(a)) {
	case AF_INET:
		addr_host_text(a, host);
		snprintf(into, ADDR_TEXT_MAX, "%.100s:%u", host, addr_port(a));
		break;
	case AF_INET6:
		addr_host_text(a, host);
		snprintf(into, ADDR_TEXT_MAX, "[%.100s]:%u", host, addr_port(a));
		break;
	case AF_UNIX:
		unix_text(a, into);
		break;
	default:
		into[0] = '\0';
	}
}

unsigned
addr_port(const struct addr *a)
{
	switch (family_of(a)) {
	case AF_INET:
		return ntohs(a->u.v4.sin_port);
	case AF_INET6:
		return ntohs(a->u.v6.sin6_port);
	default:
		return 0;
	}
}

void
addr_set_port(struct addr *a, unsigned port)
{
	switch (family_of(a)) {
	case AF_INET:
		a->u.v4.sin_port = htons((uint16_t)port);
		break;
	case AF_INET6:
		a->u.v6.sin6_port = htons((uint16_t)port);
		break;
	default:
		break;
	}
}

int
addr_set_path(struct addr *a, const char *path)
{
	size_t size = strlen(path);

	memset(a, 0, sizeof(*a));
	/* An abstract name may use the place of the final zero, but then "@" takes one. */
	if (size >= sizeof(a->u.un.sun_path))
		return -ENAMETOOLONG;
	a->u.un.sun_family = AF_UNIX;
	memcpy(a->u.un.sun_path, path, size);
	if (path[0] == '@') {
		a->u.un.sun_path[0] = '\0';
		a->length = (socklen_t)(UN_PATH_AT + size);
	} else {
		a->length = (socklen_t)(UN_PATH_AT + size + 1);
	}
	return 0;
}

bool
addr_equal(const struct addr *a, const struct addr *b)
{
	if (family_of(a) != family_of(b) || addr_port(a) != addr_port(b))
		return false;
	switch (family_of(a)) {
	case AF_INET:
		return a->u.v4.sin_addr.s_addr == b->u.v4.sin_addr.s_addr;
	case AF_INET6:
		return a->u.v6.sin6_scope_id == b->u.v6.sin6_scope_id &&
		       memcmp(&a->u.v6.sin6_addr, &b->u.v6.sin6_addr,
			   sizeof(struct in6_addr)) == 0;
	case AF_UNIX:
		return path_length(a) == path_length(b) &&
		       memcmp(a->u.un.sun_path, b->u.un.sun_path, path_length(a)) == 0;
	default:
		return true;
	}
}

/* The IPv4 address in it, one mapped into IPv6 too. */
static bool
ipv4_of(const struct addr *a, uint32_t *into)
{
	if (family_of(a) == AF_INET) {
		*into = ntohl(a->u.v4.sin_addr.s_addr);
		return true;
	}
	if (family_of(a) == AF_INET6 && IN6_IS_ADDR_V4MAPPED(&a->u.v6.sin6_addr)) {
		memcpy(into, &a->u.v6.sin6_addr.s6_addr[12], 4);
		*into = ntohl(*into);
		return true;
	}
	return false;
}

struct addr
addr_unmapped(const struct addr *a)
{
	struct addr v4 = { .length = sizeof(v4.u.v4) };
	uint32_t host;

	if (!ipv4_of(a, &host))
		return *a;
	v4.u.v4.sin_family = AF_INET;
	v4.u.v4.sin_addr.s_addr = htonl(host);
	addr_set_port(&v4, addr_port(a));
	return v4;
}

bool
addr_same_host(const struct addr *a, const struct addr *b)
{
	uint32_t v4, other, zone, other_zone;

	if (ipv4_of(a, &v4))
		return ipv4_of(b, &other) && v4 == other;
	if (family_of(a) != AF_INET6 || family_of(b) != AF_INET6 ||
	    memcmp(&a->u.v6.sin6_addr, &b->u.v6.sin6_addr, sizeof(struct in6_addr)) != 0)
		return false;
	zone = a->u.v6.sin6_scope_id;
	other_zone = b->u.v6.sin6_scope_id;
	return zone == 0 || other_zone == 0 || zone == other_zone;
}

bool
addr_is_loopback(const struct addr *a)
{
	uint32_t ipv4;

	if (ipv4_of(a, &ipv4))
		return ipv4 >> 24 == 127;
	if (family_of(a) == AF_INET6)
		return IN6_IS_ADDR_LOOPBACK(&a->u.v6.sin6_addr);
	return family_of(a) == AF_UNIX;
}

bool
addr_is_wildcard(const struct addr *a)
{
	uint32_t ipv4;

	if (ipv4_of(a, &ipv4))
		return ipv4 == INADDR_ANY;
	return family_of(a) == AF_INET6 && IN6_IS_ADDR_UNSPECIFIED(&a->u.v6.sin6_addr);
}

static int
addr_from(struct addr *a, int fd, int (*ask)(int, struct sockaddr *, socklen_t *))
{
	memset(a, 0, sizeof(*a));
	a->length = sizeof(a->u);
	if (ask(fd, &a->u.any, &a->length) < 0) {
		a->length = 0;
		return -errno;
	}
	if (a->length > sizeof(a->u))
		a->length = sizeof(a->u);
	return 0;
}

int
addr_of_socket(struct addr *a, int fd)
{
	return addr_from(a, fd, getsockname);
}

int
addr_of_peer(struct addr *a, int fd)
{
	return addr_from(a, fd, getpeername);
}

/* "host:port" or "[host]:port" into two texts. */
static int
split(const char *text, char host[64], char port[8])
{
	const char *colon = strrchr(text, ':'), *end;

	if (colon == NULL || strlen(colon + 1) >= 8)
		return -EINVAL;
	strcpy(port, colon + 1);
	end = colon;
	if (text[0] == '[') {
		text++;
		end--;
		if (end < text || *end != ']')
			return -EINVAL;
	}
	if (end - text >= 64)
		return -EINVAL;
	memcpy(host, text, (size_t)(end - text));
	host[end - text] = '\0';
	return 0;
}

static int
parse_numbers(struct addr *a, const char *host, const char *port)
{
	struct addrinfo hints = {
		.ai_flags = AI_NUMERICHOST | AI_NUMERICSERV,
		.ai_socktype = SOCK_STREAM,
	};
	struct addrinfo *found;

	if (getaddrinfo(host, port, &hints, &found) != 0)
		return -EINVAL;
	a->length = found->ai_addrlen;
	memcpy(&a->u, found->ai_addr, found->ai_addrlen);
	freeaddrinfo(found);
	return 0;
}

int
addr_parse(struct addr *a, const char *text)
{
	char host[64], port[8];
	int r;

	if (strncmp(text, "unix:", 5) == 0)
		return addr_set_path(a, text + 5);
	if (text[0] == '/' || text[0] == '@')
		return addr_set_path(a, text);
	r = split(text, host, port);
	if (r < 0)
		return r;
	if (host[0] == '\0' || port[0] == '\0')
		return -EINVAL;
	return parse_numbers(a, strcmp(host, "localhost") == 0 ? "127.0.0.1" : host, port);
}

int
addr_bound_socket(const struct addr *at, int type)
{
	int family = at->u.any.sa_family, on = 1, r;
	int fd = socket(family, type | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);

	if (fd < 0)
		return -errno;
	if (type == SOCK_STREAM && family != AF_UNIX)
		setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &on, sizeof(on));
	if (type == SOCK_DGRAM && family == AF_INET6)
		setsockopt(fd, IPPROTO_IPV6, IPV6_V6ONLY, &on, sizeof(on));
	if (bind(fd, &at->u.any, at->length) == 0)
		return fd;
	r = -errno;
	close(fd);
	return r;
}
