/* Who is at the two ends of a connection, before and after it was closed. */
#include "conn_fixture.h"

#include <sys/un.h>

static unsigned
port_of(int fd)
{
	struct addr a;

	assert_int_equal(addr_of_socket(&a, fd), 0);
	return addr_port(&a);
}

/* DS-103, -108, NS-BND-11 */
static void
tcp_has_hosts_and_ports(void **state)
{
	struct meeting *m = *state;
	struct sockaddr_storage raw;
	const struct sockaddr_in *v4 = (const struct sockaddr_in *)&raw;
	unsigned peer_port = port_of(m->client), local_port = port_of(m->c.fd);
	char text[64];

	snprintf(text, sizeof(text), "127.0.0.1:%u", peer_port);
	assert_string_equal(tend_peer(&m->c), text);
	assert_string_equal(tend_peer_host(&m->c), "127.0.0.1");
	assert_int_equal(tend_peer_port(&m->c), peer_port);
	snprintf(text, sizeof(text), "127.0.0.1:%u", local_port);
	assert_string_equal(tend_local(&m->c), text);
	assert_string_equal(tend_local_host(&m->c), "127.0.0.1");
	assert_int_equal(tend_local_port(&m->c), local_port);
	assert_int_equal(tend_peer_sockaddr(&m->c, &raw), sizeof(*v4));
	assert_int_equal(v4->sin_family, AF_INET);
	assert_int_equal(ntohs(v4->sin_port), peer_port);
	assert_string_equal(tend_conn_proto(&m->c), "TEST");
	assert_string_equal(tend_conn_service(&m->c), "7007");
	assert_int_equal(tend_conn_fd(&m->c), m->c.fd);
}

/* DS-103: made once, static for the life of the connection. */
static void
texts_stay_where_they_are(void **state)
{
	struct meeting *m = *state;
	const char *peer = tend_peer(&m->c), *local = tend_local(&m->c);
	const char *peer_host = tend_peer_host(&m->c), *local_host = tend_local_host(&m->c);
	char copies[4][ADDR_TEXT_MAX];

	strcpy(copies[0], peer);
	strcpy(copies[1], local);
	strcpy(copies[2], peer_host);
	strcpy(copies[3], local_host);
	tend_close(&m->c);
	assert_ptr_equal(tend_peer(&m->c), peer);
	assert_ptr_equal(tend_local(&m->c), local);
	assert_ptr_equal(tend_peer_host(&m->c), peer_host);
	assert_ptr_equal(tend_local_host(&m->c), local_host);
	assert_string_equal(peer, copies[0]);
	assert_string_equal(local, copies[1]);
	assert_string_equal(peer_host, copies[2]);
	assert_string_equal(local_host, copies[3]);
}

/* NS-GEN-08: and is not that of the next client. */
static void
a_name_is_known_until_the_connection_is_released(void **state)
{
	struct meeting *m = *state;

	assert_null(tend_peer_name(&m->c));
	assert_int_equal(conn_set_peer_name(&m->c, "first.example"), 0);
	assert_int_equal(conn_set_peer_name(&m->c, "client.example"), 0);
	tend_close(&m->c);
	assert_string_equal(tend_peer_name(&m->c), "client.example");
	conn_release(&m->c);
	assert_null(tend_peer_name(&m->c));
}

/* DS-106, DS-T32: nobody asked before, as in the hook `closed`. */
static void
the_peer_is_known_after_the_close(void **state)
{
	struct meeting *m = *state;
	unsigned peer_port = port_of(m->client);
	struct sockaddr_storage raw;

	tend_close(&m->c);
	assert_int_equal(tend_conn_fd(&m->c), -1);
	assert_string_equal(tend_peer_host(&m->c), "127.0.0.1");
	assert_int_equal(tend_peer_port(&m->c), peer_port);
	assert_int_equal(tend_peer_sockaddr(&m->c, &raw), sizeof(struct sockaddr_in));
	assert_string_equal(tend_conn_proto(&m->c), "TEST");
	assert_string_equal(tend_conn_service(&m->c), "7007");
}

static void
the_peer_is_known_after_an_abort(void **state)
{
	struct meeting *m = *state;
	unsigned peer_port = port_of(m->client);

	tend_abort(&m->c);
	assert_int_equal(tend_peer_port(&m->c), peer_port);
}

/* What accept said is not asked again. */
static void
the_address_of_accept_is_believed(void **state)
{
	struct meeting *m = *state;
	struct addr given = { .length = sizeof(struct sockaddr_in) };

	given.u.v4.sin_family = AF_INET;
	given.u.v4.sin_port = htons(4711);
	given.u.v4.sin_addr.s_addr = htonl(0xc0000201);
	conn_open(&m->c, m->c.fd, &m->listener, &given, &m->mood);
	assert_string_equal(tend_peer(&m->c), "192.0.2.1:4711");
	tend_close(&m->c);
	assert_string_equal(tend_peer_host(&m->c), "192.0.2.1");
}

