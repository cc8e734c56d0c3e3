/*
 * From options to addresses. The resolver and the kernel's opinion of IPv6 are played by functions
 * of this file, so that no answer depends on the machine or on a network.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <arpa/inet.h>
#include <errno.h>
#include <netdb.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <sys/socket.h>
#include <unistd.h>

#include "net/endpoint.h"

#define COUNT(a) (sizeof(a) / sizeof((a)[0]))
#define BOTH (IPV_4 | IPV_6)

/* ---- the world as the tests want it ---- */

static const struct {
	const char *name, *addresses[3];
} names[] = {
	{ "localhost", { "::1", "127.0.0.1" } },
	{ "loop4", { "127.0.0.1" } },
	{ "loop6", { "::1" } },
	{ "twice", { "192.0.2.1", "192.0.2.1", "192.0.2.2" } },
	{ "far6", { "2001:db8::1" } },
};

static const struct {
	const char *name;
	int         type;
	unsigned    port;
} services[] = {
	{ "http", SOCK_STREAM, 80 },
	{ "https", SOCK_STREAM, 443 },
	{ "syslog", SOCK_DGRAM, 514 },
};

static int socket_error;   /* of IPv6 sockets; 0: they work */
static int bind_error;     /* of IPv6 addresses */
static int v6only_error;   /* of clearing IPV6_V6ONLY */
static int resolver_error; /* errno of a resolver that fails */

static struct addrinfo *
answer(int family, const void *host, unsigned port)
{
	struct {
		struct addrinfo         info;
		struct sockaddr_storage address;
	} *both = calloc(1, sizeof(*both));
	struct sockaddr_in *v4;
	struct sockaddr_in6 *v6;

	assert_non_null(both);
	v4 = (struct sockaddr_in *)&both->address;
	v6 = (struct sockaddr_in6 *)&both->address;
	both->info.ai_family = family;
	both->info.ai_addr = (struct sockaddr *)&both->address;
	both->address.ss_family = (sa_family_t)family;
	if (family == AF_INET) {
		both->info.ai_addrlen = sizeof(*v4);
		memcpy(&v4->sin_addr, host, sizeof(v4->sin_addr));
		v4->sin_port = htons((uint16_t)port);
	} else {
		both->info.ai_addrlen = sizeof(*v6);
		memcpy(&v6->sin6_addr, host, sizeof(v6->sin6_addr));
	}
	return &both->info;
}

static int
look_up_service(const char *service, int type, struct addrinfo **found)
{
	const struct in_addr any = { INADDR_ANY };
	size_t i;

	for (i = 0; i < COUNT(services); i++)
		if (strcmp(services[i].name, service) == 0 && services[i].type == type) {
			*found = answer(AF_INET, &any, services[i].port);
			return 0;
		}
	return EAI_SERVICE;
}

int
getaddrinfo(const char *host, const char *service, const struct addrinfo *hints,
    struct addrinfo **found)
{
	struct addrinfo **end = found;
	size_t i, j;

	*found = NULL;
	if (resolver_error != 0) {
		errno = resolver_error;
		return EAI_SYSTEM;
	}
	if (host == NULL)
		return look_up_service(service, hints->ai_socktype, found);
	for (i = 0; i < COUNT(names); i++)
		for (j = 0; strcmp(names[i].name, host) == 0 && j < 3 && names[i].addresses[j]; j++) {
			const char *text = names[i].addresses[j];
			int family = strchr(text, ':') != NULL ? AF_INET6 : AF_INET;
			struct in6_addr address;

			if (hints->ai_family != AF_UNSPEC && hints->ai_family != family)
				continue;
			assert_int_equal(inet_pton(family, text, &address), 1);
			*end = answer(family, &address, 0);
			end = &(*end)->ai_next;
		}
	return *found != NULL ? 0 : EAI_NONAME;
}

void
freeaddrinfo(struct addrinfo *found)
{
	while (found != NULL) {
		struct addrinfo *next = found->ai_next;

		free(found);
		found = next;
	}
}

/* Only probes ask for sockets here: no listener is opened. */
int
socket(int family, int type, int protocol)
{
	(void)type;
	(void)protocol;
	assert_int_equal(family, AF_INET6);
	if (socket_error != 0) {
		errno = socket_error;
		return -1;
	}
	return dup(STDERR_FILENO);
}

