/*
 * Who the server is: src/process/privileges.c. What changes ids happens in a child of the test.
 */
#include <errno.h>
#include <fcntl.h>
#include <grp.h>
#include <pwd.h>
#include <sched.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>
#include <cmocka.h>

#include "process/privileges.h"

#include "directory_fixture.h"
#include "fork_fixture.h"

#define NOBODY 65534
#define STRANGE_ID 54321u /* of no account */

struct fixture {
	struct identity identity;
	struct error error;
	char directory[DIRECTORY_MAX];
	char path[96];
	char other[96];
};

static int
set_up(void **state)
{
	struct fixture *f = calloc(1, sizeof(*f));

	if (f == NULL)
		return -1;
	if (directory_make(f->directory, "privileges_test") < 0)
		return -1;
	snprintf(f->path, sizeof(f->path), "%s/file", f->directory);
	snprintf(f->other, sizeof(f->other), "%s/other", f->directory);
	*state = f;
	return 0;
}

static int
tear_down(void **state)
{
	struct fixture *f = *state;
	int r;

	unlink(f->path);
	unlink(f->other);
	r = rmdir(f->directory);
	free(f);
	return r;
}

static void
needs_root(void)
{
	if (geteuid() != 0)
		skip();
}

static void
needs_names(void)
{
	if (getpwnam("nobody") == NULL || getpwnam("daemon") == NULL ||
	    getgrnam("daemon") == NULL || getgrnam("mail") == NULL)
		skip();
}

static gid_t
gid_of(const char *name)
{
	return getgrnam(name)->gr_gid;
}

static int
look_up(struct fixture *f, const char *user, const char *group)
{
	error_clear(&f->error);
	return identity_lookup(&f->identity, user, group, &f->error);
}

/* In a child: a plain user with one supplementary group. */
static void
become_plain(void)
{
	gid_t extra = STRANGE_ID;

	if (setgroups(1, &extra) < 0 || setresgid(NOBODY, NOBODY, NOBODY) < 0 ||
	    setresuid(NOBODY, NOBODY, NOBODY) < 0)
		_exit(90);
}

/* NS-DMN-11 */
static void
nothing_asked_for_keeps_everything(void **state)
{
	static const char *const nothing[] = { NULL, "", " , \t" };
	struct fixture *f = *state;
	size_t i;

	for (i = 0; i < sizeof(nothing) / sizeof(nothing[0]); i++) {
		assert_int_equal(look_up(f, i == 2 ? "" : nothing[i], nothing[i]), 0);
		assert_false(f->identity.set_user);
		assert_false(f->identity.set_group);
		assert_int_equal(f->identity.uid, geteuid());
		assert_int_equal(f->identity.gid, getegid());
		assert_int_equal(privileges_drop(&f->identity, &f->error), 0);
	}
}

/* NS-DMN-10 */
static void
unknown_names_are_told(void **state)
{
	static const struct {
		const char *user, *group, *says;
	} rows[] = {
		{ "no-such-user", NULL, "unknown user 'no-such-user'" },
		{ "4294967295", NULL, "unknown user '4294967295'" }, /* (uid_t)-1: "keep" */
		{ "99999999999999999999", NULL, "unknown user '99999999999999999999'" },
		{ "-1", NULL, "unknown user '-1'" },
		{ NULL, "no-such-group", "unknown group 'no-such-group'" },
		{ NULL, "4294967295", "unknown group '4294967295'" },
		{ NULL, "+1", "unknown group '+1'" },
	};
	struct fixture *f = *state;
	size_t i;

	for (i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		assert_int_equal(look_up(f, rows[i].user, rows[i].group), -ENOENT);
		assert_int_equal(f->error.status, EX_NOUSER);
		assert_non_null(strstr(f->error.text, rows[i].says));
	}
}

