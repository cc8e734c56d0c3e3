/*
 * The poller "epoll". The kernel hands back the descriptor and the generation of its slot with
 * each event; one of a past generation is a source that outlived its descriptor (closed here
 * while another process still has it open), and cannot be removed by name: everything is built
 * anew.
 */
#include "config.h"

#if HAVE_EPOLL_CREATE1

#include "loop/loop.h"

#include <errno.h>
#include <stdlib.h>
#include <sys/epoll.h>
#include <unistd.h>

#ifndef EPOLLEXCLUSIVE
#define EPOLLEXCLUSIVE 0
#endif

/* What a read that comes short may not have come to. */
#define BEHIND_INPUT (EPOLLRDHUP | EPOLLPRI)

struct epoll_state {
	int  fd;
	bool no_pwait2; /* the kernel lacks epoll_pwait2() */
	bool strangers; /* events came from sources that should be gone */
	struct epoll_event *events; /* LOOP_ASKED of them */
	struct epoll_event few[LOOP_FEW];
};

static int
open_epoll(struct tend_loop *loop)
{
	struct epoll_state *state = loop->poller_state;

	state->fd = epoll_create1(EPOLL_CLOEXEC);
	if (state->fd < 0)
		return -errno;
	if (state->events == NULL)
		state->events = malloc(LOOP_ASKED * sizeof(*state->events));
	if (state->events != NULL)
		return 0;
	close(state->fd);
	state->fd = -1;
	return -ENOMEM;
}

static void
close_epoll(struct tend_loop *loop)
{
	struct epoll_state *state = loop->poller_state;

	if (state->fd >= 0)
		close(state->fd);
	state->fd = -1;
	free(state->events);
	state->events = NULL;
}

static uint32_t
flags_of(unsigned want)
{
	uint32_t flags = 0;

	if ((want & TEND_READ) != 0)
		flags |= EPOLLIN;
	if ((want & TEND_WRITE) != 0)
		flags |= EPOLLOUT;
	if ((want & TEND_EXCLUSIVE) != 0)
		flags |= EPOLLEXCLUSIVE;
	if ((want & POLLER_MUTE) != 0)
		flags |= EPOLLET;
	if ((want & WATCH_EDGE) != 0)
		flags |= EPOLLET | BEHIND_INPUT;
	return flags;
}

static int
control(struct tend_loop *loop, int op, int fd, uint32_t flags)
{
	struct epoll_state *state = loop->poller_state;
	struct epoll_event event = { .events = flags };

	event.data.u64 = (uint64_t)loop->slots[fd].generation << 32 | (uint32_t)fd;
	return epoll_ctl(state->fd, op, fd, &event) == 0 ? 0 : -errno;
}

static int
add(struct tend_loop *loop, int fd, unsigned want)
{
	uint32_t flags = flags_of(want);
	int r = control(loop, EPOLL_CTL_ADD, fd, flags);

	/* An old kernel, or something that cannot be waited for exclusively. */
	if (r == -EINVAL && (want & TEND_EXCLUSIVE) != 0)
		r = control(loop, EPOLL_CTL_ADD, fd, flags & ~(uint32_t)EPOLLEXCLUSIVE);
	return r;
}

static int
watch_epoll(struct tend_loop *loop, int fd, unsigned had, unsigned want)
{
	int r;

	if (had == 0)
		return add(loop, fd, want);
	if (want == 0) {
		control(loop, EPOLL_CTL_DEL, fd, 0);
		return 0;
	}
	/* EPOLL_CTL_MOD is refused where EPOLLEXCLUSIVE is involved. */
	if (((had | want) & TEND_EXCLUSIVE) != 0) {
		control(loop, EPOLL_CTL_DEL, fd, 0);
		return add(loop, fd, want);
	}
	r = control(loop, EPOLL_CTL_MOD, fd, flags_of(want));
	/* The descriptor was closed and is another one now. */
	if (r == -ENOENT)
		r = add(loop, fd, want);
	return r;
}

