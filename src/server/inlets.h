/*
 * The listeners of a process as its loop watches them: all of them or none. When the process has run
 * out of descriptors they are left alone for a moment; the clients stay in the kernel's queue.
 */
#ifndef TEND_SERVER_INLETS_H
#define TEND_SERVER_INLETS_H

#include "server/server.h"

struct inlet {
	struct inlets         *all;
	const struct listener *listener;
	struct tend_watch      watch;
	/* accept.c: what is known of it there */
	bool                   ready; /* worth a try */
	bool                   woken; /* the kernel woke us for it, and perhaps nobody else */
	bool                   hoped; /* nobody said so: it only had somebody a moment ago */
};

struct inlets {
	struct tend_server *srv;
	struct inlet       *list;
	size_t              count;
	bool                watched;
	struct tend_timer   pause; /* running: starved, the listeners are left alone */
};

/*
 * One for each listener that has clients to accept; none is watched yet. `knock` is what their watches
 * call, with the inlet as data, `over` what the pause does, with the inlets. 0, or -errno with a
 * sentence.
 */
int  inlets_open(struct inlets *in, struct tend_server *srv, tend_watch_fn knock, tend_timer_fn over);
void inlets_close(struct inlets *in);

/* The kernel wakes one of those that watch. 0 or -errno: then none is watched. */
int  inlets_watch(struct inlets *in);
void inlets_ignore(struct inlets *in);

/* Accepting has failed, and the queue stays readable: watching it would only spin. Tells the log, and
   begins the pause. */
void inlets_starve(struct inlets *in, const struct listener *l, int code);

#endif
