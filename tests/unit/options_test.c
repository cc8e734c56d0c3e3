/* Options as a whole: sources and their strength, values from code, rows of the service. */
#include <errno.h>
#include <math.h>
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

#include "config/options.h"

static struct options *
new_options(const struct tend_option *own)
{
	struct options *o;

	assert_int_equal(options_new(&o, own, NULL), 0);
	return o;
}

static struct settings
resolved(struct options *o)
{
	struct settings s;
	struct error e = { 0 };

	if (options_resolve(o, &s, &e) < 0)
		fail_msg("%s", e.text);
	return s;
}

static void
set(struct options *o, enum source source, const char *name, const char *value)
{
	assert_int_equal(options_set(o, source, NULL, name, value, NULL), 0);
}

/* NS-OPT-40 to -66, NS-FRK-01 to -05, NS-PFS-02, NS-PF-04 to -08, NS-MTY-01, NS-TST-09 */
static void
defaults_are_those_of_the_manual(void **state)
{
	struct options *o = new_options(NULL);
	struct settings s = resolved(o);

	(void)state;
	assert_int_equal(s.port.count, 0);
	assert_int_equal(s.host.count, 1);
	assert_string_equal(s.host.items[0], "*");
	assert_string_equal(s.proto.items[0], "tcp");
	assert_string_equal(s.ipv.items[0], "*");
	assert_string_equal(s.server_type.items[0], "Fork");
	assert_int_equal(s.allow.count + s.deny.count + s.cidr_allow.count + s.cidr_deny.count, 0);
	assert_int_equal(s.sig_passthrough.count, 0);
	assert_int_equal(s.value.log_level, 2);
	assert_null(s.value.log_file);
	assert_null(s.value.user);
	assert_null(s.value.group);
	assert_null(s.value.conf_file);
	assert_string_equal(s.value.reverse_lookups, "off");
	assert_int_equal(s.value.listen, 0);
	assert_int_equal(s.value.max_servers, 0);
	assert_int_equal(s.value.max_requests, 1000);
	assert_int_equal(s.value.max_dequeue, 0);
	assert_int_equal(s.value.max_line, 65536);
	assert_true(s.value.check_for_dead == 60);
	assert_true(s.value.check_for_waiting == 10);
	assert_true(s.value.check_for_spawn == 30);
	assert_true(s.value.min_child_ttl == 10);
	assert_true(s.value.idle_to_minimum == 30);
	assert_true(s.value.dismiss_interval == 10);
	assert_true(s.value.idle_period == 10);
	assert_true(s.value.check_for_dequeue == 0);
	assert_true(s.value.handshake_timeout == 10);
	assert_true(s.value.first_byte_timeout == 60);
	assert_true(s.value.idle_timeout == 300);
	assert_true(s.value.connection_timeout == 0);
	assert_true(s.value.linger_timeout == 2);
	assert_true(s.value.stop_timeout == 8);
	assert_true(s.value.graceful_timeout == 0);
	assert_string_equal(s.value.serialize, "none");
	assert_false(s.value.background || s.value.setsid || s.value.child_communication ||
		s.value.no_close_by_child || s.value.no_client_stdout || s.value.multi_port ||
		s.value.leave_children_open_on_hup);
	options_free(o);
}

/* NS-PF-01, -02, -03: the server computes what nobody gave. */
static void
an_option_that_nobody_gave_can_be_told(void **state)
{
	struct options *o = new_options(NULL);

	(void)state;
	assert_int_equal(options_source(o, "min_servers"), SOURCE_BUILT_IN);
	set(o, SOURCE_FILE, "min_servers", "0");
	assert_int_equal(options_source(o, "min_servers"), SOURCE_FILE);
	assert_int_equal(options_source(o, "no_such"), SOURCE_BUILT_IN);
	assert_null(options_get(o, "no_such"));
	options_free(o);
}

