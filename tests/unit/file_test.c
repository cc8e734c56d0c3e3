/* The conf file: its grammar, what it passes over, and what it refuses. */
#include <errno.h>
#include <fcntl.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cmocka.h>

#include "config/file.h"
#include "config/options.h"

static char directory[64];
static char path[96];

static int
make_directory(void **state)
{
	(void)state;
	snprintf(directory, sizeof(directory), "/tmp/tend-file-test-XXXXXX");
	if (mkdtemp(directory) == NULL)
		return -1;
	snprintf(path, sizeof(path), "%s/x.conf", directory);
	return 0;
}

static int
remove_directory(void **state)
{
	(void)state;
	unlink(path);
	return rmdir(directory);
}

static void
write_file(const char *name, const char *data, size_t size)
{
	FILE *f = fopen(name, "w");

	assert_non_null(f);
	assert_int_equal(fwrite(data, 1, size, f), size);
	assert_int_equal(fclose(f), 0);
}

static struct options *
new_options(void)
{
	struct options *o;

	assert_int_equal(options_new(&o, NULL, NULL), 0);
	return o;
}

/* Reads the text as a conf file. */
static int
read_text(struct options *o, const char *text, bool strict, struct error *e)
{
	write_file(path, text, strlen(text));
	return options_from_file(o, path, strict, e);
}

/* NS-CNF-01, -02, -03, -04, -07, -08, -09, -10 */
static void
lines_are_taken_apart(void **state)
{
	static const struct {
		const char         *line;
		enum conf_line_kind kind;
		const char         *key, *value;
	} samples[] = {
		{ "user bar", CONF_SETTING, "user", "bar" },
		{ "  user \t bar", CONF_SETTING, "user", "bar" },
		{ "user=bar", CONF_SETTING, "user", "bar" },
		{ "user = bar", CONF_SETTING, "user", "bar" },
		{ "user:bar", CONF_SETTING, "user", "bar" },
		{ "user\t:\tbar", CONF_SETTING, "user", "bar" },
		{ "--user bar", CONF_SETTING, "user", "bar" },
		{ " --user=bar", CONF_SETTING, "user", "bar" },
		{ "user bar # who", CONF_SETTING, "user", "bar" },
		{ "user bar#who", CONF_SETTING, "user", "bar" },
		{ "user bar \t\r", CONF_SETTING, "user", "bar" },
		{ "user bar   # comment\r", CONF_SETTING, "user", "bar" },
		{ "user a\\#b", CONF_SETTING, "user", "a#b" },
		{ "user a\\\\#b", CONF_SETTING, "user", "a\\#b" },
		{ "user a\\b", CONF_SETTING, "user", "a\\b" },
		{ "user \\#", CONF_SETTING, "user", "#" },
		{ "user a b=c; 'd' \"e\"", CONF_SETTING, "user", "a b=c; 'd' \"e\"" },
		{ "user == bar", CONF_SETTING, "user", "= bar" },
		{ "user : = bar", CONF_SETTING, "user", "= bar" },
		{ "port localhost:20204", CONF_SETTING, "port", "localhost:20204" },
		{ "user --group", CONF_SETTING, "user", "--group" },
		{ "user group", CONF_SETTING, "user", "group" },
		{ "background", CONF_SETTING, "background", "1" },
		{ "  --background  # now", CONF_SETTING, "background", "1" },
		{ "", CONF_NOTHING, NULL, NULL },
		{ " \t\r", CONF_NOTHING, NULL, NULL },
		{ "# user bar", CONF_NOTHING, NULL, NULL },
		{ "   #", CONF_NOTHING, NULL, NULL },
		{ "[section]", CONF_NOTHING, NULL, NULL },
		{ "; user bar", CONF_NOTHING, NULL, NULL },
		{ "user =", CONF_NO_VALUE, NULL, NULL },
		{ "user : # nobody", CONF_NO_VALUE, NULL, NULL },
		{ "log-level 3", CONF_STRANGE, NULL, NULL },
		{ "--", CONF_STRANGE, NULL, NULL },
		{ "= bar", CONF_STRANGE, NULL, NULL },
		{ "user;bar", CONF_STRANGE, NULL, NULL },
	};
	size_t i;

	(void)state;
	for (i = 0; i < sizeof(samples) / sizeof(samples[0]); i++) {
		struct conf_line line;
		char text[64];

		snprintf(text, sizeof(text), "%s", samples[i].line);
		assert_int_equal(conf_parse_line(text, &line), samples[i].kind);
		if (samples[i].kind != CONF_SETTING)
			continue;
		assert_string_equal(line.key, samples[i].key);
		assert_string_equal(line.value, samples[i].value);
	}
}

