/*
 * The poller "kqueue". The kernel tells of reading and of writing by two filters, each with an end
 * of its own (EV_EOF). Both are always there: the one that nobody asks for serves its end alone,
 * edge triggered and, for sockets, with a low-water mark that data do not reach. Pipes know no
 * such mark and macOS bounds it by the buffer: those wake the loop for nothing now and then.
 *
 * A socket that ended one way goes on the other way; it has hung up when both have ended. All else
 * has one end. An error comes with the end; that of a datagram socket, which has none, is told as
 * something to read or room to write, and found there.
 *
 * A kqueue belongs to its process, is not inherited and forgets what is closed, also where another
 * process has it open. Changes are made at once: start and change have to say what is wrong, and a
 * watch is seldom stopped without a close.
 */
#include "loop/loop.h"

#include "config.h"

#if HAVE_KQUEUE

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdlib.h>
#include <sys/types.h>

#include <sys/event.h>
#include <sys/stat.h>
#include <sys/time.h>
#include <unistd.h>

#define BOTH_SIDES (TEND_READ | TEND_WRITE)
#define MOST_CHANGES 4

/* What is known of one descriptor. */
struct known {
	bool    is_socket;
	uint8_t ended;  /* TEND_READ, TEND_WRITE: the sides of a socket whose end was told */
	uint8_t events; /* of this wait */
};

struct kqueue_state {
	int            fd;
	pid_t          owner; /* in a child, the number may be somebody else's by now */
	struct known  *known; /* by descriptor */
	size_t         known_count;
	struct kevent *events; /* LOOP_ASKED of them */
};

static const struct side {
	short    filter;
	unsigned bit;
} sides[] = {
	{ EVFILT_READ, TEND_READ },
	{ EVFILT_WRITE, TEND_WRITE },
};

static int
open_kqueue(struct tend_loop *loop)
{
	struct kqueue_state *state = loop->poller_state;

	state->fd = kqueue();
	if (state->fd < 0)
		return -errno;
	state->owner = getpid();
	fcntl(state->fd, F_SETFD, FD_CLOEXEC);
	if (state->events == NULL)
		state->events = malloc(LOOP_ASKED * sizeof(*state->events));
	if (state->events != NULL)
		return 0;
	close(state->fd);
	state->fd = -1;
	return -ENOMEM;
}

static void
close_kqueue(struct tend_loop *loop)
{
	struct kqueue_state *state = loop->poller_state;

	if (state->fd >= 0 && state->owner == getpid())
		close(state->fd);
	free(state->known);
	free(state->events);
	*state = (struct kqueue_state){ .fd = -1 };
}

/* ---- changes ---- */

static int
get_to_know(struct tend_loop *loop, int fd)
{
	struct kqueue_state *state = loop->poller_state;
	int type = poller_type_of(fd);
	struct known *known;

	if (type < 0)
		return type;
	if ((size_t)fd >= state->known_count) {
		known = realloc(state->known, loop->slot_count * sizeof(*known));
		if (known == NULL)
			return -ENOMEM;
		state->known = known;
		state->known_count = loop->slot_count;
	}
	state->known[fd] = (struct known){ .is_socket = type == S_IFSOCK };
	return 0;
}

/* Reports changes only: nobody asks for this side, or what it tells was told. */
static bool
is_edge(unsigned want, unsigned bit)
{
	return (want & bit) == 0 || (want & POLLER_MUTE) != 0;
}

/* Adding what is there does not change whether it is edge triggered, but asks it anew. */
static struct kevent *
plan(struct kevent *to, int fd, const struct side *side, unsigned had, unsigned want, bool mark)
{
	int flags = is_edge(want, side->bit) ? EV_CLEAR : 0;

	mark = mark && (want & side->bit) == 0;
	if (had != 0 && (want == 0 || is_edge(had, side->bit) != is_edge(want, side->bit))) {
		EV_SET(to, (uintptr_t)fd, side->filter, EV_DELETE | EV_RECEIPT, 0, 0, NULL);
		to++;
	}
	if (want != 0) {
		EV_SET(to, (uintptr_t)fd, side->filter, (unsigned short)(EV_ADD | EV_RECEIPT | flags),
		    mark ? NOTE_LOWAT : 0, mark ? INT_MAX : 0, NULL);
		to++;
	}
	return to;
}

/*
 * A side that nobody asks for need not be there: not all can be written to. A pipe that has lost
 * its reader takes no filter for writing (EPIPE); the one for reading tells of it.
 */
