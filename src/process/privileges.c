/*
 * Who the server is: looked up by name while all databases can be reached, then taken on in one
 * place. The order is groups, user, proof; nothing else in the library changes an id.
 */
#include "process/privileges.h"

#include <errno.h>
#include <fcntl.h>
#include <grp.h>
#include <pwd.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#define BLANKS ", \t\r\n"
#define WORD_SIZE 256
#define ID_MAX 4294967294ULL /* (uid_t)-1 means "keep" to the kernel and is nobody's number */

static bool
is_root(void)
{
	return geteuid() == 0;
}

/* A number that may be an id. False: it is a name, or no id at all. */
static bool
parse_id(const char *text, unsigned *id)
{
	unsigned long long n = 0;

	if (*text == '\0')
		return false;
	for (; *text != '\0'; text++) {
		if (*text < '0' || *text > '9')
			return false;
		n = n * 10 + (unsigned)(*text - '0');
		if (n > ID_MAX)
			return false;
	}
	*id = (unsigned)n;
	return true;
}

/*
 * Whether a look-up that found nothing failed, or there is no such entry (getpwnam(3) lists
 * these).
 */
static bool
is_absent(int code)
{
	return code == 0 || code == ENOENT || code == ESRCH || code == EBADF || code == EPERM;
}

static int
fail_lookup(const char *kind, const char *option, const char *name, int code, struct error *e)
{
	if (is_absent(code))
		return error_set(e, EX_NOUSER, -ENOENT,
		    "unknown %s '%s': the option %s wants a name from the system's list or a number",
		    kind, name, option);
	return error_set(
	    e, EX_OSERR, -code, "cannot look up %s '%s': %s", kind, name, error_reason(-code));
}

/* The groups that this process has, effective one first; the caller frees. Count or -errno. */
static int
own_groups(gid_t **groups)
{
	int n = getgroups(0, NULL), got;

	if (n < 0)
		return -errno;
	*groups = calloc((size_t)n + 1, sizeof(**groups));
	if (*groups == NULL)
		return -ENOMEM;
	(*groups)[0] = getegid();
	got = getgroups(n, *groups + 1);
	if (got < 0) {
		got = -errno;
		free(*groups);
		return got;
	}
	return got + 1;
}

static bool
is_listed(const gid_t *groups, size_t count, gid_t gid)
{
	size_t i;

	for (i = 0; i < count; i++)
		if (groups[i] == gid)
			return true;
	return false;
}

bool
identity_is_own_group(gid_t gid)
{
	gid_t *groups;
	int n = own_groups(&groups);
	bool found;

	if (n < 0)
		return false;
	found = is_listed(groups, (size_t)n, gid);
	free(groups);
	return found;
}

/* `*entry` is NULL: a number without an account. */
static int
find_user(const char *option, const char *text, uid_t *uid, const struct passwd **entry,
	struct error *e)
{
	unsigned number = 0;
	bool is_number = parse_id(text, &number);

	errno = 0;
	*entry = is_number ? getpwuid(number) : getpwnam(text);
	if (*entry == NULL && (!is_number || !is_absent(errno)))
		return fail_lookup("user", option, text, errno, e);
	*uid = *entry != NULL ? (*entry)->pw_uid : number;
	return 0;
}

int
identity_find_user(const char *option, const char *text, uid_t *uid, struct error *e)
{
	const struct passwd *entry;

	return find_user(option, text, uid, &entry, e);
}

int
identity_find_group(const char *option, const char *text, gid_t *gid, struct error *e)
{
	const struct group *entry;
	unsigned number;

	if (parse_id(text, &number)) {
		*gid = number;
		return 0;
	}
	errno = 0;
	entry = getgrnam(text);
	if (entry == NULL)
		return fail_lookup("group", option, text, errno, e);
	*gid = entry->gr_gid;
	return 0;
}

/*
 * The first one becomes the process's group. Those that stand there already are not added again.
 */
static int
add_group(struct identity *id, gid_t gid, struct error *e)
{
	if (is_listed(id->groups, id->group_count, gid))
		return 0;
	if (id->group_count == PRIVILEGES_GROUPS_MAX)
		return error_set(e, EX_CONFIG, -E2BIG,
		    "more than %d groups; name those that are needed in the option group",
		    PRIVILEGES_GROUPS_MAX);
	if (id->group_count == 0)
		id->gid = gid;
	id->groups[id->group_count++] = gid;
	id->set_group = true;
	return 0;
}

static int
add_named_group(struct identity *id, const char *name, struct error *e)
{
	gid_t gid;
	int r = identity_find_group("group", name, &gid, e);

	if (r < 0)
		return r;
	if (!is_root() && !(id->group_count == 0 ? gid == getegid() : identity_is_own_group(gid)))
		return error_set(e, EX_NOPERM, -EPERM,
		    "cannot take group '%s': only root can; start as root or drop the option group",
		    name);
	return add_group(id, gid, e);
}

