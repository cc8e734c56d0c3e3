/*
 * Rehearses failing system calls. Loaded with LD_PRELOAD in front of libc, it lets chosen
 *calls of the program under test fail as they would on a machine that is out of something.
 *
 *	TEND_REFUSE="fork:EAGAIN:3, accept4:EMFILE:5+2, bind:98:*"
 *
 * A rule is function:error:count. The error is a name or a number; the first `count` calls
 *fail,
 * `*` means all of them, and `+skip` lets that many calls through first. Every rule for a
 * function counts every call of that function; the first rule that refuses decides. Rules are
 * separated by commas, blanks or newlines; in a file, # begins a comment. A bad rule ends the
 * program with status 64, so that no test passes because nothing was refused.
 *
 *	TEND_REFUSE_FILE=/tmp/x/refuse
 *
 * More of the same, looked at before each call and read again when it has changed; its counts
 * then begin anew. Write it beside and rename. A missing file has no rules.
 *
 *	TEND_REFUSE_STATE=/tmp/x/state
 *
 * Where the counts live. All processes share them anyway; with this file they go on after an
 * exec, and a test can read them. It begins with 64-bit words in host order: the calls and the
 * refusals of rule 0, of rule 1, ... of TEND_REFUSE; from byte 1024 on, those of the file.
 *
 * The functions, and what else goes by their names:
 *
 *	accept accept4 bind listen socket socketpair connect send sendmsg recvmsg
 *	eventfd epoll_create1 epoll_ctl fork pthread_create chroot rename flock
 *	unlink (unlinkat)
 *	open (open64 openat openat64), pipe2 (pipe), posix_spawn (posix_spawnp)
 *	exec (execve execv execvp), fexecve
 *	mmap (only shared and anonymous, as for boards)
 *	write, writev (only beyond standard error)
 *	setuid (setreuid setresuid), setgid (setregid setresgid), setgroups (initgroups)
 *
 * Calls that libc makes inside itself (fopen, popen, system) are not seen. A program with
 * AddressSanitizer needs ASAN_OPTIONS=verify_asan_link_order=0.
 */

/* open must be open and mmap be mmap here, whatever the build asks for. */
#undef _FILE_OFFSET_BITS
#undef _FORTIFY_SOURCE

#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <grp.h>
#include <pthread.h>
#include <signal.h>
#include <spawn.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <sys/file.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/uio.h>
#include <sysexits.h>
#include <unistd.h>

#define RULES_MAX 64
#define TABLES 8 /* a reader of an old table has seven changes of the file to finish */
#define TEXT_MAX 8192
#define ALWAYS UINT64_MAX

struct rule {
	char function[24];
	int error;
	uint64_t skip;
	uint64_t count;
};

struct table {
	struct rule rules[RULES_MAX];
	size_t count;
};

struct counts {
	uint64_t calls;
	uint64_t refusals;
};

/* What tells that the file has changed. */
struct stamp {
	struct timespec modified;
	struct timespec changed;
	ino_t inode;
	off_t size;
};

/* What all processes share that descend from the first, or that have the same state file. */
struct shared {
	struct counts fixed[RULES_MAX]; /* these two first: tests read them */
	struct counts of_file[RULES_MAX];
	struct table tables[TABLES]; /* the rules of the file, now and before */
	unsigned current;
	pid_t reader;       /* the process that reads the file just now, 0: none */
	struct stamp stamp; /* of the file as it was read; zero: it was missing */
};

_Static_assert(sizeof(struct counts) * RULES_MAX == 1024, "the place that tests look at");

static struct table fixed; /* of TEND_REFUSE; every process reads its own */
static struct shared *shared;
static const char *file_path;

