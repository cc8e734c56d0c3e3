/*
 * Address lists: parsing, sorting, searching. What a match means is the business of access.c,
 * which is the only caller that decides anything.
 */
#include "access/cidr.h"

#include <arpa/inet.h>
#include <errno.h>
#include <netinet/in.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/endian.h"
#include "base/str.h"

#define SEPARATORS ", \t\r\n"
#define BLANKS " \t\r\n"
#define FIRST_SIZE 16
#define MAPPED_BITS 96 /* length of the prefix ::ffff:0:0 that marks a mapped address */

/* One item of a value and where it stands, for the sentences. */
struct item {
	const char *option;
	const char *text;
	size_t length;
};

/* What an address looked like before it was reduced: a prefix length counts from there. */
struct written {
	struct cidr_address address;
	unsigned bits; /* 32 or 128 */
	bool mapped;   /* ::ffff:a.b.c.d, now IPv4 */
};

static int
compare(const struct cidr_number *a, const struct cidr_number *b)
{
	if (a->high != b->high)
		return a->high < b->high ? -1 : 1;
	return a->low < b->low ? -1 : a->low > b->low;
}

/* --- addresses --- */

static struct cidr_address
from_v4(const struct in_addr *in)
{
	return (struct cidr_address){ .family = AF_INET, .number.low = ntohl(in->s_addr) };
}

static struct cidr_address
from_v6(const struct in6_addr *in)
{
	struct cidr_address a = { .family = AF_INET6 };

	a.number.high = endian_load64(&in->s6_addr[0]);
	a.number.low = endian_load64(&in->s6_addr[8]);
	if (a.number.high == 0 && a.number.low >> 32 == 0xffff) {
		a.family = AF_INET;
		a.number.low &= UINT32_MAX;
	}
	return a;
}

int
cidr_address_of(struct cidr_address *into, const struct sockaddr *peer, socklen_t length)
{
	/* Copies, because the storage may be aligned for bytes only. */
	struct sockaddr_in6 v6;
	struct sockaddr_in v4;

	if (peer == NULL || length < offsetof(struct sockaddr, sa_data))
		return -EAFNOSUPPORT;
	if (peer->sa_family == AF_INET && length >= sizeof(v4)) {
		memcpy(&v4, peer, sizeof(v4));
		*into = from_v4(&v4.sin_addr);
		return 0;
	}
	if (peer->sa_family == AF_INET6 && length >= sizeof(v6)) {
		memcpy(&v6, peer, sizeof(v6));
		*into = from_v6(&v6.sin6_addr);
		return 0;
	}
	return -EAFNOSUPPORT;
}

static bool
parse_address(struct written *into, const char *text, size_t length)
{
	char copy[INET6_ADDRSTRLEN];
	struct in6_addr v6;
	struct in_addr v4;

	if (length >= sizeof(copy))
		return false;
	memcpy(copy, text, length);
	copy[length] = '\0';
	if (inet_pton(AF_INET, copy, &v4) == 1) {
		*into = (struct written){ .address = from_v4(&v4), .bits = 32 };
		return true;
	}
	if (inet_pton(AF_INET6, copy, &v6) == 1) {
		*into = (struct written){ .address = from_v6(&v6), .bits = 128 };
		into->mapped = into->address.family == AF_INET;
		return true;
	}
	return false;
}

/* --- sentences --- */

static int
refuse(const struct item *it, struct error *e, const char *why)
{
	char shown[2 * CIDR_TEXT_MAX];

	str_escape(shown, sizeof(shown), it->text, it->length);
	return error_set(e, EX_CONFIG, -EINVAL, "%s: '%s' %s", it->option, shown, why);
}

static int
refuse_address(const struct item *it, struct error *e)
{
	return refuse(it, e,
	    "is not an address (192.0.2.1, 2001:db8::1), a block (192.0.2.0/24, "
	    "2001:db8::/32) or a range (192.0.2.1-192.0.2.9)");
}

static int
refuse_prefix(const struct item *it, const struct written *w, struct error *e)
{
	if (w->mapped)
		return refuse(it, e,
		    "has a bad prefix length: for a mapped IPv4 address it is 96 "
		    "to 128; better write plain IPv4");
	return refuse(it, e,
	    w->bits == 32 ? "has a bad prefix length: for IPv4 it is 0 to 32"
			  : "has a bad prefix length: for IPv6 it is 0 to 128");
}

