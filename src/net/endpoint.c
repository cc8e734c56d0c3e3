/*
 * The grammar of a port string: [host SEP] port [SEP suffix]... where a suffix is a protocol,
 * an IP version or a socket type of old conf files, and SEP a run of , | : / and blanks
 * (NS-PRT-01 to -11). Suffixes are taken off the end first; then the last separator divides
 * host and port.
 *
 * Two kinds of strings are paths as a whole: those that begin with / or @, and those of a
 * position whose general proto is unix. Nothing is looked up here; that is done in resolve.c.
 */
#include "net/endpoint.h"

#include <arpa/inet.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "base/str.h"
#include "net/transport.h"

#define REPEAT_HINT "; several ports are given by repeating the option, one string each"

struct scan {
	const char *what; /* "port", "host" or "proto", for the sentence */
	const char *text; /* as given */
	char *rest;       /* a copy; what is recognised at its end is cut off */
	bool path;        /* the whole is a path and suffixes */
	bool local;       /* the protocol is a unix one */
	bool versions_only;
	bool stream, dgram; /* socket types said */

	struct endpoint_text *into;
	struct error *e;
};

/* No function of <ctype.h>: the grammar must not change with the locale. */
static bool
is_blank(char c)
{
	return c == ' ' || (c >= '\t' && c <= '\r');
}

static bool
is_separator(char c)
{
	return c == ',' || c == '|' || c == ':' || c == '/' || is_blank(c);
}

static bool
is_digit(char c)
{
	return c >= '0' && c <= '9';
}

static bool
is_letter(char c)
{
	return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || c == '_';
}

static bool
is_word(char c)
{
	return is_letter(c) || is_digit(c);
}

static bool
is_number(const char *text)
{
	return *text != '\0' && text[strspn(text, "0123456789")] == '\0';
}

static int
refuse(const char *what, const char *text, struct error *e, const char *reason)
{
	char quoted[160];

	if (*text == '\0')
		return error_set(e, EX_CONFIG, -EINVAL, "an empty %s was given", what);
	str_escape(quoted, sizeof(quoted), text, strlen(text));
	return error_set(
	    e, EX_CONFIG, -EINVAL, "cannot parse %s '%s': %s", what, quoted, reason);
}

static int
no_memory(struct error *e)
{
	return error_set(e, EX_OSERR, -ENOMEM, "out of memory");
}

static int
scan_start(struct scan *s, const char *text)
{
	size_t size;

	while (is_blank(*text))
		text++;
	size = strlen(text);
	while (size > 0 && is_blank(text[size - 1]))
		size--;
	if (size == 0)
		return refuse(s->what, "", s->e, "");
	s->rest = strndup(text, size);
	return s->rest != NULL ? 0 : no_memory(s->e);
}

/* ---- suffixes ---- */

/* The last word of `text` and the separators before it. False: there is only one word. */
static bool
last_word(const char *text, size_t *separator, size_t *word)
{
	size_t at = strlen(text);

	while (at > 0 && !is_separator(text[at - 1]))
		at--;
	*word = at;
	while (at > 0 && is_separator(text[at - 1]))
		at--;
	*separator = at;
	return at > 0 && text[*word] != '\0';
}

/* May what stands behind these separators be a suffix? */
static bool
may_follow(const struct scan *s, size_t separator, size_t word)
{
	char before = s->rest[separator - 1];

	/* /run/ipv4/sock_stream|unix: once it is a path, a slash belongs to it. */
	if (s->local && word - separator == 1 && s->rest[separator] == '/')
		return false;
	return s->path || is_word(before) || before == '*' || before == ']';
}

static bool
is_version(const char *word)
{
	return strncasecmp(word, "ipv", 3) == 0 &&
	       word[3 + strspn(word + 3, "0123456789*")] == '\0';
}

static int
take_version(struct scan *s, const char *word)
{
	unsigned ipv;

	if (ipv_parse(word, &ipv, NULL) < 0)
		return refuse(
		    s->what, s->text, s->e, "an IP version is IPv4, IPv6, IPv46 or IPv*");
	s->into->ipv |= ipv;
	return 1;
}

