/*
 * Moving to the working directory. All of the server moves, not only what serves: hooks of the parent
 * open files that those of children use, and a server that has a directory of its own should not hold
 * on to another. What is relative in the configuration has been opened by then; what is needed later
 * is known by an absolute path (log file, lock file, the program) or by a descriptor of its directory
 * (pid file, sockets); and a restart begins by going back (launch_restore()), so that everything that
 * is relative means the same to the next image, arguments that we know nothing of included.
 */
#include "server/directory.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "process/launch.h"

/* NULL: none. */
static const char *
root_of(const struct tend_server *srv)
{
	const char *root = srv->settings.value.chroot;

	return root != NULL && root[0] != '\0' ? root : NULL;
}

static int
join(struct tend_server *srv, const char *directory, const char *path, char **into)
{
	if (asprintf(into, "%s/%s", directory, path) >= 0)
		return 0;
	*into = NULL;
	return server_fail(srv, EX_OSERR, -ENOMEM, "out of memory");
}

static int
below_home(struct tend_server *srv, const char *path, char **into)
{
	char *home;
	int r;

	if (path[1] != '\0' && path[1] != '/')
		return server_fail(srv, EX_CONFIG, -EINVAL,
		    "directory is '%s', but ~ stands for the home of the option user only; name a path",
		    path);
	r = identity_home(&srv->identity, &home, &srv->error);
	if (r < 0 || path[1] == '\0') {
		*into = home;
		return r;
	}
	r = join(srv, home, path + 2, into);
	free(home);
	return r;
}

static int
below_start(struct tend_server *srv, const char *path, char **into)
{
	char *here = root_of(srv) != NULL ? strdup("") : getcwd(NULL, 0);
	int r;

	if (here == NULL)
		return server_fail(srv, EX_OSERR, -errno,
		    "directory is '%s', and the directory of the start cannot be told: %s", path,
		    error_reason(-errno));
	r = join(srv, here, path, into);
	free(here);
	return r;
}

static int
absolute(struct tend_server *srv, const char *path, char **into)
{
	if (path[0] == '~')
		return below_home(srv, path, into);
	if (path[0] != '/')
		return below_start(srv, path, into);
	*into = strdup(path);
	return *into != NULL ? 0 : server_fail(srv, EX_OSERR, -ENOMEM, "out of memory");
}

/* Will another user than this one work there? */
static bool
is_for_another(const struct tend_server *srv)
{
	return srv->identity.set_user && srv->identity.uid != geteuid();
}

static int
look_at(struct tend_server *srv, const char *path)
{
	struct stat st;
	int code = 0;

	if (stat(path, &st) < 0)
		code = -errno;
	else if (!S_ISDIR(st.st_mode))
		code = -ENOTDIR;
	else if (!is_for_another(srv) && faccessat(AT_FDCWD, path, X_OK, AT_EACCESS) < 0)
		code = -errno;
	/* What root may not see, as on a file system of another machine, another user may. */
	if (code == 0 || (code == -EACCES && is_for_another(srv)))
		return 0;
	return server_fail(srv, error_status_of(code), code,
	    "cannot work in '%s': %s; change the option directory", path, error_reason(code));
}

int
directory_check(struct tend_server *srv)
{
	const char *path = srv->settings.value.directory;
	char *fresh = NULL;
	int r = 0;

	if (path != NULL && path[0] != '\0')
		r = absolute(srv, path, &fresh);
	if (r == 0 && fresh != NULL && root_of(srv) == NULL)
		r = look_at(srv, fresh);
	if (r < 0) {
		free(fresh);
		return r;
	}
	free(srv->directory);
	srv->directory = fresh;
	return 0;
}

int
directory_enter(struct tend_server *srv)
{
	const char *root = root_of(srv);

	if (srv->directory == NULL)
		return 0;
	if (srv->came_from == NULL && root == NULL)
		srv->came_from = getcwd(NULL, 0);
	if (chdir(srv->directory) == 0) {
		tend_log(srv, TEND_LOG_NOTICE, "Working in %s", srv->directory);
		return 0;
	}
	return server_fail(srv, error_status_of(-errno), -errno,
	    "cannot work in '%s'%s%s as uid %ld and gid %ld: %s; change the option directory",
	    srv->directory, root != NULL ? " inside of chroot " : "", root != NULL ? root : "",
	    (long)geteuid(), (long)getegid(), error_reason(-errno));
}

void
directory_leave(struct tend_server *srv)
{
	int gone = 0;

	if (srv->came_from != NULL)
		gone = chdir(srv->came_from);
	/* Who has become another user may not be let in there; then he stays. */
	(void)gone;
	free(srv->came_from);
	srv->came_from = NULL;
}

bool
directory_bars_restart(const struct tend_server *srv)
{
	const struct launch *l = launch_get();

	return srv->directory != NULL && (l == NULL || l->directory == NULL ||
	    faccessat(AT_FDCWD, l->directory, X_OK, AT_EACCESS) < 0);
}
