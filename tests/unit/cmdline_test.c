/* The command line: every spelling of Net::Server, and what it leaves to the application. */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "config/options.h"

#define WORDS 8

static const char *motd;
static int rooms;

static const struct tend_option chat_options[] = {
	{ "motd", TEND_INTO(&motd), .alias = "greeting" },
	{ "rooms", TEND_INTO(&rooms), .value = "16" },
	TEND_END
};

/* A command line; afterwards an option's text (NULL: nobody gave it one) and the leftovers. */
struct sample {
	const char *words[WORDS];
	const char *option;
	const char *text;
	const char *left[WORDS];
};

static struct options *
new_options(void)
{
	struct options *o;

	assert_int_equal(options_new(&o, chat_options, NULL), 0);
	return o;
}

static int
count_words(const char *const *words)
{
	int n = 0;

	while (n < WORDS && words[n] != NULL)
		n++;
	return n;
}

static void
check(const struct sample *s)
{
	struct options *o = new_options();
	int count, argc = count_words(s->words), i;
	char **left;

	assert_int_equal(options_from_command_line(o, argc, (char *const *)s->words, &left, &count,
		NULL), 0);
	if (s->text != NULL) {
		assert_int_equal(options_source(o, s->option), SOURCE_COMMAND_LINE);
		assert_string_equal(options_get(o, s->option), s->text);
	} else if (s->option != NULL) {
		assert_int_not_equal(options_source(o, s->option), SOURCE_COMMAND_LINE);
	}
	assert_int_equal(count, count_words(s->left));
	for (i = 0; i < count; i++)
		assert_string_equal(left[i], s->left[i]);
	assert_null(left[count]);
	options_free(o);
}

static void
check_all(const struct sample *s, size_t n)
{
	size_t i;

	for (i = 0; i < n; i++)
		check(&s[i]);
}

#define CHECK_ALL(samples) check_all(samples, sizeof(samples) / sizeof(samples[0]))

/* NS-OPT-20, NS-TST-40 */
static void
all_spellings_mean_the_same(void **state)
{
	static const struct sample samples[] = {
		{ { "--user", "bin" }, "user", "bin", { NULL } },
		{ { "--user=bin" }, "user", "bin", { NULL } },
		{ { "user", "bin" }, "user", "bin", { NULL } },
		{ { "user=bin" }, "user", "bin", { NULL } },
		{ { "--user bin" }, "user", "bin", { NULL } },
		{ { "user bin" }, "user", "bin", { NULL } },
	};

	(void)state;
	CHECK_ALL(samples);
}

/* NS-OPT-21 */
static void
a_name_without_a_value_is_a_flag(void **state)
{
	static const struct sample samples[] = {
		{ { "--setsid" }, "setsid", "1", { NULL } },
		{ { "setsid" }, "setsid", "1", { NULL } },
		{ { "--setsid", "--user", "bin" }, "setsid", "1", { NULL } },
		{ { "--setsid", "--user", "bin" }, "user", "bin", { NULL } },
		{ { "setsid", "--unheard_of" }, "setsid", "1", { "--unheard_of" } },
		{ { "setsid", "--un-heard" }, "setsid", "1", { "--un-heard" } },
	};

	(void)state;
	CHECK_ALL(samples);
}

/* NS-OPT-22, -23 */
static void
otherwise_the_next_element_is_the_value(void **state)
{
	static const struct sample samples[] = {
		{ { "--user", "-g" }, "user", "-g", { NULL } },
		{ { "--user", "--" }, "user", "--", { NULL } },
		{ { "--user", "---x" }, "user", "---x", { NULL } },
		{ { "--chroot", "port", "80" }, "chroot", "port", { "80" } },
		{ { "--chroot", "port", "80" }, "port", NULL, { "80" } },
		{ { "--user", "port=80" }, "user", "port=80", { NULL } },
		{ { "--user", "" }, "user", "", { NULL } },
		{ { "user", "a b c" }, "user", "a b c", { NULL } },
	};

	(void)state;
	CHECK_ALL(samples);
}

