/*
 * Who may come: allow and deny patterns over the peer's address (and host name, where one is
 * known), and CIDR lists. All rules are compiled at the start; deciding allocates nothing that a
 * peer can grow and takes bounded time (NS-ACC-01 to -18).
 */
#ifndef TEND_ACCESS_ACCESS_H
#define TEND_ACCESS_ACCESS_H

#include <sys/socket.h>

#include <tend/options.h>

#include "base/error.h"

struct access;

/*
 * Compiles the rules; the lists are borrowed for the call, NULL is an empty one. A bad rule is
 * -EINVAL with a sentence that quotes it and names the option (NS-ACC-08); a pattern in a
 * build without PCRE2 is -ENOTSUP; -ENOMEM.
 */
int  access_new(struct access **into, const struct tend_list *allow, const struct tend_list *deny,
	const struct tend_list *cidr_allow, const struct tend_list *cidr_deny, struct error *e);
void access_free(struct access *a);

/* True when there is no rule at all: everybody may come. */
bool access_is_open(const struct access *a);

struct access_verdict {
	bool        allowed;
	const char *reason; /* "matches deny 'a.+'", for the log; until this thread's next call */
};

/*
 * `host` is the peer's name, NULL when it is not known. Unix peers are always allowed (their
 * family must be in `peer`, also for one without a name); a peer without any address is denied
 * as soon as there is a rule. `allow` is not tried on a name that begins like an IPv4 address. A
 * pattern that gives up at its limits denies, in allow as well as
 * in deny.
 *
 * Context: any thread; threads take turns while patterns are matched. Takes no memory.
 */
struct access_verdict access_check(struct access *a, const struct sockaddr *peer, socklen_t length,
	const char *host);

#endif