/* Then only the listener can tell. */
static void
the_own_address_after_the_close_is_the_listeners(void **state)
{
	struct meeting *m = *state;

	assert_int_equal(addr_of_socket(&m->listener.addr, m->c.fd), 0);
	tend_close(&m->c);
	assert_string_equal(tend_local_host(&m->c), "127.0.0.1");
	assert_int_equal(tend_local_port(&m->c), addr_port(&m->listener.addr));
}

/* DS-105: unnamed, as most clients are. */
static void
a_unix_client_without_a_path_is_unix(void **state)
{
	struct meeting *m = *state;
	struct sockaddr_storage raw;

	assert_string_equal(tend_peer(&m->c), "unix:");
	assert_string_equal(tend_peer_host(&m->c), "");
	assert_int_equal(tend_peer_port(&m->c), 0);
	assert_string_equal(tend_local(&m->c), "unix:");
	assert_string_equal(tend_local_host(&m->c), "");
	assert_int_equal(tend_local_port(&m->c), 0);
	assert_true(tend_peer_sockaddr(&m->c, &raw) >= sizeof(sa_family_t));
	assert_int_equal(raw.ss_family, AF_UNIX);
	tend_close(&m->c);
	assert_string_equal(tend_peer(&m->c), "unix:");
}

static int
bound(const char *path)
{
	int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
	struct addr a;

	assert_true(fd >= 0);
	assert_int_equal(addr_set_path(&a, path), 0);
	assert_int_equal(bind(fd, &a.u.any, a.length), 0);
	return fd;
}

static int
over_named_unix(void **state)
{
	static char directory[] = "/tmp/tend-conn-addr-XXXXXX";
	char server[64], client[64];
	int pair[2], fd;
	struct addr a;

	*state = &meeting;
	if (mkdtemp(directory) == NULL)
		return -1;
	snprintf(server, sizeof(server), "%s/server", directory);
	snprintf(client, sizeof(client), "%s/client", directory);
	fd = bound(server);
	pair[1] = bound(client);
	if (listen(fd, 1) < 0 || addr_of_socket(&a, fd) < 0 ||
	    connect(pair[1], &a.u.any, a.length) < 0)
		return -1;
	pair[0] = accept4(fd, NULL, NULL, SOCK_CLOEXEC);
	close(fd);
	unlink(server);
	unlink(client);
	rmdir(directory);
	return pair[0] < 0 ? -1 : meeting_open(&meeting, &transport_unix, pair);
}

/* DS-105 */
static void
unix_paths_are_shown(void **state)
{
	struct meeting *m = *state;
	size_t n = strlen(tend_peer(&m->c));

	assert_memory_equal(tend_peer(&m->c), "unix:/tmp/tend-conn-addr-", 25);
	assert_string_equal(tend_peer(&m->c) + n - 7, "/client");
	n = strlen(tend_local(&m->c));
	assert_string_equal(tend_local(&m->c) + n - 7, "/server");
	assert_string_equal(tend_peer_host(&m->c), "");
}

static int
over_tcp6(void **state)
{
	int pair[2];

	*state = NULL;
	/* A machine without IPv6 has nothing to show. */
	if (tcp_pair(AF_INET6, pair) < 0)
		return 0;
	*state = &meeting;
	return meeting_open(&meeting, &transport_tcp, pair);
}

static int
part6(void **state)
{
	return *state != NULL ? part(state) : 0;
}

/* DS-104 */
static void
ipv6_stands_in_brackets(void **state)
{
	struct meeting *m = *state;
	char text[64];

	if (m == NULL) {
		skip();
		return;
	}
	snprintf(text, sizeof(text), "[::1]:%u", port_of(m->client));
	assert_string_equal(tend_peer(&m->c), text);
	assert_string_equal(tend_peer_host(&m->c), "::1");
	snprintf(text, sizeof(text), "[::1]:%u", port_of(m->c.fd));
	assert_string_equal(tend_local(&m->c), text);
	assert_string_equal(tend_local_host(&m->c), "::1");
}

int
main(void)
{
	static const struct CMUnitTest tests[] = {
		OVER_TCP(tcp_has_hosts_and_ports),
		EVERYWHERE(texts_stay_where_they_are),
		OVER_TCP(a_name_is_known_until_the_connection_is_released),
		OVER_TCP(the_peer_is_known_after_the_close),
		OVER_TCP(the_peer_is_known_after_an_abort),
		OVER_TCP(the_address_of_accept_is_believed),
		OVER_TCP(the_own_address_after_the_close_is_the_listeners),
		OVER_UNIX(a_unix_client_without_a_path_is_unix),
		{ "unix_paths_are_shown", unix_paths_are_shown, over_named_unix, part, NULL },
		{ "ipv6_stands_in_brackets", ipv6_stands_in_brackets, over_tcp6, part6, NULL },
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
