/*
 * tend check and tend dump: what another command would run with, checked or printed. Every server
 * that is made with tend_main() can do both itself; here the word only moves to the front.
 */
#include "tend.h"

#include <stdlib.h>
#include <string.h>

/* Runs the command that the words name with `wish` among its options. */
static int
with_wish(int argc, char **argv, const char *wish)
{
	char **words = calloc((size_t)argc + 2, sizeof(*words));
	int i, n = 0, status;
	command_fn command = argc > 1 ? command_find(argv[1]) : NULL;
	bool wished = false;

	if (words == NULL)
		return complain(EX_OSERR, "out of memory");
	for (i = command != NULL ? 1 : 0; i < argc; i++) {
		/* What follows "--" is a program's. */
		if (!wished && strcmp(argv[i], "--") == 0) {
			words[n++] = (char *)(uintptr_t)wish;
			wished = true;
		}
		words[n++] = argv[i];
	}
	if (!wished)
		words[n++] = (char *)(uintptr_t)wish;
	status = command != NULL ? command(n, words) : command_talk(n, words);
	free(words);
	return status;
}

int
command_check(int argc, char **argv)
{
	return with_wish(argc, argv, "--check");
}

int
command_dump(int argc, char **argv)
{
	return with_wish(argc, argv, "--dump");
}
