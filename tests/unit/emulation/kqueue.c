/*
 * kqueue() and kevent() as FreeBSD's manual and filters have them, for reading and writing, on top
 * of poll(). What they do that a poller has to know:
 *
 *	- a filter belongs to a descriptor and goes with its close, whoever else has the file open;
 *	- adding it again changes its low-water mark and asks it anew, but leaves EV_CLEAR as it was;
 *	- the end of a side is EV_EOF among other flags, for a socket with its error in fflags; a
 *	  socket's reading side ends by the peer's FIN, its writing side by a shutdown of ours;
 *	- an error without an end makes a socket ready, and is not told;
 *	- pipes know no low-water mark, and without a reader take no filter for writing (EPIPE);
 *	- regular files are taken;
 *	- changes are answered in order while there is room: with EV_RECEIPT all, else those that
 *	  fail; an answer ends the call; without room an error ends it, and the other changes;
 *	- a child of fork has no kqueue, and its number is free.
 *
 * What cannot be had from poll(): the number of a socket's error (it is always ECONNRESET), and
 * news of a filter with EV_CLEAR that stays ready; such a descriptor is looked at again and again.
 */
#include <sys/event.h>

#include <assert.h>
#include <errno.h>
#include <poll.h>
#include <pthread.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/clock.h"

#define DESCRIPTORS 4096
#define LOOK_AGAIN (3 * CLOCK_MILLISECOND)

struct filter {
	struct kevent as; /* as it was added; without flags it is not there */
	struct kevent told;
	bool          is_told; /* EV_CLEAR: this was returned, and lasts */
};

/* A descriptor and what was opened there. */
struct source {
	dev_t         dev;
	ino_t         ino;
	bool          is_socket, is_stream, is_pipe, listens;
	struct filter filters[2]; /* EVFILT_READ, EVFILT_WRITE */
};

struct queue {
	dev_t         dev;
	ino_t         ino;
	size_t        count, polled_count;
	size_t        at; /* where the search goes on */
	struct source sources[DESCRIPTORS];
	struct pollfd polled[DESCRIPTORS];
};

static struct queue *queues[DESCRIPTORS];
static struct kevent dictated[8];
static int dictated_count;
static int refused;

void
kqueue_refuse(int error)
{
	refused = error;
}

void
kqueue_dictate(const struct kevent *events, int count)
{
	assert((size_t)count <= sizeof(dictated) / sizeof(dictated[0]));
	for (dictated_count = 0; dictated_count < count; dictated_count++)
		dictated[dictated_count] = events[dictated_count];
}

static bool
is_still(size_t fd, dev_t dev, ino_t ino)
{
	struct stat now;

	return fstat((int)fd, &now) == 0 && now.st_dev == dev && now.st_ino == ino;
}

static void
lose_all(void)
{
	size_t fd;

	for (fd = 0; fd < DESCRIPTORS; fd++) {
		if (queues[fd] != NULL && is_still(fd, queues[fd]->dev, queues[fd]->ino))
			close((int)fd);
		free(queues[fd]);
		queues[fd] = NULL;
	}
}

static void
lose_all_in_children(void)
{
	pthread_atfork(NULL, NULL, lose_all);
}

/* Any descriptor would do. What is left of an earlier queue at the number was closed. */
int
kqueue(void)
{
	static pthread_once_t once = PTHREAD_ONCE_INIT;
	struct stat file;
	int fds[2];

	pthread_once(&once, lose_all_in_children);
	if (pipe(fds) < 0)
		return -1;
	close(fds[1]);
	free(queues[fds[0]]);
	queues[fds[0]] = calloc(1, sizeof(struct queue));
	assert(queues[fds[0]] != NULL && fstat(fds[0], &file) == 0);
	queues[fds[0]]->dev = file.st_dev;
	queues[fds[0]]->ino = file.st_ino;
	return fds[0];
}

/* ---- filters ---- */

static bool
cannot_send(int fd)
{
	return send(fd, "", 0, MSG_DONTWAIT | MSG_NOSIGNAL) < 0 && errno == EPIPE;
}

