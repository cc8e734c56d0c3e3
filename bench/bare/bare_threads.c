/* See bare_threads.h. */
#include "bare_threads.h"

#include "bare.h"

#include <errno.h>
#include <pthread.h>
#include <stdint.h>
#include <unistd.h>

#define STACK 262144 /* room for a buffer of BARE_ROOM, and only what is touched is memory */

static bare_thread_fn serve_client;

static void *
run(void *data)
{
	int fd = (int)(intptr_t)data;

	serve_client(fd);
	close(fd);
	return NULL;
}

void
bare_threads(int argc, char **argv, bare_thread_fn serve)
{
	struct bare_options o = bare_parse(argc, argv);
	int listener = bare_listen(o.port), error;
	pthread_attr_t how;
	pthread_t thread;

	serve_client = serve;
	pthread_attr_init(&how);
	pthread_attr_setdetachstate(&how, PTHREAD_CREATE_DETACHED);
	pthread_attr_setstacksize(&how, STACK);
	for (;;) {
		error = pthread_create(&thread, &how, run, (void *)(intptr_t)bare_accept(listener));
		if (error != 0) {
			errno = error;
			bare_fail("start a thread");
		}
	}
}
