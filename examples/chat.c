/*
 * A chat: what one says, all hear. Evented: the hook runs when a line, or a part of one, has come;
 * no call waits, so one process serves everybody.
 *
 *	./chat --port 7007        then, from several terminals: nc 127.0.0.1 7007
 */
#include <errno.h>

#include <tend/tend.h>

static void
tell_all(struct tend_conn *from, const char *text)
{
	struct tend_conn *to;

	for (to = tend_conn_first(tend_conn_server(from)); to != NULL; to = tend_conn_next(to))
		tend_printf(to, "%s %s\n", tend_peer(from), text);
}

static void
comes(struct tend_conn *c)
{
	tell_all(c, "comes");
}

static void
speaks(struct tend_conn *c)
{
	char *line;
	ssize_t n;

	while ((n = tend_getline(c, &line)) > 0)
		tell_all(c, line);
	if (n != -EAGAIN)
		tend_close(c); /* it has left, or sends no lines */
}

static void
leaves(struct tend_conn *c)
{
	tell_all(c, "leaves");
}

static const struct tend_service chat = {
	.name = "chat",
	.about = "A chat: what one says, all hear.",
	.config = { .personality = "Multiplex", .idle_timeout = 600 },
	.hooks = { .accepted = comes, .readable = speaks, .closed = leaves },
};

int
main(int argc, char **argv)
{
	return tend_main(argc, argv, &chat);
}
