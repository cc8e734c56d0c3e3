/*
 * Executing ourselves: the same process goes on as another image of the program, and what it is
 * handed passes through. The variable that names the handover is gone before main() begins.
 */
#ifndef TEND_PROCESS_REEXEC_H
#define TEND_PROCESS_REEXEC_H

#include "process/handover.h"

#define HANDOVER_VARIABLE "TEND_HANDOVER"

/* Lets all descriptors of `h` pass through exec, or not. */
void reexec_let_pass(const struct handover *h, bool pass);
/* Closes all of them. */
void reexec_close(struct handover *h);

/* A file without a name that holds this, close-on-exec; or -errno. */
int reexec_file(const char *data, size_t size);

/* The program's image as it runs now, whatever has become of its file; or -errno. */
int reexec_open_image(void);

/*
 * Executes h->program, or h->image when `back`, with the arguments, the environment, the directory
 * and the file mask of this process's start, and the text of `h`. Returns only on failure: -errno.
 * Context: all signals blocked, nothing to be finished.
 */
int reexec_execute(struct handover *h, bool back);

/*
 * The same in a child, to ask the new image whether it would start: standard output and error go to
 * `noise`, the answer to the returned file. `pid` is the child's; or -errno.
 */
int reexec_try(struct handover *h, int noise, pid_t *pid);

/*
 * What this process was handed at its start, once; NULL: nothing. The caller owns it, its
 * descriptors are close-on-exec.
 */
struct handover *reexec_take(void);
/* The same, as long as nobody has taken it, to look at. */
const struct handover *reexec_received(void);

/* True in a process that is only asked whether it would start. */
bool reexec_is_trial(void);
/* Its answer: "" is yes, else the sentence of why not. The last one counts. */
void reexec_answer(const char *text);
/* Reads it in the parent. False: there is none. */
bool reexec_read_answer(int file, char *into, size_t size);

#endif
