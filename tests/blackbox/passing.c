/* A service whose code says which signals are handed on to the children. */
#include <tend/tend.h>

static void
say_signal(struct tend_server *srv, int signo)
{
	tend_log(srv, TEND_LOG_NOTICE, "Signal %d in the %s", signo,
	    tend_server_is_child(srv) ? "child" : "parent");
}

static void
repeat_lines(struct tend_conn *c)
{
	char *line;

	while (tend_getline(c, &line) > 0)
		tend_printf(c, "%s\n", line);
}

static const struct tend_service service = {
	.name = "passing",
	.config.sig_passthrough = "SIGUSR2, winch",
	.hooks.process = repeat_lines,
	.hooks.signal = say_signal,
};

int
main(int argc, char **argv)
{
	return tend_main(argc, argv, &service);
}