/*
 * Exact for short waits. For a long one a millisecond is nothing, and epoll_wait() is the cheaper
 * call: busy servers with far deadlines make it most of the time, and find events at once.
 */
HOT static int
wait_for_events(struct epoll_state *state, struct epoll_event *events, int room, int64_t ns)
{
#if HAVE_EPOLL_PWAIT2
	struct timespec ts;
	int n;

	if (ns > 0 && ns < CLOCK_SECOND && !state->no_pwait2) {
		ts.tv_sec = 0;
		ts.tv_nsec = (long)ns;
		n = epoll_pwait2(state->fd, events, room, &ts, NULL);
		/* Sandboxes answer EPERM to what they do not know. */
		if (n >= 0 || (errno != ENOSYS && errno != EPERM))
			return n;
		state->no_pwait2 = true;
	}
#endif
	return epoll_wait(state->fd, events, room, clock_poll_timeout(0, ns));
}

static unsigned
events_of(uint32_t flags)
{
	unsigned events = 0;

	if (LIKELY(flags == EPOLLIN))
		return TEND_READ;
	if ((flags & EPOLLIN) != 0)
		events |= TEND_READ;
	if ((flags & BEHIND_INPUT) != 0)
		events |= WATCH_MORE;
	if ((flags & EPOLLOUT) != 0)
		events |= TEND_WRITE;
	if ((flags & EPOLLERR) != 0)
		events |= TEND_ERROR;
	if ((flags & EPOLLHUP) != 0)
		events |= TEND_HANGUP;
	return events;
}

/* A new epoll descriptor with all that the slots say was set. The old one is closed last. */
static int
rebuild(struct tend_loop *loop)
{
	struct epoll_state *state = loop->poller_state;
	int old = state->fd, r;
	size_t fd;

	r = open_epoll(loop);
	if (r < 0) {
		state->fd = old;
		return r;
	}
	for (fd = 0; fd < loop->slot_count; fd++) {
		if (loop->slots[fd].set == 0)
			continue;
		r = add(loop, (int)fd, loop->slots[fd].set);
		/* Closed meanwhile: its watch is quiet until it is stopped. */
		if (r < 0)
			loop->slots[fd].set = 0;
	}
	close(old);
	alarm_check(loop);
	return 0;
}

HOT static int
wait_epoll(struct tend_loop *loop, int64_t ns)
{
	struct epoll_state *state = loop->poller_state;
	bool few = loop->room == LOOP_FEW;
	struct epoll_event *events = few ? state->few : state->events;
	int n = wait_for_events(state, events, few ? LOOP_FEW : LOOP_ASKED, ns), i;
	uint64_t from;

	if (n < 0)
		return errno == EINTR ? 0 : -errno;
	for (i = 0; i < n; i++) {
		from = events[i].data.u64;
		if (UNLIKELY(loop->slots[(uint32_t)from].generation != (uint32_t)(from >> 32))) {
			loop->stats.events_stale++;
			state->strangers = true;
			continue;
		}
		loop_fired(loop, (int)(uint32_t)from, (uint32_t)(from >> 32),
		    events_of(events[i].events));
	}
	if (UNLIKELY(state->strangers) && rebuild(loop) == 0)
		state->strangers = false;
	return 0;
}

/* The old descriptor is shared with the parent: it is closed, never changed. */
static int
after_fork_epoll(struct tend_loop *loop)
{
	return rebuild(loop);
}

static int
descriptor_of(const struct tend_loop *loop)
{
	const struct epoll_state *state = loop->poller_state;

	return state->fd;
}

const struct poller poller_epoll = {
	.name = "epoll",
	.forgets_closed = true,
	.tells_edges = true,
	.size = sizeof(struct epoll_state),
	.open = open_epoll,
	.close = close_epoll,
	.watch = watch_epoll,
	.wait = wait_epoll,
	.descriptor = descriptor_of,
	.after_fork = after_fork_epoll,
};

#endif
