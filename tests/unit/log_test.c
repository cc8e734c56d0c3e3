/* The log's lines and where they go: src/log/log.c and src/log/line.c. */
#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>
#include <cmocka.h>

#include "log/line.h"
#include "log/log.h"
#include "log/sink.h"

#define LINE_HEAD (LINE_TIME + 1)

#include "directory_fixture.h"

struct fixture {
	struct logger log;
	char directory[DIRECTORY_MAX];
	char path[96];
	char text[1 << 16];
};

/* Stands in for libc's: the tests that set it read the clock's mind, the others get the time. */
static time_t pretended_time = -1;

time_t
time(time_t *into)
{
	struct timespec ts;

	clock_gettime(CLOCK_REALTIME, &ts);
	if (pretended_time != -1)
		ts.tv_sec = pretended_time;
	if (into != NULL)
		*into = ts.tv_sec;
	return ts.tv_sec;
}

static int
set_up(void **state)
{
	struct fixture *f = calloc(1, sizeof(*f));

	if (f == NULL)
		return -1;
	if (directory_make(f->directory, "log_test") < 0)
		return -1;
	snprintf(f->path, sizeof(f->path), "%s/log", f->directory);
	logger_init(&f->log);
	*state = f;
	return logger_open_file(&f->log, f->path, NULL);
}

static int
tear_down(void **state)
{
	struct fixture *f = *state;
	char old[128];

	logger_done(&f->log);
	snprintf(old, sizeof(old), "%s.1", f->path);
	unlink(old);
	unlink(f->path);
	rmdir(f->directory);
	free(f);
	return 0;
}

static const char *
contents_of(struct fixture *f, const char *path)
{
	return file_contents(path, f->text, sizeof(f->text));
}

static const char *
contents(struct fixture *f)
{
	return contents_of(f, f->path);
}

/* The text of the only line: between the time and the pid, both of which are checked. */
static const char *
only_text(struct fixture *f)
{
	static const char pattern[] = "dddd/dd/dd-dd:dd:dd ";
	char tail[32];
	size_t i, length, tail_length;

	contents(f);
	length = strlen(f->text);
	tail_length = (size_t)snprintf(tail, sizeof(tail), " [%d]\n", (int)getpid());
	assert_true(length >= LINE_HEAD + tail_length);
	for (i = 0; pattern[i] != '\0'; i++)
		if (pattern[i] == 'd')
			assert_in_range(f->text[i], '0', '9');
		else
			assert_int_equal(f->text[i], pattern[i]);
	assert_string_equal(f->text + length - tail_length, tail);
	assert_ptr_equal(strchr(f->text, '\n'), f->text + length - 1);
	f->text[length - tail_length] = '\0';
	return f->text + LINE_HEAD;
}

static size_t
count_lines(const char *text)
{
	size_t n = 0;

	for (; *text != '\0'; text++)
		n += *text == '\n';
	return n;
}

/* NS-LOG-09 */
static void
time_comes_first_and_pid_last(void **state)
{
	struct fixture *f = *state;
	time_t before = time(NULL), after;
	char low[32], high[32];
	struct tm tm;

	logger_write(&f->log, TEND_LOG_NOTICE, "Binding to port %d", 80);
	after = time(NULL);
	assert_string_equal(only_text(f), "Binding to port 80");
	strftime(low, sizeof(low), "%Y/%m/%d-%H:%M:%S", localtime_r(&before, &tm));
	strftime(high, sizeof(high), "%Y/%m/%d-%H:%M:%S", localtime_r(&after, &tm));
	assert_true(strncmp(f->text, low, 19) >= 0);
	assert_true(strncmp(f->text, high, 19) <= 0);
}

/* NS-LOG-09: every second anew, in the zone of TZ, leap days and all. */
static void
time_is_local_and_follows_the_clock(void **state)
{
	static const struct {
		const char *zone;
		time_t time;
		const char *text;
	} rows[] = {
		{ "UTC", 0, "1970/01/01-00:00:00 " },
		{ "UTC", 1, "1970/01/01-00:00:01 " },
		{ "UTC", 951782399, "2000/02/28-23:59:59 " },
		{ "UTC", 951782400, "2000/02/29-00:00:00 " },
		{ "UTC", 4102444800, "2100/01/01-00:00:00 " },
		{ "XST-5:30", 4102444801, "2100/01/01-05:30:01 " },
	};
	struct fixture *f = *state;
	struct logger zoned;
	size_t i;

	for (i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		setenv("TZ", rows[i].zone, 1);
		logger_init(&zoned);
		pretended_time = rows[i].time;
		assert_int_equal(truncate(f->path, 0), 0);
		logger_write(&f->log, TEND_LOG_ERROR, "x");
		only_text(f);
		assert_memory_equal(f->text, rows[i].text, LINE_HEAD);
	}
	pretended_time = -1;
	unsetenv("TZ");
	tzset();
}

