/*
 * What a host stands for: the wildcard, a literal address or a name, under the rules for IP
 * versions (NS-IPV). The only place that asks whether this machine has IPv6.
 */
#include "net/resolve.h"

#include <arpa/inet.h>
#include <errno.h>
#include <net/if.h>
#include <netdb.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/str.h"

/* ---- IPv6 ---- */

enum stack { STACK_NONE, STACK_SEPARATE, STACK_DUAL };

static bool
ipv6_forbidden(void)
{
	const char *value = getenv("NO_IPV6");

	return value != NULL && value[0] != '\0';
}

/*
 * What this machine can do with IPv6 at `at`. Only bind() tells: where the administrator has
 * switched IPv6 off, sockets can still be created (NS-IPV-11).
 */
static enum stack
probe_ipv6(const struct in6_addr *at)
{
	struct sockaddr_in6 address = { .sin6_family = AF_INET6, .sin6_addr = *at };
	enum stack stack = STACK_NONE;
	int fd, off = 0;

	if (ipv6_forbidden())
		return STACK_NONE;
	fd = socket(AF_INET6, SOCK_STREAM | SOCK_CLOEXEC, 0);
	if (fd < 0)
		return STACK_NONE;
	if (setsockopt(fd, IPPROTO_IPV6, IPV6_V6ONLY, &off, sizeof(off)) == 0)
		stack = STACK_DUAL;
	else
		stack = STACK_SEPARATE;
	if (bind(fd, (struct sockaddr *)&address, sizeof(address)) < 0)
		stack = STACK_NONE;
	close(fd);
	return stack;
}

/*
 * May an address that a name resolved to be bound at all? Only ::1 is tried itself: that others are
 * not of this machine is for the user to hear about.
 */
static bool
ipv6_usable(const struct addr *a)
{
	return probe_ipv6(addr_is_loopback(a) ? &in6addr_loopback : &in6addr_any) !=
	       STACK_NONE;
}

static struct addr
addr_v4(struct in_addr host, unsigned port)
{
	struct addr a = { .length = sizeof(a.u.v4) };

	a.u.v4.sin_family = AF_INET;
	a.u.v4.sin_addr = host;
	addr_set_port(&a, port);
	return a;
}

static struct addr
addr_v6(struct in6_addr host, unsigned scope, unsigned port)
{
	struct addr a = { .length = sizeof(a.u.v6) };

	a.u.v6.sin6_family = AF_INET6;
	a.u.v6.sin6_addr = host;
	a.u.v6.sin6_scope_id = scope;
	addr_set_port(&a, port);
	return a;
}

/* ---- the wildcard and literal addresses ---- */

static int
add_v4(struct resolving *r, const struct request *q, struct in_addr host)
{
	struct addr a = addr_v4(host, q->port);

	return resolve_add(r, q, &a, IPV_4);
}

static int
refuse_without_ipv6(const struct resolving *r, const struct request *q)
{
	return error_set(r->e, EX_CONFIG, -EAFNOSUPPORT,
	    "port '%s' asks for IPv6 on host %s, but NO_IPV6 in the environment forbids it",
	    q->text, q->parts.host);
}

/* Host "*" without a version: one socket for both, where that can be (NS-IPV-05, -11). */
static int
add_dual_wildcard(struct resolving *r, const struct request *q)
{
	struct addr a = addr_v6(in6addr_any, 0, q->port);
	enum stack stack = probe_ipv6(&in6addr_any);
	int code;

	if (stack == STACK_NONE) {
		resolve_note(r,
		    "IPv6 is not available%s; port '%s' listens on IPv4 alone, 0.0.0.0",
		    ipv6_forbidden() ? " (NO_IPV6 is set)" : "", q->text);
		return add_v4(r, q, (struct in_addr){ INADDR_ANY });
	}
	code = resolve_add(r, q, &a, stack == STACK_DUAL ? IPV_ANY : IPV_6);
	if (code < 0)
		return code;
	if (stack == STACK_SEPARATE)
		return add_v4(r, q, (struct in_addr){ INADDR_ANY });
	resolve_note(
	    r, "covered: 0.0.0.0 port %u by [::], which takes IPv4 clients as well", q->port);
	return 0;
}

static int
add_wildcard(struct resolving *r, const struct request *q)
{
	struct addr a = addr_v6(in6addr_any, 0, q->port);
	int code = 0;

	if (q->ipv == IPV_ANY)
		return add_dual_wildcard(r, q);
	if ((q->ipv & IPV_6) && ipv6_forbidden())
		return refuse_without_ipv6(r, q);
	if (q->ipv & IPV_6)
		code = resolve_add(r, q, &a, IPV_6);
	if (code == 0 && (q->ipv & IPV_4))
		code = add_v4(r, q, (struct in_addr){ INADDR_ANY });
	return code;
}

static int
add_literal_v4(struct resolving *r, const struct request *q, struct in_addr host)
{
	if (q->ipv & IPV_6)
		return error_set(r->e, EX_CONFIG, -EINVAL,
		    "port '%s' asks for IPv6, but its host %s is an IPv4 address", q->text,
		    q->parts.host);
	return add_v4(r, q, host);
}

