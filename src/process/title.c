/*
 * Process titles. The C library hands the arguments to constructors, of shared objects too, so that
 * nobody has to pass them on.
 */
#include "process/title.h"

#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

extern char **environ;

static struct {
	char  *room; /* where the kernel reads the title; NULL: not open */
	size_t size;
	int    argc;
	char **argv;
	char **environment; /* ours; setenv() may put another in its place */
} title;

__attribute__((constructor)) static void
remember_arguments(int argc, char **argv)
{
	title.argc = argc;
	title.argv = argv;
}

/* The end of the strings that follow each other without a gap from argv[0] on. */
static char *
end_of_strings(char *end, char *const *strings)
{
	for (; *strings != NULL; strings++)
		if (*strings == end)
			end += strlen(*strings) + 1;
	return end;
}

static int
move_environment(void)
{
	size_t n = 0, i;
	char **copy;

	while (environ[n] != NULL)
		n++;
	copy = calloc(n + 1, sizeof(*copy));
	if (copy == NULL)
		return -ENOMEM;
	for (i = 0; i < n; i++)
		if ((copy[i] = strdup(environ[i])) == NULL)
			goto free_copy;
	/* Never freed: it is the environment from now on. */
	environ = title.environment = copy;
	return 0;
free_copy:
	while (i-- > 0)
		free(copy[i]);
	free(copy);
	return -ENOMEM;
}

int
title_open(void)
{
	char *end, *name, *short_name;
	int r;

	if (title.room != NULL)
		return 0;
	if (title.argc < 1 || title.argv == NULL || title.argv[0] == NULL)
		return -ENOTSUP;
	end = end_of_strings(title.argv[0], title.argv);
	end = end_of_strings(end, environ);
	name = strdup(program_invocation_name);
	if (name == NULL)
		return -ENOMEM;
	r = move_environment();
	if (r < 0) {
		free(name);
		return r;
	}
	/* These point into the room. */
	short_name = strrchr(name, '/');
	program_invocation_name = name;
	program_invocation_short_name = short_name != NULL ? short_name + 1 : name;
	title.room = title.argv[0];
	title.size = (size_t)(end - title.room);
	return 0;
}

void
title_set(const char *format, ...)
{
	va_list args;
	int n;

	if (title.room == NULL)
		return;
	va_start(args, format);
	n = vsnprintf(title.room, title.size, format, args);
	va_end(args);
	if (n >= 0 && (size_t)n < title.size)
		memset(title.room + n, 0, title.size - (size_t)n);
}