int
setsockopt(int fd, int level, int name, const void *value, socklen_t size)
{
	(void)fd;
	(void)size;
	assert_int_equal(level, IPPROTO_IPV6);
	assert_int_equal(name, IPV6_V6ONLY);
	assert_int_equal(*(const int *)value, 0);
	errno = v6only_error;
	return v6only_error != 0 ? -1 : 0;
}

/* By its symbol: the C library declares bind() with a union that only it can write. */
int played_bind(int fd, const struct sockaddr *address, socklen_t size) __asm__("bind");

int
played_bind(int fd, const struct sockaddr *address, socklen_t size)
{
	(void)fd;
	(void)size;
	assert_int_equal(address->sa_family, AF_INET6);
	errno = bind_error;
	return bind_error != 0 ? -1 : 0;
}

/* ---- asking ---- */

struct notes {
	char   text[20][512];
	size_t count;
};

static void
take_note(void *data, const char *note)
{
	struct notes *n = data;

	assert_true(n->count < COUNT(n->text));
	snprintf(n->text[n->count++], sizeof(n->text[0]), "%s", note);
}

static bool
noted(const struct notes *n, const char *what)
{
	size_t i;

	for (i = 0; i < n->count; i++)
		if (strstr(n->text[i], what) != NULL)
			return true;
	return false;
}

/* The options as texts, ended by NULL. */
struct options {
	const char *port[5], *host[4], *proto[4], *ipv[4];
};

static struct tend_list
list_of(const char *const *items, size_t max)
{
	struct tend_list l = { 0, items };

	while (l.count < max && items[l.count] != NULL)
		l.count++;
	return l;
}

static int
resolve(struct endpoints *into, const struct options *o, struct notes *notes, struct error *e)
{
	const struct tend_list port = list_of(o->port, 5), host = list_of(o->host, 4),
		proto = list_of(o->proto, 4), ipv = list_of(o->ipv, 4);
	const struct endpoint_config from = {
		.port = &port, .host = &host, .proto = &proto, .ipv = &ipv,
	};

	memset(notes, 0, sizeof(*notes));
	memset(e, 0, sizeof(*e));
	return endpoints_resolve(into, &from, take_note, notes, e);
}

/* "tcp 127.0.0.1:80 4, unix:/run/x *": the endpoints in one line; "+" shares the port before. */
static void
describe(const struct endpoints *l, char *into, size_t size)
{
	size_t i, n = 0;

	into[0] = '\0';
	for (i = 0; i < l->count; i++) {
		const struct endpoint *p = &l->list[i];
		char address[ADDR_TEXT_MAX];

		addr_text(&p->addr, address);
		n += (size_t)snprintf(into + n, size - n, "%s%s %s %s%s", i > 0 ? ", " : "", p->proto,
		    address, p->ipv == IPV_4 ? "4" : p->ipv == IPV_6 ? "6" : "*",
		    p->shares_port ? "+" : "");
	}
}

static void
assert_endpoints(const struct options *o, const char *expected)
{
	struct endpoints l;
	struct notes notes;
	struct error e;
	char got[512];

	if (resolve(&l, o, &notes, &e) != 0)
		fail_msg("port '%s': %s", o->port[0], e.text);
	describe(&l, got, sizeof(got));
	if (strcmp(got, expected) != 0)
		fail_msg("port '%s': \"%s\" is not \"%s\"", o->port[0], got, expected);
	endpoints_done(&l);
	assert_null(l.list);
}

static void
assert_refused(const struct options *o, int status, const char *sentence)
{
	struct endpoints l;
	struct notes notes;
	struct error e;

	if (resolve(&l, o, &notes, &e) == 0)
		fail_msg("port '%s' was accepted", o->port[0]);
	assert_int_equal(l.count, 0);
	assert_null(l.list);
	if (strstr(e.text, sentence) == NULL)
		fail_msg("port '%s': \"%s\" lacks \"%s\"", o->port[0], e.text, sentence);
	if (e.status != status)
		fail_msg("port '%s': status is %d, not %d", o->port[0], e.status, status);
}

static int
setup(void **state)
{
	(void)state;
	socket_error = bind_error = v6only_error = resolver_error = 0;
	unsetenv("NO_IPV6");
	return 0;
}

/* ---- tests ---- */

