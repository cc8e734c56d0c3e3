/*
 * What the file of a Unix socket is like, its mode and whose it is, and how it becomes so without a
 * moment in which somebody could come in who may not.
 */
#ifndef TEND_NET_RIGHTS_H
#define TEND_NET_RIGHTS_H

#include "base/error.h"
#include "net/listen.h"

/*
 * bind(), so that until rights_apply() nobody has more of the file than he is to have in the end. If
 * no mode was asked for, `r` then has the one that the file mask leaves. 0 or -errno.
 * Context: start, one thread; the mask is the process's.
 */
int rights_bind(struct socket_rights *r, int fd, const struct addr *a);

/*
 * Makes the file of the listener what it should be. -ESTALE: the path leads to another file by now.
 * No symbolic link is followed.
 */
int rights_apply(const struct socket_rights *r, const struct listener *l, struct error *e);

/*
 * The same for a listener that was adopted: a file that is not (or no longer) its own stays as it is.
 * `r` may be NULL. Closes the listener on failure.
 */
int rights_renew(const struct socket_rights *r, struct listener *l, struct error *e);
/* Undoes that, as far as it can be undone. */
void rights_put_back(struct listener *l);

#endif
