/*
 * The name of a client: asked for at most twice, once its address and then the name that this gave.
 * Who owns an address says what its name is, and may say what he likes; only a name that leads back
 * to the address is the client's own (NS-ACC-12). What a name decides is up to the rules.
 */
#include "server/lookup.h"

#include <errno.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "base/buf.h"
#include "base/clock.h"
#include "net/resolver.h"

/* Failures of the resolver itself are warnings, but not one for each client. */
#define WARNING_PAUSE (10 * CLOCK_SECOND)

/* In the extras of the connection. */
enum result {
	NOT_MADE,
	NAMED,
	NO_NAME,
	BAD_NAME,
	NO_ADDRESS,
	OTHER_ADDRESSES,
	TIMED_OUT,
	FAILED,
};

static const char *const reasons[] = {
	[NOT_MADE] = "its name was not looked up",
	[NAMED] = "double_reverse_lookups is autofail",
	[NO_NAME] = "its address has no name",
	[BAD_NAME] = "what its address leads to is no name that a host can have",
	[NO_ADDRESS] = "its name has no address",
	[OTHER_ADDRESSES] = "its name has other addresses",
	[TIMED_OUT] = "its name was not found out within lookup_timeout",
	[FAILED] = "its name could not be looked up",
};

/* One client's. */
struct lookup {
	struct tend_server     *srv;
	struct tend_conn       *c;
	struct addr             seen;
	struct addr             peer; /* the same, not mapped */
	char                    name[RESOLVER_NAME_MAX + 1];
	struct resolver_request q;
	int64_t                 deadline; /* for both questions together */
	int                     code;     /* of the last one */
	void (*done)(struct tend_conn *c); /* on the loop */
};

/* ---- options ---- */

static bool
is_on(const char *word)
{
	static const char *const no[] = { "0", "no", "false", "off", "" };
	size_t i;

	for (i = 0; word != NULL && i < sizeof(no) / sizeof(no[0]); i++)
		if (strcasecmp(word, no[i]) == 0)
			return false;
	return word != NULL;
}

/* Which words there are the table of options knows: here only their parts are told. */
static bool
says(const char *word, const char *part)
{
	return word != NULL && strcasestr(word, part) != NULL;
}

void
lookup_configure(struct tend_server *srv)
{
	const struct tend_config *c = &srv->settings.value;
	const char *reverse = c->reverse_lookups, *twice = c->double_reverse_lookups;
	struct lookups *l = &srv->lookups;

	l->twice = is_on(twice) || says(reverse, "double") || says(reverse, "2");
	l->reverse = l->twice || is_on(reverse);
	l->autofail = says(twice, "autofail") || says(reverse, "autofail");
	l->debug = says(twice, "debug") || says(reverse, "debug");
	l->detail = l->debug || says(twice, "detail") || says(reverse, "detail");
	l->timeout = clock_from_seconds(c->lookup_timeout);
}

/* ---- answers ---- */

/* What one question came to; `unknown` when the answer is that there is none. */
static enum result
result_of(int code, enum result unknown)
{
	switch (code) {
	case 0:
		return NAMED;
	case -ENOENT:
		return unknown;
	case -EBADMSG:
		return BAD_NAME;
	case -ETIMEDOUT:
		return TIMED_OUT;
	default:
		return FAILED;
	}
}

static enum result
take_name(struct lookup *k, int code)
{
	k->code = code;
	if (code == 0)
		snprintf(k->name, sizeof(k->name), "%s", k->q.name);
	return result_of(code, NO_NAME);
}

/* Is the client's own address among those of its name? */
static enum result
take_addresses(struct lookup *k, int code)
{
	size_t i;

	k->code = code;
	if (code < 0)
		return result_of(code, NO_ADDRESS);
	for (i = 0; i < k->q.count; i++)
		if (addr_same_host(&k->q.addresses[i], &k->peer))
			return NAMED;
	return OTHER_ADDRESSES;
}

/* ---- log ---- */

