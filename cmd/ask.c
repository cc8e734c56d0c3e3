/*
 * The client's side of the control socket. Which server is meant is said in the server's own options:
 * where its control socket is, or its pid file, or the conf file that says so.
 */
#include "ask.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/time.h>
#include <sys/un.h>
#include <unistd.h>

/* A server that does not answer for so long is stopped, or serves somebody under Single. */
#define PATIENCE 30

/* ---- which server ---- */

/* Options are in front, and each has its value behind it or within. */
static int
count_options(int argc, char **argv)
{
	int i = 1;

	while (i < argc && strncmp(argv[i], "--", 2) == 0)
		i += strchr(argv[i], '=') != NULL ? 1 : 2;
	return i < argc ? i : argc;
}

static bool
take_path(struct ask *a, const char *control, const char *pid_file)
{
	bool beside = control[0] == '\0' || strcmp(control, "1") == 0;
	int n;

	if (beside && pid_file[0] == '\0')
		return false;
	if (beside)
		n = snprintf(a->path, sizeof(a->path), "%s.control", pid_file);
	else
		n = snprintf(a->path, sizeof(a->path), "%s", control);
	return n > 0 && (size_t)n < sizeof(a->path);
}

/* Two options, of which the second call may spoil what the first gave. */
static bool
find_path(struct ask *a, struct tend_server *srv)
{
	char *control = strdup(tend_server_get(srv, "control"));
	const char *pid_file = tend_server_get(srv, "pid_file");
	bool found = control != NULL && take_path(a, control, pid_file);

	free(control);
	return found;
}

int
ask_options(struct ask *a, const char *command, const struct tend_option *own, int argc, char **argv,
	int *used)
{
	int words = count_options(argc, argv), left = 0, status = 0;

	/* The handler is only there for the description to be complete. */
	*a = (struct ask){ .command = command, .fd = -1, .service = talk_service,
		.patience = PATIENCE };
	a->service.options = own;
	a->srv = tend_server_new(&a->service);
	if (tend_server_configure(a->srv, words, argv) < 0)
		status = complain(tend_server_exit_status(a->srv), "%s: %s", command,
		    tend_server_error(a->srv));
	else if (tend_server_leftovers(a->srv, &left), left > 0)
		status = complain(EX_USAGE, "%s: there is no option '%s'", command,
		    tend_server_leftovers(a->srv, NULL)[0]);
	else if (!find_path(a, a->srv))
		status = complain(EX_USAGE, "%s: which server? Say --control PATH of its socket, "
		    "--pid_file FILE or --conf_file FILE", command);
	*used = words;
	return status;
}

int
ask_done(struct ask *a, int status)
{
	ask_close(a);
	tend_server_free(a->srv);
	a->srv = NULL;
	return status;
}

bool
ask_help(int argc, char **argv, const char *usage)
{
	int i;

	for (i = 1; i < argc && argv[i][0] == '-'; i++)
		if (strcmp(argv[i], "--help") == 0 || strcmp(argv[i], "-h") == 0) {
			fputs(usage, stdout);
			return true;
		}
	return false;
}

/* ---- talking ---- */

int
ask_open(struct ask *a)
{
	struct sockaddr_un where = { .sun_family = AF_UNIX };
	struct timeval patience = { .tv_sec = a->patience };
	int error = ENAMETOOLONG;

	ask_close(a);
	if (strlen(a->path) < sizeof(where.sun_path)) {
		strcpy(where.sun_path, a->path);
		a->fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
		if (a->fd >= 0 && connect(a->fd, (struct sockaddr *)&where, sizeof(where)) == 0) {
			setsockopt(a->fd, SOL_SOCKET, SO_RCVTIMEO, &patience, sizeof(patience));
			setsockopt(a->fd, SOL_SOCKET, SO_SNDTIMEO, &patience, sizeof(patience));
			return 0;
		}
		error = errno;
	}
	ask_close(a);
	if (a->quiet)
		return EX_UNAVAILABLE;
	return complain(error == EACCES || error == EPERM ? EX_NOPERM : EX_UNAVAILABLE,
	    "%s: no server answers at %s: %s", a->command, a->path, strerror(error));
}

void
ask_close(struct ask *a)
{
	if (a->fd >= 0)
		close(a->fd);
	a->fd = -1;
	free(a->text);
	a->text = NULL;
	a->size = 0;
}

static bool
send_all(int fd, const char *text, size_t size)
{
	while (size > 0) {
		ssize_t n = send(fd, text, size, MSG_NOSIGNAL);

		if (n < 0 && errno != EINTR)
			return false;
		if (n > 0) {
			text += n;
			size -= (size_t)n;
		}
	}
	return true;
}

/* An answer ends with an empty line, and its first line is never empty. */
static bool
is_whole(const struct ask *a)
{
	return a->size >= 2 && memcmp(a->text + a->size - 2, "\n\n", 2) == 0;
}

static bool
receive_all(struct ask *a)
{
	size_t room = 0;

	free(a->text);
	a->text = NULL;
	a->size = 0;
	while (!is_whole(a)) {
		ssize_t n;

		if (room - a->size < 2) {
			char *more = realloc(a->text, room + 65536);

			if (more == NULL)
				return false;
			a->text = more;
			room += 65536;
		}
		n = recv(a->fd, a->text + a->size, room - a->size - 1, 0);
		if (n == 0 || (n < 0 && errno != EINTR))
			return false;
		if (n > 0)
			a->size += (size_t)n;
	}
	a->text[a->size - 1] = '\0'; /* the empty line is not of the text */
	return true;
}

int
ask(struct ask *a, const char *line)
{
	char *sentence, *end;
	long status;

	/* One that sends us away may have closed before it read. */
	if (!send_all(a->fd, line, strlen(line)) && errno != EPIPE)
		return -1;
	if (!receive_all(a))
		return -1;
	end = strchr(a->text, '\n');
	*end++ = '\0';
	if (strncmp(a->text, "error ", 6) == 0) {
		status = strtol(a->text + 6, &sentence, 10);
		if (a->quiet)
			return EX_UNAVAILABLE;
		return complain(status > 0 && status < 256 ? (int)status : EX_PROTOCOL, "%s:%s",
		    a->command, sentence);
	}
	memmove(a->text, end, strlen(end) + 1);
	a->size = strlen(a->text);
	return 0;
}
