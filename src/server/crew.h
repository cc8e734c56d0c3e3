/*
 * The crew: the threads of a worker that accept and serve, one client after another, as many as
 * there are clients and one more, up to a maximum. The main thread starts them, joins them and does
 * what they hand over to it; between the two there are words that are atomic and lists that need no
 * lock: so a handler may fork at any moment, and its child finds nothing locked.
 */
#ifndef TEND_SERVER_CREW_H
#define TEND_SERVER_CREW_H

#include <pthread.h>

#include "net/drain.h"
#include "server/child.h"

/* A listener as threads see it. */
struct crew_inlet {
	const struct listener *listener;
	atomic_int             trouble; /* why nobody accepts from it; 0: somebody does */
};

struct crew_thread;

/* Never freed once it was opened: when the worker ends, threads may be left that look at it. */
struct crew {
	/* The main thread's. */
	struct tend_server  *srv;
	struct crew_thread **threads; /* by lane; NULL: none */
	unsigned             count;   /* of threads that are to be joined */
	struct drains        drains;  /* clients that were handed over */
	int64_t              trouble_logged;

	/* Everybody's, the same from the first thread on. */
	struct crew_inlet *inlets;
	size_t             inlet_count;
	unsigned long      most;     /* clients of this worker; 0: no limit */
	int                set;      /* epoll: what threads wait for that have no client */
	int                leave;    /* readable: they need not wait any more */
	int                cancel;   /* readable: those that have one need not wait either */
	int                patience; /* ms, of a thread that nobody needs; -1: for ever */

	/* What threads write to. */
	_Alignas(64) atomic_int       waiting; /* for clients, or about to */
	atomic_uint                   alive;
	atomic_ulong                  tickets; /* with `most`: clients accepted, or about to be... */
	atomic_ulong                  accepted; /* ...and those that were */
	_Atomic(struct crew_thread *) ended;
	_Atomic(struct crew_handed *) handed;
};

static inline unsigned
crew_slot(const struct crew *crew)
{
	return crew->srv->birth->slot;
}

/* There is something for the main thread to do. Any thread. */
static inline void
crew_call_main(struct crew *crew)
{
	tend_loop_wake(crew->srv->loop);
}

/* All else by the main thread. Starts the first thread. 0 or -errno, with a sentence. */
int  crew_open(struct crew *crew, struct tend_server *srv, unsigned long most);

/*
 * After each turn of the loop, which threads wake: joins those that have ended, takes over what
 * they have handed over, and starts another if nobody waits for the next client. 0, or -errno, with
 * a sentence, when there is no thread at all.
 */
int  crew_attend(struct crew *crew);

/* An inlet that was in trouble is tried again. */
void crew_try_again(struct crew *crew, struct crew_inlet *in);

/* Nobody is accepted any more; threads end after their clients. */
void crew_close_door(struct crew *crew);

/* Handlers that wait are told to end: -ECANCELED. One that was just about to wait may not hear it:
   to be called again, now and then, while there are threads. */
void crew_cancel(struct crew *crew);

/* No thread is left, and no client that was let go of. */
bool crew_is_empty(const struct crew *crew);

#endif
