/*
 * Sets of addresses: blocks, ranges and single addresses of both families, read from text,
 * sorted once and then searched by halves, so that a list of a million blocks costs twenty
 * comparisons. IPv4 written or received as mapped IPv6 is IPv4 everywhere (NS-ACC-02, -09).
 */
#ifndef TEND_ACCESS_CIDR_H
#define TEND_ACCESS_CIDR_H

#include <sys/socket.h>

#include <tend/base.h>

#include "base/error.h"

/* An address as a number; IPv4 is in the low 32 bits of `low`. */
struct cidr_number {
	uint64_t high;
	uint64_t low;
};

struct cidr_address {
	int                family; /* AF_INET or AF_INET6; never a mapped IPv6 address */
	struct cidr_number number;
};

struct cidr_range {
	struct cidr_number first;
	struct cidr_number last;
};

struct cidr_ranges {
	struct cidr_range *items;
	size_t             count;
	size_t             size;
};

/* Zeroed storage is a valid, empty set. */
struct cidr_set {
	struct cidr_ranges v4;
	struct cidr_ranges v6;
};

/* Room for "first-last" of two IPv6 addresses and the NUL. */
#define CIDR_TEXT_MAX 96

/*
 * The address of a peer, reduced to IPv4 when it is mapped. 0, or -EAFNOSUPPORT when there is
 * no internet address in it (another family, too short, NULL).
 */
int cidr_address_of(struct cidr_address *into, const struct sockaddr *peer, socklen_t length);

/*
 * Adds the items of one value of `option`: "10.0.0.0/8", "10.0.0.1-10.0.0.9", "2001:db8::1",
 * several of them separated by commas or blanks. Host bits are ignored: 10.0.0.1/8 stands for
 * 10.0.0.0/8. 0, -ENOMEM, or -EINVAL with a sentence that quotes the item and names the option;
 * items that stand before a bad one have been added.
 */
int cidr_add(struct cidr_set *s, const char *option, const char *value, struct error *e);

/* After the last cidr_add() and before the first cidr_find(). Joins what overlaps. */
void cidr_sort(struct cidr_set *s);
void cidr_done(struct cidr_set *s);

bool cidr_is_empty(const struct cidr_set *s);

/* The range that holds the address, NULL when there is none. Valid until cidr_done(). */
const struct cidr_range *cidr_find(const struct cidr_set *s, const struct cidr_address *a);

/* "10.0.0.0/8" for a whole block, "10.0.0.1" for one address, else "10.0.0.1-10.0.0.9". */
void cidr_range_text(char into[CIDR_TEXT_MAX], int family, const struct cidr_range *r);

#endif
