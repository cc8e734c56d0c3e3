/*
 * Memory that all processes of a server share. The memory order is relaxed: each word is a report of
 * its own, and nobody draws a conclusion about one from another. Waking the master is the exception:
 * who finds it woken already, or compares with a threshold that is about to change, must be sure
 * that the master has yet to look.
 */
#include "process/board.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/mman.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/hot.h"

#define NOBODY UINT32_MAX

/* In the shared mapping. */
struct shared {
	_Alignas(64) _Atomic int32_t  waiting;    /* workers that wait; a hint, see board_recount() */
	_Atomic int32_t  wake_below; /* the master wants to know when fewer wait */
	_Atomic uint32_t woken;      /* the master has been woken and has not looked yet */
	_Atomic uint32_t awaited;    /* the master wants to know when one arrives */
	_Atomic uint32_t arrived;    /* workers that have come to where they serve */
	_Atomic int64_t  last_busy;
	_Alignas(64) _Atomic uint64_t served_before; /* by children whose slots were given back */
	struct board_slot slots[];
};

/* In each process. */
struct board {
	struct shared *shared;
	size_t         size;
	unsigned       slots;
	uint32_t       mine;
	/* The state that I last reported: mine to know, whatever the slot says. */
	_Atomic uint32_t said;
	int            wake_fd;
	bool           borrowed; /* this memory is the caller's */
	uint8_t        claimed[]; /* by slot: the state at its child's birth; SLOT_FREE: no child.
	                             The master's alone, so that nobody can make it lose a child */
};

#define GET(word) atomic_load_explicit(&(word), memory_order_relaxed)
#define SET(word, value) atomic_store_explicit(&(word), (value), memory_order_relaxed)
#define ADD(word, n) atomic_fetch_add_explicit(&(word), (n), memory_order_relaxed)

size_t
board_size(unsigned slots)
{
	return sizeof(struct board) + slots * sizeof(((struct board *)0)->claimed[0]);
}

static void
free_board(struct board *b)
{
	if (!b->borrowed)
		free(b);
}