/* NS-FIX-48 */
static void
one_user_and_one_group_are_found_for_any_option(void **state)
{
	struct fixture *f = *state;
	uid_t uid;
	gid_t gid;

	needs_names();
	assert_int_equal(identity_find_user("socket_user", "nobody", &uid, &f->error), 0);
	assert_int_equal(uid, getpwnam("nobody")->pw_uid);
	assert_int_equal(identity_find_user("socket_user", "54321", &uid, &f->error), 0);
	assert_int_equal(uid, STRANGE_ID);
	assert_int_equal(identity_find_group("socket_group", "mail", &gid, &f->error), 0);
	assert_int_equal(gid, gid_of("mail"));
	assert_int_equal(identity_find_group("socket_group", "54321", &gid, &f->error), 0);
	assert_int_equal(gid, STRANGE_ID);
	assert_int_equal(identity_find_user("socket_user", "no-such", &uid, &f->error), -ENOENT);
	assert_int_equal(f->error.status, EX_NOUSER);
	assert_non_null(strstr(f->error.text, "'no-such': the option socket_user"));
	/* The kernel's word for "keep" is nobody's number. */
	assert_int_equal(identity_find_group("socket_group", "4294967295", &gid, &f->error), -ENOENT);
	assert_non_null(strstr(f->error.text, "'4294967295': the option socket_group"));
	assert_true(identity_is_own_group(getegid()));
}

/* NS-FIX-56 */
static void
home_is_that_of_the_user_it_becomes(void **state)
{
	struct fixture *f = *state;
	const struct passwd *own = getpwuid(geteuid());
	char *home;

	needs_names();
	if (own != NULL) {
		assert_int_equal(look_up(f, NULL, NULL), 0);
		assert_int_equal(identity_home(&f->identity, &home, &f->error), 0);
		assert_string_equal(home, own->pw_dir);
		free(home);
	}
	needs_root();
	assert_int_equal(look_up(f, "daemon", NULL), 0);
	assert_int_equal(identity_home(&f->identity, &home, &f->error), 0);
	assert_string_equal(home, getpwnam("daemon")->pw_dir);
	free(home);
	assert_int_equal(look_up(f, "54321", "54321"), 0);
	assert_int_equal(identity_home(&f->identity, &home, &f->error), -ENOENT);
	assert_null(home);
	assert_int_equal(f->error.status, EX_NOUSER);
	assert_non_null(strstr(f->error.text, "54321"));
}

/* NS-DMN-10, NS-DMN-20 */
static void
group_lists_take_blanks_and_commas(void **state)
{
	static const char *const lists[] = { "daemon,mail", "daemon mail", "daemon, mail",
		" daemon ,mail ", "daemon,,mail", "daemon\tmail,daemon" };
	struct fixture *f = *state;
	char numbers[64];
	size_t i;

	needs_root();
	needs_names();
	for (i = 0; i < sizeof(lists) / sizeof(lists[0]); i++) {
		assert_int_equal(look_up(f, NULL, lists[i]), 0);
		assert_true(f->identity.set_group);
		assert_false(f->identity.set_user);
		assert_int_equal(f->identity.group_count, 2);
		assert_int_equal(f->identity.gid, gid_of("daemon"));
		assert_int_equal(f->identity.groups[0], gid_of("daemon"));
		assert_int_equal(f->identity.groups[1], gid_of("mail"));
	}
	snprintf(numbers, sizeof(numbers), "%u, %u", (unsigned)gid_of("mail"), STRANGE_ID);
	assert_int_equal(look_up(f, NULL, numbers), 0);
	assert_int_equal(f->identity.gid, gid_of("mail"));
	assert_int_equal(f->identity.groups[1], STRANGE_ID);
}

static void
too_many_groups_are_refused(void **state)
{
	struct fixture *f = *state;
	char list[8 * (PRIVILEGES_GROUPS_MAX + 1)];
	size_t length = 0, i;

	needs_root();
	for (i = 0; i <= PRIVILEGES_GROUPS_MAX; i++)
		length +=
		    (size_t)snprintf(list + length, sizeof(list) - length, "%zu,", 50000 + i);
	assert_int_equal(look_up(f, NULL, list), -E2BIG);
	assert_int_equal(f->error.status, EX_CONFIG);
	assert_non_null(strstr(f->error.text, "64"));
}

/* NS-DMN-14, NS-FIX-22 */
static void
user_alone_brings_its_own_groups(void **state)
{
	struct fixture *f = *state;
	const struct passwd *entry;
	size_t i;

	needs_root();
	needs_names();
	entry = getpwnam("nobody");
	assert_int_equal(look_up(f, "nobody", NULL), 0);
	assert_true(f->identity.set_user && f->identity.set_group);
	assert_int_equal(f->identity.uid, entry->pw_uid);
	assert_int_equal(f->identity.gid, entry->pw_gid);
	assert_string_equal(f->identity.user_name, "nobody");
	for (i = 0; i < f->identity.group_count; i++)
		assert_int_not_equal(f->identity.groups[i], 0);
}

