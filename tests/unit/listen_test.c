/*
 * Listening sockets, for real on the loopback and in a directory of this test's own. Failures that
 * a machine cannot be asked for are played by the function that stands in for bind().
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <errno.h>
#include <fcntl.h>
#include <netinet/tcp.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include "net/listen.h"

static int bind_error;

int played_bind(int fd, const struct sockaddr *address, socklen_t size) __asm__("bind");

int
played_bind(int fd, const struct sockaddr *address, socklen_t size)
{
	if (bind_error == 0)
		return (int)syscall(SYS_bind, fd, address, size);
	errno = bind_error;
	return -1;
}

/* ---- a directory, endpoints and clients ---- */

static char directory[64];
static char paths[16][100];

static const char *
path_of(const char *name)
{
	static size_t next;
	char *path = paths[next++ % 16];

	snprintf(path, sizeof(paths[0]), "%s/%s", directory, name);
	return path;
}

static int
setup(void **state)
{
	(void)state;
	bind_error = 0;
	snprintf(directory, sizeof(directory), "%s", "/tmp/tend-listen-XXXXXX");
	return mkdtemp(directory) != NULL ? 0 : -1;
}

static int
teardown(void **state)
{
	(void)state;
	unlink(path_of("x.sock"));
	unlink(path_of("link"));
	return rmdir(directory);
}

static int
open_list(struct listener *l, size_t max, const char *port, struct error *e)
{
	const struct tend_list ports = { 1, &port };
	const struct endpoint_config from = { .port = &ports };
	struct endpoints list;
	size_t i;
	int code;

	memset(e, 0, sizeof(*e));
	code = endpoints_resolve(&list, &from, NULL, NULL, e);
	if (code < 0)
		return code;
	assert_int_equal(list.count, max);
	for (i = 0; i < max && code == 0; i++)
		code = listener_open(&l[i], &list.list[i], i > 0 ? &l[i - 1] : NULL, e);
	endpoints_done(&list);
	return code;
}

static int
try_open(struct listener *l, const char *port, struct error *e)
{
	return open_list(l, 1, port, e);
}

static void
open_one(struct listener *l, const char *port)
{
	struct error e;

	if (try_open(l, port, &e) < 0)
		fail_msg("%s", e.text);
}

static void
open_path(struct listener *l, const char *path)
{
	char port[128];

	snprintf(port, sizeof(port), "%s|unix", path);
	open_one(l, port);
}

static void
assert_path_refused(const char *path, int code, int status, const char *sentence)
{
	struct listener l;
	struct error e;
	char port[300];

	snprintf(port, sizeof(port), "%s|unix", path);
	assert_int_equal(try_open(&l, port, &e), code);
	assert_int_equal(l.fd, -1);
	assert_int_equal(l.directory, -1);
	if (strstr(e.text, sentence) == NULL || strstr(e.text, path) == NULL)
		fail_msg("\"%s\" lacks \"%s\"", e.text, sentence);
	assert_int_equal(e.status, status);
}

/* A client of `a`, or -errno when it is not let in. */
static int
connect_to(const struct addr *a)
{
	int fd = socket(a->u.any.sa_family, SOCK_STREAM | SOCK_CLOEXEC, 0);

	assert_true(fd >= 0);
	if (connect(fd, (const struct sockaddr *)&a->u, a->length) < 0) {
		int code = -errno;

		close(fd);
		return code;
	}
	return fd;
}

static void
assert_serves(const struct listener *l, const struct addr *a)
{
	int fd = connect_to(a), served;

	if (fd < 0)
		fail_msg("cannot connect: %s", strerror(-fd));
	served = accept(l->fd, NULL, NULL);
	assert_true(served >= 0);
	close(served);
	close(fd);
}

static int
option(int fd, int level, int name)
{
	int value = -1;
	socklen_t size = sizeof(value);

	assert_int_equal(getsockopt(fd, level, name, &value, &size), 0);
	return value;
}

static bool
have_ipv6(void)
{
	struct sockaddr_in6 a = { .sin6_family = AF_INET6, .sin6_addr = IN6ADDR_LOOPBACK_INIT };
	int fd = socket(AF_INET6, SOCK_STREAM | SOCK_CLOEXEC, 0);
	bool yes = fd >= 0 && played_bind(fd, (struct sockaddr *)&a, sizeof(a)) == 0;

	if (fd >= 0)
		close(fd);
	return yes;
}

