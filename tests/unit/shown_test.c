/* The client that somebody serves, seen from elsewhere. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <signal.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/clock.h"
#include "process/shown.h"

static int
setup(void **state)
{
	*state = mmap(NULL, sizeof(struct shown), PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	return *state != MAP_FAILED ? 0 : -1;
}

static int
teardown(void **state)
{
	munmap(*state, sizeof(struct shown));
	return 0;
}

static void
a_client_is_shown_until_it_is_gone(void **state)
{
	struct shown *s = *state;
	struct shown_client shown, c = { .family = AF_INET6, .port = 4711 };

	memcpy(c.address, "0123456789abcdef", 16);
	assert_false(shown_get(s, &shown));
	shown_put(s, &c);
	assert_true(shown_get(s, &shown));
	assert_memory_equal(&shown, &c, sizeof(c));
	shown_put(s, NULL);
	assert_false(shown_get(s, &shown));
}

/* Writes clients whose bytes are all the same, for ever. */
static void
write_clients(struct shown *s)
{
	struct shown_client c = { .family = AF_INET };
	unsigned i;

	for (i = 0;; i++) {
		memset(c.address, (int)(i & 0xff), sizeof(c.address));
		c.port = (uint16_t)(i & 0xff);
		shown_put(s, &c);
	}
}

static void
a_reader_never_sees_two_clients_in_one(void **state)
{
	struct shown *s = *state;
	int64_t until = clock_now() + CLOCK_SECOND / 5;
	unsigned long seen = 0;
	pid_t pid = fork();
	int status;

	if (pid == 0)
		write_clients(s);
	while (clock_now() < until || seen == 0) {
		struct shown_client c;
		size_t i;

		if (!shown_get(s, &c))
			continue;
		seen++;
		for (i = 0; i < sizeof(c.address); i++)
			if (c.address[i] != c.port)
				fail_msg("byte %zu is %u, the port %u", i, c.address[i], c.port);
	}
	kill(pid, SIGKILL);
	waitpid(pid, &status, 0);
	/* Killed wherever it was: a reader comes to an end, and the next owner writes over it. */
	shown_put(s, &(struct shown_client){ .family = AF_INET, .port = 7 });
	assert_true(shown_get(s, &(struct shown_client){ 0 }));
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

int
main(void)
{
	static const struct CMUnitTest tests[] = {
		TEST(a_client_is_shown_until_it_is_gone),
		TEST(a_reader_never_sees_two_clients_in_one),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