static void
number_of_an_account_is_as_good_as_its_name(void **state)
{
	struct fixture *f = *state;
	struct identity named;
	char number[32];

	needs_root();
	needs_names();
	assert_int_equal(look_up(f, "daemon", NULL), 0);
	named = f->identity;
	snprintf(number, sizeof(number), "%u", (unsigned)named.uid);
	assert_int_equal(look_up(f, number, NULL), 0);
	assert_string_equal(f->identity.user_name, "daemon");
	assert_int_equal(f->identity.gid, named.gid);
	assert_int_equal(f->identity.group_count, named.group_count);
}

static void
number_without_account_needs_a_group(void **state)
{
	struct fixture *f = *state;

	needs_root();
	assert_int_equal(look_up(f, "54321", NULL), -ENOENT);
	assert_int_equal(f->error.status, EX_NOUSER);
	assert_non_null(strstr(f->error.text, "54321"));
	assert_non_null(strstr(f->error.text, "option group"));
	assert_int_equal(look_up(f, "54321", "54321"), 0);
	assert_int_equal(f->identity.uid, STRANGE_ID);
	assert_int_equal(f->identity.gid, STRANGE_ID);
	assert_string_equal(f->identity.user_name, "54321");
}

/* NS-DMN-15: before anything is bound, and not as a surprise afterwards. */
static void
who_is_not_root_cannot_become_another(void **state)
{
	static const struct {
		const char *user, *group, *says;
	} rows[] = {
		{ "root", NULL, "cannot become user 'root': only root can" },
		{ "54321", "65534", "cannot become user '54321': only root can" },
		{ "65534", "0", "cannot take group '0': only root can" },
		{ NULL, "65534, 0", "cannot take group '0': only root can" },
		{ NULL, "54321", "cannot take group '54321'" }, /* its own, but not its first */
	};
	struct fixture *f = *state;
	pid_t child;

	needs_root();
	child = fork();
	if (child == 0) {
		size_t i;

		become_plain();
		for (i = 0; i < sizeof(rows) / sizeof(rows[0]); i++)
			if (look_up(f, rows[i].user, rows[i].group) != -EPERM ||
			    f->error.status != EX_NOPERM ||
			    strstr(f->error.text, rows[i].says) == NULL)
				_exit((int)i + 1);
		_exit(0);
	}
	assert_int_equal(status_of(child), 0);
}

/* NS-DMN-15: naming oneself asks for nothing. */
static void
own_identity_needs_no_root(void **state)
{
	static const struct {
		const char *user, *group;
	} rows[] = {
		{ "65534", NULL },
		{ "65534", "65534" },
		{ NULL, "65534" },
		{ NULL, "65534, 54321" },
	};
	struct fixture *f = *state;
	pid_t child;

	needs_root();
	child = fork();
	if (child == 0) {
		size_t i;
		gid_t groups[4];

		become_plain();
		for (i = 0; i < sizeof(rows) / sizeof(rows[0]); i++)
			if (look_up(f, rows[i].user, rows[i].group) != 0 ||
			    privileges_drop(&f->identity, &f->error) != 0 ||
			    identity_give(&f->identity, "/no/such/file", &f->error) != 0)
				_exit((int)i + 1);
		_exit(getgroups(4, groups) == 1 && groups[0] == STRANGE_ID ? 0 : 99);
	}
	assert_int_equal(status_of(child), 0);
}

/* The same for whoever runs this test. */
static void
naming_oneself_changes_nothing(void **state)
{
	struct fixture *f = *state;
	char user[32], group[32];
	pid_t child;

	snprintf(user, sizeof(user), "%u", (unsigned)geteuid());
	snprintf(group, sizeof(group), "%u", (unsigned)getegid());
	child = fork();
	if (child == 0) {
		if (look_up(f, user, group) < 0 || privileges_drop(&f->identity, &f->error) < 0)
			_exit(1);
		_exit(f->identity.uid != geteuid() || f->identity.gid != getegid() ||
		    f->identity.group_count != 1);
	}
	assert_int_equal(status_of(child), 0);
}

