/* Time. Inside the library it is int64_t nanoseconds of the monotonic clock. */
#ifndef TEND_BASE_CLOCK_H
#define TEND_BASE_CLOCK_H

#include <stdint.h>
#include <time.h>

#define CLOCK_SECOND INT64_C(1000000000)
#define CLOCK_MILLISECOND INT64_C(1000000)
#define CLOCK_NEVER INT64_MAX

/* Now, on the monotonic clock. */
static inline int64_t
clock_now(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_MONOTONIC, &ts);
	return (int64_t)ts.tv_sec * CLOCK_SECOND + ts.tv_nsec;
}

/* The same, good to a few milliseconds and nearly free; ages and idle times need no more. */
static inline int64_t
clock_coarse(void)
{
	struct timespec ts;

#ifdef CLOCK_MONOTONIC_COARSE
	clock_gettime(CLOCK_MONOTONIC_COARSE, &ts);
#else
	clock_gettime(CLOCK_MONOTONIC, &ts);
#endif
	return (int64_t)ts.tv_sec * CLOCK_SECOND + ts.tv_nsec;
}

/* By so much clock_coarse() is behind at most. */
static inline int64_t
clock_grain(void)
{
	struct timespec ts = { 0 };

#ifdef CLOCK_MONOTONIC_COARSE
	clock_getres(CLOCK_MONOTONIC_COARSE, &ts);
#endif
	return (int64_t)ts.tv_sec * CLOCK_SECOND + ts.tv_nsec;
}

/* Seconds as nanoseconds; what is too large, not a number or negative saturates. */
static inline int64_t
clock_from_seconds(double seconds)
{
	if (!(seconds > 0))
		return 0;
	return seconds < 9e9 ? (int64_t)(seconds * 1e9) : CLOCK_NEVER;
}

/* The same of a limit, of which 0 is none. */
static inline int64_t
clock_limit(double seconds)
{
	return seconds > 0 ? clock_from_seconds(seconds) : CLOCK_NEVER;
}

static inline double
clock_to_seconds(int64_t ns)
{
	return (double)ns / 1e9;
}

/* `ns` from `now`, CLOCK_NEVER when that is beyond the end of time. */
static inline int64_t
clock_after(int64_t now, int64_t ns)
{
	return ns >= CLOCK_NEVER - now ? CLOCK_NEVER : now + ns;
}

/* Milliseconds for poll() until `deadline`, rounded up so that no wait ends early; -1 for never. */
static inline int
clock_poll_timeout(int64_t now, int64_t deadline)
{
	int64_t ms;

	if (deadline == CLOCK_NEVER)
		return -1;
	if (deadline <= now)
		return 0;
	ms = (deadline - now + CLOCK_MILLISECOND - 1) / CLOCK_MILLISECOND;
	return ms > INT32_MAX ? INT32_MAX : (int)ms;
}

#endif
