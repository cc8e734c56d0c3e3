/* Numbers out of text, text made safe to print, the word that was meant. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <errno.h>
#include <limits.h>
#include <stdio.h>
#include <string.h>

#include "base/str.h"

#define COUNT(table) (sizeof(table) / sizeof((table)[0]))
#define UNTOUCHED 4711

/* NS-PF-10: what is no number is an error and never a default in silence. */
static void
whole_numbers_are_read_to_the_last_letter(void **state)
{
	static const struct {
		const char *text;
		long        min, max;
		int         result;
		long        value;
	} rows[] = {
		{ "0", 0, 10, 0, 0 },
		{ "10", 0, 10, 0, 10 },
		{ "+7", 0, 10, 0, 7 },
		{ "-7", -10, 10, 0, -7 },
		{ "-0", 0, 10, 0, 0 },
		{ "007", 0, 10, 0, 7 },
		{ "11", 0, 10, -ERANGE, 0 },
		{ "-1", 0, 10, -ERANGE, 0 },
		{ "9223372036854775807", LONG_MIN, LONG_MAX, 0, LONG_MAX },
		{ "-9223372036854775808", LONG_MIN, LONG_MAX, 0, LONG_MIN },
		{ "9223372036854775808", LONG_MIN, LONG_MAX, -ERANGE, 0 },
		{ "-9223372036854775809", LONG_MIN, LONG_MAX, -ERANGE, 0 },
		{ "99999999999999999999999999", LONG_MIN, LONG_MAX, -ERANGE, 0 },
		{ "-99999999999999999999999999", LONG_MIN, LONG_MAX, -ERANGE, 0 },
		{ "", 0, 10, -EINVAL, 0 },
		{ "+", 0, 10, -EINVAL, 0 },
		{ "-", 0, 10, -EINVAL, 0 },
		{ "+-1", -10, 10, -EINVAL, 0 },
		{ " 1", 0, 10, -EINVAL, 0 },
		{ "1 ", 0, 10, -EINVAL, 0 },
		{ "1\n", 0, 10, -EINVAL, 0 },
		{ "1.0", 0, 10, -EINVAL, 0 },
		{ "0x1", 0, 10, -EINVAL, 0 },
		{ "1e1", 0, 10, -EINVAL, 0 },
		{ "one", 0, 10, -EINVAL, 0 },
	};
	size_t i;

	(void)state;
	for (i = 0; i < COUNT(rows); i++) {
		long n = UNTOUCHED;
		int r = str_to_long(rows[i].text, rows[i].min, rows[i].max, &n);

		if (r != rows[i].result || n != (r == 0 ? rows[i].value : UNTOUCHED))
			fail_msg("'%s': %d, %ld", rows[i].text, r, n);
	}
}

/* NS-PF-10: fractions are allowed. */
static void
decimal_numbers_are_those_of_a_c_program(void **state)
{
	static const struct {
		const char *text;
		int         result;
		double      value;
	} rows[] = {
		{ "0", 0, 0 },
		{ "1", 0, 1 },
		{ "0.1", 0, 0.1 },
		{ "0.3", 0, 0.3 },
		{ "0.7", 0, 0.7 },
		{ "2.675", 0, 2.675 },
		{ "0.000001", 0, 0.000001 },
		{ "123456.789", 0, 123456.789 },
		{ ".5", 0, 0.5 },
		{ "5.", 0, 5 },
		{ "+1.5", 0, 1.5 },
		{ "-1.5", 0, -1.5 },
		{ "0.3333333333333333333333333333333333333333", 0, 1.0 / 3 },
		{ "1000000", 0, 1e6 },
		{ "1000000.1", -ERANGE, 0 },
		{ "-3", -ERANGE, 0 },
		{ "", -EINVAL, 0 },
		{ ".", -EINVAL, 0 },
		{ "-", -EINVAL, 0 },
		{ "-.", -EINVAL, 0 },
		{ "1.2.3", -EINVAL, 0 },
		{ "1,5", -EINVAL, 0 },
		{ "1e3", -EINVAL, 0 },
		{ "0x10", -EINVAL, 0 },
		{ "inf", -EINVAL, 0 },
		{ "nan", -EINVAL, 0 },
		{ " 1", -EINVAL, 0 },
		{ "1 ", -EINVAL, 0 },
		{ "1s", -EINVAL, 0 },
	};
	size_t i;

	(void)state;
	for (i = 0; i < COUNT(rows); i++) {
		double n = UNTOUCHED, want = rows[i].value;
		int r = str_to_double(rows[i].text, -2, 1e6, &n);
		double off = n - want;

		if (r != rows[i].result)
			fail_msg("'%s': %d", rows[i].text, r);
		if (r < 0 ? (n < UNTOUCHED || n > UNTOUCHED) : (off < -1e-15 || off > 1e-15))
			fail_msg("'%s': %.20g", rows[i].text, n);
	}
}

