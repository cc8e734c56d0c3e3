/*
 * PCRE2, opened when the first pattern is compiled. A server without patterns does not have the
 * library in its memory: each mapping of a parent is paid for again by every child that it forks.
 */
#ifndef TEND_ACCESS_PCRE_H
#define TEND_ACCESS_PCRE_H

#define PCRE2_CODE_UNIT_WIDTH 8
#include <pcre2.h>

#include "base/error.h"

/* The functions in use, under their own names. */
#define PCRE_FUNCTIONS(row)                                                                   \
	row(general_context_create) row(general_context_free) row(match_context_create)       \
	row(match_context_free) row(match_data_create) row(match_data_free)                   \
	row(set_match_limit) row(set_depth_limit) row(set_heap_limit) row(compile)            \
	row(code_free) row(match) row(get_error_message)

struct pcre {
#define PCRE_MEMBER(name) __typeof__(pcre2_##name) *name;
	PCRE_FUNCTIONS(PCRE_MEMBER)
#undef PCRE_MEMBER
};

/* NULL when the library is not there or lacks something; the sentence names `option`. */
const struct pcre *pcre_open(const char *option, struct error *e);

#endif
