/*
 * Letting go of clients that may still be sending, without waiting for them: what was said to them
 * last must not be lost to a reset, so their input is swallowed for a moment, on the loop, before
 * the descriptor is closed. Bounded in number, time and bytes; a client too many is closed at once.
 */
#ifndef TEND_NET_DRAIN_H
#define TEND_NET_DRAIN_H

#include <tend/loop.h>

#define DRAINS_MAX 256

struct drains {
	struct tend_loop *loop;
	double            seconds;
	size_t            active;
	struct tend_link  list;
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
