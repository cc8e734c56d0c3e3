/*
 * From text to values: what each type of option accepts, and the sentences for what it does not.
 * Nothing is written before everything has been checked.
 */
#include <errno.h>
#include <float.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "base/str.h"
#include "config/values.h"

/* The value of one option; which member counts is a matter of the row's type. */
struct converted {
	bool             given; /* there is a value, the default's at least */
	bool             truth;
	long             whole;
	double           real;
	const char      *text;
	struct tend_list list;
};

/* What is wrong with a value and who said it. */
struct place {
	const struct row   *row;
	const struct value *value;
	enum source         source;
};

/* ---- sentences ---- */

/* `wanted` completes the sentence: "is not a whole number from 0 to 9". */
static int
refuse(const struct place *at, struct error *e, const char *wanted)
{
	char origin[200], quoted[128];

	return error_set(e, at->source == SOURCE_COMMAND_LINE ? EX_USAGE : EX_CONFIG, -EINVAL,
		"option %s (%s): %s is %s", at->row->name,
		value_origin(origin, sizeof(origin), at->value, at->source, true),
		value_quote(quoted, sizeof(quoted), at->value->text), wanted);
}

static int
refuse_number(const struct place *at, struct error *e, const char *what, double min, double max)
{
	char wanted[128];

	snprintf(wanted, sizeof(wanted), "not %s from %.0f to %.0f", what, min, max);
	return refuse(at, e, wanted);
}

static int
refuse_word(const struct place *at, struct error *e)
{
	const char *const *words = at->row->words;
	struct buf wanted = { 0 };
	const char *meant;
	size_t n;
	int r;

	buf_append_text(&wanted, "none of ");
	/* The empty one, if there is one, is the last: it need not be told. */
	for (n = 0; words[n] != NULL && words[n][0] != '\0'; n++)
		buf_printf(&wanted, "%s%s", n > 0 ? ", " : "", words[n]);
	meant = str_nearest(at->value->text, words, n);
	if (meant != NULL)
		buf_printf(&wanted, "; did you mean %s?", meant);
	r = refuse(at, e, buf_data(&wanted));
	buf_done(&wanted);
	return r;
}

/* This build cannot do what a known option asks for. */
static int
refuse_reserved(const struct place *at, struct error *e)
{
	char origin[200];

	return error_set(e, EX_CONFIG, -EINVAL, "option %s (%s): %s", at->row->name,
		value_origin(origin, sizeof(origin), at->value, at->source, true), at->row->reason);
}

/* ---- types ---- */

static const char *
find_word(const char *const *words, const char *text)
{
	for (; *words != NULL; words++)
		if (strcasecmp(*words, text) == 0)
			return *words;
	return NULL;
}

/* NS-OPT-41: what is no whole number is the default; what is too much is the most there is. */
static long
level_of(const char *text)
{
	long level;
	int r = str_to_long(text, 0, LONG_MAX, &level);

	if (r == -ERANGE && text[0] != '-')
		return 4;
	if (r < 0)
		return 2;
	return level > 4 ? 4 : level;
}

static int
convert_whole(const struct place *at, struct converted *c, struct error *e)
{
	const struct row *row = at->row;
	long min = INT_MIN, max = INT_MAX;
	int r;

	if (row->into == NULL) {
		min = (long)row->min;
		max = (long)row->max;
	} else if (row->type == TEND_OPTION_UNSIGNED) {
		min = 0;
		max = UINT_MAX < LONG_MAX ? (long)UINT_MAX : LONG_MAX;
	} else if (row->type == TEND_OPTION_LONG) {
		min = LONG_MIN;
		max = LONG_MAX;
	}
	/* A built-in 0 may stand for a default that only the personality knows. */
	if (at->source == SOURCE_BUILT_IN && row->into == NULL)
		min = 0;
	r = str_to_long(at->value->text, min, max, &c->whole);
	if (r == 0)
		return 0;
	if (min == LONG_MIN && r == -EINVAL)
		return refuse(at, e, "not a whole number");
	return refuse_number(at, e, "a whole number", (double)min, (double)max);
}

static int
convert_real(const struct place *at, struct converted *c, struct error *e)
{
	const struct row *row = at->row;
	double min = row->into == NULL ? row->min : -DBL_MAX;
	double max = row->into == NULL ? row->max : DBL_MAX;
	int r = str_to_double(at->value->text, min, max, &c->real);

	if (r == 0)
		return 0;
	if (row->into != NULL)
		return refuse(at, e, "not a number");
	return refuse_number(at, e, "a number", min, max);
}

static int
convert_text(const struct place *at, struct converted *c, struct error *e)
{
	const struct row *row = at->row;

	c->text = at->value->text;
	if (row->words != NULL) {
		c->text = find_word(row->words, c->text);
		return c->text != NULL ? 0 : refuse_word(at, e);
	}
	if (row->reserved != NULL && find_word(row->reserved, c->text) != NULL)
		return refuse_reserved(at, e);
	/* An empty text of the table says "none", as false words do of flags (NS-OPT-07, -42). */
	if (row->into == NULL && c->text[0] == '\0')
		c->text = NULL;
	return 0;
}

