/*
 * The grammar of port strings: each row of the tables of section 3.2 of the specification is a row
 * here. What depends on looking things up is in resolve_test.c.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "net/endpoint.h"

#define COUNT(a) (sizeof(a) / sizeof((a)[0]))
#define BOTH (IPV_4 | IPV_6)

typedef int (*parse_fn)(const char *text, struct endpoint_text *into, struct error *e);

struct row {
	const char *text, *host, *port, *proto; /* NULL: not said */
	unsigned    ipv;
};

static const struct row accepted[] = {
	/* NS-PRT-10a */
	{ "20203", NULL, "20203", NULL, 0 },
	/* NS-PRT-10b */
	{ "localhost:20203", "localhost", "20203", NULL, 0 },
	/* NS-PRT-10c */
	{ "localhost:20203/tcp", "localhost", "20203", "tcp", 0 },
	{ "localhost|20203|tcp", "localhost", "20203", "tcp", 0 },
	{ "localhost,20203,tcp", "localhost", "20203", "tcp", 0 },
	{ "localhost 20203 tcp", "localhost", "20203", "tcp", 0 },
	{ "localhost, 20203, tcp", "localhost", "20203", "tcp", 0 },
	{ "localhost | 20203 | tcp", "localhost", "20203", "tcp", 0 },
	/* NS-PRT-10d */
	{ "localhost:20203/ipv4", "localhost", "20203", NULL, IPV_4 },
	{ "localhost:20203:IPv4", "localhost", "20203", NULL, IPV_4 },
	{ "localhost:20203/ipv4/tcp", "localhost", "20203", "tcp", IPV_4 },
	{ "localhost:20203/tcp/IPv4", "localhost", "20203", "tcp", IPV_4 },
	{ "localhost|20203|ipv4|tcp", "localhost", "20203", "tcp", IPV_4 },
	{ "localhost 20203 ipv4 tcp", "localhost", "20203", "tcp", IPV_4 },
	{ "localhost, 20203, tcp, IPv4", "localhost", "20203", "tcp", IPV_4 },
	/* NS-PRT-10e */
	{ "localhost:20203:IPv6", "localhost", "20203", NULL, IPV_6 },
	{ "[localhost]:IPv6:20203", "localhost", "20203", NULL, IPV_6 },
	/* NS-PRT-10f */
	{ "localhost:20203/IPv4/IPv6", "localhost", "20203", NULL, BOTH },
	{ "localhost, 20203, IPv6, IPv4", "localhost", "20203", NULL, BOTH },
	{ "localhost:20203/IPv46", "localhost", "20203", NULL, BOTH },
	{ "20203/IPv4/tcp/IPv6", NULL, "20203", "tcp", BOTH },
	/* NS-PRT-10g */
	{ "localhost:20203/IPv4/IPv4", "localhost", "20203", NULL, IPV_4 },
	/* NS-PRT-10h */
	{ "*:20203", "*", "20203", NULL, 0 },
	{ "[*]:20203", "*", "20203", NULL, 0 },
	{ "[]:20203", "*", "20203", NULL, 0 },
	/* NS-PRT-10i */
	{ "[*]:20203:IPv6", "*", "20203", NULL, IPV_6 },
	/* NS-PRT-10j */
	{ "[::1]:20203", "::1", "20203", NULL, 0 },
	{ "::1 20203", "::1", "20203", NULL, 0 },
	{ "::1, 20203", "::1", "20203", NULL, 0 },
	{ "::1|20203", "::1", "20203", NULL, 0 },
	{ "::1:20203", "::1", "20203", NULL, 0 },
	{ "::1:7007", "::1", "7007", NULL, 0 },
	{ "[::1]:20203 ipv6 tcp", "::1", "20203", "tcp", IPV_6 },
	/* NS-PRT-10k: that the literal address wins is for resolving to see */
	{ "[::1]:20203/IPv4", "::1", "20203", NULL, IPV_4 },
	/* NS-PRT-10l */
	{ "[localhost]:20203/tcp", "localhost", "20203", "tcp", 0 },
	/* NS-PRT-10m */
	{ "localhost:http", "localhost", "http", NULL, 0 },
	{ "http", NULL, "http", NULL, 0 },
	{ "localhost:http-alt/tcp", "localhost", "http-alt", "tcp", 0 },
	/* NS-PRT-10n */
	{ "20203/udp", NULL, "20203", "udp", 0 },
	{ "20203 udp", NULL, "20203", "udp", 0 },
	{ "20203,udp", NULL, "20203", "udp", 0 },
	{ "20203:udp", NULL, "20203", "udp", 0 },
	{ "20203|udp|ipv6", NULL, "20203", "udp", IPV_6 },
	/* NS-PRT-10o, NS-PRT-06 */
	{ "20203/ssl", NULL, "20203", "ssl", 0 },
	{ "20203/ssleay", NULL, "20203", "ssleay", 0 },
	{ "20203/SSLEAY", NULL, "20203", "SSLEAY", 0 },
	{ "20203/TLS", NULL, "20203", "TLS", 0 },
	{ "LocalHost:20203/Tcp", "LocalHost", "20203", "Tcp", 0 },
	/* NS-PRT-10p */
	{ "/run/x.sock|unix", NULL, "/run/x.sock", "unix", 0 },
	{ "/run/x.sock/unix", NULL, "/run/x.sock", "unix", 0 },
	{ "/run/x.sock unix", NULL, "/run/x.sock", "unix", 0 },
	{ "/run/x.sock,unix", NULL, "/run/x.sock", "unix", 0 },
	{ "/run/x.sock:unix", NULL, "/run/x.sock", "unix", 0 },
	/* NS-PRT-10q */
	{ "dir/x/unix", NULL, "dir/x", "unix", 0 },
	/* NS-PRT-10r */
	{ "/run/x.sock|unixdgram", NULL, "/run/x.sock", "unixdgram", 0 },
	/* NS-PRT-10s: the general proto is for resolving to see */
	{ "/run/x.sock", NULL, "/run/x.sock", NULL, 0 },
	{ "/run/sock", NULL, "/run/sock", NULL, 0 },
	/* NS-PRT-10t */
	{ "/run/x.sock|unix|IPv6", NULL, "/run/x.sock", "unix", 0 },
	/* NS-PRT-10u */
	{ "0", NULL, "0", NULL, 0 },
	{ "localhost:0", "localhost", "0", NULL, 0 },
	{ "127.0.0.1:0/udp", "127.0.0.1", "0", "udp", 0 },
	/* NS-PRT-10v, NS-PRT-07 */
	{ "localhost: 20203", "localhost", "20203", NULL, 0 },
	{ "localhost :20203", "localhost", "20203", NULL, 0 },
	{ "localhost::20203", "localhost", "20203", NULL, 0 },
	{ "localhost:20203//tcp", "localhost", "20203", "tcp", 0 },
	{ " 20203", NULL, "20203", NULL, 0 },
	{ "20203\t", NULL, "20203", NULL, 0 },
	/* NS-PRT-10w */
	{ "20203/Some::Name", NULL, "20203", "Some::Name", 0 },
	{ "20203/IPv4/Some::Name", NULL, "20203", "Some::Name", IPV_4 },
	/* NS-PRT-11c */
	{ "localhost/20203", "localhost", "20203", NULL, 0 },
	{ "localhost/20203/tcp", "localhost", "20203", "tcp", 0 },
	{ "*/20203", "*", "20203", NULL, 0 },
	/* NS-PRT-11d */
	{ ":20203", NULL, "20203", NULL, 0 },
	{ ",20203", NULL, "20203", NULL, 0 },
	{ "::20203", NULL, "20203", NULL, 0 },
	/* NS-PRT-11e */
	{ "80|IPv4|IPv6|IPv4", NULL, "80", NULL, BOTH },
	{ "80/IPv4/IPv6/IPv4", NULL, "80", NULL, BOTH },
	{ "80/IPv4/IPv*", NULL, "80", NULL, IPV_ANY },
	/* NS-PRT-11f: unknown here, refused when it is looked for */
	{ "20203/foo", NULL, "20203", "foo", 0 },
	/* NS-PRT-11g */
	{ "[fe80::1%eth0]:20203", "fe80::1%eth0", "20203", NULL, 0 },
	{ "fe80::1%eth0:20203", "fe80::1%eth0", "20203", NULL, 0 },
	{ "fe80::1%eth0 20203 IPv6", "fe80::1%eth0", "20203", NULL, IPV_6 },
	{ "my_host-1.example:80", "my_host-1.example", "80", NULL, 0 },
	/* NS-PRT-20, NS-UNX-01 */
	{ "/run/x.sock|sock_dgram|unix", NULL, "/run/x.sock", "unixdgram", 0 },
	{ "/run/x.sock|SOCK_DGRAM|unix", NULL, "/run/x.sock", "unixdgram", 0 },
	{ "/run/x.sock|unix|Sock_Dgram", NULL, "/run/x.sock", "unixdgram", 0 },
	{ "/run/x.sock|SOCK_STREAM|unix", NULL, "/run/x.sock", "unix", 0 },
	{ "/run/x.sock|SOCK_STREAM", NULL, "/run/x.sock", "unix", 0 },
	{ "x|SOCK_DGRAM|UNIX", NULL, "x", "unixdgram", 0 },
	{ "20203|SOCK_STREAM|tcp", NULL, "20203", "tcp", 0 },
	/* NS-UNX-05 */
	{ "/run/a b;c,d:e|unix", NULL, "/run/a b;c,d:e", "unix", 0 },
	{ "/run/(x)|unix", NULL, "/run/(x)", "unix", 0 },
	{ "/run/ipv4/sock_dgram|unix", NULL, "/run/ipv4/sock_dgram", "unix", 0 },
	{ "/run/unix|unix", NULL, "/run/unix", "unix", 0 },
	{ "@name|unix", NULL, "@name", "unix", 0 },
};

