/*
 * A proxy for protocols of lines: asks another server each line that a client sends, and sends back
 * the line that it answers. It works under every personality; under Multiplex the handlers are
 * fibers, and a slow server holds up only those who asked it.
 *
 *	./proxy --port 7007 --to 127.0.0.1:7008
 */
#include <string.h>

#include <tend/tend.h>

static struct { const char *to; double patience; } proxy;

static const struct tend_option options[] = {
	{ "to", TEND_INTO(&proxy.to), .value = "127.0.0.1:7008", .help = "the server to be asked" },
	{ "patience", TEND_INTO(&proxy.patience), .value = "5", .help = "for its answers, seconds" },
	TEND_END
};

static void
ask_for(struct tend_conn *c)
{
	struct tend_conn *server;
	char *line;
	int r = tend_connect(c, proxy.to, proxy.patience, &server);

	if (r < 0) {
		tend_printf(c, "cannot reach %s: %s\n", proxy.to, strerror(-r));
		return;
	}
	tend_set_timeout(server, proxy.patience);
	while (tend_getline(c, &line) > 0) {
		tend_printf(server, "%s\n", line);
		if (tend_getline(server, &line) <= 0) {
			tend_printf(c, "no answer from %s\n", proxy.to);
			return;
		}
		tend_printf(c, "%s\n", line);
	}
}

static const struct tend_service service = {
	.name = "proxy",
	.about = "Asks another server, line by line.",
	.hooks.process = ask_for,
	.options = options,
};

int
main(int argc, char **argv)
{
	return tend_main(argc, argv, &service);
}
