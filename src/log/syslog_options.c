/* The options of syslog: words, and where they lead. */
#include <errno.h>
#include <netdb.h>
#include <stdio.h>
#include <string.h>
#include <strings.h>
#include <syslog.h>

#include "base/str.h"
#include "log/syslog.h"

#define LOCAL_SOCKET "/dev/log"
#define LOCAL_HOST "127.0.0.1" /* as Sys::Syslog has it */
#define CONSOLE "/dev/console"

static const struct {
	const char *name;
	unsigned    code;
} facilities[] = {
	{ "kern", LOG_KERN },     { "user", LOG_USER },         { "mail", LOG_MAIL },
	{ "daemon", LOG_DAEMON }, { "auth", LOG_AUTH },         { "syslog", LOG_SYSLOG },
	{ "lpr", LOG_LPR },       { "news", LOG_NEWS },         { "uucp", LOG_UUCP },
	{ "cron", LOG_CRON },     { "authpriv", LOG_AUTHPRIV }, { "ftp", LOG_FTP },
	{ "local0", LOG_LOCAL0 }, { "local1", LOG_LOCAL1 },     { "local2", LOG_LOCAL2 },
	{ "local3", LOG_LOCAL3 }, { "local4", LOG_LOCAL4 },     { "local5", LOG_LOCAL5 },
	{ "local6", LOG_LOCAL6 }, { "local7", LOG_LOCAL7 },     { "security", LOG_AUTH },
};

static const struct {
	const char     *name;
	enum syslog_way way;
	const char     *standard; /* host or path where none is said */
	bool            has_port;
} ways[] = {
	{ "native", SYSLOG_UNIX, LOCAL_SOCKET, false },
	{ "unix", SYSLOG_UNIX, LOCAL_SOCKET, false },
	{ "stream", SYSLOG_STREAM, LOCAL_SOCKET, false },
	{ "udp", SYSLOG_UDP, LOCAL_HOST, true },
	{ "tcp", SYSLOG_TCP, LOCAL_HOST, true },
	{ "inet", SYSLOG_INET, LOCAL_HOST, true },
	{ "console", SYSLOG_CONSOLE, CONSOLE, false },
};

static int
refuse(struct error *e, const char *option, const char *value, const char *wanted)
{
	char quoted[100];

	str_escape(quoted, sizeof(quoted), value, strlen(value));
	return error_set(e, EX_CONFIG, -EINVAL, "option %s: \"%s\" is %s", option, quoted, wanted);
}

/* ---- ident, facility, logopt ---- */

static int
parse_ident(struct syslog_setup *s, const char *ident, struct error *e)
{
	const char *p;

	for (p = ident; *p >= ' ' && *p <= '~'; p++)
		;
	if (*p != '\0' || p == ident || (size_t)(p - ident) >= sizeof(s->ident))
		return refuse(e, "syslog_ident", ident, "not 1 to 63 printable ASCII characters");
	snprintf(s->ident, sizeof(s->ident), "%s", ident);
	return 0;
}

static int
parse_facility(struct syslog_setup *s, const char *name, struct error *e)
{
	const char *word = strncasecmp(name, "LOG_", 4) == 0 ? name + 4 : name;
	size_t i;

	for (i = 0; i < sizeof(facilities) / sizeof(facilities[0]); i++)
		if (strcasecmp(word, facilities[i].name) == 0) {
			s->facility = facilities[i].code;
			return 0;
		}
	return refuse(e, "syslog_facility", name,
	    "no facility of syslog; they are auth, authpriv, cron, daemon, ftp, kern, lpr, mail, "
	    "news, syslog, user, uucp and local0 to local7");
}

static bool
take_logopt(struct syslog_setup *s, const char *word, size_t length)
{
	/* Connecting early, never waiting for a child and never dying is what we do anyway. */
	static const char *const known[] = { "pid", "cons", "perror", "ndelay", "nowait", "nofatal" };
	bool *const means[] = { &s->with_pid, &s->console_too, &s->stderr_too };
	size_t i;

	for (i = 0; i < sizeof(known) / sizeof(known[0]); i++) {
		if (strlen(known[i]) != length || strncasecmp(word, known[i], length) != 0)
			continue;
		if (i < sizeof(means) / sizeof(means[0]))
			*means[i] = true;
		return true;
	}
	return false;
}

static int
parse_logopt(struct syslog_setup *s, const char *words, struct error *e)
{
	static const char separators[] = ",| \t";
	const char *p = words + strspn(words, separators);

	while (*p != '\0') {
		size_t length = strcspn(p, separators);

		if (!take_logopt(s, p, length))
			return refuse(e, "syslog_logopt", words,
			    "not made of cons, ndelay, nofatal, nowait, perror and pid");
		p += length;
		p += strspn(p, separators);
	}
	return 0;
}

/* ---- logsock ---- */

