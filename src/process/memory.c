/* What /proc/PID/statm says. */
#include "process/memory.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <unistd.h>

/* Seven figures. */
#define STATM_MAX 256

bool
memory_parse(const char *text, long page, int64_t *bytes)
{
	long long resident, shared;

	/* A process that is being changed may show fewer pages than it shares. */
	if (sscanf(text, "%*d %lld %lld", &resident, &shared) != 2 || resident < 0 || shared < 0)
		return false;
	*bytes = resident > shared ? (resident - shared) * page : 0;
	return true;
}

static int
read_statm(const char *path, int64_t *bytes)
{
	char text[STATM_MAX];
	int fd = open(path, O_RDONLY | O_CLOEXEC | O_NOCTTY);
	ssize_t n;
	int r;

	if (fd < 0)
		return -errno;
	n = read(fd, text, sizeof(text) - 1);
	r = n < 0 ? -errno : 0;
	close(fd);
	if (r < 0)
		return r;
	text[n] = '\0';
	return memory_parse(text, sysconf(_SC_PAGESIZE), bytes) ? 0 : -ENOTSUP;
}

int
memory_own(pid_t pid, int64_t *bytes)
{
	char path[48];

	snprintf(path, sizeof(path), "/proc/%ld/statm", (long)pid);
	return read_statm(path, bytes);
}

int
memory_is_told(const char *root)
{
	char path[PATH_MAX];
	int64_t bytes;

	if (snprintf(path, sizeof(path), "%s/proc/self/statm", root) >= (int)sizeof(path))
		return -ENAMETOOLONG;
	return read_statm(path, &bytes);
}
