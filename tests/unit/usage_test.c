/* What the table tells people: dump, --help, the manual, completion; and the table itself. */
#include <setjmp.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

#include "config/file.h"
#include "config/options.h"
#include "config/options_table.h"

static const char *motd;

static const struct tend_option own[] = {
	{ "motd", TEND_INTO(&motd), .value = "welcome", .help = "what a new client is told, in words "
		"that go on for quite a while so that they do not fit into a line of a terminal" },
	{ "a_name_of_the_greatest_length_there_isnt", TEND_INTO(&motd), .help =
		"averyveryveryveryverylongwordwithoutanyblanksthatdoesnotfitintothecolumnofhelp" },
	TEND_END
};

static struct options *
new_options(void)
{
	struct options *o;

	assert_int_equal(options_new(&o, own, NULL), 0);
	return o;
}

/* What `print` writes; the caller frees it. */
static char *
printed(void (*print)(struct options *, FILE *), struct options *o)
{
	char *text = NULL;
	size_t size = 0;
	FILE *out = open_memstream(&text, &size);

	assert_non_null(out);
	print(o, out);
	assert_int_equal(fclose(out), 0);
	return text;
}

static void
set(struct options *o, enum source source, const char *where, const char *name, const char *value)
{
	assert_int_equal(options_set(o, source, where, name, value, NULL), 0);
}

/* NS-CLI-07 */
static void
dump_tells_each_value_and_its_origin(void **state)
{
	static const char *const lines[] = {
		"\nuser = x   # tend.conf:12\n",
		"\nport = 80   # command line (--port)\nport = 81   # command line (port)\n",
		"\nmax_servers = 3   # code\n",
		"\nipv = 4   # environment IPV\n",
		"\nmax_requests = 1000   # default\n",
		"\ngroup = a   # defaults of the service\n",
		"\npid_file = a\\#b%0A   # arguments\n",
		"\nsetsid = 0   # default\n",
		"\nallow =   # default\n",
		"\nSSL_version = 0   # tend.conf:13\n",
	};
	struct options *o;
	char *text;
	size_t i;

	(void)state;
	assert_int_equal(setenv("IPV", "4", 1), 0);
	o = new_options();
	assert_int_equal(unsetenv("IPV"), 0);
	set(o, SOURCE_FILE, "tend.conf:12", "user", "x");
	set(o, SOURCE_FILE, "tend.conf:13", "SSL_version", "0");
	set(o, SOURCE_COMMAND_LINE, "--port", "port", "80");
	set(o, SOURCE_COMMAND_LINE, "port", "port", "81");
	set(o, SOURCE_CODE, NULL, "max_servers", "3");
	set(o, SOURCE_DEFAULTS, NULL, "group", "a");
	set(o, SOURCE_ARGUMENTS, NULL, "pid_file", "a#b\n");
	text = printed(options_dump, o);
	for (i = 0; i < sizeof(lines) / sizeof(lines[0]); i++)
		assert_non_null(strstr(text, lines[i]));
	assert_null(strstr(text, "SSL_key_file"));
	free(text);
	options_free(o);
}

static void
a_dump_read_as_conf_file_says_the_same(void **state)
{
	static const char *const names[] = { "motd", "user", "port", "allow", "server_type",
		"max_requests", "setsid" };
	struct options *o = new_options(), *again = new_options();
	char path[] = "/tmp/tend-usage-test-XXXXXX";
	int fd = mkstemp(path);
	char *text;
	size_t i;

	(void)state;
	assert_true(fd >= 0);
	assert_int_equal(unlink(path), 0);
	set(o, SOURCE_CODE, NULL, "motd", "a # b \\# c = d: [e]");
	set(o, SOURCE_CODE, NULL, "user", "--group");
	set(o, SOURCE_CODE, NULL, "port", "1, 2");
	set(o, SOURCE_CODE, NULL, "port", "3");
	set(o, SOURCE_CODE, NULL, "allow", "\xc3\xa4+");
	set(o, SOURCE_CODE, NULL, "server_type", "PreFork, Fork");
	text = printed(options_dump, o);
	assert_int_equal(write(fd, text, strlen(text)), (int)strlen(text));
	assert_int_equal(lseek(fd, 0, SEEK_SET), 0);
	assert_int_equal(conf_read(again, fd, "dump", false, NULL), 0);
	for (i = 0; i < sizeof(names) / sizeof(names[0]); i++) {
		char *first = strdup(options_get(o, names[i]));

		assert_string_equal(options_get(again, names[i]), first);
		free(first);
	}
	close(fd);
	free(text);
	options_free(again);
	options_free(o);
}

