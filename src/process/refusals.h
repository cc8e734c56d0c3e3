/*
 * Clients that were refused: how many, by reason, in memory that all processes of a server share; and
 * when that is to be told. A flood of refused clients costs a few additions each and becomes one line
 * of log now and then.
 */
#ifndef TEND_PROCESS_REFUSALS_H
#define TEND_PROCESS_REFUSALS_H

#include <tend/conn.h>

#include "process/sources.h"

struct refusals;

int  refusals_new(struct refusals **into);
void refusals_free(struct refusals *r);

/* One client was refused; `tag` is sources_tag() of `who`. */
void refusals_note(struct refusals *r, enum tend_refusal why, const struct source_id *who,
	uint64_t tag, int64_t now);

/* Since the server began. */
uint64_t refusals_count(const struct refusals *r, enum tend_refusal why);

/* What is to be told. */
struct refusals_news {
	uint64_t      count;   /* since the last news of this reason */
	int64_t       during;  /* from the first of these on */
	unsigned      sources; /* at least so many different ones */
	struct source_id latest;
	uint64_t      latest_tag; /* if it is not that of `latest`, two wrote at once: it is nobody */
};

/*
 * True when there is news and the last is `interval` old, or `at_once`; of several processes that
 * ask, one is told. Otherwise `*due` (may be NULL) is when to ask again, CLOCK_NEVER: no need to.
 */
bool refusals_news(struct refusals *r, enum tend_refusal why, int64_t now, int64_t interval,
	bool at_once, struct refusals_news *into, int64_t *due);

#endif
