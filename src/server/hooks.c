/* The hooks of the start, which may refuse. */
#include "server/hooks.h"

#include <errno.h>

int
hook_start(struct tend_server *srv, int (*hook)(struct tend_server *srv))
{
	int r;

	HOOK_IN(srv, ROLE_PARENT);
	if (hook == NULL)
		return 0;
	r = hook(srv);
	if (r >= 0)
		return 0;
	/* A hook that only says no: the sentence is ours to write. */
	if (srv->error.code == 0)
		server_fail(srv, EX_SOFTWARE, r, "refused by the service: %s", error_reason(r));
	return r;
}
