/*
 * Where a client comes from, as far as limits are concerned: its address without the bits that are
 * the client's own to choose. Whoever has an IPv6 network has a /64 of addresses, and is one source.
 */
#ifndef TEND_PROCESS_SOURCE_H
#define TEND_PROCESS_SOURCE_H

#include "net/addr.h"

struct source_id {
	uint64_t high, low; /* IPv4 is in the low 32 bits of `low` */
	uint32_t scope;     /* the interface of a link-local address */
	uint8_t  family;    /* 4 or 6; 0: none, as of unix clients */
	uint8_t  bits;      /* how many of the address count */
};

/* How many bits count. */
struct source_prefix {
	unsigned v4; /* 0 to 32 */
	unsigned v6; /* 0 to 128 */
};

/*
 * The source of a peer. A mapped IPv4 address is an IPv4 address. Of a link-local one every bit
 * counts, and its interface: all neighbours share the network.
 */
struct source_id source_of(const struct addr *peer, const struct source_prefix *prefix);

#define SOURCE_TEXT_MAX ADDR_TEXT_MAX

/* "192.0.2.7", "192.0.2.0/24", "2001:db8:1:2::/64"; "a local client" when there is no address. */
void source_text(const struct source_id *s, char into[SOURCE_TEXT_MAX]);

#endif
