/*
 * A fixed pool of processes that all block in accept on one shared socket. What the
 * personality PreFork is held against.
 *
 * The parent only waits for TERM or INT and then ends the workers. A worker that ends before
 * that ends the whole pool: a measurement with fewer workers than it says would be worth
 * nothing.
 */
#include "bare.h"

#include <signal.h>
#include <stdio.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <sysexits.h>
#include <unistd.h>

static _Noreturn void
work(int listener, const sigset_t *usual)
{
	int fd;

	/* A killed parent must not leave workers behind. */
	if (prctl(PR_SET_PDEATHSIG, SIGTERM) < 0 || sigprocmask(SIG_SETMASK, usual, NULL) < 0)
		bare_fail("prepare a worker");
	for (;;) {
		fd = bare_accept(listener);
		bare_serve(fd, fd);
		close(fd);
	}
}

static void
spawn(pid_t *pids, int workers, int listener, const sigset_t *usual)
{
	int i;

	for (i = 0; i < workers; i++) {
		pids[i] = fork();
		if (pids[i] == 0)
			work(listener, usual);
		if (pids[i] < 0)
			bare_fail("fork");
	}
}

static void
end_all(const pid_t *pids, int workers)
{
	int i;

	for (i = 0; i < workers; i++)
		kill(pids[i], SIGTERM);
	for (i = 0; i < workers; i++)
		waitpid(pids[i], NULL, 0);
}

int
main(int argc, char **argv)
{
	struct bare_options o = bare_parse(argc, argv);
	pid_t pids[BARE_WORKERS_MAX];
	sigset_t awaited, usual;
	int listener, signo;

	sigemptyset(&awaited);
	sigaddset(&awaited, SIGTERM);
	sigaddset(&awaited, SIGINT);
	sigaddset(&awaited, SIGCHLD);
	/* Before the first fork, so that no signal is missed; and before the line that says
	 * ready. */
	if (sigprocmask(SIG_BLOCK, &awaited, &usual) < 0)
		bare_fail("prepare the pool");
	listener = bare_listen(o.port);
	spawn(pids, o.workers, listener, &usual);
	sigwait(&awaited, &signo);
	end_all(pids, o.workers);
	if (signo != SIGCHLD)
		return EX_OK;
	fprintf(stderr, "a worker ended unexpectedly; the pool stops\n");
	return EX_SOFTWARE;
}