/* NS-OPT-24, -27, -28, -29 */
static void
what_follows_the_first_equals_sign_is_taken_as_it_is(void **state)
{
	static const struct sample samples[] = {
		{ { "--user=a=b" }, "user", "a=b", { NULL } },
		{ { "--user==" }, "user", "=", { NULL } },
		{ { "--user=" }, "user", "", { NULL } },
		{ { "user=" }, "user", "", { NULL } },
		{ { "--host=a b" }, "host", "a b", { NULL } },
		{ { "--port=80 81", "x" }, "port", "80 81", { "x" } },
		{ { "group= a\tb\n" }, "group", " a\tb\n", { NULL } },
		{ { "--user=%20%a%%" }, "user", "%20%a%%", { NULL } },
		{ { "--user=--group=x" }, "user", "--group=x", { NULL } },
		{ { "user =x" }, "user", "=x", { NULL } },
	};

	(void)state;
	CHECK_ALL(samples);
}

/* NS-OPT-20, -25, -26 */
static void
what_is_no_option_stays_in_order(void **state)
{
	static const struct sample samples[] = {
		{ { "-user", "bin" }, "user", NULL, { "-user", "bin" } },
		{ { "--USER", "bin" }, "user", NULL, { "--USER", "bin" } },
		{ { "--log-level", "3" }, "log_level", NULL, { "--log-level", "3" } },
		{ { "--nosetsid" }, "setsid", NULL, { "--nosetsid" } },
		{ { "a", "--user=x", "b", "--", "--group", "y", "c" }, "group", "y",
			{ "a", "b", "--", "c" } },
		{ { "user a b" }, "user", NULL, { "user a b" } },
		{ { "user a\tb" }, "user", NULL, { "user a\tb" } },
		{ { "user  a" }, "user", NULL, { "user  a" } },
		{ { "user " }, "user", NULL, { "user " } },
		{ { "user\ta" }, "user", NULL, { "user\ta" } },
		{ { "users=a", "use=a" }, "user", NULL, { "users=a", "use=a" } },
		{ { "", "--", "=", "--=", "-" }, "user", NULL, { "", "--", "=", "--=", "-" } },
		{ { NULL }, "user", NULL, { NULL } },
	};

	(void)state;
	CHECK_ALL(samples);
}

/* NS-OPT-02, -03 */
static void
the_last_value_counts_and_lists_add_up(void **state)
{
	static const struct sample samples[] = {
		{ { "--user", "a", "user=b" }, "user", "b", { NULL } },
		{ { "--port", "1", "port=2", "port 3" }, "port", "1, 2, 3", { NULL } },
		{ { "--port=localhost, 20203, tcp" }, "port", "localhost, 20203, tcp", { NULL } },
		{ { "sig_passthrough=HUP, USR1", "sig_passthrough", "USR2" }, "sig_passthrough",
			"HUP, USR1, USR2", { NULL } },
		{ { "--personality", "Single,Fork" }, "server_type", "Single, Fork", { NULL } },
	};

	(void)state;
	CHECK_ALL(samples);
}

/* NS-OPT-10 */
static void
options_of_the_service_take_part(void **state)
{
	static const struct sample samples[] = {
		{ { "--motd", "hello all" }, "motd", "hello all", { NULL } },
		{ { "greeting=hi" }, "motd", "hi", { NULL } },
		{ { "--rooms=3", "x" }, "rooms", "3", { "x" } },
	};

	(void)state;
	CHECK_ALL(samples);
}

static void
a_bad_value_is_blamed_on_the_command_line(void **state)
{
	const char *words[] = { "--rooms", "many" };
	struct options *o = new_options();
	struct settings s;
	struct error e = { 0 };
	char **left;
	int count;

	(void)state;
	assert_int_equal(options_from_command_line(o, 2, (char *const *)words, &left, &count, &e), 0);
	assert_int_equal(options_resolve(o, &s, &e), -EINVAL);
	assert_int_equal(e.status, EX_USAGE);
	assert_non_null(strstr(e.text, "option rooms (command line): \"many\" is not a whole number"));
	options_free(o);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(all_spellings_mean_the_same),
		cmocka_unit_test(a_name_without_a_value_is_a_flag),
		cmocka_unit_test(otherwise_the_next_element_is_the_value),
		cmocka_unit_test(what_follows_the_first_equals_sign_is_taken_as_it_is),
		cmocka_unit_test(what_is_no_option_stays_in_order),
		cmocka_unit_test(the_last_value_counts_and_lists_add_up),
		cmocka_unit_test(options_of_the_service_take_part),
		cmocka_unit_test(a_bad_value_is_blamed_on_the_command_line),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