static void
each_kind_of_host_becomes_its_addresses(void **state)
{
	/* NS-PRT-10a to -10u, NS-IPV-03, -04, -05, -08, -10, NS-TST-01, -02, -03, -05, -06, -10 */
	static const struct {
		struct options o;
		const char    *expected;
	} rows[] = {
		/* the wildcard */
		{ { { "20203" }, { 0 }, { 0 }, { 0 } }, "tcp [::]:20203 *" },
		{ { { "*:20203" }, { 0 }, { 0 }, { "*" } }, "tcp [::]:20203 *" },
		{ { { "20203" }, { "*" }, { 0 }, { "4" } }, "tcp 0.0.0.0:20203 4" },
		{ { { "20203" }, { "*" }, { 0 }, { "6" } }, "tcp [::]:20203 6" },
		{ { { "20203" }, { "*" }, { 0 }, { "v4v6" } },
		    "tcp [::]:20203 6, tcp 0.0.0.0:20203 4" },
		{ { { "20203/IPv4/IPv6" }, { 0 }, { 0 }, { 0 } },
		    "tcp [::]:20203 6, tcp 0.0.0.0:20203 4" },
		{ { { "[*]:20203:IPv6" }, { 0 }, { 0 }, { 0 } }, "tcp [::]:20203 6" },
		/* names */
		{ { { "localhost:20203" }, { 0 }, { 0 }, { 0 } },
		    "tcp [::1]:20203 6, tcp 127.0.0.1:20203 4" },
		{ { { "localhost:20203" }, { 0 }, { 0 }, { "4" } }, "tcp 127.0.0.1:20203 4" },
		{ { { "localhost:20203:IPv6" }, { 0 }, { 0 }, { 0 } }, "tcp [::1]:20203 6" },
		{ { { "[localhost]:IPv6:20203" }, { 0 }, { 0 }, { 0 } }, "tcp [::1]:20203 6" },
		{ { { "localhost:20203/IPv46" }, { 0 }, { 0 }, { 0 } },
		    "tcp [::1]:20203 6, tcp 127.0.0.1:20203 4" },
		{ { { "localhost:20203/IPv4/IPv4" }, { 0 }, { 0 }, { 0 } }, "tcp 127.0.0.1:20203 4" },
		{ { { "twice:20203" }, { 0 }, { 0 }, { 0 } },
		    "tcp 192.0.2.1:20203 4, tcp 192.0.2.2:20203 4" },
		{ { { "localhost/20203" }, { 0 }, { 0 }, { "4" } }, "tcp 127.0.0.1:20203 4" },
		/* literal addresses */
		{ { { "127.0.0.1:20203" }, { 0 }, { 0 }, { 0 } }, "tcp 127.0.0.1:20203 4" },
		{ { { "[::1]:20203" }, { 0 }, { 0 }, { 0 } }, "tcp [::1]:20203 6" },
		{ { { "::1:20203" }, { 0 }, { 0 }, { "4" } }, "tcp [::1]:20203 6" },
		{ { { "[::1]:20203/IPv4" }, { 0 }, { 0 }, { 0 } }, "tcp [::1]:20203 6" },
		{ { { "[::]:20203" }, { 0 }, { 0 }, { 0 } }, "tcp [::]:20203 6" },
		{ { { "[0:0:0:0:0:0:0:1]:80" }, { 0 }, { 0 }, { 0 } }, "tcp [::1]:80 6" },
		{ { { "[::ffff:127.0.0.1]:80" }, { 0 }, { 0 }, { 0 } }, "tcp 127.0.0.1:80 4" },
		/* services and port 0 */
		{ { { "127.0.0.1:http" }, { 0 }, { 0 }, { 0 } }, "tcp 127.0.0.1:80 4" },
		{ { { "127.0.0.1:https/TCP" }, { 0 }, { 0 }, { 0 } }, "TCP 127.0.0.1:443 4" },
		{ { { "127.0.0.1:0" }, { 0 }, { 0 }, { 0 } }, "tcp 127.0.0.1:0 4" },
		{ { { "127.0.0.1:00080" }, { 0 }, { 0 }, { 0 } }, "tcp 127.0.0.1:80 4" },
		/* paths */
		{ { { "/run/x.sock|unix" }, { 0 }, { 0 }, { 0 } }, "unix unix:/run/x.sock *" },
		{ { { "dir/x/UNIX" }, { 0 }, { 0 }, { 0 } }, "UNIX unix:dir/x *" },
		{ { { "/run/x.sock" }, { 0 }, { "unix" }, { 0 } }, "unix unix:/run/x.sock *" },
		{ { { "dir/x" }, { 0 }, { "Unix" }, { 0 } }, "Unix unix:dir/x *" },
		{ { { "/run/x.sock|unix|IPv6" }, { 0 }, { 0 }, { "4" } }, "unix unix:/run/x.sock *" },
		{ { { "@name|unix" }, { 0 }, { 0 }, { 0 } }, "unix unix:@name *" },
		{ { { "127.0.0.1:80/tcp" }, { 0 }, { "unix" }, { 0 } }, "tcp 127.0.0.1:80 4" },
	};
	size_t i;

	(void)state;
	for (i = 0; i < COUNT(rows); i++)
		assert_endpoints(&rows[i].o, rows[i].expected);
}

