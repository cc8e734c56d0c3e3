/*
 * The decision who may come. Owns the order of the four lists and what their answers mean; the
 * lists themselves are rules.c and cidr.c. Looking up names, hooks and logging belong to the
 * server, which passes the name in and logs the verdict.
 */
#include "access/access.h"

#include <arpa/inet.h>
#include <errno.h>
#include <net/if.h>
#include <netinet/in.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "access/cidr.h"
#include "access/rules.h"

struct access {
	struct rules *allow;
	struct rules *deny;
	struct cidr_set cidr_allow;
	struct cidr_set cidr_deny;
};

/* The texts that patterns are tried on: the address, the address with its zone, the name. */
struct subjects {
	struct rules_subject items[3];
	size_t count;
	size_t trusted; /* those that `allow` is tried on */
	char address[INET6_ADDRSTRLEN];
	char zoned[INET6_ADDRSTRLEN + IF_NAMESIZE];
};

/* --- rules --- */

static int
add_blocks(
    struct cidr_set *s, const char *option, const struct tend_list *blocks, struct error *e)
{
	size_t i;
	int r;

	for (i = 0; blocks != NULL && i < blocks->count; i++) {
		r = cidr_add(s, option, blocks->items[i], e);
		if (r < 0)
			return r;
	}
	cidr_sort(s);
	return 0;
}

int
access_new(struct access **into, const struct tend_list *allow, const struct tend_list *deny,
    const struct tend_list *cidr_allow, const struct tend_list *cidr_deny, struct error *e)
{
	struct access *a = calloc(1, sizeof(*a));
	int r;

	*into = NULL;
	if (a == NULL)
		return error_set(e, EX_OSERR, -ENOMEM, "access rules: out of memory");
	if ((r = rules_new(&a->allow, "allow", allow, e)) < 0 ||
	    (r = rules_new(&a->deny, "deny", deny, e)) < 0 ||
	    (r = add_blocks(&a->cidr_allow, "cidr_allow", cidr_allow, e)) < 0 ||
	    (r = add_blocks(&a->cidr_deny, "cidr_deny", cidr_deny, e)) < 0) {
		access_free(a);
		return r;
	}
	*into = a;
	return 0;
}

void
access_free(struct access *a)
{
	if (a == NULL)
		return;
	rules_free(a->allow);
	rules_free(a->deny);
	cidr_done(&a->cidr_allow);
	cidr_done(&a->cidr_deny);
	free(a);
}

bool
access_is_open(const struct access *a)
{
	return a->allow == NULL && a->deny == NULL && cidr_is_empty(&a->cidr_allow) &&
	       cidr_is_empty(&a->cidr_deny);
}

/* --- subjects --- */

static void
add_subject(struct subjects *s, const char *text, size_t length)
{
	s->items[s->count++] = (struct rules_subject){ text, length };
}

static void
add_address(struct subjects *s, const struct sockaddr *peer, const struct cidr_address *a)
{
	struct in_addr v4 = { htonl((uint32_t)a->number.low) };
	char zone[IF_NAMESIZE];
	struct sockaddr_in6 v6;

	if (a->family == AF_INET) {
		inet_ntop(AF_INET, &v4, s->address, sizeof(s->address));
		add_subject(s, s->address, strlen(s->address));
		return;
	}
	memcpy(&v6, peer, sizeof(v6));
	inet_ntop(AF_INET6, &v6.sin6_addr, s->address, sizeof(s->address));
	add_subject(s, s->address, strlen(s->address));
	if (v6.sin6_scope_id == 0)
		return;
	/* A rule may name the address alone or, as a log shows it, with the interface. */
	if (if_indextoname(v6.sin6_scope_id, zone) == NULL)
		snprintf(zone, sizeof(zone), "%u", v6.sin6_scope_id);
	snprintf(s->zoned, sizeof(s->zoned), "%s%%%s", s->address, zone);
	add_subject(s, s->zoned, strlen(s->zoned));
}

/*
 * Does the name begin like an IPv4 address? Who allows "10\..*" means addresses, and "10.example" is
 * anybody's to have, forward and back.
 */
static bool
poses_as_address(const char *host)
{
	size_t digits = strspn(host, "0123456789");

	return digits > 0 && host[digits] == '.';
}

/* False when the name is longer than a name can be. */
static bool
add_host(struct subjects *s, const char *host)
{
	size_t length = host != NULL ? strnlen(host, RULES_SUBJECT_MAX + 2) : 0;

	if (length > 0 && host[length - 1] == '.')
		length--;
	if (length > RULES_SUBJECT_MAX)
		return false;
	s->trusted = s->count;
	if (length == 0)
		return true;
	add_subject(s, host, length);
	if (!poses_as_address(host))
		s->trusted = s->count;
	return true;
}

/* --- the decision --- */

static struct access_verdict
verdict(bool allowed, const char *reason)
{
	return (struct access_verdict){ .allowed = allowed, .reason = reason };
}

/* The block is put in words only for those who are turned away: they are the ones that are
 * logged. */
static const char *
block_reason(int family, const struct cidr_range *block)
{
	static _Thread_local char reason[32 + CIDR_TEXT_MAX];
	char text[CIDR_TEXT_MAX];

	cidr_range_text(text, family, block);
	snprintf(reason, sizeof(reason), "is in cidr_deny %s", text);
	return reason;
}

/* The order is that of NS-ACC-03. */
static struct access_verdict
decide(struct access *a, const struct subjects *s, const struct cidr_address *address)
{
	const struct cidr_range *block;
	enum rules_result result;
	const char *reason;

	if (rules_match(a->deny, s->items, s->count, &reason) != RULES_NO_MATCH)
		return verdict(false, reason);
	block = cidr_find(&a->cidr_deny, address);
	if (block != NULL)
		return verdict(false, block_reason(address->family, block));
	result = rules_match(a->allow, s->items, s->trusted, &reason);
	if (result != RULES_NO_MATCH)
		return verdict(result == RULES_MATCH, reason);
	if (cidr_find(&a->cidr_allow, address) != NULL)
		return verdict(true, "is in a block of cidr_allow");
	if (a->allow == NULL && cidr_is_empty(&a->cidr_allow))
		return verdict(false,
		    "there are deny rules only; what is to come in needs allow or "
		    "cidr_allow");
	return verdict(false, "matches no allow or cidr_allow");
}

struct access_verdict
access_check(struct access *a, const struct sockaddr *peer, socklen_t length, const char *host)
{
	struct subjects s = { .count = 0 };
	struct cidr_address address;

	if (access_is_open(a))
		return verdict(true, "there are no rules");
	if (peer != NULL && length >= offsetof(struct sockaddr, sa_data) &&
	    peer->sa_family == AF_UNIX)
		return verdict(true, "rules do not apply to unix peers");
	if (cidr_address_of(&address, peer, length) < 0)
		return verdict(false, "its address is not known");
	if (a->allow != NULL || a->deny != NULL) {
		add_address(&s, peer, &address);
		if (!add_host(&s, host))
			return verdict(false, "its host name is longer than 255 bytes");
	}
	return decide(a, &s, &address);
}
