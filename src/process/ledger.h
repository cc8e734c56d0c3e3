/*
 * The ledger: what the processes of a server count for those who look on (the control socket, the
 * metrics), beside the board, which has what the master needs to do its work. There is none unless
 * somebody may look: then each child has a page of it, and the master one of its own, made before
 * the first fork. Memory that is shared, never grown, without a lock.
 *
 * A page belongs to a slot of the board and is written only by the process that has the slot; what
 * was counted stays when the next child gets it, so that the sum over all pages is that of all
 * children there ever were. Threads of one process may share its page.
 */
#ifndef TEND_PROCESS_LEDGER_H
#define TEND_PROCESS_LEDGER_H

#include <stdatomic.h>
#include <sys/types.h>

#include <tend/base.h>

#include "process/shown.h"

struct conn_traffic;

enum ledger_count {
	LEDGER_DENIED_RULES,   /* by allow, deny, cidr_allow, cidr_deny */
	LEDGER_DENIED_SERVICE, /* by the hook `allow` */
	LEDGER_HANDSHAKE_FAILED,
	LEDGER_TIMED_OUT,      /* connections that met one of their deadlines */
	LEDGER_ACCEPT_ERRORS,
	LEDGER_COUNTS,
};

/* How long connections took: took[i] of them less than 2^(i + LEDGER_FIRST) microseconds and not
   less than half of it; the last one has the rest. */
#define LEDGER_FIRST 6
#define LEDGER_TOOK 22

struct ledger;

/* Room for `pages`. -ENOMEM or another errno of mmap(). */
int  ledger_new(struct ledger **into, unsigned pages);
/* Unmaps in this process. NULL is accepted. */
void ledger_free(struct ledger *l);

/* The owner of the page. */
void ledger_count(struct ledger *l, unsigned page, enum ledger_count what);
void ledger_took(struct ledger *l, unsigned page, int64_t ns);
/* Where it shows its client. One at a time: who serves many shows none of them. */
struct shown *ledger_shown(struct ledger *l, unsigned page);
/* Where its one thread counts the bytes of its connections. */
struct conn_traffic *ledger_traffic(struct ledger *l, unsigned page);

/* Anybody. */
uint64_t ledger_sum(const struct ledger *l, enum ledger_count what);
/* Adds what all pages have. */
void     ledger_add_traffic(const struct ledger *l, uint64_t *received, uint64_t *sent);

struct ledger_times {
	uint64_t took[LEDGER_TOOK];
	double   seconds; /* of all of them */
};
void ledger_times(const struct ledger *l, struct ledger_times *into);

/*
 * A word for all processes: the level of the log that was asked for at work, below zero as long as
 * nobody has.
 */
_Atomic int *ledger_log_level(struct ledger *l);
/* Another: the option log_trace, as it is now. */
_Atomic bool *ledger_trace(struct ledger *l);

#endif