static void
what_cannot_work_is_refused_with_its_reason(void **state)
{
	/* NS-PRT-10n, -10o, -10r, -10w, NS-PRT-11a, -11f, -11h, -11i, -11j, -11l, -11m, NS-IPV-09 */
	static const struct {
		struct options o;
		int            status;
		const char    *sentence;
	} rows[] = {
		{ { { "20203/ssl" }, { 0 }, { 0 }, { 0 } }, EX_CONFIG,
		    "proto ssl of port '20203/ssl' is not part of this build; it has tcp, unix" },
		{ { { "20203/SSLEAY" }, { 0 }, { 0 }, { 0 } }, EX_CONFIG, "not part of this build" },
		{ { { "20203/Some::Name" }, { 0 }, { 0 }, { 0 } }, EX_CONFIG, "unknown proto 'Some::Name'" },
		{ { { "20203/foo" }, { 0 }, { 0 }, { 0 } }, EX_CONFIG, "unknown proto 'foo'" },
		{ { { "20203/tcb" }, { 0 }, { 0 }, { 0 } }, EX_CONFIG, "did you mean tcp?" },
		{ { { "20203" }, { 0 }, { "tcp, udp" }, { 0 } }, EX_CONFIG, "proto 'tcp, udp'" },
		{ { { "65536" }, { 0 }, { 0 }, { 0 } }, EX_CONFIG, "65536" },
		{ { { "999.1.1.1:20203" }, { 0 }, { 0 }, { 0 } }, EX_CONFIG, "no IPv4 address" },
		{ { { "nowhere:20203" }, { 0 }, { 0 }, { 0 } }, EX_NOHOST, "Name or service not known" },
		{ { { "loop4:20203" }, { 0 }, { 0 }, { "6" } }, EX_NOHOST, "host 'loop4'" },
		{ { { "loop4:20203" }, { 0 }, { 0 }, { "46" } }, EX_NOHOST, "has no IPv6 address" },
		{ { { "loop6:20203" }, { 0 }, { 0 }, { "46" } }, EX_NOHOST, "has no IPv4 address" },
		{ { { "127.0.0.1:nothing" }, { 0 }, { 0 }, { 0 } }, EX_CONFIG, "unknown service 'nothing'" },
		{ { { "127.0.0.1:syslog" }, { 0 }, { 0 }, { 0 } }, EX_CONFIG, "no tcp port" },
		{ { { "" }, { 0 }, { 0 }, { 0 } }, EX_CONFIG, "an empty port" },
		{ { { "20203" }, { "" }, { 0 }, { 0 } }, EX_CONFIG, "an empty host" },
		{ { { "20203" }, { 0 }, { "" }, { 0 } }, EX_CONFIG, "an empty proto" },
		{ { { "20203" }, { 0 }, { 0 }, { "any" } }, EX_CONFIG, "ipv 'any'" },
		{ { { "127.0.0.1:80" }, { 0 }, { 0 }, { "6" } }, EX_CONFIG, "is an IPv4 address" },
		{ { { "127.0.0.1:80/IPv46" }, { 0 }, { 0 }, { 0 } }, EX_CONFIG, "is an IPv4 address" },
		{ { { "[::ffff:127.0.0.1]:80/IPv6" }, { 0 }, { 0 }, { 0 } }, EX_CONFIG, "is an IPv4 address" },
		{ { { "[fe80::1%nosuchif]:80" }, { 0 }, { 0 }, { 0 } }, EX_CONFIG, "no interface 'nosuchif'" },
		{ { { "/run/x.sock" }, { 0 }, { 0 }, { 0 } }, EX_CONFIG, "'/run/x.sock|unix'" },
		{ { { "@name" }, { 0 }, { 0 }, { 0 } }, EX_CONFIG, "'@name|unix'" },
		{ { { "20203", "7007, 7008" }, { 0 }, { 0 }, { 0 } }, EX_CONFIG, "repeating the option" },
	};
	size_t i;

	(void)state;
	for (i = 0; i < COUNT(rows); i++)
		assert_refused(&rows[i].o, rows[i].status, rows[i].sentence);
}

