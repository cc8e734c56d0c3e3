/*
 * The service of test_logs.py that takes its log itself, the way a log module would: `configured`
 * opens the place, the hook `log` writes, `signal` opens it anew on USR1, `children_gone` closes it.
 * Where to is an option of its own, hook_file. Each line of a client is logged at level 1 and comes
 * back.
 */
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include <tend/tend.h>

static char *hook_file;
static int fd = -1;

static const struct tend_option options[] = {
	{ "hook_file", TEND_INTO(&hook_file), .help = "where the hook writes to" },
	TEND_END
};

static int
open_hook_file(struct tend_server *srv)
{
	close(fd);
	fd = open(hook_file, O_WRONLY | O_APPEND | O_CREAT | O_CLOEXEC, 0644);
	return fd >= 0 ? 0 : tend_server_fail(srv, -EINVAL, "cannot open %s", hook_file);
}

static void
write_line(struct tend_server *srv, enum tend_log_level level, const char *line)
{
	(void)srv;
	dprintf(fd >= 0 ? fd : STDERR_FILENO, "%d|%s\n", (int)level, line);
}

static void
open_anew(struct tend_server *srv, int signo)
{
	if (signo == SIGUSR1)
		open_hook_file(srv);
}

static void
close_hook_file(struct tend_server *srv)
{
	tend_log(srv, TEND_LOG_NOTICE, "The log closes");
	close(fd);
	fd = -1;
}

static void
say_back(struct tend_conn *c)
{
	char *line;

	while (tend_getline(c, &line) > 0) {
		tend_log(tend_conn_server(c), TEND_LOG_WARNING, "%s", line);
		tend_printf(c, "%s\n", line);
	}
}

static const struct tend_service service = {
	.options = options,
	.hooks.configured = open_hook_file,
	.hooks.log = write_line,
	.hooks.signal = open_anew,
	.hooks.children_gone = close_hook_file,
	.hooks.process = say_back,
};

int
main(int argc, char **argv)
{
	return tend_main(argc, argv, &service);
}