static int
take_protocol(struct scan *s, const char *word)
{
	unsigned traits = 0;

	s->into->proto = strdup(word);
	if (s->into->proto == NULL)
		return no_memory(s->e);
	if (transport_is_known(word, &traits))
		s->local = (traits & TRANSPORT_LOCAL) != 0;
	return 1;
}

/* 1: the word was a suffix, 0: it was none. */
static int
take_suffix(struct scan *s, const char *word)
{
	if (is_version(word))
		return take_version(s, word);
	if (s->versions_only)
		return 0;
	if (strcasecmp(word, "sock_stream") == 0)
		return s->stream = true;
	if (strcasecmp(word, "sock_dgram") == 0)
		return s->dgram = true;
	if (s->into->proto == NULL && transport_is_known(word, NULL))
		return take_protocol(s, word);
	return 0;
}

static int
take_suffixes(struct scan *s)
{
	size_t separator, word;
	int r = 1;

	while (
	    r > 0 && last_word(s->rest, &separator, &word) && may_follow(s, separator, word)) {
		r = take_suffix(s, s->rest + word);
		if (r > 0)
			s->rest[separator] = '\0';
	}
	return r;
}

/* Words joined by "::", as a transport of one's own may be called; no number, that is a port. */
static bool
is_protocol_name(const char *text)
{
	if (is_number(text))
		return false;
	for (;;) {
		if (!is_word(*text))
			return false;
		while (is_word(*text))
			text++;
		if (*text == '\0')
			return true;
		if (strncmp(text, "::", 2) != 0)
			return false;
		text += 2;
	}
}

/* What follows a final slash is a protocol, even one that nobody knows (NS-PRT-03). */
static int
take_unknown_protocol(struct scan *s)
{
	char *slash = strrchr(s->rest, '/');
	size_t end;
	int r;

	if (s->path || s->into->proto != NULL || slash == NULL || !is_protocol_name(slash + 1))
		return 0;
	end = (size_t)(slash - s->rest);
	while (end > 0 && is_separator(s->rest[end - 1]))
		end--;
	if (end == 0 || !may_follow(s, end, end))
		return 0;
	r = take_protocol(s, slash + 1);
	s->rest[end] = '\0';
	return r < 0 ? r : take_suffixes(s);
}

/* path|SOCK_DGRAM|unix is the old way to write unixdgram (NS-PRT-20). */
static int
apply_socket_type(struct scan *s)
{
	const char *proto = s->into->proto;
	char *wanted;

	if (!s->stream && !s->dgram)
		return 0;
	if (s->stream && s->dgram)
		return refuse(s->what, s->text, s->e, "it has two socket types");
	if (s->dgram && proto != NULL && !s->local)
		return refuse(s->what, s->text, s->e, "SOCK_DGRAM goes with unix alone");
	if (s->stream && proto != NULL && strcasecmp(proto, "unixdgram") == 0)
		return refuse(
		    s->what, s->text, s->e, "SOCK_STREAM does not go with unixdgram");
	if (proto != NULL && (s->stream || strcasecmp(proto, "unixdgram") == 0))
		return 0;
	wanted = strdup(s->dgram ? "unixdgram" : "unix");
	if (wanted == NULL)
		return no_memory(s->e);
	free(s->into->proto);
	s->into->proto = wanted;
	s->local = true;
	return 0;
}

/* ---- host ---- */

static bool
is_ipv6(const char *text)
{
	char alone[INET6_ADDRSTRLEN];
	struct in6_addr address;
	size_t size = strcspn(text, "%");

	/* What follows the % is an interface; whether there is such a one is seen later. */
	if (size >= sizeof(alone) || (text[size] == '%' && text[size + 1] == '\0'))
		return false;
	memcpy(alone, text, size);
	alone[size] = '\0';
	return inet_pton(AF_INET6, alone, &address) == 1;
}

