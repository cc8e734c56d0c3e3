/*
 * The start of this process as a copy. Costs every program that is linked with us a few small
 * allocations, and saves us from asking each main() for what it has perhaps changed already.
 */
#include "process/launch.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/auxv.h>
#include <sys/stat.h>
#include <unistd.h>

#include "process/reexec.h"

extern char **environ;

static struct launch launch;
static bool known;

static char **
copy_strings(char *const *from)
{
	size_t n = 0, i;
	char **copy;

	while (from[n] != NULL)
		n++;
	copy = calloc(n + 1, sizeof(*copy));
	for (i = 0; copy != NULL && i < n; i++)
		if ((copy[i] = strdup(from[i])) == NULL)
			return NULL;
	return copy;
}

/* What was meant for this image only: the next one gets its own. */
static void
drop_handover(char **environment)
{
	size_t n = strlen(HANDOVER_VARIABLE), i, kept = 0;

	for (i = 0; environment[i] != NULL; i++)
		if (strncmp(environment[i], HANDOVER_VARIABLE, n) != 0 || environment[i][n] != '=')
			environment[kept++] = environment[i];
		else
			free(environment[i]);
	environment[kept] = NULL;
}

/* The path that the kernel was given; a shell has searched PATH for it already. */
static char *
program_path(const char *directory)
{
	const char *path = (const char *)getauxval(AT_EXECFN);
	char *absolute;

	if (path == NULL || path[0] == '\0')
		return NULL;
	if (path[0] == '/')
		return strdup(path);
	if (directory == NULL || asprintf(&absolute, "%s/%s", directory, path) < 0)
		return NULL;
	return absolute;
}

__attribute__((constructor)) static void
remember(int argc, char **argv)
{
	if (argc < 1 || argv == NULL || environ == NULL)
		return;
	launch.arguments = copy_strings(argv);
	launch.environment = copy_strings(environ);
	launch.directory = getcwd(NULL, 0);
	launch.program = program_path(launch.directory);
	launch.mask = umask(0);
	umask(launch.mask);
	launch.pid = getpid();
	known = launch.arguments != NULL && launch.environment != NULL;
	if (known)
		drop_handover(launch.environment);
}

const struct launch *
launch_get(void)
{
	return known ? &launch : NULL;
}

void
launch_passed_on(void)
{
	launch.pid = getpid();
}

int
launch_set_program(const char *path)
{
	char *copy = strdup(path);

	if (copy == NULL)
		return -ENOMEM;
	free(launch.program);
	launch.program = copy;
	return 0;
}

char **
launch_environment(const char *extra)
{
	size_t n = 0;
	char **list;

	while (launch.environment[n] != NULL)
		n++;
	list = calloc(n + 2, sizeof(*list));
	if (list == NULL)
		return NULL;
	memcpy(list, launch.environment, n * sizeof(*list));
	list[n] = (char *)(uintptr_t)extra;
	return list;
}

int
launch_restore(void)
{
	char *here = getcwd(NULL, 0);
	bool moved = launch.directory != NULL && (here == NULL || strcmp(here, launch.directory) != 0);

	free(here);
	umask(launch.mask);
	return moved && chdir(launch.directory) < 0 ? -errno : 0;
}