static int
look_up_groups(struct identity *id, const char *list, struct error *e)
{
	const char *p = list + strspn(list, BLANKS);
	char word[WORD_SIZE];
	int r = 0;

	while (*p != '\0' && r == 0) {
		size_t length = strcspn(p, BLANKS);

		snprintf(
		    word, sizeof(word), "%.*s", (int)(length < WORD_SIZE ? length : WORD_SIZE), p);
		r = add_named_group(id, word, e);
		p += length;
		p += strspn(p, BLANKS);
	}
	return r;
}

static int
look_up_user(struct identity *id, const char *user, struct error *e)
{
	const struct passwd *entry;
	uid_t uid;
	int r = find_user("user", user, &uid, &entry, e);

	if (r < 0)
		return r;
	if (!is_root() && uid != geteuid())
		return error_set(e, EX_NOPERM, -EPERM,
		    "cannot become user '%s': only root can; start as root or drop the option user",
		    user);
	id->uid = uid;
	id->set_user = true;
	snprintf(
	    id->user_name, sizeof(id->user_name), "%s", entry != NULL ? entry->pw_name : user);
	return 0;
}

/*
 * No group was named: the user's own one and those that list the user (NS-DMN-14), so that
 * nothing of root's stays. Who is not root is that user already and keeps what it has.
 */
static int
add_groups_of_user(struct identity *id, struct error *e)
{
	gid_t groups[PRIVILEGES_GROUPS_MAX];
	const struct passwd *entry;
	int count = PRIVILEGES_GROUPS_MAX, i, r = 0;

	if (!is_root())
		return add_group(id, getegid(), e);
	entry = getpwnam(id->user_name);
	if (entry == NULL)
		return error_set(e, EX_NOUSER, -ENOENT,
		    "user %s has no account and so no group of its own: name one in the option group",
		    id->user_name);
	if (getgrouplist(entry->pw_name, entry->pw_gid, groups, &count) < 0)
		return error_set(e, EX_CONFIG, -E2BIG,
		    "user '%s' is in more than %d groups; name those that are needed in the option group",
		    id->user_name, PRIVILEGES_GROUPS_MAX);
	for (i = 0; i < count && r == 0; i++)
		r = add_group(id, groups[i], e);
	return r;
}

int
identity_lookup(struct identity *id, const char *user, const char *group, struct error *e)
{
	int r = 0;

	memset(id, 0, sizeof(*id));
	id->uid = geteuid();
	id->gid = getegid();
	if (user != NULL && *user != '\0')
		r = look_up_user(id, user, e);
	if (r == 0 && group != NULL)
		r = look_up_groups(id, group, e);
	if (r == 0 && id->set_user && !id->set_group)
		r = add_groups_of_user(id, e);
	return r;
}

int
identity_home(const struct identity *id, char **home, struct error *e)
{
	const struct passwd *entry =
	    id->set_user ? getpwnam(id->user_name) : getpwuid(geteuid());

	*home = NULL;
	if (entry == NULL || entry->pw_dir == NULL || entry->pw_dir[0] != '/')
		return error_set(e, EX_NOUSER, -ENOENT, "user %s has no home that ~ could stand for",
		    id->set_user ? id->user_name : "of the start");
	*home = strdup(entry->pw_dir);
	return *home != NULL ? 0 : error_set(e, EX_OSERR, -ENOMEM, "out of memory");
}

static int
fail_give(const char *path, const struct identity *id, int code, struct error *e)
{
	return error_set(e, error_status_of(code), code, "cannot give '%s' to %s%s: %s", path,
	    id->set_user ? "user " : "the group", id->user_name, error_reason(code));
}

/* Is this, seen by a descriptor and not by its name, a file to be given away? 1, 0 or -errno. */
static int
is_to_be_given(const char *path, const struct stat *st, struct error *e)
{
	if (S_ISLNK(st->st_mode) && st->st_uid != geteuid())
		return error_set(e, EX_NOPERM, -ELOOP,
		    "'%s' has become a symbolic link of another user; remove it", path);
	if (S_ISREG(st->st_mode) && st->st_nlink > 1)
		return error_set(e, EX_NOPERM, -EMLINK,
		    "'%s' has other names as well, so it is not given away; remove it or copy it",
		    path);
	return S_ISREG(st->st_mode) || S_ISSOCK(st->st_mode);
}

int
identity_give(const struct identity *id, const char *path, struct error *e)
{
	uid_t uid = id->set_user ? id->uid : geteuid();
	gid_t gid = id->set_group ? id->gid : getegid();
	struct stat st;
	int fd, r;

	if (uid == geteuid() && gid == getegid())
		return 0;
	/* By a descriptor of the entry itself: its name may lead elsewhere a moment later. */
	fd = open(path, O_PATH | O_NOFOLLOW | O_CLOEXEC);
	if (fd < 0)
		return fail_give(path, id, -errno, e);
	if (fstat(fd, &st) < 0)
		r = fail_give(path, id, -errno, e);
	else
		r = is_to_be_given(path, &st, e);
	if (r > 0 && (st.st_uid != uid || st.st_gid != gid) &&
	    fchownat(fd, "", uid, gid, AT_EMPTY_PATH) < 0)
		r = fail_give(path, id, -errno, e);
	close(fd);
	return r < 0 ? r : 0;
}

