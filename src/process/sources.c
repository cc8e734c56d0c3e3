/*
 * Counting clients in and out, and the limits that this is for. The table is sources_table.h's, and
 * who died in the middle of a step sources_doubts.c's.
 */
#include "process/sources_table.h"

#include <errno.h>
#include <sched.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <unistd.h>

#include "base/clock.h"

#define BUCKETS_MIN 1024

/* A rate word: when the interval began, in milliseconds, and how many came since. */
#define RATE_BITS 24
#define RATE_MASK ((UINT64_C(1) << RATE_BITS) - 1)

/* How often a step is tried that others are in the way of; the first few times without a pause. */
#define TRIES 100
#define TRIES_AT_ONCE 10

/* ---- making ---- */

static uint32_t
buckets_for(unsigned room)
{
	uint32_t n = BUCKETS_MIN;

	/* Eight sources a bucket: twice the room, so that few buckets are full of sources with clients. */
	while (n < room / 4)
		n *= 2;
	return n;
}

static int
choose_key(struct sources *s, const struct siphash_key *key)
{
	if (key != NULL)
		s->key = *key;
	else if (getentropy(&s->key, sizeof(s->key)) < 0)
		return -errno;
	return 0;
}

int
sources_new(struct sources **into, unsigned room, unsigned owners, const struct siphash_key *key)
{
	struct sources *s = calloc(1, sizeof(*s));
	int r;

	if (s == NULL)
		return -ENOMEM;
	if ((r = choose_key(s, key)) < 0 || (r = places_new(&s->places, room, owners)) < 0)
		goto free_sources;
	s->buckets = buckets_for(room);
	s->size = sizeof(struct shared) + s->buckets * sizeof(struct bucket);
	s->shared = mmap(NULL, s->size, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	if (s->shared == MAP_FAILED) {
		r = -errno;
		goto free_places;
	}
	*into = s;
	return 0;

free_places:
	places_free(s->places);
free_sources:
	free(s);
	return r;
}

void
sources_free(struct sources *s)
{
	if (s == NULL)
		return;
	munmap(s->shared, s->size);
	places_free(s->places);
	free(s);
}

void
sources_set_rules(struct sources *s, const struct sources_rules *rules)
{
	struct shared *sh = s->shared;

	SET(sh->max_connections, rules->max_connections);
	SET(sh->max_per_source, rules->max_per_source);
	SET(sh->rate, rules->rate);
	SET(sh->interval, rules->interval);
	SET(sh->hold, rules->hold);
}

struct sources_rules
sources_rules(const struct sources *s)
{
	const struct shared *sh = s->shared;

	return (struct sources_rules){
		.max_connections = GET(sh->max_connections),
		.max_per_source = GET(sh->max_per_source),
		.rate = GET(sh->rate),
		.interval = GET(sh->interval),
		.hold = GET(sh->hold),
	};
}

uint64_t
sources_tag(const struct sources *s, const struct source_id *who)
{
	/* Field by field: padding would be hashed as well. */
	uint64_t words[3] = { who->high, who->low, (uint64_t)who->scope << 32 | who->family };
	uint64_t tag = siphash(&s->key, words, sizeof(words));

	return tag != 0 ? tag : 1;
}

/* ---- rate ---- */

static int64_t
milliseconds(int64_t ns)
{
	return ns / CLOCK_MILLISECOND;
}

static int64_t
began(uint64_t rate)
{
	return (int64_t)(rate >> RATE_BITS);
}

static uint64_t
came(uint64_t rate)
{
	return rate & RATE_MASK;
}

static bool
is_over(uint64_t rate, int64_t now, int64_t interval)
{
	return came(rate) == 0 || now < began(rate) || now - began(rate) >= interval;
}

/* One more came. The word as it is then: the interval that it belongs to, and the count. */
static uint64_t
count_one(_Atomic uint64_t *word, int64_t now, int64_t interval)
{
	uint64_t was = atomic_load(word), is;

	do
		is = is_over(was, now, interval) ? (uint64_t)now << RATE_BITS | 1
		    : came(was) < RATE_MASK ? was + 1 : was;
	while (!atomic_compare_exchange_weak(word, &was, is));
	return is;
}

/* Counts a new client of the source, which has one at least and so stays what it is. */
static bool
is_too_fast(struct sources *s, uint32_t entry, int64_t now)
{
	struct bucket *b = bucket_of(s, entry);
	_Atomic int64_t *until = &b->held_until[entry % WAYS];
	_Atomic uint64_t *rate = &b->rate[entry % WAYS];
	int64_t interval = milliseconds(GET(s->shared->interval));
	int64_t hold = milliseconds(GET(s->shared->hold));
	uint64_t is;

	if (GET(s->shared->rate) == 0)
		return false;
	if (GET(*until) > now)
		return true;
	is = count_one(rate, now, interval);
	if (came(is) <= GET(s->shared->rate))
		return false;
	/* Once the hold is over it begins anew. Those who are refused meanwhile do not prolong it. */
	SET(*until, hold > 0 ? clock_after(now, hold) : began(is) + interval);
	SET(*rate, 0);
	return true;
}

/* ---- a source gives way to another ---- */

/* What would be lost with an entry without clients: the least is given up first. */
static uint64_t
worth(const struct sources *s, const struct bucket *b, unsigned way, int64_t now)
{
	uint64_t rate = GET(b->rate[way]);

	if (GET(b->tag[way]) == 0)
		return 0;
	if (GET(b->held_until[way]) > now)
		return RATE_MASK + 3;
	if (is_over(rate, now, milliseconds(GET(s->shared->interval))))
		return 1;
	return 1 + came(rate);
}

/* Of equals the oldest goes, or a newcomer would never see a second client. False: none can. */
static bool
choose_victim(const struct sources *s, uint32_t first, int64_t now, uint32_t *entry, uint64_t *word)
{
	const struct bucket *b = bucket_of(s, first);
	uint64_t least = UINT64_MAX;
	int64_t oldest = 0;
	unsigned i;

	for (i = 0; i < WAYS; i++) {
		uint64_t w = atomic_load(&b->word[i]), value = worth(s, b, i, now);
		int64_t age = began(GET(b->rate[i]));

		if ((w & (LIVE_MASK | LOCKED)) != 0 || value > least ||
		    (value == least && age >= oldest))
			continue;
		least = value;
		oldest = age;
		*entry = first + i;
		*word = w;
	}
	return least != UINT64_MAX;
}

/* With one of the bucket locked: may the tag be written, or is somebody else about to? */
static bool
is_only_writer(const struct sources *s, uint32_t entry, uint64_t tag)
{
	uint32_t first = entry / WAYS * WAYS, e;

	for (e = first; e < first + WAYS; e++)
		if (e != entry && (is_locked(s, e) || atomic_load(tag_of(s, e)) == tag))
			return false;
	return true;
}

enum step {
	STEP_DONE,
	STEP_AGAIN,   /* others were in the way */
	STEP_FULL,    /* the source has all the clients that it may have */
	STEP_NO_ROOM, /* every source of the bucket has clients */
};

/* Makes an entry for a source that has none; its first client is counted with it. */
static enum step
settle_in(struct sources *s, struct place *p, uint64_t tag, int64_t now, uint32_t *entry)
{
	uint32_t first = first_entry(s, tag), e;
	struct bucket *b = bucket_of(s, first);
	uint64_t word;

	for (e = first; e < first + WAYS; e++)
		if (is_locked(s, e))
			return STEP_AGAIN;
	if (!choose_victim(s, first, now, entry, &word))
		return STEP_NO_ROOM;
	mark_meant(p, *entry);
	if (!atomic_compare_exchange_strong(word_of(s, *entry), &word, (word | LOCKED) + VERSION))
		return STEP_AGAIN;
	word += 2 * VERSION;
	/* Two that lock different entries see each other here, one of them at least. */
	if (!is_only_writer(s, *entry, tag)) {
		atomic_store(word_of(s, *entry), word);
		return STEP_AGAIN;
	}
	atomic_store(tag_of(s, *entry), tag);
	SET(b->rate[*entry % WAYS], 0);
	SET(b->held_until[*entry % WAYS], 0);
	atomic_store(word_of(s, *entry), word + 1);
	return STEP_DONE;
}

/* Counts a client for a source that has an entry. */
static enum step
join(struct sources *s, struct place *p, uint64_t tag, uint32_t entry)
{
	uint32_t most = GET(s->shared->max_per_source);
	uint64_t word;

	mark_meant(p, entry);
	word = atomic_load(word_of(s, entry));
	do {
		/* The tag only changes under the lock, and then the word is another: what is found
		   here is so still when the word can be changed. */
		if ((word & LOCKED) != 0 || atomic_load(tag_of(s, entry)) != tag)
			return STEP_AGAIN;
		if (most != 0 && (word & LIVE_MASK) >= most)
			return STEP_FULL;
	} while (!atomic_compare_exchange_weak(word_of(s, entry), &word, word + VERSION + 1));
	return STEP_DONE;
}

static enum step
count_in(struct sources *s, struct place *p, uint64_t tag, int64_t now, uint32_t *entry)
{
	uint32_t first = first_entry(s, tag), e;

	for (e = first; e < first + WAYS; e++)
		if (atomic_load(tag_of(s, e)) == tag) {
			*entry = e;
			return join(s, p, tag, e);
		}
	return settle_in(s, p, tag, now, entry);
}

/* ---- counting out ---- */

/* One less, unless there is none: then the memory was overwritten. */
static void
take_off(_Atomic uint64_t *of)
{
	uint64_t word = atomic_load(of);

	while ((word & LIVE_MASK) != 0 &&
	    !atomic_compare_exchange_weak(of, &word, word + VERSION - 1))
		;
}

static void
count_out(struct sources *s, struct place *p)
{
	uint32_t entry;
	bool counted;

	if (read_mark(s, p, &entry, &counted) && counted) {
		mark_meant(p, entry);
		take_off(word_of(s, entry));
	}
	mark_none(p);
}

/* ---- entering and leaving ---- */

/* The source's own limits. The place says `counted`, or nothing, when it returns. */
static enum tend_refusal
admit(struct sources *s, struct place *p, const struct source_id *who, int64_t now)
{
	uint64_t tag = sources_tag(s, who);
	enum step step = STEP_AGAIN;
	uint32_t entry = 0;
	unsigned tries;

	for (tries = 0; step == STEP_AGAIN && tries < TRIES; tries++) {
		/* Somebody was interrupted between two words, or killed. */
		if (tries > TRIES_AT_ONCE)
			sched_yield();
		step = count_in(s, p, tag, now, &entry);
	}
	if (step != STEP_DONE) {
		mark_none(p);
		return step == STEP_FULL ? TEND_REFUSAL_SOURCE : TEND_REFUSAL_NONE;
	}
	mark_counted(p, entry);
	if (!is_too_fast(s, entry, now))
		return TEND_REFUSAL_NONE;
	count_out(s, p);
	return TEND_REFUSAL_RATE;
}

static void
describe(struct place *p, const struct source_id *who, int64_t now)
{
	SET(p->about, (uint32_t)who->bits << 8 | who->family);
	SET(p->high, who->high);
	SET(p->low, who->low);
	SET(p->since, now);
}

static bool
looks_at_sources(const struct sources *s)
{
	return GET(s->shared->max_per_source) != 0 || GET(s->shared->rate) != 0;
}

enum tend_refusal
sources_enter(struct sources *s, unsigned owner, const struct source_id *who, bool exempt, int64_t now,
	uint32_t *place)
{
	uint32_t most = GET(s->shared->max_connections);
	enum tend_refusal refusal = TEND_REFUSAL_NONE;
	struct place *p;

	*place = places_take(s->places, most != 0 ? most : UINT32_MAX, owner);
	if (*place == 0)
		return exempt ? TEND_REFUSAL_NONE : TEND_REFUSAL_CONNECTIONS;
	p = places_at(s->places, *place);
	if (!exempt && who->family != 0 && looks_at_sources(s))
		refusal = admit(s, p, who, milliseconds(now));
	if (refusal == TEND_REFUSAL_NONE) {
		describe(p, who, now);
		return TEND_REFUSAL_NONE;
	}
	places_leave(s->places, *place);
	*place = 0;
	return refusal;
}

void
sources_leave(struct sources *s, uint32_t place)
{
	if (place == 0)
		return;
	count_out(s, places_at(s->places, place));
	places_leave(s->places, place);
}

void
sources_hand_over(struct sources *s, uint32_t place, unsigned to)
{
	if (place != 0)
		places_hand_over(s->places, place, OWNER_PARENT, to);
}

/* ---- looking ---- */

bool
sources_client(const struct sources *s, uint32_t place, struct sources_client *into)
{
	const struct place *p = places_at(s->places, place);
	unsigned owner = places_owner(s->places, place);
	uint32_t about = GET(p->about);

	if (owner == OWNER_NOBODY || owner == OWNER_DOUBTFUL)
		return false;
	*into = (struct sources_client){
		.owner = owner,
		.who = { .high = GET(p->high), .low = GET(p->low),
			.family = (uint8_t)about, .bits = (uint8_t)(about >> 8) },
		.since = GET(p->since),
	};
	return true;
}

unsigned
sources_room(const struct sources *s)
{
	return places_room(s->places);
}

unsigned
sources_connected(const struct sources *s)
{
	return places_taken(s->places);
}

unsigned
sources_of(const struct sources *s, const struct source_id *who)
{
	uint64_t tag = sources_tag(s, who);
	uint32_t first = first_entry(s, tag), e;

	for (e = first; e < first + WAYS; e++)
		if (atomic_load(tag_of(s, e)) == tag)
			return (unsigned)(atomic_load(word_of(s, e)) & LIVE_MASK);
	return 0;
}

/* Entries of a tag, or only those with clients. */
static unsigned
count_entries(const struct sources *s, bool live)
{
	uint32_t e;
	unsigned n = 0;

	for (e = 0; e < s->buckets * WAYS; e++)
		n += live ? (GET(*word_of(s, e)) & LIVE_MASK) != 0 : GET(*tag_of(s, e)) != 0;
	return n;
}

unsigned
sources_live(const struct sources *s)
{
	return count_entries(s, true);
}

unsigned
sources_known(const struct sources *s)
{
	return count_entries(s, false);
}

size_t
sources_memory(const struct sources *s)
{
	return s->size;
}
