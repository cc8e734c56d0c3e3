/*
 * Patterns over PCRE2. They are compiled at the start and matched by its interpreter: the JIT
 * would cost an executable mapping in every child, and a pattern meets a client once per
 * connection.
 *
 * Everything that a match needs is reserved before the first one. PCRE2 keeps its backtracking
 * frames in memory that it asks for as it goes deeper, which a peer could steer with its host
 * name; here it gets them from a block of fixed size, and what does not fit gives up.
 */
#include "access/rules.h"

#include <errno.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/str.h"
#include "config.h"

#if HAVE_PCRE2

#include "access/pcre.h"

/* Set before the first pattern is compiled, the same ever after. */
static const struct pcre *pcre;

/*
 * A step takes some tens of nanoseconds, a few hundred where it scans the whole subject: the
 * match limit keeps the worst pattern around a millisecond or two. Two wildcards over the
 * longest name need 33 thousand steps, so no reasonable pattern comes near it.
 */
#define MATCH_LIMIT 40000
#define DEPTH_LIMIT 2000
#define HEAP_LIMIT_KIB 256

#define FRAMES_SIZE ((size_t)HEAP_LIMIT_KIB * 1024)
#define FRAMES_BLOCKS 2 /* old and new while PCRE2 moves to a larger one */

#define SHOWN_MAX 160 /* a pattern in a sentence */

struct rule {
	pcre2_code *code;
	char *matches; /* "matches deny 'a.+'" */
	char *gave_up;
};

/* What matches work in, one at a time. */
struct scratch {
	pcre2_general_context *memory;
	pcre2_match_context *limits;
	pcre2_match_data *data;
	char *frames; /* FRAMES_BLOCKS of FRAMES_SIZE */
	bool taken[FRAMES_BLOCKS];
	bool sealed; /* set up: from now on memory comes from `frames` alone */
};

struct rules {
	struct rule *items;
	size_t count;
	pthread_mutex_t turn; /* guards the scratch */
	struct scratch scratch;
};

/* --- memory --- */

static void *
scratch_take(PCRE2_SIZE size, void *data)
{
	struct scratch *s = data;
	size_t i;

	if (!s->sealed)
		return malloc(size);
	for (i = 0; i < FRAMES_BLOCKS && size <= FRAMES_SIZE; i++)
		if (!s->taken[i]) {
			s->taken[i] = true;
			return s->frames + i * FRAMES_SIZE;
		}
	return NULL;
}

static void
scratch_give(void *block, void *data)
{
	struct scratch *s = data;
	size_t i;

	for (i = 0; i < FRAMES_BLOCKS; i++)
		if (block != NULL && block == s->frames + i * FRAMES_SIZE) {
			s->taken[i] = false;
			return;
		}
	free(block);
}

static int
scratch_init(struct scratch *s)
{
	s->frames = malloc(FRAMES_BLOCKS * FRAMES_SIZE);
	if (s->frames == NULL)
		return -ENOMEM;
	s->memory = pcre->general_context_create(scratch_take, scratch_give, s);
	if (s->memory == NULL)
		return -ENOMEM;
	s->limits = pcre->match_context_create(s->memory);
	s->data = pcre->match_data_create(1, s->memory);
	if (s->limits == NULL || s->data == NULL)
		return -ENOMEM;
	pcre->set_match_limit(s->limits, MATCH_LIMIT);
	pcre->set_depth_limit(s->limits, DEPTH_LIMIT);
	pcre->set_heap_limit(s->limits, HEAP_LIMIT_KIB);
	s->sealed = true;
	return 0;
}

static void
scratch_done(struct scratch *s)
{
	pcre->match_data_free(s->data);
	pcre->match_context_free(s->limits);
	pcre->general_context_free(s->memory);
	free(s->frames);
}

/* --- compiling --- */

/* The pattern, fit for a log line, its end left out when it is long. */
static void
show(char into[SHOWN_MAX], const char *pattern)
{
	size_t length = strlen(pattern), n;

	n = str_escape(into, SHOWN_MAX - 3, pattern, length);
	if (n + 6 >= SHOWN_MAX || n < length)
		memcpy(into + n, "...", 4);
}

static int
put_in_words(struct rule *rule, const char *option, const char *shown)
{
	static const char gave_up[] = "gave up at its match limit, which denies";

	if (asprintf(&rule->matches, "matches %s '%s'", option, shown) < 0)
		rule->matches = NULL;
	if (asprintf(&rule->gave_up, "%s '%s' %s", option, shown, gave_up) < 0)
		rule->gave_up = NULL;
	return rule->matches != NULL && rule->gave_up != NULL ? 0 : -ENOMEM;
}

