/*
 * The service of test_restart.py and test_supervise.py; restarted.c is another build of it that says
 * so. Each line of a client is answered with one:
 *
 *	version   which build; word   the option `word`; pid   who serves; parent   who is its parent
 *	env NAME  of the environment; cwd, umask, arguments   of the process
 *	stay      nothing until the client says something more
 *	anything else comes back
 *
 * With MOOD=evented in the environment Multiplex calls a hook, else it serves in fibers.
 *
 * Option `trace`: a file to which each hook adds its name. Option `refuse`: a file; "two bound" in it
 * makes the hook `bound` of that build fail. "two inlets" closes the listeners of its workers before
 * they use them.
 */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include <tend/tend.h>

#ifndef VERSION
#define VERSION "one"
#endif

static struct {
	const char *word, *trace, *refuse;
} own;

static const struct tend_option options[] = {
	{ "word", TEND_INTO(&own.word), .value = "none", .help = "any word" },
	{ "trace", TEND_INTO(&own.trace), .value = "", .help = "file that hooks add their names to" },
	{ "refuse", TEND_INTO(&own.refuse), .value = "", .help = "file with the hook that fails" },
	TEND_END
};

static bool
is_refused(const char *hook)
{
	char version[32] = "", word[32] = "";
	FILE *f = own.refuse[0] != '\0' ? fopen(own.refuse, "r") : NULL;
	bool refused = f != NULL && fscanf(f, "%31s %31s", version, word) == 2 &&
	    strcmp(version, VERSION) == 0 && strcmp(word, hook) == 0;

	if (f != NULL)
		fclose(f);
	return refused;
}

static void
note(const char *hook)
{
	FILE *f = own.trace[0] != '\0' ? fopen(own.trace, "a") : NULL;

	if (f == NULL)
		return;
	fprintf(f, "%s %s\n", VERSION, hook);
	fclose(f);
}

static int
step(struct tend_server *srv, const char *hook)
{
	note(hook);
	if (!is_refused(hook))
		return 0;
	return tend_server_fail(srv, -EACCES, "the hook %s was told to refuse", hook);
}

static int configured(struct tend_server *srv) { return step(srv, "configured"); }
static int bound(struct tend_server *srv) { return step(srv, "bound"); }
static int ready(struct tend_server *srv) { return step(srv, "ready"); }
static void stopping(struct tend_server *srv) { (void)srv; note("stopping"); }
static void children_gone(struct tend_server *srv) { (void)srv; note("children_gone"); }
static void before_restart(struct tend_server *srv) { (void)srv; note("before_restart"); }
static void after_restart(struct tend_server *srv) { (void)srv; note("after_restart"); }

static int
child_start(struct tend_server *srv, enum tend_child_kind kind)
{
	struct tend_endpoint endpoint;

	(void)kind;
	if (is_refused("inlets") && tend_server_endpoint(srv, 0, &endpoint))
		close(endpoint.fd);
	return is_refused("child_start") ? tend_server_fail(srv, -EACCES, "no child may start") : 0;
}

static void
say_umask(struct tend_conn *c)
{
	mode_t mask = umask(0);

	umask(mask);
	tend_printf(c, "%03o\n", (unsigned)mask);
}

static void
say_arguments(struct tend_conn *c)
{
	int count;
	char **words = tend_server_leftovers(tend_conn_server(c), &count);

	for (int i = 0; i < count; i++)
		tend_printf(c, "%s|", words[i]);
	tend_printf(c, "\n");
}

static void
say_directory(struct tend_conn *c)
{
	char *here = getcwd(NULL, 0);

	tend_printf(c, "%s\n", here != NULL ? here : "?");
	free(here);
}

static void
answer(struct tend_conn *c, const char *line)
{
	struct tend_server *srv = tend_conn_server(c);
	const char *value = strncmp(line, "env ", 4) == 0 ? getenv(line + 4) : NULL;

	if (strcmp(line, "version") == 0)
		tend_printf(c, "%s\n", VERSION);
	else if (strcmp(line, "word") == 0)
		tend_printf(c, "%s\n", own.word);
	else if (strcmp(line, "pid") == 0)
		tend_printf(c, "%ld\n", (long)getpid());
	else if (strcmp(line, "parent") == 0)
		tend_printf(c, "%ld\n", (long)tend_server_parent(srv));
	else if (strncmp(line, "env ", 4) == 0)
		tend_printf(c, "%s\n", value != NULL ? value : "not set");
	else if (strcmp(line, "cwd") == 0)
		say_directory(c);
	else if (strcmp(line, "umask") == 0)
		say_umask(c);
	else if (strcmp(line, "arguments") == 0)
		say_arguments(c);
	else if (strcmp(line, "stay") != 0)
		tend_printf(c, "%s\n", line);
}

static void
serve(struct tend_conn *c)
{
	char *line;

	while (tend_getline(c, &line) > 0) {
		line[strcspn(line, "\n")] = '\0';
		answer(c, line);
	}
}

#define SHARED \
	.name = "restarting", .keep_leftovers = true, .options = options, \
	.hooks.configured = configured, .hooks.bound = bound, .hooks.ready = ready, \
	.hooks.child_start = child_start, .hooks.stopping = stopping, \
	.hooks.children_gone = children_gone, .hooks.before_restart = before_restart, \
	.hooks.after_restart = after_restart

static const struct tend_service evented = { SHARED, .hooks.readable = serve };
static const struct tend_service waiting = { SHARED, .hooks.process = serve };

int
main(int argc, char **argv)
{
	const char *mood = getenv("MOOD");

	return tend_main(argc, argv, mood != NULL && strcmp(mood, "evented") == 0 ? &evented : &waiting);
}