static bool
matters(const struct kevent *receipt, unsigned want)
{
	unsigned bit = receipt->filter == EVFILT_READ ? TEND_READ : TEND_WRITE;

	if (receipt->data == 0 || receipt->data == EPIPE)
		return false;
	return (want & bit) != 0 || receipt->data == EBADF || receipt->data == ENOMEM;
}

/* A filter that could not be removed was removed by a close. */
static int
apply(struct kqueue_state *state, const struct kevent *changes, int count, unsigned want)
{
	static const struct timespec none;
	struct kevent receipts[MOST_CHANGES];
	int n = kevent(state->fd, changes, count, receipts, count, &none), i;

	if (n < 0)
		return -errno;
	for (i = 0; i < n; i++)
		if ((changes[i].flags & EV_ADD) != 0 && matters(&receipts[i], want))
			return -(int)receipts[i].data;
	return 0;
}

static int
watch_kqueue(struct tend_loop *loop, int fd, unsigned had, unsigned want)
{
	struct kqueue_state *state = loop->poller_state;
	struct kevent changes[MOST_CHANGES], *end = changes;
	int r = had == 0 ? get_to_know(loop, fd) : 0;

	if (r < 0)
		return r;
	end = plan(end, fd, &sides[0], had, want, state->known[fd].is_socket);
	end = plan(end, fd, &sides[1], had, want, state->known[fd].is_socket);
	/* Both sides are asked anew, and tell their end again. */
	state->known[fd].ended = 0;
	r = apply(state, changes, (int)(end - changes), want);
	if (want == 0)
		return 0;
	if (r < 0)
		watch_kqueue(loop, fd, want, 0);
	return r;
}

/* ---- events ---- */

/* A pipe at its end has nothing to read; of a socket, the end is read. */
static void
note(struct tend_loop *loop, const struct kevent *e)
{
	struct kqueue_state *state = loop->poller_state;
	struct known *k = &state->known[e->ident];
	unsigned bit = e->filter == EVFILT_READ ? TEND_READ : TEND_WRITE, events = k->events;
	bool is_end = (e->flags & EV_EOF) != 0;

	if (is_end)
		k->ended = (uint8_t)(k->ended | bit);
	if (!is_end || k->is_socket || bit == TEND_WRITE || e->data > 0)
		events |= bit;
	if (is_end && e->fflags != 0)
		events |= TEND_ERROR;
	if (k->is_socket ? k->ended == BOTH_SIDES : is_end)
		events |= TEND_HANGUP;
	k->events = (uint8_t)events;
}

/* Both sides of a descriptor are one event, at the place of the first. */
static void
tell(struct tend_loop *loop, int fd)
{
	struct kqueue_state *state = loop->poller_state;
	struct known *k = &state->known[fd];
	unsigned events = k->events;

	k->events = 0;
	if (events != 0)
		loop_fired(loop, fd, loop->slots[fd].generation, events);
}

static int
wait_kqueue(struct tend_loop *loop, int64_t ns)
{
	struct kqueue_state *state = loop->poller_state;
	struct kevent *events = state->events;
	struct timespec ts = { .tv_sec = (time_t)(ns / CLOCK_SECOND),
		.tv_nsec = (long)(ns % CLOCK_SECOND) };
	int most = loop->room < LOOP_ASKED ? (int)loop->room : LOOP_ASKED;
	int n = kevent(state->fd, NULL, 0, events, most, ns == CLOCK_NEVER ? NULL : &ts), i;

	if (n < 0)
		return errno == EINTR ? 0 : -errno;
	for (i = 0; i < n; i++)
		note(loop, &events[i]);
	for (i = 0; i < n; i++)
		tell(loop, (int)events[i].ident);
	return 0;
}

/* The old kqueue stayed with the parent. */
static int
after_fork_kqueue(struct tend_loop *loop)
{
	int r = open_kqueue(loop);
	size_t fd;

	if (r < 0)
		return r;
	for (fd = 0; fd < loop->slot_count; fd++)
		/* Closed meanwhile: its watch is quiet until it is stopped. */
		if (loop->slots[fd].set != 0 &&
		    watch_kqueue(loop, (int)fd, 0, loop->slots[fd].set) < 0)
			loop->slots[fd].set = 0;
	return 0;
}

static int
descriptor_of(const struct tend_loop *loop)
{
	(void)loop;
	return -1;
}

const struct poller poller_kqueue = {
	.name = "kqueue",
	.forgets_closed = true,
	.size = sizeof(struct kqueue_state),
	.open = open_kqueue,
	.close = close_kqueue,
	.watch = watch_kqueue,
	.wait = wait_kqueue,
	.descriptor = descriptor_of,
	.after_fork = after_fork_kqueue,
};

#endif
