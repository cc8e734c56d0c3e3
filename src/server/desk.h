/*
 * A desk: where an administrator or a monitoring system asks the server about itself. A few
 * listeners on the loop of the process that owns the server, and a few clients at once. Nobody here
 * can hold the server up: input has a bound, an answer is queued and sent as the client takes it,
 * every exchange has a deadline, and one client too many is sent away. What is said is not the
 * desk's business: see control.c and metrics.c.
 */
#ifndef TEND_SERVER_DESK_H
#define TEND_SERVER_DESK_H

#include <tend/loop.h>

#include "base/buf.h"
#include "net/listen.h"

#define DESK_CLIENTS 16
#define DESK_LISTENERS 4
#define DESK_INPUT 4096 /* bytes of a request, at most */

struct desk;

struct desk_client {
	struct desk      *desk;
	int               fd; /* -1: nobody */
	struct tend_watch watch;
	struct tend_timer deadline;
	struct buf        in, out;
	bool              last;    /* goodbye when the answer is sent */
	bool              parting; /* it is: what else the client says is swallowed */
	uid_t             uid;  /* of a Unix client */
	pid_t             pid;
};

/*
 * Looks at client->in, and answers into client->out what is there completely. Consumes a whole
 * request, or nothing while it is not complete. Called again as long as it consumes.
 */
typedef void (*desk_answer_fn)(struct desk_client *client, void *data);
/* Somebody has come. False: he may not, and what client->out holds is told to him. */
typedef bool (*desk_admit_fn)(struct desk_client *client, void *data);

struct desk {
	struct tend_loop  *loop;
	desk_answer_fn     answer;
	desk_admit_fn      admit;    /* NULL: everybody may */
	const char        *farewell; /* to one client too many */
	double             patience; /* seconds for a request to come, and for its answer to be taken */
	void              *data;
	size_t             count;
	struct listener    listeners[DESK_LISTENERS];
	struct tend_watch  watches[DESK_LISTENERS];
	struct desk_client clients[DESK_CLIENTS];
	struct tend_timer  rest; /* running: out of descriptors, nobody is let in */
};

/* Call it first; `d` has answer, data and the like. */
void desk_init(struct desk *d, struct tend_loop *loop);

/*
 * Opens and watches one more listener; or takes over `fd`, from before a restart, unless that is -1.
 * -E2BIG: too many; else as listener_open() or listener_adopt().
 */
int  desk_open(struct desk *d, const struct endpoint *where, int fd, struct error *e);

/* The end: clients, listeners, socket files. What was being sent is lost. */
void desk_close(struct desk *d);

/* In a child: closes the descriptors and nothing else. */
void desk_leave(const struct desk *d);

#endif
