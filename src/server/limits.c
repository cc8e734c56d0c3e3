/*
 * Limits between the options, the shared memory and the log. process/sources.c decides; here is where
 * its rules come from, whom they spare, and what is said of those who were refused.
 */
#include "server/limits.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "access/cidr.h"
#include "base/clock.h"
#include "base/str.h"
#include "process/refusals.h"
#include "server/child.h"

/* Clients that can be counted at once where max_connections does not say. */
#define ROOM 65536
/* While an account of a dead child is not settled, it is tried again so often. */
#define SETTLE_AGAIN (1 * CLOCK_SECOND)
#define RATE_MAX 1000000
#define INTERVAL_MAX 86400

struct limits {
	struct sources_rules rules;
	struct source_prefix prefix;
	struct cidr_set      exempt;
	struct refusals     *refusals;
	bool                 unsettled; /* the parent's */
};

/* ---- options ---- */

/* "20/10": twenty within ten seconds. Empty and "0" are no limit. */
static int
parse_rate(struct tend_server *srv, struct sources_rules *rules)
{
	const char *text = srv->settings.value.source_rate, *slash;
	char count[16], shown[64];
	double seconds;
	long n;

	if (text == NULL || strcmp(text, "0") == 0)
		return 0;
	slash = strchr(text, '/');
	if (slash != NULL && (size_t)(slash - text) < sizeof(count)) {
		snprintf(count, sizeof(count), "%.*s", (int)(slash - text), text);
		if (str_to_long(count, 1, RATE_MAX, &n) == 0 &&
		    str_to_double(slash + 1, 0.001, INTERVAL_MAX, &seconds) == 0) {
			rules->rate = (unsigned)n;
			rules->interval = clock_from_seconds(seconds);
			return 0;
		}
	}
	str_escape(shown, sizeof(shown), text, strlen(text));
	return server_fail(srv, EX_CONFIG, -EINVAL,
	    "source_rate: '%s' is not NUMBER/SECONDS, as 20/10: clients from 1 to %d within seconds "
	    "up to %d", shown, RATE_MAX, INTERVAL_MAX);
}

static int
read_rules(struct tend_server *srv, struct sources_rules *rules)
{
	const struct tend_config *c = &srv->settings.value;

	*rules = (struct sources_rules){
		.max_connections = (unsigned)c->max_connections,
		.max_per_source = (unsigned)c->max_per_source,
		.hold = clock_from_seconds(c->source_hold),
	};
	return parse_rate(srv, rules);
}

static int
read_exempt(struct tend_server *srv, struct cidr_set *into)
{
	const struct tend_list *list = &srv->settings.limit_exempt;
	size_t i;
	int r = 0;

	for (i = 0; r == 0 && i < list->count; i++)
		r = cidr_add(into, "limit_exempt", list->items[i], &srv->error);
	cidr_sort(into);
	return r;
}

static int
read_options(struct tend_server *srv, struct limits *l)
{
	const struct tend_config *c = &srv->settings.value;
	int r = read_rules(srv, &l->rules);

	l->prefix = (struct source_prefix){
		(unsigned)c->source_prefix_v4, (unsigned)c->source_prefix_v6,
	};
	return r == 0 ? read_exempt(srv, &l->exempt) : r;
}

static void
drop(struct limits *l)
{
	if (l != NULL)
		cidr_done(&l->exempt);
	free(l);
}

int
limits_check(struct tend_server *srv)
{
	struct limits *l = calloc(1, sizeof(*l));
	int r;

	if (l == NULL)
		return server_fail(srv, EX_OSERR, -ENOMEM, "out of memory");
	r = read_options(srv, l);
	if (r < 0) {
		/* Of an option that is set once more what was there before stays. */
		drop(l);
		return r;
	}
	drop(srv->shared_limits);
	srv->shared_limits = l;
	return 0;
}

int
limits_refresh(struct tend_server *srv)
{
	struct limits *l = srv->shared_limits, fresh = { .refusals = NULL };
	int r = read_options(srv, &fresh);

	if (r < 0) {
		cidr_done(&fresh.exempt);
		return r;
	}
	cidr_done(&l->exempt);
	l->exempt = fresh.exempt;
	l->rules = fresh.rules;
	/* What was counted by another prefix would be another source. */
	if (srv->sources != NULL && srv->role == ROLE_PARENT)
		sources_set_rules(srv->sources, &l->rules);
	return 0;
}

void
limits_free(struct tend_server *srv)
{
	drop(srv->shared_limits);
	srv->shared_limits = NULL;
}

/* ---- opening and closing ---- */

bool
limits_are_set(const struct tend_server *srv)
{
	const struct sources_rules *rules = &srv->shared_limits->rules;

	return rules->max_connections != 0 || rules->max_per_source != 0 || rules->rate != 0;
}

int
limits_open(struct tend_server *srv)
{
	struct limits *l = srv->shared_limits;
	unsigned room = l->rules.max_connections != 0 ? l->rules.max_connections : ROOM;
	/* Who may hold places: the parent and its children. */
	unsigned owners = OWNER_OF_SLOT(srv->board != NULL ? board_slots(srv->board) : 0);
	int r;

	if (!limits_are_set(srv))
		return 0;
	r = sources_new(&srv->sources, room, owners, NULL);
	if (r == 0)
		r = refusals_new(&l->refusals);
	if (r < 0)
		return server_fail(srv, EX_OSERR, r, "cannot make the table of sources: %s",
		    error_reason(r));
	sources_set_rules(srv->sources, &l->rules);
	return 0;
}

/* ---- what the log is told ---- */

