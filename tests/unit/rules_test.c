/* Patterns: how they are anchored, what they see of case, and that none of them can run away.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <errno.h>
#include <malloc.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "access/rules.h"
#include "config.h"
#include "under_valgrind.h"

#define COUNT(a) (sizeof(a) / sizeof((a)[0]))

static enum rules_result
match(struct rules *r, const char *text, const char **reason)
{
	struct rules_subject subject = { text, strlen(text) };

	return rules_match(r, &subject, 1, reason);
}

static void
no_patterns_are_no_rules_and_match_nobody(void **state)
{
	struct tend_list none = { 0, NULL };
	struct rules *r = (struct rules *)&none;
	const char *reason = "untouched";

	(void)state;
	assert_int_equal(rules_new(&r, "allow", &none, NULL), 0);
	assert_null(r);
	assert_int_equal(rules_new(&r, "allow", NULL, NULL), 0);
	assert_null(r);
	assert_int_equal(match(r, "192.0.2.1", &reason), RULES_NO_MATCH);
	assert_string_equal(reason, "untouched");
	rules_free(r);
}

#if HAVE_PCRE2

static struct rules *
rules_of(const char *pattern)
{
	struct tend_list list = { 1, &pattern };
	struct error e = { .code = 0 };
	struct rules *r;

	if (rules_new(&r, "deny", &list, &e) < 0)
		fail_msg("'%s': %s", pattern, e.text);
	assert_non_null(r);
	return r;
}

/* Processor time of this thread, which a busy machine does not stretch. */
static double
milliseconds(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_THREAD_CPUTIME_ID, &ts);
	return (double)ts.tv_sec * 1e3 + (double)ts.tv_nsec / 1e6;
}

/* Under valgrind every instruction takes some dozens. */
static double
slowness(void)
{
	return under_valgrind() ? 100 : 1;
}

/* NS-ACC-05, NS-ACC-06, NS-ACC-07, NS-FIX-19 */
static void
the_whole_expression_is_anchored_and_case_does_not_count(void **state)
{
	static const struct {
		const char *pattern, *subject;
		int matches;
	} rows[] = {
		{ "127", "127.0.0.1", 0 },
		{ "127\\..*", "127.0.0.1", 1 },
		{ "127.0.0.1", "127.0.0.1", 1 },
		{ "127.0.0.1", "127x0y0z1", 1 },
		{ "127.0.0.1", "127.0.0.10", 0 },
		{ "127.0.0.1", "1127.0.0.1", 0 },
		{ "127|10\\.0\\.0\\.1", "127.9.9.9", 0 },
		{ "127|10\\.0\\.0\\.1", "9.10.0.0.1", 0 },
		{ "127|10\\.0\\.0\\.1", "10.0.0.1", 1 },
		{ "10|10\\.0|10\\.0\\.0\\.1", "10.0.0.1", 1 },
		{ "10\\..+?", "10.0.0.1", 1 },
		{ "^10\\.0\\.0\\.1$", "10.0.0.1", 1 },
		{ "^10|^11", "10.0.0.1", 0 },
		{ "(?x) 10\\.0 \\. .* # the office", "10.0.3.4", 1 },
		{ "(?x) 10 # the office", "10.0.3.4", 0 },
		{ "10(*ACCEPT)", "10.0.3.4", 0 },
		{ "(?<first>\\d+)\\.\\k<first>\\.\\d+\\.\\d+", "7.7.1.2", 1 },
		{ "(?<first>\\d+)\\.\\k<first>\\.\\d+\\.\\d+", "7.8.1.2", 0 },
		{ "10\\.(?!0\\.).*", "10.0.0.1", 0 },
		{ "10\\.(?!0\\.).*", "10.1.0.1", 1 },
		{ "(\\d++\\.){3}\\d++", "10.1.0.1", 1 },
		{ "2001:DB8::.*", "2001:db8::1", 1 },
		{ ".*\\.example\\.com", "Mail.EXAMPLE.com", 1 },
		{ ".*\\.example\\.com", "mail.example.com.evil.test", 0 },
		{ ".*\\.example\\.com", "example.com", 0 },
		{ "(?-i)lower", "LOWER", 0 },
		{ "(?:\\w|[.-])+", "a.b-c.example", 1 },
	};
	const char *reason;
	size_t i;

	(void)state;
	for (i = 0; i < COUNT(rows); i++) {
		struct rules *r = rules_of(rows[i].pattern);
		enum rules_result result = match(r, rows[i].subject, &reason);

		if (result != (rows[i].matches ? RULES_MATCH : RULES_NO_MATCH))
			fail_msg(
			    "'%s' on '%s': %d", rows[i].pattern, rows[i].subject, (int)result);
		rules_free(r);
	}
}