/* NS-OPT-01, -08, NS-TST-41 */
static void
the_strongest_source_wins_whatever_the_order(void **state)
{
	static const enum source order[] = { SOURCE_FILE, SOURCE_CODE, SOURCE_DEFAULTS,
		SOURCE_COMMAND_LINE, SOURCE_ARGUMENTS };
	size_t n, i;

	(void)state;
	/* With the first n of them given, the winner is the strongest of those. */
	for (n = 0; n <= sizeof(order) / sizeof(order[0]); n++) {
		struct options *o = new_options(NULL);
		enum source strongest = SOURCE_BUILT_IN;
		char expected[16] = "1000", text[16];

		for (i = 0; i < n; i++) {
			snprintf(text, sizeof(text), "%d", 100 + (int)order[i]);
			set(o, order[i], "max_requests", text);
			if (order[i] > strongest) {
				strongest = order[i];
				memcpy(expected, text, sizeof(text));
			}
		}
		assert_string_equal(options_get(o, "max_requests"), expected);
		assert_int_equal(options_source(o, "max_requests"), strongest);
		assert_int_equal(resolved(o).value.max_requests, atoi(expected));
		options_free(o);
	}
}

/* NS-OPT-02, -03, -04, -09 */
static void
lists_add_up_within_one_source_only(void **state)
{
	static const char *const defaults[] = { "port", "1", "port", "2", "user", "a", "user", "b",
		NULL };
	struct options *o = new_options(NULL);
	struct settings s;

	(void)state;
	assert_int_equal(options_from_pairs(o, SOURCE_DEFAULTS, defaults, NULL), 0);
	s = resolved(o);
	assert_int_equal(s.port.count, 2);
	assert_string_equal(s.port.items[1], "2");
	assert_string_equal(s.value.user, "b");
	set(o, SOURCE_FILE, "port", "3");
	s = resolved(o);
	assert_int_equal(s.port.count, 1);
	assert_string_equal(s.port.items[0], "3");
	options_free(o);
}

/* NS-OPT-07, -42 */
static void
explicit_falsehood_beats_weaker_truth(void **state)
{
	struct options *o = new_options(NULL);
	struct settings s;

	(void)state;
	set(o, SOURCE_FILE, "setsid", "1");
	set(o, SOURCE_FILE, "chroot", "/srv");
	set(o, SOURCE_FILE, "sig_passthrough", "HUP");
	set(o, SOURCE_FILE, "log_file", "/x");
	set(o, SOURCE_COMMAND_LINE, "setsid", "0");
	set(o, SOURCE_COMMAND_LINE, "chroot", "");
	set(o, SOURCE_COMMAND_LINE, "sig_passthrough", "");
	set(o, SOURCE_COMMAND_LINE, "log_file", "");
	s = resolved(o);
	assert_false(s.value.setsid);
	assert_null(s.value.chroot);
	assert_null(s.value.log_file);
	assert_int_equal(s.sig_passthrough.count, 0);
	options_free(o);
}

/* NS-OPT-11 */
static void
unknown_arguments_are_passed_over(void **state)
{
	static const char *const arguments[] = { "nonsense", "1", "user", "x", NULL };
	static const char *const odd[] = { "user", NULL };
	struct options *o = new_options(NULL);
	struct error e = { 0 };

	(void)state;
	assert_int_equal(options_from_pairs(o, SOURCE_ARGUMENTS, arguments, &e), 0);
	assert_string_equal(options_get(o, "user"), "x");
	assert_int_equal(options_from_pairs(o, SOURCE_ARGUMENTS, NULL, &e), 0);
	assert_int_equal(options_from_pairs(o, SOURCE_ARGUMENTS, odd, &e), -EINVAL);
	assert_non_null(strstr(e.text, "user"));
	options_free(o);
}

/* NS-OPT-12, NS-SIG-04 */
static void
signals_to_pass_on_count_from_every_source(void **state)
{
	int source;

	(void)state;
	for (source = SOURCE_DEFAULTS; source <= SOURCE_CODE; source++) {
		struct options *o = new_options(NULL);
		struct settings s;

		set(o, (enum source)source, "sig_passthrough", " USR1 , HUP USR2,");
		s = resolved(o);
		assert_int_equal(s.sig_passthrough.count, 3);
		assert_string_equal(s.sig_passthrough.items[0], "USR1");
		assert_string_equal(s.sig_passthrough.items[2], "USR2");
		options_free(o);
	}
}

/* ---- code ---- */

