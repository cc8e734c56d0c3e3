/*
 * Host names: whatever is accepted has no character that could do harm, and nobody takes it for an
 * address.
 */
#include <arpa/inet.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "net/resolver.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static const char harmless[] =
	    "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789-_.";
	char *name = strndup((const char *)data, size);
	struct in6_addr v6;
	struct in_addr v4;

	if (name == NULL)
		return 0;
	if (resolver_is_name(name) &&
	    (name[0] == '\0' || strlen(name) > RESOLVER_NAME_MAX ||
	     name[strspn(name, harmless)] != '\0' || inet_aton(name, &v4) != 0 ||
	     inet_pton(AF_INET6, name, &v6) == 1))
		abort();
	free(name);
	return 0;
}
