/*
 * The poller "poll", which works everywhere: a dense array of descriptors, and for each descriptor
 * its place in it. Costs as much as there are descriptors, ready or not.
 */
#include "loop/loop.h"

#include <errno.h>
#include <poll.h>
#include <stdlib.h>
#include <sys/stat.h>

#include "config.h"

struct poll_state {
	struct pollfd *fds;
	size_t         count, size;
	size_t         at;    /* where the search for ready ones goes on */
	size_t        *place; /* by descriptor: its place in fds, plus one */
	size_t         place_count;
};

static int
open_poll(struct tend_loop *loop)
{
	(void)loop;
	return 0;
}

static void
close_poll(struct tend_loop *loop)
{
	struct poll_state *state = loop->poller_state;

	free(state->fds);
	free(state->place);
	*state = (struct poll_state){ 0 };
}

static short
flags_of(unsigned want)
{
	return (short)((want & TEND_READ ? POLLIN : 0) | (want & TEND_WRITE ? POLLOUT : 0));
}

static int
make_room(struct poll_state *state, int fd)
{
	size_t size = state->size > 0 ? state->size : 16, i;
	struct pollfd *fds;
	size_t *place;

	if ((size_t)fd >= state->place_count) {
		place = realloc(state->place, ((size_t)fd + 1) * 2 * sizeof(*place));
		if (place == NULL)
			return -ENOMEM;
		for (i = state->place_count; i < ((size_t)fd + 1) * 2; i++)
			place[i] = 0;
		state->place = place;
		state->place_count = ((size_t)fd + 1) * 2;
	}
	if (state->count < state->size)
		return 0;
	fds = realloc(state->fds, size * 2 * sizeof(*fds));
	if (fds == NULL)
		return -ENOMEM;
	state->fds = fds;
	state->size = size * 2;
	return 0;
}

int
poller_type_of(int fd)
{
	struct stat st;

	if (fstat(fd, &st) < 0)
		return -errno;
	return S_ISREG(st.st_mode) || S_ISDIR(st.st_mode) ? -EPERM : (int)(st.st_mode & S_IFMT);
}

static int
add(struct poll_state *state, int fd, unsigned want)
{
	int r = poller_type_of(fd);

	if (r >= 0)
		r = make_room(state, fd);
	if (r < 0)
		return r;
	state->fds[state->count] = (struct pollfd){ .fd = fd, .events = flags_of(want) };
	state->place[fd] = ++state->count;
	return 0;
}

static void
drop(struct poll_state *state, int fd)
{
	size_t at = state->place[fd] - 1;

	state->fds[at] = state->fds[--state->count];
	state->place[state->fds[at].fd] = at + 1;
	state->place[fd] = 0;
}

/* A hang-up cannot be left out of what poll() reports: what is muted is not asked about at all. */
static int
watch_poll(struct tend_loop *loop, int fd, unsigned had, unsigned want)
{
	struct poll_state *state = loop->poller_state;
	bool was = had != 0 && (had & POLLER_MUTE) == 0;
	bool is = want != 0 && (want & POLLER_MUTE) == 0;

	if (was && is)
		state->fds[state->place[fd] - 1].events = flags_of(want);
	else if (was)
		drop(state, fd);
	else if (is)
		return add(state, fd, want);
	return 0;
}

static int
wait_for_events(struct poll_state *state, int64_t ns)
{
#if HAVE_PPOLL
	struct timespec ts = { .tv_sec = (time_t)(ns / CLOCK_SECOND),
		.tv_nsec = (long)(ns % CLOCK_SECOND) };

	return ppoll(state->fds, (nfds_t)state->count, ns == CLOCK_NEVER ? NULL : &ts, NULL);
#else
	return poll(state->fds, (nfds_t)state->count, clock_poll_timeout(0, ns));
#endif
}

static unsigned
events_of(short flags)
{
	unsigned events = 0;

	if ((flags & POLLIN) != 0)
		events |= TEND_READ;
	if ((flags & POLLOUT) != 0)
		events |= TEND_WRITE;
	if ((flags & (POLLERR | POLLNVAL)) != 0)
		events |= TEND_ERROR;
	if ((flags & POLLHUP) != 0)
		events |= TEND_HANGUP;
	return events;
}

/* Goes on where the last turn stopped: none starves when more are ready than fit. */
static int
wait_poll(struct tend_loop *loop, int64_t ns)
{
	struct poll_state *state = loop->poller_state;
	int left = wait_for_events(state, ns);
	struct pollfd *p;
	size_t i;

	if (left < 0)
		return errno == EINTR ? 0 : -errno;
	for (i = 0; left > 0 && i < state->count; i++) {
		if (state->at >= state->count)
			state->at = 0;
		p = &state->fds[state->at++];
		if (p->revents == 0)
			continue;
		left--;
		if (!loop_fired(loop, p->fd, loop->slots[p->fd].generation, events_of(p->revents)))
			break;
	}
	return 0;
}

static int
after_fork_poll(struct tend_loop *loop)
{
	(void)loop;
	return 0;
}

static int
descriptor_of(const struct tend_loop *loop)
{
	(void)loop;
	return -1;
}

const struct poller poller_poll = {
	.name = "poll",
	.size = sizeof(struct poll_state),
	.open = open_poll,
	.close = close_poll,
	.watch = watch_poll,
	.wait = wait_poll,
	.descriptor = descriptor_of,
	.after_fork = after_fork_poll,
};