static void
add_addresses(struct lookup *k, struct buf *line)
{
	char seen[ADDR_TEXT_MAX], host[ADDR_TEXT_MAX];
	size_t i;

	for (i = 0; i < k->q.count; i++) {
		addr_host_text(&k->q.addresses[i], host);
		buf_printf(line, "%s%s", i > 0 ? ", " : "; its addresses: ", host);
	}
	addr_host_text(&k->seen, seen);
	addr_host_text(&k->peer, host);
	if (strcmp(seen, host) != 0)
		buf_printf(line, "; seen as %s", seen);
}

/* NS-ACC-12, NS-ACC-13: a line for each denial, and with debug for the others too. */
static void
log_double(struct lookup *k, enum result result)
{
	const struct lookups *l = &k->srv->lookups;
	char host[ADDR_TEXT_MAX];
	struct buf line = { 0 };

	if (!logger_wants(&k->srv->log, TEND_LOG_INFO) ||
	    (result == NAMED && !l->debug && !l->autofail))
		return;
	addr_host_text(&k->peer, host);
	buf_printf(&line, "Double reverse lookup of %s: %s", host,
	    result == NAMED && !l->autofail ? "its name leads back to it" : reasons[result]);
	if (k->name[0] != '\0')
		buf_printf(&line, "; its name: %s", k->name);
	if (l->detail)
		add_addresses(k, &line);
	tend_log(k->srv, TEND_LOG_INFO, "%s", buf_data(&line));
	buf_done(&line);
}

/* That nobody could tell is for the operator to hear about, whatever it means to the client. */
static void
log_failure(struct lookup *k, enum result result)
{
	struct lookups *l = &k->srv->lookups;
	enum tend_log_level level = TEND_LOG_INFO;
	int64_t now = clock_now(), warned = atomic_load(&l->warned);

	if ((result != TIMED_OUT && result != FAILED) || k->code == -ECANCELED)
		return;
	if ((warned == 0 || now - warned >= WARNING_PAUSE) &&
	    atomic_compare_exchange_strong(&l->warned, &warned, now))
		level = TEND_LOG_WARNING;
	tend_log(k->srv, level, "Cannot look up the name of %s: %s (options %s, lookup_timeout)",
	    tend_peer_host(k->c), error_reason(k->code),
	    l->twice ? "double_reverse_lookups" : "reverse_lookups");
}

/* ---- one client ---- */

/* Made when there is somebody to ask for: by the process that serves, after the fork. */
static struct resolver *
get_resolver(struct tend_server *srv)
{
	struct resolver *r = atomic_load(&srv->lookups.resolver), *ours;

	if (r != NULL)
		return r;
	ours = resolver_new(srv->loop, &resolver_system);
	if (ours == NULL || atomic_compare_exchange_strong(&srv->lookups.resolver, &r, ours))
		return ours;
	resolver_free(ours);
	return r;
}

/* False when this client has no address that could have a name. */
static bool
begin(struct lookup *k, struct tend_server *srv, struct tend_conn *c)
{
	struct sockaddr_storage peer;
	int64_t limit = srv->lookups.timeout;

	*k = (struct lookup){ .srv = srv, .c = c, .deadline = c->deadline };
	k->seen.length = tend_peer_sockaddr(c, &peer);
	memcpy(&k->seen.u.storage, &peer, sizeof(peer));
	k->peer = addr_unmapped(&k->seen);
	if (limit > 0 && clock_after(clock_now(), limit) < k->deadline)
		k->deadline = clock_after(clock_now(), limit);
	/* A wildcard is the placeholder of an INET client without a socket. */
	return k->seen.length > 0 && !addr_is_wildcard(&k->peer) &&
	    (peer.ss_family == AF_INET || peer.ss_family == AF_INET6);
}

/* Where there is no memory to keep it, nothing is known, which denies where a name is needed. */
static enum result
keep(struct lookup *k, enum result result)
{
	struct conn_extras *x = conn_extras(k->c);

	if (result == NAMED)
		k->code = conn_set_peer_name(k->c, k->name);
	if (k->code == -ENOMEM)
		result = FAILED;
	if (x != NULL)
		x->lookup_result = result;
	return result;
}

static void
finish(struct lookup *k, enum result result)
{
	struct tend_server *srv = k->srv;

	result = keep(k, result);
	log_failure(k, result);
	if (srv->lookups.twice)
		log_double(k, result);
	/* The CONNECT line could not tell. */
	if (result == NAMED && srv->policy.accepted_in_parent)
		tend_log(srv, TEND_LOG_INFO, "The name of %s is %s", tend_peer(k->c), k->name);
	resolver_stop(&k->q);
}