/* NS-LOG-07 */
static void
disturbing_bytes_are_escaped(void **state)
{
	static const struct {
		const char *from, *to;
	} rows[] = {
		{ "plain ~!", "plain ~!" },
		{ "one\n", "one" },
		{ "two\n\n", "two%0A" },
		{ "a\nb", "a%0Ab" },
		{ "a\r\n", "a%0D" },
		{ "\x1b[31m\x07", "%1B[31m%07" },
		{ "tab\there", "tab%09here" },
		{ "gr\xc3\xbc\xc3\x9f", "gr%C3%BC%C3%9F" },
		{ "\x7f", "%7F" },
		{ "100%", "100%" },
		{ "", "" },
		{ "\n", "" },
	};
	struct fixture *f = *state;
	size_t i;

	for (i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		assert_int_equal(truncate(f->path, 0), 0);
		logger_write(&f->log, TEND_LOG_ERROR, "%s", rows[i].from);
		assert_string_equal(only_text(f), rows[i].to);
	}
}

/* NS-LOG-04: what a peer sends is data. */
static void
percent_signs_of_data_are_not_a_format(void **state)
{
	struct fixture *f = *state;

	logger_write(&f->log, TEND_LOG_ERROR, "%s", "%s%n%d %%");
	assert_string_equal(only_text(f), "%s%n%d %%");
}

/* NS-LOG-08: cut at the end, never in the middle of %XX, in one line of at most LINE_SIZE. */
static void
long_line_is_cut_with_dots(void **state)
{
	static const char fills[] = { 'x', '\x01', '\n' };
	struct fixture *f = *state;
	char *text = malloc(20001);
	size_t i, length;

	assert_non_null(text);
	for (i = 0; i < sizeof(fills); i++) {
		const char *end;

		memset(text, fills[i], 20000);
		text[20000] = '\0';
		assert_int_equal(truncate(f->path, 0), 0);
		logger_write(&f->log, TEND_LOG_ERROR, "%s", text);
		length = strlen(contents(f));
		assert_in_range(length, LINE_SIZE - 16, LINE_SIZE);
		assert_int_equal(count_lines(f->text), 1);
		end = strstr(f->text, "... [");
		assert_non_null(end);
		if (fills[i] != 'x')
			assert_int_equal(end[-3], '%');
	}
	free(text);
}

/* The longest text that fits is whole, one byte more is not. */
static void
line_that_just_fits_is_whole(void **state)
{
	static const struct {
		const char *from, *to;
	} rows[] = {
		{ "123456789012345", "123456789012345" },
		{ "1234567890123456", "123456789012..." },
		{ "12345678901234\n", "12345678901234" },
		{ "123456789\x01\x02", "123456789%01%02" },
		{ "1234567890\x01\x02", "1234567890..." },
		{ "\x01\x02\x03\x04\x05", "%01%02%03%04%05" },
		{ "\x01\x02\x03\x04\x05\x06", "%01%02%03%04..." },
	};
	char text[16];
	size_t i;

	(void)state;
	for (i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		assert_int_equal(
		    line_text(text, sizeof(text), false, "%s", rows[i].from), strlen(rows[i].to));
		assert_string_equal(text, rows[i].to);
	}
}

/* NS-LOG-01, NS-LOG-02 */
static void
only_levels_within_the_threshold_are_written(void **state)
{
	struct fixture *f = *state;
	int threshold, level;

	for (threshold = 0; threshold <= TEND_LOG_DEBUG; threshold++) {
		f->log.level = threshold;
		for (level = TEND_LOG_ERROR; level <= TEND_LOG_DEBUG + 1; level++) {
			bool wanted = threshold > 0 && level <= threshold;

			assert_int_equal(truncate(f->path, 0), 0);
			logger_write(&f->log, (enum tend_log_level)level, "x");
			assert_int_equal(strlen(contents(f)) > 0, wanted);
			assert_int_equal(
			    logger_wants(&f->log, (enum tend_log_level)level), wanted);
		}
	}
}

