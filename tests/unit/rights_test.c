/*
 * The rights of socket files, on real sockets in a directory of this test's own. Functions that stand in
 * for those of libc look at the file whenever something could have changed, or play what a machine cannot
 * be asked for.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "net/rights.h"

#include "directory_fixture.h"

#define STRANGE_ID 54321u /* of no account */
#define KEEP ((uid_t)-1)
#define SEEN_MAX 16

static char directory[DIRECTORY_MAX];
static char path[96];
static char other[96];

/* What the file was like after each step. */
static struct stat seen[SEEN_MAX];
static size_t seen_count;
static int    seen_listening; /* so many of them before listen() */

static int chown_error;
static void (*after_bind)(void);

static void
look(void)
{
	if (seen_count < SEEN_MAX && lstat(path, &seen[seen_count]) == 0)
		seen_count++;
}

int played_bind(int fd, const struct sockaddr *address, socklen_t size) __asm__("bind");

int
played_bind(int fd, const struct sockaddr *address, socklen_t size)
{
	int r = (int)syscall(SYS_bind, fd, address, size);

	look();
	if (after_bind != NULL)
		after_bind();
	return r;
}

int played_listen(int fd, int backlog) __asm__("listen");

int
played_listen(int fd, int backlog)
{
	seen_listening = (int)seen_count;
	return (int)syscall(SYS_listen, fd, backlog);
}

int played_chown(int fd, const char *name, uid_t uid, gid_t gid, int flags) __asm__("fchownat");

int
played_chown(int fd, const char *name, uid_t uid, gid_t gid, int flags)
{
	int r;

	if (chown_error != 0) {
		errno = chown_error;
		return -1;
	}
	r = (int)syscall(SYS_fchownat, fd, name, uid, gid, flags);
	look();
	return r;
}

int played_chmod(const char *name, mode_t mode) __asm__("chmod");

int
played_chmod(const char *name, mode_t mode)
{
	int r = (int)syscall(SYS_fchmodat, AT_FDCWD, name, mode);

	look();
	return r;
}

/* ---- endpoints ---- */

static int
setup(void **state)
{
	(void)state;
	seen_count = 0;
	seen_listening = -1;
	chown_error = 0;
	after_bind = NULL;
	umask(022);
	if (directory_make(directory, "rights_test") < 0)
		return -1;
	snprintf(path, sizeof(path), "%s/socket", directory);
	snprintf(other, sizeof(other), "%s/other", directory);
	return 0;
}

static int
teardown(void **state)
{
	(void)state;
	unlink(path);
	unlink(other);
	return rmdir(directory);
}

static int
try_open(struct listener *l, const char *proto, const struct socket_rights *rights, struct error *e)
{
	char text[128];
	const char *port = text;
	const struct tend_list ports = { 1, &port };
	const struct endpoint_config from = { .port = &ports, .rights = rights };
	struct endpoints list;
	int code;

	snprintf(text, sizeof(text), "%s|%s", path, proto);
	error_clear(e);
	code = endpoints_resolve(&list, &from, NULL, NULL, e);
	assert_int_equal(code, 0);
	code = listener_open(l, &list.list[0], NULL, e);
	endpoints_done(&list);
	return code;
}

static void
open_with(struct listener *l, const char *proto, const struct socket_rights *rights)
{
	struct error e;

	if (try_open(l, proto, rights, &e) < 0)
		fail_msg("%s", e.text);
}

static void
close_and_remove(struct listener *l)
{
	assert_int_equal(listener_unlink(l), 0);
	listener_close(l);
}

static unsigned
mode_of(const struct stat *st)
{
	return (unsigned)st->st_mode & 07777;
}

static void
assert_file_is(unsigned mode, uid_t uid, gid_t gid)
{
	struct stat st;

	assert_int_equal(lstat(path, &st), 0);
	assert_true(S_ISSOCK(st.st_mode));
	assert_int_equal(mode_of(&st), mode);
	assert_int_equal(st.st_uid, uid);
	assert_int_equal(st.st_gid, gid);
}

static mode_t
mask_now(void)
{
	mode_t mask = umask(0);

	umask(mask);
	return mask;
}

static const char *const protos[] = { "unix", "unixdgram" };
#define PROTOS (sizeof(protos) / sizeof(protos[0]))

/* ---- modes ---- */

/* NS-FIX-48 */
static void
the_mode_is_exact_whatever_the_mask_is(void **state)
{
	static const mode_t masks[] = { 0, 022, 077, 0777 };
	static const mode_t modes[] = { 0, 0600, 0620, 0660, 0666, 0777 };
	size_t i, j, k, n;

	(void)state;
	for (i = 0; i < sizeof(masks) / sizeof(masks[0]); i++)
		for (j = 0; j < sizeof(modes) / sizeof(modes[0]); j++)
			for (k = 0; k < PROTOS; k++) {
				struct socket_rights r = { true, modes[j], KEEP, KEEP };
				struct listener l;

				seen_count = 0;
				umask(masks[i]);
				open_with(&l, protos[k], &r);
				assert_int_equal(mask_now(), masks[i]);
				assert_file_is(modes[j], geteuid(), getegid());
				for (n = 0; n < seen_count; n++)
					assert_int_equal(mode_of(&seen[n]) & ~modes[j], 0);
				close_and_remove(&l);
			}
}