static void
short_decimals_are_exact(void **state)
{
	int i;

	(void)state;
	/* Every number of hundredths is the same double that the compiler reads. */
	for (i = 0; i < 1000; i++) {
		char text[16];
		double n = -1;

		snprintf(text, sizeof(text), "%d.%02d", i / 100, i % 100);
		assert_int_equal(str_to_double(text, 0, 10, &n), 0);
		if (n < i / 100.0 || n > i / 100.0)
			fail_msg("%s is %.20g", text, n);
	}
}

static void
numbers_of_any_length_are_read_and_bounded(void **state)
{
	char text[2048];
	double n = UNTOUCHED;

	(void)state;
	memset(text, '9', sizeof(text));
	text[sizeof(text) - 1] = '\0';
	assert_int_equal(str_to_double(text, 0, 1e300, &n), -ERANGE);
	/* A long fraction is neither infinite nor no number. */
	text[0] = '0';
	text[1] = '.';
	assert_int_equal(str_to_double(text, 0, 1.5, &n), 0);
	assert_true(n > 0.999 && n <= 1.0);
	memset(text + 2, '0', sizeof(text) - 3);
	assert_int_equal(str_to_double(text, 0, 1, &n), 0);
	assert_false(n > 0);
}

/* NS-FIX-48 */
static void
modes_are_octal_digits_and_nothing_else(void **state)
{
	static const struct {
		const char *text;
		int         result;
		unsigned    value;
	} rows[] = {
		{ "0660", 0, 0660 },
		{ "660", 0, 0660 },
		{ "0", 0, 0 },
		{ "0777", 0, 0777 },
		{ "0000000000000000000000000600", 0, 0600 },
		{ "1000", -ERANGE, 0 },
		{ "1777", -ERANGE, 0 },
		{ "77777777777777777777777777777777", -ERANGE, 0 },
		{ "10000000000000000000000000000660", -ERANGE, 0 },
		{ "", -EINVAL, 0 },
		{ "8", -EINVAL, 0 },
		{ "0668", -EINVAL, 0 },
		{ "10000000008", -EINVAL, 0 },
		{ "-0660", -EINVAL, 0 },
		{ "+0660", -EINVAL, 0 },
		{ "0o660", -EINVAL, 0 },
		{ "0x1b0", -EINVAL, 0 },
		{ " 0660", -EINVAL, 0 },
		{ "0660 ", -EINVAL, 0 },
		{ "rw-rw----", -EINVAL, 0 },
		{ "u=rw", -EINVAL, 0 },
	};
	size_t i;

	(void)state;
	for (i = 0; i < COUNT(rows); i++) {
		unsigned mode = UNTOUCHED;
		int r = str_to_mode(rows[i].text, &mode);

		if (r != rows[i].result || mode != (r == 0 ? rows[i].value : UNTOUCHED))
			fail_msg("'%s': %d, %o", rows[i].text, r, mode);
	}
}

static void
words_for_yes_and_no_in_any_case(void **state)
{
	static const char *const yes[] = { "1", "yes", "YES", "true", "True", "on", "oN" };
	static const char *const no[] = { "0", "no", "No", "false", "FALSE", "off", "" };
	static const char *const neither[] = { "2", "y", "n", "ye", "yess", " yes", "onn", "-1" };
	size_t i;
	bool value;

	(void)state;
	for (i = 0; i < COUNT(yes); i++) {
		value = false;
		assert_int_equal(str_to_bool(yes[i], &value), 0);
		assert_true(value);
	}
	for (i = 0; i < COUNT(no); i++) {
		value = true;
		assert_int_equal(str_to_bool(no[i], &value), 0);
		assert_false(value);
	}
	for (i = 0; i < COUNT(neither); i++)
		assert_int_equal(str_to_bool(neither[i], &value), -EINVAL);
}

/* NS-LOG-07 */
static void
bytes_that_could_fool_a_terminal_are_written_as_hex(void **state)
{
	static const char bytes[] = "a\n\t\x1b[31m\x7f\xc3\xa9 ~%\0z";
	char text[128];
	size_t n = str_escape(text, sizeof(text), bytes, sizeof(bytes) - 1);

	(void)state;
	assert_string_equal(text, "a%0A%09%1B[31m%7F%C3%A9 ~%%00z");
	assert_int_equal(n, strlen(text));
}