static void
members_that_are_not_zero_are_values_of_the_code(void **state)
{
	static const struct tend_listen at = { .port = "1" };
	static const struct tend_config code = {
		.port = "7007, [::1]:7008/tls ,/run/x.sock/unix", .personality = "PreFork, Fork",
		.max_servers = 32, .max_requests = TEND_NONE, .check_for_dead = 0.25,
		.idle_timeout = TEND_NONE, .linger_timeout = 1e-3, .allow = "a,b",
		.cidr_allow = "10.0.0.0/8, ::1/128", .sig_passthrough = "HUP,USR1",
		.user = "nobody", .background = true, .log_level = TEND_NONE, .listen_at = &at,
		.stop_timeout = 1234567.5,
	};
	struct options *o = new_options(NULL);
	struct settings s;

	(void)state;
	set(o, SOURCE_COMMAND_LINE, "user", "root");
	set(o, SOURCE_COMMAND_LINE, "max_requests_jitter", "5");
	assert_int_equal(options_from_code(o, &code, NULL), 0);
	s = resolved(o);
	assert_int_equal(s.port.count, 3);
	assert_string_equal(s.port.items[0], "7007");
	assert_string_equal(s.port.items[1], "[::1]:7008/tls");
	assert_string_equal(s.port.items[2], "/run/x.sock/unix");
	assert_int_equal(s.server_type.count, 2);
	assert_string_equal(s.server_type.items[1], "Fork");
	assert_int_equal(s.value.max_servers, 32);
	assert_int_equal(s.value.max_requests, 0);
	assert_int_equal(options_source(o, "max_requests"), SOURCE_CODE);
	assert_true(s.value.check_for_dead == 0.25);
	assert_true(s.value.idle_timeout == 0);
	assert_true(s.value.linger_timeout > 0.000999 && s.value.linger_timeout < 0.001001);
	assert_true(s.value.stop_timeout == 1234567.5);
	assert_int_equal(s.allow.count, 1);
	assert_string_equal(s.allow.items[0], "a,b");
	assert_int_equal(s.cidr_allow.count, 2);
	assert_string_equal(s.cidr_allow.items[1], "::1/128");
	assert_int_equal(s.sig_passthrough.count, 2);
	assert_string_equal(s.value.user, "nobody");
	assert_true(s.value.background);
	assert_int_equal(s.value.log_level, 0);
	assert_ptr_equal(s.value.listen_at, &at);
	assert_int_equal(s.value.max_requests_jitter, 5);
	assert_null(s.value.port);
	assert_int_equal(options_source(o, "deny"), SOURCE_BUILT_IN);
	options_free(o);
}

static void
an_empty_port_in_code_is_still_a_port(void **state)
{
	static const struct tend_config code = { .port = "" };
	struct options *o = new_options(NULL);
	struct settings s;

	(void)state;
	assert_int_equal(options_from_code(o, &code, NULL), 0);
	s = resolved(o);
	assert_int_equal(s.port.count, 1);
	assert_string_equal(s.port.items[0], "");
	options_free(o);
}

static void
impossible_numbers_in_code_are_refused(void **state)
{
	static const struct {
		struct tend_config code;
		const char        *sentence;
	} samples[] = {
		{ { .max_servers = -5 }, "option max_servers (code): \"-5\" is not a whole number from 1" },
		{ { .max_line = TEND_NONE }, "option max_line (code): \"0\" is not a whole number from 1" },
		{ { .idle_timeout = -2.5 }, "option idle_timeout (code): \"-2.5\" is not a number from 0" },
		{ { .idle_timeout = NAN }, "option idle_timeout (code): \"" },
		{ { .idle_timeout = INFINITY }, "option idle_timeout (code): \"inf\" is not a number" },
		{ { .idle_timeout = 1e300 }, "option idle_timeout (code): \"1000000000" },
	};
	size_t i;

	(void)state;
	for (i = 0; i < sizeof(samples) / sizeof(samples[0]); i++) {
		struct options *o = new_options(NULL);
		struct settings s;
		struct error e = { 0 };

		assert_int_equal(options_from_code(o, &samples[i].code, NULL), 0);
		assert_int_equal(options_resolve(o, &s, &e), -EINVAL);
		assert_non_null(strstr(e.text, samples[i].sentence));
		assert_int_equal(e.status, EX_CONFIG);
		options_free(o);
	}
}

/* ---- defaults of others ---- */