/* NULL: a name, an address or "*"; otherwise what is wrong with it. */
static const char *
host_fault(const char *host)
{
	struct in_addr ipv4;
	const char *p;

	if (strcmp(host, "*") == 0)
		return NULL;
	if (is_number(host))
		return "a number is no host" REPEAT_HINT;
	if (strpbrk(host, ",;| \t\r\n\v\f") != NULL)
		return "more than one host and one port" REPEAT_HINT;
	if (strchr(host, ':') != NULL)
		return is_ipv6(host) ? NULL : "what stands before the port is no IPv6 address";
	if (host[strspn(host, "0123456789.")] == '\0')
		return inet_pton(AF_INET, host, &ipv4) == 1 ? NULL : "this is no IPv4 address";
	for (p = host; *p != '\0'; p++)
		if (!is_word(*p) && *p != '-' && *p != '.')
			return "a host has letters, digits, dots and hyphens";
	return NULL;
}

/* Takes what stands in brackets out of them; "[]" is "*". */
static char *
unbracket(const char *text)
{
	size_t size = strlen(text);

	if (size >= 2 && text[0] == '[' && text[size - 1] == ']') {
		text++;
		size -= 2;
	}
	return size > 0 ? strndup(text, size) : strdup("*");
}

static int
take_host(struct scan *s)
{
	const char *fault;

	s->into->host = unbracket(s->rest);
	if (s->into->host == NULL)
		return no_memory(s->e);
	fault = host_fault(s->into->host);
	return fault == NULL ? 0 : refuse(s->what, s->text, s->e, fault);
}

/* ---- port ---- */

static bool
is_service(const char *text)
{
	if (!is_letter(*text))
		return false;
	while (is_word(*text) || *text == '-')
		text++;
	return *text == '\0' && text[-1] != '-';
}

int
endpoint_check_port(const char *port, const char *text, struct error *e)
{
	long number;

	if (is_number(port) && str_to_long(port, 0, 65535, &number) < 0)
		return refuse(
		    "port", text, e, "out of range; a port is a number from 0 to 65535");
	if (is_number(port) || is_service(port))
		return 0;
	if (strchr(text, ';') != NULL)
		return refuse("port", text, e, "; does not separate ports" REPEAT_HINT);
	if (strchr(text, '/') != NULL)
		return refuse("port", text, e,
		    "neither a number nor the name of a service; to listen on a path append "
		    "|unix");
	return refuse("port", text, e, "neither a number nor the name of a service");
}

/* Divides what the suffixes have left into host and port (NS-PRT-04, -05). */
static int
take_host_and_port(struct scan *s)
{
	size_t separator, word, size = strlen(s->rest);
	bool host = last_word(s->rest, &separator, &word);

	if (size == 0 || is_separator(s->rest[size - 1]) || s->rest[size - 1] == ']')
		return refuse(s->what, s->text, s->e, "there is no port in it");
	/* ::1 alone is meant as an address, though it could be read as port 1. */
	if (word - separator > 1 && s->rest[word - 1] == ':' && is_ipv6(s->rest))
		return refuse(s->what, s->text, s->e,
		    "this is an IPv6 address without a port; write [address]:port");
	s->into->port = strdup(s->rest + word);
	if (s->into->port == NULL)
		return no_memory(s->e);
	s->rest[separator] = '\0';
	if (host) {
		int r;

		/* [localhost]:IPv6:20203 is accepted; no other suffix may stand before the
		 * port. */
		s->versions_only = true;
		r = take_suffixes(s);

		if (r >= 0)
			r = take_host(s);
		if (r < 0)
			return r;
	}
	return endpoint_check_port(s->into->port, s->text, s->e);
}

static int
take_path(struct scan *s)
{
	if (s->into->proto != NULL && !s->local)
		return refuse(s->what, s->text, s->e, "a path needs proto unix; append |unix");
	if (strcmp(s->rest, "@") == 0)
		return refuse(
		    s->what, s->text, s->e, "an abstract name needs a letter after its @");
	s->into->port = strdup(s->rest);
	if (s->into->port == NULL)
		return no_memory(s->e);
	/* IP versions of a path are passed over (NS-PRT-10t). */
	s->into->ipv = 0;
	return 0;
}

/* ---- the whole ---- */

