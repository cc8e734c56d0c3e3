/*
 * Letting go of clients that may still be sending, without waiting for them: what was said to them
 * last must not be lost to a reset, so their input is swallowed for a moment, on the loop, before
 * the descriptor is closed. Bounded in number, time and bytes; a client too many is closed at once.
 */
#ifndef TEND_NET_DRAIN_H
#define TEND_NET_DRAIN_H

#include <tend/loop.h>

#define DRAINS_MAX 64

struct drain {
	int               fd; /* -1: free */
	size_t            swallowed;
	struct tend_watch watch;
	struct tend_timer timer;
};

struct drains {
	struct tend_loop *loop;
	double            seconds;
	struct drain      list[DRAINS_MAX];
};

void drains_init(struct drains *d, struct tend_loop *loop, double seconds);
/* Takes the descriptor. */
void drain_start(struct drains *d, int fd);
/* How many are on their way. */
size_t drains_active(const struct drains *d);
/* Closes all. */
void drains_done(struct drains *d);
/* In a child: closes the descriptors; the loop is the parent's. */
void drains_leave(const struct drains *d);

#endif
