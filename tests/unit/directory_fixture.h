/* What tests about files share: a temporary directory of their own, and what a file in it holds. */
#ifndef TEND_TESTS_DIRECTORY_FIXTURE_H
#define TEND_TESTS_DIRECTORY_FIXTURE_H

#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#define DIRECTORY_MAX 64

/* A new one, named for the test. 0 or -1, as set-up functions have it. */
static inline int
directory_make(char directory[DIRECTORY_MAX], const char *test)
{
	snprintf(directory, DIRECTORY_MAX, "/tmp/%s.XXXXXX", test);
	return mkdtemp(directory) != NULL ? 0 : -1;
}

/* Reads the file as text, as much of it as there is room for; `text`. */
static inline const char *
file_contents(const char *path, char *text, size_t size)
{
	int fd = open(path, O_RDONLY | O_CLOEXEC);
	ssize_t n;

	assert_true(fd >= 0);
	n = read(fd, text, size - 1);
	assert_true(n >= 0);
	close(fd);
	text[n] = '\0';
	return text;
}

#endif
