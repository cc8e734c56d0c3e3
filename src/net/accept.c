#include "net/accept.h"

#include <errno.h>

int
accept_client(int listener, struct addr *peer)
{
	for (;;) {
		int fd;

		peer->length = sizeof(peer->u);
		fd = accept4(listener, &peer->u.any, &peer->length, SOCK_CLOEXEC);
		if (fd >= 0)
			return fd;
		/* This client left, or its network failed, before we came; the next may be well. */
		if (errno != EINTR && errno != ECONNABORTED && errno != EPROTO && errno != ENETDOWN &&
		    errno != ENOPROTOOPT && errno != EHOSTDOWN && errno != EHOSTUNREACH &&
		    errno != ENETUNREACH && errno != EPERM)
			return errno == EWOULDBLOCK ? -EAGAIN : -errno;
	}
}

bool
accept_is_starved(int code)
{
	return code == -EMFILE || code == -ENFILE || code == -ENOBUFS || code == -ENOMEM;
}
