/* Every byte comes back, from a thread for each client that reads and writes and blocks. */
#include "bare.h"
#include "bare_threads.h"

#include <unistd.h>

static void
echo(int fd)
{
	char buffer[BARE_ROOM];
	ssize_t n, sent, at;

	while ((n = read(fd, buffer, sizeof(buffer))) > 0) {
		for (at = 0; at < n; at += sent) {
			sent = write(fd, buffer + at, (size_t)(n - at));
			if (sent < 0)
				return;
		}
	}
}

int
main(int argc, char **argv)
{
	bare_threads(argc, argv, echo);
}
