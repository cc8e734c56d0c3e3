/* A seqlock: its one writer never waits, and a reader that met him looks again. */
#include "process/shown.h"

#include <string.h>

/* A reader gives up when the writer is in its way so often: it may have been killed there. */
#define TRIES 16

#define GET(word) atomic_load_explicit(&(word), memory_order_relaxed)
#define SET(word, value) atomic_store_explicit(&(word), (value), memory_order_relaxed)

void
shown_put(struct shown *s, const struct shown_client *client)
{
	static const struct shown_client nobody;
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
shown_get(const struct shown *s, struct shown_client *into)
{
	uint64_t address[2];
	uint32_t where;
	int tries = TRIES;

	while (!look(s, &where, address))
		if (--tries == 0)
			return false;
	into->family = (uint16_t)(where >> 16);
	into->port = (uint16_t)where;
	memcpy(into->address, address, sizeof(address));
	return into->family != 0;
}