static void
assert_text(const char *of, const char *what, const char *got, const char *wanted)
{
	if ((got == NULL) != (wanted == NULL) || (got != NULL && strcmp(got, wanted) != 0))
		fail_msg("'%s': %s is '%s', not '%s'", of, what, got != NULL ? got : "(not said)",
		    wanted != NULL ? wanted : "(not said)");
}

static void
assert_parts(parse_fn parse, const struct row *row)
{
	struct error e = { .code = 0 };
	struct endpoint_text t;

	if (parse(row->text, &t, &e) != 0)
		fail_msg("'%s': %s", row->text, e.text);
	assert_int_equal(e.code, 0);
	assert_text(row->text, "host", t.host, row->host);
	assert_text(row->text, "port", t.port, row->port);
	assert_text(row->text, "proto", t.proto, row->proto);
	if (t.ipv != row->ipv)
		fail_msg("'%s': ipv is %u, not %u", row->text, t.ipv, row->ipv);
	endpoint_text_done(&t);
}

static void
port_strings_of_the_table(void **state)
{
	/* NS-TST-10, NS-TST-44, NS-PRT-01 to -08, NS-PRT-10a to -10w, NS-FIX-26 */
	size_t i;

	(void)state;
	for (i = 0; i < COUNT(accepted); i++)
		assert_parts(endpoint_parse, &accepted[i]);
}