/* All three ids, exactly the groups, and no way back. Runs in a child; 0 when all is so. */
static int
check_dropped(const struct identity *id, const gid_t *wanted, int count)
{
	uid_t ru, eu, su;
	gid_t rg, eg, sg, groups[PRIVILEGES_GROUPS_MAX];
	int n, i, j, found = 0;

	if (getresuid(&ru, &eu, &su) < 0 || ru != id->uid || eu != id->uid || su != id->uid)
		return 1;
	if (getresgid(&rg, &eg, &sg) < 0 || rg != id->gid || eg != id->gid || sg != id->gid)
		return 2;
	n = getgroups(PRIVILEGES_GROUPS_MAX, groups);
	for (i = 0; i < n; i++)
		for (j = 0; j < count; j++)
			found += groups[i] == wanted[j];
	if (n != count || found != count)
		return 3;
	if (id->uid != 0 && (setuid(0) == 0 || setgid(0) == 0 || setgroups(0, NULL) == 0))
		return 4;
	return 0;
}

/* NS-DMN-13, NS-TST-64 */
static void
drop_changes_all_ids_and_cannot_be_undone(void **state)
{
	static const struct {
		const char *user, *group;
	} rows[] = {
		{ "nobody", NULL },
		{ "nobody", "daemon" },
		{ "nobody", "mail, daemon" },
		{ NULL, "mail daemon" },
		{ "54321", "54322" },
		{ "nobody", "0" },
		{ "root", "root, mail" },
	};
	struct fixture *f = *state;
	size_t i;

	needs_root();
	needs_names();
	for (i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		pid_t child = fork();

		if (child == 0) {
			gid_t roots[] = { 0, 1, 6 };

			/* What root has must be gone. */
			if (setgroups(3, roots) < 0 ||
			    look_up(f, rows[i].user, rows[i].group) < 0 ||
			    privileges_drop(&f->identity, &f->error) < 0)
				_exit(98);
			/* A member of group 0 may stay in it: only the user is proved then. */
			if (f->identity.gid == 0 && f->identity.uid != 0)
				_exit(setuid(0) == 0 || getegid() != 0);
			_exit(check_dropped(
			    &f->identity, f->identity.groups, (int)f->identity.group_count));
		}
		assert_int_equal(status_of(child), 0);
	}
}

/* Twice is as good as once: what is so already needs no right. */
static void
second_drop_changes_nothing(void **state)
{
	struct fixture *f = *state;
	pid_t child;

	needs_root();
	child = fork();
	if (child == 0) {
		if (look_up(f, "54321", "54322,54323") < 0 ||
		    privileges_drop(&f->identity, &f->error) < 0)
			_exit(98);
		_exit(privileges_drop(&f->identity, &f->error) < 0);
	}
	assert_int_equal(status_of(child), 0);
}

/*
 * A saved id of root's is a way back, so it must not be there; this one was not dropped wholly.
 */
static void
failed_drop_is_told(void **state)
{
	struct fixture *f = *state;
	pid_t child;

	needs_root();
	child = fork();
	if (child == 0) {
		if (look_up(f, "54321", "54322") < 0)
			_exit(97);
		/* Effective user of the world, who may not change groups. */
		if (setresuid(NOBODY, NOBODY, 0) < 0)
			_exit(98);
		if (privileges_drop(&f->identity, &f->error) != -EPERM ||
		    strstr(f->error.text, "54322") == NULL)
			_exit(1);
		/* Groups are right already, the user is ours, but root is kept up the sleeve. */
		f->identity = (struct identity){ .set_user = true, .uid = NOBODY };
		if (privileges_drop(&f->identity, &f->error) < 0)
			_exit(2);
		_exit(setuid(0) == 0 || seteuid(0) == 0 ? 3 : 0);
	}
	assert_int_equal(status_of(child), 0);
}

static void
make_file(const char *path)
{
	int fd = open(path, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0600);

	assert_true(fd >= 0);
	close(fd);
}

static void
assert_owner(const char *path, uid_t uid, gid_t gid)
{
	struct stat st;

	assert_int_equal(lstat(path, &st), 0);
	assert_int_equal(st.st_uid, uid);
	assert_int_equal(st.st_gid, gid);
}