static struct addr
loopback(int family, unsigned port)
{
	struct addr a = { .length = family == AF_INET ? sizeof(a.u.v4) : sizeof(a.u.v6) };

	a.u.any.sa_family = (sa_family_t)family;
	if (family == AF_INET)
		a.u.v4.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
	else
		a.u.v6.sin6_addr = in6addr_loopback;
	addr_set_port(&a, port);
	return a;
}

/* ---- tcp ---- */

static void
port_zero_becomes_a_real_port(void **state)
{
	/* NS-PRT-10u, NS-BND-03, NS-BND-11 */
	struct listener l;
	char digits[16];

	(void)state;
	open_one(&l, "127.0.0.1:0/Tcp");
	assert_true(addr_port(&l.addr) > 0);
	snprintf(digits, sizeof(digits), "%u", addr_port(&l.addr));
	assert_string_equal(l.service, digits);
	assert_string_equal(l.configured_port, "0");
	assert_string_equal(l.host, "127.0.0.1");
	assert_string_equal(l.proto, "Tcp");
	assert_string_equal(l.proto_upper, "TCP");
	assert_ptr_equal(l.transport, &transport_tcp);
	assert_int_equal(l.ipv, IPV_4);
	assert_true(l.backlog > 0);
	assert_serves(&l, &l.addr);
	listener_close(&l);
	assert_int_equal(l.fd, -1);
}

static void
a_listener_is_non_blocking_and_closed_by_exec(void **state)
{
	/* NS-BND-02, NS-BND-05, NS-BND-08 */
	struct listener l;

	(void)state;
	open_one(&l, "127.0.0.1:0");
	assert_true(fcntl(l.fd, F_GETFL) & O_NONBLOCK);
	assert_true(fcntl(l.fd, F_GETFD) & FD_CLOEXEC);
	assert_int_equal(option(l.fd, SOL_SOCKET, SO_REUSEADDR), 1);
	assert_int_equal(option(l.fd, SOL_SOCKET, SO_REUSEPORT), 0);
	assert_int_not_equal(option(l.fd, IPPROTO_TCP, TCP_NODELAY), 0);
	listener_close(&l);
}

static void
the_backlog_of_the_endpoint_is_kept(void **state)
{
	struct listener l;
	struct endpoint from = {
		.host = (char[]){ "127.0.0.1" }, .port = (char[]){ "0" }, .proto = (char[]){ "tcp" },
		.configured_host = (char[]){ "127.0.0.1" }, .configured_port = (char[]){ "0" },
		.ipv = IPV_4, .backlog = 3, .addr = loopback(AF_INET, 0),
	};

	(void)state;
	assert_int_equal(listener_open(&l, &from, NULL, NULL), 0);
	assert_int_equal(l.backlog, 3);
	listener_close(&l);
}

static void
the_dual_wildcard_serves_both_and_ipv6_alone_does_not(void **state)
{
	/* NS-IPV-03, -05, -06, -07, NS-TST-02, -03, -45 */
	struct listener l;
	struct addr a, peer = { .length = 0 };
	char text[ADDR_TEXT_MAX];
	int fd, served;

	(void)state;
	if (!have_ipv6())
		skip();
	open_one(&l, "*:0");
	assert_int_equal(option(l.fd, IPPROTO_IPV6, IPV6_V6ONLY), 0);
	a = loopback(AF_INET6, addr_port(&l.addr));
	assert_serves(&l, &a);
	a = loopback(AF_INET, addr_port(&l.addr));
	fd = connect_to(&a);
	assert_true(fd >= 0);
	served = accept(l.fd, NULL, NULL);
	assert_int_equal(addr_of_peer(&peer, served), 0);
	addr_host_text(&peer, text);
	assert_string_equal(text, "::ffff:127.0.0.1");
	close(fd);
	close(served);
	listener_close(&l);

	open_one(&l, "*:0/IPv6");
	assert_int_equal(option(l.fd, IPPROTO_IPV6, IPV6_V6ONLY), 1);
	a = loopback(AF_INET6, addr_port(&l.addr));
	assert_serves(&l, &a);
	a = loopback(AF_INET, addr_port(&l.addr));
	assert_int_equal(connect_to(&a), -ECONNREFUSED);
	listener_close(&l);
}

