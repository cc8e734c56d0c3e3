/*
 * The place of one thread of the crew: the connection that it uses for one client after another, and
 * how the calls of its handler wait.
 */
#ifndef TEND_SERVER_CREW_SEAT_H
#define TEND_SERVER_CREW_SEAT_H

#include <signal.h>

#include "server/crew.h"

/* Ends a recv() that waits. None of the names that sig_passthrough knows; the last of all is valgrind's. */
#define CREW_SIGNAL (SIGRTMAX - 1)

struct crew_seat {
	struct crew *crew;
	unsigned     lane;
	atomic_bool  receives; /* in recv(), or about to be */
	bool         exposed;  /* this client's descriptor is known to others */
	int64_t      patience; /* of a recv() on it, as the kernel was told; CLOCK_NEVER: nothing */
	struct seat  seat;
	struct tracer tracer;
};

/* A descriptor whose client may still be sending. */
struct crew_handed {
	struct crew_handed *next;
	int                 fd;
};

/* Once in a worker, before its first thread: the signal, and what a child of a handler forgets. 0 or
   -errno. */
int  crew_seats_prepare(void);

void crew_seat_open(struct crew_seat *s, struct crew *crew, unsigned lane);
/* Its thread: this is mine; and before each client. */
void crew_seat_take(struct crew_seat *s);
void crew_seat_next(struct crew_seat *s);

/* The main thread. It may be waiting where only CREW_SIGNAL is heard. */
bool crew_seat_receives(const struct crew_seat *s);

/* True in a child of a handler's own, where only the thread that forked is left. */
bool crew_is_strange(void);

#endif