/* NS-DMN-12 */
static void
files_and_sockets_are_given_to_user_and_first_group(void **state)
{
	struct fixture *f = *state;
	struct sockaddr_un address = { .sun_family = AF_UNIX };
	int s;

	needs_root();
	make_file(f->path);
	assert_int_equal(look_up(f, NULL, "54323"), 0);
	assert_int_equal(identity_give(&f->identity, f->path, &f->error), 0);
	assert_owner(f->path, 0, 54323);
	assert_int_equal(look_up(f, "54321", "54322, 54323"), 0);
	assert_int_equal(identity_give(&f->identity, f->path, &f->error), 0);
	assert_owner(f->path, STRANGE_ID, 54322);
	assert_int_equal(identity_give(&f->identity, f->path, &f->error), 0);

	s = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
	snprintf(address.sun_path, sizeof(address.sun_path), "%s", f->other);
	assert_int_equal(bind(s, (struct sockaddr *)&address, sizeof(address)), 0);
	assert_int_equal(identity_give(&f->identity, f->other, &f->error), 0);
	assert_owner(f->other, STRANGE_ID, 54322);
	close(s);

	assert_int_equal(unlink(f->path), 0);
	assert_int_equal(identity_give(&f->identity, f->path, &f->error), -ENOENT);
	assert_non_null(strstr(f->error.text, f->path));
	assert_non_null(strstr(f->error.text, "54321"));
}

/*
 * A directory that others may write can hold anything by now. Nothing of root's leaves through
 * it.
 */
static void
traps_are_not_given_away(void **state)
{
	struct fixture *f = *state;

	needs_root();
	assert_int_equal(look_up(f, "54321", "54322"), 0);
	make_file(f->other);

	assert_int_equal(symlink(f->other, f->path), 0);
	assert_int_equal(lchown(f->path, STRANGE_ID, STRANGE_ID), 0);
	assert_int_equal(identity_give(&f->identity, f->path, &f->error), -ELOOP);
	assert_owner(f->other, 0, 0);
	assert_int_equal(unlink(f->path), 0);

	assert_int_equal(link(f->other, f->path), 0);
	assert_int_equal(identity_give(&f->identity, f->path, &f->error), -EMLINK);
	assert_owner(f->other, 0, 0);
}

/* log_file=/dev/null or /dev/stderr: the system's devices stay the system's. */
static void
devices_and_own_links_are_left_alone(void **state)
{
	struct fixture *f = *state;
	struct stat before;

	needs_root();
	assert_int_equal(look_up(f, "54321", "54322"), 0);
	assert_int_equal(lstat("/dev/null", &before), 0);
	assert_int_equal(identity_give(&f->identity, "/dev/null", &f->error), 0);
	assert_owner("/dev/null", before.st_uid, before.st_gid);

	make_file(f->other);
	assert_int_equal(symlink(f->other, f->path), 0);
	assert_int_equal(identity_give(&f->identity, f->path, &f->error), 0);
	assert_owner(f->path, 0, 0);
	assert_owner(f->other, 0, 0);
	assert_int_equal(unlink(f->path), 0);
	assert_int_equal(mkfifo(f->path, 0600), 0);
	assert_int_equal(identity_give(&f->identity, f->path, &f->error), 0);
	assert_owner(f->path, 0, 0);
}

/* NS-DMN-16 */
static void
unusable_roots_are_told_by_name(void **state)
{
	struct fixture *f = *state;
	char missing[128];
	pid_t child;

	snprintf(missing, sizeof(missing), "%s/no/such", f->directory);
	make_file(f->path);
	assert_int_equal(privileges_check_root(missing, &f->error), -ENOENT);
	assert_non_null(strstr(f->error.text, missing));
	assert_non_null(strstr(f->error.text, "option chroot"));
	assert_int_equal(privileges_check_root(f->path, &f->error), -ENOTDIR);
	assert_non_null(strstr(f->error.text, f->path));
	needs_root();
	assert_int_equal(privileges_check_root(f->directory, &f->error), 0);
	assert_int_equal(privileges_change_root(missing, &f->error), -ENOENT);
	assert_non_null(strstr(f->error.text, missing));
	child = fork();
	if (child == 0) {
		become_plain();
		if (privileges_check_root("/", &f->error) != -EPERM ||
		    f->error.status != EX_NOPERM ||
		    strstr(f->error.text, "drop the option chroot") == NULL)
			_exit(1);
		/* The directory of the test is root's alone. */
		_exit(privileges_check_root(f->directory, &f->error) != -EACCES);
	}
	assert_int_equal(status_of(child), 0);
}