static int
convert_one(const struct place *at, struct converted *c, struct error *e)
{
	switch (at->row->type) {
	case TEND_OPTION_BOOL:
		if (str_to_bool(at->value->text, &c->truth) == 0)
			return 0;
		return refuse(at, e, "neither 1, yes, true, on nor 0, no, false, off");
	case TEND_OPTION_INT:
	case TEND_OPTION_UNSIGNED:
	case TEND_OPTION_LONG:
		if ((at->row->flags & ROW_LEVEL) == 0)
			return convert_whole(at, c, e);
		c->whole = level_of(at->value->text);
		return 0;
	case TEND_OPTION_DOUBLE:
		return convert_real(at, c, e);
	default:
		return convert_text(at, c, e);
	}
}

/* ---- lists ---- */

/* A value of an option that splits its text is empty when the text held none. */
static bool
is_item(const struct row *row, const struct value *v)
{
	return (row->flags & ROW_SPLIT) == 0 || v->text[0] != '\0';
}

static bool
items_are(const struct entry *entry, const struct given *g)
{
	size_t n = 0, i;

	for (i = 0; i < g->count; i++)
		if (is_item(entry->row, &g->values[i]) &&
		    (n >= entry->item_count || entry->items[n++] != g->values[i].text))
			return false;
	return n == entry->item_count;
}

/* Makes entry->items those of `g`. An array that is as it should be stays where it is. */
static int
remake_items(struct options *o, struct entry *entry, const struct given *g)
{
	const char **items;
	size_t n = 0, i;

	if (items_are(entry, g))
		return 0;
	items = kept_new(g->count * sizeof(*items));
	if (items == NULL)
		return -ENOMEM;
	for (i = 0; i < g->count; i++)
		if (is_item(entry->row, &g->values[i]))
			items[n++] = g->values[i].text;
	options_retire(o, entry->items);
	entry->items = items;
	entry->item_count = n;
	return 0;
}

static int
convert_list(struct options *o, struct entry *entry, const struct given *g,
	const struct place *at, struct converted *c, struct error *e)
{
	if (remake_items(o, entry, g) < 0)
		return options_no_memory(e);
	if (entry->item_count == 0 && entry->row->value != NULL)
		return refuse(at, e, "not a name");
	c->list = (struct tend_list){ .count = entry->item_count, .items = entry->items };
	return 0;
}

/* ---- all ---- */

/* True when a reserved option asks for something. */
static bool
asks(const struct row *row, const struct value *v)
{
	bool truth;

	if (row->words != NULL && find_word(row->words, v->text) != NULL)
		return false;
	return str_to_bool(v->text, &truth) < 0 || truth;
}

static int
convert(struct options *o, struct entry *entry, struct converted *c, struct error *e)
{
	const struct row *row = entry->row;
	struct place at = { .row = row };
	const struct given *g = entry_winner(entry, &at.source);

	if (g == NULL || (row->flags & ROW_IGNORED) != 0)
		return 0;
	at.value = &g->values[g->count - 1];
	if ((row->flags & ROW_RESERVED) != 0)
		return asks(row, at.value) ? refuse_reserved(&at, e) : 0;
	c->given = true;
	if (row->type == TEND_OPTION_LIST)
		return convert_list(o, entry, g, &at, c, e);
	return convert_one(&at, c, e);
}

static void
store(enum tend_option_type type, void *into, const struct converted *c)
{
	switch (type) {
	case TEND_OPTION_TEXT:
		*(const char **)into = c->text;
		break;
	case TEND_OPTION_LIST:
		*(struct tend_list *)into = c->list;
		break;
	case TEND_OPTION_BOOL:
		*(bool *)into = c->truth;
		break;
	case TEND_OPTION_INT:
		*(int *)into = (int)c->whole;
		break;
	case TEND_OPTION_UNSIGNED:
		*(unsigned *)into = (unsigned)c->whole;
		break;
	case TEND_OPTION_LONG:
		*(long *)into = c->whole;
		break;
	case TEND_OPTION_DOUBLE:
		*(double *)into = c->real;
		break;
	case TEND_OPTION_NONE:
		break;
	}
}

int
options_resolve(struct options *o, struct settings *s, struct error *e)
{
	struct converted *all = calloc(o->count, sizeof(*all));
	size_t i;
	int r = 0;

	if (all == NULL)
		return options_no_memory(e);
	for (i = 0; i < o->count && r == 0; i++)
		r = convert(o, &o->entries[i], &all[i], e);
	if (r < 0)
		goto free_all;
	memset(s, 0, sizeof(*s));
	s->value.listen_at = o->listen_at;
	for (i = 0; i < o->count; i++) {
		const struct row *row = o->entries[i].row;

		if (row->setting != ROW_NOWHERE)
			store(row->type, (char *)s + row->setting, &all[i]);
		else if (row->into != NULL && all[i].given)
			store(row->type, row->into, &all[i]);
	}
	o->handed_out = true;
free_all:
	free(all);
	return r;
}

int
row_check_default(const struct row *row, struct error *e)
{
	struct value v = { .text = (char *)row->value };
	struct place at = { .row = row, .value = &v, .source = SOURCE_BUILT_IN };
	struct converted c;

	if (row->value == NULL || row->type == TEND_OPTION_LIST)
		return 0;
	return convert_one(&at, &c, e);
}