/* A file of the shape of the example in Net::Server's manual. NS-CNF-01, -02, -05 */
static void
a_whole_file_of_net_server_is_read(void **state)
{
	static const char text[] =
		"# whom to be\n"
		"user        daemon\n"
		"group       daemon   # only one\n"
		"\n"
		"### what to write, and where ###\n"
		"log_file    /var/log/chat.log\n"
		"log_level   3\n"
		"pid_file    /run/chat.pid\n"
		"\n"
		"# doors: patterns, then networks\n"
		"allow       .+\\.(example|test)\n"
		"allow       office\\.example\n"
		"deny        guest.+\n"
		"cidr_allow  192.0.2.0/24\n"
		"cidr_allow  198.51.100.0/25\n"
		"cidr_deny   192.0.2.66/32\n"
		"\n"
		"background  1\n"
		"\n"
		"host        127.0.0.1\n"
		"port        localhost:20204\n"
		"port        20205\n"
		"\n"
		"# reverse_lookups 1\n";
	struct options *o = new_options();
	struct settings s;

	(void)state;
	assert_int_equal(read_text(o, text, true, NULL), 0);
	assert_int_equal(options_resolve(o, &s, NULL), 0);
	assert_string_equal(s.value.user, "daemon");
	assert_string_equal(s.value.group, "daemon");
	assert_string_equal(s.value.log_file, "/var/log/chat.log");
	assert_int_equal(s.value.log_level, 3);
	assert_string_equal(s.value.pid_file, "/run/chat.pid");
	assert_true(s.value.background);
	assert_int_equal(s.allow.count, 2);
	assert_string_equal(s.allow.items[0], ".+\\.(example|test)");
	assert_string_equal(s.allow.items[1], "office\\.example");
	assert_int_equal(s.deny.count, 1);
	assert_int_equal(s.cidr_allow.count, 2);
	assert_string_equal(s.cidr_allow.items[1], "198.51.100.0/25");
	assert_int_equal(s.cidr_deny.count, 1);
	assert_int_equal(s.host.count, 1);
	assert_string_equal(s.host.items[0], "127.0.0.1");
	assert_int_equal(s.port.count, 2);
	assert_string_equal(s.port.items[0], "localhost:20204");
	assert_string_equal(s.port.items[1], "20205");
	options_free(o);
}

/* NS-CNF-05, -06, -07, -08, -09, -10, NS-TST-43 */
static void
awkward_files_give_the_values_meant(void **state)
{
	static const char text[] =
		"\xef\xbb\xbfuser bar   # comment\r\n"
		"port 1, 2\r\n"
		"port 3\r\n"
		"group a\r\n"
		"group b\r\n"
		"setsid\r\n"
		"foo user\r\n"            /* an unknown key whose value is an option's name */
		"pid_file --user\r\n"
		"lock_file %20%a\r\n"
		"log_level 4";            /* no newline */
	struct options *o = new_options();

	(void)state;
	assert_int_equal(read_text(o, text, false, NULL), 0);
	assert_string_equal(options_get(o, "user"), "bar");
	assert_string_equal(options_get(o, "port"), "1, 2, 3");
	assert_string_equal(options_get(o, "group"), "b");
	assert_string_equal(options_get(o, "setsid"), "1");
	assert_string_equal(options_get(o, "pid_file"), "--user");
	assert_string_equal(options_get(o, "lock_file"), "%20%a");
	assert_string_equal(options_get(o, "log_level"), "4");
	options_free(o);
}

static void
a_port_line_with_a_comma_is_one_value(void **state)
{
	struct options *o = new_options();
	struct settings s;

	(void)state;
	assert_int_equal(read_text(o, "port 1, 2\nport 3\nsig_passthrough HUP, USR1\n", false, NULL), 0);
	assert_int_equal(options_resolve(o, &s, NULL), 0);
	assert_int_equal(s.port.count, 2);
	assert_string_equal(s.port.items[0], "1, 2");
	assert_int_equal(s.sig_passthrough.count, 2);
	options_free(o);
}