/* NS-ACC-08 */
static void
bad_patterns_are_refused_with_option_pattern_and_place(void **state)
{
	static const char *const rows[][2] = {
		{ "10.(0", "'10.(0'" },
		{ "10.0)|(1", "'10.0)|(1'" },
		{ "[z-a]", "'[z-a]'" },
		{ "*.example.com", "'*.example.com'" },
		{ "", "empty pattern" },
		{ "\x1b(", "'%1B('" },
	};
	size_t i;

	(void)state;
	for (i = 0; i < COUNT(rows); i++) {
		const char *patterns[] = { "10\\..*", rows[i][0], "11\\..*" };
		struct tend_list list = { COUNT(patterns), patterns };
		struct error e = { .code = 0 };
		struct rules *r;

		if (rules_new(&r, "allow", &list, &e) != -EINVAL)
			fail_msg("'%s' was not refused", rows[i][0]);
		assert_null(r);
		assert_int_equal(e.status, EX_CONFIG);
		if (strncmp(e.text, "allow: ", 7) != 0 || strstr(e.text, rows[i][1]) == NULL)
			fail_msg("%s", e.text);
	}
}

/* A name that almost matches whatever the patterns below end with. */
static void
fill_subject(char into[RULES_SUBJECT_MAX + 1])
{
	static const char tail[] = "bxz1.-com!";

	memset(into, 'a', RULES_SUBJECT_MAX);
	memcpy(into + RULES_SUBJECT_MAX - (sizeof(tail) - 1), tail, sizeof(tail));
}

/* NS-ACC-08: a pattern that cannot be decided is known as such at once. */
static void
a_runaway_pattern_gives_up_well_within_ten_milliseconds(void **state)
{
	static const char *const patterns[] = {
		"(a+)+b",
		"(a|aa)+b",
		"(a|a?)+b",
		"((a*)*)*b",
		"(.*)*x",
		"(?:.*.*.*.*.*)z",
		"(?:.*?.*?.*?.*?)x",
		"(?:a+a+a+a+a+a+)b",
		"((((((((a+)+)+)+)+)+)+)+)+b",
		"(a?){60}a{60}b",
		"(\\w*\\w*)*-",
		"(a+a+)+\\1\\1b",
		"(?:\\w+\\.?)+x",
		"(?:a+|[^b])*-c",
	};
	char subject[RULES_SUBJECT_MAX + 1];
	const char *reason = NULL;
	size_t i;

	(void)state;
	fill_subject(subject);
	for (i = 0; i < COUNT(patterns); i++) {
		struct rules *r = rules_of(patterns[i]);
		double start = milliseconds(), took;

		if (match(r, subject, &reason) != RULES_GAVE_UP)
			fail_msg("'%s' came to an end", patterns[i]);
		took = milliseconds() - start;
		if (took > 8 * slowness())
			fail_msg("'%s' took %.1f ms", patterns[i], took);
		assert_non_null(strstr(reason, "gave up"));
		assert_non_null(strstr(reason, patterns[i]));
		rules_free(r);
	}
}

/* The limits must not be felt by patterns that people write. */
static void
patterns_in_use_are_decided_on_the_longest_name(void **state)
{
	static const struct {
		const char *pattern;
		int matches;
	} rows[] = {
		{ ".*", 1 },
		{ "(?:[a-z]|[.!0-9-])+", 1 },
		{ "((a|b|c)|.)*", 1 },
		{ ".*\\.example\\.com", 0 },
		{ ".*a.*a.*\\.example", 0 },
		{ "(?:a*)(?:.)*!", 1 },
		{ "([a-z0-9-]+\\.)*com", 0 },
	};
	char subject[RULES_SUBJECT_MAX + 1];
	const char *reason;
	size_t i;

	(void)state;
	fill_subject(subject);
	for (i = 0; i < COUNT(rows); i++) {
		struct rules *r = rules_of(rows[i].pattern);
		enum rules_result result = match(r, subject, &reason);

		if (result != (rows[i].matches ? RULES_MATCH : RULES_NO_MATCH))
			fail_msg("'%s': %d", rows[i].pattern, (int)result);
		rules_free(r);
	}
}

