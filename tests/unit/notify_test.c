/* What supervisors say in the environment, and what they hear. NS-DMN-06, NS-BND-09 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "process/notify.h"

static struct sockaddr_un there;
static char               name[64];

/* A socket to hear on, and NOTIFY_SOCKET set to it. */
static int
listen_here(void)
{
	static int number;
	int fd = socket(AF_UNIX, SOCK_DGRAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
	int length = snprintf(name, sizeof(name), "@tend-notify-test-%d-%d", (int)getpid(), number++);

	there.sun_family = AF_UNIX;
	memcpy(there.sun_path, name, (size_t)length);
	there.sun_path[0] = '\0';
	assert_int_equal(bind(fd, (struct sockaddr *)&there,
	        (socklen_t)(offsetof(struct sockaddr_un, sun_path) + (size_t)length)), 0);
	setenv("NOTIFY_SOCKET", name, 1);
	return fd;
}

static void
assert_heard(int fd, const char *text)
{
	char heard[256] = "";

	assert_true(recv(fd, heard, sizeof(heard) - 1, 0) > 0);
	assert_string_equal(heard, text);
}

static void
message_arrives_and_the_variables_are_gone(void **state)
{
	int fd = listen_here();
	struct notify n;

	(void)state;
	setenv("WATCHDOG_USEC", "2000000", 1);
	assert_int_equal(notify_open(&n, 0, NULL), 0);
	assert_null(getenv("NOTIFY_SOCKET"));
	assert_null(getenv("WATCHDOG_USEC"));
	assert_true(n.watchdog == INT64_C(2000000000));
	assert_int_equal(notify_send(&n, "READY=%d\nSTATUS=%s", 1, "fine"), 0);
	assert_heard(fd, "READY=1\nSTATUS=fine");
	notify_close(&n);
	assert_int_equal(notify_send(&n, "READY=1"), 0);
	close(fd);
}

/* systemd executes itself anew as well. */
static void
supervisor_that_comes_back_is_found_again(void **state)
{
	int fd = listen_here();
	struct notify n;

	(void)state;
	assert_int_equal(notify_open(&n, 0, NULL), 0);
	close(fd);
	assert_true(notify_send(&n, "WATCHDOG=1") < 0);
	fd = socket(AF_UNIX, SOCK_DGRAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
	assert_int_equal(bind(fd, (struct sockaddr *)&there,
	        (socklen_t)(offsetof(struct sockaddr_un, sun_path) + strlen(name))), 0);
	assert_int_equal(notify_send(&n, "WATCHDOG=1"), 0);
	assert_heard(fd, "WATCHDOG=1");
	notify_close(&n);
	close(fd);
}

static void
supervisor_that_does_not_read_holds_nobody_up(void **state)
{
	int fd = listen_here(), i, r = 0;
	struct notify n;

	(void)state;
	assert_int_equal(notify_open(&n, 0, NULL), 0);
	for (i = 0; r == 0 && i < 100000; i++)
		r = notify_send(&n, "WATCHDOG=1");
	assert_int_equal(r, -EAGAIN);
	notify_close(&n);
	close(fd);
}

static void
watchdog_of_another_process_is_not_ours(void **state)
{
	int fd = listen_here();
	struct notify n;

	(void)state;
	setenv("WATCHDOG_USEC", "2000000", 1);
	setenv("WATCHDOG_PID", "1", 1);
	assert_int_equal(notify_open(&n, 0, NULL), 0);
	assert_true(n.watchdog == 0);
	notify_close(&n);
	close(fd);
}

static void
what_makes_no_sense_is_told(void **state)
{
	static const char *const addresses[] = { "x", "@", "/", "./x" };
	struct error e = { 0 };
	struct notify n;
	size_t i;
	int fd;

	(void)state;
	for (i = 0; i < 4; i++) {
		setenv("NOTIFY_SOCKET", addresses[i], 1);
		assert_int_equal(notify_open(&n, 0, &e), -EINVAL);
		assert_non_null(strstr(e.text, "NOTIFY_SOCKET"));
		assert_null(getenv("NOTIFY_SOCKET"));
	}
	fd = listen_here();
	setenv("WATCHDOG_USEC", "soon", 1);
	assert_int_equal(notify_open(&n, 0, &e), -EINVAL);
	assert_non_null(strstr(e.text, "WATCHDOG_USEC"));
	assert_int_equal(notify_open(&n, 999, &e), -EBADF);
	assert_non_null(strstr(e.text, "notify_fd"));
	close(fd);
}

static void
newline_comes_once_and_then_the_end(void **state)
{
	struct notify n;
	char text[8];
	int ends[2];

	(void)state;
	assert_int_equal(pipe(ends), 0);
	assert_int_equal(notify_open(&n, ends[1], NULL), 0);
	assert_int_equal(fcntl(ends[1], F_GETFD), FD_CLOEXEC);
	notify_ready_fd(&n);
	notify_ready_fd(&n);
	assert_int_equal(read(ends[0], text, sizeof(text)), 1);
	assert_int_equal(text[0], '\n');
	assert_int_equal(read(ends[0], text, sizeof(text)), 0);
	close(ends[0]);
	notify_close(&n);
}

static int
ask(const char *pid, const char *fds, const char *names, struct passed_socket **list)
{
	struct error e = { 0 };
	int r;

	setenv("LISTEN_PID", pid, 1);
	setenv("LISTEN_FDS", fds, 1);
	if (names != NULL)
		setenv("LISTEN_FDNAMES", names, 1);
	r = passed_sockets(list, &e);
	assert_null(getenv("LISTEN_PID"));
	assert_null(getenv("LISTEN_FDS"));
	assert_null(getenv("LISTEN_FDNAMES"));
	assert_true(r >= 0 || strstr(e.text, "LISTEN_FDS") != NULL);
	return r;
}

static void
sockets_are_counted_and_named(void **state)
{
	struct passed_socket *list;
	char pid[16];
	int i;

	(void)state;
	snprintf(pid, sizeof(pid), "%d", (int)getpid());
	for (i = 3; i < 6; i++)
		assert_true(dup2(STDERR_FILENO, i) == i);
	assert_int_equal(ask("1", "3", NULL, &list), 0);
	assert_int_equal(ask(pid, "-1", NULL, &list), -EINVAL);
	assert_int_equal(ask(pid, "99999999", NULL, &list), -EINVAL);
	assert_int_equal(ask(pid, "900", NULL, &list), -EINVAL);
	assert_null(list);
	assert_int_equal(ask(pid, "3", "web::unknown:more", &list), 3);
	assert_int_equal(list[2].fd, 5);
	assert_string_equal(list[0].name, "web");
	assert_string_equal(list[1].name, "");
	assert_string_equal(list[2].name, "");
	assert_int_equal(fcntl(4, F_GETFD), FD_CLOEXEC);
	free(list);
	for (i = 3; i < 6; i++)
		close(i);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(message_arrives_and_the_variables_are_gone),
		cmocka_unit_test(supervisor_that_comes_back_is_found_again),
		cmocka_unit_test(supervisor_that_does_not_read_holds_nobody_up),
		cmocka_unit_test(watchdog_of_another_process_is_not_ours),
		cmocka_unit_test(what_makes_no_sense_is_told),
		cmocka_unit_test(newline_comes_once_and_then_the_end),
		cmocka_unit_test(sockets_are_counted_and_named),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