static const struct {
	const char *name;
	int number;
} errors[] = {
	{ "E2BIG", E2BIG },
	{ "EACCES", EACCES },
	{ "EADDRINUSE", EADDRINUSE },
	{ "EADDRNOTAVAIL", EADDRNOTAVAIL },
	{ "EAFNOSUPPORT", EAFNOSUPPORT },
	{ "EAGAIN", EAGAIN },
	{ "EBADF", EBADF },
	{ "EBUSY", EBUSY },
	{ "ECONNABORTED", ECONNABORTED },
	{ "ECONNREFUSED", ECONNREFUSED },
	{ "ECONNRESET", ECONNRESET },
	{ "EDQUOT", EDQUOT },
	{ "EEXIST", EEXIST },
	{ "EFAULT", EFAULT },
	{ "EHOSTUNREACH", EHOSTUNREACH },
	{ "EINTR", EINTR },
	{ "EINVAL", EINVAL },
	{ "EIO", EIO },
	{ "EMFILE", EMFILE },
	{ "EMSGSIZE", EMSGSIZE },
	{ "ENETDOWN", ENETDOWN },
	{ "ENETUNREACH", ENETUNREACH },
	{ "ENFILE", ENFILE },
	{ "ENOBUFS", ENOBUFS },
	{ "ENODEV", ENODEV },
	{ "ENOENT", ENOENT },
	{ "ENOEXEC", ENOEXEC },
	{ "ENOLCK", ENOLCK },
	{ "ENOMEM", ENOMEM },
	{ "ENOSPC", ENOSPC },
	{ "ENOSYS", ENOSYS },
	{ "ENOTDIR", ENOTDIR },
	{ "EOPNOTSUPP", EOPNOTSUPP },
	{ "EPERM", EPERM },
	{ "EPIPE", EPIPE },
	{ "EPROTO", EPROTO },
	{ "EPROTONOSUPPORT", EPROTONOSUPPORT },
	{ "EROFS", EROFS },
	{ "ETIMEDOUT", ETIMEDOUT },
	{ "ETXTBSY", ETXTBSY },
};

static const char *const functions[] = {
	"accept",
	"accept4",
	"bind",
	"chroot",
	"connect",
	"epoll_create1",
	"epoll_ctl",
	"eventfd",
	"exec",
	"fexecve",
	"flock",
	"fork",
	"listen",
	"mmap",
	"open",
	"pipe2",
	"posix_spawn",
	"pthread_create",
	"recvmsg",
	"rename",
	"send",
	"sendmsg",
	"setgid",
	"setgroups",
	"setuid",
	"socket",
	"socketpair",
	"unlink",
	"write",
	"writev",
};

/* --- reading rules --- */

static bool
read_error(const char *text, int *into)
{
	char *end;
	size_t i;

	for (i = 0; i < sizeof(errors) / sizeof(errors[0]); i++)
		if (strcmp(text, errors[i].name) == 0) {
			*into = errors[i].number;
			return true;
		}
	*into = (int)strtol(text, &end, 10);
	return end != text && *end == '\0' && *into > 0 && *into < 4096;
}

static bool
read_number(const char *text, uint64_t *into)
{
	char *end;

	*into = strtoull(text, &end, 10);
	return *text >= '0' && *text <= '9' && *end == '\0';
}

static bool
read_function(const char *text, char into[24])
{
	size_t i;

	for (i = 0; i < sizeof(functions) / sizeof(functions[0]); i++)
		if (strcmp(text, functions[i]) == 0) {
			memcpy(into, text, strlen(text) + 1);
			return true;
		}
	return false;
}

/* "function:error:count+skip", which is cut up. */
static bool
read_rule(char *text, struct rule *into)
{
	char *error = strchr(text, ':');
	char *count = error != NULL ? strchr(error + 1, ':') : NULL;
	char *skip = count != NULL ? strchr(count, '+') : NULL;

	memset(into, 0, sizeof(*into));
	if (count == NULL)
		return false;
	*error++ = '\0';
	*count++ = '\0';
	if (skip != NULL) {
		*skip++ = '\0';
		if (!read_number(skip, &into->skip))
			return false;
	}
	into->count = ALWAYS;
	return read_function(text, into->function) && read_error(error, &into->error) &&
	       (strcmp(count, "*") == 0 || read_number(count, &into->count));
}

