/* What the system's resolver answers, and what of it can be a name. */
#include <errno.h>
#include <netdb.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "net/resolver.h"

#define LABEL_MAX 63

/* ---- names ---- */

static bool
is_digit(char c)
{
	return c >= '0' && c <= '9';
}

static bool
is_letter(char c)
{
	return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z');
}

/* From 1 to 63 characters, no hyphen at the ends. Underscores are common where they should not be. */
static bool
is_label(const char *text, size_t length)
{
	size_t i;

	if (length < 1 || length > LABEL_MAX || text[0] == '-' || text[length - 1] == '-')
		return false;
	for (i = 0; i < length; i++)
		if (!is_letter(text[i]) && !is_digit(text[i]) && text[i] != '-' && text[i] != '_')
			return false;
	return true;
}

/*
 * "10.0.0.1" as a name would pass for that address wherever names and addresses are compared with
 * the same patterns; so would the other spellings that inet_aton() takes, as "0x7f.1".
 */
static bool
is_number(const char *label, size_t length)
{
	size_t i;

	if (length >= 2 && label[0] == '0' && (label[1] == 'x' || label[1] == 'X'))
		return strspn(label + 2, "0123456789abcdefABCDEF") >= length - 2;
	for (i = 0; i < length; i++)
		if (!is_digit(label[i]))
			return false;
	return true;
}

bool
resolver_is_name(const char *name)
{
	size_t length = strlen(name), n;

	if (length > RESOLVER_NAME_MAX)
		return false;
	for (;;) {
		n = strcspn(name, ".");
		if (!is_label(name, n))
			return false;
		if (name[n] == '\0')
			return !is_number(name, n);
		name += n + 1;
	}
}

/* ---- answers ---- */

static int
code_of(int answer, int error)
{
	switch (answer) {
	case 0:
		return 0;
	case EAI_NONAME:
#ifdef EAI_NODATA
	case EAI_NODATA:
#endif
#ifdef EAI_ADDRFAMILY
	case EAI_ADDRFAMILY:
#endif
		return -ENOENT;
	case EAI_AGAIN:
		return -EAGAIN;
	case EAI_MEMORY:
		return -ENOMEM;
	case EAI_OVERFLOW:
		return -EBADMSG;
	case EAI_SYSTEM:
		return error > 0 ? -error : -EIO;
	default:
		return -EIO;
	}
}

static int
reverse(const struct addr *a, char name[RESOLVER_NAME_MAX + 1])
{
	/* Room for the final dot. An address in words is no name (NS-ACC-15). */
	char found[RESOLVER_NAME_MAX + 2];
	int answer =
	    getnameinfo(&a->u.any, a->length, found, sizeof(found), NULL, 0, NI_NAMEREQD);
	size_t length;

	if (answer != 0)
		return code_of(answer, errno);
	length = strlen(found);
	if (length > 0 && found[length - 1] == '.')
		length--;
	if (length > RESOLVER_NAME_MAX)
		return -EBADMSG;
	memcpy(name, found, length);
	name[length] = '\0';
	return 0;
}

static size_t
count_addresses(const struct addrinfo *found)
{
	size_t n = 0;

	for (; found != NULL && n < RESOLVER_ADDRESSES_MAX; found = found->ai_next)
		if (found->ai_addrlen <= sizeof(struct sockaddr_storage))
			n++;
	return n;
}

static int
copy_addresses(const struct addrinfo *found, struct resolver_addresses *into)
{
	size_t n = count_addresses(found);

	*into = (struct resolver_addresses){ .count = 0 };
	if (n == 0)
		return -ENOENT;
	into->list = calloc(n, sizeof(*into->list));
	if (into->list == NULL)
		return -ENOMEM;
	for (; into->count < n; found = found->ai_next) {
		struct addr *a = &into->list[into->count];

		if (found->ai_addrlen > sizeof(a->u.storage))
			continue;
		memcpy(&a->u.storage, found->ai_addr, found->ai_addrlen);
		a->length = found->ai_addrlen;
		into->count++;
	}
	return 0;
}

static int
forward(const char *name, const char *service, int type, struct resolver_addresses *into)
{
	struct addrinfo hints = { .ai_family = AF_UNSPEC, .ai_socktype = type }, *found;
	int answer = getaddrinfo(name, service, &hints, &found), r;

	if (answer != 0)
		return code_of(answer, errno);
	r = copy_addresses(found, into);
	freeaddrinfo(found);
	return r;
}

const struct resolver_backend resolver_system = { reverse, forward };
