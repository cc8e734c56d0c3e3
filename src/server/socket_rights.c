/* From the options to the rights of socket files. How files get them is net/rights.c's. */
#include "server/socket_rights.h"

#include <errno.h>
#include <string.h>
#include <unistd.h>

#include "base/str.h"
#include "server/restart.h"

#define NOBODY ((uid_t)-1)
#define NO_GROUP ((gid_t)-1)

static int
parse_mode(struct tend_server *srv, struct socket_rights *r)
{
	const char *text = srv->settings.value.socket_mode;
	unsigned mode;
	char shown[64];

	if (text == NULL)
		return 0;
	if (str_to_mode(text, &mode) == 0) {
		r->has_mode = true;
		r->mode = (mode_t)mode;
		return 0;
	}
	str_escape(shown, sizeof(shown), text, strlen(text));
	return server_fail(srv, EX_CONFIG, -EINVAL,
	    "socket_mode: '%s' is no mode of octal digits from 0 to 0777, as 0660", shown);
}

/* Who is not named is whom the server becomes, who would be given the files otherwise. */
static int
find_owner(struct tend_server *srv, struct socket_rights *r)
{
	const struct tend_config *c = &srv->settings.value;
	const struct identity *id = &srv->identity;
	int code = 0;

	r->uid = id->set_user ? id->uid : NOBODY;
	r->gid = id->set_group ? id->gid : NO_GROUP;
	if (c->socket_user != NULL)
		code = identity_find_user("socket_user", c->socket_user, &r->uid, &srv->error);
	if (code == 0 && c->socket_group != NULL)
		code = identity_find_group("socket_group", c->socket_group, &r->gid, &srv->error);
	return code;
}

/*
 * A server that was root at its start has files that it could not give away any more; after a restart
 * they are as they should be, mostly, and whether new ones are asked for is seen when it binds.
 */
static bool
is_restart(const struct tend_server *srv)
{
	return reexec_is_trial() || reexec_received() != NULL || inherit_is_pending(srv);
}

static int
check_power(struct tend_server *srv, const struct socket_rights *r)
{
	const struct tend_config *c = &srv->settings.value;

	if (geteuid() == 0 || is_restart(srv))
		return 0;
	if (r->uid != NOBODY && r->uid != geteuid())
		return server_fail(srv, EX_NOPERM, -EPERM,
		    "cannot give sockets to user '%s': only root can; start as root or drop the option "
		    "socket_user", c->socket_user);
	if (r->gid != NO_GROUP && !identity_is_own_group(r->gid))
		return server_fail(srv, EX_NOPERM, -EPERM,
		    "cannot give sockets to group '%s': only root and its members can; start as root or "
		    "drop the option socket_group", c->socket_group);
	return 0;
}

int
socket_rights_check(struct tend_server *srv)
{
	const struct tend_config *c = &srv->settings.value;
	struct socket_rights rights = { .has_mode = false };
	int r = parse_mode(srv, &rights);

	if (r == 0)
		r = find_owner(srv, &rights);
	if (r == 0)
		r = check_power(srv, &rights);
	if (r < 0)
		return r;
	srv->socket_rights = rights;
	srv->socket_rights_asked =
	    c->socket_mode != NULL || c->socket_user != NULL || c->socket_group != NULL;
	return 0;
}

const struct socket_rights *
socket_rights_of(const struct tend_server *srv)
{
	return srv->socket_rights_asked ? &srv->socket_rights : NULL;
}