static const char *
plural(unsigned n)
{
	return n == 1 ? "" : "s";
}

/* Which limit it was, and the option that moves it. */
static void
name_limit(const struct tend_server *srv, enum tend_refusal why, char *into, size_t size)
{
	struct sources_rules rules = sources_rules(srv->sources);
	unsigned most = rules.max_connections;

	switch (why) {
	case TEND_REFUSAL_SOURCE:
		most = rules.max_per_source;
		snprintf(into, size, "more than %u connection%s at once of one source (option "
			"max_per_source)", most, plural(most));
		break;
	case TEND_REFUSAL_RATE:
		snprintf(into, size, "more than %u new connection%s of one source within %g s (option "
			"source_rate); it is held for %g s (option source_hold)", rules.rate,
		    plural(rules.rate), clock_to_seconds(rules.interval),
		    clock_to_seconds(rules.hold > 0 ? rules.hold : rules.interval));
		break;
	default:
		if (most == 0)
			most = sources_room(srv->sources);
		snprintf(into, size, "more than %u connection%s at once (option max_connections)",
		    most, plural(most));
		break;
	}
}

static void
tell(struct tend_server *srv, enum tend_refusal why, const struct refusals_news *news)
{
	char limit[160], name[SOURCE_TEXT_MAX], who[SOURCE_TEXT_MAX + 8] = "";
	bool sound = sources_tag(srv->sources, &news->latest) == news->latest_tag;

	name_limit(srv, why, limit, sizeof(limit));
	source_text(&news->latest, name);
	if (sound)
		snprintf(who, sizeof(who), " of %s", name);
	if (news->count == 1)
		tend_log(srv, TEND_LOG_NOTICE, "Refused a connection%s: %s", who, limit);
	else if (news->sources == 1)
		tend_log(srv, TEND_LOG_NOTICE, "Refused %llu connections%s within %.0f s: %s",
		    (unsigned long long)news->count, who, clock_to_seconds(news->during), limit);
	else
		tend_log(srv, TEND_LOG_NOTICE,
		    "Refused %llu connections of %u sources or more within %.0f s%s%s: %s",
		    (unsigned long long)news->count, news->sources,
		    clock_to_seconds(news->during), sound ? ", the latest" : "", who, limit);
}

/* Tells what is to be told now; returns when there will be more to tell. */
static int64_t
report(struct tend_server *srv, int64_t now, bool at_once)
{
	int64_t interval = clock_from_seconds(srv->settings.value.limit_report);
	int64_t next = CLOCK_NEVER, due;
	struct refusals_news news;
	enum tend_refusal why;

	for (why = TEND_REFUSAL_CONNECTIONS; why < TEND_REFUSALS; why++) {
		if (refusals_news(srv->shared_limits->refusals, why, now, interval, at_once, &news,
		        &due))
			tell(srv, why, &news);
		next = earlier(next, due);
	}
	return next;
}

void
limits_close(struct tend_server *srv)
{
	struct limits *l = srv->shared_limits;

	if (srv->sources != NULL && l->refusals != NULL)
		report(srv, clock_now(), true);
	refusals_free(l->refusals);
	l->refusals = NULL;
	sources_free(srv->sources);
	srv->sources = NULL;
	l->unsettled = false;
}

/* ---- clients ---- */

static bool
is_exempt(const struct limits *l, const struct addr *peer)
{
	struct cidr_address address;

	return !cidr_is_empty(&l->exempt) &&
	    cidr_address_of(&address, &peer->u.any, peer->length) == 0 &&
	    cidr_find(&l->exempt, &address) != NULL;
}

enum tend_refusal
limits_decide(struct tend_server *srv, const struct addr *peer, uint32_t *place)
{
	struct limits *l = srv->shared_limits;
	struct source_id who = source_of(peer, &l->prefix);
	unsigned owner = srv->birth != NULL ? OWNER_OF_SLOT(srv->birth->slot) : OWNER_PARENT;
	int64_t now = clock_now();
	enum tend_refusal why =
	    sources_enter(srv->sources, owner, &who, is_exempt(l, peer), now, place);

	if (why != TEND_REFUSAL_NONE) {
		refusals_note(l->refusals, why, &who, sources_tag(srv->sources, &who), now);
		report(srv, now, false);
	}
	return why;
}

void
limits_hand_over(struct tend_server *srv, const struct tend_conn *c, pid_t pid)
{
	const struct child *child;

	if (c->place == 0)
		return;
	child = children_find(&srv->master->children, pid);
	if (child != NULL)
		sources_hand_over(srv->sources, c->place, OWNER_OF_SLOT(child->slot));
}

void
limits_reclaim(struct tend_server *srv, unsigned slot)
{
	if (srv->sources != NULL)
		srv->shared_limits->unsettled = sources_reclaim(srv->sources, OWNER_OF_SLOT(slot));
}

int64_t
limits_look_after(struct tend_server *srv, int64_t now)
{
	struct limits *l = srv->shared_limits;
	int64_t next;

	if (srv->sources == NULL)
		return CLOCK_NEVER;
	if (l->unsettled)
		l->unsettled = sources_settle(srv->sources);
	next = report(srv, now, false);
	return l->unsettled ? earlier(next, clock_after(now, SETTLE_AGAIN)) : next;
}

unsigned long
tend_server_refused(const struct tend_server *srv, enum tend_refusal why)
{
	if (why == TEND_REFUSAL_SERVERS)
		return srv->refused_full;
	if (srv->sources == NULL || why <= TEND_REFUSAL_NONE || why >= TEND_REFUSALS)
		return 0;
	return (unsigned long)refusals_count(srv->shared_limits->refusals, why);
}
