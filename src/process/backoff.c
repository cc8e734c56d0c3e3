/* Pauses between attempts. */
#include "process/backoff.h"

#include "base/clock.h"

#define BACKOFF_FIRST (100 * CLOCK_MILLISECOND)
#define BACKOFF_LONGEST (10 * CLOCK_SECOND)

void
backoff_failed(struct backoff *b, int64_t now)
{
	/* Several failures of one pause are one: a batch of ten dies together. */
	if (now < b->until)
		return;
	b->pause = b->pause == 0 ? BACKOFF_FIRST : b->pause * 2;
	if (b->pause > BACKOFF_LONGEST)
		b->pause = BACKOFF_LONGEST;
	b->until = now + b->pause;
}

void
backoff_succeeded(struct backoff *b)
{
	b->pause = 0;
	b->until = 0;
}

int64_t
backoff_left(const struct backoff *b, int64_t now)
{
	return b->until > now ? b->until - now : 0;
}
