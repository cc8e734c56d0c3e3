/* The same chat with calls that wait: each handler runs in a fiber and reads like one for one client. */
#include <tend/tend.h>

static void
chat_with(struct tend_conn *c)
{
	struct tend_conn *to;
	char *line;
	while (tend_getline(c, &line) > 0)
		for (to = tend_conn_first(tend_conn_server(c)); to != NULL; to = tend_conn_next(to))
			tend_printf(to, "%s %s\n", tend_peer(c), line);
}

static const struct tend_service chat = {
	.config.personality = "Multiplex", .hooks.process = chat_with,
};

int main(int argc, char **argv) { return tend_main(argc, argv, &chat); }
