/*
 * The pid file: locked for as long as its server lives, so that "is it running?" is a question
 * to the kernel and not to a number (NS-DMN-30 to -38). No symbolic link is followed.
 */
#ifndef TEND_PROCESS_PIDFILE_H
#define TEND_PROCESS_PIDFILE_H

#include <sys/types.h>

#include "base/error.h"

struct pidfile {
	int   fd;        /* -1: none */
	int   directory; /* its directory, so that it can be removed from inside a chroot */
	char *name;      /* within the directory */
	char *path;      /* as configured, for messages */
	pid_t owner;     /* the process that may remove it */
};

void pidfile_init(struct pidfile *p);

/*
 * Opens and locks the file; does not write yet. -EEXIST with the running pid in the sentence
 * when another server holds it, or when it is not locked but names a process that lives and is
 * not younger than the file (servers of other kinds do not lock). `*taken_over` (may be NULL) is
 * the stale pid that was found in it, 0 when none. On failure nothing is held. The lock survives
 * fork, also into the background; for a new image of the same process see pidfile_adopt().
 */
int pidfile_open(struct pidfile *p, const char *path, pid_t *taken_over, struct error *e);

/*
 * Takes part in a file that an earlier image of this process has opened and locked; copies the
 * descriptors. -ESTALE: done, but the path leads elsewhere or nowhere by now. Else nothing is held.
 */
int pidfile_adopt(struct pidfile *p, const char *path, int fd, int directory);

/* Writes the calling process's pid; it becomes the owner. After the last fork of daemonizing. */
int pidfile_write(struct pidfile *p, struct error *e);

/*
 * Removes the file if the calling process owns it and the path is still this file; empties it
 * where the directory cannot be written any more (NS-SHD-15). Works from inside a chroot. The
 * lock stays until pidfile_close().
 */
int pidfile_remove(struct pidfile *p, struct error *e);

/*
 * Forgets the file without touching it. Also frees. First thing in every child: one that keeps
 * the descriptor keeps the file locked when the server is gone, and the directory is outside the
 * chroot.
 */
void pidfile_close(struct pidfile *p);

#endif
