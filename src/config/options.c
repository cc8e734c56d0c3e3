/*
 * The options of one server, seen from outside: making them, giving them values, asking for them.
 * values.c keeps the values, convert.c gives them their meaning, cmdline.c and file.c read them.
 */
#include "config/options.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/str.h"
#include "config/values.h"

#define NAME_MAX_LENGTH 40 /* what --help can show on a line */

/* ---- making ---- */

static bool
is_name(const char *text)
{
	size_t n = strspn(text, NAME_CHARACTERS);

	return n > 0 && n <= NAME_MAX_LENGTH && text[n] == '\0';
}

/* The name or the alias of one of the first `count` rows of the service. */
static bool
is_own(const struct options *o, const char *name, size_t count)
{
	size_t i;

	for (i = 0; i < count; i++)
		if (strcmp(o->own[i].name, name) == 0 ||
		    (o->own[i].alias != NULL && strcmp(o->own[i].alias, name) == 0))
			return true;
	return false;
}

/* A new name must be none of the table's that work, nor of the first `count` own rows. */
static bool
is_taken(const struct options *o, const char *name, size_t count)
{
	size_t i;

	if (is_own(o, name, count))
		return true;
	for (i = 0; i < option_row_count; i++) {
		const struct row *row = &option_rows[i];

		if (row_is_live(row) && !(row->flags & ROW_YIELDS) && (strcmp(row->name, name) == 0 ||
		    (row->alias != NULL && strcmp(row->alias, name) == 0)))
			return true;
	}
	return false;
}

static int
bad_row(struct error *e, const char *name, const char *why)
{
	char quoted[128];

	return error_set(e, EX_SOFTWARE, -EINVAL, "the service's option %s %s",
		value_quote(quoted, sizeof(quoted), name), why);
}

/* Checks row `i` of the service and makes it one of ours. */
static int
take_row(struct options *o, const struct tend_option *from, size_t i, struct error *e)
{
	if (!is_name(from->name))
		return bad_row(e, from->name, "needs a name of letters, digits and underscores, at "
			"most 40 of them");
	if (from->alias != NULL && !is_name(from->alias))
		return bad_row(e, from->name, "has an alias that is no name of letters, digits and "
			"underscores");
	if (from->type <= TEND_OPTION_NONE || from->type > TEND_OPTION_DOUBLE || from->into == NULL)
		return bad_row(e, from->name, "has no variable: write TEND_INTO(&variable)");
	if (is_taken(o, from->name, i) || (from->alias != NULL && is_taken(o, from->alias, i)))
		return bad_row(e, from->name, "has the name or the alias of another option");
	o->own[i] = (struct row){
		.name = from->name, .alias = from->alias, .type = from->type,
		.group = GROUP_SERVICE, .code = ROW_NOWHERE, .setting = ROW_NOWHERE,
		.into = from->into, .value = from->value, .help = from->help,
		.unit = from->type == TEND_OPTION_BOOL ? NULL : "VALUE",
	};
	return row_check_default(&o->own[i], e);
}

static int
take_rows(struct options *o, const struct tend_option *own, size_t own_count, struct error *e)
{
	size_t i;
	int r;

	o->own = calloc(own_count + 1, sizeof(*o->own));
	o->entries = calloc(own_count + option_row_count, sizeof(*o->entries));
	if (o->own == NULL || o->entries == NULL)
		return options_no_memory(e);
	for (i = 0; i < own_count; i++) {
		r = take_row(o, &own[i], i, e);
		if (r < 0)
			return r;
		o->entries[o->count++].row = &o->own[i];
	}
	for (i = 0; i < option_row_count; i++)
		if (!(option_rows[i].flags & ROW_YIELDS) || !is_own(o, option_rows[i].name, own_count))
			o->entries[o->count++].row = &option_rows[i];
	return 0;
}

/* The defaults of the rows, and of the environment (NS-IPV-12). */
static int
give_defaults(struct options *o)
{
	const char *ipv = getenv("IPV");
	size_t i;

	for (i = 0; i < o->count; i++) {
		struct entry *entry = &o->entries[i];
		const char *value = entry->row->value, *where = NULL;

		if (entry->row->group == GROUP_WHERE_TO_LISTEN && ipv != NULL && ipv[0] != '\0' &&
		    strcmp(entry->row->name, "ipv") == 0) {
			value = ipv;
			where = "environment IPV";
		}
		if (value == NULL && entry->row->type == TEND_OPTION_BOOL &&
		    entry->row->into == NULL)
			value = "0";
		if (value != NULL && entry_give(o, entry, SOURCE_BUILT_IN, where, value) < 0)
			return -ENOMEM;
	}
	return 0;
}

int
options_new(struct options **into, const struct tend_option *own, struct error *e)
{
	struct options *o = calloc(1, sizeof(*o));
	size_t own_count = 0;
	int r;

	*into = NULL;
	if (o == NULL)
		return options_no_memory(e);
	while (own != NULL && own[own_count].name != NULL)
		own_count++;
	r = take_rows(o, own, own_count, e);
	if (r == 0 && give_defaults(o) < 0)
		r = options_no_memory(e);
	if (r < 0) {
		options_free(o);
		return r;
	}
	*into = o;
	return 0;
}