static const struct {
	const char *text, *sentence;
} rejected[] = {
	/* NS-PRT-11a */
	{ "99999", "0 to 65535" },
	{ "65536", "0 to 65535" },
	{ "99999999999999999999", "0 to 65535" },
	{ "localhost:65536/tcp", "0 to 65535" },
	/* NS-PRT-11b */
	{ "-1", "neither a number nor" },
	{ "20203;20204", "repeating the option" },
	{ "localhost:", "no port" },
	{ "20203x", "neither a number nor" },
	{ "h:80:81", "no IPv6 address" },
	{ "127.0.0.1:80:81", "no IPv6 address" },
	{ "[h:80]:81", "no IPv6 address" },
	{ "7007, 7008", "repeating the option" },
	{ "7007,7008,7009", "repeating the option" },
	{ "7007, localhost:7008", "repeating the option" },
	{ "localhost:7007, localhost:7008", "repeating the option" },
	{ "20203/20204", "a number is no host" },
	{ "20203,", "no port" },
	{ "[::1]", "no port" },
	{ "::1", "[address]:port" },
	{ "fe80::1", "[address]:port" },
	{ "fe80::1%lo", "[address]:port" },
	{ "20203/tcp/udp", "a number is no host" },
	{ "dir/x.sock", "append |unix" },
	/* NS-PRT-11g */
	{ "ex!ample:80", "a host has letters" },
	{ "[localhost:80", "a host has letters" },
	{ "localhost%eth0:80", "a host has letters" },
	{ "fe80::1%:80", "no IPv6 address" },
	/* NS-PRT-11h */
	{ "999.1.1.1:20203", "no IPv4 address" },
	{ "127.1:20203", "no IPv4 address" },
	/* NS-PRT-11l */
	{ "", "empty" },
	{ " ", "empty" },
	/* NS-PRT-11m */
	{ "20203/IPv5", "IP version" },
	{ "20203/IPv", "IP version" },
	{ "localhost:IPv9:20203", "IP version" },
	/* NS-UNX-01 */
	{ "20203|SOCK_DGRAM|tcp", "unix alone" },
	{ "/run/x|SOCK_STREAM|unixdgram", "does not go with" },
	{ "/run/x|SOCK_STREAM|SOCK_DGRAM|unix", "two socket types" },
	{ "/run/x.sock|tcp", "append |unix" },
	{ "unix:/run/x.sock", "first, then |unix" },
	{ "@|unix", "abstract" },
};