/* NS-LOG-01, NS-LOG-03: before any option is known, lines go to standard error at level 2. */
static void
first_logger_writes_to_standard_error(void **state)
{
	struct logger log;

	(void)state;
	logger_init(&log);
	assert_int_equal(log.fd, STDERR_FILENO);
	assert_int_equal(log.level, TEND_LOG_NOTICE);
	assert_null(log.path);
	logger_done(&log);
	assert_true(fcntl(STDERR_FILENO, F_GETFD) >= 0);
}

struct heard {
	int level;
	char line[64];
};

static void
hear(void *data, enum tend_log_level level, const char *line)
{
	struct heard *heard = data;

	heard->level = (int)level;
	snprintf(heard->line, sizeof(heard->line), "%s", line);
}

/* NS-LOG-06 */
static void
hook_replaces_the_file(void **state)
{
	struct fixture *f = *state;
	struct heard heard = { .level = -1 };

	logger_use_hook(&f->log, hear, &heard);
	logger_write(&f->log, TEND_LOG_DEBUG, "too much");
	assert_int_equal(heard.level, -1);
	logger_write(&f->log, TEND_LOG_WARNING, "a\nb\n");
	assert_int_equal(heard.level, TEND_LOG_WARNING);
	assert_string_equal(heard.line, "a%0Ab");
	assert_string_equal(contents(f), "");
	/* NS-LOG-33: and it stays in its place. */
	assert_int_equal(logger_open(&f->log, &(struct log_options){ .file = "/no/such/file" }, NULL), 0);
	logger_write(&f->log, TEND_LOG_ERROR, "again");
	assert_string_equal(heard.line, "again");
}

static void
errno_is_left_alone(void **state)
{
	struct fixture *f = *state;
	int file = f->log.fd;

	f->log.fd = dup(f->log.fd);
	errno = ENOENT;
	logger_write(&f->log, TEND_LOG_ERROR, "good");
	assert_int_equal(errno, ENOENT);
	close(f->log.fd);
	logger_write(&f->log, TEND_LOG_ERROR, "bad descriptor");
	assert_int_equal(errno, ENOENT);
	assert_int_equal(logger_shared(&f->log)->lost_code, -EBADF);
	f->log.fd = file;
}

/* NS-LOG-10 */
static void
file_is_appended_and_closes_on_exec(void **state)
{
	struct fixture *f = *state;
	struct logger second;

	logger_init(&second);
	logger_write(&f->log, TEND_LOG_ERROR, "one");
	assert_int_equal(logger_open_file(&second, f->path, NULL), 0);
	logger_write(&second, TEND_LOG_ERROR, "two");
	logger_write(&f->log, TEND_LOG_ERROR, "three");
	assert_int_equal(count_lines(contents(f)), 3);
	assert_true(strstr(f->text, "two") < strstr(f->text, "three"));
	assert_true(fcntl(second.fd, F_GETFD) & FD_CLOEXEC);
	logger_done(&second);
	logger_done(&second);
}

/* NS-LOG-10, NS-FIX-14: any path; and what cannot be opened is said by name. */
static void
file_that_cannot_be_opened_changes_nothing(void **state)
{
	static const struct {
		const char *below, *says;
	} rows[] = {
		{ "/no/such", "its directory does not exist" },
		{ "", "is a directory" },
		{ "/log/file", "not a directory" },
	};
	struct fixture *f = *state;
	struct error e;
	char path[128];
	size_t i;

	for (i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		snprintf(path, sizeof(path), "%s%s", f->directory, rows[i].below);
		error_clear(&e);
		assert_true(logger_open_file(&f->log, path, &e) < 0);
		assert_int_equal(e.status, EX_CANTCREAT);
		assert_non_null(strstr(e.text, path));
		assert_non_null(strstr(e.text, rows[i].says));
		assert_string_equal(f->log.path, f->path);
	}
	logger_write(&f->log, TEND_LOG_ERROR, "still here");
	assert_string_equal(only_text(f), "still here");
	snprintf(path, sizeof(path), "%s/odd name;%%s\xc3\xa9", f->directory);
	assert_int_equal(logger_open_file(&f->log, path, &e), 0);
	unlink(path);
}

/* NS-SIG: USR1 after a rotation. The number stays, for threads that are writing. */
static void
reopening_follows_a_rotation(void **state)
{
	struct fixture *f = *state;
	char old[128];
	int fd = f->log.fd;

	snprintf(old, sizeof(old), "%s.1", f->path);
	logger_write(&f->log, TEND_LOG_ERROR, "before");
	assert_int_equal(rename(f->path, old), 0);
	logger_write(&f->log, TEND_LOG_ERROR, "between");
	assert_int_equal(logger_reopen(&f->log, NULL), 0);
	logger_write(&f->log, TEND_LOG_ERROR, "after");
	assert_int_equal(f->log.fd, fd);
	assert_true(fcntl(fd, F_GETFD) & FD_CLOEXEC);
	assert_string_equal(only_text(f), "after");
	assert_int_equal(count_lines(contents_of(f, old)), 2);
}

