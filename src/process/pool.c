/* The size of the pool. The steps are named after the specification's. */
#include "process/pool.h"

#include "base/clock.h"
#include "base/count.h"

/*
 * Steps c and d: too few at all, or too few that wait. Never more than the maximum. What both ask
 * for is started at once: nobody calls again before something happens (NS-PF-43).
 */
static unsigned
wanted(const struct pool_limits *l, const struct pool_view *v, unsigned total)
{
	unsigned room = count_above(l->max_servers, total + v->leaving);
	unsigned missing = count_above(l->min_servers, total), spare = count_above(l->min_spare, v->waiting);

	return count_least(missing > spare ? missing : spare, room);
}

/* Step e: too many wait, or there are too many at all. */
static unsigned
surplus(const struct pool_limits *l, const struct pool_view *v, const struct pool_times *t,
	unsigned total, int64_t now)
{
	if (v->waiting > l->max_spare && total > l->min_servers) {
		if (now - t->started <= l->min_child_ttl)
			return 0;
		return count_least(v->waiting - l->max_spare, total - l->min_servers);
	}
	return count_above(total, l->max_servers);
}

/* Step g: those that are not needed when nobody comes for a long time. */
static unsigned
unneeded(const struct pool_limits *l, unsigned waiting, unsigned total)
{
	return count_least(count_above(waiting, l->min_spare), count_above(total, l->min_servers));
}

/* When that time is over. */
static int64_t
idle_until(const struct pool_limits *l, const struct pool_view *v, const struct pool_times *t)
{
	int64_t last = v->last_busy > t->begun ? v->last_busy : t->begun;

	return l->idle_to_minimum > 0 ? clock_after(last, l->idle_to_minimum) : CLOCK_NEVER;
}

/* When there is something to do that no event tells of. */
static int64_t
look_again(const struct pool_limits *l, const struct pool_view *v, const struct pool_times *t,
	unsigned total, unsigned dismissed)
{
	int64_t look = CLOCK_NEVER, idle = idle_until(l, v, t);
	int64_t may = clock_after(t->dismissed, l->dismiss_interval);

	if (l->check_for_waiting > 0)
		look = clock_after(t->looked, l->check_for_waiting);
	if (idle == CLOCK_NEVER || unneeded(l, v->waiting - dismissed, total - dismissed) == 0)
		return look;
	/* "More than" these times ago. */
	idle = clock_after(idle > may ? idle : may, 1);
	return idle < look ? idle : look;
}

unsigned
pool_tenth(const struct pool_view *v)
{
	return 2 + (v->waiting + v->busy) / 10;
}

unsigned
pool_grow_by_tenth(const struct pool_limits *l, const struct pool_view *v)
{
	unsigned total = v->waiting + v->busy, target = l->min_servers;

	if (v->busy > 0 && v->waiting < pool_tenth(v))
		target = total + l->min_servers;
	/* Those that are leaving still hold a place. */
	return count_above(count_least(target, count_above(l->max_servers, v->leaving)), total);
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
	if (l->check_for_waiting > 0 && now - t->looked >= l->check_for_waiting) {
		t->looked = now;
		too_many = surplus(l, v, t, total, now);
	}
	if (too_many == 0 && plan.start == 0 && now > idle_until(l, v, t))
		too_many = unneeded(l, v->waiting, total);
	if (now - t->dismissed > l->dismiss_interval)
		plan.dismiss = count_least(too_many, v->waiting);
	if (plan.dismiss > 0)
		t->dismissed = now;
	plan.again = look_again(l, v, t, total, plan.dismiss);
	return plan;
}