/* NS-OPT-06 */
static void
a_conf_file_does_not_name_another(void **state)
{
	struct options *o = new_options();

	(void)state;
	assert_int_equal(read_text(o, "conf_file /nowhere\nuser x\n", true, NULL), 0);
	assert_string_equal(options_get(o, "conf_file"), "");
	assert_string_equal(options_get(o, "user"), "x");
	options_free(o);
}

/* NS-CNF-04, -06 */
static void
what_is_not_understood_is_passed_over(void **state)
{
	struct options *o = new_options();

	(void)state;
	assert_int_equal(read_text(o, "[main]\n; remark\nlog-level 4\nchroot =\nbogus 7\nprot\n"
		"\x01\xff\n", false, NULL), 0);
	assert_int_equal(options_source(o, "log_level"), SOURCE_BUILT_IN);
	assert_int_equal(options_source(o, "chroot"), SOURCE_BUILT_IN);
	options_free(o);
}

/* NS-CNF-13 */
static void
strict_reading_names_file_line_and_cure(void **state)
{
	static const struct {
		const char *text, *sentence;
	} samples[] = {
		{ "user x\n\nprot 80\n", "x.conf:3: there is no option \"prot\"; did you mean port?" },
		{ "zzzzzzzzzz 1\n", "x.conf:1: there is no option \"zzzzzzzzzz\"" },
		{ "log-level 3\n", "x.conf:1: cannot read \"log-level 3\"; did you mean log_level?" },
		{ "user =\n", "x.conf:1: \"user\" has no value" },
		{ "= x", "x.conf:1: cannot read \"= x\": write a key and a value" },
	};
	size_t i;

	(void)state;
	for (i = 0; i < sizeof(samples) / sizeof(samples[0]); i++) {
		struct options *o = new_options();
		struct error e = { 0 };

		assert_true(read_text(o, samples[i].text, true, &e) < 0);
		assert_non_null(strstr(e.text, samples[i].sentence));
		assert_int_equal(e.status, EX_CONFIG);
		options_free(o);
	}
}

static void
strict_reading_minds_no_sections_and_remarks(void **state)
{
	struct options *o = new_options();

	(void)state;
	assert_int_equal(read_text(o, "[a]\n; b\n\n# c\nspare_servers 3\nuser x\n", true, NULL), 0);
	options_free(o);
}

/* The line of an error of conversion, too. */
static void
a_bad_value_is_blamed_on_its_line(void **state)
{
	struct options *o = new_options();
	struct settings s;
	struct error e = { 0 };

	(void)state;
	assert_int_equal(read_text(o, "\nmax_requests some\n", false, NULL), 0);
	assert_int_equal(options_resolve(o, &s, &e), -EINVAL);
	assert_non_null(strstr(e.text, "option max_requests ("));
	assert_non_null(strstr(e.text, "x.conf:2): \"some\" is not a whole number from 0 to 2147483647"));
	assert_int_equal(e.status, EX_CONFIG);
	options_free(o);
}

/* NS-CNF-11 */
static void
a_file_that_cannot_be_opened_is_an_error_with_its_reason(void **state)
{
	struct options *o = new_options();
	struct error e = { 0 };
	char missing[96];

	(void)state;
	snprintf(missing, sizeof(missing), "%s/missing", directory);
	assert_int_equal(options_from_file(o, missing, false, &e), -ENOENT);
	assert_int_equal(e.status, EX_NOINPUT);
	assert_non_null(strstr(e.text, missing));
	assert_non_null(strstr(e.text, "no such file"));
	assert_int_equal(options_from_file(o, directory, false, &e), -EISDIR);
	assert_int_equal(e.status, EX_NOINPUT);
	assert_non_null(strstr(e.text, "directory"));
	options_free(o);
}

static void
a_forbidden_file_is_an_error_of_permission(void **state)
{
	struct options *o = new_options();
	struct error e = { 0 };
	uid_t me = geteuid();
	int r;

	(void)state;
	write_file(path, "user x\n", 7);
	assert_int_equal(chmod(path, 0), 0);
	/* Root may read everything. */
	if (me == 0)
		assert_int_equal(seteuid(65534), 0);
	r = options_from_file(o, path, false, &e);
	if (me == 0)
		assert_int_equal(seteuid(me), 0);
	assert_int_equal(r, -EACCES);
	assert_int_equal(chmod(path, 0600), 0);
	assert_int_equal(e.status, EX_NOPERM);
	options_free(o);
}

