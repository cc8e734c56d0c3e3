/* What a process has for itself. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <errno.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "process/memory.h"

#define MIB (INT64_C(1) << 20)
#define MUCH (32 * MIB)

static void
what_is_shared_does_not_count(void **state)
{
	int64_t bytes = -1;

	(void)state;
	assert_true(memory_parse("1200 300 100 4 0 900 0\n", 4096, &bytes));
	assert_int_equal(bytes, 200 * 4096);
	assert_true(memory_parse("1 2 2", 65536, &bytes));
	assert_int_equal(bytes, 0);
	/* Read while it changed. */
	assert_true(memory_parse("9 2 3 0 0 0 0", 4096, &bytes));
	assert_int_equal(bytes, 0);
	assert_true(memory_parse("99999999999 4294967296 0 0 0 0 0", 4096, &bytes));
	assert_int_equal(bytes, INT64_C(4294967296) * 4096);
	/* A process that is dead and not reaped. */
	assert_true(memory_parse("0 0 0 0 0 0 0\n", 4096, &bytes));
	assert_int_equal(bytes, 0);
}

static void
other_texts_are_none(void **state)
{
	static const char *const texts[] = { "", "\n", "1200", "1200 300", "a b c", "1 -2 3",
		"1 2 -3" };
	int64_t bytes;
	size_t i;

	(void)state;
	for (i = 0; i < sizeof(texts) / sizeof(texts[0]); i++)
		assert_false(memory_parse(texts[i], 4096, &bytes));
}

/* A child waits on `hold` until we have looked at it. */
static pid_t
start_child(int hold[2])
{
	char byte;
	pid_t pid;

	assert_return_code(pipe(hold), errno);
	pid = fork();
	assert_return_code(pid, errno);
	if (pid == 0) {
		close(hold[1]);
		while (read(hold[0], &byte, 1) < 0 && errno == EINTR)
			;
		_exit(0);
	}
	close(hold[0]);
	return pid;
}

static void
end_child(pid_t pid, int hold[2])
{
	close(hold[1]);
	assert_int_equal(waitpid(pid, NULL, 0), pid);
}

static void
what_is_taken_and_used_counts(void **state)
{
	int64_t before, after;
	char *p;

	(void)state;
	if (memory_is_told("") < 0)
		skip();
	assert_int_equal(memory_own(getpid(), &before), 0);
	p = mmap(NULL, MUCH, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	assert_true(p != MAP_FAILED);
	assert_int_equal(memory_own(getpid(), &after), 0);
	assert_true(after < before + MUCH / 2);
	memset(p, 1, MUCH);
	assert_int_equal(memory_own(getpid(), &after), 0);
	assert_true(after >= before + MUCH - MIB);
	assert_true(after < before + 2 * MUCH);
	munmap(p, MUCH);
}

static void
what_is_mapped_to_be_shared_does_not(void **state)
{
	int64_t before, after;
	char *p;

	(void)state;
	if (memory_is_told("") < 0)
		skip();
	p = mmap(NULL, MUCH, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	assert_true(p != MAP_FAILED);
	assert_int_equal(memory_own(getpid(), &before), 0);
	memset(p, 1, MUCH);
	assert_int_equal(memory_own(getpid(), &after), 0);
	assert_true(after < before + MUCH / 2);
	munmap(p, MUCH);
}

static void
a_child_begins_with_what_its_parent_has(void **state)
{
	int64_t ours, its;
	int hold[2];
	pid_t pid;
	char *p;

	(void)state;
	if (memory_is_told("") < 0)
		skip();
	p = mmap(NULL, MUCH, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	assert_true(p != MAP_FAILED);
	memset(p, 1, MUCH);
	pid = start_child(hold);
	assert_int_equal(memory_own(getpid(), &ours), 0);
	assert_int_equal(memory_own(pid, &its), 0);
	end_child(pid, hold);
	munmap(p, MUCH);
	assert_true(ours >= MUCH);
	assert_true(its >= MUCH);
}

static void
nobody_has_none(void **state)
{
	int hold[2];
	int64_t bytes;
	pid_t pid;

	(void)state;
	pid = start_child(hold);
	end_child(pid, hold);
	assert_true(memory_own(pid, &bytes) < 0);
}

/* As a chroot without /proc. */
static void
a_root_without_proc_does_not_tell(void **state)
{
	char root[] = "/tmp/tend-memory-XXXXXX", longer[8192];

	(void)state;
	assert_non_null(mkdtemp(root));
	assert_int_equal(memory_is_told(root), -ENOENT);
	assert_return_code(rmdir(root), errno);
	memset(longer, 'x', sizeof(longer) - 1);
	longer[sizeof(longer) - 1] = '\0';
	assert_int_equal(memory_is_told(longer), -ENAMETOOLONG);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(what_is_shared_does_not_count),
		cmocka_unit_test(other_texts_are_none),
		cmocka_unit_test(what_is_taken_and_used_counts),
		cmocka_unit_test(what_is_mapped_to_be_shared_does_not),
		cmocka_unit_test(a_child_begins_with_what_its_parent_has),
		cmocka_unit_test(nobody_has_none),
		cmocka_unit_test(a_root_without_proc_does_not_tell),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
