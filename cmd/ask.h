/* Asking a running server over its control socket (tend(7), CONTROL). */
#ifndef CMD_ASK_H
#define CMD_ASK_H

#include <stdbool.h>

#include "tend.h"

struct ask {
	const char *command; /* "status": for messages */
	char        path[256];
	int         fd; /* -1: nobody answers */
	int         patience; /* seconds to wait for an answer */
	bool        quiet;    /* nothing is told on standard error */
	char       *text; /* what was answered, behind its first line; ends with NUL */
	size_t      size;
	struct tend_service service; /* one that is never run, for its options */
	struct tend_server *srv;
};

/*
 * Reads the options that say which server is meant, and `own`: those words in front that begin with
 * dashes, each with its value. `*used` is how many words they were, with the command's own name. An
 * exit status; 0: go on.
 */
int  ask_options(struct ask *a, const char *command, const struct tend_option *own, int argc,
	char **argv, int *used);

/* Connects. An exit status; why it is not 0 is told on standard error. */
int  ask_open(struct ask *a);

/*
 * Sends a line and waits for the answer; a->text has it until the next call. An exit status; what
 * the server refuses is told on standard error. -1: the server is gone, and nothing was told.
 */
int  ask(struct ask *a, const char *line);

/* Ends the conversation; it may be opened again. */
void ask_close(struct ask *a);
/* Frees all, the texts of `own` as well. Returns `status`. */
int  ask_done(struct ask *a, int status);

/* True when --help is among the first `argc` words; `usage` was printed then. */
bool ask_help(int argc, char **argv, const char *usage);

#endif