static void
a_resolver_that_breaks_gives_its_reason(void **state)
{
	const struct options name = { .port = { "localhost:80" } }, service = { .port = { "http" } };

	(void)state;
	resolver_error = EMFILE;
	assert_refused(&name, EX_NOHOST, "too many open files");
	assert_refused(&service, EX_OSERR, "too many open files");
}

static void
a_path_that_is_too_long_is_fatal(void **state)
{
	/* NS-PRT-21 */
	char text[200];
	struct options o = { .port = { text } };

	(void)state;
	memset(text, 'x', sizeof(text));
	memcpy(text + 150, "|unix", 6);
	text[0] = '/';
	assert_refused(&o, EX_CONFIG, "too long");
}

static void
lists_pair_by_position_and_the_last_repeats(void **state)
{
	/* NS-PRT-30, NS-PRT-08 */
	const struct options expanding = {
		.port = { "1/IPv4/IPv6", "2", "3" },
		.host = { "localhost", "192.0.2.7", "192.0.2.8" },
		.proto = { "tcp", "TCP" },
	};
	const struct options short_list = {
		.port = { "1", "2", "/run/x", "/run/y" },
		.host = { "127.0.0.1" },
		.proto = { "tcp", "tcp", "unix" },
		.ipv = { "4", "*" },
	};
	const struct options own = {
		.port = { ":1", "192.0.2.9:2/TCP", ",3" },
		.host = { "127.0.0.1" },
	};

	(void)state;
	assert_endpoints(&expanding, "tcp [::1]:1 6, tcp 127.0.0.1:1 4, TCP 192.0.2.7:2 4, TCP 192.0.2.8:3 4");
	assert_endpoints(&short_list,
	    "tcp 127.0.0.1:1 4, tcp 127.0.0.1:2 4, unix unix:/run/x *, unix unix:/run/y *");
	assert_endpoints(&own, "tcp 127.0.0.1:1 4, TCP 192.0.2.9:2 4, tcp 127.0.0.1:3 4");
}

static void
versions_obey_their_order(void **state)
{
	/* NS-IPV-02 */
	const struct options port = { .port = { "localhost:1/IPv4" }, .ipv = { "6" } };
	const struct options host = { .port = { "1" }, .host = { "localhost/IPv4" }, .ipv = { "6" } };
	const struct options proto = { .port = { "localhost:1" }, .proto = { "tcp/IPv4" }, .ipv = { "6" } };
	const struct options own_host = { .port = { "localhost:1" }, .host = { "*/IPv6" }, .ipv = { "4" } };

	(void)state;
	assert_endpoints(&port, "tcp 127.0.0.1:1 4");
	assert_endpoints(&host, "tcp 127.0.0.1:1 4");
	assert_endpoints(&proto, "tcp 127.0.0.1:1 4");
	assert_endpoints(&own_host, "tcp 127.0.0.1:1 4");
}

