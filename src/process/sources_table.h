/*
 * The table of sources.c and sources_doubts.c: a row of buckets, each with room for eight sources; which
 * bucket is a source's says a hash under a secret key, and the hash is all that is kept of its address.
 *
 * A source's word holds how many clients it has, a lock for the moment in which it gives way to
 * another source, and a version that every change increments: a change that was decided upon what is
 * no longer so fails, and is decided again.
 *
 * Before a process touches a word it writes down in its place which one: `meant`. Once that is done
 * the place says `counted`. So of a process that was killed it is known which source it left in doubt.
 */
#ifndef TEND_PROCESS_SOURCES_TABLE_H
#define TEND_PROCESS_SOURCES_TABLE_H

#include "process/sources.h"

#define WAYS 8

#define LIVE_MASK UINT64_C(0x00ffffff)
#define LOCKED (UINT64_C(1) << 24)
#define VERSION (UINT64_C(1) << 32)

#define GET(word) atomic_load_explicit(&(word), memory_order_relaxed)
#define SET(word, value) atomic_store_explicit(&(word), (value), memory_order_relaxed)

/* Tags have a line of memory to themselves: most looks end there. */
struct bucket {
	_Alignas(64) _Atomic uint64_t tag[WAYS]; /* 0: free */
	_Atomic uint64_t word[WAYS];
	_Atomic uint64_t rate[WAYS];
	_Atomic int64_t  held_until[WAYS]; /* milliseconds */
};

/* What all processes read, and the parent alone writes. */
struct shared {
	_Alignas(64) _Atomic uint32_t max_connections, max_per_source, rate;
	_Atomic int64_t interval, hold;
	struct bucket   buckets[];
};

struct sources {
	struct shared     *shared;
	size_t             size;
	uint32_t           buckets; /* a power of two */
	struct siphash_key key;
	struct places     *places;
	unsigned           doubts; /* the parent's: places whose source is to be counted */
};

/* ---- entries ---- */

/* The index of a source's entry in the whole table tells its bucket and its way. */
static inline struct bucket *
bucket_of(const struct sources *s, uint32_t entry)
{
	return &s->shared->buckets[entry / WAYS];
}

static inline uint32_t
first_entry(const struct sources *s, uint64_t tag)
{
	return (uint32_t)(tag & (s->buckets - 1)) * WAYS;
}

static inline _Atomic uint64_t *
word_of(const struct sources *s, uint32_t entry)
{
	return &bucket_of(s, entry)->word[entry % WAYS];
}

static inline _Atomic uint64_t *
tag_of(const struct sources *s, uint32_t entry)
{
	return &bucket_of(s, entry)->tag[entry % WAYS];
}

static inline bool
is_locked(const struct sources *s, uint32_t entry)
{
	return (atomic_load(word_of(s, entry)) & LOCKED) != 0;
}

/* ---- marks: what a place says of its source ---- */

static inline void
mark_meant(struct place *p, uint32_t entry)
{
	atomic_store_explicit(&p->source, (entry + 1) << 1, memory_order_release);
}

static inline void
mark_counted(struct place *p, uint32_t entry)
{
	atomic_store_explicit(&p->source, (entry + 1) << 1 | 1, memory_order_release);
}

static inline void
mark_none(struct place *p)
{
	atomic_store_explicit(&p->source, 0, memory_order_release);
}

/* False: it has no source. A number that cannot be, of memory that was overwritten, is none. */
static inline bool
read_mark(const struct sources *s, const struct place *p, uint32_t *entry, bool *counted)
{
	uint32_t mark = atomic_load_explicit(&p->source, memory_order_acquire);

	*counted = mark & 1;
	*entry = (mark >> 1) - 1;
	return mark >> 1 != 0 && *entry < s->buckets * WAYS;
}

#endif