/*
 * The anchors are options, not text around the pattern: no alternation, comment, lone
 * parenthesis or (*ACCEPT) inside it can get around them (NS-ACC-06).
 */
static int
compile(struct rule *rule, const char *option, const char *pattern, struct error *e)
{
	const uint32_t how = PCRE2_ANCHORED | PCRE2_ENDANCHORED | PCRE2_CASELESS;
	char shown[SHOWN_MAX], why[128];
	PCRE2_SIZE at;
	int code;

	if (*pattern == '\0')
		return error_set(e, EX_CONFIG, -EINVAL,
		    "%s: an empty pattern matches nobody; %s", option,
		    "give a pattern or leave the option out");
	show(shown, pattern);
	rule->code =
	    pcre->compile((PCRE2_SPTR)pattern, PCRE2_ZERO_TERMINATED, how, &code, &at, NULL);
	if (rule->code == NULL) {
		pcre->get_error_message(code, (PCRE2_UCHAR *)why, sizeof(why));
		return error_set(e, EX_CONFIG, -EINVAL,
		    "%s: '%s' is not a valid pattern: %s (after %zu characters)", option,
		    shown, why, (size_t)at);
	}
	if (put_in_words(rule, option, shown) < 0)
		return error_set(e, EX_OSERR, -ENOMEM, "%s: out of memory", option);
	return 0;
}

int
rules_new(
    struct rules **into, const char *option, const struct tend_list *patterns, struct error *e)
{
	struct rules *r;
	size_t i;
	int code;

	*into = NULL;
	if (patterns == NULL || patterns->count == 0)
		return 0;
	pcre = pcre_open(option, e);
	if (pcre == NULL)
		return -ENOENT;
	r = calloc(1, sizeof(*r));
	if (r == NULL)
		return error_set(e, EX_OSERR, -ENOMEM, "%s: out of memory", option);
	pthread_mutex_init(&r->turn, NULL);
	r->items = calloc(patterns->count, sizeof(*r->items));
	code = r->items != NULL ? scratch_init(&r->scratch) : -ENOMEM;
	if (code < 0)
		error_set(e, EX_OSERR, code, "%s: out of memory", option);
	for (i = 0; i < patterns->count && code == 0; i++) {
		r->count = i + 1; /* rules_free() takes half-built ones */
		code = compile(&r->items[i], option, patterns->items[i], e);
	}
	if (code < 0) {
		rules_free(r);
		return code;
	}
	*into = r;
	return 0;
}

void
rules_free(struct rules *r)
{
	size_t i;

	if (r == NULL)
		return;
	for (i = 0; i < r->count; i++) {
		pcre->code_free(r->items[i].code);
		free(r->items[i].matches);
		free(r->items[i].gave_up);
	}
	free(r->items);
	scratch_done(&r->scratch);
	pthread_mutex_destroy(&r->turn);
	free(r);
}

/* --- matching --- */

static enum rules_result
match(struct rules *r, const struct rule *rule, const struct rules_subject *subject,
    const char **reason)
{
	int n = pcre->match(rule->code, (PCRE2_SPTR)subject->text, subject->length, 0, 0,
	    r->scratch.data, r->scratch.limits);

	if (n == PCRE2_ERROR_NOMATCH)
		return RULES_NO_MATCH;
	*reason = n >= 0 ? rule->matches : rule->gave_up;
	return n >= 0 ? RULES_MATCH : RULES_GAVE_UP;
}

enum rules_result
rules_match(
    struct rules *r, const struct rules_subject *subjects, size_t count, const char **reason)
{
	enum rules_result result = RULES_NO_MATCH;
	size_t i, j;

	if (r == NULL)
		return RULES_NO_MATCH;
	pthread_mutex_lock(&r->turn);
	for (i = 0; i < r->count && result == RULES_NO_MATCH; i++)
		for (j = 0; j < count && result == RULES_NO_MATCH; j++)
			result = match(r, &r->items[i], &subjects[j], reason);
	pthread_mutex_unlock(&r->turn);
	return result;
}

#else

int
rules_new(
    struct rules **into, const char *option, const struct tend_list *patterns, struct error *e)
{
	*into = NULL;
	if (patterns == NULL || patterns->count == 0)
		return 0;
	return error_set(e, EX_CONFIG, -ENOTSUP,
	    "%s: this build has no patterns; build with -Dpcre2=enabled, or use cidr_%s",
	    option, option);
}

void
rules_free(struct rules *r)
{
	(void)r;
}

enum rules_result
rules_match(
    struct rules *r, const struct rules_subject *subjects, size_t count, const char **reason)
{
	(void)r;
	(void)subjects;
	(void)count;
	(void)reason;
	return RULES_NO_MATCH;
}

#endif