static void
the_same_socket_is_bound_once(void **state)
{
	/* NS-TST-46, NS-PRT-32, NS-PRT-33, NS-TST-07 */
	static const struct {
		struct options o;
		const char    *expected, *note; /* NULL: none of a duplicate */
	} rows[] = {
		{ { { "20203", "20203" }, { 0 }, { 0 }, { 0 } }, "tcp [::]:20203 *",
		    "duplicate: port '20203' is tcp [::]:20203, IPv*" },
		{ { { "127.0.0.1:1/tcp", "127.0.0.1:1/TCP" }, { 0 }, { 0 }, { 0 } },
		    "tcp 127.0.0.1:1 4", "duplicate: port '127.0.0.1:1/TCP' is TCP 127.0.0.1:1, IPv4" },
		{ { { "127.0.0.1:http", "loop4:80" }, { 0 }, { 0 }, { 0 } }, "tcp 127.0.0.1:80 4",
		    "duplicate" },
		{ { { "loop4:80", "localhost:80" }, { 0 }, { 0 }, { 0 } },
		    "tcp 127.0.0.1:80 4, tcp [::1]:80 6", "duplicate" },
		{ { { "/run/x|unix", "/run/x|unix" }, { 0 }, { 0 }, { 0 } }, "unix unix:/run/x *",
		    "duplicate" },
		{ { { "20203", "20203/IPv4", "20203/IPv6" }, { 0 }, { 0 }, { 0 } }, "tcp [::]:20203 *",
		    "covered: port '20203/IPv6'" },
		{ { { "127.0.0.1:0", "127.0.0.1:0" }, { 0 }, { 0 }, { 0 } },
		    "tcp 127.0.0.1:0 4, tcp 127.0.0.1:0 4", NULL },
		{ { { "20203/IPv4", "20203/IPv6" }, { 0 }, { 0 }, { 0 } },
		    "tcp 0.0.0.0:20203 4, tcp [::]:20203 6", NULL },
		{ { { "127.0.0.1:80", "127.0.0.2:80" }, { 0 }, { 0 }, { 0 } },
		    "tcp 127.0.0.1:80 4, tcp 127.0.0.2:80 4", NULL },
		{ { { "twice:80" }, { 0 }, { 0 }, { 0 } },
		    "tcp 192.0.2.1:80 4, tcp 192.0.2.2:80 4", NULL },
	};
	size_t i;

	(void)state;
	for (i = 0; i < COUNT(rows); i++) {
		struct endpoints l;
		struct notes notes;
		struct error e;

		assert_endpoints(&rows[i].o, rows[i].expected);
		assert_int_equal(resolve(&l, &rows[i].o, &notes, &e), 0);
		if (rows[i].note != NULL && !noted(&notes, rows[i].note))
			fail_msg("port '%s': not noted: %s", rows[i].o.port[0], rows[i].note);
		if (rows[i].note == NULL)
			assert_false(noted(&notes, "duplicate") || noted(&notes, "skipped"));
		endpoints_done(&l);
	}
}

static void
one_port_is_shared_by_the_addresses_of_a_name(void **state)
{
	/* NS-IPV-13 */
	const struct options name = { .port = { "localhost:0", "127.0.0.1:0" } };
	const struct options both = { .port = { "0/IPv46" } };
	struct endpoints l;
	struct notes notes;
	struct error e;

	(void)state;
	assert_endpoints(&name, "tcp [::1]:0 6, tcp 127.0.0.1:0 4+, tcp 127.0.0.1:0 4");
	assert_endpoints(&both, "tcp [::]:0 6, tcp 0.0.0.0:0 4+");
	assert_int_equal(resolve(&l, &name, &notes, &e), 0);
	assert_true(noted(&notes, "port 0 of host localhost: one port"));
	endpoints_done(&l);
}

static void
what_resolution_changes_is_noted(void **state)
{
	/* NS-IPV-04, NS-IPV-05, NS-LOG-20 */
	const struct options o = { .port = { "loop4:http", "*:7", "192.0.2.1:9" } };
	struct endpoints l;
	struct notes notes;
	struct error e;

	(void)state;
	assert_int_equal(resolve(&l, &o, &notes, &e), 0);
	assert_true(noted(&notes, "resolved host loop4 port http to 127.0.0.1 port 80, IPv4"));
	assert_true(noted(&notes, "resolved host * port 7 to :: port 7, IPv*"));
	assert_true(noted(&notes, "covered: 0.0.0.0 port 7 by [::]"));
	assert_false(noted(&notes, "192.0.2.1"));
	assert_int_equal(notes.count, 3);
	endpoints_done(&l);
}

static void
an_endpoint_keeps_what_was_written(void **state)
{
	/* NS-BND-03, NS-PRT-06 */
	const struct options o = { .port = { "loop4:http/Tcp" } };
	struct endpoints l;
	struct notes notes;
	struct error e;

	(void)state;
	assert_int_equal(resolve(&l, &o, &notes, &e), 0);
	assert_string_equal(l.list[0].host, "127.0.0.1");
	assert_string_equal(l.list[0].port, "80");
	assert_string_equal(l.list[0].configured_host, "loop4");
	assert_string_equal(l.list[0].configured_port, "http");
	assert_string_equal(l.list[0].proto, "Tcp");
	endpoints_done(&l);
}