/* "host", "host:port", "[::1]", "[::1]:port"; an IPv6 address alone has no port. */
static int
split_host(struct syslog_setup *s, const char *where)
{
	const char *colon = strrchr(where, ':'), *host = where, *port = NULL;
	size_t length = strlen(where);

	if (where[0] == '[') {
		const char *end = strchr(where, ']');

		if (end == NULL || (end[1] != '\0' && end[1] != ':'))
			return -EINVAL;
		host = where + 1;
		length = (size_t)(end - host);
		port = end[1] == ':' ? end + 2 : NULL;
	} else if (colon != NULL && strchr(where, ':') == colon) {
		length = (size_t)(colon - where);
		port = colon + 1;
	}
	if (length == 0 || length >= sizeof(s->host) ||
	    (port != NULL && (port[0] == '\0' || strlen(port) >= sizeof(s->port))))
		return -EINVAL;
	memcpy(s->host, host, length);
	s->host[length] = '\0';
	if (port != NULL)
		snprintf(s->port, sizeof(s->port), "%s", port);
	return 0;
}

static int
take_path(struct syslog_setup *s, const char *path)
{
	struct addr unused;

	if ((path[0] != '/' && path[0] != '@') || strlen(path) >= sizeof(s->host) ||
	    (s->way != SYSLOG_CONSOLE && addr_set_path(&unused, path) < 0))
		return -EINVAL;
	snprintf(s->host, sizeof(s->host), "%s", path);
	return 0;
}

static int
parse_logsock(struct syslog_setup *s, const char *text, struct error *e)
{
	size_t length = strcspn(text, ":"), i;
	const char *where = text[length] == ':' ? text + length + 1 : NULL;
	int r;

	for (i = 0; i < sizeof(ways) / sizeof(ways[0]); i++) {
		if (strlen(ways[i].name) != length || strncasecmp(text, ways[i].name, length) != 0)
			continue;
		s->way = ways[i].way;
		if (where == NULL)
			where = ways[i].standard;
		r = ways[i].has_port ? split_host(s, where) : take_path(s, where);
		if (r == 0)
			return 0;
		return refuse(e, "syslog_logsock", text,
		    ways[i].has_port ? "not of the form udp:HOST:PORT or tcp:HOST:PORT"
		                     : "not of the form unix:/PATH");
	}
	return refuse(e, "syslog_logsock", text,
	    "none of native, unix, stream, udp, tcp, inet and console");
}

static const char *
or_standard(const char *value, const char *standard)
{
	return value != NULL && value[0] != '\0' ? value : standard;
}

int
syslog_parse(struct syslog_setup *into, const struct log_options *o, struct error *e)
{
	int r;

	*into = (struct syslog_setup){ .port = "514" };
	r = parse_ident(into, or_standard(o->ident, "net_server"), e);
	if (r == 0)
		r = parse_facility(into, or_standard(o->facility, "daemon"), e);
	if (r == 0)
		r = parse_logopt(into, o->logopt != NULL ? o->logopt : "", e);
	if (r == 0)
		r = parse_logsock(into, or_standard(o->logsock, "native"), e);
	return r;
}

/* ---- where to connect ---- */

static void
add_path(struct collector *c, const struct syslog_setup *setup, int type, enum collector_end end)
{
	struct addr a;

	if (addr_set_path(&a, setup->host) == 0)
		collector_add(c, &a, type, end);
}

static int
add_hosts(struct collector *c, const struct syslog_setup *setup, int type, enum collector_end end,
	struct error *e)
{
	struct addrinfo hints = { .ai_socktype = type }, *found, *p;
	int g = getaddrinfo(setup->host, setup->port, &hints, &found);

	if (g != 0)
		return error_set(e, EX_NOHOST, -EINVAL,
		    "option syslog_logsock: cannot look up host '%s' port '%s': %s", setup->host,
		    setup->port, gai_strerror(g));
	for (p = found; p != NULL; p = p->ai_next) {
		struct addr a = { .length = p->ai_addrlen };

		memcpy(&a.u, p->ai_addr, p->ai_addrlen);
		collector_add(c, &a, type, end);
	}
	freeaddrinfo(found);
	return 0;
}

int
syslog_resolve(const struct syslog_setup *setup, struct collector *into, struct error *e)
{
	int r = 0;

	if (setup->way == SYSLOG_UNIX)
		add_path(into, setup, SOCK_DGRAM, END_NONE);
	if (setup->way == SYSLOG_UNIX || setup->way == SYSLOG_STREAM)
		add_path(into, setup, SOCK_STREAM, END_NUL);
	if (setup->way == SYSLOG_TCP || setup->way == SYSLOG_INET)
		r = add_hosts(into, setup, SOCK_STREAM, END_NEWLINE, e);
	if (r == 0 && (setup->way == SYSLOG_UDP || setup->way == SYSLOG_INET))
		r = add_hosts(into, setup, SOCK_DGRAM, END_NONE, e);
	return r;
}
