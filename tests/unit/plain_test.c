/* Reading, writing and ending a stream that has nothing in between. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <errno.h>
#include <poll.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "net/conn.h"
#include "net/transport.h"

struct fixture {
	struct tend_conn c;
	int              peer;
};

static int
setup(void **state)
{
	static struct fixture f;
	int pair[2];

	if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0, pair) < 0)
		return -1;
	memset(&f, 0, sizeof(f));
	f.c.fd = pair[0];
	f.peer = pair[1];
	*state = &f;
	return 0;
}

static int
teardown(void **state)
{
	struct fixture *f = *state;

	close(f->c.fd);
	if (f->peer >= 0)
		close(f->peer);
	return 0;
}

static void
hang_up(struct fixture *f)
{
	close(f->peer);
	f->peer = -1;
}

static void
a_read_without_data_asks_for_input(void **state)
{
	struct fixture *f = *state;
	char byte;

	assert_int_equal(transport_tcp.read(&f->c, &byte, 1), -EAGAIN);
	assert_int_equal(f->c.want, POLLIN);
}

static void
data_comes_and_then_the_end(void **state)
{
	struct fixture *f = *state;
	char text[8];

	assert_int_equal(write(f->peer, "hello", 5), 5);
	hang_up(f);
	assert_int_equal(transport_tcp.read(&f->c, text, sizeof(text)), 5);
	assert_memory_equal(text, "hello", 5);
	assert_int_equal(transport_tcp.read(&f->c, text, sizeof(text)), 0);
}

static void
parts_are_gathered_into_one_write(void **state)
{
	struct fixture *f = *state;
	const struct iovec parts[] = { { (char[]){ "one " }, 4 }, { (char[]){ "two" }, 3 } };
	char text[8];

	assert_int_equal(transport_unix.write(&f->c, parts, 2), 7);
	assert_int_equal(read(f->peer, text, sizeof(text)), 7);
	assert_memory_equal(text, "one two", 7);
}

static void
a_full_queue_asks_for_room(void **state)
{
	struct fixture *f = *state;
	static char block[65536];
	const struct iovec part = { block, sizeof(block) };
	ssize_t n = 0;
	int i;

	for (i = 0; i < 1000 && n >= 0; i++)
		n = transport_tcp.write(&f->c, &part, 1);
	assert_int_equal(n, -EAGAIN);
	assert_int_equal(f->c.want, POLLOUT);
}

static void
writing_to_nobody_is_an_error_and_no_signal(void **state)
{
	struct fixture *f = *state;
	const struct iovec part = { (char[]){ "x" }, 1 };

	hang_up(f);
	assert_int_equal(transport_tcp.write(&f->c, &part, 1), -EPIPE);
}

static void
shutdown_ends_output_alone(void **state)
{
	struct fixture *f = *state;
	char byte;

	assert_int_equal(transport_tcp.shutdown(&f->c), 0);
	assert_int_equal(read(f->peer, &byte, 1), 0);
	assert_int_equal(write(f->peer, "x", 1), 1);
	assert_int_equal(transport_tcp.read(&f->c, &byte, 1), 1);
}

static void
shutdown_of_what_is_gone_is_harmless(void **state)
{
	struct fixture *f = *state;
	struct tend_conn none = { .fd = socket(AF_INET, SOCK_STREAM, 0) };
	struct tend_conn bad = { .fd = -1 };

	(void)f;
	assert_int_equal(transport_tcp.shutdown(&none), 0);
	close(none.fd);
	assert_int_equal(transport_tcp.shutdown(&bad), -EBADF);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(a_read_without_data_asks_for_input, setup, teardown),
		cmocka_unit_test_setup_teardown(data_comes_and_then_the_end, setup, teardown),
		cmocka_unit_test_setup_teardown(parts_are_gathered_into_one_write, setup, teardown),
		cmocka_unit_test_setup_teardown(a_full_queue_asks_for_room, setup, teardown),
		cmocka_unit_test_setup_teardown(writing_to_nobody_is_an_error_and_no_signal, setup, teardown),
		cmocka_unit_test_setup_teardown(shutdown_ends_output_alone, setup, teardown),
		cmocka_unit_test_setup_teardown(shutdown_of_what_is_gone_is_harmless, setup, teardown),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
