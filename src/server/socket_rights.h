/* The options socket_mode, socket_user and socket_group: what they ask of the files of Unix sockets. */
#ifndef TEND_SERVER_SOCKET_RIGHTS_H
#define TEND_SERVER_SOCKET_RIGHTS_H

#include "server/server.h"

/*
 * Part of lifecycle_check(), once the identity is known: users and groups exist, and may be given
 * files to.
 */
int socket_rights_check(struct tend_server *srv);

/* For endpoints; NULL: nothing is asked for. Valid as long as the server is. */
const struct socket_rights *socket_rights_of(const struct tend_server *srv);

#endif