static bool
has_ended(const struct source *s, int fd, bool is_read, short found)
{
	if (!s->is_socket)
		return (found & (POLLERR | (is_read ? POLLHUP : 0))) != 0;
	if (is_read || (found & POLLHUP) != 0)
		return (found & (POLLRDHUP | POLLHUP)) != 0;
	/* Asking takes an error off the socket. */
	return s->is_stream && !s->listens && (found & POLLERR) == 0 && cannot_send(fd);
}

/* True when the filter is ready, with the event that it makes. */
static bool
run(const struct source *s, const struct filter *f, int fd, short found, struct kevent *e)
{
	bool is_read = f->as.filter == EVFILT_READ, failed = s->is_socket && (found & POLLERR) != 0;
	bool ended = has_ended(s, fd, is_read, found);
	int bytes = 0;

	if (is_read && (s->listens || ioctl(fd, FIONREAD, &bytes) < 0))
		bytes = (found & POLLIN) != 0;
	*e = f->as;
	e->flags = (unsigned short)(e->flags | (ended ? EV_EOF : 0));
	e->fflags = ended && failed ? ECONNRESET : 0;
	e->data = bytes;
	if (ended || failed)
		return true;
	if (s->is_socket && !s->listens && (f->as.fflags & NOTE_LOWAT) != 0)
		return bytes >= f->as.data;
	return (found & (is_read ? POLLIN : POLLOUT)) != 0;
}

/* With EV_CLEAR, what was returned is news again when there is more of it. */
static bool
is_news(struct filter *f, const struct kevent *e)
{
	bool is_more = e->data > f->told.data || e->flags != f->told.flags;

	f->told.data = e->data;
	return (f->as.flags & EV_CLEAR) == 0 || !f->is_told || is_more;
}

/* ---- changes ---- */

static void
meet(struct queue *q, int fd, const struct stat *file)
{
	struct source *s = &q->sources[fd];
	int type = 0, listens = 0;
	socklen_t size = sizeof(int);

	getsockopt(fd, SOL_SOCKET, SO_TYPE, &type, &size);
	getsockopt(fd, SOL_SOCKET, SO_ACCEPTCONN, &listens, &size);
	*s = (struct source){ .dev = file->st_dev, .ino = file->st_ino,
		.is_socket = S_ISSOCK(file->st_mode), .is_pipe = S_ISFIFO(file->st_mode),
		.is_stream = type == SOCK_STREAM, .listens = listens != 0 };
	if (q->count <= (size_t)fd)
		q->count = (size_t)fd + 1;
}

static bool
has_no_reader(int fd)
{
	struct pollfd p = { .fd = fd };

	return poll(&p, 1, 0) == 1 && (p.revents & POLLERR) != 0;
}

/* Closed since, and perhaps something else by now. */
static void
forget_closed(struct source *s, size_t fd)
{
	if ((s->filters[0].as.flags != 0 || s->filters[1].as.flags != 0) &&
	    !is_still(fd, s->dev, s->ino))
		*s = (struct source){ .dev = 0 };
}

/* 0 or an errno. */
static int
change(struct queue *q, const struct kevent *c)
{
	struct source *s = &q->sources[c->ident];
	struct filter *f = &s->filters[c->filter == EVFILT_WRITE];
	struct stat file;
	int error;

	forget_closed(s, c->ident);
	if (fstat((int)c->ident, &file) < 0)
		return EBADF;
	if ((c->flags & EV_ADD) == 0 && f->as.flags == 0)
		return ENOENT;
	if ((c->flags & EV_DELETE) != 0) {
		*f = (struct filter){ .is_told = false };
		return 0;
	}
	if (s->filters[0].as.flags == 0 && s->filters[1].as.flags == 0)
		meet(q, (int)c->ident, &file);
	f->is_told = false;
	if (f->as.flags != 0) {
		f->as.fflags = c->fflags;
		f->as.data = c->data;
		return 0;
	}
	if (c->filter == EVFILT_WRITE && s->is_pipe && has_no_reader((int)c->ident))
		return EPIPE;
	if (c->filter == EVFILT_WRITE && refused != 0) {
		error = refused;
		refused = 0;
		return error;
	}
	f->as = *c;
	return 0;
}

