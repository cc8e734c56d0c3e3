/*
 * A process for each client. What the personality Fork is held against.
 *
 * Children are reaped in a SIGCHLD handler: at once, so that none stays a zombie, and with
 * waitpid, so that their processor time is added to that of the parent, where bench/run reads
 * it. (With SIGCHLD ignored the kernel would reap, and forget what they used.)
 */
#include "bare.h"

#include <errno.h>
#include <signal.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

static void
reap(int signo)
{
	int saved = errno;

	(void)signo;
	while (waitpid(-1, NULL, WNOHANG) > 0)
		;
	errno = saved;
}

static void
reap_on_sigchld(void)
{
	struct sigaction act;

	memset(&act, 0, sizeof(act));
	act.sa_handler = reap;
	act.sa_flags = SA_RESTART | SA_NOCLDSTOP;
	sigemptyset(&act.sa_mask);
	if (sigaction(SIGCHLD, &act, NULL) < 0)
		bare_fail("handle SIGCHLD");
}

int
main(int argc, char **argv)
{
	struct bare_options o = bare_parse(argc, argv);
	int listener = bare_listen(o.port), fd;
	pid_t pid;

	reap_on_sigchld();
	for (;;) {
		fd = bare_accept(listener);
		pid = fork();
		if (pid == 0) {
			bare_serve(fd, fd);
			_exit(0);
		}
		if (pid < 0)
			bare_fail("fork");
		close(fd);
	}
}
