/*
 * From the options port, host, proto and ipv to the addresses that are bound: pairs the lists
 * by position, completes each port, and leaves out what would be bound twice. The grammar of
 * one string is in endpoint.c, what a host stands for in resolve_host.c.
 */
#include "net/resolve.h"

#include <errno.h>
#include <netdb.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "base/str.h"

#define DEFAULT_PORT "20203"

/* ---- notes ---- */

void
resolve_note(const struct resolving *r, const char *format, ...)
{
	char text[512];
	va_list args;

	if (r->note == NULL)
		return;
	va_start(args, format);
	vsnprintf(text, sizeof(text), format, args);
	va_end(args);
	r->note(r->note_data, text);
}

static const char *
version_text(unsigned ipv)
{
	return ipv == IPV_4 ? "IPv4" : ipv == IPV_6 ? "IPv6" : "IPv*";
}

static void
note_resolved(const struct resolving *r, const struct endpoint *p)
{
	if (strcmp(p->host, p->configured_host) != 0 ||
	    strcmp(p->port, p->configured_port) != 0)
		resolve_note(r, "resolved host %s port %s to %s port %s, %s",
		    p->configured_host, p->configured_port, p->host, p->port,
		    version_text(p->ipv));
}

/* ---- adding endpoints ---- */

static void
endpoint_done(struct endpoint *p)
{
	free(p->host);
	free(p->port);
	free(p->configured_host);
	free(p->configured_port);
	free(p->proto);
}

void
endpoints_done(struct endpoints *l)
{
	size_t i;

	for (i = 0; i < l->count; i++)
		endpoint_done(&l->list[i]);
	free(l->list);
	memset(l, 0, sizeof(*l));
}

static int
no_memory(struct error *e)
{
	return error_set(e, EX_OSERR, -ENOMEM, "out of memory");
}

static bool
is_local(const struct request *q)
{
	return (q->transport->traits & TRANSPORT_LOCAL) != 0;
}

static int
endpoint_init(struct endpoint *p, const struct request *q, const struct addr *a, unsigned ipv)
{
	char host[ADDR_TEXT_MAX], port[16];

	addr_host_text(a, host);
	snprintf(port, sizeof(port), "%u", q->port);
	*p = (struct endpoint){
		.host = strdup(is_local(q) ? "*" : host),
		.port = strdup(is_local(q) ? q->parts.port : port),
		.configured_host = strdup(is_local(q) ? "*" : q->parts.host),
		.configured_port = strdup(q->parts.port),
		.proto = strdup(q->parts.proto),
		.ipv = ipv,
		.backlog = q->backlog,
		.addr = *a,
	};
	if (p->host != NULL && p->port != NULL && p->configured_host != NULL &&
	    p->configured_port != NULL && p->proto != NULL)
		return 0;
	endpoint_done(p);
	return -ENOMEM;
}

/* Does the socket of `old`, IPv4 and IPv6 in one, take the clients of `a` as well? */
static bool
covers(const struct endpoint *old, const struct addr *a)
{
	return old->ipv == IPV_ANY && addr_is_wildcard(&old->addr) && addr_is_wildcard(a) &&
	       addr_port(&old->addr) == addr_port(a);
}

/* Is this socket there already? Says so, unless it is one name that has an address twice. */
static bool
is_duplicate(
    const struct resolving *r, const struct request *q, const struct addr *a, unsigned ipv)
{
	char text[ADDR_TEXT_MAX];
	size_t i;

	addr_text(a, text);
	for (i = !is_local(q) && q->port == 0 ? q->first : 0; i < r->into->count; i++) {
		const struct endpoint *old = &r->into->list[i];
		bool same = addr_equal(&old->addr, a) && old->ipv == ipv;

		if (strcasecmp(old->proto, q->parts.proto) != 0 || (!same && !covers(old, a)))
			continue;
		if (i >= q->first)
			return true;
		resolve_note(r, "%s: port '%s' is %s %s, %s, which %s %s port %s; skipped",
		    same ? "duplicate" : "covered", q->text, q->parts.proto, text,
		    version_text(ipv), same ? "is there already as" : "is served by", old->host,
		    old->port);
		return true;
	}
	return false;
}