static void
given_done(struct given *g)
{
	size_t i;

	for (i = 0; i < g->count; i++) {
		kept_free(g->values[i].text);
		free(g->values[i].where);
	}
	free(g->values);
}

void
options_free(struct options *o)
{
	size_t i;
	int source;

	if (o == NULL)
		return;
	for (i = 0; i < o->count; i++) {
		for (source = 0; source < SOURCE_COUNT; source++)
			given_done(&o->entries[i].given[source]);
		kept_free(o->entries[i].items);
	}
	kept_free(o->undo.before.text);
	free(o->undo.before.where);
	options_free_retired(o);
	free(o->leftovers);
	free(o->entries);
	free(o->own);
	buf_done(&o->answer);
	free(o);
}

/* ---- names ---- */

static bool
is_called(const char *called, const char *name, size_t size)
{
	return called != NULL && strncmp(called, name, size) == 0 && called[size] == '\0';
}

struct entry *
options_find(const struct options *o, const char *name, size_t size)
{
	size_t i;

	for (i = 0; i < o->count; i++)
		if (is_called(o->entries[i].row->name, name, size) ||
		    is_called(o->entries[i].row->alias, name, size))
			return &o->entries[i];
	return NULL;
}

const char *
options_nearest(struct options *o, const char *word)
{
	const char **names = calloc(2 * o->count, sizeof(*names));
	const char *found;
	char text[64];
	size_t n = 0, i;

	if (names == NULL)
		return NULL;
	word += strspn(word, "-");
	snprintf(text, sizeof(text), "%.*s", (int)strcspn(word, "= \t"), word);
	for (i = 0; i < o->count; i++) {
		const struct row *row = o->entries[i].row;

		if (!row_is_live(row))
			continue;
		names[n++] = row->name;
		if (row->alias != NULL)
			names[n++] = row->alias;
	}
	found = str_nearest(text, names, n);
	free(names);
	/* A word that would have to change altogether was not meant. */
	return found != NULL && str_distance(text, found) < strlen(text) ? found : NULL;
}

int
options_refuse_name(struct options *o, const char *where, const char *name, int status,
	struct error *e)
{
	const char *meant = options_nearest(o, name);
	struct value v = { .where = (char *)where };
	char quoted[128], origin[200] = "";
	const char *colon = where != NULL ? ": " : "";

	if (where != NULL)
		value_origin(origin, sizeof(origin), &v, SOURCE_FILE, true);
	value_quote(quoted, sizeof(quoted), name);
	if (meant == NULL)
		return error_set(e, status, -ENOENT, "%s%sthere is no option %s", origin, colon,
			quoted);
	return error_set(e, status, -ENOENT, "%s%sthere is no option %s; did you mean %s?", origin,
		colon, quoted, meant);
}

/* ---- values ---- */

static void
forget_undo(struct options *o)
{
	if (o->undo.entry != NULL)
		entry_forget(o, o->undo.entry, &o->undo.before);
	o->undo = (struct undo){ 0 };
}

/* Gives the value in a way that options_take_back() can undo. */
static int
change(struct options *o, struct entry *entry, enum source source, const char *where,
	const char *text)
{
	struct given *g = &entry->given[source];
	bool replaces = g->count > 0 && entry->row->type != TEND_OPTION_LIST;
	struct undo u = { .entry = entry, .source = source, .count = g->count };
	int r;

	forget_undo(o);
	/* A server that says the same again and again must not grow. */
	if (replaces && strcmp(g->values[0].text, text) == 0)
		return 0;
	if (replaces) {
		u.before = g->values[0];
		u.count = g->count = 0;
	}
	o->undo = u;
	r = entry_give(o, entry, source, where, text);
	if (r < 0)
		options_take_back(o);
	return r;
}

int
options_set(struct options *o, enum source source, const char *where, const char *name,
	const char *value, struct error *e)
{
	struct entry *entry = options_find(o, name, strlen(name));

	if (entry == NULL)
		return options_refuse_name(o, where, name,
			source == SOURCE_COMMAND_LINE ? EX_USAGE : EX_CONFIG, e);
	return change(o, entry, source, where, value) < 0 ? options_no_memory(e) : 0;
}

void
options_take_back(struct options *o)
{
	struct undo *u = &o->undo;
	struct given *g;

	if (u->entry == NULL)
		return;
	entry_cut(o, u->entry, u->source, u->count);
	g = &u->entry->given[u->source];
	if (u->before.text != NULL)
		g->values[g->count++] = u->before;
	*u = (struct undo){ 0 };
}

int
options_from_pairs(struct options *o, enum source source, const char *const *pairs,
	struct error *e)
{
	char quoted[128];

	for (; pairs != NULL && pairs[0] != NULL; pairs += 2) {
		struct entry *entry = options_find(o, pairs[0], strlen(pairs[0]));

		if (pairs[1] == NULL)
			return error_set(e, EX_SOFTWARE, -EINVAL, "the option %s has no value in a "
				"list of names and values",
				value_quote(quoted, sizeof(quoted), pairs[0]));
		if (entry != NULL && entry_give(o, entry, source, NULL, pairs[1]) < 0)
			return options_no_memory(e);
	}
	return 0;
}