static void
rules_are_tried_in_order_and_the_first_answer_counts(void **state)
{
	const char *patterns[] = { "x+", "a{255}z?", "(.*)*\\d", "192\\..*" };
	struct tend_list list = { COUNT(patterns), patterns };
	char subject[RULES_SUBJECT_MAX + 1];
	struct rules_subject two[] = { { "192.0.2.1", 9 }, { subject, RULES_SUBJECT_MAX } };
	const char *reason = NULL;
	struct rules *r;

	(void)state;
	fill_subject(subject);
	assert_int_equal(rules_new(&r, "allow", &list, NULL), 0);
	assert_int_equal(rules_match(r, two, 1, &reason), RULES_MATCH);
	assert_string_equal(reason, "matches allow '(.*)*\\d'");
	assert_int_equal(match(r, "192.0.2.x", &reason), RULES_MATCH);
	assert_string_equal(reason, "matches allow '192\\..*'");
	assert_int_equal(match(r, subject, &reason), RULES_GAVE_UP);
	assert_non_null(strstr(reason, "allow '(.*)*\\d' gave up"));
	assert_int_equal(match(r, "193.0.2.x", &reason), RULES_NO_MATCH);
	rules_free(r);
}

static void
a_long_pattern_is_shown_by_its_beginning(void **state)
{
	char pattern[1001];
	const char *reason = NULL;
	struct rules *r;

	(void)state;
	memset(pattern, 'a', 1000);
	pattern[1000] = '\0';
	memcpy(pattern + 990, "|b", 2);
	r = rules_of(pattern);
	assert_int_equal(match(r, "baaaaaaaa", &reason), RULES_MATCH);
	assert_in_range(strlen(reason), 100, 200);
	assert_non_null(strstr(reason, "aaa...'"));
	rules_free(r);
}

#ifdef __GLIBC__
/* The frames of a deep match come out of what was reserved at the start. */
static void
matching_takes_no_memory(void **state)
{
	struct rules *r = rules_of("((((((((a+)+)+)+)+)+)+)+)+b");
	char subject[RULES_SUBJECT_MAX + 1];
	const char *reason;
	struct mallinfo2 before, after;
	int i;

	(void)state;
	fill_subject(subject);
	before = mallinfo2();
	for (i = 0; i < 3; i++) {
		assert_int_equal(match(r, subject, &reason), RULES_GAVE_UP);
		assert_int_equal(match(r, "aaab", &reason), RULES_MATCH);
	}
	after = mallinfo2();
	assert_int_equal(after.uordblks, before.uordblks);
	assert_int_equal(after.hblkhd, before.hblkhd);
	rules_free(r);
}
#endif

static void *
match_many(void *rules)
{
	const char *reason;
	intptr_t wrong = 0;
	int i;

	for (i = 0; i < 2000; i++) {
		wrong += match(rules, "10.20.30.40", &reason) != RULES_MATCH;
		wrong += match(rules, "11.20.30.40", &reason) != RULES_NO_MATCH;
	}
	return (void *)wrong;
}

static void
threads_take_turns(void **state)
{
	struct rules *r = rules_of("(?:10)(\\.\\d+)+");
	pthread_t threads[4];
	void *wrong;
	size_t i;

	(void)state;
	for (i = 0; i < COUNT(threads); i++)
		assert_int_equal(pthread_create(&threads[i], NULL, match_many, r), 0);
	for (i = 0; i < COUNT(threads); i++) {
		pthread_join(threads[i], &wrong);
		assert_null(wrong);
	}
	rules_free(r);
}

#else

static void
patterns_are_refused_by_a_build_without_them(void **state)
{
	const char *pattern = "10\\..*";
	struct tend_list list = { 1, &pattern };
	struct error e = { .code = 0 };
	struct rules *r;

	(void)state;
	assert_int_equal(rules_new(&r, "deny", &list, &e), -ENOTSUP);
	assert_null(r);
	assert_int_equal(e.status, EX_CONFIG);
	assert_non_null(strstr(e.text, "deny: "));
	assert_non_null(strstr(e.text, "-Dpcre2=enabled"));
	assert_non_null(strstr(e.text, "cidr_deny"));
}

#endif

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(no_patterns_are_no_rules_and_match_nobody),
#if HAVE_PCRE2
		cmocka_unit_test(the_whole_expression_is_anchored_and_case_does_not_count),
		cmocka_unit_test(bad_patterns_are_refused_with_option_pattern_and_place),
		cmocka_unit_test(a_runaway_pattern_gives_up_well_within_ten_milliseconds),
		cmocka_unit_test(patterns_in_use_are_decided_on_the_longest_name),
		cmocka_unit_test(rules_are_tried_in_order_and_the_first_answer_counts),
		cmocka_unit_test(a_long_pattern_is_shown_by_its_beginning),
#ifdef __GLIBC__
		cmocka_unit_test(matching_takes_no_memory),
#endif
		cmocka_unit_test(threads_take_turns),
#else
		cmocka_unit_test(patterns_are_refused_by_a_build_without_them),
#endif
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
