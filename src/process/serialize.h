/*
 * One worker at a time waits for a connection: the four ways of Net::Server (NS-SER-01 to -07). The
 * kernel does it better (EPOLLEXCLUSIVE), so "none" is the default and the others are there for conf
 * files that ask.
 *
 * The turn is held only while waiting and accepting. A worker that dies with it does not keep it: the
 * kernel gives back flock and semaphore, and the master the turn of the pipe.
 */
#ifndef TEND_PROCESS_SERIALIZE_H
#define TEND_PROCESS_SERIALIZE_H

#include <stdatomic.h>
#include <stdbool.h>
#include <sys/types.h>

#include "base/error.h"

enum serialize_how { SERIALIZE_NONE, SERIALIZE_FLOCK, SERIALIZE_SEMAPHORE, SERIALIZE_PIPE };

struct serialize {
	enum serialize_how how;
	bool  held;           /* by this process */
	int   lock_fd;        /* flock: opened by each worker for itself */
	char *lock_file;
	bool  lock_file_is_ours;
	int   semaphore;
	int   token[2];       /* pipe: wakes one who waits for the turn */
	_Atomic pid_t *holder; /* pipe: whose turn it is, 0: nobody's; shared */
	int   lifeline;       /* of a worker: readable once the master is gone; -1: none */
};

/* Master, before the first fork. `lock_file` may be NULL: a temporary one, removed at the end. */
int  serialize_open(struct serialize *s, enum serialize_how how, const char *lock_file,
	struct error *e);
/* Master, in the end. */
void serialize_close(struct serialize *s);
/* Master: this child is gone; its turn goes on. */
void serialize_died(struct serialize *s, pid_t pid);

/* Worker, once. */
int  serialize_join(struct serialize *s, struct error *e);

/*
 * Worker. Waits for the turn. 0, or -EINTR when a signal came first or the lifeline ended: look at
 * them and ask again. Other errors are reported and mean that workers go on without turns.
 */
int  serialize_wait(struct serialize *s, int interrupt_fd);
void serialize_pass(struct serialize *s);

/* "flock", ...; for the log. */
const char *serialize_name(enum serialize_how how);

#endif
