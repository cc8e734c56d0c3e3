/*
 * Allow and deny patterns: Perl regular expressions, each anchored as a whole at both ends and
 * blind to case, matched under limits that no subject can stretch (NS-ACC-05 to -08).
 */
#ifndef TEND_ACCESS_RULES_H
#define TEND_ACCESS_RULES_H

#include <tend/options.h>

#include "base/error.h"

struct rules;

/* The longest subject that the limits are made for: a DNS name. */
#define RULES_SUBJECT_MAX 255

struct rules_subject {
	const char *text;
	size_t      length; /* at most RULES_SUBJECT_MAX */
};

enum rules_result {
	RULES_NO_MATCH,
	RULES_MATCH,
	RULES_GAVE_UP, /* at the limits of a pattern: nobody knows, so the caller fails closed */
};

/*
 * Compiles the patterns of `option` ("allow", "deny"); both are borrowed for this call. 0, and
 * NULL in *into when there are none; -EINVAL with a sentence that quotes the bad one; -ENOTSUP
 * in a build without PCRE2; -ENOMEM.
 */
int  rules_new(struct rules **into, const char *option, const struct tend_list *patterns,
	struct error *e);
void rules_free(struct rules *r);

/*
 * Does any pattern match any of the subjects? Stops at the first that does, and at the first
 * that gives up, so that one call meets at most one runaway pattern. *reason is the rule in
 * words, valid until rules_free(), untouched when nothing matches. `r` may be NULL: no pattern
 * matches.
 *
 * Context: any thread. Threads take turns. Takes no memory.
 */
enum rules_result rules_match(struct rules *r, const struct rules_subject *subjects,
	size_t count, const char **reason);

#endif