/* NS-FRK-01, NS-PFS-01, -03 */
static void
a_personality_replaces_built_in_defaults(void **state)
{
	static const char *const prefork[] = { "max_servers", "50", "check_for_dead", "30",
		"server_type", "PreFork,Fork", NULL };
	static const char *const wrong[] = { "no_such", "1", NULL };
	struct options *o = new_options(NULL);
	struct settings s;

	(void)state;
	resolved(o); /* texts are out; they must stay good */
	assert_int_equal(options_set_defaults(o, prefork), 0);
	s = resolved(o);
	assert_int_equal(s.value.max_servers, 50);
	assert_true(s.value.check_for_dead == 30);
	assert_int_equal(s.server_type.count, 2);
	assert_int_equal(options_source(o, "max_servers"), SOURCE_BUILT_IN);
	set(o, SOURCE_DEFAULTS, "max_servers", "7");
	assert_int_equal(resolved(o).value.max_servers, 7);
	assert_int_equal(options_set_defaults(o, wrong), -ENOENT);
	options_free(o);
}

/* NS-IPV-12 */
static void
the_environment_gives_the_default_of_ipv(void **state)
{
	struct options *o;
	struct settings s;

	(void)state;
	assert_int_equal(setenv("IPV", "4", 1), 0);
	o = new_options(NULL);
	assert_int_equal(unsetenv("IPV"), 0);
	s = resolved(o);
	assert_int_equal(s.ipv.count, 1);
	assert_string_equal(s.ipv.items[0], "4");
	assert_int_equal(options_source(o, "ipv"), SOURCE_BUILT_IN);
	set(o, SOURCE_DEFAULTS, "ipv", "6");
	assert_string_equal(resolved(o).ipv.items[0], "6");
	options_free(o);
}

/* ---- the service's own ---- */

static struct {
	const char      *motd, *untouched;
	struct tend_list names;
	bool             loud;
	int              rooms;
	unsigned         seats;
	long             bytes;
	double           patience;
} chat;

static const struct tend_option chat_options[] = {
	{ "motd", TEND_INTO(&chat.motd), .value = "welcome", .alias = "greeting" },
	{ "untouched", TEND_INTO(&chat.untouched) },
	{ "names", TEND_INTO(&chat.names) },
	{ "loud", TEND_INTO(&chat.loud), .value = "no" },
	{ "rooms", TEND_INTO(&chat.rooms), .value = "16" },
	{ "seats", TEND_INTO(&chat.seats), .value = "4000000000" },
	{ "bytes", TEND_INTO(&chat.bytes), .value = "-1" },
	{ "patience", TEND_INTO(&chat.patience), .value = "2.5" },
	{ "app", TEND_INTO(&chat.untouched) }, /* a name of ours that does nothing yet */
	TEND_END
};

/* NS-OPT-10, NS-TST-09 */
static void
options_of_the_service_are_stored_in_its_variables(void **state)
{
	static const char *const pairs[] = { "greeting", "hi", "names", "a,b", "names", "c", "loud",
		"TRUE", "patience", "-0.5", "app", "x", NULL };
	struct options *o;

	(void)state;
	chat.untouched = "mine";
	o = new_options(chat_options);
	resolved(o);
	assert_string_equal(chat.motd, "welcome");
	assert_string_equal(chat.untouched, "mine");
	assert_int_equal(chat.names.count, 0);
	assert_false(chat.loud);
	assert_int_equal(chat.rooms, 16);
	assert_int_equal(chat.seats, 4000000000U);
	assert_int_equal(chat.bytes, -1);
	assert_true(chat.patience == 2.5);
	assert_int_equal(options_from_pairs(o, SOURCE_ARGUMENTS, pairs, NULL), 0);
	resolved(o);
	assert_string_equal(chat.motd, "hi");
	assert_string_equal(chat.untouched, "x");
	assert_int_equal(chat.names.count, 2);
	assert_string_equal(chat.names.items[0], "a,b");
	assert_true(chat.loud);
	assert_true(chat.patience == -0.5);
	options_free(o);
}

static void
an_error_leaves_all_variables_alone(void **state)
{
	struct options *o = new_options(chat_options);
	struct settings s, before;

	(void)state;
	before = resolved(o);
	s = before;
	set(o, SOURCE_FILE, "rooms", "3");
	set(o, SOURCE_FILE, "user", "x");
	set(o, SOURCE_FILE, "stop_timeout", "soon");
	assert_int_equal(options_resolve(o, &s, NULL), -EINVAL);
	assert_int_equal(chat.rooms, 16);
	assert_null(s.value.user);
	options_free(o);
}