static void
failed_reopening_keeps_the_old_file(void **state)
{
	struct fixture *f = *state;
	struct error e;
	char old[128];

	snprintf(old, sizeof(old), "%s.1", f->path);
	assert_int_equal(rename(f->path, old), 0);
	assert_int_equal(mkdir(f->path, 0700), 0);
	assert_int_equal(logger_reopen(&f->log, &e), -EISDIR);
	assert_non_null(strstr(e.text, f->path));
	logger_write(&f->log, TEND_LOG_ERROR, "kept");
	assert_int_equal(count_lines(contents_of(f, old)), 1);
	assert_int_equal(rmdir(f->path), 0);
}

static void
relative_path_survives_a_change_of_directory(void **state)
{
	struct fixture *f = *state;
	char cwd[4096];

	assert_non_null(getcwd(cwd, sizeof(cwd)));
	assert_int_equal(chdir(f->directory), 0);
	assert_int_equal(logger_open_file(&f->log, "log", NULL), 0);
	assert_int_equal(chdir("/"), 0);
	assert_int_equal(logger_reopen(&f->log, NULL), 0);
	assert_string_equal(f->log.path, f->path);
	assert_int_equal(chdir(cwd), 0);
}

/* NS-DMN-01 */
static void
silenced_logger_writes_nowhere(void **state)
{
	struct fixture *f = *state;
	int fd = f->log.fd;

	logger_silence(&f->log);
	assert_int_equal(fcntl(fd, F_GETFD), -1);
	logger_write(&f->log, TEND_LOG_ERROR, "unheard");
	assert_int_equal(logger_shared(&f->log)->lost, 0);
	assert_string_equal(contents(f), "");
	assert_int_equal(logger_reopen(&f->log, NULL), 0);
}

/* NS-LOG-46: a full disk costs lines, is counted, and is told once there is room. */
static void
lost_lines_are_counted_and_told(void **state)
{
	struct fixture *f = *state;
	int full = open("/dev/full", O_WRONLY | O_CLOEXEC), file = f->log.fd;

	if (full < 0)
		skip();
	f->log.fd = full;
	logger_write(&f->log, TEND_LOG_ERROR, "one");
	logger_write(&f->log, TEND_LOG_ERROR, "two");
	logger_write(&f->log, TEND_LOG_ERROR, "three");
	assert_int_equal(logger_shared(&f->log)->lost, 3);
	f->log.fd = file;
	logger_write(&f->log, TEND_LOG_ERROR, "four");
	logger_write(&f->log, TEND_LOG_ERROR, "five");
	assert_int_equal(logger_shared(&f->log)->lost, 0);
	assert_int_equal(count_lines(contents(f)), 3);
	assert_non_null(strstr(f->text, " log: 3 lines were lost since 2"));
	assert_non_null(
	    strstr(f->text, ": no space left on device ["));
	assert_true(strstr(f->text, "lost") < strstr(f->text, "four"));
	close(full);
}

static void
pipe_of(struct logger *log, int ends[2])
{
	struct stat st;

	assert_int_equal(pipe2(ends, O_CLOEXEC), 0);
	assert_int_equal(fstat(ends[1], &st), 0);
	log->fd = ends[1];
	log->may_block = true;
}

static void
reader_that_left_costs_only_lines(void **state)
{
	struct logger log;
	int ends[2];

	(void)state;
	logger_init(&log);
	pipe_of(&log, ends);
	close(ends[0]);
	logger_write(&log, TEND_LOG_ERROR, "to nobody");
	assert_int_equal(logger_shared(&log)->lost, 1);
	assert_int_equal(logger_shared(&log)->lost_code, -EPIPE);
	close(ends[1]);
}

