/*
 * The rights of socket files. Two things keep out who may not come in while they are being set: a
 * file mask around bind(), which is the only way that every manual promises (the mode of a socket that
 * has no name yet is honoured by Linux and undocumented), and that a stream socket does not listen yet.
 * The first alone has to do for datagrams, which arrive from bind() on.
 */
#include "net/rights.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/str.h"

#define NOBODY ((uid_t)-1)
#define NO_GROUP ((gid_t)-1)
#define ALL (S_IRWXU | S_IRWXG | S_IRWXO)
/* Who binds may connect, and nobody else: he could anyway. */
#define CLOSED (S_IXUSR | S_IRWXG | S_IRWXO)

int
rights_bind(struct socket_rights *r, int fd, const struct addr *a)
{
	/* The members of our own group have nothing to do with a file that goes to another. */
	bool goes_away = r->uid != NOBODY || r->gid != NO_GROUP;
	mode_t before = umask(goes_away ? CLOSED : ALL & ~r->mode);
	int code = bind(fd, &a->u.any, a->length) < 0 ? -errno : 0;

	umask(before);
	if (!r->has_mode)
		r->mode = ALL & ~before;
	r->has_mode = true;
	return code;
}

static const char *
shown_path(const struct listener *l, char *into, size_t size)
{
	str_escape(into, size, l->service, strlen(l->service));
	return into;
}

static int
owner_failed(const struct listener *l, uid_t uid, gid_t gid, int code, struct error *e)
{
	char path[160];

	return error_set(e, error_status_of(code), code,
	    "cannot give %s socket '%s' to uid %ld and gid %ld: %s; start as root, or leave out the "
	    "options socket_user and socket_group", l->proto, shown_path(l, path, sizeof(path)),
	    (long)uid, (long)gid, error_reason(code));
}

static int
mode_failed(const struct listener *l, mode_t mode, int code, struct error *e)
{
	char path[160];

	return error_set(e, error_status_of(code), code,
	    "cannot give %s socket '%s' the mode %04o: %s; %s, or leave out the option socket_mode",
	    l->proto, shown_path(l, path, sizeof(path)), (unsigned)mode, error_reason(code),
	    code == -ENOENT ? "mount /proc" : "start as root or as its owner");
}

/* What is done is done by a descriptor of the entry: its name may lead elsewhere a moment later. */
static int
set_mode(const struct listener *l, int fd, mode_t now, mode_t mode, struct error *e)
{
	char path[64];

	if (mode == now)
		return 0;
	/* Such a descriptor takes no fchmod(); this link leads to the entry and nowhere else. */
	snprintf(path, sizeof(path), "/proc/self/fd/%d", fd);
	return chmod(path, mode) == 0 ? 0 : mode_failed(l, mode, -errno, e);
}

static int
set_rights(const struct socket_rights *r, const struct listener *l, int fd, const struct stat *st,
	struct error *e)
{
	mode_t now = st->st_mode & ~(mode_t)S_IFMT, mode = r->has_mode ? r->mode : now;
	uid_t uid = r->uid != NOBODY ? r->uid : st->st_uid;
	gid_t gid = r->gid != NO_GROUP ? r->gid : st->st_gid;
	int code = 0;

	if (uid != st->st_uid || gid != st->st_gid) {
		/* What one of the two modes keeps from somebody he has at no moment. */
		code = set_mode(l, fd, now, now & mode, e);
		now &= mode;
		if (code == 0 && fchownat(fd, "", uid, gid, AT_EMPTY_PATH) < 0)
			code = owner_failed(l, uid, gid, -errno, e);
	}
	return code == 0 ? set_mode(l, fd, now, mode, e) : code;
}

/* One with another name as well may have been laid there as a trap. */
static bool
is_own(const struct listener *l, const struct stat *st)
{
	return l->owner == getpid() && S_ISSOCK(st->st_mode) && st->st_nlink == 1 &&
	    st->st_dev == l->device && st->st_ino == l->inode;
}

int
rights_apply(const struct socket_rights *r, const struct listener *l, struct error *e)
{
	int fd = openat(l->directory, listener_file(l), O_PATH | O_NOFOLLOW | O_CLOEXEC), code;
	struct stat st;
	char path[160];

	if (fd < 0 || fstat(fd, &st) < 0 || !is_own(l, &st))
		code = error_set(e, EX_NOPERM, -ESTALE,
		    "%s socket '%s' was replaced as soon as it was bound; choose a directory in which "
		    "nobody else may write (option port)", l->proto, shown_path(l, path, sizeof(path)));
	else
		code = set_rights(r, l, fd, &st, e);
	if (fd >= 0)
		close(fd);
	return code;
}

int
rights_renew(const struct socket_rights *r, struct listener *l, struct error *e)
{
	struct stat st;
	int code = 0;

	if (r == NULL || listener_file(l) == NULL || l->owner != getpid() ||
	    fstatat(l->directory, listener_file(l), &st, AT_SYMLINK_NOFOLLOW) < 0)
		return 0;
	l->before = (struct socket_rights){ true, st.st_mode & ~(mode_t)S_IFMT, st.st_uid, st.st_gid };
	code = rights_apply(r, l, e);
	if (code == -ESTALE) {
		error_clear(e);
		code = 0;
	}
	if (code < 0) {
		rights_put_back(l);
		listener_close(l);
	}
	return code;
}

void
rights_put_back(struct listener *l)
{
	if (l->before.has_mode)
		rights_apply(&l->before, l, NULL);
	l->before.has_mode = false;
}