static void
bad_rows_of_a_service_are_refused(void **state)
{
	static int n;
	static const struct {
		struct tend_option rows[3];
		const char        *sentence;
	} samples[] = {
		{ { { "log-level", TEND_INTO(&n) }, TEND_END }, "letters, digits and underscores" },
		{ { { "", TEND_INTO(&n) }, TEND_END }, "needs a name" },
		{ { { "x", TEND_INTO(&n), .alias = "-x" }, TEND_END }, "alias" },
		{ { { "x", TEND_OPTION_INT, NULL, NULL, NULL, NULL, { NULL } }, TEND_END }, "TEND_INTO" },
		{ { { "x", TEND_OPTION_NONE, &n, NULL, NULL, NULL, { NULL } }, TEND_END }, "TEND_INTO" },
		{ { { "user", TEND_INTO(&n) }, TEND_END }, "another option" },
		{ { { "x", TEND_INTO(&n), .alias = "personality" }, TEND_END }, "another option" },
		{ { { "x", TEND_INTO(&n) }, { "x", TEND_INTO(&n) }, TEND_END }, "another option" },
		{ { { "x", TEND_INTO(&n), .value = "many" }, TEND_END },
			"option x (default): \"many\" is not a whole number" },
	};
	size_t i;

	(void)state;
	for (i = 0; i < sizeof(samples) / sizeof(samples[0]); i++) {
		struct options *o = (struct options *)&n;
		struct error e = { 0 };

		assert_int_equal(options_new(&o, samples[i].rows, &e), -EINVAL);
		assert_null(o);
		assert_non_null(strstr(e.text, samples[i].sentence));
	}
}

/* ---- later ---- */

/* NS-GEN-03 */
static void
texts_that_were_handed_out_outlive_a_change(void **state)
{
	struct options *o = new_options(NULL);
	struct settings before, after;

	(void)state;
	set(o, SOURCE_CODE, "log_file", "/a");
	set(o, SOURCE_CODE, "port", "1");
	before = resolved(o);
	set(o, SOURCE_CODE, "log_file", "/b");
	set(o, SOURCE_CODE, "port", "2");
	after = resolved(o);
	assert_string_equal(before.value.log_file, "/a");
	assert_int_equal(before.port.count, 1);
	assert_string_equal(before.port.items[0], "1");
	assert_string_equal(after.value.log_file, "/b");
	assert_int_equal(after.port.count, 2);
	options_free(o);
}

static void
a_list_that_did_not_change_stays_where_it_is(void **state)
{
	struct options *o = new_options(NULL);
	struct settings before;

	(void)state;
	set(o, SOURCE_FILE, "allow", "a");
	before = resolved(o);
	set(o, SOURCE_CODE, "max_servers", "3");
	assert_ptr_equal(resolved(o).allow.items, before.allow.items);
	options_free(o);
}

static void
a_refused_change_can_be_taken_back(void **state)
{
	static const char *const samples[][3] = {
		/* name, a good value, one that is refused */
		{ "max_servers", "7", "many" }, { "serialize", "flock", "flok" },
		{ "allow", "a", "b" }, { "sig_passthrough", "HUP,USR1", "USR2,TERM,QUIT" },
		{ "server_type", "Single", "," },
	};
	size_t i, given;

	(void)state;
	for (i = 0; i < sizeof(samples) / sizeof(samples[0]); i++)
		for (given = 0; given < 2; given++) {
			struct options *o = new_options(NULL);
			const char *name = samples[i][0];
			char *before;

			if (given != 0)
				set(o, SOURCE_CODE, name, samples[i][1]);
			resolved(o);
			before = strdup(options_get(o, name));
			set(o, SOURCE_CODE, name, samples[i][2]);
			assert_string_not_equal(options_get(o, name), before);
			options_take_back(o);
			options_take_back(o); /* once is enough */
			assert_string_equal(options_get(o, name), before);
			assert_int_equal(options_source(o, name), given != 0 ? SOURCE_CODE
				: SOURCE_BUILT_IN);
			resolved(o);
			free(before);
			options_free(o);
		}
}

/* ---- unknown names ---- */