/* ---- that waits ---- */

static int
wait_for_answer(void *data, int fd, int64_t deadline)
{
	return conn_wait_for(data, fd, deadline);
}

static int
ask(struct lookup *k, const struct resolver_question *question)
{
	struct resolver *r = get_resolver(k->srv);

	return r != NULL ? resolver_wait(r, &k->q, question, wait_for_answer, k->c) : -ENOMEM;
}

void
lookup_wait(struct tend_server *srv, struct tend_conn *c)
{
	struct resolver_question question = { .type = SOCK_STREAM };
	struct lookup k;
	enum result result;

	if (!begin(&k, srv, c))
		return;
	resolver_init(&k.q, NULL, NULL);
	question.deadline = k.deadline;
	question.address = &k.peer;
	result = take_name(&k, ask(&k, &question));
	if (result == NAMED && srv->lookups.twice) {
		question.address = NULL;
		question.name = k.name;
		result = take_addresses(&k, ask(&k, &question));
	}
	finish(&k, result);
}

/* ---- on the loop ---- */

static int
start(struct lookup *k, resolver_fn answered, const struct addr *address, const char *name)
{
	struct resolver_question question = {
		.address = address,
		.name = name,
		.type = SOCK_STREAM,
		.deadline = k->deadline,
	};
	struct resolver *r = get_resolver(k->srv);

	resolver_stop(&k->q);
	resolver_init(&k->q, answered, k);
	return r != NULL ? resolver_start(r, &k->q, &question) : -ENOMEM;
}

static void
go_on(struct lookup *k, enum result result)
{
	void (*done)(struct tend_conn *) = k->done;
	struct tend_conn *c = k->c;

	finish(k, result);
	lookup_cancel(c);
	done(c);
}

static void
addresses_came(struct resolver_request *q)
{
	struct lookup *k = q->data;

	go_on(k, take_addresses(k, q->result));
}

static void
name_came(struct resolver_request *q)
{
	struct lookup *k = q->data;
	enum result result = take_name(k, q->result);
	int code = 0;

	if (result == NAMED && k->srv->lookups.twice) {
		code = start(k, addresses_came, NULL, k->name);
		if (code == 0)
			return;
		result = take_addresses(k, code);
	}
	go_on(k, result);
}

bool
lookup_start(struct tend_server *srv, struct tend_conn *c, void (*done)(struct tend_conn *c))
{
	struct conn_extras *x = srv->lookups.reverse ? conn_extras(c) : NULL;
	struct lookup *k = x != NULL ? malloc(sizeof(*k)) : NULL;
	int code;

	/* Without memory it stays unknown: see keep(). */
	if (k == NULL)
		return false;
	if (!begin(k, srv, c)) {
		free(k);
		return false;
	}
	k->done = done;
	x->lookup = k;
	code = start(k, name_came, &k->peer, NULL);
	if (code == 0)
		return true;
	finish(k, take_name(k, code));
	lookup_cancel(c);
	return false;
}

void
lookup_cancel(struct tend_conn *c)
{
	if (c->extras == NULL || c->extras->lookup == NULL)
		return;
	resolver_stop(&c->extras->lookup->q);
	free(c->extras->lookup);
	c->extras->lookup = NULL;
}

/* ---- the verdict ---- */

const char *
lookup_refusal(const struct tend_server *srv, const struct tend_conn *c)
{
	const struct lookups *l = &srv->lookups;
	unsigned result = c->extras != NULL ? c->extras->lookup_result : NOT_MADE;

	if (!l->twice || conn_is_local(c))
		return NULL;
	return result == NAMED && !l->autofail ? NULL : reasons[result];
}

/* ---- beginning and end ---- */

void
lookup_close(struct tend_server *srv)
{
	resolver_free(atomic_exchange(&srv->lookups.resolver, NULL));
}

void
lookup_forget(struct tend_server *srv)
{
	/* As a rule there is none, and a page that is written to would be copied. */
	if (atomic_load(&srv->lookups.resolver) != NULL)
		resolver_forget(atomic_exchange(&srv->lookups.resolver, NULL));
}
