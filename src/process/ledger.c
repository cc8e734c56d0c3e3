/* Memory order is relaxed: each counter is a report of its own. */
#include "process/ledger.h"

#include <errno.h>
#include <stdlib.h>
#include <sys/mman.h>

#include "net/conn.h"

struct page {
	_Alignas(64) struct shown client;
	struct conn_traffic traffic;
	_Atomic uint64_t counts[LEDGER_COUNTS];
	_Atomic uint64_t took[LEDGER_TOOK];
	_Atomic uint64_t microseconds;
};

/* In the shared mapping. */
struct shared {
	_Alignas(64) _Atomic int log_level;
	_Atomic bool trace;
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
ledger_count(struct ledger *l, unsigned page, enum ledger_count what)
{
	ADD(l->shared->pages[page].counts[what], 1);
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

struct shown *
ledger_shown(struct ledger *l, unsigned page)
{
	return &l->shared->pages[page].client;
}

struct conn_traffic *
ledger_traffic(struct ledger *l, unsigned page)
{
	return &l->shared->pages[page].traffic;
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

void
ledger_add_traffic(const struct ledger *l, uint64_t *received, uint64_t *sent)
{
	unsigned i;

	for (i = 0; i < l->pages; i++) {
		*received += GET(l->shared->pages[i].traffic.received);
		*sent += GET(l->shared->pages[i].traffic.sent);
	}
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

_Atomic bool *
ledger_trace(struct ledger *l)
{
	return &l->shared->trace;
}

_Atomic int *
ledger_log_level(struct ledger *l)
{
	return &l->shared->log_level;
}