static void
nothing_asked_for_leaves_the_file_as_it_was_bound(void **state)
{
	struct listener l;

	(void)state;
	umask(027);
	open_with(&l, "unix", NULL);
	assert_file_is(0750, geteuid(), getegid());
	assert_int_equal(seen_count, 1);
	close_and_remove(&l);
}

/* An abstract name has no file that rights could be of. */
static void
abstract_sockets_have_no_rights(void **state)
{
	struct socket_rights r = { true, 0600, STRANGE_ID, STRANGE_ID };
	struct listener l;

	(void)state;
	snprintf(path, sizeof(path), "@tend-rights-%ld", (long)getpid());
	open_with(&l, "unix", &r);
	assert_null(listener_file(&l));
	listener_close(&l);
}

/* ---- owners ---- */

static void
needs_root(void)
{
	if (geteuid() != 0)
		skip();
}

/* Nobody has more of the file before listen(), or a datagram's sender ever, than in the end. */
static void
assert_closed_until_it_was_right(const char *proto, unsigned mode)
{
	int complete = strcmp(proto, "unix") == 0 ? seen_listening : (int)seen_count;
	size_t i;

	assert_true(complete >= 2);
	for (i = 0; i < seen_count; i++) {
		if (seen[i].st_uid == STRANGE_ID && seen[i].st_gid == STRANGE_ID)
			assert_int_equal(mode_of(&seen[i]) & ~mode, 0);
		else
			assert_int_equal(mode_of(&seen[i]) & 077, 0);
	}
	assert_int_equal(mode_of(&seen[complete - 1]), mode);
	assert_int_equal(seen[complete - 1].st_uid, STRANGE_ID);
}

/* NS-FIX-48 */
static void
the_owner_comes_before_the_mode_and_both_before_clients(void **state)
{
	size_t k;

	(void)state;
	needs_root();
	for (k = 0; k < PROTOS; k++) {
		struct socket_rights r = { true, 0660, STRANGE_ID, STRANGE_ID };
		struct listener l;

		seen_count = 0;
		umask(0);
		open_with(&l, protos[k], &r);
		assert_file_is(0660, STRANGE_ID, STRANGE_ID);
		assert_closed_until_it_was_right(protos[k], 0660);
		close_and_remove(&l);
	}
}

static void
an_owner_alone_leaves_the_mode_to_the_mask(void **state)
{
	size_t k;

	(void)state;
	needs_root();
	for (k = 0; k < PROTOS; k++) {
		struct socket_rights r = { .uid = STRANGE_ID, .gid = STRANGE_ID };
		struct listener l;

		seen_count = 0;
		umask(007);
		open_with(&l, protos[k], &r);
		assert_int_equal(mask_now(), 007);
		assert_file_is(0770, STRANGE_ID, STRANGE_ID);
		assert_closed_until_it_was_right(protos[k], 0770);
		close_and_remove(&l);
	}
}

static void
a_group_alone_leaves_the_user(void **state)
{
	struct socket_rights r = { true, 0660, KEEP, STRANGE_ID };
	struct listener l;

	(void)state;
	needs_root();
	open_with(&l, "unix", &r);
	assert_file_is(0660, geteuid(), STRANGE_ID);
	close_and_remove(&l);
}

/* ---- failures ---- */

static void
a_file_that_cannot_be_given_ends_the_start_with_a_sentence(void **state)
{
	struct socket_rights r = { true, 0660, geteuid() + 1, KEEP };
	struct listener l;
	struct error e;

	(void)state;
	chown_error = EPERM;
	assert_int_equal(try_open(&l, "unix", &r, &e), -EPERM);
	assert_int_equal(e.status, EX_NOPERM);
	assert_non_null(strstr(e.text, path));
	assert_non_null(strstr(e.text, "socket_user"));
	assert_non_null(strstr(e.text, "start as root"));
	assert_int_equal(l.fd, -1);
	assert_int_equal(access(path, F_OK), -1);
}

static void
put_a_link_there(void)
{
	unlink(path);
	assert_int_equal(symlink(other, path), 0);
}

/* Another name for a socket of somebody else's, laid where ours was. */
static void
put_another_socket_there(void)
{
	unlink(path);
	assert_int_equal(link(other, path), 0);
}

static void
make_other(mode_t type)
{
	assert_int_equal(mknod(other, type | 0600, 0), 0);
}