static void
every_byte_is_either_itself_or_hex(void **state)
{
	int byte;

	(void)state;
	for (byte = 0; byte < 256; byte++) {
		char from = (char)byte, text[8], hex[8];

		snprintf(hex, sizeof(hex), "%%%02X", (unsigned)byte);
		str_escape(text, sizeof(text), &from, 1);
		if (byte >= ' ' && byte <= '~')
			assert_true(text[0] == from && text[1] == '\0');
		else
			assert_string_equal(text, hex);
	}
}

static void
what_does_not_fit_is_cut_between_bytes(void **state)
{
	char text[8];

	(void)state;
	memset(text, 'x', sizeof(text));
	assert_int_equal(str_escape(text, 0, "abc", 3), 0);
	assert_int_equal(text[0], 'x');
	assert_int_equal(str_escape(text, 1, "abc", 3), 0);
	assert_string_equal(text, "");
	assert_int_equal(str_escape(text, 3, "abc", 3), 2);
	assert_string_equal(text, "ab");
	/* No half of a %XX. */
	assert_int_equal(str_escape(text, 5, "ab\n", 3), 2);
	assert_string_equal(text, "ab");
	assert_int_equal(str_escape(text, 6, "ab\n", 3), 5);
	assert_string_equal(text, "ab%0A");
}

static void
distance_counts_letters_added_dropped_changed_and_swapped(void **state)
{
	static const struct {
		const char *a, *b;
		unsigned    distance;
	} rows[] = {
		{ "", "", 0 },
		{ "port", "port", 0 },
		{ "port", "PORT", 0 },
		{ "", "port", 4 },
		{ "port", "ports", 1 },
		{ "port", "prt", 1 },
		{ "port", "part", 1 },
		{ "port", "prot", 1 },
		{ "ab", "ba", 1 },
		{ "kitten", "sitting", 3 },
		{ "min_servers", "max_servers", 2 },
	};
	size_t i;

	(void)state;
	for (i = 0; i < COUNT(rows); i++) {
		assert_int_equal(str_distance(rows[i].a, rows[i].b), rows[i].distance);
		assert_int_equal(str_distance(rows[i].b, rows[i].a), rows[i].distance);
	}
}

static void
distance_of_endless_words_stays_within_its_table(void **state)
{
	char a[300], b[300];

	(void)state;
	memset(a, 'a', sizeof(a));
	memset(b, 'b', sizeof(b));
	a[sizeof(a) - 1] = b[sizeof(b) - 1] = '\0';
	assert_int_equal(str_distance(a, a), 0);
	assert_int_equal(str_distance(a, b), 63);
	assert_int_equal(str_distance(a, ""), 63);
}

static void
the_nearest_word_is_found_if_it_is_near_enough(void **state)
{
	static const char *const words[] = {
		"port", "host", "proto", "max_servers", "min_servers", "user", "log_file",
	};

	(void)state;
	assert_string_equal(str_nearest("prot", words, COUNT(words)), "port");
	assert_string_equal(str_nearest("MAX_SERVER", words, COUNT(words)), "max_servers");
	assert_string_equal(str_nearest("min_sevrers", words, COUNT(words)), "min_servers");
	assert_string_equal(str_nearest("logfile", words, COUNT(words)), "log_file");
	assert_null(str_nearest("certificate", words, COUNT(words)));
	assert_null(str_nearest("zz", words, COUNT(words)));
	assert_null(str_nearest("", words, COUNT(words)));
	assert_null(str_nearest("port", words, 0));
}

int
main(void)
{
	static const struct CMUnitTest tests[] = {
		cmocka_unit_test(whole_numbers_are_read_to_the_last_letter),
		cmocka_unit_test(decimal_numbers_are_those_of_a_c_program),
		cmocka_unit_test(short_decimals_are_exact),
		cmocka_unit_test(numbers_of_any_length_are_read_and_bounded),
		cmocka_unit_test(modes_are_octal_digits_and_nothing_else),
		cmocka_unit_test(words_for_yes_and_no_in_any_case),
		cmocka_unit_test(bytes_that_could_fool_a_terminal_are_written_as_hex),
		cmocka_unit_test(every_byte_is_either_itself_or_hex),
		cmocka_unit_test(what_does_not_fit_is_cut_between_bytes),
		cmocka_unit_test(distance_counts_letters_added_dropped_changed_and_swapped),
		cmocka_unit_test(distance_of_endless_words_stays_within_its_table),
		cmocka_unit_test(the_nearest_word_is_found_if_it_is_near_enough),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