static void
help_fits_into_80_columns_and_begins_with_the_service(void **state)
{
	static const char *const prefork[] = { "max_servers", "77", NULL };
	struct options *o = new_options();
	char *text, *line, *save;

	(void)state;
	assert_int_equal(options_set_defaults(o, prefork), 0);
	text = printed(options_usage, o);
	assert_memory_equal(text, "Of this server:\n  --motd VALUE", 30);
	assert_non_null(strstr(text, "\n\nWhere to listen:\n  --port "));
	assert_non_null(strstr(text, "(default: 77)"));
	assert_non_null(strstr(text, "--personality"));
	assert_null(strstr(text, "SSL_"));
	assert_null(strstr(text, "udp_"));
	for (line = strtok_r(text, "\n", &save); line != NULL; line = strtok_r(NULL, "\n", &save))
		assert_true(strlen(line) <= 80);
	free(text);
	options_free(o);
}

static void
print_manual(struct options *o, FILE *out)
{
	(void)o;
	options_manual(out);
}

static void
print_completion(struct options *o, FILE *out)
{
	(void)o;
	options_completion(out);
}

static void
the_manual_has_every_option(void **state)
{
	char *text = printed(print_manual, NULL);
	size_t i;

	(void)state;
	for (i = 0; i < option_row_count; i++) {
		char name[64], *to = name;
		const char *from;

		*to++ = '*';
		for (from = option_rows[i].name; *from != '\0'; *to++ = *from++)
			if (*from == '_')
				*to++ = '\\';
		memcpy(to, "*", 2);
		assert_non_null(strstr(text, name));
	}
	assert_non_null(strstr(text, "*idle\\_timeout* _SECONDS_\n\tSeconds that "));
	assert_non_null(strstr(text, " Default: 300.\n\n"));
	free(text);
}

static void
completion_has_the_names_that_work(void **state)
{
	char *text = printed(print_completion, NULL);

	(void)state;
	assert_memory_equal(text, "port\nhost\n", 10);
	assert_non_null(strstr(text, "\nserver_type\npersonality\n"));
	assert_null(strstr(text, "SSL_"));
	assert_null(strstr(text, "spare_servers\nipv6"));
	free(text);
}

