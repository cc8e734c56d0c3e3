/*
 * What the clients of the benchmarks have in common: time, failures, where they connect from and to,
 * and numbers of the command line.
 */
#ifndef BENCH_CLIENT_H
#define BENCH_CLIENT_H

#include <netinet/in.h>
#include <stdint.h>

/* Ends the program with EX_OSERR, saying what failed and why (errno). */
_Noreturn void client_fail(const char *what);

/* Nanoseconds of the monotonic clock. */
int64_t client_now(void);

/* What went wrong with connections: how often, and in words the first time. */
struct client_errors {
	long count;
	char first[128];
};

/* `error`: an errno value, or 0 where `what` says it all. */
void client_note(struct client_errors *e, const char *what, int error);

/* A port of 127.0.0.1. */
struct sockaddr_in client_target(long port);

/*
 * Connects are to come from 127.0.0.`last`; 1 leaves it to the kernel. Binds the address only: connect()
 * chooses the port, and has more to choose from. 0, or -1 with errno.
 */
int client_bind(int fd, long last);

/* The value of an option; ends the program with EX_USAGE when it is none. */
double client_number(const char *option, const char *text, double least, double most);

#endif
