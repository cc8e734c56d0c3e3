/* Lines for the journal: a datagram of fields a line, or a sealed file where that is too long. */
#include "log/journal.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <syslog.h>
#include <unistd.h>

#include "config.h"
#include "log/collector.h"
#include "log/line.h"
#include "log/sink.h"

#define NAME_MAX_BYTES 64
#define CLIENT_MAX 240

struct journal {
	struct collector collector;
	char             identifier[NAME_MAX_BYTES];
};

static const char *const names[] = { "journal", "journald", NULL };

bool
journal_is_stderr(const char *socket)
{
	const char *stream = getenv("JOURNAL_STREAM");
	unsigned long long device, inode;
	struct stat st;

	return stream != NULL && sscanf(stream, "%llu:%llu", &device, &inode) == 2 &&
	    fstat(STDERR_FILENO, &st) == 0 && st.st_dev == device && st.st_ino == inode &&
	    access(socket, W_OK) == 0;
}

size_t
journal_field(char *at, size_t size, const char *name, const char *value)
{
	size_t length = strlen(value), before = strlen(name) + 1, framed = before + 8, i;
	bool binary = strchr(value, '\n') != NULL;
	size_t start = binary ? framed : before;

	if (size < start + 1)
		return 0;
	if (length > size - start - 1)
		length = size - start - 1;
	memcpy(at, name, before - 1);
	at[before - 1] = binary ? '\n' : '=';
	for (i = 0; binary && i < 8; i++)
		at[before + i] = (char)((uint64_t)length >> (8 * i));
	memcpy(at + start, value, length);
	at[start + length] = '\n';
	return start + length + 1;
}

/* ---- the sink ---- */

static int
open_journal(struct logger *l, const struct log_options *o, struct error *e)
{
	struct journal *j = calloc(1, sizeof(*j));
	struct addr a;
	int r;

	if (j == NULL)
		return error_set(e, EX_OSERR, -ENOMEM, "out of memory");
	snprintf(j->identifier, sizeof(j->identifier), "%s",
	    o->identifier != NULL ? o->identifier : l->server);
	r = addr_set_path(&a, o->journal != NULL ? o->journal : JOURNAL_SOCKET);
	if (r == 0) {
		collector_add(&j->collector, &a, SOCK_DGRAM, END_NEWLINE);
		r = collector_open(&j->collector, logger_shared(l));
	}
	if (r < 0) {
		free(j);
		return error_set(e, EX_OSERR, r, "cannot make a socket: %s", error_reason(r));
	}
	logger_silence(l);
	l->sink = &sink_journal;
	l->state = j;
	return 0;
}

static void
close_journal(struct logger *l)
{
	struct journal *j = l->state;

	collector_close(&j->collector);
	free(j);
}

static int
reopen_journal(struct logger *l, struct error *e)
{
	struct journal *j = l->state;

	(void)e;
	collector_refresh(&j->collector, logger_shared(l));
	return 0;
}

static void
before_fork(struct logger *l)
{
	struct journal *j = l->state;

	collector_follow(&j->collector, logger_shared(l));
}

static size_t
head(const struct logger *l, char *at, const struct format_facts *facts)
{
	const struct journal *j = l->state;
	char safe[CLIENT_MAX];
	size_t n = (size_t)sprintf(at, "PRIORITY=%u\nSYSLOG_FACILITY=%d\nSYSLOG_PID=%d\n",
	    3 + (unsigned)facts->level, LOG_DAEMON >> 3, (int)getpid());

	n += journal_field(at + n, NAME_MAX_BYTES + 40, "SYSLOG_IDENTIFIER", j->identifier);
	if (facts->client != NULL) {
		line_text(safe, sizeof(safe), false, "%s", facts->client);
		n += journal_field(at + n, CLIENT_MAX + 40, "TEND_CLIENT", safe);
	}
	return n + (size_t)sprintf(at + n, "MESSAGE=");
}

#if HAVE_MEMFD_CREATE
/* The journal takes a file in place of a long datagram, if nobody can change it any more. */
static int
send_file(int socket_fd, int fd)
{
	union {
		struct cmsghdr align;
		char bytes[CMSG_SPACE(sizeof(int))];
	} control = { .bytes = { 0 } };
	struct msghdr m = { .msg_control = control.bytes, .msg_controllen = sizeof(control.bytes) };
	struct cmsghdr *c = CMSG_FIRSTHDR(&m);

	c->cmsg_level = SOL_SOCKET;
	c->cmsg_type = SCM_RIGHTS;
	c->cmsg_len = CMSG_LEN(sizeof(int));
	memcpy(CMSG_DATA(c), &fd, sizeof(int));
	return sendmsg(socket_fd, &m, MSG_DONTWAIT | MSG_NOSIGNAL) < 0 ? -errno : 0;
}

static int
put_as_file(int socket_fd, const char *line, size_t length)
{
	int fd = memfd_create("tend-log", MFD_CLOEXEC | MFD_ALLOW_SEALING), r;
	size_t done;

	if (fd < 0)
		return -errno;
	r = sink_write(fd, false, line, length, 0, &done);
	if (r == 0 && fcntl(fd, F_ADD_SEALS, F_SEAL_SHRINK | F_SEAL_GROW | F_SEAL_WRITE | F_SEAL_SEAL) < 0)
		r = -errno;
	if (r == 0)
		r = send_file(socket_fd, fd);
	close(fd);
	return r;
}
#else
static int
put_as_file(int socket_fd, const char *line, size_t length)
{
	(void)socket_fd;
	(void)line;
	(void)length;
	return -EMSGSIZE;
}
#endif

static int
put(struct logger *l, enum tend_log_level level, char *line, size_t length, int patience_ms)
{
	struct journal *j = l->state;
	int r = collector_put(&j->collector, logger_shared(l), line, length, patience_ms);

	(void)level;
	return r == -EMSGSIZE ? put_as_file(j->collector.fd, line, length) : r;
}

const struct sink sink_journal = {
	.name = "journal",
	.names = names,
	.traits = SINK_BARE | SINK_ASKS,
	.open = open_journal,
	.close = close_journal,
	.reopen = reopen_journal,
	.before_fork = before_fork,
	.head = head,
	.put = put,
};
