/*
 * The working directory (option directory). The whole server moves there, once its files are open and
 * its privileges dropped; paths of the configuration belong to the directory of the start.
 */
#ifndef TEND_SERVER_DIRECTORY_H
#define TEND_SERVER_DIRECTORY_H

#include "server/server.h"

/*
 * Part of lifecycle_check(), once the identity is known: where it is, and whether it can be one. What
 * cannot be seen from here (inside of a chroot, as another user) is found by directory_enter().
 */
int directory_check(struct tend_server *srv);

/* A phase of the start. Once more: goes there again. */
int directory_enter(struct tend_server *srv);

/* The end of a run: back to where its caller was, if that is possible. */
void directory_leave(struct tend_server *srv);

/* A restart begins where the start did, and who this server has become may not go there. */
bool directory_bars_restart(const struct tend_server *srv);

#endif