/* NS-DMN-17, NS-FIX-21 */
static void
working_directory_is_inside_the_new_root(void **state)
{
	struct fixture *f = *state;
	pid_t child;

	needs_root();
	make_file(f->path);
	child = fork();
	if (child == 0) {
		struct stat root, here, above;
		char cwd[64];

		if (chdir("/") < 0 || privileges_change_root(f->directory, &f->error) < 0)
			_exit(1);
		if (getcwd(cwd, sizeof(cwd)) == NULL || strcmp(cwd, "/") != 0)
			_exit(2);
		if (access("/file", F_OK) < 0 || access("/etc", F_OK) == 0)
			_exit(3);
		if (stat("/", &root) < 0 || stat(".", &here) < 0 || stat("..", &above) < 0)
			_exit(4);
		_exit(root.st_ino != here.st_ino || root.st_ino != above.st_ino);
	}
	assert_int_equal(status_of(child), 0);
}

/* A zone that is not UTC for this process alone, where the kernel lets us. */
static void
have_a_zone(void)
{
	if (unshare(CLONE_NEWNS) == 0 && mount("none", "/", "", MS_REC | MS_PRIVATE, NULL) == 0)
		(void)mount(
		    "/usr/share/zoneinfo/Asia/Kolkata", "/etc/localtime", "", MS_BIND, NULL);
}

/*
 * NS-DMN-18: no zone files in there, and a handler that calls localtime() must not lose the
 * zone.
 */
static void
local_time_stays_that_of_the_outside(void **state)
{
	static const char *const zones[] = { NULL, "Asia/Kolkata",
		":/usr/share/zoneinfo/Asia/Kolkata" };
	struct fixture *f = *state;
	size_t i;

	needs_root();
	for (i = 0; i < sizeof(zones) / sizeof(zones[0]); i++) {
		pid_t child = fork();

		if (child == 0) {
			time_t now = time(NULL);
			struct tm tm;
			long before;

			if (zones[i] == NULL) {
				unsetenv("TZ");
				have_a_zone();
			} else {
				setenv("TZ", zones[i], 1);
			}
			before = localtime(&now)->tm_gmtoff;
			if (privileges_change_root(f->directory, &f->error) < 0)
				_exit(1);
			if (localtime(&now)->tm_gmtoff != before)
				_exit(2);
			_exit(localtime_r(&now, &tm) == NULL || tm.tm_gmtoff != before);
		}
		assert_int_equal(status_of(child), 0);
	}
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
#define WITH_DIRECTORY(test) cmocka_unit_test_setup_teardown(test, set_up, tear_down)
		WITH_DIRECTORY(nothing_asked_for_keeps_everything),
		WITH_DIRECTORY(unknown_names_are_told),
		WITH_DIRECTORY(one_user_and_one_group_are_found_for_any_option),
		WITH_DIRECTORY(home_is_that_of_the_user_it_becomes),
		WITH_DIRECTORY(group_lists_take_blanks_and_commas),
		WITH_DIRECTORY(too_many_groups_are_refused),
		WITH_DIRECTORY(user_alone_brings_its_own_groups),
		WITH_DIRECTORY(number_of_an_account_is_as_good_as_its_name),
		WITH_DIRECTORY(number_without_account_needs_a_group),
		WITH_DIRECTORY(who_is_not_root_cannot_become_another),
		WITH_DIRECTORY(own_identity_needs_no_root),
		WITH_DIRECTORY(naming_oneself_changes_nothing),
		WITH_DIRECTORY(drop_changes_all_ids_and_cannot_be_undone),
		WITH_DIRECTORY(second_drop_changes_nothing),
		WITH_DIRECTORY(failed_drop_is_told),
		WITH_DIRECTORY(files_and_sockets_are_given_to_user_and_first_group),
		WITH_DIRECTORY(traps_are_not_given_away),
		WITH_DIRECTORY(devices_and_own_links_are_left_alone),
		WITH_DIRECTORY(unusable_roots_are_told_by_name),
		WITH_DIRECTORY(working_directory_is_inside_the_new_root),
		WITH_DIRECTORY(local_time_stays_that_of_the_outside),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
