/* From the address of a peer to what is counted as one source, and to text. */
#include "process/source.h"

#include <arpa/inet.h>
#include <stdio.h>
#include <string.h>

#include "base/endian.h"

#define LINK_LOCAL UINT64_C(0xfe80000000000000) /* fe80::/10 */
#define LINK_LOCAL_MASK UINT64_C(0xffc0000000000000)

/* The first `bits` of 64, the others zero. */
static uint64_t
keep(uint64_t n, unsigned bits)
{
	return bits == 0 ? 0 : bits >= 64 ? n : n & ~(UINT64_MAX >> bits);
}

static struct source_id
v4_source(uint32_t address, unsigned bits)
{
	return (struct source_id){
		.low = (uint32_t)(keep((uint64_t)address << 32, bits) >> 32),
		.family = 4,
		.bits = (uint8_t)bits,
	};
}

static struct source_id
v6_source(const struct sockaddr_in6 *v6, const struct source_prefix *prefix)
{
	uint64_t high = endian_load64(&v6->sin6_addr.s6_addr[0]);
	uint64_t low = endian_load64(&v6->sin6_addr.s6_addr[8]);
	struct source_id s = { .family = 6, .bits = (uint8_t)prefix->v6 };

	if (high == 0 && low >> 32 == 0xffff)
		return v4_source((uint32_t)low, prefix->v4);
	if ((high & LINK_LOCAL_MASK) == LINK_LOCAL) {
		s.bits = 128;
		s.scope = v6->sin6_scope_id;
	}
	s.high = keep(high, s.bits);
	s.low = s.bits > 64 ? keep(low, s.bits - 64u) : 0;
	return s;
}

struct source_id
source_of(const struct addr *peer, const struct source_prefix *prefix)
{
	if (peer == NULL || peer->length < sizeof(peer->u.any.sa_family))
		return (struct source_id){ 0 };
	if (peer->u.any.sa_family == AF_INET && peer->length >= sizeof(peer->u.v4))
		return v4_source(ntohl(peer->u.v4.sin_addr.s_addr), prefix->v4);
	if (peer->u.any.sa_family == AF_INET6 && peer->length >= sizeof(peer->u.v6))
		return v6_source(&peer->u.v6, prefix);
	return (struct source_id){ 0 };
}

void
source_text(const struct source_id *s, char into[SOURCE_TEXT_MAX])
{
	struct addr a = { 0 };
	unsigned whole = s->family == 4 ? 32 : 128;
	size_t length;

	if (s->family == 0) {
		snprintf(into, SOURCE_TEXT_MAX, "a local client");
		return;
	}
	if (s->family == 4) {
		a.length = sizeof(a.u.v4);
		a.u.v4.sin_family = AF_INET;
		a.u.v4.sin_addr.s_addr = htonl((uint32_t)s->low);
	} else {
		a.length = sizeof(a.u.v6);
		a.u.v6.sin6_family = AF_INET6;
		a.u.v6.sin6_scope_id = s->scope;
		endian_store64(&a.u.v6.sin6_addr.s6_addr[0], s->high);
		endian_store64(&a.u.v6.sin6_addr.s6_addr[8], s->low);
	}
	addr_host_text(&a, into);
	length = strlen(into);
	if (s->bits < whole)
		snprintf(into + length, SOURCE_TEXT_MAX - length, "/%u", s->bits);
}
