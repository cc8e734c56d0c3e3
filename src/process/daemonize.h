/*
 * Going into the background. The command that was typed returns only when the server is ready,
 * with the exit status and on the standard error of what went wrong (NS-DMN-02 to -05).
 *
 *	daemonize_fork()     the launcher waits; the daemon returns and goes on starting
 *	daemonize_ready()    the launcher exits 0
 *	(the daemon exits)   the launcher exits with the same status
 */
#ifndef TEND_PROCESS_DAEMONIZE_H
#define TEND_PROCESS_DAEMONIZE_H

#include "base/error.h"

struct daemonize {
	int ready_fd; /* -1: nobody waits */
};

void daemonize_init(struct daemonize *d);

/*
 * Forks; only the daemon returns, except that a failure to fork returns to the caller. The
 * launcher waits for a word or the end of the daemon and leaves by _exit(). `new_session`: also
 * setsid().
 * Context: one thread.
 */
int daemonize_fork(struct daemonize *d, bool new_session, struct error *e);

/* Tells the launcher that the server listens. Harmless when nobody waits. */
void daemonize_ready(struct daemonize *d);

/*
 * Tells the launcher what went wrong; it writes e->text, as it is, as one line on its standard
 * error and exits with e->status. The last act of the daemon, after files are removed: whoever
 * waits for the launcher may start again at once.
 */
void daemonize_failed(struct daemonize *d, const struct error *e);

/* In a worker: closes the launcher's pipe without a word. */
void daemonize_forget(struct daemonize *d);

/*
 * Standard descriptors that are closed are opened on the null device before anything else can
 * take their numbers. First thing of every start.
 */
int stdio_sanitize(struct error *e);

/*
 * Points standard input and output (and error, when `error_too`) at the null device (NS-DMN-01).
 */
int stdio_to_null(bool error_too, struct error *e);

#endif
