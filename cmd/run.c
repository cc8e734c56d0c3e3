/* tend run: any program as the handler, one for each client. */
#include "tend.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <sys/wait.h>
#include <unistd.h>

static struct {
	char  *stderr_to;
	double half_close_timeout;
	double kill_timeout;
} settings;

static const struct tend_option options[] = {
	{ "program_stderr", TEND_INTO(&settings.stderr_to), .value = "client",
	    .help = "where its standard error goes: client or log" },
	{ "half_close_timeout", TEND_INTO(&settings.half_close_timeout), .value = "10",
	    .help = "seconds it may run on in silence once the client has finished sending" },
	{ "kill_timeout", TEND_INTO(&settings.kill_timeout), .value = "2",
	    .help = "seconds between TERM and KILL once the client is gone" },
	TEND_END
};

static char **program;

static void
run_program(struct tend_conn *c)
{
	struct tend_exec how = {
		.stderr_to_log = strcasecmp(settings.stderr_to, "log") == 0,
		.half_close_timeout = settings.half_close_timeout,
		.kill_timeout = settings.kill_timeout,
	};
	struct tend_server *srv = tend_conn_server(c);
	int status = tend_conn_exec(c, program, &how);

	if (status < 0)
		tend_log(srv, TEND_LOG_WARNING, "Cannot run %s for %s: %s", program[0], tend_peer(c),
		    strerror(-status));
	else if (WIFSIGNALED(status))
		tend_log(srv, TEND_LOG_NOTICE, "%s for %s was ended by signal %d", program[0],
		    tend_peer(c), WTERMSIG(status));
	else if (WEXITSTATUS(status) != 0)
		tend_log(srv, TEND_LOG_INFO, "%s for %s ended with status %d", program[0], tend_peer(c),
		    WEXITSTATUS(status));
}

static bool
is_said(const char *value)
{
	return value != NULL && value[0] != '\0';
}

/* Paths begin in the directory of the start, wherever the server works; or in the chroot. */
static int
find_program(struct tend_server *srv)
{
	char *start, *whole = NULL;

	if (!is_said(tend_server_get(srv, "directory")) || program[0][0] == '/' ||
	    strchr(program[0], '/') == NULL)
		return 0;
	start = is_said(tend_server_get(srv, "chroot")) ? strdup("") : getcwd(NULL, 0);
	if (start == NULL || asprintf(&whole, "%s/%s", start, program[0]) < 0)
		whole = NULL;
	free(start);
	if (whole == NULL)
		return tend_server_fail(srv, -ENOMEM, "cannot tell where %s is", program[0]);
	program[0] = whole;
	return 0;
}

static int
check_options(struct tend_server *srv)
{
	if (strcasecmp(settings.stderr_to, "client") == 0 || strcasecmp(settings.stderr_to, "log") == 0)
		return find_program(srv);
	return tend_server_fail(srv, -EINVAL, "program_stderr is '%s', not client or log",
	    settings.stderr_to);
}

static const struct tend_service run_service = {
	.name = "tend run",
	.about = "Runs a program for each client: tend run [options] -- PROGRAM [arguments]",
	.config.no_client_stdout = true, /* the program gets the client, not we */
	.options = options,
	.hooks.configured = check_options,
	.hooks.process = run_program,
};

static bool
only_asks(int argc, char **argv)
{
	static const char *const questions[] = { "--help", "-h", "--version", "--check", "--dump" };
	size_t i;

	for (; argc > 0; argc--, argv++)
		for (i = 0; i < sizeof(questions) / sizeof(questions[0]); i++)
			if (strcmp(*argv, questions[i]) == 0)
				return true;
	return false;
}

int
command_run(int argc, char **argv)
{
	int i;

	/* "--" and what follows is the program; without one, the options may still ask for help. */
	for (i = 1; i < argc && strcmp(argv[i], "--") != 0; i++)
		;
	if (i + 1 < argc)
		program = argv + i + 1;
	if (program == NULL && !only_asks(argc, argv))
		return complain(EX_USAGE, "run: which program? Say: tend run [options] -- PROGRAM ...");
	if (i < argc)
		argv[i] = NULL;
	return tend_main(i, argv, &run_service);
}
