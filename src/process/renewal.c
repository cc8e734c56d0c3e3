/* The pace of replacing. */
#include "process/renewal.h"

#include "base/clock.h"
#include "base/count.h"

/* One of so many may be missing. */
#define SHARE 8

unsigned
renewal_share(unsigned workers)
{
	return workers > SHARE ? workers / SHARE : 1;
}

struct renewal_plan
renewal_decide(const struct renewal_view *v)
{
	if (v->wanted > 0) {
		unsigned tell = count_least(v->worn, count_above(v->serving, v->wanted));

		return (struct renewal_plan){
			.tell = tell,
			.ahead = count_least(v->worn - tell, renewal_share(v->wanted)),
		};
	}
	return (struct renewal_plan){
		.tell = count_least(v->worn, count_above(renewal_share(v->serving + v->away), v->away)),
	};
}

int64_t
renewal_age(int64_t limit, pid_t pid)
{
	/* Neighbouring numbers are spread over all of the range. */
	uint32_t spread = (uint32_t)pid * UINT32_C(2654435761);

	return clock_after(limit, (int64_t)((double)limit / 10 * spread / UINT32_MAX));
}