int
options_set_defaults(struct options *o, const char *const *pairs)
{
	for (; pairs[0] != NULL; pairs += 2) {
		struct entry *entry = options_find(o, pairs[0], strlen(pairs[0]));

		if (entry == NULL || pairs[1] == NULL)
			return -ENOENT;
		entry_cut(o, entry, SOURCE_BUILT_IN, 0);
		if (entry_give(o, entry, SOURCE_BUILT_IN, NULL, pairs[1]) < 0)
			return -ENOMEM;
	}
	return 0;
}

/* ---- code ---- */

/* A number of struct tend_config as text, whatever the locale: conversion is not this place's. */
static void
write_number(char *into, size_t size, double n)
{
	double amount = n < 0 ? -n : n;
	long long whole, billionths;
	size_t length;

	if (!(amount < 1e15)) {
		snprintf(into, size, "%.0f", n);
		return;
	}
	whole = (long long)amount;
	billionths = (long long)((amount - (double)whole) * 1e9 + 0.5);
	if (billionths >= 1000000000) {
		whole++;
		billionths -= 1000000000;
	}
	snprintf(into, size, "%s%lld.%09lld", n < 0 ? "-" : "", whole, billionths);
	length = strlen(into);
	while (into[length - 1] == '0')
		length--;
	into[length - (into[length - 1] == '.')] = '\0';
}

/* The text of a member, NULL when it is zero. Numbers are written into `number`. */
static const char *
code_text(const struct row *row, const struct tend_config *code, char *number, size_t size)
{
	const void *member = (const char *)code + row->code;
	double n;

	switch (row->type) {
	case TEND_OPTION_TEXT:
	case TEND_OPTION_LIST:
		return *(const char *const *)member;
	case TEND_OPTION_BOOL:
		return *(const bool *)member ? "1" : NULL;
	case TEND_OPTION_INT:
		n = *(const int *)member;
		break;
	default:
		n = *(const double *)member;
		break;
	}
	if (n == 0)
		return NULL;
	if (n == TEND_NONE && !(row->flags & ROW_SIGNED))
		return "0";
	write_number(number, size, n);
	return number;
}

int
options_from_code(struct options *o, const struct tend_config *code, struct error *e)
{
	char number[400];
	size_t i;
	int r;

	for (i = 0; i < o->count; i++) {
		struct entry *entry = &o->entries[i];
		const char *text;

		if (entry->row->code == ROW_NOWHERE)
			continue;
		text = code_text(entry->row, code, number, sizeof(number));
		if (text == NULL)
			continue;
		if ((entry->row->flags & ROW_CODE_SPLIT) != 0)
			r = entry_give_split(o, entry, SOURCE_CODE, NULL, text, ",");
		else
			r = entry_give(o, entry, SOURCE_CODE, NULL, text);
		if (r < 0)
			return options_no_memory(e);
	}
	o->listen_at = code->listen_at;
	return 0;
}

/* ---- asking ---- */

const char *
options_get(struct options *o, const char *name)
{
	struct entry *entry = options_find(o, name, strlen(name));
	const struct given *g;
	enum source source;
	size_t i;

	if (entry == NULL)
		return NULL;
	buf_clear(&o->answer);
	if (buf_append_text(&o->answer, "") < 0) /* ends what the last call left */
		return "";
	g = entry_winner(entry, &source);
	for (i = 0; g != NULL && i < g->count; i++)
		if (buf_printf(&o->answer, "%s%s", i > 0 ? ", " : "", g->values[i].text) < 0)
			return "";
	return buf_data(&o->answer);
}

enum source
options_source(struct options *o, const char *name)
{
	struct entry *entry = options_find(o, name, strlen(name));
	enum source source = SOURCE_BUILT_IN;

	if (entry != NULL)
		entry_winner(entry, &source);
	return source;
}

enum live
options_live(const struct options *o, const char *name)
{
	const struct entry *entry = options_find(o, name, strlen(name));

	if (entry == NULL || (entry->row->flags & ROW_IGNORED))
		return LIVE_UNKNOWN;
	if (entry->row->flags & ROW_LIVE)
		return LIVE_NOW;
	return entry->row->flags & ROW_LIVE_WORKERS ? LIVE_FOR_NEW_WORKERS : LIVE_NOT;
}

void
options_notes(struct options *o, void (*say)(void *data, const char *note), void *data)
{
	char text[400], origin[200];
	size_t i;

	for (i = 0; i < o->count; i++) {
		const struct row *row = o->entries[i].row;
		enum source source;
		const struct given *g = entry_winner(&o->entries[i], &source);

		if ((row->flags & ROW_IGNORED) == 0 || row->reason == NULL || g == NULL)
			continue;
		value_origin(origin, sizeof(origin), &g->values[g->count - 1], source, true);
		snprintf(text, sizeof(text), "%s: %s", origin, row->reason);
		say(data, text);
	}
}
