/* Short connections with a thread for each: one request, one answer. */
#include "bare.h"
#include "bare_threads.h"

static void
answer(int fd)
{
	bare_serve(fd, fd);
}

int
main(int argc, char **argv)
{
	bare_threads(argc, argv, answer);
}