static void
without_a_port_the_default_is_used_and_noted(void **state)
{
	/* NS-PRT-31, NS-LOG-20 */
	struct endpoint_config from = { .default_port = "8080" };
	struct notes notes = { .count = 0 };
	struct endpoints l;
	struct error e = { .code = 0 };

	(void)state;
	assert_int_equal(endpoints_resolve(&l, &from, take_note, &notes, &e), 0);
	assert_string_equal(l.list[0].port, "8080");
	assert_true(noted(&notes, "no port is configured") && noted(&notes, "8080"));
	endpoints_done(&l);
	from.default_port = NULL;
	assert_int_equal(endpoints_resolve(&l, &from, NULL, NULL, &e), 0);
	assert_string_equal(l.list[0].port, "20203");
	endpoints_done(&l);
}

static void
without_ipv6_the_wildcard_is_ipv4_and_noted(void **state)
{
	/* NS-IPV-11, NS-IPV-12, NS-FIX-40, NS-TST-04 */
	const struct options wildcard = { .port = { "80" } }, name = { .port = { "localhost:80" } };
	const struct options only6 = { .port = { "loop6:80" } };
	struct endpoints l;
	struct notes notes;
	struct error e;
	int round;

	(void)state;
	for (round = 0; round < 3; round++) {
		setup(NULL);
		if (round == 0)
			socket_error = EAFNOSUPPORT;
		else if (round == 1)
			bind_error = EADDRNOTAVAIL;
		else
			setenv("NO_IPV6", "1", 1);
		assert_endpoints(&wildcard, "tcp 0.0.0.0:80 4");
		assert_endpoints(&name, "tcp 127.0.0.1:80 4");
		assert_refused(&only6, EX_NOHOST, "that can be used here");
		assert_int_equal(resolve(&l, &wildcard, &notes, &e), 0);
		assert_true(noted(&notes, "IPv6 is not available"));
		assert_int_equal(noted(&notes, "NO_IPV6"), round == 2);
		endpoints_done(&l);
		assert_int_equal(resolve(&l, &name, &notes, &e), 0);
		assert_true(noted(&notes, "address ::1 of host localhost is left out"));
		endpoints_done(&l);
	}
	/* Set, but empty: not set. */
	setenv("NO_IPV6", "", 1);
	assert_endpoints(&wildcard, "tcp [::]:80 *");
}

static void
no_ipv6_forbids_what_asks_for_it(void **state)
{
	/* NS-IPV-12 */
	static const char *const ports[] = { "*:80/IPv6", "80/IPv46", "[::1]:80", "localhost:80/IPv6" };
	size_t i;

	(void)state;
	setenv("NO_IPV6", "1", 1);
	for (i = 0; i < COUNT(ports); i++) {
		const struct options o = { .port = { ports[i] } };

		assert_refused(&o, EX_CONFIG, "NO_IPV6");
	}
	unsetenv("NO_IPV6");
}

static void
without_dual_stack_there_are_two_sockets(void **state)
{
	/* NS-IPV-14 */
	const struct options o = { .port = { "80" } }, zero = { .port = { "0" } };

	(void)state;
	v6only_error = EINVAL;
	assert_endpoints(&o, "tcp [::]:80 6, tcp 0.0.0.0:80 4");
	assert_endpoints(&zero, "tcp [::]:0 6, tcp 0.0.0.0:0 4+");
}

static void
an_address_elsewhere_is_not_dropped_in_silence(void **state)
{
	/* Only what IPv6 itself prevents is left out; the rest is for bind() to refuse. */
	const struct options o = { .port = { "far6:80" } };

	(void)state;
	assert_endpoints(&o, "tcp [2001:db8::1]:80 6");
}

static int
resolve_records(struct endpoints *l, const struct tend_listen *records, struct error *e)
{
	static const char *const items[] = { "127.0.0.1" };
	static const struct tend_list host = { 1, items };
	const struct endpoint_config from = { .listen_at = records, .host = &host, .backlog = 5 };

	memset(e, 0, sizeof(*e));
	return endpoints_resolve(l, &from, NULL, NULL, e);
}

