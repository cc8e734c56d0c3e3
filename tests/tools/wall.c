/*
 * A wall clock that a test sets. Loaded with LD_PRELOAD in front of libc, it adds the seconds that
 * are in a file to what the clock says; no such file: none. Clocks that only move on stay as they
 * are.
 *
 *	TEND_WALL_FILE=/tmp/x/wall
 *
 * Write the file beside and rename. A program with AddressSanitizer needs
 * ASAN_OPTIONS=verify_asan_link_order=0.
 */
#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <time.h>
#include <unistd.h>

typedef int (*clock_gettime_fn)(clockid_t, struct timespec *);

static long
seconds_ahead(void)
{
	const char *path = getenv("TEND_WALL_FILE");
	char text[32] = "";
	int kept = errno, fd = path != NULL ? open(path, O_RDONLY | O_CLOEXEC) : -1;

	if (fd >= 0) {
		if (read(fd, text, sizeof(text) - 1) < 0)
			text[0] = '\0';
		close(fd);
	}
	errno = kept;
	return atol(text);
}

int
clock_gettime(clockid_t which, struct timespec *into)
{
	clock_gettime_fn real;
	int r;

	*(void **)&real = dlsym(RTLD_NEXT, "clock_gettime");
	if (real == NULL)
		abort();
	r = real(which, into);
	if (r == 0 && (which == CLOCK_REALTIME || which == CLOCK_REALTIME_COARSE))
		into->tv_sec += seconds_ahead();
	return r;
}

time_t
time(time_t *into)
{
	struct timespec now;

	clock_gettime(CLOCK_REALTIME, &now);
	if (into != NULL)
		*into = now.tv_sec;
	return now.tv_sec;
}
