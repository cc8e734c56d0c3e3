/*
 * A million timers: start them in the order of memory, move them in a random order, stop them in
 * another one, and let them run out within half a second. Prints one line of JSON: processor
 * nanoseconds for each operation on one timer, with a million of them live, and how many ran out
 * early or not at all.
 *
 * The orders are random because clients are: what a server stops next lies in no cache. They and the
 * delays are the same for every library, and so is the clock reading in timer_fired().
 */
#include "timers.h"

#include <errno.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sysexits.h>
#include <time.h>

#define COUNT_MAX 10000000
#define LONG_MS 60000   /* from one minute to two: none runs out while it is moved about */
#define SHORT_MS 500

struct results {
	double start, restart, stop, expire;
	size_t early, fired;
	int64_t earliest; /* nanoseconds before its time, of the worst */
};

static size_t count = 1000000;
static uint32_t *first_order, *second_order;
static unsigned *delays;
static int64_t *due;
static struct results results;

void
timers_fail(const char *what)
{
	fprintf(stderr, "timers: cannot %s: %s\n", what, strerror(errno));
	exit(EX_OSERR);
}

static int64_t
read_clock(clockid_t id)
{
	struct timespec t;

	clock_gettime(id, &t);
	return (int64_t)t.tv_sec * 1000000000 + t.tv_nsec;
}

static uint64_t
chance(void)
{
	static uint64_t state = 88172645463325252;

	state ^= state << 13;
	state ^= state >> 7;
	state ^= state << 17;
	return state;
}

static uint32_t *
shuffled(void)
{
	uint32_t *order = malloc(count * sizeof(*order)), swap;
	size_t i, other;

	if (order == NULL)
		timers_fail("allocate");
	for (i = 0; i < count; i++)
		order[i] = (uint32_t)i;
	for (i = count - 1; i > 0; i--) {
		other = chance() % (i + 1);
		swap = order[i];
		order[i] = order[other];
		order[other] = swap;
	}
	return order;
}

static void
choose_delays(unsigned least, unsigned range)
{
	size_t i;

	for (i = 0; i < count; i++)
		delays[i] = least + (unsigned)(chance() % range);
}

static void
prepare(void)
{
	delays = malloc(count * sizeof(*delays));
	due = malloc(count * sizeof(*due));
	if (delays == NULL || due == NULL)
		timers_fail("allocate");
	first_order = shuffled();
	second_order = shuffled();
	timers_open(count);
}

/* Processor time for one of the timers since `begin`. */
static double
each_since(int64_t begin)
{
	return (double)(read_clock(CLOCK_PROCESS_CPUTIME_ID) - begin) / (double)count;
}

static void
start_move_and_stop(struct results *r)
{
	int64_t begin;
	size_t i;

	choose_delays(LONG_MS, LONG_MS);
	timers_update_clock();
	begin = read_clock(CLOCK_PROCESS_CPUTIME_ID);
	for (i = 0; i < count; i++)
		timer_start(i, delays[i]);
	r->start = each_since(begin);

	choose_delays(LONG_MS, LONG_MS);
	timers_update_clock();
	begin = read_clock(CLOCK_PROCESS_CPUTIME_ID);
	for (i = 0; i < count; i++)
		timer_restart(first_order[i], delays[i]);
	r->restart = each_since(begin);

	begin = read_clock(CLOCK_PROCESS_CPUTIME_ID);
	for (i = 0; i < count; i++)
		timer_stop(second_order[i]);
	r->stop = each_since(begin);
}

void
timer_fired(size_t i)
{
	int64_t before = due[i] - read_clock(CLOCK_MONOTONIC);

	if (before > 0)
		results.early++;
	if (before > results.earliest)
		results.earliest = before;
	if (++results.fired == count)
		timers_end();
}

static void
let_expire(struct results *r)
{
	int64_t begin;
	size_t i;

	choose_delays(1, SHORT_MS);
	for (i = 0; i < count; i++) {
		/* In this order: a pause between the two makes nobody look early who is not. */
		due[i] = read_clock(CLOCK_MONOTONIC) + delays[i] * INT64_C(1000000);
		timers_update_clock();
		timer_start(i, delays[i]);
	}
	begin = read_clock(CLOCK_PROCESS_CPUTIME_ID);
	timers_run();
	r->expire = each_since(begin);
}

int
main(int argc, char **argv)
{
	struct results warm_up;
	char *end;

	if (argc == 3 && strcmp(argv[1], "--count") == 0) {
		count = strtoul(argv[2], &end, 10);
		if (*end != '\0' || count == 0 || count > COUNT_MAX)
			argc = 0;
	}
	if (argc != 1 && argc != 3) {
		fprintf(stderr, "usage: %s [--count N]\n", argv[0]);
		return EX_USAGE;
	}
	prepare();
	/* Memory that grows with the number of timers is there after the first pass. */
	start_move_and_stop(&warm_up);
	start_move_and_stop(&results);
	let_expire(&results);
	printf("{\"timers\": %zu, \"start_ns\": %.2f, \"restart_ns\": %.2f, \"stop_ns\": %.2f, "
	       "\"expire_ns\": %.2f, \"fired\": %zu, \"early\": %zu, \"earliest_us\": %.1f}\n",
	    count, results.start, results.restart, results.stop, results.expire, results.fired,
	    results.early, (double)results.earliest / 1e3);
	free(first_order);
	free(second_order);
	free(delays);
	free(due);
	return results.fired == count ? EXIT_SUCCESS : EXIT_FAILURE;
}