static void
ipv4_alone_does_not_serve_ipv6(void **state)
{
	/* NS-TST-01 */
	struct listener l;
	struct addr a;

	(void)state;
	open_one(&l, "*:0/IPv4");
	a = loopback(AF_INET, addr_port(&l.addr));
	assert_serves(&l, &a);
	a = loopback(AF_INET6, addr_port(&l.addr));
	if (have_ipv6())
		assert_int_equal(connect_to(&a), -ECONNREFUSED);
	listener_close(&l);
}

static void
two_sockets_share_the_port_of_the_first(void **state)
{
	/* NS-IPV-13, NS-TST-05, NS-TST-06 */
	struct listener l[2];
	struct error e;
	struct addr a;
	int code = -EADDRINUSE, tries;

	(void)state;
	if (!have_ipv6())
		skip();
	/* The port that IPv6 got may be taken on IPv4 by somebody else, though hardly five times. */
	for (tries = 0; tries < 5 && code == -EADDRINUSE; tries++) {
		code = open_list(l, 2, "0/IPv46", &e);
		if (code < 0)
			listener_close(&l[0]);
	}
	assert_int_equal(code, 0);
	assert_int_equal(addr_port(&l[0].addr), addr_port(&l[1].addr));
	a = loopback(AF_INET6, addr_port(&l[0].addr));
	assert_serves(&l[0], &a);
	a = loopback(AF_INET, addr_port(&l[0].addr));
	assert_serves(&l[1], &a);
	listener_close(&l[0]);
	listener_close(&l[1]);
}

static void
a_port_in_use_is_named_with_its_reason(void **state)
{
	/* NS-BND-01 */
	struct listener l, second;
	struct error e;
	char port[64], sentence[200];

	(void)state;
	open_one(&l, "127.0.0.1:0");
	snprintf(port, sizeof(port), "127.0.0.1:%s", l.service);
	assert_int_equal(try_open(&second, port, &e), -EADDRINUSE);
	snprintf(sentence, sizeof(sentence), "cannot bind tcp port %s on 127.0.0.1: address already in "
	    "use; another server listens there", l.service);
	assert_string_equal(e.text, sentence);
	assert_int_equal(e.status, EX_UNAVAILABLE);
	assert_int_equal(second.fd, -1);
	listener_close(&l);
}

static void
refusals_of_bind_say_what_to_change(void **state)
{
	/* NS-BND-01, NS-BND-06 */
	static const struct {
		int         error, status;
		const char *port, *sentence;
	} rows[] = {
		{ EACCES, EX_NOPERM, "127.0.0.1:80", "cannot bind tcp port 80 on 127.0.0.1: permission "
		    "denied; ports below 1024 need root or CAP_NET_BIND_SERVICE" },
		{ EACCES, EX_NOPERM, "127.0.0.1:8080", "8080 on 127.0.0.1: permission denied" },
		{ EADDRNOTAVAIL, EX_UNAVAILABLE, "192.0.2.1:80", "no interface of this machine" },
		{ EINVAL, EX_CONFIG, "[fe80::1]:80", "needs its interface" },
	};
	size_t i;

	(void)state;
	for (i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		struct listener l;
		struct error e;

		bind_error = 0;
		if (strchr(rows[i].port, '[') != NULL && !have_ipv6())
			continue;
		bind_error = rows[i].error;
		assert_int_equal(try_open(&l, rows[i].port, &e), -rows[i].error);
		assert_int_equal(e.status, rows[i].status);
		if (strstr(e.text, rows[i].sentence) == NULL)
			fail_msg("\"%s\" lacks \"%s\"", e.text, rows[i].sentence);
		if (i == 1)
			assert_null(strstr(e.text, "1024"));
	}
	bind_error = 0;
}

static void
closing_leaves_the_socket_to_its_other_owners(void **state)
{
	/* NS-BND-10 */
	struct listener l;
	struct addr a;
	int other, fd;

	(void)state;
	open_one(&l, "127.0.0.1:0");
	a = l.addr;
	other = dup(l.fd);
	listener_close(&l);
	fd = connect_to(&a);
	assert_true(fd >= 0);
	close(fd);
	close(other);
	listener_close(&l);
}

/* ---- unix ---- */

static bool
exists(const char *path)
{
	struct stat st;

	return lstat(path, &st) == 0;
}

/* The file of a server that was killed. */
static void
leave_stale_socket(const char *path)
{
	struct listener l;

	open_path(&l, path);
	listener_close(&l);
	assert_true(exists(path));
}