/* No link is followed, and no other file is given away. */
static void
a_file_that_took_the_place_of_ours_is_not_touched(void **state)
{
	static const struct {
		mode_t type;
		void (*put)(void);
	} rows[] = { { S_IFREG, put_a_link_there }, { S_IFSOCK, put_another_socket_there } };
	struct socket_rights r = { true, 0666, geteuid(), getegid() };
	size_t i;

	(void)state;
	for (i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		struct listener l;
		struct error e;
		struct stat st;

		make_other(rows[i].type);
		after_bind = rows[i].put;
		assert_int_equal(try_open(&l, "unix", &r, &e), -ESTALE);
		after_bind = NULL;
		assert_non_null(strstr(e.text, path));
		assert_int_equal(lstat(other, &st), 0);
		assert_int_equal(mode_of(&st), 0600);
		unlink(path);
		unlink(other);
	}
}

/* ---- sockets that are kept ---- */

/* The same socket in the hands of the next image. */
static void
adopt(struct listener *l, const struct listener *from)
{
	struct endpoint where = {
		.host = (char[]){ "*" }, .port = path, .proto = (char[]){ "unix" },
		.configured_host = (char[]){ "*" }, .configured_port = path,
	};
	struct error e;

	assert_int_equal(addr_set_path(&where.addr, path), 0);
	assert_int_equal(listener_adopt(l, dup(from->fd), &where, &e), 0);
}

static void
renew(struct listener *l, const struct socket_rights *r)
{
	struct error e = { 0 };

	if (rights_renew(r, l, &e) < 0)
		fail_msg("%s", e.text);
}

/* NS-FIX-48, NS-HUP-04 */
static void
a_kept_socket_gets_the_new_mode_and_can_get_the_old_one_back(void **state)
{
	struct socket_rights r = { true, 0660, KEEP, KEEP };
	struct listener l, next;

	(void)state;
	open_with(&l, "unix", &r);
	adopt(&next, &l);
	r.mode = 0606;
	renew(&next, &r);
	assert_file_is(0606, geteuid(), getegid());
	rights_put_back(&next);
	assert_file_is(0660, geteuid(), getegid());
	rights_put_back(&next);
	renew(&next, NULL);
	assert_file_is(0660, geteuid(), getegid());
	listener_close(&l);
	close_and_remove(&next);
}

static void
a_change_of_both_gives_nobody_what_either_keeps_from_him(void **state)
{
	struct socket_rights r = { true, 0604, KEEP, KEEP };
	struct listener l, next;
	size_t i;

	(void)state;
	needs_root();
	open_with(&l, "unix", &r);
	adopt(&next, &l);
	r = (struct socket_rights){ true, 0660, STRANGE_ID, STRANGE_ID };
	seen_count = 0;
	renew(&next, &r);
	assert_file_is(0660, STRANGE_ID, STRANGE_ID);
	for (i = 0; i + 1 < seen_count; i++)
		assert_int_equal(mode_of(&seen[i]) & ~(0604u & 0660u), 0);
	rights_put_back(&next);
	assert_file_is(0604, geteuid(), getegid());
	listener_close(&l);
	close_and_remove(&next);
}

static void
files_that_are_not_ours_stay_as_they_are(void **state)
{
	struct socket_rights r = { true, 0660, KEEP, KEEP };
	struct listener l, next;
	struct stat st;

	(void)state;
	open_with(&l, "unix", &r);
	/* A supervisor's. */
	adopt(&next, &l);
	next.owner = 0;
	r.mode = 0600;
	renew(&next, &r);
	assert_file_is(0660, geteuid(), getegid());
	listener_close(&next);
	/* Another server has taken the place. */
	adopt(&next, &l);
	make_other(S_IFSOCK);
	assert_int_equal(rename(other, path), 0);
	assert_int_equal(chmod(path, 0640), 0);
	renew(&next, &r);
	assert_int_equal(lstat(path, &st), 0);
	assert_int_equal(mode_of(&st), 0640);
	listener_close(&next);
	listener_close(&l);
}

int
main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)
	const struct CMUnitTest tests[] = {
		TEST(the_mode_is_exact_whatever_the_mask_is),
		TEST(nothing_asked_for_leaves_the_file_as_it_was_bound),
		TEST(abstract_sockets_have_no_rights),
		TEST(the_owner_comes_before_the_mode_and_both_before_clients),
		TEST(an_owner_alone_leaves_the_mode_to_the_mask),
		TEST(a_group_alone_leaves_the_user),
		TEST(a_file_that_cannot_be_given_ends_the_start_with_a_sentence),
		TEST(a_file_that_took_the_place_of_ours_is_not_touched),
		TEST(a_kept_socket_gets_the_new_mode_and_can_get_the_old_one_back),
		TEST(a_change_of_both_gives_nobody_what_either_keeps_from_him),
		TEST(files_that_are_not_ours_stay_as_they_are),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