int
resolve_add(struct resolving *r, const struct request *q, const struct addr *a, unsigned ipv)
{
	struct endpoint *list;
	int code;

	if (is_duplicate(r, q, a, ipv))
		return 0;
	list = reallocarray(r->into->list, r->into->count + 1, sizeof(*list));
	if (list == NULL)
		return no_memory(r->e);
	r->into->list = list;
	list += r->into->count;
	code = endpoint_init(list, q, a, ipv);
	if (code < 0)
		return no_memory(r->e);
	list->rights = r->from->rights;
	list->shares_port = !is_local(q) && q->port == 0 && r->into->count > q->first;
	r->into->count++;
	note_resolved(r, list);
	return 0;
}

static int
add_path(struct resolving *r, const struct request *q)
{
	struct addr a;
	int code = addr_set_path(&a, q->parts.port);

	if (code < 0)
		return error_set(r->e, EX_CONFIG, code,
		    "the path '%s' is too long for a unix socket: %zu bytes, at most %zu",
		    q->text, strlen(q->parts.port), sizeof(a.u.un.sun_path) - 1);
	return resolve_add(r, q, &a, IPV_ANY);
}

/* ---- ports ---- */

/* A service is looked up for what carries it, not for the name of the protocol (NS-PRT-11k). */
static int
find_service(const struct resolving *r, struct request *q)
{
	bool datagram = (q->transport->traits & TRANSPORT_DATAGRAM) != 0;
	struct addrinfo hints = { .ai_family = AF_INET, .ai_flags = AI_PASSIVE }, *found;
	struct addr a = { 0 };
	int g;

	hints.ai_socktype = datagram ? SOCK_DGRAM : SOCK_STREAM;
	g = getaddrinfo(NULL, q->parts.port, &hints, &found);
	if (g == EAI_SYSTEM || g == EAI_MEMORY)
		return error_set(r->e, EX_OSERR, -EIO,
		    "cannot look up service '%s' of port '%s': %s", q->parts.port, q->text,
		    g == EAI_SYSTEM ? error_reason(errno) : gai_strerror(g));
	if (g != 0)
		return error_set(r->e, EX_CONFIG, -EINVAL,
		    "unknown service '%s' of port '%s': there is no %s port of that name",
		    q->parts.port, q->text, datagram ? "udp" : "tcp");
	a.length = sizeof(a.u.v4);
	memcpy(&a.u.v4, found->ai_addr, sizeof(a.u.v4));
	q->port = addr_port(&a);
	freeaddrinfo(found);
	return 0;
}

static int
find_port(const struct resolving *r, struct request *q)
{
	const char *port = q->parts.port;
	long number;
	int code;

	if (port[0] == '/' || port[0] == '@')
		return error_set(r->e, EX_CONFIG, -EINVAL,
		    "port '%s' is a path, but its proto is %s; append |unix: '%s|unix'",
		    q->text, q->parts.proto, q->text);
	code = endpoint_check_port(port, q->text, r->e);
	if (code < 0)
		return code;
	if (str_to_long(port, 0, 65535, &number) < 0)
		return find_service(r, q);
	q->port = (unsigned)number;
	return 0;
}

/* ---- requests ---- */

static void
note_shared_port(const struct resolving *r, const struct request *q)
{
	if (!is_local(q) && q->port == 0 && r->into->count > q->first + 1)
		resolve_note(r, "port 0 of host %s: one port is chosen for its %zu addresses",
		    q->parts.host, r->into->count - q->first);
}

static int
resolve_request(struct resolving *r, struct request *q)
{
	int code = transport_choose(q->parts.proto, q->text, &q->transport, r->e);

	if (code < 0)
		return code;
	q->first = r->into->count;
	if (is_local(q))
		return add_path(r, q);
	code = find_port(r, q);
	if (code < 0)
		return code;
	code = resolve_host(r, q);
	if (code == 0)
		note_shared_port(r, q);
	return code;
}

/* The element for position `i`: the last one stands for all behind it (NS-PRT-30). */
static const char *
list_at(const struct tend_list *list, size_t i, const char *otherwise)
{
	if (list == NULL || list->count == 0)
		return otherwise;
	return list->items[i < list->count ? i : list->count - 1];
}

static unsigned
first_said(const unsigned *versions, size_t count)
{
	size_t i;

	for (i = 0; i < count; i++)
		if (versions[i] != 0)
			return versions[i];
	return IPV_ANY;
}