int
board_new(struct board **into, unsigned slots, void *memory)
{
	struct board *b = memory != NULL ? memory : calloc(1, board_size(slots));

	if (b == NULL)
		return -ENOMEM;
	b->borrowed = memory != NULL;
	b->slots = slots;
	b->mine = NOBODY;
	b->wake_fd = -1;
	b->size = sizeof(struct shared) + slots * sizeof(struct board_slot);
	b->shared = mmap(NULL, b->size, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	if (b->shared == MAP_FAILED) {
		int r = -errno;

		free_board(b);
		return r;
	}
	*into = b;
	return 0;
}

void
board_free(struct board *b)
{
	if (b == NULL)
		return;
	munmap(b->shared, b->size);
	if (b->wake_fd >= 0)
		close(b->wake_fd);
	free_board(b);
}

int
board_let_wake(struct board *b)
{
	b->wake_fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
	return b->wake_fd >= 0 ? b->wake_fd : -errno;
}

int
board_wake_fd(const struct board *b)
{
	return b->wake_fd;
}

void
board_woken(struct board *b)
{
	uint64_t count;
	ssize_t n = read(b->wake_fd, &count, sizeof(count));

	(void)n; /* -EAGAIN: woken for another reason */
	/* The flag last: a worker that comes after it writes again, one before it is seen now. The
	   other way round, the read could take the word of a worker whose flag then stays. */
	atomic_exchange_explicit(&b->shared->woken, 0, memory_order_acq_rel);
}

int
board_claim(struct board *b, enum slot_state state)
{
	unsigned i;

	for (i = 0; i < b->slots; i++) {
		struct board_slot *s = &b->shared->slots[i];

		if (b->claimed[i] != SLOT_FREE)
			continue;
		b->claimed[i] = (uint8_t)state;
		ADD(s->generation, 1);
		/* A child that is born with its client has begun with it. */
		SET(s->served, state == SLOT_BUSY ? 1 : 0);
		SET(s->clients, state == SLOT_BUSY ? 1 : 0);
		SET(s->retire, 0);
		SET(s->leaving, 0);
		SET(s->arrived, 0);
		SET(s->pid, 0);
		SET(s->since, clock_coarse());
		SET(s->works, GET(s->since));
		SET(s->state, (uint32_t)state);
		if (state == SLOT_WAITING)
			ADD(b->shared->waiting, 1);
		return (int)i;
	}
	return -ENOSPC;
}

void
board_release(struct board *b, unsigned slot)
{
	struct board_slot *s = &b->shared->slots[slot];

	if (GET(s->state) == SLOT_WAITING)
		ADD(b->shared->waiting, -1);
	ADD(b->shared->served_before, GET(s->served));
	SET(s->served, 0);
	SET(s->clients, 0);
	SET(s->pid, 0);
	SET(s->state, SLOT_FREE);
	b->claimed[slot] = SLOT_FREE;
}

void
board_set_pid(struct board *b, unsigned slot, pid_t pid)
{
	SET(b->shared->slots[slot].pid, (int32_t)pid);
}

static void
wake_master(struct board *b)
{
	static const uint64_t one = 1;
	ssize_t n;

	if (atomic_exchange_explicit(&b->shared->woken, 1, memory_order_acq_rel) != 0)
		return;
	n = write(b->wake_fd, &one, sizeof(one));
	(void)n; /* the counter is full: the master has been woken often enough */
}

void
board_arrive(struct board *b)
{
	if (b->mine != NOBODY)
		SET(b->shared->slots[b->mine].arrived, 1);
	atomic_fetch_add(&b->shared->arrived, 1);
	if (atomic_load(&b->shared->awaited) != 0)
		wake_master(b);
}

unsigned
board_arrived(const struct board *b)
{
	return atomic_load(&b->shared->arrived);
}

bool
board_has_arrived(const struct board *b, unsigned slot)
{
	return GET(b->shared->slots[slot].arrived) != 0;
}

void
board_await(struct board *b, bool yes)
{
	atomic_store(&b->shared->awaited, yes);
}

void
board_ask_to_retire(struct board *b, unsigned slot)
{
	SET(b->shared->slots[slot].retire, 1);
}

void
board_let_stay(struct board *b, unsigned slot)
{
	SET(b->shared->slots[slot].retire, 0);
}

bool
board_asked_to_retire(const struct board *b)
{
	return b->mine != NOBODY && GET(b->shared->slots[b->mine].retire) != 0;
}

void
board_leave(struct board *b)
{
	if (b->mine == NOBODY)
		return;
	SET(b->shared->slots[b->mine].leaving, 1);
	wake_master(b);
}

bool
board_is_leaving(const struct board *b, unsigned slot)
{
	return GET(b->shared->slots[slot].leaving) == 1;
}

uint64_t
board_my_served(const struct board *b)
{
	return b->mine != NOBODY ? GET(b->shared->slots[b->mine].served) : 0;
}

bool
board_am_busy(const struct board *b)
{
	return b->mine != NOBODY && GET(b->shared->slots[b->mine].state) == SLOT_BUSY;
}

void
board_wake_below(struct board *b, unsigned waiting)
{
	atomic_store(&b->shared->wake_below, (int32_t)waiting);
	/* A worker that became busy while the master decided has compared with the old threshold. A
	   counter that is too low would wake the master for ever, so the slots must agree. */
	if (atomic_load(&b->shared->waiting) < (int32_t)waiting && board_count(b).waiting < waiting)
		wake_master(b);
}

void
board_mine(struct board *b, unsigned slot)
{
	b->mine = slot;
	SET(b->said, GET(b->shared->slots[slot].state));
}

/* A dequeue child is none of those that are counted here. */
static bool
reports(const struct board *b)
{
	return b->mine != NOBODY && GET(b->said) != SLOT_DEQUEUE;
}

/* From now on its child counts as one that serves. */
static void
begin_work(struct board *b, struct board_slot *s)
{
	struct shared *shared = b->shared;
	int64_t now = clock_coarse();
	uint32_t before;
	int32_t left;

	SET(b->said, SLOT_BUSY);
	before = atomic_exchange(&s->state, SLOT_BUSY);
	SET(s->since, now);
	SET(s->works, now);
	/* A line that all workers write to: only when it would say something new. */
	if (GET(shared->last_busy) != now)
		SET(shared->last_busy, now);
	/* It may have said so before a client came: it is one that waits no more only once. */
	if (before != SLOT_WAITING)
		return;
	left = atomic_fetch_sub(&shared->waiting, 1) - 1;
	if (left < atomic_load(&shared->wake_below))
		wake_master(b);
}

static void
end_work(struct board *b, struct board_slot *s)
{
	uint32_t before;

	SET(b->said, SLOT_WAITING);
	before = atomic_exchange(&s->state, SLOT_WAITING);
	SET(s->since, clock_coarse());
	if (before != SLOT_WAITING)
		ADD(b->shared->waiting, 1);
}

void
board_pause(struct board *b)
{
	if (b->mine != NOBODY)
		SET(b->shared->slots[b->mine].works, 0);
}

void
board_resume(struct board *b)
{
	if (b->mine != NOBODY)
		SET(b->shared->slots[b->mine].works, clock_coarse());
}

void
board_busy(struct board *b)
{
	struct board_slot *s;

	if (!reports(b))
		return;
	s = &b->shared->slots[b->mine];
	SET(s->served, GET(s->served) + 1);
	SET(s->clients, 1);
	begin_work(b, s);
}

void
board_waiting(struct board *b)
{
	struct board_slot *s;

	if (!reports(b))
		return;
	s = &b->shared->slots[b->mine];
	SET(s->clients, 0);
	end_work(b, s);
}

/*
 * One thread may come here with the first client while another leaves with the last: whoever was
 * overtaken looks again, and each change of state is counted by the one that made it.
 */
static void
say_what_it_does(struct board *b, struct board_slot *s)
{
	bool busy;

	do {
		busy = atomic_load(&s->clients) > 0;
		if (busy)
			begin_work(b, s);
		else
			end_work(b, s);
	} while (busy != (atomic_load(&s->clients) > 0));
}

void
board_opened(struct board *b)
{
	struct board_slot *s;

	if (!reports(b))
		return;
	s = &b->shared->slots[b->mine];
	ADD(s->served, 1);
	if (atomic_fetch_add(&s->clients, 1) == 0)
		say_what_it_does(b, s);
}

void
board_closed(struct board *b)
{
	struct board_slot *s;

	if (!reports(b))
		return;
	s = &b->shared->slots[b->mine];
	if (atomic_fetch_sub(&s->clients, 1) == 1)
		say_what_it_does(b, s);
}

HOT void
board_say_again(struct board *b)
{
	struct board_slot *s;
	uint32_t before, said;

	if (b->mine == NOBODY)
		return;
	s = &b->shared->slots[b->mine];
	said = GET(b->said);
	before = GET(s->state);
	if (before == said)
		return;
	SET(s->state, said);
	if (before == SLOT_WAITING || said == SLOT_WAITING)
		ADD(b->shared->waiting, said == SLOT_WAITING ? 1 : -1);
}

unsigned
board_slots(const struct board *b)
{
	return b->slots;
}

enum slot_state
board_state(const struct board *b, unsigned slot)
{
	uint32_t state = GET(b->shared->slots[slot].state);

	return state < SLOT_STATES ? (enum slot_state)state : SLOT_STATES;
}

int64_t
board_works_since(const struct board *b, unsigned slot)
{
	return board_state(b, slot) == SLOT_BUSY ? GET(b->shared->slots[slot].works) : 0;
}

uint64_t
board_served_by(const struct board *b, unsigned slot)
{
	return GET(b->shared->slots[slot].served);
}

uint32_t
board_clients_of(const struct board *b, unsigned slot)
{
	return GET(b->shared->slots[slot].clients);
}

int64_t
board_since(const struct board *b, unsigned slot)
{
	return GET(b->shared->slots[slot].since);
}

uint64_t
board_served(const struct board *b)
{
	uint64_t sum = GET(b->shared->served_before);
	unsigned i;

	for (i = 0; i < b->slots; i++)
		sum += GET(b->shared->slots[i].served);
	return sum;
}

int64_t
board_last_busy(const struct board *b)
{
	return GET(b->shared->last_busy);
}

struct board_tally
board_count(const struct board *b)
{
	struct board_tally t = { 0, 0, 0, 0 };
	unsigned i;

	for (i = 0; i < b->slots; i++) {
		switch (board_state(b, i)) {
		case SLOT_FREE:
			break;
		case SLOT_WAITING:
			t.waiting++;
			break;
		case SLOT_BUSY:
			t.busy++;
			break;
		case SLOT_DEQUEUE:
			t.dequeue++;
			break;
		case SLOT_STATES:
			t.unsound++;
			break;
		}
	}
	return t;
}

/* What a slot may say, by what its child is. */
static bool
is_possible(uint8_t claimed, uint32_t state)
{
	if (claimed == SLOT_FREE || claimed == SLOT_DEQUEUE)
		return state == claimed;
	return state == SLOT_WAITING || state == SLOT_BUSY;
}

unsigned
board_rebuild(struct board *b)
{
	unsigned i, wrong = 0;

	for (i = 0; i < b->slots; i++) {
		struct board_slot *s = &b->shared->slots[i];
		uint8_t claimed = b->claimed[i];

		if (is_possible(claimed, GET(s->state)))
			continue;
		/* Better one too many that is started than a client that waits for a busy worker. */
		SET(s->state, claimed == SLOT_WAITING ? SLOT_BUSY : claimed);
		SET(s->retire, 0);
		wrong++;
	}
	return wrong;
}

int
board_recount(struct board *b)
{
	uint32_t seen = (uint32_t)GET(b->shared->waiting);
	uint32_t truth = board_count(b).waiting;

	/* A worker that changes its state meanwhile makes this wrong by one until the next time.
	   Without signs: what was overwritten may hold any number. */
	if (seen != truth)
		ADD(b->shared->waiting, (int32_t)(truth - seen));
	return (int32_t)(seen - truth);
}
