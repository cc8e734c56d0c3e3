/* The one place that opens PCRE2. It stays open until the process ends. */
#include "config.h"

#if HAVE_PCRE2

#include "access/pcre.h"

#include <dlfcn.h>
#include <errno.h>
#include <pthread.h>
#include <string.h>

#define LIBRARY "libpcre2-8.so.0"
#define STRING(text) STRING_OF(text)
#define STRING_OF(text) #text

static struct pcre functions;
static bool complete;

/* POSIX lets a pointer to an object stand for one to a function; C has no cast for it. */
static bool
find(void *library, const char *name, void *into)
{
	void *symbol = dlsym(library, name);

	memcpy(into, &symbol, sizeof(symbol));
	return symbol != NULL;
}

static void
open_library(void)
{
	void *library = dlopen(LIBRARY, RTLD_NOW | RTLD_LOCAL);

	if (library == NULL)
		return;
	complete = true;
#define PCRE_FIND(name) complete = find(library, STRING(pcre2_##name), &functions.name) && complete;
	PCRE_FUNCTIONS(PCRE_FIND)
#undef PCRE_FIND
}

const struct pcre *
pcre_open(const char *option, struct error *e)
{
	static pthread_once_t once = PTHREAD_ONCE_INIT;

	pthread_once(&once, open_library);
	if (complete)
		return &functions;
	error_set(e, EX_UNAVAILABLE, -ENOENT,
	    "%s: patterns need %s, which cannot be opened; install PCRE2 (Debian: libpcre2-8-0)",
	    option, LIBRARY);
	return NULL;
}

#endif