/* A row's offsets lead to the member of its name. */
static void
every_member_of_the_public_struct_has_a_row(void **state)
{
#define MEMBER(name) { #name, offsetof(struct tend_config, name) }
	static const struct {
		const char *name;
		size_t      offset;
	} members[] = {
		MEMBER(port), MEMBER(host), MEMBER(proto), MEMBER(ipv), MEMBER(listen),
		{ "server_type", offsetof(struct tend_config, personality) }, MEMBER(max_servers),
		MEMBER(min_servers), MEMBER(min_spare_servers), MEMBER(max_spare_servers),
		MEMBER(max_requests), MEMBER(max_requests_jitter), MEMBER(check_for_dead),
		MEMBER(check_for_waiting), MEMBER(check_for_spawn), MEMBER(min_child_ttl),
		MEMBER(idle_to_minimum), MEMBER(dismiss_interval), MEMBER(idle_period),
		MEMBER(child_communication), MEMBER(serialize), MEMBER(lock_file),
		MEMBER(max_dequeue), MEMBER(check_for_dequeue), MEMBER(sig_passthrough),
		MEMBER(no_close_by_child), MEMBER(no_client_stdout), MEMBER(multi_port),
		MEMBER(handshake_timeout), MEMBER(first_byte_timeout), MEMBER(idle_timeout),
		MEMBER(connection_timeout), MEMBER(linger_timeout), MEMBER(max_line), MEMBER(allow),
		MEMBER(deny), MEMBER(cidr_allow), MEMBER(cidr_deny), MEMBER(reverse_lookups),
		MEMBER(double_reverse_lookups), MEMBER(user), MEMBER(group), MEMBER(chroot),
		MEMBER(background), MEMBER(setsid), MEMBER(pid_file), MEMBER(log_level),
		MEMBER(log_file), MEMBER(stop_timeout), MEMBER(graceful_timeout),
		MEMBER(leave_children_open_on_hup), MEMBER(conf_file), MEMBER(full),
		MEMBER(growth), MEMBER(child_stop), MEMBER(hup), MEMBER(worker_idle_timeout),
		MEMBER(worker_idle_unused), MEMBER(accepted_in_parent), MEMBER(process_titles),
		MEMBER(prefork), MEMBER(maxfork), MEMBER(nofork), MEMBER(timeout), MEMBER(px_idle),
		MEMBER(prop_sigusr), MEMBER(debug), MEMBER(leave_busy), MEMBER(busy_timeout),
		MEMBER(strangers), MEMBER(workers), MEMBER(poller), MEMBER(fiber_stack),
		MEMBER(max_output), MEMBER(stall_warning), MEMBER(defer_accept), MEMBER(max_connections),
		MEMBER(max_per_source), MEMBER(source_rate), MEMBER(source_hold),
		MEMBER(source_prefix_v4), MEMBER(source_prefix_v6), MEMBER(limit_exempt),
		MEMBER(limit_report), MEMBER(log_format), MEMBER(syslog_ident),
		MEMBER(syslog_logopt), MEMBER(syslog_facility), MEMBER(syslog_logsock),
		MEMBER(control), MEMBER(metrics), MEMBER(lookup_timeout), MEMBER(notify_fd),
		MEMBER(socket_mode), MEMBER(socket_user), MEMBER(socket_group), MEMBER(directory),
		MEMBER(max_worker_age), MEMBER(max_worker_memory), MEMBER(log_trace),
	};
#undef MEMBER
	size_t with_member = 0, i, n;

	(void)state;
	for (i = 0; i < option_row_count; i++) {
		if (option_rows[i].code == ROW_NOWHERE)
			continue;
		with_member++;
		for (n = 0; n < sizeof(members) / sizeof(members[0]); n++)
			if (strcmp(members[n].name, option_rows[i].name) == 0)
				break;
		assert_true(n < sizeof(members) / sizeof(members[0]));
		assert_int_equal(option_rows[i].code, members[n].offset);
		if (option_rows[i].type != TEND_OPTION_LIST)
			assert_int_equal(option_rows[i].setting,
				offsetof(struct settings, value) + members[n].offset);
	}
	assert_int_equal(with_member, sizeof(members) / sizeof(members[0]));
#ifdef __LP64__
	/* Another size: a member came, and needs a row and a line above. */
	assert_int_equal(sizeof(struct tend_config), 680);
#endif
}

static void
rows_are_complete_and_names_are_unique(void **state)
{
	size_t i, n;

	(void)state;
	for (i = 0; i < option_row_count; i++) {
		const struct row *row = &option_rows[i];

		if ((row->flags & (ROW_RESERVED | ROW_IGNORED)) == 0) {
			assert_true(row->group > GROUP_SERVICE && row->group < GROUP_COUNT);
			assert_non_null(row->help);
			assert_int_equal(row->unit == NULL, row->type == TEND_OPTION_BOOL);
		} else if ((row->flags & ROW_RESERVED) != 0) {
			assert_non_null(row->reason);
		}
		for (n = 0; n < i; n++)
			assert_string_not_equal(row->name, option_rows[n].name);
	}
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(dump_tells_each_value_and_its_origin),
		cmocka_unit_test(a_dump_read_as_conf_file_says_the_same),
		cmocka_unit_test(help_fits_into_80_columns_and_begins_with_the_service),
		cmocka_unit_test(the_manual_has_every_option),
		cmocka_unit_test(completion_has_the_names_that_work),
		cmocka_unit_test(every_member_of_the_public_struct_has_a_row),
		cmocka_unit_test(rows_are_complete_and_names_are_unique),
	};

	unsetenv("IPV");
	return cmocka_run_group_tests(tests, NULL, NULL);
}
