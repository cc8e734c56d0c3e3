/*
 * The one place that knows which protocols there are: those of this build, and those that the
 * grammar must recognise because conf files name them. A further transport is a row here.
 */
#include "net/transport.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <strings.h>

#include "base/str.h"

struct row {
	const char *name;
	unsigned traits;
	const struct tend_transport *transport; /* NULL: not in this build */
};

static const struct row rows[] = {
	{ "tcp", TEND_TRANSPORT_PLAIN, &transport_tcp },
	{ "unix", TRANSPORT_LOCAL | TEND_TRANSPORT_PLAIN, &transport_unix },
	{ "udp", TRANSPORT_DATAGRAM, &transport_udp },
	{ "unixdgram", TRANSPORT_LOCAL | TRANSPORT_DATAGRAM, &transport_unixdgram },
	{ "tls", 0, NULL },
	{ "ssl", 0, NULL },
	{ "ssleay", 0, NULL },
};

#define ROW_COUNT (sizeof(rows) / sizeof(rows[0]))

/* Written out, because it must be static: a test holds it against the rows. */
#define NAMES "tcp, unix, udp, unixdgram"

static const struct row *
row_find(const char *proto)
{
	size_t i;

	for (i = 0; i < ROW_COUNT; i++)
		if (strcasecmp(rows[i].name, proto) == 0)
			return &rows[i];
	return NULL;
}

const struct tend_transport *
transport_find(const char *proto)
{
	const struct row *row = row_find(proto);

	return row != NULL ? row->transport : NULL;
}

bool
transport_is_known(const char *proto, unsigned *traits)
{
	const struct row *row = row_find(proto);

	if (row != NULL && traits != NULL)
		*traits = row->traits;
	return row != NULL;
}

const char *
transport_names(void)
{
	return NAMES;
}

/* Of this build only: to suggest what then fails as well would be no help. */
static const char *
nearest(const char *proto)
{
	const char *names[ROW_COUNT];
	size_t i, n = 0;

	for (i = 0; i < ROW_COUNT; i++)
		if (rows[i].transport != NULL)
			names[n++] = rows[i].name;
	return str_nearest(proto, names, n);
}

int
transport_choose(
    const char *proto, const char *text, const struct tend_transport **into, struct error *e)
{
	const struct row *row = row_find(proto);
	char shown[64], quoted[160];
	const char *near;

	if (row != NULL && row->transport != NULL) {
		*into = row->transport;
		return 0;
	}
	str_escape(shown, sizeof(shown), proto, strlen(proto));
	str_escape(quoted, sizeof(quoted), text, strlen(text));
	if (row != NULL)
		return error_set(e, EX_CONFIG, -EPROTONOSUPPORT,
		    "proto %s of port '%s' is not part of this build; it has %s", shown,
		    quoted, transport_names());
	near = nearest(proto);
	if (near != NULL)
		return error_set(e, EX_CONFIG, -EINVAL,
		    "unknown proto '%s' of port '%s'; did you mean %s?", shown, quoted, near);
	return error_set(e, EX_CONFIG, -EINVAL,
	    "unknown proto '%s' of port '%s'; there are %s", shown, quoted, transport_names());
}