static void
blank_comments(char *text)
{
	bool comment = false;

	for (; *text != '\0'; text++) {
		comment = *text == '#' || (comment && *text != '\n');
		if (comment)
			*text = ' ';
	}
}

static void
complain(const char *what, const char *rule)
{
	char line[256];
	int n = snprintf(line, sizeof(line), "refuse: %s '%s'\n", what, rule);

	/* Around the write() of this file, which could refuse to complain. */
	if (n > 0)
		syscall(SYS_write, STDERR_FILENO, line,
		    (size_t)n < sizeof(line) ? (size_t)n : sizeof(line) - 1);
	_exit(EX_USAGE);
}

/* Cuts `text` up. */
static void
read_rules(struct table *into, char *text)
{
	char *rest = NULL, *word, copy[128];

	memset(into, 0, sizeof(*into));
	blank_comments(text);
	for (word = strtok_r(text, ", \t\r\n", &rest); word != NULL;
	     word = strtok_r(NULL, ", \t\r\n", &rest)) {
		snprintf(copy, sizeof(copy), "%s", word);
		if (into->count == RULES_MAX)
			complain("too many rules at", copy);
		if (!read_rule(word, &into->rules[into->count]))
			complain("not function:error:count[+skip]:", copy);
		into->count++;
	}
}

/* --- shared memory; the calls of this file must not meet themselves --- */

static void *
shared_memory(size_t size, int fd)
{
	int flags = fd >= 0 ? MAP_SHARED : MAP_SHARED | MAP_ANONYMOUS;
	long at = syscall(SYS_mmap, NULL, size, PROT_READ | PROT_WRITE, flags, fd, 0);

	if (at == -1)
		complain("no shared memory", strerror(errno));
	return (void *)at;
}

static int
open_itself(const char *path, int flags)
{
	return (int)syscall(SYS_openat, AT_FDCWD, path, flags | O_CLOEXEC, 0666);
}

static struct shared *
open_shared(const char *path)
{
	struct shared *at;
	int fd;

	if (path == NULL)
		return shared_memory(sizeof(*at), -1);
	fd = open_itself(path, O_RDWR | O_CREAT);
	if (fd < 0 || ftruncate(fd, sizeof(*at)) < 0)
		complain("cannot use TEND_REFUSE_STATE", path);
	at = shared_memory(sizeof(*at), fd);
	close(fd);
	return at;
}

__attribute__((constructor)) static void
refuse_start(void)
{
	const char *rules = getenv("TEND_REFUSE");
	char text[TEXT_MAX];

	if (rules != NULL) {
		if (strlen(rules) >= sizeof(text))
			complain("TEND_REFUSE is too long:", "...");
		memcpy(text, rules, strlen(rules) + 1);
		read_rules(&fixed, text);
	}
	file_path = getenv("TEND_REFUSE_FILE");
	shared = open_shared(getenv("TEND_REFUSE_STATE"));
}

/* --- the file --- */

static struct stamp
stamp_of_file(void)
{
	struct stamp stamp;
	struct stat st;

	memset(&stamp, 0, sizeof(stamp));
	if (fstatat(AT_FDCWD, file_path, &st, 0) == 0) {
		stamp.modified = st.st_mtim;
		stamp.changed = st.st_ctim;
		stamp.inode = st.st_ino;
		stamp.size = st.st_size;
	} else if (errno != ENOENT) {
		complain("cannot look at", file_path);
	}
	return stamp;
}

