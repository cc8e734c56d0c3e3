/*
 * What the table tells people: --help, `dump`, the manual and the words for shell completion.
 */
#include <ctype.h>
#include <stdio.h>
#include <string.h>

#include "config/values.h"

#define WIDTH 80
#define HELP_COLUMN 26

/* ---- dump ---- */

/* As the conf file wants it: "#" escaped. A control character would make a second line. */
static void
dump_text(const char *text, FILE *out)
{
	for (; *text != '\0'; text++) {
		if (iscntrl((unsigned char)*text))
			fprintf(out, "%%%02X", (unsigned char)*text);
		else if (*text == '#')
			fputs("\\#", out);
		else
			fputc(*text, out);
	}
}

static void
dump_value(const struct row *row, const struct value *v, enum source source, FILE *out)
{
	char origin[200];

	fprintf(out, "%s = ", row->name);
	dump_text(v->text, out);
	fprintf(out, "   # %s\n", value_origin(origin, sizeof(origin), v, source, false));
}

void
options_dump(struct options *o, FILE *out)
{
	size_t i, n;

	for (i = 0; i < o->count; i++) {
		const struct row *row = o->entries[i].row;
		enum source source;
		const struct given *g = entry_winner(&o->entries[i], &source);

		if (g == NULL && row_is_live(row))
			fprintf(out, "%s =   # default\n", row->name);
		for (n = 0; g != NULL && n < g->count; n++)
			dump_value(row, &g->values[n], source, out);
	}
}

/* ---- help ---- */

/* Words from `column` on, further lines from `indent`; ends the line. */
static void
print_wrapped(FILE *out, const char *text, int indent, int column)
{
	bool first = true;

	for (;;) {
		int size;

		text += strspn(text, " \t\r\n");
		size = (int)strcspn(text, " \t\r\n");
		if (size == 0)
			break;
		if (size > WIDTH - indent)
			size = WIDTH - indent;
		if (!first && column + 1 + size > WIDTH) {
			fprintf(out, "\n%*s", indent, "");
			column = indent;
			first = true;
		}
		fprintf(out, "%s%.*s", first ? "" : " ", size, text);
		column += size + !first;
		first = false;
		text += size;
	}
	fputc('\n', out);
}

/* What holds when nobody says otherwise: in words, or of this personality. */
static const char *
default_text(const struct entry *entry)
{
	const struct given *g = &entry->given[SOURCE_BUILT_IN];
	const struct row *row = entry->row;

	/* The words tell of the table's own value, not of one that took its place. */
	if (row->standard != NULL && (g->count == 0 || (row->value != NULL && g->count == 1 &&
	    strcmp(g->values[0].text, row->value) == 0)))
		return row->standard;
	if (g->count == 0 || row->type == TEND_OPTION_BOOL || g->values[0].text[0] == '\0')
		return NULL;
	return g->values[0].text;
}

static void
print_usage_of(const struct entry *entry, FILE *out)
{
	const struct row *row = entry->row;
	const char *standard = default_text(entry);
	struct buf help = { 0 };
	int column = fprintf(out, "  --%s%s%s", row->name, row->unit != NULL ? " " : "",
		row->unit != NULL ? row->unit : "");

	if (column > HELP_COLUMN - 2) {
		fputc('\n', out);
		column = 0;
	}
	fprintf(out, "%*s", HELP_COLUMN - column, "");
	buf_append_text(&help, row->help != NULL ? row->help : "");
	if (row->alias != NULL)
		buf_printf(&help, " Also --%s.", row->alias);
	if (standard != NULL)
		buf_printf(&help, " (default: %s)", standard);
	print_wrapped(out, buf_data(&help), HELP_COLUMN, HELP_COLUMN);
	buf_done(&help);
}

void
options_usage(struct options *o, FILE *out)
{
	enum row_group group;
	bool any_group = false;
	size_t i;

	for (group = 0; group < GROUP_COUNT; group++) {
		bool titled = false;

		for (i = 0; i < o->count; i++) {
			const struct row *row = o->entries[i].row;

			if (row->group != group || !row_is_live(row))
				continue;
			if (!titled)
				fprintf(out, "%s%s:\n", any_group ? "\n" : "",
					row_group_title(group));
			titled = any_group = true;
			print_usage_of(&o->entries[i], out);
		}
	}
}

/* ---- manual ---- */

/* Text in the language of scdoc: its marks lose their meaning. */
static void
print_plain(const char *text, FILE *out)
{
	for (; *text != '\0'; text++) {
		if (strchr("*_\\#+`[]<>|", *text) != NULL)
			fputc('\\', out);
		fputc(*text, out);
	}
}

static void
manual_row(const struct row *row, FILE *out)
{
	const char *standard = row->standard != NULL ? row->standard : row->value;

	fputc('*', out);
	print_plain(row->name, out);
	fputc('*', out);
	if (row->unit != NULL) {
		fputs(" _", out);
		print_plain(row->unit, out);
		fputc('_', out);
	}
	fputs("\n\t", out);
	print_plain(row->help, out);
	if (row->alias != NULL) {
		fputs(" Another name for it is *", out);
		print_plain(row->alias, out);
		fputs("*.", out);
	}
	if (row->type == TEND_OPTION_BOOL)
		standard = "off";
	if (standard != NULL) {
		fputs(" Default: ", out);
		print_plain(standard, out);
		fputc('.', out);
	}
	fputs("\n\n", out);
}

/* The names that are known and not honoured, with the same reason together. */
static void
manual_names(unsigned flag, const char *introduction, FILE *out)
{
	const char *reason = NULL;
	bool first = true;
	size_t i;

	fprintf(out, "%s", introduction);
	for (i = 0; i < option_row_count; i++) {
		const struct row *row = &option_rows[i];

		if ((row->flags & flag) == 0)
			continue;
		if (flag == ROW_RESERVED && row->reason != reason) {
			reason = row->reason;
			fputs("\n\n", out);
			print_plain(reason, out);
			fputs(":", out);
			first = true;
		}
		fputs(first ? " *" : ", *", out);
		print_plain(row->name, out);
		fputc('*', out);
		first = false;
	}
	fputs("\n\n", out);
}

void
options_manual(FILE *out)
{
	enum row_group group;
	size_t i;

	for (group = GROUP_WHERE_TO_LISTEN; group < GROUP_COUNT; group++) {
		fprintf(out, "## %s\n\n", row_group_title(group));
		for (i = 0; i < option_row_count; i++)
			if (option_rows[i].group == group && row_is_live(&option_rows[i]))
				manual_row(&option_rows[i], out);
	}
	fputs("## Names without effect\n\n", out);
	manual_names(ROW_IGNORED, "Accepted, so that files written for Net::Server can be read:",
		out);
	manual_names(ROW_RESERVED, "Known, but not to be had here. Giving one of these a value "
		"other than 0 or nothing is an error, so that no one relies on it in vain.", out);
}

/* ---- completion ---- */

void
options_completion(FILE *out)
{
	size_t i;

	for (i = 0; i < option_row_count; i++) {
		if (!row_is_live(&option_rows[i]))
			continue;
		fprintf(out, "%s\n", option_rows[i].name);
		if (option_rows[i].alias != NULL)
			fprintf(out, "%s\n", option_rows[i].alias);
	}
}
