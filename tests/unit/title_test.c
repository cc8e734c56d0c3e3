/* What the process list shows. A title is a matter of the whole process: each test has one. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <errno.h>
#include <fcntl.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "process/title.h"

extern char **environ;

/* Says where and ends the process of the test: cmocka's asserts are the parent's. */
#define EXPECT(condition)                                                                     \
	do {                                                                                  \
		if (!(condition)) {                                                           \
			fprintf(stderr, "%s:%d: %s\n", __FILE__, __LINE__, #condition);       \
			_exit(1);                                                             \
		}                                                                             \
	} while (0)

/* Runs `body` in a process of its own. */
static void
in_process(void (*body)(void))
{
	int status = -1;
	pid_t pid = fork();

	if (pid == 0) {
		alarm(60);
		body();
		_exit(0);
	}
	assert_true(pid > 0);
	while (waitpid(pid, &status, 0) < 0)
		assert_int_equal(errno, EINTR);
	assert_int_equal(status, 0);
}

/* The bytes that ps would see. Returns how many. */
static size_t
shown(char *into, size_t size)
{
	int fd = open("/proc/self/cmdline", O_RDONLY | O_CLOEXEC);
	ssize_t n = read(fd, into, size - 1);

	EXPECT(n >= 0);
	close(fd);
	into[n] = '\0';
	return (size_t)n;
}

/* True when the title is `wanted` and nothing but zeros follows. */
static bool
shows(const char *wanted)
{
	char text[65536];
	size_t n = shown(text, sizeof(text)), i = strlen(wanted);

	if (n < i || memcmp(text, wanted, i) != 0)
		return false;
	while (i < n && text[i] == '\0')
		i++;
	return i == n;
}

/* A second name for the environment: at the end of a program valgrind has the C library forget the
   first, and then reports it as lost. */
static char **volatile environment;

static void
open_title(void)
{
	EXPECT(title_open() == 0);
	environment = environ;
}

static void
set_before_it_is_open(void)
{
	char before[4096], after[4096];
	size_t n = shown(before, sizeof(before));

	title_set("%s", "something else");
	EXPECT(shown(after, sizeof(after)) == n);
	EXPECT(memcmp(before, after, n) == 0);
}

/* NW-65: a process that only makes room looks as it did. */
static void
open_alone(void)
{
	char before[4096], after[4096];
	size_t n = shown(before, sizeof(before));

	open_title();
	open_title();
	EXPECT(shown(after, sizeof(after)) == n);
	EXPECT(memcmp(before, after, n) == 0);
}

/* NW-63, NW-64 */
static void
set_several(void)
{
	static const char *const titles[] = {
		"app | -:", "app | *:1", "app | -:1 [4]", "app | -: [-5]", "", "a",
		"app with a name that is longer than its arguments and lies in the environment | *:1",
		"app | *:2",
	};
	size_t i;

	open_title();
	for (i = 0; i < sizeof(titles) / sizeof(titles[0]); i++) {
		title_set("%s", titles[i]);
		EXPECT(shows(titles[i]));
	}
}

/* As long as fits into no room, with its end. */
static char *
longest_title(void)
{
	static char text[1 << 20];

	memset(text, 'y', sizeof(text) - 1);
	return text;
}

static void
keep_environment(void)
{
	static char before[256][4096], name[4096], short_name[256];
	size_t n, i;

	EXPECT(setenv("TITLE_TEST", "set while running", 1) == 0);
	for (n = 0; environ[n] != NULL && n < 256; n++)
		snprintf(before[n], sizeof(before[n]), "%s", environ[n]);
	snprintf(name, sizeof(name), "%s", program_invocation_name);
	snprintf(short_name, sizeof(short_name), "%s", program_invocation_short_name);
	open_title();
	title_set("%s", longest_title());
	for (i = 0; i < n; i++)
		EXPECT(strncmp(environ[i], before[i], sizeof(before[i]) - 1) == 0);
	EXPECT(environ[n] == NULL || n == 256);
	EXPECT(strcmp(getenv("TITLE_TEST"), "set while running") == 0);
	/* What the C library calls the program by, in its own messages. */
	EXPECT(strcmp(program_invocation_name, name) == 0);
	EXPECT(strcmp(program_invocation_short_name, short_name) == 0);
}

/* Cut, and still with an end. */
static void
cut_what_is_too_long(void)
{
	static char text[1 << 20];
	size_t n;

	open_title();
	title_set("%s", longest_title());
	shown(text, sizeof(text));
	n = strlen(text);
	EXPECT(n > 0 && n < strlen(longest_title()));
	EXPECT(strspn(text, "y") == n);
	title_set("short");
	EXPECT(shows("short"));
}

/* A worker's title is not its parent's. */
static void
set_in_a_child(void)
{
	int status = -1;
	pid_t pid;

	open_title();
	title_set("parent");
	pid = fork();
	if (pid == 0) {
		title_set("child");
		_exit(shows("child") ? 0 : 1);
	}
	while (waitpid(pid, &status, 0) < 0)
		EXPECT(errno == EINTR);
	EXPECT(status == 0);
	EXPECT(shows("parent"));
}

/* Valgrind shows a program a copy of its arguments as /proc/self/cmdline, which no title changes. */
static bool
titles_can_be_seen(void)
{
	const char *preloaded = getenv("LD_PRELOAD");

	return preloaded == NULL || strstr(preloaded, "vgpreload") == NULL;
}

#define TEST(name, body, visible)                                                             \
	static void name(void **state)                                                        \
	{                                                                                     \
		(void)state;                                                                  \
		if ((visible) && !titles_can_be_seen())                                       \
			skip();                                                               \
		in_process(body);                                                             \
	}

TEST(title_before_it_is_open_does_nothing, set_before_it_is_open, false)
TEST(making_room_changes_nothing_to_be_seen, open_alone, false)
TEST(title_replaces_the_one_before_to_its_last_byte, set_several, true)
TEST(environment_and_program_name_outlive_the_longest_title, keep_environment, false)
TEST(title_that_is_too_long_is_cut, cut_what_is_too_long, true)
TEST(child_has_a_title_of_its_own, set_in_a_child, true)

int
main(void)
{
	static const struct CMUnitTest tests[] = {
		cmocka_unit_test(title_before_it_is_open_does_nothing),
		cmocka_unit_test(making_room_changes_nothing_to_be_seen),
		cmocka_unit_test(title_replaces_the_one_before_to_its_last_byte),
		cmocka_unit_test(environment_and_program_name_outlive_the_longest_title),
		cmocka_unit_test(title_that_is_too_long_is_cut),
		cmocka_unit_test(child_has_a_title_of_its_own),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
