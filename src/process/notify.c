/* What supervisors say and hear. */
#include "process/notify.h"

#include <errno.h>
#include <fcntl.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/str.h"

#define FIRST_PASSED 3
#define PASSED_MAX 1024
#define MESSAGE_MAX 1024

void
notify_init(struct notify *n)
{
	*n = (struct notify){ .socket = -1, .ready_fd = -1 };
}

void
notify_leave(const struct notify *n)
{
	if (n->socket >= 0)
		close(n->socket);
	if (n->ready_fd >= 0)
		close(n->ready_fd);
}

void
notify_close(struct notify *n)
{
	notify_leave(n);
	notify_init(n);
}

/* ---- opening ---- */

static int
bad(struct error *e, const char *variable, const char *value, const char *why)
{
	char shown[100];

	str_escape(shown, sizeof(shown), value, strlen(value));
	return error_set(e, EX_CONFIG, -EINVAL, "%s is '%s', %s", variable, shown, why);
}

/* A path, or "@name" in the abstract. */
static int
take_address(struct notify *n, const char *path, struct error *e)
{
	size_t length = strlen(path);
	int ignored;

	if ((path[0] != '/' && path[0] != '@') || length < 2)
		return bad(e, "NOTIFY_SOCKET", path, "which is neither an absolute path nor @name");
	if (length >= sizeof(n->to.sun_path))
		return bad(e, "NOTIFY_SOCKET", path, "which is too long for a socket");
	n->to.sun_family = AF_UNIX;
	memcpy(n->to.sun_path, path, length);
	if (path[0] == '@')
		n->to.sun_path[0] = '\0';
	n->to_length = (socklen_t)(offsetof(struct sockaddr_un, sun_path) + length);
	n->socket = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0);
	if (n->socket < 0)
		return error_set(e, EX_OSERR, -errno, "cannot make a socket for NOTIFY_SOCKET: %s",
		    error_reason(-errno));
	/* So that it is still reached from inside a chroot. That nobody is there is no reason not to
	   serve. */
	ignored = connect(n->socket, (const struct sockaddr *)&n->to, n->to_length);
	(void)ignored;
	return 0;
}

static int
take_watchdog(struct notify *n, const char *usec, const char *pid, struct error *e)
{
	long number;

	if (pid != NULL && (str_to_long(pid, 1, INT32_MAX, &number) < 0 || number != getpid()))
		return 0;
	if (str_to_long(usec, 1, 1000000L * 86400 * 365, &number) < 0)
		return bad(e, "WATCHDOG_USEC", usec, "which is no number of microseconds");
	n->watchdog = (int64_t)number * 1000;
	return 0;
}

static int
take_ready_fd(struct notify *n, int fd, struct error *e)
{
	if (fcntl(fd, F_SETFD, FD_CLOEXEC) < 0)
		return error_set(e, EX_CONFIG, -EBADF,
		    "descriptor %d is not open; nobody waits for us there (option notify_fd)", fd);
	n->ready_fd = fd;
	return 0;
}

int
notify_open(struct notify *n, int ready_fd, struct error *e)
{
	const char *path = getenv("NOTIFY_SOCKET"), *usec = getenv("WATCHDOG_USEC");
	int r = 0;

	notify_init(n);
	if (path != NULL && path[0] != '\0')
		r = take_address(n, path, e);
	if (r == 0 && usec != NULL && n->socket >= 0)
		r = take_watchdog(n, usec, getenv("WATCHDOG_PID"), e);
	if (r == 0 && ready_fd > 0)
		r = take_ready_fd(n, ready_fd, e);
	unsetenv("NOTIFY_SOCKET");
	unsetenv("WATCHDOG_USEC");
	unsetenv("WATCHDOG_PID");
	if (r < 0)
		notify_close(n);
	return r;
}

/* ---- telling ---- */

int
notify_send(struct notify *n, const char *format, ...)
{
	const int flags = MSG_DONTWAIT | MSG_NOSIGNAL;
	char text[MESSAGE_MAX];
	va_list args;
	int length;

	if (n->socket < 0)
		return 0;
	va_start(args, format);
	length = vsnprintf(text, sizeof(text), format, args);
	va_end(args);
	if (length < 0 || (size_t)length >= sizeof(text))
		return -EMSGSIZE;
	if (send(n->socket, text, (size_t)length, flags) >= 0)
		return 0;
	/* The supervisor has executed itself anew, as we do: under the same name. */
	if (connect(n->socket, (const struct sockaddr *)&n->to, n->to_length) == 0 &&
	    send(n->socket, text, (size_t)length, flags) >= 0)
		return 0;
	return -errno;
}

void
notify_ready_fd(struct notify *n)
{
	ssize_t written;

	if (n->ready_fd < 0)
		return;
	do
		written = write(n->ready_fd, "\n", 1);
	while (written < 0 && errno == EINTR);
	close(n->ready_fd);
	n->ready_fd = -1;
}

/* ---- sockets that were opened for us ---- */

/* Names are separated by colons; "unknown" is what systemd writes where there is none. */
static void
take_names(struct passed_socket *list, long count, const char *names)
{
	long i;

	for (i = 0; i < count && names != NULL; i++) {
		size_t length = strcspn(names, ":");

		snprintf(list[i].name, sizeof(list[i].name), "%.*s", (int)length, names);
		if (strcmp(list[i].name, "unknown") == 0)
			list[i].name[0] = '\0';
		names = names[length] == ':' ? names + length + 1 : NULL;
	}
}

static int
take_passed(struct passed_socket **list, const char *fds, const char *names, struct error *e)
{
	long count, i;

	if (str_to_long(fds, 0, PASSED_MAX, &count) < 0)
		return bad(e, "LISTEN_FDS", fds, "which is no number of sockets");
	*list = calloc((size_t)count + 1, sizeof(**list));
	if (*list == NULL)
		return error_set(e, EX_OSERR, -ENOMEM, "out of memory");
	for (i = 0; i < count; i++) {
		(*list)[i].fd = FIRST_PASSED + (int)i;
		if (fcntl((*list)[i].fd, F_SETFD, FD_CLOEXEC) == 0)
			continue;
		free(*list);
		*list = NULL;
		return bad(e, "LISTEN_FDS", fds, "but there are not so many descriptors");
	}
	take_names(*list, count, names);
	return (int)count;
}

int
passed_sockets(struct passed_socket **list, struct error *e)
{
	const char *pid = getenv("LISTEN_PID"), *fds = getenv("LISTEN_FDS");
	long number;
	int r = 0;

	*list = NULL;
	if (pid != NULL && fds != NULL && str_to_long(pid, 1, INT32_MAX, &number) == 0 &&
	    number == getpid())
		r = take_passed(list, fds, getenv("LISTEN_FDNAMES"), e);
	unsetenv("LISTEN_PID");
	unsetenv("LISTEN_FDS");
	unsetenv("LISTEN_FDNAMES");
	return r;
}