/* The number of answers, or -1. */
static int
answer(struct queue *q, const struct kevent *changes, int count, struct kevent *events, int room)
{
	int i, n = 0, error;

	for (i = 0; i < count; i++) {
		error = change(q, &changes[i]);
		if (error == 0 && (changes[i].flags & EV_RECEIPT) == 0)
			continue;
		if (n == room) {
			errno = error;
			return error != 0 ? -1 : n;
		}
		events[n] = changes[i];
		events[n].flags = EV_ERROR;
		events[n++].data = error;
	}
	return n;
}

/* ---- waiting ---- */

static short
events_of(const struct source *s)
{
	short events = POLLRDHUP;
	const struct filter *f = s->filters;

	for (; f < s->filters + 2; f++)
		if (f->as.flags != 0 &&
		    (!s->is_socket || s->listens || (f->as.fflags & NOTE_LOWAT) == 0))
			events = (short)(events | (f->as.filter == EVFILT_READ ? POLLIN : POLLOUT));
	return events;
}

/* Those with filters: poll() takes no more than the process may open. */
static void
ask(struct queue *q)
{
	struct source *s;
	size_t fd;

	q->polled_count = 0;
	for (fd = 0; fd < q->count; fd++) {
		s = &q->sources[fd];
		forget_closed(s, fd);
		if (s->filters[0].as.flags != 0 || s->filters[1].as.flags != 0)
			q->polled[q->polled_count++] =
			    (struct pollfd){ .fd = (int)fd, .events = events_of(s) };
	}
	poll(q->polled, q->polled_count, 0);
}

/* The number of events of a descriptor. What is ready and was told is not to end the wait. */
static int
look_at(struct source *s, struct pollfd *p, struct kevent *events, int room)
{
	struct filter *f = s->filters;
	int n = 0, fd = p->fd;
	struct kevent e;

	for (; f < s->filters + 2; f++) {
		if (f->as.flags == 0)
			continue;
		if (!run(s, f, fd, p->revents, &e)) {
			f->is_told = false;
		} else if (!is_news(f, &e)) {
			p->fd = -1;
		} else if (n < room) {
			events[n++] = f->told = e;
			f->is_told = true;
		}
	}
	return n;
}

static int
look(struct queue *q, struct kevent *events, int room, bool *again)
{
	struct pollfd *p;
	size_t i;
	int n = 0;

	ask(q);
	*again = false;
	for (i = 0; i < q->polled_count && n < room; i++) {
		p = &q->polled[q->at++ % q->polled_count];
		n += look_at(&q->sources[p->fd], p, events + n, room - n);
		*again = *again || p->fd < 0;
	}
	return n;
}

static int
collect(struct queue *q, struct kevent *events, int room, int64_t until)
{
	int64_t left = CLOCK_NEVER;
	struct timespec ts;
	bool again;
	int n;

	while ((n = look(q, events, room, &again)) == 0) {
		if (until != CLOCK_NEVER)
			left = until - clock_now();
		if (left <= 0)
			return 0;
		if (again && left > LOOK_AGAIN)
			left = LOOK_AGAIN;
		ts.tv_sec = (time_t)(left / CLOCK_SECOND);
		ts.tv_nsec = (long)(left % CLOCK_SECOND);
		if (ppoll(q->polled, q->polled_count, left == CLOCK_NEVER ? NULL : &ts, NULL) < 0)
			return -1;
		if (until == CLOCK_NEVER)
			left = CLOCK_NEVER;
	}
	return n;
}

int
kevent(int fd, const struct kevent *changes, int change_count, struct kevent *events, int room,
    const struct timespec *timeout)
{
	struct queue *q = fd >= 0 && fd < DESCRIPTORS ? queues[fd] : NULL;
	int64_t until = CLOCK_NEVER;
	int n;

	if (q == NULL || !is_still((size_t)fd, q->dev, q->ino)) {
		errno = EBADF;
		return -1;
	}
	if (timeout != NULL)
		until = clock_after(clock_now(), timeout->tv_sec * CLOCK_SECOND + timeout->tv_nsec);
	n = answer(q, changes, change_count, events, room);
	if (n != 0 || room == 0)
		return n;
	if (dictated_count == 0)
		return collect(q, events, room, until);
	n = dictated_count;
	dictated_count = 0;
	memcpy(events, dictated, (size_t)n * sizeof(*events));
	return n;
}