static void
read_file(struct table *into)
{
	int fd = open_itself(file_path, O_RDONLY);
	char text[TEXT_MAX];
	ssize_t n = 0;

	if (fd < 0 && errno != ENOENT)
		complain("cannot read", file_path);
	if (fd >= 0) {
		n = read(fd, text, sizeof(text) - 1);
		close(fd);
	}
	text[n > 0 ? n : 0] = '\0';
	read_rules(into, text);
}

/* One process reads; the others go on with the old table until it is done. */
static bool
begin_reading(void)
{
	pid_t reader = __atomic_load_n(&shared->reader, __ATOMIC_ACQUIRE);

	/* A reader that was killed would otherwise keep its turn for ever. */
	if (reader != 0 && (kill(reader, 0) == 0 || errno != ESRCH))
		return false;
	return __atomic_compare_exchange_n(
	    &shared->reader, &reader, getpid(), false, __ATOMIC_ACQ_REL, __ATOMIC_RELAXED);
}

static bool
file_has_changed(struct stamp *stamp)
{
	*stamp = stamp_of_file();
	return memcmp(stamp, &shared->stamp, sizeof(*stamp)) != 0;
}

static struct table *
file_table(void)
{
	struct stamp stamp;
	unsigned next;

	if (file_has_changed(&stamp) && begin_reading()) {
		/* Another process may have read it meanwhile; twice would count anew. */
		if (file_has_changed(&stamp)) {
			next = (shared->current + 1) % TABLES;
			read_file(&shared->tables[next]);
			memset(shared->of_file, 0, sizeof(shared->of_file));
			__atomic_store_n(&shared->current, next, __ATOMIC_RELEASE);
			shared->stamp = stamp;
		}
		__atomic_store_n(&shared->reader, 0, __ATOMIC_RELEASE);
	}
	return &shared->tables[__atomic_load_n(&shared->current, __ATOMIC_ACQUIRE)];
}

/* --- deciding --- */

static bool
refuses(const struct rule *rule, struct counts *counts)
{
	uint64_t before = __atomic_fetch_add(&counts->calls, 1, __ATOMIC_RELAXED);

	if (before < rule->skip ||
	    (rule->count != ALWAYS && before - rule->skip >= rule->count))
		return false;
	__atomic_fetch_add(&counts->refusals, 1, __ATOMIC_RELAXED);
	return true;
}

/* Every rule of the function counts the call; the first that refuses gives the error. */
static int
ask(const struct table *table, struct counts *counts, const char *function)
{
	int error = 0;
	size_t i;

	for (i = 0; i < table->count; i++)
		if (strcmp(table->rules[i].function, function) == 0 &&
		    refuses(&table->rules[i], &counts[i]) && error == 0)
			error = table->rules[i].error;
	return error;
}

/* The error to fail with, 0: go on. errno stays as it was. */
static int
refusal(const char *function)
{
	int error, of_file = 0, saved = errno;

	/* Constructors of other libraries may run before ours. */
	if (shared == NULL)
		return 0;
	error = ask(&fixed, shared->fixed, function);
	if (file_path != NULL)
		of_file = ask(file_table(), shared->of_file, function);
	errno = saved;
	return error != 0 ? error : of_file;
}

static bool
refused(const char *function)
{
	int error = refusal(function);

	if (error != 0)
		errno = error;
	return error != 0;
}

/* The function of this name behind this file. */
static void
find(void *into, const char *name)
{
	void *address = dlsym(RTLD_NEXT, name);

	if (address == NULL)
		complain("libc has no", name);
	memcpy(into, &address, sizeof(address));
}

/* --- the functions --- */

/*
 * One definition: result type, name, parameters, arguments, the name that rules use, and the
 * calls that it is about.
 */
