/* Socket addresses: holding, printing, comparing, binding. */
#ifndef TEND_NET_ADDR_H
#define TEND_NET_ADDR_H

#include <netinet/in.h>
#include <sys/socket.h>
#include <sys/un.h>

#include <tend/base.h>

struct addr {
	socklen_t length; /* 0: none */
	union {
		struct sockaddr         any;
		struct sockaddr_in      v4;
		struct sockaddr_in6     v6;
		struct sockaddr_un      un;
		struct sockaddr_storage storage;
	} u;
};

#define ADDR_TEXT_MAX 160

/* "192.0.2.1:80", "[fe80::1%eth0]:80", "unix:/run/x.sock", "unix:" (NS-..., DS-103 to -105). */
void addr_text(const struct addr *a, char into[ADDR_TEXT_MAX]);

/* The host alone: "192.0.2.1", "fe80::1%eth0"; "" for unix and for no address. */
void addr_host_text(const struct addr *a, char into[ADDR_TEXT_MAX]);

/* 0 for unix. */
unsigned addr_port(const struct addr *a);
void     addr_set_port(struct addr *a, unsigned port);

/* A unix address; a leading "@" makes an abstract name of it. 0 or -ENAMETOOLONG. */
int addr_set_path(struct addr *a, const char *path);

/*
 * From text: "192.0.2.1:80", "[::1]:80", "localhost:80", a path, "@abstract" or "unix:" with either.
 * Numbers only: nothing is looked up. 0, -EINVAL, -ENAMETOOLONG.
 */
int addr_parse(struct addr *a, const char *text);

/* The same family, address and port (or path). */
bool addr_equal(const struct addr *a, const struct addr *b);

/* An IPv4 address mapped into IPv6 as the IPv4 address that it is; any other as it is. */
struct addr addr_unmapped(const struct addr *a);

/* The same host whatever the port, mapped or not. A missing IPv6 zone fits any. */
bool addr_same_host(const struct addr *a, const struct addr *b);

bool addr_is_loopback(const struct addr *a); /* a mapped 127.x and a unix address too */
bool addr_is_wildcard(const struct addr *a);

/* From `fd`: getsockname() or getpeername(). 0 or -errno. */
int addr_of_socket(struct addr *a, int fd);
int addr_of_peer(struct addr *a, int fd);

/* A socket of this type (SOCK_STREAM, SOCK_DGRAM) that is bound there and never waits. Or -errno. */
int addr_bound_socket(const struct addr *at, int type);

#endif
