/*
 * What the bare servers have in common: the command line, the listening socket, and the work
 * done for one client. They show what the kernel alone costs, so they leave out all that a
 * server needs on the open internet: deadlines, limits, logs, access rules.
 */
#ifndef BENCH_BARE_H
#define BENCH_BARE_H

#define BARE_WORKERS_MAX 256

struct bare_options {
	int port;    /* 0: the kernel chooses */
	int workers; /* prefork_pool only */
};

/* Reads `--port N` and `--workers N`; ends the program with EX_USAGE on anything else. */
struct bare_options bare_parse(int argc, char **argv);

/* Listens on 127.0.0.1, prints "listening on 127.0.0.1:PORT" and returns the descriptor. */
int bare_listen(int port);

/* Accepts a client, trying again where the failure concerns that client alone. */
int bare_accept(int listener);

/* Reads one request (64 bytes, or to its newline) and writes the answer of 64 bytes. */
void bare_serve(int in, int out);

/* Ends the program with EX_OSERR, saying what failed and why (errno). */
_Noreturn void bare_fail(const char *what);

#endif