static void
what_cannot_be_parsed_is_quoted(void **state)
{
	/* NS-PRT-11a, -11b, -11g, -11h, -11l, -11m, NS-TST-44 */
	size_t i;

	(void)state;
	for (i = 0; i < COUNT(rejected); i++) {
		const char *text = rejected[i].text;
		struct error e = { .code = 0 };
		struct endpoint_text t;

		if (endpoint_parse(text, &t, &e) != -EINVAL)
			fail_msg("'%s' was accepted: host %s, port %s", text, t.host, t.port);
		assert_int_equal(e.status, EX_CONFIG);
		assert_null(t.host);
		assert_null(t.port);
		assert_null(t.proto);
		if (strstr(e.text, rejected[i].sentence) == NULL || strstr(e.text, text) == NULL)
			fail_msg("'%s': \"%s\" lacks \"%s\"", text, e.text, rejected[i].sentence);
	}
}

static void
the_sentence_is_safe_to_print(void **state)
{
	struct error e = { .code = 0 };
	struct endpoint_text t;

	(void)state;
	assert_int_equal(endpoint_parse("a\nb\033[2J:80", &t, &e), -EINVAL);
	assert_null(strpbrk(e.text, "\n\033"));
}

static const struct row local[] = {
	/* NS-PRT-10s, NS-UNX-05 */
	{ "/run/x.sock", NULL, "/run/x.sock", NULL, 0 },
	{ "dir/x", NULL, "dir/x", NULL, 0 },
	{ "dir/x.sock", NULL, "dir/x.sock", NULL, 0 },
	{ "my socket", NULL, "my socket", NULL, 0 },
	{ "x", NULL, "x", NULL, 0 },
	{ "@name", NULL, "@name", NULL, 0 },
	{ "x|unixdgram", NULL, "x", "unixdgram", 0 },
	{ "x|SOCK_DGRAM", NULL, "x", "unixdgram", 0 },
	{ "/run/x|IPv6", NULL, "/run/x", NULL, 0 },
	{ "localhost:20203/tcp", "localhost", "20203", "tcp", 0 },
	{ "20203/tcp/IPv4", NULL, "20203", "tcp", IPV_4 },
};

static void
where_paths_are_meant_strings_are_paths(void **state)
{
	size_t i;
	struct error e = { .code = 0 };
	struct endpoint_text t;

	(void)state;
	for (i = 0; i < COUNT(local); i++)
		assert_parts(endpoint_parse_local, &local[i]);
	assert_int_equal(endpoint_parse_local("20203x/tcp", &t, &e), -EINVAL);
	assert_non_null(strstr(e.text, "20203x"));
}