static void
records_keep_all_their_fields(void **state)
{
	/* NS-PRT-22, NS-PRT-23, NS-PRT-24 */
	static const struct tend_listen records[] = {
		{ .port = "http" },
		{ .port = "0", .host = "localhost/IPv4", .backlog = 7 },
		{ .port = "81", .host = "localhost", .proto = "TCP/IPv4", .ipv = "6", .backlog = 8 },
		{ .port = "82", .host = "*", .ipv = "v4v6", .backlog = 9 },
		{ .port = "/run/a b:c", .proto = "unix", .backlog = 10 },
		{ .port = NULL },
	};
	static const int backlogs[] = { 5, 7, 8, 9, 9, 10 };
	struct endpoints l;
	struct error e;
	char got[512];
	size_t i;

	(void)state;
	assert_int_equal(resolve_records(&l, records, &e), 0);
	describe(&l, got, sizeof(got));
	assert_string_equal(got, "tcp 127.0.0.1:80 4, tcp 127.0.0.1:0 4, TCP [::1]:81 6, "
	    "tcp [::]:82 6, tcp 0.0.0.0:82 4, unix unix:/run/a b:c *");
	assert_int_equal(l.count, COUNT(backlogs));
	for (i = 0; i < l.count; i++)
		assert_int_equal(l.list[i].backlog, backlogs[i]);
	endpoints_done(&l);
}

static void
records_that_cannot_work_are_refused(void **state)
{
	/* NS-PRT-22, NS-PRT-24, NS-PRT-34 */
	static const struct {
		struct tend_listen records[2];
		const char        *sentence;
	} rows[] = {
		{ { { .port = NULL } }, "no port to listen on" },
		{ { { .port = "" } }, "an empty port" },
		{ { { .port = "localhost:80" } }, "cannot parse port 'localhost:80'" },
		{ { { .port = "80/tcp" } }, "cannot parse port '80/tcp'" },
		{ { { .port = "80", .proto = "ssl" } }, "not part of this build" },
		{ { { .port = "80", .host = "a b" } }, "cannot parse host 'a b'" },
		{ { { .port = "80", .ipv = "x" } }, "ipv 'x'" },
		{ { { .port = "/run/x" } }, "'/run/x|unix'" },
	};
	size_t i;

	(void)state;
	for (i = 0; i < COUNT(rows); i++) {
		struct endpoints l;
		struct error e;

		assert_int_not_equal(resolve_records(&l, rows[i].records, &e), 0);
		assert_int_equal(e.status, EX_CONFIG);
		if (strstr(e.text, rows[i].sentence) == NULL)
			fail_msg("\"%s\" lacks \"%s\"", e.text, rows[i].sentence);
	}
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup(each_kind_of_host_becomes_its_addresses, setup),
		cmocka_unit_test_setup(what_cannot_work_is_refused_with_its_reason, setup),
		cmocka_unit_test_setup(a_resolver_that_breaks_gives_its_reason, setup),
		cmocka_unit_test_setup(a_path_that_is_too_long_is_fatal, setup),
		cmocka_unit_test_setup(lists_pair_by_position_and_the_last_repeats, setup),
		cmocka_unit_test_setup(versions_obey_their_order, setup),
		cmocka_unit_test_setup(the_same_socket_is_bound_once, setup),
		cmocka_unit_test_setup(one_port_is_shared_by_the_addresses_of_a_name, setup),
		cmocka_unit_test_setup(what_resolution_changes_is_noted, setup),
		cmocka_unit_test_setup(an_endpoint_keeps_what_was_written, setup),
		cmocka_unit_test_setup(without_a_port_the_default_is_used_and_noted, setup),
		cmocka_unit_test_setup(without_ipv6_the_wildcard_is_ipv4_and_noted, setup),
		cmocka_unit_test_setup(no_ipv6_forbids_what_asks_for_it, setup),
		cmocka_unit_test_setup(without_dual_stack_there_are_two_sockets, setup),
		cmocka_unit_test_setup(an_address_elsewhere_is_not_dropped_in_silence, setup),
		cmocka_unit_test_setup(records_keep_all_their_fields, setup),
		cmocka_unit_test_setup(records_that_cannot_work_are_refused, setup),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