static void
a_path_serves_and_is_removed(void **state)
{
	/* NS-TST-68, NS-UNX-03, NS-UNX-04 */
	struct listener l;
	const char *path = path_of("x.sock");
	struct stat st;
	mode_t mask = umask(027);

	(void)state;
	open_path(&l, path);
	umask(mask);
	assert_int_equal(stat(path, &st), 0);
	assert_int_equal(st.st_mode & 0777, 0750);
	assert_string_equal(l.host, "*");
	assert_string_equal(l.service, path);
	assert_string_equal(l.proto_upper, "UNIX");
	assert_ptr_equal(l.transport, &transport_unix);
	assert_true(fcntl(l.directory, F_GETFD) & FD_CLOEXEC);
	assert_serves(&l, &l.addr);
	assert_int_equal(listener_unlink(&l), 0);
	assert_false(exists(path));
	assert_int_equal(listener_unlink(&l), 0);
	listener_close(&l);
}

static void
closing_alone_leaves_the_file(void **state)
{
	struct listener l;
	const char *path = path_of("x.sock");

	(void)state;
	open_path(&l, path);
	listener_close(&l);
	assert_true(exists(path));
	unlink(path);
}

static void
a_stale_socket_is_replaced(void **state)
{
	/* NS-TST-68, NS-UNX-02, NS-FIX-25 */
	struct listener l;
	const char *path = path_of("x.sock");

	(void)state;
	leave_stale_socket(path);
	open_path(&l, path);
	assert_serves(&l, &l.addr);
	listener_unlink(&l);
	listener_close(&l);
}

static void
a_live_socket_is_left_alone(void **state)
{
	/* NS-TST-68, NS-UNX-02, NS-FIX-25 */
	struct listener l;
	const char *path = path_of("x.sock");
	int fd;

	(void)state;
	open_path(&l, path);
	assert_path_refused(path, -EADDRINUSE, EX_UNAVAILABLE, "another server listens there");
	fd = accept(l.fd, NULL, NULL); /* the probe */
	assert_true(fd >= 0);
	close(fd);
	assert_serves(&l, &l.addr);
	listener_unlink(&l);
	listener_close(&l);
}

/* One of two that start at the same moment. Tells whether it got the path, keeps it until told. */
static void
contend(const char *path, int start, int told, int end)
{
	struct listener l;
	struct error e;
	char port[128], byte;

	snprintf(port, sizeof(port), "%s|unix", path);
	if (read(start, &byte, 1) < 0)
		_exit(1);
	byte = try_open(&l, port, &e) == 0 ? '+' : '-';
	if (write(told, &byte, 1) != 1 || read(end, &byte, 1) < 0)
		_exit(1);
	_exit(0);
}

static void
one_of_two_that_start_together_gets_a_stale_path(void **state)
{
	/* NS-UNX-02: neither takes it from the other between its probe and its bind. */
	const char *path = path_of("x.sock");
	int start[2], told[2], end[2], round, i;
	char answer[2];

	(void)state;
	for (round = 0; round < 20; round++) {
		leave_stale_socket(path);
		assert_int_equal(pipe(start) | pipe(told) | pipe(end), 0);
		for (i = 0; i < 2; i++) {
			pid_t pid = fork();

			assert_true(pid >= 0);
			if (pid > 0)
				continue;
			close(start[1]);
			close(end[1]);
			contend(path, start[0], told[1], end[0]);
		}
		close(start[1]);
		for (i = 0; i < 2; i++)
			assert_int_equal(read(told[0], &answer[i], 1), 1);
		close(end[1]);
		while (wait(NULL) > 0)
			;
		assert_int_not_equal(answer[0], answer[1]);
		close(start[0]);
		close(told[0]);
		close(told[1]);
		close(end[0]);
		unlink(path);
	}
}

static void
a_live_datagram_socket_is_left_alone(void **state)
{
	struct addr a;
	int fd = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0);

	(void)state;
	assert_int_equal(addr_set_path(&a, path_of("x.sock")), 0);
	assert_int_equal(played_bind(fd, &a.u.any, a.length), 0);
	assert_path_refused(path_of("x.sock"), -EADDRINUSE, EX_UNAVAILABLE, "another server");
	close(fd);
	unlink(path_of("x.sock"));
}

