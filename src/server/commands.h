/* What can be asked of a server on its control socket: a table of verbs. */
#ifndef TEND_SERVER_COMMANDS_H
#define TEND_SERVER_COMMANDS_H

#include "base/buf.h"
#include "server/control_line.h"
#include "server/server.h"

struct command {
	const char *name;
	const char *usage; /* what follows the name; "": nothing */
	const char *help;
	/* Answers with lines in `out`. 0, or -errno and the sentence. */
	int  (*run)(struct tend_server *srv, const struct control_line *line, struct buf *out,
		struct error *e);
	/* Once the answer is on its way. NULL: nothing. */
	void (*afterwards)(struct tend_server *srv);
	bool changes; /* the log tells who asked for it */
};

/* NULL and the sentence: there is none of this name, or it wants other words. */
const struct command *command_of(const struct control_line *line, struct error *e);

#endif
