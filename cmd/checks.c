/*
 * tend check and tend dump: the configuration that a command would run with, checked or printed.
 * Without a command it is the talkative echo's, whose options are those that every server has.
 */
#include "tend.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* What to do with a server whose configuration has been read. */
typedef int (*look_fn)(struct tend_server *srv);

static int
look_at(int argc, char **argv, look_fn look)
{
	struct tend_server *srv = tend_server_new(&talk_service);
	int count, r, status = 0;
	char **left;

	r = tend_server_configure(srv, argc, argv);
	left = tend_server_leftovers(srv, &count);
	if (r == 0 && count > 0) {
		status = complain(EX_USAGE, "%s: unknown option '%s'", argv[0], left[0]);
	} else {
		if (r == 0)
			r = look(srv);
		if (r < 0)
			status = complain(tend_server_exit_status(srv), "%s", tend_server_error(srv));
	}
	tend_server_free(srv);
	return status;
}

static int
dump(struct tend_server *srv)
{
	tend_server_dump(srv, stdout);
	return 0;
}

/* `tend check Fork ...`: the personality as an option. */
static int
look_at_words(int argc, char **argv, look_fn look)
{
	static const char *const types[] = { "Single", "INET", "Fork", "PreForkSimple", "PreFork" };
	char *type = NULL;
	size_t i;
	int status;

	for (i = 0; argc > 1 && i < sizeof(types) / sizeof(types[0]); i++)
		if (strcasecmp(argv[1], types[i]) == 0 &&
		    asprintf(&type, "--server_type=%s", types[i]) >= 0)
			argv[1] = type;
	status = look_at(argc, argv, look);
	free(type);
	return status;
}

int
command_check(int argc, char **argv)
{
	return look_at_words(argc, argv, tend_server_check);
}

int
command_dump(int argc, char **argv)
{
	return look_at_words(argc, argv, dump);
}