static void
a_file_that_is_no_socket_is_left_alone(void **state)
{
	/* NS-TST-68, NS-UNX-02, NS-FIX-25 */
	const char *path = path_of("x.sock"), *link = path_of("link");
	int fd = open(path, O_WRONLY | O_CREAT | O_CLOEXEC, 0600);

	(void)state;
	assert_int_equal(write(fd, "data", 4), 4);
	close(fd);
	assert_int_equal(symlink(path, link), 0);
	assert_path_refused(path, -EEXIST, EX_CANTCREAT, "no socket");
	assert_path_refused(link, -EEXIST, EX_CANTCREAT, "no socket");
	assert_path_refused(directory, -EEXIST, EX_CANTCREAT, "a directory");
	assert_true(exists(path) && exists(link));
	unlink(path);
	unlink(link);
}

static void
a_path_that_cannot_be_is_refused(void **state)
{
	char slash[100];
	struct endpoint from = {
		.host = (char[]){ "*" }, .port = slash, .proto = (char[]){ "unix" },
		.configured_host = (char[]){ "*" }, .configured_port = slash, .ipv = IPV_ANY,
	};
	struct listener l;
	struct error e;

	(void)state;
	assert_path_refused(path_of("none/x.sock"), -ENOENT, EX_NOINPUT, "its directory");
	snprintf(slash, sizeof(slash), "%s/", directory);
	assert_int_equal(addr_set_path(&from.addr, slash), 0);
	assert_int_equal(listener_open(&l, &from, NULL, &e), -EISDIR);
	assert_non_null(strstr(e.text, "must end in the name of a file"));
}

static void
only_our_own_file_is_removed(void **state)
{
	/* NS-UNX-04 */
	struct listener old, new;
	const char *path = path_of("x.sock");

	(void)state;
	open_path(&old, path);
	unlink(path);
	/* The old socket is still open, so the new file cannot have its inode. */
	open_path(&new, path);
	assert_int_equal(listener_unlink(&old), 0);
	assert_true(exists(path));
	listener_unlink(&new);
	listener_close(&new);
	listener_close(&old);
}

static void
a_child_does_not_remove_the_file(void **state)
{
	struct listener l;
	const char *path = path_of("x.sock");
	int status = -1;
	pid_t pid;

	(void)state;
	open_path(&l, path);
	pid = fork();
	assert_true(pid >= 0);
	if (pid == 0)
		_exit(listener_unlink(&l) == 0 ? 0 : 1);
	assert_int_equal(waitpid(pid, &status, 0), pid);
	assert_int_equal(status, 0);
	assert_true(exists(path));
	listener_unlink(&l);
	listener_close(&l);
}

static void
the_file_is_found_when_the_path_leads_elsewhere(void **state)
{
	/* As after a chroot: only the descriptor of the directory still leads to the file. */
	struct listener l;
	char moved[80];

	(void)state;
	open_path(&l, path_of("x.sock"));
	snprintf(moved, sizeof(moved), "%s.moved", directory);
	assert_int_equal(rename(directory, moved), 0);
	assert_int_equal(listener_unlink(&l), 0);
	assert_int_equal(rename(moved, directory), 0);
	assert_false(exists(path_of("x.sock")));
	listener_close(&l);
}

