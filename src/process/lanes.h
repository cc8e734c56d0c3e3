/*
 * Lanes: what each thread of a child does, where its slot of the board says what all of them do
 * together. Memory that all processes of a server share, made before the first fork and never
 * grown: so many lanes for each slot of the board. A thread writes its own lane; everybody may
 * read.
 */
#ifndef TEND_PROCESS_LANES_H
#define TEND_PROCESS_LANES_H

#include "process/board.h"
#include "process/shown.h"

struct conn_traffic;
struct lanes;

/* Room for `threads` of each of `children`, and all of them allowed. -ENOMEM or another errno of mmap(). */
int  lanes_new(struct lanes **into, unsigned children, unsigned threads);
/* Unmaps in this process. NULL is accepted. */
void lanes_free(struct lanes *l);

/* For how many threads of a child there is room. */
unsigned lanes_room(const struct lanes *l);

/* Master. So many threads may a child have from now on; and what a child reads of it. */
void     lanes_allow(struct lanes *l, unsigned threads);
unsigned lanes_allowed(const struct lanes *l);

/* Master. The child of this slot was reaped, and its threads with it. */
void lanes_release(struct lanes *l, unsigned slot);

/* A thread, or who makes it: it is there and waits; serves a client; waits again; is gone. */
void lanes_start(struct lanes *l, unsigned slot, unsigned lane);
void lanes_busy(struct lanes *l, unsigned slot, unsigned lane);
void lanes_waiting(struct lanes *l, unsigned slot, unsigned lane);
void lanes_end(struct lanes *l, unsigned slot, unsigned lane);
/* A thread. Its handler waits, for the client or for time to pass; and works on (option busy_timeout). */
void lanes_pause(struct lanes *l, unsigned slot, unsigned lane);
void lanes_resume(struct lanes *l, unsigned slot, unsigned lane);
/* Where it shows its client, and where it counts bytes, which stay when the lane goes to another. */
struct shown *lanes_shown(struct lanes *l, unsigned slot, unsigned lane);
struct conn_traffic *lanes_traffic(struct lanes *l, unsigned slot, unsigned lane);

/* Anybody. SLOT_FREE: there is no such thread; SLOT_STATES: the lane was overwritten. */
enum slot_state lanes_state(const struct lanes *l, unsigned slot, unsigned lane);
uint64_t        lanes_served(const struct lanes *l, unsigned slot, unsigned lane);
int64_t         lanes_since(const struct lanes *l, unsigned slot, unsigned lane);
int64_t         lanes_born(const struct lanes *l, unsigned slot, unsigned lane);
/* From this one on no thread has ever been. */
unsigned        lanes_end_of_use(const struct lanes *l);
/* Adds what all threads have counted that there ever were. */
void            lanes_add_traffic(const struct lanes *l, uint64_t *received, uint64_t *sent);
/* Since when one of the child's threads has worked without waiting, the longest; 0: none does. */
int64_t         lanes_works_since(const struct lanes *l, unsigned slot);

#endif