int
privileges_check_root(const char *directory, struct error *e)
{
	struct stat st;
	int code = 0;

	if (stat(directory, &st) < 0)
		code = -errno;
	else if (!S_ISDIR(st.st_mode))
		code = -ENOTDIR;
	else if (faccessat(AT_FDCWD, directory, X_OK, AT_EACCESS) < 0)
		code = -errno;
	if (code < 0)
		return error_set(e, error_status_of(code), code,
		    "cannot use '%s' as the root directory: %s; change the option chroot",
		    directory, error_reason(code));
	if (!is_root())
		return error_set(e, EX_NOPERM, -EPERM,
		    "cannot change the root directory to '%s': only root can; start as root or drop the "
		    "option chroot",
		    directory);
	return 0;
}

/*
 * localtime() and strftime() look at the zone file again and again unless TZ names one, and
 * would fall back to UTC inside, for the log as well.
 */
static void
keep_time_zone(void)
{
	if (getenv("TZ") == NULL)
		setenv("TZ", ":/etc/localtime", 0);
	tzset();
}

int
privileges_change_root(const char *directory, struct error *e)
{
	keep_time_zone();
	if (chroot(directory) == 0 && chdir("/") == 0)
		return 0;
	return error_set(e, error_status_of(-errno), -errno,
	    "cannot change the root directory to '%s': %s", directory, error_reason(-errno));
}

static bool
has_groups(const struct identity *id)
{
	gid_t *groups;
	int count = own_groups(&groups), i;
	bool same = count >= 0;
	size_t found;

	if (count < 0)
		return false;
	/* groups[0] is the effective one, which need not be among the supplementary ones. */
	for (i = 1; i < count && same; i++)
		same = is_listed(id->groups, id->group_count, groups[i]);
	for (found = 0; found < id->group_count && same; found++)
		same = is_listed(groups + 1, (size_t)count - 1, id->groups[found]);
	free(groups);
	return same;
}

static bool
has_gid(gid_t gid)
{
	gid_t real, effective, saved;

	return getresgid(&real, &effective, &saved) == 0 && real == gid && effective == gid &&
	    saved == gid;
}

static bool
has_uid(uid_t uid)
{
	uid_t real, effective, saved;

	return getresuid(&real, &effective, &saved) == 0 && real == uid && effective == uid &&
	    saved == uid;
}

static int
change_groups(const struct identity *id, struct error *e)
{
	if (is_root() && !has_groups(id) && setgroups(id->group_count, id->groups) < 0)
		return error_set(e, error_status_of(-errno), -errno,
		    "cannot set the list of groups (%zu, from gid %u): %s", id->group_count,
		    (unsigned)id->gid, error_reason(-errno));
	if (!has_gid(id->gid) && setresgid(id->gid, id->gid, id->gid) < 0)
		return error_set(e, error_status_of(-errno), -errno,
		    "cannot change to group %u: %s", (unsigned)id->gid, error_reason(-errno));
	return 0;
}

static int
change_user(const struct identity *id, struct error *e)
{
	if (!has_uid(id->uid) && setresuid(id->uid, id->uid, id->uid) < 0)
		return error_set(e, error_status_of(-errno), -errno,
		    "cannot become user '%s' (%u): %s", id->user_name, (unsigned)id->uid,
		    error_reason(-errno));
	return 0;
}

/* System calls have been known to succeed and do half. Nobody goes on without looking. */
static int
verify(const struct identity *id, bool groups_exactly, struct error *e)
{
	if ((id->set_user && !has_uid(id->uid)) || (id->set_group && !has_gid(id->gid)) ||
	    (groups_exactly && !has_groups(id)))
		return error_set(e, EX_OSERR, -EPERM,
		    "the change to user '%s' (%u) and group %u had no full effect", id->user_name,
		    (unsigned)id->uid, (unsigned)id->gid);
	if (!id->set_user || id->uid == 0)
		return 0;
	if (setuid(0) == 0 || seteuid(0) == 0 || (id->gid != 0 && id->set_group && setgid(0) == 0))
		return error_set(e, EX_OSERR, -EPERM,
		    "user '%s' (%u) could become root again; start it without extra capabilities",
		    id->user_name, (unsigned)id->uid);
	return 0;
}

int
privileges_drop(const struct identity *id, struct error *e)
{
	bool was_root = is_root();
	int r = 0;

	if (id->set_group)
		r = change_groups(id, e);
	if (r == 0 && id->set_user)
		r = change_user(id, e);
	return r == 0 ? verify(id, was_root && id->set_group, e) : r;
}
