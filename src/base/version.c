/* What this build of the library is. */
#include <tend/base.h>

#include "config.h"

const char *
tend_version(void)
{
	return TEND_VERSION;
}

const char *
tend_features(void)
{
	return "poll"
#if HAVE_EPOLL_CREATE1
	       " epoll"
#endif
#if HAVE_KQUEUE
	       " kqueue"
#endif
#if HAVE_PCRE2
	       " pcre2"
#endif
	    ;
}
