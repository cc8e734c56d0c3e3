/* The page of shared memory behind a log: losses and the times of retries. */
#include "log/shared.h"

#include <sys/mman.h>

#include "base/clock.h"

/* So long is nobody asked after a first failure, and after the last of many. */
#define PAUSE_FIRST (100 * CLOCK_MILLISECOND)
#define PAUSE_LAST (2 * CLOCK_SECOND)

struct log_shared *
log_shared_new(void)
{
	void *page = mmap(NULL, sizeof(struct log_shared), PROT_READ | PROT_WRITE,
	    MAP_SHARED | MAP_ANONYMOUS, -1, 0);

	return page != MAP_FAILED ? page : NULL;
}

void
log_shared_free(struct log_shared *s)
{
	if (s != NULL)
		munmap(s, sizeof(*s));
}

void
log_shared_lose(struct log_shared *s, unsigned long lines, int64_t since, int code)
{
	if (__atomic_fetch_add(&s->lost, lines, __ATOMIC_RELAXED) == 0)
		SHARED_SET(s->lost_since, since);
	SHARED_SET(s->lost_code, code);
}

bool
log_shared_may_try(struct log_shared *s)
{
	int64_t at = SHARED_GET(s->retry_at), now;

	if (at == 0)
		return true;
	now = clock_now();
	/* Whoever moves the time on takes the turn; if it is killed in it, the next is due then. */
	return now >= at && __atomic_compare_exchange_n(&s->retry_at, &at, now + PAUSE_LAST, false,
	    __ATOMIC_RELAXED, __ATOMIC_RELAXED);
}

void
log_shared_tried(struct log_shared *s, int code)
{
	int64_t pause = SHARED_GET(s->pause);

	if (code == 0) {
		SHARED_SET(s->retry_at, 0);
		SHARED_SET(s->pause, 0);
		return;
	}
	SHARED_SET(s->lost_code, code);
	pause = pause < PAUSE_FIRST ? PAUSE_FIRST : pause * 2;
	pause = pause < PAUSE_LAST ? pause : PAUSE_LAST;
	SHARED_SET(s->pause, pause);
	SHARED_SET(s->retry_at, clock_now() + pause);
}