/* "fe80::1%eth0": the address and the number of the interface. */
static int
parse_v6(
    const struct resolving *r, const struct request *q, struct in6_addr *host, unsigned *scope)
{
	const char *text = q->parts.host, *zone = strchr(text, '%');
	size_t size = strcspn(text, "%");
	char alone[INET6_ADDRSTRLEN];
	long number;

	if (size >= sizeof(alone))
		size = sizeof(alone) - 1;
	memcpy(alone, text, size);
	alone[size] = '\0';
	*scope = 0;
	if (inet_pton(AF_INET6, alone, host) != 1)
		return error_set(r->e, EX_CONFIG, -EINVAL,
		    "host '%s' of port '%s' is no IPv6 address", text, q->text);
	if (zone == NULL)
		return 0;
	*scope = if_nametoindex(zone + 1);
	if (*scope == 0 && str_to_long(zone + 1, 1, INT32_MAX, &number) == 0)
		*scope = (unsigned)number;
	if (*scope == 0)
		return error_set(r->e, EX_CONFIG, -ENODEV,
		    "host '%s' of port '%s': there is no interface '%s'", text, q->text,
		    zone + 1);
	return 0;
}

static int
add_literal_v6(struct resolving *r, const struct request *q)
{
	struct in6_addr host;
	struct in_addr mapped;
	struct addr a;
	unsigned scope;
	int code = parse_v6(r, q, &host, &scope);

	if (code < 0)
		return code;
	/* Bound as IPv6-only it could never have a client (NS-IPV-10). */
	if (IN6_IS_ADDR_V4MAPPED(&host)) {
		memcpy(&mapped, &host.s6_addr[12], sizeof(mapped));
		return add_literal_v4(r, q, mapped);
	}
	if (ipv6_forbidden())
		return refuse_without_ipv6(r, q);
	a = addr_v6(host, scope, q->port);
	return resolve_add(r, q, &a, IPV_6);
}

/* ---- names ---- */

/* Adds the addresses of a family; AF_UNSPEC: of both, without IPv6 where that cannot be used. */
static int
add_found(struct resolving *r, const struct request *q, const struct addrinfo *found,
    int family, bool *any)
{
	const struct addrinfo *ai;
	char text[ADDR_TEXT_MAX];

	for (ai = found; ai != NULL; ai = ai->ai_next) {
		struct addr a = { .length = ai->ai_addrlen };
		int code;

		if (ai->ai_family != AF_INET && ai->ai_family != AF_INET6)
			continue;
		if ((family != AF_UNSPEC && ai->ai_family != family) || a.length > sizeof(a.u))
			continue;
		memcpy(&a.u, ai->ai_addr, a.length);
		addr_set_port(&a, q->port);
		if (family == AF_UNSPEC && ai->ai_family == AF_INET6 && !ipv6_usable(&a)) {
			addr_host_text(&a, text);
			resolve_note(r,
			    "IPv6 is not available; address %s of host %s is left out", text,
			    q->parts.host);
			continue;
		}
		code = resolve_add(r, q, &a, ai->ai_family == AF_INET ? IPV_4 : IPV_6);
		if (code < 0)
			return code;
		*any = true;
	}
	return 0;
}

static int
add_family(
    struct resolving *r, const struct request *q, const struct addrinfo *found, int family)
{
	bool any = false;
	int code = add_found(r, q, found, family, &any);

	if (code < 0 || any)
		return code;
	return error_set(r->e, EX_NOHOST, -EADDRNOTAVAIL,
	    "host '%s' of port '%s' has no %saddress%s", q->parts.host, q->text,
	    family == AF_INET    ? "IPv4 "
	    : family == AF_INET6 ? "IPv6 "
				 : "",
	    family == AF_UNSPEC ? " that can be used here" : "");
}

static int
add_name(struct resolving *r, const struct request *q)
{
	struct addrinfo hints = { .ai_socktype = SOCK_STREAM, .ai_flags = AI_PASSIVE }, *found;
	int g, code = 0;

	hints.ai_family = q->ipv == IPV_4 ? AF_INET : q->ipv == IPV_6 ? AF_INET6 : AF_UNSPEC;
	if ((q->ipv & IPV_6) && ipv6_forbidden())
		return refuse_without_ipv6(r, q);
	g = getaddrinfo(q->parts.host, NULL, &hints, &found);
	if (g != 0)
		return error_set(r->e, EX_NOHOST, -EADDRNOTAVAIL,
		    "cannot resolve host '%s' of port '%s': %s", q->parts.host, q->text,
		    g == EAI_SYSTEM ? error_reason(errno) : gai_strerror(g));
	/* With both asked for, IPv6 comes first and neither may be missing (NS-IPV-03). */
	if (q->ipv == IPV_ANY)
		code = add_family(r, q, found, AF_UNSPEC);
	if (q->ipv & IPV_6)
		code = add_family(r, q, found, AF_INET6);
	if (code == 0 && (q->ipv & IPV_4))
		code = add_family(r, q, found, AF_INET);
	freeaddrinfo(found);
	return code;
}

int
resolve_host(struct resolving *r, const struct request *q)
{
	struct in_addr ipv4;

	if (strcmp(q->parts.host, "*") == 0)
		return add_wildcard(r, q);
	if (strchr(q->parts.host, ':') != NULL)
		return add_literal_v6(r, q);
	if (inet_pton(AF_INET, q->parts.host, &ipv4) == 1)
		return add_literal_v4(r, q, ipv4);
	return add_name(r, q);
}