static int
take_apart(struct scan *s)
{
	int r;

	if (strncasecmp(s->rest, "unix:/", 6) == 0 || strncasecmp(s->rest, "unix:@", 6) == 0)
		return refuse(s->what, s->text, s->e, "a path is written first, then |unix");
	r = take_suffixes(s);
	if (r >= 0)
		r = take_unknown_protocol(s);
	if (r >= 0)
		r = apply_socket_type(s);
	if (r < 0)
		return r;
	return s->path || s->local ? take_path(s) : take_host_and_port(s);
}

static int
parse(const char *text, bool path, struct endpoint_text *into, struct error *e)
{
	struct scan s = { .what = "port", .text = text, .path = path, .into = into, .e = e };
	int r;

	memset(into, 0, sizeof(*into));
	r = scan_start(&s, text);
	if (r < 0)
		return r;
	s.path = s.path || s.rest[0] == '/' || s.rest[0] == '@';
	r = take_apart(&s);
	if (r < 0)
		endpoint_text_done(into);
	else if (into->ipv & IPV_ANY)
		into->ipv = IPV_ANY;
	free(s.rest);
	return r < 0 ? r : 0;
}

int
endpoint_parse(const char *text, struct endpoint_text *into, struct error *e)
{
	return parse(text, false, into, e);
}

int
endpoint_parse_local(const char *text, struct endpoint_text *into, struct error *e)
{
	/* "20203/tcp" names a protocol that has no paths: then it is an ordinary string. */
	int r = parse(text, true, into, NULL);

	return r < 0 ? parse(text, false, into, e) : r;
}

void
endpoint_text_done(struct endpoint_text *t)
{
	free(t->host);
	free(t->port);
	free(t->proto);
	memset(t, 0, sizeof(*t));
}

int
endpoint_parse_host(const char *text, char **into, unsigned *ipv, struct error *e)
{
	struct endpoint_text parts = { 0 };
	struct scan s = { .what = "host", .text = text, .into = &parts, .e = e };
	int r = scan_start(&s, text);

	if (r == 0)
		r = take_suffixes(&s);
	if (r >= 0 && (parts.proto != NULL || s.stream || s.dgram))
		r = refuse(s.what, s.text, e, "a protocol belongs into the option proto");
	if (r >= 0)
		r = take_host(&s);
	if (r >= 0) {
		*into = parts.host;
		*ipv = parts.ipv & IPV_ANY ? IPV_ANY : parts.ipv;
		parts.host = NULL;
	}
	endpoint_text_done(&parts);
	free(s.rest);
	return r < 0 ? r : 0;
}

int
endpoint_parse_proto(const char *text, char **into, unsigned *ipv, struct error *e)
{
	struct endpoint_text parts = { 0 };
	struct scan s = { .what = "proto", .text = text, .into = &parts, .e = e };
	int r = scan_start(&s, text);

	if (r == 0)
		r = take_suffixes(&s); /* the name itself is none: nothing stands before it */
	if (r >= 0 && (parts.proto != NULL || s.stream || s.dgram))
		r = refuse(
		    s.what, s.text, e, "one protocol and its IP versions may stand here");
	if (r >= 0 && !is_protocol_name(s.rest))
		r = refuse(s.what, s.text, e, "a protocol is one word, such as tcp");
	if (r >= 0) {
		*into = s.rest;
		*ipv = parts.ipv & IPV_ANY ? IPV_ANY : parts.ipv;
		s.rest = NULL;
	}
	endpoint_text_done(&parts);
	free(s.rest);
	return r < 0 ? r : 0;
}

int
ipv_parse(const char *text, unsigned *into, struct error *e)
{
	char quoted[64];

	*into = 0;
	if (strchr(text, '4') != NULL)
		*into |= IPV_4;
	if (strchr(text, '6') != NULL)
		*into |= IPV_6;
	if (strchr(text, '*') != NULL || *text == '\0' || strcmp(text, "0") == 0)
		*into = IPV_ANY;
	if (*into != 0)
		return 0;
	str_escape(quoted, sizeof(quoted), text, strlen(text));
	return error_set(e, EX_CONFIG, -EINVAL,
	    "ipv '%s' has none of 4, 6 and *, which are the IP versions there are", quoted);
}
