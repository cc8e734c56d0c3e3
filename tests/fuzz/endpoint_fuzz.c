/*
 * The grammar of port strings, fed with anything. Besides not falling over, what was accepted must
 * hold together: it has a port, and put together again in the plainest spelling it says the same.
 */
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "net/endpoint.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void
require(bool true_always)
{
	if (!true_always)
		abort();
}

static bool
same(const char *a, const char *b)
{
	return a == NULL || b == NULL ? a == b : strcmp(a, b) == 0;
}

static void
check_again(const struct endpoint_text *t)
{
	struct endpoint_text again;
	char *text;

	/* A service of such a name could only be meant by its number. */
	if (strncasecmp(t->port, "sock_", 5) == 0 || strncasecmp(t->port, "ipv", 3) == 0)
		return;
	require(asprintf(&text, "%s%s%s|%s%s%s%s/tcp", t->host != NULL ? "[" : "",
	    t->host != NULL ? t->host : "", t->host != NULL ? "]" : "", t->port,
	    t->ipv & IPV_ANY ? "/IPv*" : "", t->ipv & IPV_4 ? "/IPv4" : "",
	    t->ipv & IPV_6 ? "/IPv6" : "") >= 0);
	require(endpoint_parse(text, &again, NULL) == 0);
	require(same(again.host, t->host) && same(again.port, t->port) && again.ipv == t->ipv);
	endpoint_text_done(&again);
	free(text);
}

static void
check_string(const char *text)
{
	struct error e = { .code = 0 };
	struct endpoint_text t;
	int r = endpoint_parse(text, &t, &e);

	require(r == e.code);
	if (r < 0) {
		require(e.text[0] != '\0' && t.host == NULL && t.port == NULL && t.proto == NULL);
		return;
	}
	require(t.port != NULL && t.port[0] != '\0');
	require(t.host == NULL || t.host[0] != '\0');
	require(t.proto == NULL || t.proto[0] != '\0');
	/* A path need not be one in other surroundings. */
	if (endpoint_check_port(t.port, text, NULL) == 0)
		check_again(&t);
	endpoint_text_done(&t);
}

static void
check_others(const char *text)
{
	struct endpoint_text t;
	unsigned ipv;
	char *rest;

	if (endpoint_parse_local(text, &t, NULL) == 0)
		endpoint_text_done(&t);
	if (endpoint_parse_host(text, &rest, &ipv, NULL) == 0)
		free(rest);
	if (endpoint_parse_proto(text, &rest, &ipv, NULL) == 0)
		free(rest);
	(void)ipv_parse(text, &ipv, NULL);
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	char *text = strndup((const char *)data, size);

	if (text == NULL)
		return 0;
	check_string(text);
	check_others(text);
	free(text);
	return 0;
}
