/*
 * One process, one client at a time: accept, read, write, close. What the personality Single
 * is held against.
 */
#include "bare.h"

#include <unistd.h>

int
main(int argc, char **argv)
{
	struct bare_options o = bare_parse(argc, argv);
	int listener = bare_listen(o.port), fd;

	for (;;) {
		fd = bare_accept(listener);
		bare_serve(fd, fd);
		close(fd);
	}
}
