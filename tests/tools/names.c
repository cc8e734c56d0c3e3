/*
 * A resolver that says what a test wants. Loaded with LD_PRELOAD in front of libc, it answers for
 * names and addresses that have a rule; all others are left to libc.
 *
 *	TEND_NAMES="127.0.0.2=a.example a.example=127.0.0.2,192.0.2.1 127.0.0.3=?hang"
 *
 * A rule is an address and its name, or a name and its addresses. Instead of an answer: ?hang never
 * gives one, ?none is that there is none, ?again that nobody could be reached. Rules are separated
 * by blanks.
 *
 * A program with AddressSanitizer needs ASAN_OPTIONS=verify_asan_link_order=0.
 */
#include <arpa/inet.h>
#include <dlfcn.h>
#include <netdb.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define ANSWER_MAX 1100

typedef int (*getnameinfo_fn)(const struct sockaddr *, socklen_t, char *, socklen_t, char *,
	socklen_t, int);
typedef int (*getaddrinfo_fn)(
	const char *, const char *, const struct addrinfo *, struct addrinfo **);

static void *
next(const char *name)
{
	void *symbol = dlsym(RTLD_NEXT, name);

	if (symbol == NULL)
		abort();
	return symbol;
}

/* The answer of the first rule for `question`. */
static bool
find_rule(const char *question, char answer[ANSWER_MAX])
{
	const char *rules = getenv("TEND_NAMES");
	size_t length = strlen(question), n;

	for (; rules != NULL && *rules != '\0'; rules += n + strspn(rules + n, " ")) {
		n = strcspn(rules, " ");
		if (n > length && n - length < ANSWER_MAX && rules[length] == '=' &&
		    strncmp(rules, question, length) == 0) {
			snprintf(answer, ANSWER_MAX, "%.*s", (int)(n - length - 1),
			    rules + length + 1);
			return true;
		}
	}
	return false;
}

/* What an answer that is none means; 0: it is one. */
static int
failure(const char *answer)
{
	while (strcmp(answer, "?hang") == 0)
		pause();
	if (strcmp(answer, "?none") == 0)
		return EAI_NONAME;
	return strcmp(answer, "?again") == 0 ? EAI_AGAIN : 0;
}

int
getnameinfo(const struct sockaddr *address, socklen_t length, char *host, socklen_t host_size,
	char *service, socklen_t service_size, int flags)
{
	getnameinfo_fn real;
	char text[INET6_ADDRSTRLEN] = "", answer[ANSWER_MAX];
	int code;

	if (address->sa_family == AF_INET)
		inet_ntop(AF_INET, &((const struct sockaddr_in *)(const void *)address)->sin_addr,
		    text, sizeof(text));
	else if (address->sa_family == AF_INET6)
		inet_ntop(AF_INET6,
		    &((const struct sockaddr_in6 *)(const void *)address)->sin6_addr, text,
		    sizeof(text));
	if ((flags & NI_NUMERICHOST) != 0 || host == NULL || !find_rule(text, answer)) {
		*(void **)&real = next("getnameinfo");
		return real(address, length, host, host_size, service, service_size, flags);
	}
	code = failure(answer);
	if (code == 0 && strlen(answer) >= host_size)
		code = EAI_OVERFLOW;
	if (code == 0)
		memcpy(host, answer, strlen(answer) + 1);
	return code;
}

/* Addresses in words are looked up by libc, one by one, so that freeaddrinfo() fits. */
int
getaddrinfo(const char *name, const char *service, const struct addrinfo *hints,
	struct addrinfo **into)
{
	getaddrinfo_fn real;
	struct addrinfo **end = into;
	char answer[ANSWER_MAX], *rest = answer, *one;
	int code;

	*(void **)&real = next("getaddrinfo");
	if (name == NULL || !find_rule(name, answer))
		return real(name, service, hints, into);
	code = failure(answer);
	*into = NULL;
	while (code == 0 && (one = strsep(&rest, ",")) != NULL) {
		code = real(one, service, hints, end);
		while (code == 0 && *end != NULL)
			end = &(*end)->ai_next;
	}
	if (code != 0 && *into != NULL)
		freeaddrinfo(*into);
	return code;
}
