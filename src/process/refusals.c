/*
 * Counting what was refused. How many sources there were is estimated with a few bits: each source
 * sets one of 64 by its hash, and as many as are set, so many sources there were, or more.
 */
#include "process/refusals.h"

#include <errno.h>
#include <stdlib.h>
#include <sys/mman.h>

#include "base/clock.h"

#define GET(word) atomic_load_explicit(&(word), memory_order_relaxed)
#define SET(word, value) atomic_store_explicit(&(word), (value), memory_order_relaxed)
#define ADD(word, n) atomic_fetch_add_explicit(&(word), (n), memory_order_relaxed)

struct tally {
	_Alignas(64) _Atomic uint64_t count;
	_Atomic uint64_t untold;
	_Atomic uint64_t sources; /* the bits, of those untold */
	_Atomic int64_t  told;    /* when; 0: never */
	_Atomic int64_t  since;   /* the first that is untold */
	_Alignas(64) _Atomic uint64_t high, low;
	_Atomic uint64_t about; /* scope, bits, family */
	_Atomic uint64_t tag;
};

struct refusals {
	struct tally *by_reason; /* shared */
	size_t        size;
};

int
refusals_new(struct refusals **into)
{
	struct refusals *r = calloc(1, sizeof(*r));

	if (r == NULL)
		return -ENOMEM;
	r->size = TEND_REFUSALS * sizeof(*r->by_reason);
	r->by_reason =
	    mmap(NULL, r->size, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	if (r->by_reason == MAP_FAILED) {
		int code = -errno;

		free(r);
		return code;
	}
	*into = r;
	return 0;
}

void
refusals_free(struct refusals *r)
{
	if (r == NULL)
		return;
	munmap(r->by_reason, r->size);
	free(r);
}

void
refusals_note(struct refusals *r, enum tend_refusal why, const struct source_id *who, uint64_t tag,
	int64_t now)
{
	struct tally *t = &r->by_reason[why];

	ADD(t->count, 1);
	SET(t->high, who->high);
	SET(t->low, who->low);
	SET(t->about, (uint64_t)who->scope << 16 | (uint64_t)who->bits << 8 | who->family);
	SET(t->tag, tag);
	atomic_fetch_or_explicit(&t->sources, UINT64_C(1) << (tag >> 58), memory_order_relaxed);
	if (ADD(t->untold, 1) == 0)
		SET(t->since, now);
}

uint64_t
refusals_count(const struct refusals *r, enum tend_refusal why)
{
	return GET(r->by_reason[why].count);
}

static unsigned
bits_of(uint64_t n)
{
	unsigned bits = 0;

	for (; n != 0; n &= n - 1)
		bits++;
	return bits;
}

static struct source_id
latest_of(const struct tally *t)
{
	uint64_t about = GET(t->about);

	return (struct source_id){
		.high = GET(t->high),
		.low = GET(t->low),
		.scope = (uint32_t)(about >> 16),
		.bits = (uint8_t)(about >> 8),
		.family = (uint8_t)about,
	};
}

bool
refusals_news(struct refusals *r, enum tend_refusal why, int64_t now, int64_t interval, bool at_once,
	struct refusals_news *into, int64_t *due)
{
	struct tally *t = &r->by_reason[why];
	int64_t told = GET(t->told), next = told == 0 ? now : clock_after(told, interval);

	if (due != NULL)
		*due = CLOCK_NEVER;
	if (GET(t->untold) == 0)
		return false;
	if (now < next && !at_once) {
		if (due != NULL)
			*due = next;
		return false;
	}
	if (!atomic_compare_exchange_strong(&t->told, &told, now))
		return false;
	*into = (struct refusals_news){
		.during = now - GET(t->since),
		.sources = bits_of(atomic_exchange(&t->sources, 0)),
		.latest = latest_of(t),
		.latest_tag = GET(t->tag),
		.count = atomic_exchange(&t->untold, 0),
	};
	return into->count > 0;
}