static void
an_unknown_name_is_answered_with_the_nearest(void **state)
{
	static const char *const words[][2] = {
		{ "--prot=80", "port" }, { "log-level", "log_level" }, { "--max_server", "max_servers" },
		{ "personalty", "personality" }, { "roms", "rooms" }, { "PORT", "port" },
		{ "9", NULL }, { "x", NULL }, { "", NULL }, { "--", NULL }, { "bogusbogusbogus", NULL },
	};
	struct options *o = new_options(chat_options);
	struct error e = { 0 };
	size_t i;

	(void)state;
	for (i = 0; i < sizeof(words) / sizeof(words[0]); i++) {
		const char *nearest = options_nearest(o, words[i][0]);

		if (words[i][1] == NULL)
			assert_null(nearest);
		else
			assert_string_equal(nearest, words[i][1]);
	}
	assert_int_equal(options_set(o, SOURCE_FILE, "x.conf:3", "prot", "1", &e), -ENOENT);
	assert_string_equal(e.text, "x.conf:3: there is no option \"prot\"; did you mean port?");
	assert_int_equal(e.status, EX_CONFIG);
	assert_int_equal(options_set(o, SOURCE_COMMAND_LINE, NULL, "\x1b[2Jx", "1", &e), -ENOENT);
	assert_string_equal(e.text, "there is no option \"%1B[2Jx\"");
	assert_int_equal(e.status, EX_USAGE);
	options_free(o);
}

static void
collect(void *data, const char *note)
{
	strncat(data, note, 300);
}

/* NS-PF-09, NS-OPT-49, NS-UNX-10 */
static void
options_without_effect_are_accepted_and_noted(void **state)
{
	struct options *o = new_options(NULL);
	char notes[1024] = "";

	(void)state;
	options_notes(o, collect, notes);
	assert_string_equal(notes, "");
	set(o, SOURCE_FILE, "ipv6_package", "IO::Socket::IP");
	set(o, SOURCE_FILE, "unix_path", "/tmp/x");
	assert_int_equal(options_set(o, SOURCE_FILE, "x.conf:9", "spare_servers", "4", NULL), 0);
	resolved(o);
	options_notes(o, collect, notes);
	assert_string_equal(notes, "x.conf:9: the option spare_servers is obsolete and has no effect; "
		"min_spare_servers and max_spare_servers do its work");
	options_free(o);
}

static void
an_option_says_whether_it_can_change_at_work(void **state)
{
	struct options *o;

	(void)state;
	assert_int_equal(options_new(&o, NULL, NULL), 0);
	assert_int_equal(options_live(o, "max_servers"), LIVE_NOW);
	assert_int_equal(options_live(o, "idle_timeout"), LIVE_FOR_NEW_WORKERS);
	assert_int_equal(options_live(o, "port"), LIVE_NOT);
	assert_int_equal(options_live(o, "control"), LIVE_NOT);
	assert_int_equal(options_live(o, "prot"), LIVE_UNKNOWN);
	assert_int_equal(options_live(o, ""), LIVE_UNKNOWN);
	options_free(o);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(defaults_are_those_of_the_manual),
		cmocka_unit_test(an_option_says_whether_it_can_change_at_work),
		cmocka_unit_test(an_option_that_nobody_gave_can_be_told),
		cmocka_unit_test(the_strongest_source_wins_whatever_the_order),
		cmocka_unit_test(lists_add_up_within_one_source_only),
		cmocka_unit_test(explicit_falsehood_beats_weaker_truth),
		cmocka_unit_test(unknown_arguments_are_passed_over),
		cmocka_unit_test(signals_to_pass_on_count_from_every_source),
		cmocka_unit_test(members_that_are_not_zero_are_values_of_the_code),
		cmocka_unit_test(an_empty_port_in_code_is_still_a_port),
		cmocka_unit_test(impossible_numbers_in_code_are_refused),
		cmocka_unit_test(a_personality_replaces_built_in_defaults),
		cmocka_unit_test(the_environment_gives_the_default_of_ipv),
		cmocka_unit_test(options_of_the_service_are_stored_in_its_variables),
		cmocka_unit_test(an_error_leaves_all_variables_alone),
		cmocka_unit_test(bad_rows_of_a_service_are_refused),
		cmocka_unit_test(texts_that_were_handed_out_outlive_a_change),
		cmocka_unit_test(a_list_that_did_not_change_stays_where_it_is),
		cmocka_unit_test(a_refused_change_can_be_taken_back),
		cmocka_unit_test(an_unknown_name_is_answered_with_the_nearest),
		cmocka_unit_test(options_without_effect_are_accepted_and_noted),
	};

	unsetenv("IPV");
	return cmocka_run_group_tests(tests, NULL, NULL);
}
