/* What both clients of the benchmarks need. */
#include "client.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sysexits.h>
#include <time.h>

#ifndef IP_BIND_ADDRESS_NO_PORT
#define IP_BIND_ADDRESS_NO_PORT 24
#endif

_Noreturn void
client_fail(const char *what)
{
	fprintf(stderr, "%s: cannot %s: %s\n", program_invocation_short_name, what, strerror(errno));
	exit(EX_OSERR);
}

int64_t
client_now(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return (int64_t)t.tv_sec * 1000000000 + t.tv_nsec;
}

void
client_note(struct client_errors *e, const char *what, int error)
{
	if (e->count++ > 0)
		return;
	if (error != 0)
		snprintf(e->first, sizeof(e->first), "%s: %s", what, strerror(error));
	else
		snprintf(e->first, sizeof(e->first), "%s", what);
}

struct sockaddr_in
client_target(long port)
{
	struct sockaddr_in to = { .sin_family = AF_INET, .sin_port = htons((uint16_t)port) };

	to.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
	return to;
}

int
client_bind(int fd, long last)
{
	struct sockaddr_in from = { .sin_family = AF_INET };
	int on = 1;

	if (last == 1)
		return 0;
	from.sin_addr.s_addr = htonl(0x7f000000u + (unsigned)last);
	if (setsockopt(fd, IPPROTO_IP, IP_BIND_ADDRESS_NO_PORT, &on, sizeof(on)) < 0)
		return -1;
	return bind(fd, (struct sockaddr *)&from, sizeof(from));
}

double
client_number(const char *option, const char *text, double least, double most)
{
	char *end;
	double n = strtod(text, &end);

	if (end == text || *end != '\0' || !(n >= least && n <= most)) {
		fprintf(stderr, "%s: %s %s: give a number from %g to %g\n",
		    program_invocation_short_name, option, text, least, most);
		exit(EX_USAGE);
	}
	return n;
}