#define REFUSABLE(type, name, parameters, arguments, rule, when)                              \
	type name parameters                                                                  \
	{                                                                                     \
		static type(*behind) parameters;                                              \
                                                                                              \
		if (behind == NULL)                                                           \
			find(&behind, #name);                                                 \
		return (when) && refused(rule) ? (type)-1 : behind arguments;                 \
	}

/* For those that return the error. */
#define REFUSABLE_BY_VALUE(name, parameters, arguments, rule)                                 \
	int name parameters                                                                   \
	{                                                                                     \
		static int(*behind) parameters;                                               \
		int error = refusal(rule);                                                    \
                                                                                              \
		if (behind == NULL)                                                           \
			find(&behind, #name);                                                 \
		return error != 0 ? error : behind arguments;                                 \
	}

/*
 * <sys/socket.h> stays out: with _GNU_SOURCE it declares addresses as a union that no other
 * libc knows. socklen_t is an unsigned int everywhere.
 */
int accept(int, void *, unsigned *);
int accept4(int, void *, unsigned *, int);
int bind(int, const void *, unsigned);
int connect(int, const void *, unsigned);
int listen(int, int);
int socket(int, int, int);
int socketpair(int, int, int, int *);
ssize_t send(int, const void *, size_t, int);
ssize_t sendmsg(int, const void *, int);
ssize_t recvmsg(int, void *, int);

REFUSABLE(
    int, accept, (int fd, void *peer, unsigned *length), (fd, peer, length), "accept", true)
REFUSABLE(int, accept4, (int fd, void *peer, unsigned *length, int flags),
    (fd, peer, length, flags), "accept4", true)
REFUSABLE(int, bind, (int fd, const void *address, unsigned length), (fd, address, length),
    "bind", true)
REFUSABLE(int, connect, (int fd, const void *address, unsigned length), (fd, address, length),
    "connect", true)
REFUSABLE(int, listen, (int fd, int backlog), (fd, backlog), "listen", true)
REFUSABLE(int, socket, (int domain, int type, int protocol), (domain, type, protocol),
    "socket", true)
REFUSABLE(int, socketpair, (int domain, int type, int protocol, int *fds),
    (domain, type, protocol, fds), "socketpair", true)
REFUSABLE(ssize_t, send, (int fd, const void *data, size_t size, int flags),
    (fd, data, size, flags), "send", true)
REFUSABLE(ssize_t, sendmsg, (int fd, const void *message, int flags), (fd, message, flags),
    "sendmsg", true)
REFUSABLE(ssize_t, recvmsg, (int fd, void *message, int flags), (fd, message, flags),
    "recvmsg", true)

REFUSABLE(int, pipe, (int fds[2]), (fds), "pipe2", true)
REFUSABLE(int, pipe2, (int fds[2], int flags), (fds, flags), "pipe2", true)
REFUSABLE(int, eventfd, (unsigned value, int flags), (value, flags), "eventfd", true)
REFUSABLE(int, epoll_create1, (int flags), (flags), "epoll_create1", true)
REFUSABLE(int, epoll_ctl, (int epoll, int what, int fd, struct epoll_event *event),
    (epoll, what, fd, event), "epoll_ctl", true)
REFUSABLE(ssize_t, write, (int fd, const void *data, size_t size), (fd, data, size), "write",
    fd > STDERR_FILENO)
REFUSABLE(ssize_t, writev, (int fd, const struct iovec *parts, int count), (fd, parts, count),
    "writev", fd > STDERR_FILENO)

#define IS_BOARD(flags) (((flags)&MAP_SHARED) != 0 && ((flags)&MAP_ANONYMOUS) != 0)

REFUSABLE(void *, mmap,
    (void *at, size_t size, int protection, int flags, int fd, off_t offset),
    (at, size, protection, flags, fd, offset), "mmap", IS_BOARD(flags))
#ifdef __GLIBC__
REFUSABLE(void *, mmap64,
    (void *at, size_t size, int protection, int flags, int fd, off64_t offset),
    (at, size, protection, flags, fd, offset), "mmap", IS_BOARD(flags))
#endif

REFUSABLE(pid_t, fork, (void), (), "fork", true)
REFUSABLE(int, execve, (const char *path, char *const argv[], char *const env[]),
    (path, argv, env), "exec", true)
REFUSABLE(int, execv, (const char *path, char *const argv[]), (path, argv), "exec", true)
REFUSABLE(int, execvp, (const char *path, char *const argv[]), (path, argv), "exec", true)
REFUSABLE(int, fexecve, (int fd, char *const argv[], char *const env[]), (fd, argv, env), "fexecve",
    true)

REFUSABLE_BY_VALUE(posix_spawn,
    (pid_t * pid, const char *path, const posix_spawn_file_actions_t *actions,
	const posix_spawnattr_t *attributes, char *const argv[], char *const env[]),
    (pid, path, actions, attributes, argv, env), "posix_spawn")
REFUSABLE_BY_VALUE(posix_spawnp,
    (pid_t * pid, const char *path, const posix_spawn_file_actions_t *actions,
	const posix_spawnattr_t *attributes, char *const argv[], char *const env[]),
    (pid, path, actions, attributes, argv, env), "posix_spawn")
REFUSABLE_BY_VALUE(pthread_create,
    (pthread_t * thread, const pthread_attr_t *attributes, void *(*start)(void *),
	void *argument),
    (thread, attributes, start, argument), "pthread_create")

REFUSABLE(int, setuid, (uid_t id), (id), "setuid", true)
REFUSABLE(int, setreuid, (uid_t real, uid_t effective), (real, effective), "setuid", true)
REFUSABLE(int, setresuid, (uid_t real, uid_t effective, uid_t saved), (real, effective, saved),
    "setuid", true)
REFUSABLE(int, setgid, (gid_t id), (id), "setgid", true)
REFUSABLE(int, setregid, (gid_t real, gid_t effective), (real, effective), "setgid", true)
REFUSABLE(int, setresgid, (gid_t real, gid_t effective, gid_t saved), (real, effective, saved),
    "setgid", true)
REFUSABLE(
    int, setgroups, (size_t count, const gid_t *groups), (count, groups), "setgroups", true)
REFUSABLE(int, initgroups, (const char *user, gid_t group), (user, group), "setgroups", true)
REFUSABLE(int, chroot, (const char *path), (path), "chroot", true)

REFUSABLE(int, unlink, (const char *path), (path), "unlink", true)
REFUSABLE(int, unlinkat, (int directory, const char *path, int flags), (directory, path, flags),
    "unlink", true)
REFUSABLE(int, rename, (const char *from, const char *to), (from, to), "rename", true)
REFUSABLE(int, flock, (int fd, int what), (fd, what), "flock", true)

/* The mode is there only when a file may be made. */
static mode_t
mode_of(int flags, va_list args)
{
	return (flags & O_CREAT) != 0 || (flags & O_TMPFILE) == O_TMPFILE
		   ? va_arg(args, mode_t)
		   : 0;
}

#define REFUSABLE_OPEN(name, parameters, arguments, last)                                     \
	int name parameters                                                                   \
	{                                                                                     \
		static int(*behind) parameters;                                               \
		va_list args;                                                                 \
		mode_t mode;                                                                  \
                                                                                              \
		va_start(args, last);                                                         \
		mode = mode_of(last, args);                                                   \
		va_end(args);                                                                 \
		if (behind == NULL)                                                           \
			find(&behind, #name);                                                 \
		return refused("open") ? -1 : behind arguments;                               \
	}

REFUSABLE_OPEN(open, (const char *path, int flags, ...), (path, flags, mode), flags)
REFUSABLE_OPEN(
    openat, (int dir, const char *path, int flags, ...), (dir, path, flags, mode), flags)
#ifdef __GLIBC__
REFUSABLE_OPEN(open64, (const char *path, int flags, ...), (path, flags, mode), flags)
REFUSABLE_OPEN(
    openat64, (int dir, const char *path, int flags, ...), (dir, path, flags, mode), flags)
#endif