static void
ip_versions_are_read_from_any_decoration(void **state)
{
	/* NS-IPV-01, NS-PRT-11m */
	static const struct {
		const char *text;
		unsigned    ipv; /* 0: refused */
	} rows[] = {
		{ "4", IPV_4 }, { "IPv4", IPV_4 }, { "6", IPV_6 }, { "v6", IPV_6 },
		{ "46", BOTH }, { "64", BOTH }, { "v4v6", BOTH }, { "IPv4 IPv6", BOTH },
		{ "IPv4, IPv6", BOTH }, { "*", IPV_ANY }, { "4*", IPV_ANY }, { "IPv*", IPV_ANY },
		{ "", IPV_ANY }, { "0", IPV_ANY }, { "5", 0 }, { "IPv", 0 }, { "any", 0 },
	};
	size_t i;

	(void)state;
	for (i = 0; i < COUNT(rows); i++) {
		struct error e = { .code = 0 };
		unsigned ipv;
		int r = ipv_parse(rows[i].text, &ipv, &e);

		assert_int_equal(r, rows[i].ipv != 0 ? 0 : -EINVAL);
		assert_int_equal(e.status, rows[i].ipv != 0 ? 0 : EX_CONFIG);
		if (r == 0)
			assert_int_equal(ipv, rows[i].ipv);
		else
			assert_non_null(strstr(e.text, rows[i].text));
	}
}

static void
host_and_proto_settings_may_carry_versions(void **state)
{
	/* NS-IPV-02, NS-PRT-22 */
	static const struct {
		const char *text, *rest;
		unsigned    ipv;
	} hosts[] = {
		{ "localhost", "localhost", 0 }, { "localhost/IPv6", "localhost", IPV_6 },
		{ "[::1]", "::1", 0 }, { "::1 IPv6", "::1", IPV_6 }, { "fe80::1%lo", "fe80::1%lo", 0 },
		{ "*/IPv4/IPv6", "*", BOTH }, { "127.0.0.1", "127.0.0.1", 0 },
	}, protos[] = {
		{ "tcp", "tcp", 0 }, { "TCP/IPv6", "TCP", IPV_6 }, { "udp IPv4", "udp", IPV_4 },
		{ "Some::Name", "Some::Name", 0 }, { " tcp ", "tcp", 0 },
	};
	static const char *const bad_hosts[] = { "", "7007", "a b", "h:80", "1.2.3", "localhost/tcp" };
	static const char *const bad_protos[] = { "", "tcp/udp", "tcp, udp", "t-c-p", "80" };
	size_t i;
	char *text;
	unsigned ipv;

	(void)state;
	for (i = 0; i < COUNT(hosts); i++) {
		assert_int_equal(endpoint_parse_host(hosts[i].text, &text, &ipv, NULL), 0);
		assert_string_equal(text, hosts[i].rest);
		assert_int_equal(ipv, hosts[i].ipv);
		free(text);
	}
	for (i = 0; i < COUNT(protos); i++) {
		assert_int_equal(endpoint_parse_proto(protos[i].text, &text, &ipv, NULL), 0);
		assert_string_equal(text, protos[i].rest);
		assert_int_equal(ipv, protos[i].ipv);
		free(text);
	}
	for (i = 0; i < COUNT(bad_hosts); i++)
		assert_int_equal(endpoint_parse_host(bad_hosts[i], &text, &ipv, NULL), -EINVAL);
	for (i = 0; i < COUNT(bad_protos); i++)
		assert_int_equal(endpoint_parse_proto(bad_protos[i], &text, &ipv, NULL), -EINVAL);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(port_strings_of_the_table),
		cmocka_unit_test(what_cannot_be_parsed_is_quoted),
		cmocka_unit_test(the_sentence_is_safe_to_print),
		cmocka_unit_test(where_paths_are_meant_strings_are_paths),
		cmocka_unit_test(ip_versions_are_read_from_any_decoration),
		cmocka_unit_test(host_and_proto_settings_may_carry_versions),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
