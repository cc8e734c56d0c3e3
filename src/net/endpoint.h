/*
 * Where to listen, from the strings of the configuration to addresses that can be bound: the
 * grammar of Net::Server (NS-PRT), the pairing of lists, and the rules for IP versions (NS-IPV).
 * Nothing here opens a listening socket.
 */
#ifndef TEND_NET_ENDPOINT_H
#define TEND_NET_ENDPOINT_H

#include <sys/types.h>

#include <tend/options.h>
#include <tend/service.h>

#include "base/error.h"
#include "net/addr.h"

/* What the file of a Unix socket is to be like: a mode, an owner, or both (net/rights.h). */
struct socket_rights {
	bool   has_mode;
	mode_t mode;
	uid_t  uid; /* (uid_t)-1: stays */
	gid_t  gid; /* (gid_t)-1: stays */
};

/* One port string taken apart; texts are owned. Empty members were not said. */
struct endpoint_text {
	char    *host;  /* "*" is said; NULL: not said */
	char    *port;  /* number, service name or path */
	char    *proto; /* as spelt; NULL: not said */
	unsigned ipv;   /* bits of enum ipv; 0: not said */
};

enum ipv { IPV_4 = 1, IPV_6 = 2, IPV_ANY = 4 };

/* NS-PRT-01 to -11. -EINVAL with a sentence that quotes the string. */
int  endpoint_parse(const char *text, struct endpoint_text *into, struct error *e);
void endpoint_text_done(struct endpoint_text *t);

/* The same where the general proto is unix: what names no other protocol is a path. */
int endpoint_parse_local(const char *text, struct endpoint_text *into, struct error *e);

/*
 * Settings of their own, "localhost/IPv6" and "tcp IPv4": `into` gets what stands before the IP
 * versions (owned by the caller), `ipv` their bits or 0.
 */
int endpoint_parse_host(const char *text, char **into, unsigned *ipv, struct error *e);
int endpoint_parse_proto(const char *text, char **into, unsigned *ipv, struct error *e);

/* A port alone, not a string of several parts: digits up to 65535 or a word as services have. */
int endpoint_check_port(const char *port, const char *text, struct error *e);

/* NS-IPV-01: text with 4, 6 or *. */
int ipv_parse(const char *text, unsigned *into, struct error *e);

/* One socket to be bound. */
struct endpoint {
	char       *host;            /* as resolved: "::", "127.0.0.1"; "*" for unix */
	char       *port;            /* as resolved: digits, or the path */
	char       *configured_host; /* as written */
	char       *configured_port; /* as written: a service name, "0" */
	char       *proto;           /* as written: "tcp", "TCP" */
	unsigned    ipv;             /* IPV_4, IPV_6, or IPV_ANY for a dual-stack socket */
	int         backlog;         /* 0: the default */
	const struct socket_rights *rights; /* of a socket file, borrowed; NULL: as bind() leaves it */
	struct addr addr;            /* what bind() takes; port 0: the kernel chooses */
	bool        shares_port;     /* port 0: takes the port that the endpoint before it got (NS-IPV-13) */
};

struct endpoints {
	struct endpoint *list;
	size_t           count;
};

struct endpoint_config {
	const struct tend_list   *port, *host, *proto, *ipv;
	const struct tend_listen *listen_at; /* instead of port; NULL: none */
	int                       backlog;
	const char               *default_port;
	const struct socket_rights *rights; /* NULL: as bind() leaves socket files */
};

/* A note for the log on the way (NS-LOG classes resolved, covered, duplicate, default-port). */
typedef void (*endpoint_note_fn)(void *data, const char *note);

/*
 * Parses, pairs, resolves, sorts out duplicates. EX_CONFIG or EX_NOHOST with the string that is
 * wrong. `note` may be NULL.
 */
int  endpoints_resolve(struct endpoints *into, const struct endpoint_config *from,
	endpoint_note_fn note, void *note_data, struct error *e);
void endpoints_done(struct endpoints *l);

#endif