/* A blocking pipe whose reader has stopped: this test would hang. */
static void
reader_that_stopped_does_not_stop_the_server(void **state)
{
	struct logger log;
	char text[8000], *all = calloc(1, 1 << 20), *notice;
	int ends[2], i;
	ssize_t n;

	(void)state;
	assert_non_null(all);
	memset(text, 'x', sizeof(text) - 1);
	text[sizeof(text) - 1] = '\0';
	logger_init(&log);
	pipe_of(&log, ends);
	/* This one shifts the others, so that the last that begins has no room to end. */
	logger_write(&log, TEND_LOG_ERROR, "short");
	for (i = 0; i < 200; i++)
		logger_write(&log, TEND_LOG_ERROR, "%s", text);
	assert_in_range(logger_shared(&log)->lost, 1, 199);
	assert_int_equal(logger_shared(&log)->lost_code, -EAGAIN);
	if (sysconf(_SC_PAGESIZE) == 4096)
		assert_true(logger_shared(&log)->torn);
	n = read(ends[0], all, 1 << 20);
	assert_true(n > 0);
	assert_int_equal(all[n - 1] == 'x', logger_shared(&log)->torn);
	/* The torn line gets an end, and the notice a line of its own. */
	logger_write(&log, TEND_LOG_ERROR, "the end");
	assert_int_equal(logger_shared(&log)->lost, 0);
	assert_false(logger_shared(&log)->torn);
	n += read(ends[0], all + n, (1 << 20) - (size_t)n - 1);
	all[n] = '\0';
	assert_non_null(strstr(all, "the end"));
	notice = strstr(all, " log: ");
	assert_non_null(notice);
	assert_non_null(strstr(notice, ": resource temporarily unavailable ["));
	assert_int_equal(notice[-LINE_HEAD], '\n');
	close(ends[0]);
	close(ends[1]);
	free(all);
}

static void *
write_many(void *data)
{
	int i;

	for (i = 0; i < 200; i++)
		logger_write(data, TEND_LOG_ERROR, "%s", "0123456789abcdefghij");
	return NULL;
}

/* NS-LOG-08 */
static void
lines_of_threads_and_processes_stay_whole(void **state)
{
	struct fixture *f = *state;
	pthread_t threads[3];
	const char *line;
	int i, status;
	pid_t child;

	child = fork();
	if (child == 0) {
		write_many(&f->log);
		_exit(0);
	}
	for (i = 0; i < 3; i++)
		assert_int_equal(pthread_create(&threads[i], NULL, write_many, &f->log), 0);
	for (i = 0; i < 3; i++)
		pthread_join(threads[i], NULL);
	assert_int_equal(waitpid(child, &status, 0), child);
	assert_int_equal(status, 0);
	assert_int_equal(count_lines(contents(f)), 800);
	for (line = f->text; *line != '\0'; line = strchr(line, '\n') + 1)
		assert_memory_equal(line + LINE_HEAD, "0123456789abcdefghij [", 22);
}

static void
child_writes_its_own_pid(void **state)
{
	struct fixture *f = *state;
	char tail[32];
	int status;
	pid_t child = fork();

	if (child == 0) {
		logger_write(&f->log, TEND_LOG_ERROR, "child");
		_exit(0);
	}
	assert_int_equal(waitpid(child, &status, 0), child);
	snprintf(tail, sizeof(tail), "child [%d]\n", (int)child);
	assert_non_null(strstr(contents(f), tail));
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
#define WITH_FILE(test) cmocka_unit_test_setup_teardown(test, set_up, tear_down)
		WITH_FILE(time_comes_first_and_pid_last),
		WITH_FILE(time_is_local_and_follows_the_clock),
		WITH_FILE(disturbing_bytes_are_escaped),
		WITH_FILE(percent_signs_of_data_are_not_a_format),
		WITH_FILE(long_line_is_cut_with_dots),
		cmocka_unit_test(line_that_just_fits_is_whole),
		WITH_FILE(only_levels_within_the_threshold_are_written),
		cmocka_unit_test(first_logger_writes_to_standard_error),
		WITH_FILE(hook_replaces_the_file),
		WITH_FILE(errno_is_left_alone),
		WITH_FILE(file_is_appended_and_closes_on_exec),
		WITH_FILE(file_that_cannot_be_opened_changes_nothing),
		WITH_FILE(reopening_follows_a_rotation),
		WITH_FILE(failed_reopening_keeps_the_old_file),
		WITH_FILE(relative_path_survives_a_change_of_directory),
		WITH_FILE(silenced_logger_writes_nowhere),
		WITH_FILE(lost_lines_are_counted_and_told),
		cmocka_unit_test(reader_that_left_costs_only_lines),
		cmocka_unit_test(reader_that_stopped_does_not_stop_the_server),
		WITH_FILE(lines_of_threads_and_processes_stay_whole),
		WITH_FILE(child_writes_its_own_pid),
	};

	signal(SIGPIPE, SIG_IGN);
	return cmocka_run_group_tests(tests, NULL, NULL);
}
