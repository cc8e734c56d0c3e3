/*
 * How this process was started: what is needed to start it again just so. Remembered by a
 * constructor, before anybody can have changed it; a title is later written over the original.
 */
#ifndef TEND_PROCESS_LAUNCH_H
#define TEND_PROCESS_LAUNCH_H

#include <sys/types.h>

#include "base/error.h"

struct launch {
	char **arguments;
	char **environment;
	char  *directory; /* the working directory; NULL: it could not be told */
	char  *program;   /* absolute path of the file that was executed; NULL: not known */
	mode_t mask;      /* for new files */
	pid_t  pid;       /* the process that began so */
};

/* NULL where the system does not hand its arguments to a library, or without memory. */
const struct launch *launch_get(void);

/* The calling process goes on in place of the one that was started: in the background. */
void launch_passed_on(void);

/* The path that is remembered from an earlier image of this process. Copies. 0 or -ENOMEM. */
int launch_set_program(const char *path);

/*
 * The environment of the start with `extra` ("NAME=value") at its end. Only the array is new: the
 * caller frees it. NULL: out of memory.
 */
char **launch_environment(const char *extra);

/* Puts directory and file mask back to what they were. 0 or -errno of chdir(). */
int launch_restore(void);

#endif
