/* Lines for the journal: src/log/journal.c, read by a socket that stands in for it. */
#include <errno.h>
#include <fcntl.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>
#include <cmocka.h>

#include "config.h"
#include "log/collector.h"
#include "log/journal.h"
#include "log/log.h"
#include "log/sink.h"
#include "net/addr.h"

struct fixture {
	struct logger log;
	struct log_options options;
	char directory[64], path[96];
	int journal;
	char entry[9000];
	int file; /* that came with the entry; -1 */
};

static int
set_up(void **state)
{
	struct fixture *f = calloc(1, sizeof(*f));
	struct addr a;

	if (f == NULL)
		return -1;
	snprintf(f->directory, sizeof(f->directory), "/tmp/journal_test.XXXXXX");
	if (mkdtemp(f->directory) == NULL)
		return -1;
	snprintf(f->path, sizeof(f->path), "%s/socket", f->directory);
	addr_set_path(&a, f->path);
	f->journal = socket(AF_UNIX, SOCK_DGRAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
	if (bind(f->journal, &a.u.any, a.length) < 0)
		return -1;
	f->options = (struct log_options){ .file = "journal", .identifier = "echo",
		.journal = f->path, .format = "json" };
	logger_init(&f->log);
	f->log.level = TEND_LOG_DEBUG;
	f->file = -1;
	*state = f;
	return logger_open(&f->log, &f->options, NULL);
}

static int
tear_down(void **state)
{
	struct fixture *f = *state;

	logger_done(&f->log);
	close(f->journal);
	unlink(f->path);
	rmdir(f->directory);
	free(f);
	return 0;
}

static const char *
next(struct fixture *f)
{
	union {
		struct cmsghdr align;
		char bytes[CMSG_SPACE(sizeof(int))];
	} control;
	struct iovec iov = { f->entry, sizeof(f->entry) - 1 };
	struct msghdr m = { .msg_iov = &iov, .msg_iovlen = 1, .msg_control = control.bytes,
		.msg_controllen = sizeof(control.bytes) };
	ssize_t n = recvmsg(f->journal, &m, MSG_CMSG_CLOEXEC);

	f->entry[n < 0 ? 0 : n] = '\0';
	if (n >= 0 && CMSG_FIRSTHDR(&m) != NULL)
		memcpy(&f->file, CMSG_DATA(CMSG_FIRSTHDR(&m)), sizeof(int));
	return f->entry;
}

static const char *
who(void *data)
{
	return data;
}

static void
fields_are_fields(void **state)
{
	struct fixture *f = *state;
	char wanted[300];

	f->log.client = who;
	logger_write(&f->log, TEND_LOG_WARNING, "a\nPRIORITY=0 \"b\"");
	snprintf(wanted, sizeof(wanted),
	    "PRIORITY=4\nSYSLOG_FACILITY=3\nSYSLOG_PID=%d\nSYSLOG_IDENTIFIER=echo\n"
	    "MESSAGE=a%%0APRIORITY=0 \"b\"\n", (int)getpid());
	assert_string_equal(next(f), wanted);
	f->log.hook_data = (void *)(uintptr_t)"unix:/x\nMESSAGE=y";
	logger_write(&f->log, TEND_LOG_DEBUG, "b");
	assert_non_null(strstr(next(f), "PRIORITY=7\n"));
	assert_non_null(strstr(f->entry, "\nTEND_CLIENT=unix:/x%0AMESSAGE=y\nMESSAGE=b\n"));
}

/* What holds newlines has its length in front, eight bytes, the lowest first. */
static void
values_of_several_lines_are_framed(void **state)
{
	char at[100];

	(void)state;
	assert_int_equal(journal_field(at, sizeof(at), "A", "one"), 6);
	assert_memory_equal(at, "A=one\n", 6);
	assert_int_equal(journal_field(at, sizeof(at), "A", "o\ne"), 14);
	assert_memory_equal(at, "A\n\3\0\0\0\0\0\0\0o\ne\n", 14);
	assert_int_equal(journal_field(at, 5, "A", "one"), 5);
	assert_memory_equal(at, "A=on\n", 5);
	assert_int_equal(journal_field(at, 12, "A", "o\ne"), 12);
	assert_memory_equal(at, "A\n\1\0\0\0\0\0\0\0o\n", 12);
	assert_int_equal(journal_field(at, 2, "A", "one"), 0);
}

/* A socket that takes less than a line: the line goes as a file that nobody can change. */
static void
long_entry_is_a_sealed_file(void **state)
{
#if HAVE_MEMFD_CREATE
	struct fixture *f = *state;
	struct collector *c = f->log.state; /* its first member */
	char text[6001], whole[9000] = "";
	int small = 1;

	memset(text, 'x', sizeof(text) - 1);
	text[sizeof(text) - 1] = '\0';
	assert_int_equal(setsockopt(c->fd, SOL_SOCKET, SO_SNDBUF, &small, sizeof(small)), 0);
	logger_write(&f->log, TEND_LOG_ERROR, "%s", text);
	assert_string_equal(next(f), "");
	assert_true(f->file >= 0);
	assert_true(pread(f->file, whole, sizeof(whole) - 1, 0) > 6000);
	assert_non_null(strstr(whole, "\nMESSAGE=xxxx"));
	assert_int_equal(whole[strlen(whole) - 1], '\n');
	assert_int_equal(fcntl(f->file, F_GET_SEALS),
	    F_SEAL_SEAL | F_SEAL_SHRINK | F_SEAL_GROW | F_SEAL_WRITE);
	close(f->file);
	assert_int_equal(logger_shared(&f->log)->lost, 0);
#else
	(void)state;
	skip();
#endif
}

static void
journal_is_known_by_its_stream(void **state)
{
	struct fixture *f = *state;
	char text[64];
	struct stat st;

	assert_int_equal(fstat(STDERR_FILENO, &st), 0);
	unsetenv("JOURNAL_STREAM");
	assert_false(journal_is_stderr(f->path));
	snprintf(text, sizeof(text), "%llu:%llu", (unsigned long long)st.st_dev,
	    (unsigned long long)st.st_ino);
	setenv("JOURNAL_STREAM", text, 1);
	assert_true(journal_is_stderr(f->path));
	assert_false(journal_is_stderr("/no/such/socket"));
	setenv("JOURNAL_STREAM", "8:1", 1);
	assert_false(journal_is_stderr(f->path));
	setenv("JOURNAL_STREAM", "x", 1);
	assert_false(journal_is_stderr(f->path));
	unsetenv("JOURNAL_STREAM");
}

/* Without a log_file, and standard error leads to the journal: it gets fields. */
static void
journal_is_chosen_when_standard_error_leads_there(void **state)
{
	struct fixture *f = *state;
	struct logger log;
	char text[64];
	struct stat st;

	assert_int_equal(fstat(STDERR_FILENO, &st), 0);
	snprintf(text, sizeof(text), "%llu:%llu", (unsigned long long)st.st_dev,
	    (unsigned long long)st.st_ino);
	setenv("JOURNAL_STREAM", text, 1);
	logger_init(&log);
	f->options.file = NULL;
	assert_int_equal(logger_open(&log, &f->options, NULL), 0);
	logger_write(&log, TEND_LOG_ERROR, "x");
	assert_non_null(strstr(next(f), "MESSAGE=x\n"));
	logger_done(&log);
	unsetenv("JOURNAL_STREAM");
}

int
main(void)
{
#define WITH(test) cmocka_unit_test_setup_teardown(test, set_up, tear_down)
	const struct CMUnitTest tests[] = {
		WITH(fields_are_fields),
		cmocka_unit_test(values_of_several_lines_are_framed),
		WITH(long_entry_is_a_sealed_file),
		WITH(journal_is_known_by_its_stream),
		WITH(journal_is_chosen_when_standard_error_leads_there),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
