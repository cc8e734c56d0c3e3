/*
 * The seam to the kernel's ways of waiting (style.md, 7). A poller knows descriptors and masks and
 * nothing of watches: watch.c keeps those, in slots indexed by descriptor.
 */
#ifndef TEND_LOOP_POLLER_H
#define TEND_LOOP_POLLER_H

#include <tend/loop.h>

/* Beside TEND_READ, TEND_WRITE, TEND_EXCLUSIVE and WATCH_EDGE in the masks of a poller. */
enum {
	POLLER_ON = 32,   /* the poller knows the descriptor; without it all else is 0 */
	POLLER_MUTE = 64, /* error and hang-up were told: report changes only, or nothing */
};

struct poller {
	const char *name;
	/* A descriptor that is closed is forgotten by itself, unless somebody else has it open. */
	bool        forgets_closed;
	/* It can tell of news alone: WATCH_EDGE. */
	bool        tells_edges;
	size_t      size; /* of its own state, zeroed before open() */
	int (*open)(struct tend_loop *loop);
	void (*close)(struct tend_loop *loop);
	/* Changes what is known of a descriptor; removing (`want` is 0) may not fail. */
	int (*watch)(struct tend_loop *loop, int fd, unsigned had, unsigned want);
	/*
	 * Waits at most `ns`, CLOCK_NEVER for ever, and calls loop_fired() for what is ready: for all of
	 * it, for LOOP_ASKED at least, or until that is full. 0, also when a signal ended the wait, or -errno.
	 */
	int (*wait)(struct tend_loop *loop, int64_t ns);
	/* What a child inherits of the kernel's object, -1 when there is nothing. Changes nothing. */
	int (*descriptor)(const struct tend_loop *loop);
	/* A child never shares our kernel state: builds a new one from the slots. */
	int (*after_fork)(struct tend_loop *loop);
};

/* All that were built, the best first; ended by NULL. */
extern const struct poller *const pollers[];

/*
 * The file type of a descriptor (S_IFMT), -EBADF, or -EPERM for what epoll would refuse: all pollers
 * take and refuse the same.
 */
int poller_type_of(int fd);

extern const struct poller poller_epoll;
extern const struct poller poller_kqueue;
extern const struct poller poller_poll;

#endif
