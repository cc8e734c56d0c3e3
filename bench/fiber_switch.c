/*
 * usage: fiber_switch [MILLIONS]
 * Nanoseconds of a pair of switches (resumed and suspended again) and of a fiber that is started on
 * a warm stack and returns, in the best of many short windows; then processor time of fibers on new
 * stacks, and what waiting ones cost in memory.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "loop/fiber.h"

#define STACK_SIZE ((size_t)256 * 1024)
#define MANY 30000
#define WINDOW 10000

static void
suspend_for_ever(void *data)
{
	const volatile int *stop = data;

	while (!*stop)
		fiber_suspend();
}

static void
return_at_once(void *data)
{
	(void)data;
}

static int64_t
cpu_now(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_THREAD_CPUTIME_ID, &ts);
	return (int64_t)ts.tv_sec * CLOCK_SECOND + ts.tv_nsec;
}

static double
since(int64_t start, long count)
{
	return (double)(cpu_now() - start) / (double)count;
}

static void
open_pool(struct fiber_pool *p, unsigned keep)
{
	if (fiber_pool_open(p, STACK_SIZE, keep) < 0)
		exit(1);
}

static struct fiber *
start(struct fiber_pool *p, void (*fn)(void *), void *data)
{
	struct fiber *f = NULL;
	int r = fiber_start(p, &f, fn, data);

	if (r < 0) {
		fprintf(stderr, "fiber_switch: after %u fibers: %s\n", p->live, strerror(-r));
		exit(1);
	}
	return f;
}

static void
switch_pairs(struct fiber_pool *p, struct fiber *f)
{
	long i;

	(void)p;
	for (i = 0; i < WINDOW; i++)
		fiber_resume(f);
}

static void
start_and_end(struct fiber_pool *p, struct fiber *f)
{
	long i;

	for (i = 0; i < WINDOW; i++)
		fiber_start(p, &f, return_at_once, NULL);
}

static double
best_of(long windows, void (*fn)(struct fiber_pool *, struct fiber *), struct fiber_pool *p,
    struct fiber *f)
{
	double best = 1e9, ns;
	int64_t begin;

	for (; windows > 0; windows--) {
		begin = clock_now();
		fn(p, f);
		ns = (double)(clock_now() - begin) / WINDOW;
		if (ns < best)
			best = ns;
	}
	return best;
}

static void
measure_one(long windows)
{
	volatile int stop = 0;
	struct fiber_pool p;
	struct fiber *f;

	open_pool(&p, 1);
	f = start(&p, suspend_for_ever, (void *)(uintptr_t)&stop);
	printf("pair of switches        %8.2f ns\n", best_of(windows, switch_pairs, &p, f));
	stop = 1;
	fiber_resume(f);
	printf("start and end, warm     %8.2f ns\n", best_of(windows, start_and_end, &p, NULL));
	fiber_pool_close(&p);
}

/* KiB of a line of /proc/self/status; lines of /proc/self/maps. */
static long
status_of(const char *name)
{
	FILE *file = fopen("/proc/self/status", "r");
	char line[256];
	long kib = 0;

	while (file != NULL && fgets(line, sizeof(line), file) != NULL)
		if (strncmp(line, name, strlen(name)) == 0)
			kib = strtol(line + strlen(name), NULL, 10);
	if (file != NULL)
		fclose(file);
	return kib;
}

static long
mappings(void)
{
	FILE *file = fopen("/proc/self/maps", "r");
	long lines = 0;
	int c;

	while (file != NULL && (c = getc(file)) != EOF)
		lines += c == '\n';
	if (file != NULL)
		fclose(file);
	return lines;
}

static void
measure_many(bool split)
{
	static struct fiber *f[MANY];
	volatile int stop = 0;
	struct fiber_pool p;
	long memory = status_of("VmRSS:"), tables = status_of("VmPTE:"), maps = mappings(), i;
	int64_t begin;

	open_pool(&p, 0);
	p.guards_split = split;
	begin = cpu_now();
	for (i = 0; i < MANY; i++)
		f[i] = start(&p, suspend_for_ever, (void *)(uintptr_t)&stop);
	printf("%d with guards %s\n", MANY, split ? "by mprotect" : "marked where possible");
	printf("  start, cold           %8.2f ns\n", since(begin, MANY));
	printf("  memory, page tables   %8.2f, %.2f KiB each\n",
	    (double)(status_of("VmRSS:") - memory) / MANY,
	    (double)(status_of("VmPTE:") - tables) / MANY);
	printf("  mappings              %8ld\n", mappings() - maps);
	begin = cpu_now();
	for (i = 0; i < MANY; i++)
		fiber_resume(f[i]);
	printf("  pair of switches      %8.2f ns, in turn\n", since(begin, MANY));
	stop = 1;
	begin = cpu_now();
	for (i = 0; i < MANY; i++)
		fiber_resume(f[i]);
	printf("  end, unmapped         %8.2f ns\n", since(begin, MANY));
	fiber_pool_close(&p);
}

int
main(int argc, char **argv)
{
	long millions = argc > 1 ? strtol(argv[1], NULL, 10) : 10;

	measure_one(millions * 1000000 / WINDOW);
	measure_many(false);
	measure_many(true);
	return 0;
}