/* --- items --- */

static int
append(struct cidr_set *s, int family, const struct cidr_range *r)
{
	struct cidr_ranges *list = family == AF_INET ? &s->v4 : &s->v6;
	size_t size = list->size > 0 ? 2 * list->size : FIRST_SIZE;
	struct cidr_range *items;

	if (list->count == list->size) {
		items = size <= SIZE_MAX / sizeof(*items)
			    ? realloc(list->items, size * sizeof(*items))
			    : NULL;
		if (items == NULL)
			return -ENOMEM;
		list->items = items;
		list->size = size;
	}
	list->items[list->count++] = *r;
	return 0;
}

/* A number whose lowest `n` bits, of at most 64, are set. */
static uint64_t
ones(unsigned n)
{
	return n == 0 ? 0 : UINT64_MAX >> (64 - n);
}

static struct cidr_range
block_of(const struct cidr_number *in, unsigned host_bits)
{
	uint64_t high = ones(host_bits > 64 ? host_bits - 64 : 0);
	uint64_t low = ones(host_bits > 64 ? 64 : host_bits);

	return (struct cidr_range){
		.first = { in->high & ~high, in->low & ~low },
		.last = { in->high | high, in->low | low },
	};
}

/* One to three digits and nothing else; -1 for what is not. */
static int
parse_prefix(const char *text, size_t length)
{
	int n = 0;
	size_t i;

	if (length < 1 || length > 3)
		return -1;
	for (i = 0; i < length; i++) {
		if (text[i] < '0' || text[i] > '9')
			return -1;
		n = n * 10 + (text[i] - '0');
	}
	return n;
}

static int
add_block(struct cidr_set *s, const struct item *it, const char *slash, struct error *e)
{
	struct cidr_range r;
	struct written w;
	int prefix, least;

	if (!parse_address(&w, it->text, (size_t)(slash - it->text)))
		return refuse_address(it, e);
	/*
	 * A mapped address with a short prefix was meant as IPv4 ("::ffff:10.0.0.0/8"); as the
	 * IPv6 block that it literally is, it would match nobody and deny nobody.
	 */
	least = w.mapped ? MAPPED_BITS : 0;
	prefix = parse_prefix(slash + 1, it->length - (size_t)(slash + 1 - it->text));
	if (prefix < least || prefix > (int)w.bits)
		return refuse_prefix(it, &w, e);
	r = block_of(&w.address.number, w.bits - (unsigned)prefix);
	return append(s, w.address.family, &r);
}

static int
add_range(struct cidr_set *s, const struct item *it, const char *dash, struct error *e)
{
	struct written first, last;
	struct cidr_range r;

	if (!parse_address(&first, it->text, (size_t)(dash - it->text)) ||
	    !parse_address(&last, dash + 1, it->length - (size_t)(dash + 1 - it->text)))
		return refuse_address(it, e);
	if (first.address.family != last.address.family)
		return refuse(it, e, "is a range from one address family to the other");
	r = (struct cidr_range){ first.address.number, last.address.number };
	if (compare(&r.first, &r.last) > 0)
		return refuse(it, e, "is a range that ends before it begins; swap its ends");
	return append(s, first.address.family, &r);
}

static int
add_item(struct cidr_set *s, const struct item *it, struct error *e)
{
	const char *slash = memchr(it->text, '/', it->length);
	const char *dash = memchr(it->text, '-', it->length);
	struct cidr_range r;
	struct written w;

	if (slash != NULL)
		return add_block(s, it, slash, e);
	if (dash != NULL)
		return add_range(s, it, dash, e);
	if (!parse_address(&w, it->text, it->length))
		return refuse_address(it, e);
	r = (struct cidr_range){ w.address.number, w.address.number };
	return append(s, w.address.family, &r);
}

static int
refuse_empty(const char *option, const char *value, struct error *e)
{
	char shown[2 * CIDR_TEXT_MAX];

	str_escape(shown, sizeof(shown), value, strlen(value));
	return error_set(e, EX_CONFIG, -EINVAL,
	    "%s: '%s' has an empty item; give an address, a block or a range, or leave the "
	    "option out",
	    option, shown);
}

