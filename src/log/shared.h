/*
 * What the processes of a server know together about their log: the lines that were lost, whoever
 * lost them, and when a collector that is gone will be looked for again. So a child that lives for
 * one client leaves its losses behind for another to tell, and of many workers one at a time knocks
 * at a door that stays closed.
 *
 * A page of shared memory made before the first fork. Everything in it is one atomic word, so a
 * process may be killed between any two instructions.
 */
#ifndef TEND_LOG_SHARED_H
#define TEND_LOG_SHARED_H

#include <tend/base.h>

struct log_shared {
	unsigned long lost;       /* lines since the last report */
	int64_t       lost_since; /* of the wall clock, seconds; when the first of them was lost */
	int           lost_code;  /* why the last of them was: a negative errno */
	bool          torn;       /* a piece of a line stands at the end of the file */
	unsigned      opened;     /* how often all processes were asked to open the log anew */
	int64_t       retry_at;   /* of the monotonic clock; 0: at once */
	int64_t       pause;      /* how long the last wait was */
	unsigned      mended;     /* how often a process has found a lost collector again */
};

/* NULL: no memory. */
struct log_shared *log_shared_new(void);
void               log_shared_free(struct log_shared *s);

/* Counts lines that were lost for the reason `code`. */
void log_shared_lose(struct log_shared *s, unsigned long lines, int64_t since, int code);

/* True when a try to reach the collector is due and this caller is the one to make it. */
bool log_shared_may_try(struct log_shared *s);
/* How the try went: 0, or a reason. After a failure there is a pause, longer than the one before. */
void log_shared_tried(struct log_shared *s, int code);

/* Atomic access, for words that only one of the above does not cover. */
#define SHARED_GET(member) __atomic_load_n(&(member), __ATOMIC_RELAXED)
#define SHARED_SET(member, value) __atomic_store_n(&(member), (value), __ATOMIC_RELAXED)

#endif
