/* What tests that fork share: the end of a child. After cmocka.h. */
#ifndef TEND_TESTS_FORK_FIXTURE_H
#define TEND_TESTS_FORK_FIXTURE_H

#include <sys/wait.h>

/* Waits for a child that ends by itself. */
static inline int
status_of(pid_t child)
{
	int status = -1;

	assert_int_equal(waitpid(child, &status, 0), child);
	assert_true(WIFEXITED(status));
	return WEXITSTATUS(status);
}

#endif
