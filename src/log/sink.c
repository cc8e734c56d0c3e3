/* The table of sinks, and the two that need no file of their own. */
#include "log/sink.h"

#include <errno.h>
#include <limits.h>
#include <poll.h>
#include <strings.h>
#include <unistd.h>

#include "base/clock.h"

static int
put_nowhere(struct logger *l, enum tend_log_level level, char *line, size_t length, int patience_ms)
{
	(void)l;
	(void)level;
	(void)line;
	(void)length;
	(void)patience_ms;
	return 0;
}

const struct sink sink_nowhere = { .name = "nowhere", .traits = SINK_BARE, .put = put_nowhere };

/* The program's own writer, which cannot fail (NS-LOG-06). */
static int
put_to_hook(struct logger *l, enum tend_log_level level, char *line, size_t length, int patience_ms)
{
	(void)patience_ms;
	line[length - 1] = '\0';
	l->hook(l->hook_data, level, line);
	return 0;
}

const struct sink sink_hook = { .name = "hook", .traits = SINK_BARE, .put = put_to_hook };

const struct sink *
sink_find(const char *log_file)
{
	static const struct sink *const named[] = { &sink_syslog, &sink_journal };
	size_t i, n;

	for (i = 0; i < sizeof(named) / sizeof(named[0]); i++)
		for (n = 0; named[i]->names[n] != NULL; n++)
			if (strcasecmp(log_file, named[i]->names[n]) == 0)
				return named[i];
	return &sink_file;
}

int
sink_wait(int fd, int64_t until)
{
	struct pollfd p = { .fd = fd, .events = POLLOUT };
	int n;

	do
		n = poll(&p, 1, clock_poll_timeout(until != 0 ? clock_now() : 0, until));
	while (n < 0 && errno == EINTR);
	if (n < 0)
		return -errno;
	return n > 0 ? 0 : -EAGAIN;
}

/*
 * A regular file takes a line in one write. What has a reader gets it too, unless it is longer
 * than PIPE_BUF: poll() promises no more room than that.
 */
int
sink_write(int fd, bool may_block, const char *bytes, size_t length, int patience_ms, size_t *done)
{
	int64_t until = 0;

	if (may_block && patience_ms > 0)
		until = clock_now() + patience_ms * CLOCK_MILLISECOND;
	for (*done = 0; *done < length;) {
		size_t piece = length - *done;
		ssize_t n;
		int r = may_block ? sink_wait(fd, until) : 0;

		if (r < 0)
			return r;
		if (may_block && piece > PIPE_BUF)
			piece = PIPE_BUF;
		n = write(fd, bytes + *done, piece);
		if (n < 0 && errno == EINTR)
			continue;
		if (n <= 0)
			return n < 0 ? -errno : -EIO;
		*done += (size_t)n;
	}
	return 0;
}
