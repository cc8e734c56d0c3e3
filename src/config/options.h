/*
 * The options of one server: the table of rows (options_table.c, and the service's own), the
 * values that each source gave them, and where every value came from. One table feeds the
 * parsers, the checks, --help, `dump` and the manual.
 *
 * Sources are scanned in any order; the strongest that gave an option a value wins (NS-
 * OPT-01).
 */
#ifndef TEND_CONFIG_OPTIONS_H
#define TEND_CONFIG_OPTIONS_H

#include <stdio.h>

#include <tend/options.h>

#include "base/error.h"
#include "config/settings.h"

/* Weak to strong. */
enum source {
	SOURCE_BUILT_IN,     /* the row's default, or the personality's */
	SOURCE_DEFAULTS,     /* service.defaults */
	SOURCE_FILE,         /* the conf file */
	SOURCE_ARGUMENTS,    /* tend_server_arguments() */
	SOURCE_COMMAND_LINE,
	SOURCE_CODE,         /* service.config and the configure hook */
};

struct options;

/*
 * Built-in rows and those of the service (borrowed; may be NULL). -EINVAL: a bad row of the
 * service.
 */
int  options_new(struct options **into, const struct tend_option *own, struct error *e);
void options_free(struct options *o);

/*
 * Every member of `code` that is not zero becomes a value of SOURCE_CODE; TEND_NONE becomes
 * "0". The text of a list (port, host, proto, ipv, cidr_allow, cidr_deny, ...) is split at commas;
 * allow and deny are one pattern each. `listen_at` is handed on to the settings (borrowed).
 */
int options_from_code(struct options *o, const struct tend_config *code, struct error *e);

/*
 * One value from one source. `where` (copied) is shown by dump and in errors: "tend.conf:12",
 * "--port"; NULL: the name of the source. -ENOENT: no such option, the sentence suggests the
 * nearest; -ENOMEM. The value is not looked at before options_resolve(), and is split only for
 * server_type and sig_passthrough (at commas and blanks): any other text is one value.
 */
int options_set(struct options *o, enum source source, const char *where, const char *name,
	const char *value, struct error *e);

/*
 * Undoes the last options_set(), when nothing else was given since: for a value that
 * options_resolve() or somebody after it refused. Cannot fail.
 */
void options_take_back(struct options *o);

/*
 * The words after the program's name (`argv[0]` is the first of them, not the name), in all
 * spellings of NS-OPT-20 to -28. What is no option stays, in order: `*leftovers` (NULL-
 * terminated, freed by options_free, the words borrowed from argv).
 */
int options_from_command_line(struct options *o, int argc, char *const argv[], char ***leftovers,
	int *count, struct error *e);

/*
 * Key, value, ..., NULL. Unknown keys are passed over (NS-OPT-11). -EINVAL: a key without a
 * value.
 */
int options_from_pairs(struct options *o, enum source source, const char *const *pairs,
	struct error *e);

/*
 * The grammar of NS-CNF-01 to -12. `strict`: an unknown key, or a line that is none of key and
 * value, comment, [section] and "; remark", is an error (NS-CNF-13). A file that cannot be
 * read: the errno, and EX_NOINPUT or EX_NOPERM. -EINVAL and EX_CONFIG: a line longer than 64
 * KiB, a binary zero, or more than 16 MiB. What stood before an error has been taken.
 */
int options_from_file(struct options *o, const char *path, bool strict, struct error *e);

/*
 * Replaces the built-in default of options for this personality: name, value, ..., NULL. Copies.
 * -ENOENT: no such option; -ENOMEM.
 */
int options_set_defaults(struct options *o, const char *const *pairs);

/*
 * Converts and checks all values, and writes `*s` and the variables of the service's rows. The
 * sentence of an error names the option, where its value came from, and what is allowed; its
 * status is EX_USAGE for the command line, else EX_CONFIG. On an error nothing is written. Called
 * again after options_set() it converts again; texts and lists that were handed out stay valid
 * until options_free().
 */
int options_resolve(struct options *o, struct settings *s, struct error *e);

/*
 * The winning text (lists joined with ", "), valid until the next call with `o`. "": it has no
 * value; NULL: no such option.
 */
const char *options_get(struct options *o, const char *name);

/* Where the winning value came from; SOURCE_BUILT_IN when nobody gave one. */
enum source options_source(struct options *o, const char *name);

/* Whether an option may change while the server runs, and who learns of it. */
enum live {
	LIVE_UNKNOWN,         /* there is no such option */
	LIVE_NOT,
	LIVE_NOW,
	LIVE_FOR_NEW_WORKERS, /* those that are there go on with the old value */
};
enum live options_live(const struct options *o, const char *name);

/*
 * Options that were given but have no effect here (spare_servers, ...): one sentence each, for
 * the log. Valid during the call.
 */
void options_notes(struct options *o, void (*say)(void *data, const char *note), void *data);

/*
 * The option that was probably meant by an unknown word of the command line; dashes in front and
 * "=value" behind do not count. NULL: nothing is near. Static, or of the service's row.
 */
const char *options_nearest(struct options *o, const char *word);

/*
 * "name = value   # where it came from", a line for each value, sorted as in the table: a conf
 * file that says the same. Options without a value have an empty one.
 */
void options_dump(struct options *o, FILE *out);

/* The table for --help, grouped; the service's own rows first. */
void options_usage(struct options *o, FILE *out);

/* The table as the option part of tend.conf(5), in the language of scdoc. */
void options_manual(FILE *out);

/* The names of all options that this build honours, and their aliases, one a line. */
void options_completion(FILE *out);

#endif