static void
a_relative_path_begins_where_the_server_started(void **state)
{
	/* NS-UNX-09 */
	struct listener l;
	int here = open(".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);

	(void)state;
	assert_int_equal(chdir(directory), 0);
	open_path(&l, "x.sock");
	assert_int_equal(fchdir(here), 0);
	close(here);
	assert_true(exists(path_of("x.sock")));
	assert_int_equal(listener_unlink(&l), 0);
	assert_false(exists(path_of("x.sock")));
	listener_close(&l);
}

static void
an_abstract_name_serves_without_a_file(void **state)
{
	/* NS-UNX-05 */
	struct listener l, second;
	struct error e;
	char port[64];

	(void)state;
	snprintf(port, sizeof(port), "@tend-test-%d|unix", (int)getpid());
	open_one(&l, port);
	assert_int_equal(l.directory, -1);
	assert_serves(&l, &l.addr);
	assert_int_equal(try_open(&second, port, &e), -EADDRINUSE);
	assert_int_equal(e.status, EX_UNAVAILABLE);
	assert_int_equal(listener_unlink(&l), 0);
	listener_close(&l);
}

/* ---- adopting ---- */

static void
a_listening_socket_is_adopted(void **state)
{
	/* NS-BND-09, NS-HUP-04 */
	struct listener l, adopted;
	struct endpoint from = {
		.host = (char[]){ "127.0.0.1" }, .port = (char[]){ "0" }, .proto = (char[]){ "tcp" },
		.configured_host = (char[]){ "localhost" }, .configured_port = (char[]){ "0" },
		.ipv = IPV_4, .addr = loopback(AF_INET, 0),
	};
	int fd;

	(void)state;
	open_one(&l, "127.0.0.1:0");
	fd = dup(l.fd);
	assert_int_equal(listener_adopt(&adopted, fd, &from, NULL), 0);
	assert_int_equal(adopted.fd, fd);
	assert_string_equal(adopted.service, l.service);
	assert_string_equal(adopted.configured_port, "0");
	assert_true(fcntl(fd, F_GETFD) & FD_CLOEXEC);
	listener_close(&l);
	assert_serves(&adopted, &adopted.addr);
	listener_close(&adopted);
}

static void
an_adopted_path_is_still_ours_to_remove(void **state)
{
	/* NS-HUP-04, NS-UNX-04 */
	struct listener l, adopted;
	const char *path = path_of("x.sock");
	struct endpoint from = {
		.host = (char[]){ "*" }, .proto = (char[]){ "unix" }, .configured_host = (char[]){ "*" },
		.ipv = IPV_ANY,
	};

	(void)state;
	from.port = from.configured_port = (char *)(uintptr_t)path;
	assert_int_equal(addr_set_path(&from.addr, path), 0);
	open_path(&l, path);
	assert_int_equal(listener_adopt(&adopted, dup(l.fd), &from, NULL), 0);
	assert_int_equal(adopted.inode, l.inode);
	listener_close(&l);
	assert_serves(&adopted, &adopted.addr);
	assert_int_equal(listener_unlink(&adopted), 0);
	assert_false(exists(path));
	listener_close(&adopted);
}

static void
what_does_not_listen_is_not_adopted(void **state)
{
	struct listener l;
	struct endpoint from = {
		.host = (char[]){ "127.0.0.1" }, .port = (char[]){ "80" }, .proto = (char[]){ "tcp" },
		.configured_host = (char[]){ "127.0.0.1" }, .configured_port = (char[]){ "http" },
		.ipv = IPV_4, .addr = loopback(AF_INET, 80),
	};
	struct error e = { .code = 0 };
	int wrong[] = {
		socket(AF_INET, SOCK_STREAM, 0), socket(AF_INET, SOCK_DGRAM, 0),
		socket(AF_UNIX, SOCK_STREAM, 0), open("/dev/null", O_RDONLY),
	};
	size_t i;

	(void)state;
	for (i = 0; i < sizeof(wrong) / sizeof(wrong[0]); i++) {
		assert_int_equal(listener_adopt(&l, wrong[i], &from, &e), -EINVAL);
		assert_int_equal(l.fd, -1);
		assert_int_equal(fcntl(wrong[i], F_GETFD), -1); /* taken, so closed */
		assert_non_null(strstr(e.text, "tcp port 'http'"));
	}
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

int
main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(port_zero_becomes_a_real_port),
		TEST(a_listener_is_non_blocking_and_closed_by_exec),
		TEST(the_backlog_of_the_endpoint_is_kept),
		TEST(the_dual_wildcard_serves_both_and_ipv6_alone_does_not),
		TEST(ipv4_alone_does_not_serve_ipv6),
		TEST(two_sockets_share_the_port_of_the_first),
		TEST(a_port_in_use_is_named_with_its_reason),
		TEST(refusals_of_bind_say_what_to_change),
		TEST(closing_leaves_the_socket_to_its_other_owners),
		TEST(a_path_serves_and_is_removed),
		TEST(closing_alone_leaves_the_file),
		TEST(a_stale_socket_is_replaced),
		TEST(a_live_socket_is_left_alone),
		TEST(one_of_two_that_start_together_gets_a_stale_path),
		TEST(a_live_datagram_socket_is_left_alone),
		TEST(a_file_that_is_no_socket_is_left_alone),
		TEST(a_path_that_cannot_be_is_refused),
		TEST(only_our_own_file_is_removed),
		TEST(a_child_does_not_remove_the_file),
		TEST(the_file_is_found_when_the_path_leads_elsewhere),
		TEST(a_relative_path_begins_where_the_server_started),
		TEST(an_abstract_name_serves_without_a_file),
		TEST(a_listening_socket_is_adopted),
		TEST(an_adopted_path_is_still_ours_to_remove),
		TEST(what_does_not_listen_is_not_adopted),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