int
cidr_add(struct cidr_set *s, const char *option, const char *value, struct error *e)
{
	struct item it = { .option = option, .text = value };
	bool more;
	int r;

	do {
		it.text += strspn(it.text, BLANKS);
		it.length = strcspn(it.text, SEPARATORS);
		if (it.length == 0)
			return refuse_empty(option, value, e);
		r = add_item(s, &it, e);
		if (r == -ENOMEM)
			return error_set(e, EX_OSERR, r, "%s: out of memory", option);
		if (r < 0)
			return r;
		it.text += it.length;
		it.text += strspn(it.text, BLANKS);
		more = *it.text != '\0';
		if (*it.text == ',')
			it.text++;
	} while (more);
	return 0;
}

/* --- the set --- */

static int
by_first(const void *a, const void *b)
{
	return compare(
	    &((const struct cidr_range *)a)->first, &((const struct cidr_range *)b)->first);
}

static void
sort(struct cidr_ranges *list)
{
	size_t i, kept = 0;

	if (list->count < 2)
		return;
	qsort(list->items, list->count, sizeof(*list->items), by_first);
	/* Neighbours that only touch stay apart: a verdict names the block as written. */
	for (i = 1; i < list->count; i++) {
		struct cidr_range *last = &list->items[kept], *next = &list->items[i];

		if (compare(&next->first, &last->last) > 0)
			list->items[++kept] = *next;
		else if (compare(&next->last, &last->last) > 0)
			last->last = next->last;
	}
	list->count = kept + 1;
}

void
cidr_sort(struct cidr_set *s)
{
	sort(&s->v4);
	sort(&s->v6);
}

void
cidr_done(struct cidr_set *s)
{
	free(s->v4.items);
	free(s->v6.items);
	memset(s, 0, sizeof(*s));
}

bool
cidr_is_empty(const struct cidr_set *s)
{
	return s->v4.count == 0 && s->v6.count == 0;
}

const struct cidr_range *
cidr_find(const struct cidr_set *s, const struct cidr_address *a)
{
	const struct cidr_ranges *list = a->family == AF_INET ? &s->v4 : &s->v6;
	size_t low = 0, high = list->count;

	/* The first range that does not end before the address is the only candidate. */
	while (low < high) {
		size_t middle = low + (high - low) / 2;

		if (compare(&list->items[middle].last, &a->number) < 0)
			low = middle + 1;
		else
			high = middle;
	}
	if (low == list->count || compare(&list->items[low].first, &a->number) > 0)
		return NULL;
	return &list->items[low];
}

/* --- text --- */

static void
number_text(char into[INET6_ADDRSTRLEN], int family, const struct cidr_number *n)
{
	struct in_addr v4 = { htonl((uint32_t)n->low) };
	struct in6_addr v6;
	int i;

	for (i = 0; i < 8; i++) {
		v6.s6_addr[i] = (unsigned char)(n->high >> (56 - 8 * i));
		v6.s6_addr[8 + i] = (unsigned char)(n->low >> (56 - 8 * i));
	}
	inet_ntop(family, family == AF_INET ? (const void *)&v4 : (const void *)&v6, into,
	    INET6_ADDRSTRLEN);
}

/* How many host bits a whole block has; -1 for a range that is not one. */
static int
host_bits_of(const struct cidr_range *r)
{
	unsigned bits;

	for (bits = 0; bits <= 128; bits++) {
		struct cidr_range block = block_of(&r->first, bits);

		if (compare(&block.first, &r->first) != 0)
			break;
		if (compare(&block.last, &r->last) == 0)
			return (int)bits;
	}
	return -1;
}

void
cidr_range_text(char into[CIDR_TEXT_MAX], int family, const struct cidr_range *r)
{
	char first[INET6_ADDRSTRLEN], last[INET6_ADDRSTRLEN];
	int bits = family == AF_INET ? 32 : 128, host_bits = host_bits_of(r);

	number_text(first, family, &r->first);
	number_text(last, family, &r->last);
	if (host_bits == 0)
		snprintf(into, CIDR_TEXT_MAX, "%s", first);
	else if (host_bits > 0)
		snprintf(into, CIDR_TEXT_MAX, "%s/%d", first, bits - host_bits);
	else
		snprintf(into, CIDR_TEXT_MAX, "%s-%s", first, last);
}
