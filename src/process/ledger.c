/*
 * Memory order is relaxed but for the client that is shown: each counter is a report of its own.
 */
#include "process/ledger.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>

/* A reader gives up when the writer is in its way so often: it may have been killed there. */
#define TRIES 16

/* A client's address in three words, behind a count that is odd while they are being written. */
struct shown {
	_Atomic uint32_t sequence;
	_Atomic uint32_t where;
	_Atomic uint64_t address[2];
};

struct page {
	_Alignas(64) struct shown client;
	_Atomic uint64_t counts[LEDGER_COUNTS];
	_Atomic uint64_t took[LEDGER_TOOK];
	_Atomic uint64_t microseconds;
};

/* In the shared mapping. */
struct shared {
	_Alignas(64) _Atomic int log_level;
	struct page pages[];
};

/* In each process. */
struct ledger {
	struct shared *shared;
	size_t         size;
	unsigned       pages;
};

#define GET(word) atomic_load_explicit(&(word), memory_order_relaxed)
#define SET(word, value) atomic_store_explicit(&(word), (value), memory_order_relaxed)
#define ADD(word, n) atomic_fetch_add_explicit(&(word), (n), memory_order_relaxed)

int
ledger_new(struct ledger **into, unsigned pages)
{
	struct ledger *l = calloc(1, sizeof(*l));

	if (l == NULL)
		return -ENOMEM;
	l->pages = pages;
	l->size = sizeof(struct shared) + pages * sizeof(struct page);
	l->shared = mmap(NULL, l->size, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	if (l->shared == MAP_FAILED) {
		int r = -errno;

		free(l);
		return r;
	}
	SET(l->shared->log_level, -1);
	*into = l;
	return 0;
}

void
ledger_free(struct ledger *l)
{
	if (l == NULL)
		return;
	munmap(l->shared, l->size);
	free(l);
}

void
ledger_add(struct ledger *l, unsigned page, enum ledger_count what, uint64_t n)
{
	ADD(l->shared->pages[page].counts[what], n);
}

/* The bucket of a time; the first has all that is too short for it. */
static unsigned
bucket(uint64_t microseconds)
{
	unsigned i = 0;

	for (microseconds >>= LEDGER_FIRST; microseconds > 0 && i < LEDGER_TOOK - 1; i++)
		microseconds >>= 1;
	return i;
}

void
ledger_took(struct ledger *l, unsigned page, int64_t ns)
{
	uint64_t microseconds = ns > 0 ? (uint64_t)ns / 1000 : 0;
	struct page *p = &l->shared->pages[page];

	ADD(p->took[bucket(microseconds)], 1);
	ADD(p->microseconds, microseconds);
}

void
ledger_show(struct ledger *l, unsigned page, const struct ledger_client *client)
{
	static const struct ledger_client nobody;
	struct shown *s = &l->shared->pages[page].client;
	/* One before it that was killed in the middle has left an odd number. */
	uint32_t before = GET(s->sequence) & ~UINT32_C(1);
	uint64_t address[2];

	if (client == NULL) {
		client = &nobody;
		/* Nothing but the family says that there is none. */
		if (GET(s->where) == 0)
			return;
	}
	memcpy(address, client->address, sizeof(address));
	SET(s->sequence, before + 1);
	atomic_thread_fence(memory_order_release);
	SET(s->where, (uint32_t)client->family << 16 | client->port);
	SET(s->address[0], address[0]);
	SET(s->address[1], address[1]);
	atomic_store_explicit(&s->sequence, before + 2, memory_order_release);
}

uint64_t
ledger_sum(const struct ledger *l, enum ledger_count what)
{
	uint64_t sum = 0;
	unsigned i;

	for (i = 0; i < l->pages; i++)
		sum += GET(l->shared->pages[i].counts[what]);
	return sum;
}

/* One look; false when it was written meanwhile. */
static bool
look(const struct shown *s, uint32_t *where, uint64_t address[2])
{
	uint32_t before = atomic_load_explicit(&s->sequence, memory_order_acquire);

	*where = GET(s->where);
	address[0] = GET(s->address[0]);
	address[1] = GET(s->address[1]);
	atomic_thread_fence(memory_order_acquire);
	return (before & 1) == 0 && GET(s->sequence) == before;
}

bool
ledger_client(const struct ledger *l, unsigned page, struct ledger_client *into)
{
	uint64_t address[2];
	uint32_t where;
	int tries = TRIES;

	while (!look(&l->shared->pages[page].client, &where, address))
		if (--tries == 0)
			return false;
	into->family = (uint16_t)(where >> 16);
	into->port = (uint16_t)where;
	memcpy(into->address, address, sizeof(address));
	return into->family != 0;
}

void
ledger_times(const struct ledger *l, struct ledger_times *into)
{
	uint64_t microseconds = 0;
	unsigned i, k;

	*into = (struct ledger_times){ .seconds = 0 };
	for (i = 0; i < l->pages; i++) {
		const struct page *p = &l->shared->pages[i];

		for (k = 0; k < LEDGER_TOOK; k++)
			into->took[k] += GET(p->took[k]);
		microseconds += GET(p->microseconds);
	}
	into->seconds = (double)microseconds / 1e6;
}

_Atomic int *
ledger_log_level(struct ledger *l)
{
	return &l->shared->log_level;
}