/* NS-CNF-12 */
static void
any_path_will_do(void **state)
{
	struct options *o = new_options();
	char odd[96];

	(void)state;
	snprintf(odd, sizeof(odd), "%s/a b;c'd\"(e)%%20\xc3\xa4.conf", directory);
	write_file(odd, "user x\n", 7);
	assert_int_equal(options_from_file(o, odd, true, NULL), 0);
	assert_string_equal(options_get(o, "user"), "x");
	assert_int_equal(unlink(odd), 0);
	options_free(o);
}

/* A line of `size` bytes: "user" and blanks and letters. */
static void
write_long_line(size_t size)
{
	char *text = malloc(size + 2);

	assert_non_null(text);
	memset(text, 'x', size);
	memcpy(text, "user ", 5);
	memcpy(text + size, "\n", 2);
	write_file(path, text, size + 1);
	free(text);
}

static void
lines_of_64_kib_are_the_longest(void **state)
{
	struct options *o = new_options();
	struct error e = { 0 };

	(void)state;
	write_long_line(65536);
	assert_int_equal(options_from_file(o, path, true, &e), 0);
	assert_int_equal(strlen(options_get(o, "user")), 65536 - 5);
	write_long_line(65537);
	assert_int_equal(options_from_file(o, path, false, &e), -EINVAL);
	assert_non_null(strstr(e.text, "x.conf:1: the line is longer than 65536 bytes"));
	assert_int_equal(e.status, EX_CONFIG);
	options_free(o);
}

static void
binary_files_are_refused(void **state)
{
	static const char text[] = "user x\n\x7f" "ELF\0\1\2\n";
	struct options *o = new_options();
	struct error e = { 0 };

	(void)state;
	write_file(path, text, sizeof(text) - 1);
	assert_int_equal(options_from_file(o, path, false, &e), -EINVAL);
	assert_non_null(strstr(e.text, "x.conf:2: there is a binary zero"));
	options_free(o);
}

static void
a_file_without_end_ends(void **state)
{
	static char lines[64 * 1024];
	struct options *o = new_options();
	struct error e = { 0 };
	int fd = open(path, O_RDWR | O_CREAT | O_TRUNC | O_CLOEXEC, 0600), i;

	(void)state;
	assert_true(fd >= 0);
	memset(lines, '\n', sizeof(lines));
	for (i = 0; i < 256; i++)
		assert_int_equal(write(fd, lines, sizeof(lines)), sizeof(lines));
	/* 16 MiB are read, one byte more is not. */
	assert_int_equal(options_from_file(o, path, false, &e), 0);
	assert_int_equal(write(fd, "\n", 1), 1);
	assert_int_equal(options_from_file(o, path, false, &e), -EINVAL);
	assert_non_null(strstr(e.text, "longer than 16 MiB"));
	close(fd);
	options_free(o);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(lines_are_taken_apart),
		cmocka_unit_test(a_whole_file_of_net_server_is_read),
		cmocka_unit_test(awkward_files_give_the_values_meant),
		cmocka_unit_test(a_port_line_with_a_comma_is_one_value),
		cmocka_unit_test(a_conf_file_does_not_name_another),
		cmocka_unit_test(what_is_not_understood_is_passed_over),
		cmocka_unit_test(strict_reading_names_file_line_and_cure),
		cmocka_unit_test(strict_reading_minds_no_sections_and_remarks),
		cmocka_unit_test(a_bad_value_is_blamed_on_its_line),
		cmocka_unit_test(a_file_that_cannot_be_opened_is_an_error_with_its_reason),
		cmocka_unit_test(a_forbidden_file_is_an_error_of_permission),
		cmocka_unit_test(any_path_will_do),
		cmocka_unit_test(lines_of_64_kib_are_the_longest),
		cmocka_unit_test(binary_files_are_refused),
		cmocka_unit_test(a_file_without_end_ends),
	};

	return cmocka_run_group_tests(tests, make_directory, remove_directory);
}
