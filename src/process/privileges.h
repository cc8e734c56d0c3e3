/*
 * Giving up root: chroot, groups, user, in the one place and order that can be audited, verified
 * after the fact. Names are looked up before anything changes (NS-DMN-10 to -21).
 */
#ifndef TEND_PROCESS_PRIVILEGES_H
#define TEND_PROCESS_PRIVILEGES_H

#include <sys/types.h>

#include "base/error.h"

#define PRIVILEGES_GROUPS_MAX 64

struct identity {
	bool   set_user, set_group;  /* something was asked for; a user brings its groups along */
	uid_t  uid;
	gid_t  gid;                  /* the first group */
	gid_t  groups[PRIVILEGES_GROUPS_MAX];
	size_t group_count;
	char   user_name[64];        /* "": keep; a number that has no account as digits */
};

/*
 * Looks up user ("" or NULL: keep) and group ("" or NULL: the user's own, with its whole list;
 * else names or numbers separated by blanks or commas). EX_NOUSER with the name that is unknown.
 * Refuses with EX_NOPERM an identity that this process cannot become: who is not root keeps the
 * user and the first group, and may list only groups that it has.
 * Context: start, one thread.
 */
int identity_lookup(struct identity *id, const char *user, const char *group, struct error *e);

/*
 * Whom the name or number that `option` has means. EX_NOUSER with the name that is unknown.
 * Context: start, one thread.
 */
int identity_find_user(const char *option, const char *text, uid_t *uid, struct error *e);
int identity_find_group(const char *option, const char *text, gid_t *gid, struct error *e);

/* Is it one of those that this process has? */
bool identity_is_own_group(gid_t gid);

/* The home of its user, as the system's list has it; the caller frees. EX_NOUSER: there is none. */
int identity_home(const struct identity *id, char **home, struct error *e);

/*
 * Gives an open file to the identity, before the drop. Nothing to do when the identity is ours.
 * Only regular files and sockets are given: devices, FIFOs and symbolic links (with what they
 * point to) stay as they are. A link of another user (-ELOOP) and a file with several names
 * (-EMLINK) are refused, since they could be traps in a directory that others may write.
 */
int identity_give(const struct identity *id, const char *path, struct error *e);

/*
 * chroot() and chdir("/"). The directory is checked by privileges_check_root() before. Keeps the
 * local time of the outside: where TZ is not set, it becomes ":/etc/localtime".
 */
int privileges_check_root(const char *directory, struct error *e);
int privileges_change_root(const char *directory, struct error *e);

/*
 * Groups, then user; real, effective and saved; supplementary groups become exactly the list.
 * Then proves that there is no way back. Any failure must end the start. What is already so is
 * not asked for: a start as the user that is configured needs no root, and keeps its
 * supplementary groups.
 * Context: master, after everything that needs root; before threads and children.
 */
int privileges_drop(const struct identity *id, struct error *e);

#endif
