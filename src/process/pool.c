/* The size of the pool. The steps are named after the specification's. */
#include "process/pool.h"

static unsigned
least(unsigned a, unsigned b)
{
	return a < b ? a : b;
}

static unsigned
above(unsigned a, unsigned b)
{
	return a > b ? a - b : 0;
}

/* Steps c and d: too few at all, or too few that wait. Never more than the maximum. */
static unsigned
wanted(const struct pool_limits *l, const struct pool_view *v, unsigned total)
{
	unsigned room = above(l->max_servers, total + v->leaving);

	if (total < l->min_servers)
		return least(l->min_servers - total, room);
	return least(above(l->min_spare, v->waiting), room);
}

/* Step e: too many wait, or there are too many at all. */
static unsigned
surplus(const struct pool_limits *l, const struct pool_view *v, const struct pool_times *t,
	unsigned total, int64_t now)
{
	if (v->waiting > l->max_spare && total > l->min_servers) {
		if (now - t->started <= l->min_child_ttl)
			return 0;
		return least(v->waiting - l->max_spare, total - l->min_servers);
	}
	return above(total, l->max_servers);
}

/* Step g: nobody came for a long time. */
static unsigned
unneeded(const struct pool_limits *l, const struct pool_view *v, const struct pool_times *t,
	unsigned total, int64_t now)
{
	int64_t last = v->last_busy > t->begun ? v->last_busy : t->begun;

	if (now - last <= l->idle_to_minimum)
		return 0;
	return least(above(v->waiting, l->min_spare), above(total, l->min_servers));
}

struct pool_plan
pool_decide(const struct pool_limits *l, const struct pool_view *v, struct pool_times *t, int64_t now)
{
	unsigned total = v->waiting + v->busy;
	struct pool_plan plan = { 0, 0, 0 };
	unsigned too_many = 0;

	plan.start = wanted(l, v, total);
	if (plan.start > 0)
		t->started = now;
	if (now - t->looked >= l->check_for_waiting) {
		t->looked = now;
		too_many = surplus(l, v, t, total, now);
	}
	if (too_many == 0 && plan.start == 0)
		too_many = unneeded(l, v, t, total, now);
	if (too_many > 0 && now - t->dismissed > l->dismiss_interval) {
		t->dismissed = now;
		plan.dismiss = least(too_many, v->waiting);
	}
	plan.again = t->looked + l->check_for_waiting;
	return plan;
}
