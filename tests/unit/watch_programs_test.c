/* A program for each client, over watches alone: what the reference has as its example. */
#include "config.h"
#include "loop_fixture.h"

#include <fcntl.h>
#include <netinet/in.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#define PROGRAMS 3

struct relay {
	struct tend_watch watch; /* of what the program writes */
	int client;
	pid_t program;
};

static struct {
	struct tend_loop *loop;
	struct tend_watch watch; /* of the listener */
	struct relay relays[PROGRAMS];
	int accepted, finished;
} inn;

/* A hang-up is told once; after it reading never waits. */
static void
relay(struct tend_watch *w, unsigned events)
{
	struct relay *r = w->data;
	int fd = w->fd;
	char bytes[64];
	ssize_t n;

	while ((n = read(fd, bytes, sizeof(bytes))) > 0) {
		assert_int_equal(write(r->client, bytes, (size_t)n), n);
		if ((events & TEND_HANGUP) == 0)
			return;
	}
	assert_int_equal(n, 0);
	tend_watch_stop(w);
	close(fd);
	close(r->client);
	assert_int_equal(waitpid(r->program, NULL, 0), r->program);
	inn.finished++;
}

static void
start_program(struct tend_watch *w, unsigned events)
{
	struct relay *r = &inn.relays[inn.accepted++];
	int output[2];

	assert_int_equal(events, TEND_READ);
	r->client = accept4(w->fd, NULL, NULL, SOCK_CLOEXEC);
	assert_true(r->client >= 0);
	assert_int_equal(pipe2(output, O_CLOEXEC), 0);
	r->program = fork();
	if (r->program == 0) {
		dup2(r->client, STDIN_FILENO);
		dup2(output[1], STDOUT_FILENO);
		execl("/bin/sh", "sh", "-c", "while read -r a; do echo \"$a $a\"; done", NULL);
		_exit(127);
	}
	close(output[1]);
	tend_watch_init(&r->watch, relay, r);
	assert_int_equal(tend_watch_start(inn.loop, &r->watch, output[0], TEND_READ), 0);
}

/* A listener on a name that the kernel chooses, and how it is reached. */
static int
listen_somewhere(struct sockaddr_in *a)
{
	socklen_t size = sizeof(*a);
	int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);

	memset(a, 0, size);
	a->sin_family = AF_INET;
	a->sin_addr.s_addr = htonl(INADDR_LOOPBACK);
	assert_int_equal(bind(fd, (struct sockaddr *)a, size), 0);
	assert_int_equal(listen(fd, PROGRAMS), 0);
	assert_int_equal(getsockname(fd, (struct sockaddr *)a, &size), 0);
	return fd;
}

/* DS-T38: the listener is a watch, and so is the output of each program. */
static void
programs_answer_clients_of_a_raw_watch(void **state)
{
	struct sockaddr_in a;
	int listener = listen_somewhere(&a), clients[PROGRAMS];
	char heard[16];

	memset(&inn, 0, sizeof(inn));
	inn.loop = *state;
	tend_watch_init(&inn.watch, start_program, NULL);
	assert_int_equal(tend_watch_start(inn.loop, &inn.watch, listener, TEND_READ), 0);
	for (int i = 0; i < PROGRAMS; i++) {
		clients[i] = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
		assert_int_equal(connect(clients[i], (struct sockaddr *)&a, sizeof(a)), 0);
		assert_int_equal(write(clients[i], "word\n", 5), 5);
		assert_int_equal(shutdown(clients[i], SHUT_WR), 0);
	}
	while (inn.finished < PROGRAMS)
		assert_int_equal(tend_loop_turn(inn.loop, -1), 0);
	for (int i = 0; i < PROGRAMS; i++) {
		assert_int_equal(recv(clients[i], heard, 10, MSG_WAITALL), 10);
		assert_memory_equal(heard, "word word\n", 10);
		assert_int_equal(read(clients[i], heard, 1), 0);
		close(clients[i]);
	}
	tend_watch_stop(&inn.watch);
	close(listener);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		ON_EACH_POLLER(programs_answer_clients_of_a_raw_watch),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
