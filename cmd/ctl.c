/* tend ctl: one request to a running server. */
#include "ask.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static const char usage[] =
	"usage: tend ctl --control PATH | --pid_file FILE | --conf_file FILE REQUEST\n\n"
	"  reload                 a new configuration, as the signal HUP\n"
	"  upgrade                the program's file becomes the running program\n"
	"  drain                  ends when its clients are served, as QUIT\n"
	"  stop                   ends now, as TERM\n"
	"  reopen                 opens the log file again, as USR1\n"
	"  resize NUMBER          how many servers there may be\n"
	"  loglevel NUMBER        how much is logged, from the next line on\n"
	"  set OPTION VALUE       changes an option that can change at work\n"
	"  get OPTION             its value\n"
	"  status, metrics, help  what it tells\n";

/* The words become one line; the server takes it to pieces again. */
static char *
join(int argc, char **argv)
{
	size_t size = 2;
	char *line, *at;
	int i;

	for (i = 0; i < argc; i++)
		size += strlen(argv[i]) + 1;
	at = line = malloc(size);
	for (i = 0; line != NULL && i < argc; i++)
		at += sprintf(at, "%s%s", i > 0 ? " " : "", argv[i]);
	if (line != NULL)
		strcpy(at, "\n");
	return line;
}

static int
request(struct ask *a, const char *line)
{
	int status = ask_open(a);

	if (status != 0)
		return status;
	status = ask(a, line);
	if (status < 0)
		return complain(EX_UNAVAILABLE, "ctl: the server at %s went away without an answer",
		    a->path);
	if (status == 0 && (fputs(a->text, stdout) < 0 || fflush(stdout) != 0))
		return complain(EX_IOERR, "ctl: cannot write to standard output");
	return status;
}

static int
run(struct ask *a, int argc, char **argv)
{
	char *line;
	int status;

	if (argc == 0)
		return complain(EX_USAGE, "ctl: what? tend ctl --help lists what can be asked");
	line = join(argc, argv);
	if (line == NULL)
		return complain(EX_OSERR, "ctl: out of memory");
	if (strchr(line, '\n') != line + strlen(line) - 1)
		status = complain(EX_USAGE, "ctl: a request is one line");
	else
		status = request(a, line);
	free(line);
	return status;
}

int
command_ctl(int argc, char **argv)
{
	static const struct tend_option none[] = { TEND_END };
	struct ask a;
	int used, status;

	if (ask_help(argc, argv, usage))
		return 0;
	status = ask_options(&a, "ctl", none, argc, argv, &used);
	return ask_done(&a, status == 0 ? run(&a, argc - used, argv + used) : status);
}
