/*
 * What the bare servers, and the peers in C, have in common: the command line, the listening socket, and the work
 * done for one client. They show what the kernel alone costs, so they leave out all that a
 * server needs on the open internet: deadlines, limits, logs, access rules.
 */
#ifndef BENCH_BARE_H
#define BENCH_BARE_H

#include <stdbool.h>

#define BARE_WORKERS_MAX 256

struct bare_options {
	int port;    /* 0: the kernel chooses */
	int workers; /* prefork_pool only */
};

/* Reads `--port N` and `--workers N`; ends the program with EX_USAGE on anything else. */
struct bare_options bare_parse(int argc, char **argv);

/*
 * Listens on 127.0.0.1, prints "listening on 127.0.0.1:PORT" and returns the descriptor, which
 * blocks. TCP_NODELAY is set on it and goes to every client that it accepts. Raises the limit of
 * descriptors as far as it goes.
 */
int bare_listen(int port);

/* From now on the descriptor does not wait. */
void bare_unblock(int fd);

/* Accepts a client, trying again where the failure concerns that client alone. */
int bare_accept(int listener);

/* What the echo servers read at once, the peers too. */
#define BARE_ROOM 65536

/* Reads one request (64 bytes, or to its newline) and writes the answer of 64 bytes. */
void bare_serve(int in, int out);

/*
 * The same for a descriptor that does not wait, with a request that comes in one piece: false when
 * it is not there yet. True when there is no more to be done, for better or worse.
 */
bool bare_try(int fd);

/* Ends the program with EX_OSERR, saying what failed and why (errno). */
_Noreturn void bare_fail(const char *what);

#endif
