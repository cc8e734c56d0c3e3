/*
 * The working directory, of servers that run and are told to stop as soon as they are ready. What whole
 * servers do there is tests/blackbox/test_directory.py's.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <errno.h>
#include <pwd.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "server/directory.h"

#include "directory_fixture.h"

static char directory[DIRECTORY_MAX];
static char before[512];
static char found[512]; /* where the hook `ready` was */

static int
setup(void **state)
{
	(void)state;
	found[0] = '\0';
	if (getcwd(before, sizeof(before)) == NULL || directory_make(directory, "directory_test") < 0 ||
	    chdir(directory) < 0)
		return -1;
	return mkdir("work", 0755);
}

static int
teardown(void **state)
{
	(void)state;
	rmdir("work");
	unlink("file");
	return chdir(before) == 0 ? rmdir(directory) : -1;
}

static int
look(struct tend_server *srv)
{
	if (getcwd(found, sizeof(found)) == NULL)
		return tend_server_fail(srv, -errno, "getcwd");
	tend_server_stop(srv);
	return 0;
}

static void
serve(struct tend_conn *c)
{
	(void)c;
}

static struct tend_service
service_in(const char *where)
{
	return (struct tend_service){
		.name = "directory_test",
		.config.port = "127.0.0.1:0",
		.config.personality = "Single",
		.config.log_level = TEND_NONE,
		.config.directory = where,
		.hooks.ready = look,
		.hooks.process = serve,
	};
}

/* Runs it to its end; the sentence, "" when all was well. Static. */
static const char *
run_in(const char *where)
{
	static char sentence[500];
	struct tend_service service = service_in(where);
	struct tend_server *srv = tend_server_new(&service);

	if (tend_server_configure(srv, 0, NULL) == 0)
		tend_server_run(srv);
	snprintf(sentence, sizeof(sentence), "%s", tend_server_error(srv));
	tend_server_free(srv);
	return sentence;
}

static void
assert_here(const char *where)
{
	char here[512];

	assert_non_null(getcwd(here, sizeof(here)));
	assert_string_equal(here, where);
}

/* NS-FIX-56 */
static void
a_run_works_there_and_returns_to_where_it_was_called(void **state)
{
	char work[DIRECTORY_MAX + 8];
	int i;

	(void)state;
	snprintf(work, sizeof(work), "%s/work", directory);
	/* Twice: a relative path means the same to the second. */
	for (i = 0; i < 2; i++) {
		found[0] = '\0';
		assert_string_equal(run_in("work"), "");
		assert_string_equal(found, work);
		assert_here(directory);
	}
	assert_string_equal(run_in(work), "");
	assert_string_equal(found, work);
	assert_string_equal(run_in(NULL), "");
	assert_string_equal(found, directory);
}

static void
a_tilde_is_the_home_of_who_runs_it(void **state)
{
	const struct passwd *own = getpwuid(geteuid());
	char *real;

	(void)state;
	if (own == NULL || access(own->pw_dir, X_OK) < 0)
		skip();
	real = realpath(own->pw_dir, NULL);
	assert_non_null(real);
	assert_string_equal(run_in("~"), "");
	assert_string_equal(found, real);
	assert_string_equal(run_in("~/"), "");
	assert_string_equal(found, real);
	free(real);
}

static void
what_cannot_be_one_is_told_before_anything_is_done(void **state)
{
	static const struct {
		const char *directory, *shown, *reason;
	} rows[] = {
		{ "absent", "/absent'", "no such file or directory" },
		{ "/no/such/place", "'/no/such/place'", "no such file or directory" },
		{ "file", "/file'", "not a directory" },
		{ "~somebody", "'~somebody'", "home of the option user only" },
	};
	FILE *f = fopen("file", "w");
	size_t i;

	(void)state;
	assert_non_null(f);
	fclose(f);
	for (i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		struct tend_service service = service_in(rows[i].directory);
		struct tend_server *srv = tend_server_new(&service);

		assert_true(tend_server_configure(srv, 0, NULL) < 0);
		if (strstr(tend_server_error(srv), rows[i].shown) == NULL ||
		    strstr(tend_server_error(srv), rows[i].reason) == NULL ||
		    strstr(tend_server_error(srv), "directory") == NULL)
			fail_msg("%s: \"%s\"", rows[i].directory, tend_server_error(srv));
		tend_server_free(srv);
	}
	assert_string_equal(found, "");
}

/* A directory that goes away between the check and the start. */
static void
one_that_is_gone_ends_the_start_where_it_was(void **state)
{
	struct tend_service service = service_in("work");
	struct tend_server *srv = tend_server_new(&service);

	(void)state;
	assert_int_equal(tend_server_configure(srv, 0, NULL), 0);
	assert_int_equal(rmdir("work"), 0);
	assert_int_equal(tend_server_run(srv), -ENOENT);
	assert_non_null(strstr(tend_server_error(srv), "/work'"));
	assert_non_null(strstr(tend_server_error(srv), "change the option directory"));
	assert_string_equal(found, "");
	assert_here(directory);
	tend_server_free(srv);
}

int
main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)
	const struct CMUnitTest tests[] = {
		TEST(a_run_works_there_and_returns_to_where_it_was_called),
		TEST(a_tilde_is_the_home_of_who_runs_it),
		TEST(what_cannot_be_one_is_told_before_anything_is_done),
		TEST(one_that_is_gone_ends_the_start_where_it_was),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