/* Fills in what the string or record left out. `own_*`: said by a record; NULL otherwise. */
static int
complete(struct resolving *r, struct request *q, size_t i, const struct tend_listen *record)
{
	/* Strongest first: record, proto, host, port string, the option (NS-IPV-02). */
	unsigned ipv[5] = { 0, 0, 0, q->parts.ipv, 0 };
	const char *host = list_at(r->from->host, i, "*"),
		   *proto = list_at(r->from->proto, i, "tcp");
	int code;

	if (record != NULL && record->host != NULL)
		host = record->host;
	if (record != NULL && record->proto != NULL)
		proto = record->proto;
	code = ipv_parse(list_at(r->from->ipv, i, "*"), &ipv[4], r->e);
	if (code == 0 && record != NULL && record->ipv != NULL)
		code = ipv_parse(record->ipv, &ipv[0], r->e);
	if (code == 0 && q->parts.proto == NULL)
		code = endpoint_parse_proto(proto, &q->parts.proto, &ipv[1], r->e);
	if (code == 0 && q->parts.host == NULL)
		code = endpoint_parse_host(host, &q->parts.host, &ipv[2], r->e);
	q->ipv = first_said(ipv, sizeof(ipv) / sizeof(ipv[0]));
	return code;
}

/* Is the general proto of this position one whose ports are paths? */
static bool
paths_are_meant(const struct resolving *r, size_t i)
{
	unsigned ipv, traits = 0;
	char *proto = NULL;
	bool yes;

	if (endpoint_parse_proto(list_at(r->from->proto, i, "tcp"), &proto, &ipv, NULL) < 0)
		return false;
	yes = transport_is_known(proto, &traits) && (traits & TRANSPORT_LOCAL) != 0;
	free(proto);
	return yes;
}

static int
resolve_text(struct resolving *r, const char *text, size_t i)
{
	struct request q = { .text = text, .backlog = r->from->backlog };
	int code;

	if (paths_are_meant(r, i))
		code = endpoint_parse_local(text, &q.parts, r->e);
	else
		code = endpoint_parse(text, &q.parts, r->e);
	if (code == 0)
		code = complete(r, &q, i, NULL);
	if (code == 0)
		code = resolve_request(r, &q);
	endpoint_text_done(&q.parts);
	return code;
}

static int
resolve_record(struct resolving *r, const struct tend_listen *record, size_t i)
{
	struct request q = {
		.text = record->port,
		.backlog = record->backlog > 0 ? record->backlog : r->from->backlog,
		.parts.port = strdup(record->port),
	};
	int code = q.parts.port != NULL ? 0 : no_memory(r->e);

	if (code == 0 && record->port[0] == '\0')
		code = endpoint_check_port("", "", r->e);
	if (code == 0)
		code = complete(r, &q, i, record);
	if (code == 0)
		code = resolve_request(r, &q);
	endpoint_text_done(&q.parts);
	return code;
}

static int
resolve_default(struct resolving *r)
{
	const char *port = r->from->default_port;

	if (port == NULL || port[0] == '\0')
		port = DEFAULT_PORT;
	resolve_note(r, "no port is configured (option port); the default is used, %s", port);
	return resolve_text(r, port, 0);
}

static int
resolve_all(struct resolving *r)
{
	const struct endpoint_config *from = r->from;
	size_t i;
	int code = 0;

	if (from->listen_at != NULL) {
		for (i = 0; code == 0 && from->listen_at[i].port != NULL; i++)
			code = resolve_record(r, &from->listen_at[i], i);
	} else if (from->port == NULL || from->port->count == 0) {
		code = resolve_default(r);
	} else {
		for (i = 0; code == 0 && i < from->port->count; i++)
			code = resolve_text(r, from->port->items[i], i);
	}
	if (code == 0 && r->into->count == 0)
		code = error_set(r->e, EX_CONFIG, -EINVAL, "there is no port to listen on");
	return code;
}

int
endpoints_resolve(struct endpoints *into, const struct endpoint_config *from,
    endpoint_note_fn note_fn, void *note_data, struct error *e)
{
	struct resolving r = {
		.into = into,
		.from = from,
		.note = note_fn,
		.note_data = note_data,
		.e = e,
	};
	int code;

	memset(into, 0, sizeof(*into));
	code = resolve_all(&r);
	if (code < 0)
		endpoints_done(into);
	return code;
}
