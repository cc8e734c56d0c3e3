/* A failure is told once: code, exit status and sentence travel together. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <errno.h>
#include <string.h>

#include "base/error.h"

static void
a_failure_keeps_code_status_and_sentence(void **state)
{
	struct error e = { 0 };

	(void)state;
	assert_int_equal(error_set(&e, EX_NOPERM, -EACCES, "cannot bind %s:%d: %s", "[::]", 80,
	    error_reason(-EACCES)), -EACCES);
	assert_int_equal(e.code, -EACCES);
	assert_int_equal(e.status, EX_NOPERM);
	assert_string_equal(e.text, "cannot bind [::]:80: permission denied");
	error_clear(&e);
	assert_int_equal(e.code, 0);
	assert_int_equal(e.status, 0);
	assert_string_equal(e.text, "");
}

static void
one_who_does_not_care_passes_null(void **state)
{
	(void)state;
	assert_int_equal(error_set(NULL, EX_OSERR, -ENOMEM, "out of memory"), -ENOMEM);
}

static void
long_sentences_are_cut(void **state)
{
	struct error e = { 0 };
	char path[2 * sizeof(e.text)];

	(void)state;
	memset(path, 'p', sizeof(path));
	path[sizeof(path) - 1] = '\0';
	error_set(&e, EX_NOINPUT, -ENOENT, "cannot open %s", path);
	assert_int_equal(strlen(e.text), sizeof(e.text) - 1);
	assert_memory_equal(e.text, "cannot open ppp", 15);
}

static void
reasons_begin_in_lower_case(void **state)
{
	(void)state;
	assert_string_equal(error_reason(-ENOENT), "no such file or directory");
	assert_string_equal(error_reason(ENOENT), "no such file or directory");
	assert_string_equal(error_reason(-EADDRINUSE), "address already in use");
	/* Not a word but a name: left alone. */
	assert_string_equal(error_reason(-ENOEXEC), "exec format error");
	assert_memory_equal(error_reason(-EDOTDOT), "RFS", 3);
	assert_memory_equal(error_reason(-99999), "unknown error", 13);
}

static void
statuses_are_those_of_sysexits(void **state)
{
	static const struct {
		int code, status;
	} rows[] = {
		{ -EACCES, EX_NOPERM },
		{ -EPERM, EX_NOPERM },
		{ -ENOENT, EX_NOINPUT },
		{ -ENOTDIR, EX_NOINPUT },
		{ -EADDRINUSE, EX_UNAVAILABLE },
		{ -EADDRNOTAVAIL, EX_UNAVAILABLE },
		{ -EAFNOSUPPORT, EX_UNAVAILABLE },
		{ -EINVAL, EX_CONFIG },
		{ -EAGAIN, EX_TEMPFAIL },
		{ -ENOMEM, EX_OSERR },
		{ -EIO, EX_OSERR },
	};
	size_t i;

	(void)state;
	for (i = 0; i < sizeof(rows) / sizeof(rows[0]); i++)
		assert_int_equal(error_status_of(rows[i].code), rows[i].status);
}

int
main(void)
{
	static const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_failure_keeps_code_status_and_sentence),
		cmocka_unit_test(one_who_does_not_care_passes_null),
		cmocka_unit_test(long_sentences_are_cut),
		cmocka_unit_test(reasons_begin_in_lower_case),
		cmocka_unit_test(statuses_are_those_of_sysexits),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
