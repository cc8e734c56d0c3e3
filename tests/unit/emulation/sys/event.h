/*
 * What the poller "kqueue" needs of FreeBSD's <sys/event.h>, for systems without one. For tests
 * only; see ../kqueue.c.
 */
#ifndef TEND_TESTS_EMULATION_EVENT_H
#define TEND_TESTS_EMULATION_EVENT_H

#include <stdint.h>
#include <time.h>

#define EVFILT_READ (-1)
#define EVFILT_WRITE (-2)

#define EV_ADD 0x0001
#define EV_DELETE 0x0002
#define EV_CLEAR 0x0020
#define EV_RECEIPT 0x0040
#define EV_ERROR 0x4000
#define EV_EOF 0x8000

#define NOTE_LOWAT 0x0001

struct kevent {
	uintptr_t      ident;
	short          filter;
	unsigned short flags;
	unsigned       fflags;
	int64_t        data;
	void          *udata;
};

#define EV_SET(to, id, what, how, notes, value, user)                                         \
	(*(to) = (struct kevent){ .ident = (id), .filter = (what), .flags = (how),            \
	     .fflags = (notes), .data = (value), .udata = (user) })

int kqueue(void);
int kevent(int fd, const struct kevent *changes, int change_count, struct kevent *events, int room,
    const struct timespec *timeout);

/* For tests: the next filter for writing is refused with this error. */
void kqueue_refuse(int error);
/* For tests: what the next kevent() returns that has room for it, whatever is ready. */
void kqueue_dictate(const struct kevent *events, int count);

#endif
