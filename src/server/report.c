/* Where the punctuation of both forms is. */
#include "server/report.h"

static void put(struct report *rep, const char *format, ...) TEND_PRINTF(2, 3);

static void
put(struct report *rep, const char *format, ...)
{
	va_list args;

	va_start(args, format);
	if (rep->r == 0)
		rep->r = buf_vprintf(rep->into, format, args);
	va_end(args);
}

void
report_begin(struct report *rep, struct buf *into, bool json)
{
	*rep = (struct report){ .into = into, .json = json };
	if (json)
		put(rep, "{");
}

int
report_end(struct report *rep)
{
	if (rep->json)
		put(rep, "}\n");
	return rep->r;
}

/* ---- values ---- */

static void
before_value(struct report *rep, const char *name)
{
	if (rep->json)
		put(rep, "%s\"%s\":", rep->begun ? "," : "", name);
	else if (rep->in_record)
		put(rep, " ");
	else
		put(rep, "%s ", name);
	rep->begun = true;
}

static void
after_value(struct report *rep)
{
	if (!rep->json && !rep->in_record)
		put(rep, "\n");
}

/* Bytes that may stand in a string of JSON as they are. */
static size_t
plain_length(const char *text)
{
	size_t n = 0;

	while ((unsigned char)text[n] >= ' ' && text[n] != '"' && text[n] != '\\' && text[n] != 127)
		n++;
	return n;
}

static void
put_quoted(struct report *rep, const char *text)
{
	size_t n = plain_length(text);

	put(rep, "\"%.*s", (int)n, text);
	for (text += n; *text != '\0'; text += n) {
		n = plain_length(text + 1);
		put(rep, "\\u%04x%.*s", (unsigned char)*text, (int)n, text + 1);
		n++;
	}
	put(rep, "\"");
}

void
report_text(struct report *rep, const char *name, const char *text)
{
	before_value(rep, name);
	if (text == NULL)
		put(rep, "%s", rep->json ? "null" : "-");
	else if (rep->json)
		put_quoted(rep, text);
	else
		put(rep, "%s", text);
	after_value(rep);
}

void
report_number(struct report *rep, const char *name, uint64_t number)
{
	before_value(rep, name);
	put(rep, "%llu", (unsigned long long)number);
	after_value(rep);
}

void
report_seconds(struct report *rep, const char *name, double seconds)
{
	before_value(rep, name);
	put(rep, "%.3f", seconds);
	after_value(rep);
}

void
report_answer(struct report *rep, const char *name, const char *why_name, const char *why)
{
	before_value(rep, name);
	if (rep->json) {
		put(rep, "%s", why == NULL ? "true" : "false");
		report_text(rep, why_name, why);
		return;
	}
	put(rep, "%s%s", why == NULL ? "yes" : "no ", why == NULL ? "" : why);
	after_value(rep);
}

/* ---- lists ---- */

void
report_list(struct report *rep, const char *name)
{
	if (rep->json) {
		before_value(rep, name);
		put(rep, "[");
	}
	rep->begun = false;
}

void
report_record(struct report *rep, const char *what)
{
	if (rep->json)
		put(rep, rep->begun ? ",{" : "{");
	else
		put(rep, "%s", what);
	rep->in_record = true;
	rep->begun = false;
}

void
report_record_end(struct report *rep)
{
	put(rep, rep->json ? "}" : "\n");
	rep->in_record = false;
	rep->begun = true;
}

void
report_list_end(struct report *rep)
{
	if (rep->json)
		put(rep, "]");
	rep->begun = true;
}
