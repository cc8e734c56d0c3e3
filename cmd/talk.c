/*
 * The talkative echo of net-server (NS-ECH-01 to -07): says what was said, and knows `get`, `dump`,
 * `quit` and `exit`. What shows or ends the server is for clients of this machine, unless asked
 * otherwise.
 */
#include "tend.h"

#include <arpa/inet.h>
#include <errno.h>
#include <netinet/in.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <sys/socket.h>
#include <unistd.h>

static bool remote_control;
static double patience;

static const struct tend_option options[] = {
	{ "remote_control", TEND_INTO(&remote_control), .value = "0",
	    .help = "exit, dump and get for clients of other machines too" },
	{ "patience", TEND_INTO(&patience), .value = "30",
	    .help = "seconds that a client may take for a line; 0: as idle_timeout says" },
	TEND_END
};

static bool
is_of_this_machine(struct tend_conn *c)
{
	struct sockaddr_storage peer;
	const struct sockaddr_in6 *v6 = (const void *)&peer;
	const struct sockaddr_in *v4 = (const void *)&peer;

	if (tend_peer_sockaddr(c, &peer) == 0)
		return true;
	if (peer.ss_family == AF_INET)
		return ntohl(v4->sin_addr.s_addr) >> 24 == 127;
	if (peer.ss_family == AF_INET6)
		return IN6_IS_ADDR_LOOPBACK(&v6->sin6_addr) ||
		    (IN6_IS_ADDR_V4MAPPED(&v6->sin6_addr) && v6->sin6_addr.s6_addr[12] == 127);
	return peer.ss_family == AF_UNIX;
}

/* ---- what can be asked ---- */

/* State of the connection under the names of Net::Server; options under theirs. */
static void
say_value(struct tend_conn *c, const char *name)
{
	struct tend_server *srv = tend_conn_server(c);
	const char *value;

	if (strcmp(name, "peeraddr") == 0)
		tend_printf(c, "%s: %s\r\n", name, tend_peer_host(c));
	else if (strcmp(name, "peerport") == 0)
		tend_printf(c, "%s: %u\r\n", name, tend_peer_port(c));
	else if (strcmp(name, "sockaddr") == 0)
		tend_printf(c, "%s: %s\r\n", name, tend_local_host(c));
	else if (strcmp(name, "sockport") == 0)
		tend_printf(c, "%s: %u\r\n", name, tend_local_port(c));
	else if (strcmp(name, "requests") == 0)
		tend_printf(c, "%s: %lu\r\n", name, tend_server_requests(srv));
	else {
		value = tend_server_get(srv, name);
		tend_printf(c, "%s: %s\r\n", name, value != NULL ? value : "");
	}
}

static void
dump(struct tend_conn *c)
{
	FILE *out;

	if (tend_conn_stdio(c, NULL, &out) < 0)
		return;
	tend_server_dump(tend_conn_server(c), out);
	fflush(out);
}

/* The word after "get" and blanks, anywhere in the line. */
static bool
asks_for_value(const char *line, char name[64])
{
	const char *p = line;

	while ((p = strstr(p, "get")) != NULL) {
		p += 3;
		if ((*p == ' ' || *p == '\t') && sscanf(p, " %63[A-Za-z0-9_]", name) == 1)
			return true;
	}
	return false;
}

/* Acts on the first command that the line holds. False: the conversation is over. */
static bool
obey(struct tend_conn *c, const char *line)
{
	bool trusted = remote_control || is_of_this_machine(c);
	char name[64];

	if (trusted && asks_for_value(line, name)) {
		say_value(c, name);
	} else if (trusted && strstr(line, "dump") != NULL) {
		dump(c);
	} else if (strstr(line, "quit") != NULL) {
		return false;
	} else if (strstr(line, "exit") != NULL) {
		if (trusted) {
			tend_server_stop(tend_conn_server(c));
			return false;
		}
		tend_printf(c, "exit is for clients of this machine (option remote_control)\r\n");
	}
	return true;
}

static void
say_line(struct tend_conn *c, const char *line, size_t length)
{
	while (length > 0 && line[length - 1] == '\r')
		length--;
	tend_printf(c, "%s:%ld: You said \"", tend_server_name(tend_conn_server(c)), (long)getpid());
	tend_write(c, line, length);
	tend_printf(c, "\"\r\n");
}

static void
talk(struct tend_conn *c)
{
	char *line;
	ssize_t n;

	tend_printf(c, "Welcome to \"%s\" (%ld)\r\n", tend_server_name(tend_conn_server(c)),
	    (long)getpid());
	tend_set_timeout(c, patience); /* for each line anew, NS-ECH-04 */
	while ((n = tend_getline(c, &line)) > 0) {
		say_line(c, line, (size_t)n - 1);
		if (!obey(c, line))
			return;
	}
	if (n == -ETIMEDOUT)
		tend_printf(c, "Timed Out.\r\n");
	else if (n == -EMSGSIZE)
		tend_printf(c, "Line too long.\r\n");
}

/* ---- under which personality ---- */

const struct tend_service talk_service = {
	.name = "tend",
	.about = "Echoes lines and says so; the talkative echo of net-server.",
	.options = options,
	.hooks.process = talk,
};

/*
 * `tend Fork key value ...` is `tend --server_type=Fork key value ...`; MultiType leaves the choice
 * to the option (NS-CLI-01).
 */
int
command_talk(int argc, char **argv)
{
	char **words = calloc((size_t)argc + 2, sizeof(*words));
	char *type = NULL;
	int i, n = 0, status;
	bool word = argc > 1 && is_personality(argv[1]);
	bool first = word && strcasecmp(argv[1], "MultiType") != 0;

	if (words == NULL || (first && asprintf(&type, "--server_type=%s", argv[1]) < 0)) {
		free(words);
		return complain(EX_OSERR, "out of memory");
	}
	words[n++] = argv[0];
	/* The first that can be had: of `tend Fork server_type PreFork`, Fork (NS-MTY-07). */
	if (first)
		words[n++] = type;
	for (i = word ? 2 : 1; i < argc; i++)
		words[n++] = argv[i];
	status = tend_main(n, words, &talk_service);
	free(type);
	free(words);
	return status;
}
