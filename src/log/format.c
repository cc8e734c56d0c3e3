/* The formats of a line: what stands around its text. */
#include "log/format.h"

#include <stdio.h>
#include <string.h>
#include <strings.h>
#include <unistd.h>

#include "log/line.h"

#define SERVER_MAX 64  /* of the server's name, escaped */
#define CLIENT_MAX 240 /* of an address, which may be a path that the client chose */

const char *
format_level(enum tend_log_level level)
{
	static const char *const names[] = { "error", "warning", "notice", "info", "debug" };

	return names[level <= TEND_LOG_DEBUG ? level : TEND_LOG_DEBUG];
}

/* ---- text ---- */

static size_t
text_head(char *at, const struct format_facts *facts)
{
	(void)facts;
	line_time(at, time(NULL));
	at[LINE_TIME] = ' ';
	return LINE_TIME + 1;
}

static size_t
text_tail(char *at)
{
	return (size_t)snprintf(at, FORMAT_TAIL_MAX, " [%d]", (int)getpid());
}

/* ---- json and logfmt ---- */

static char *
put(char *at, const char *text)
{
	size_t length = strlen(text);

	memcpy(at, text, length);
	return at + length;
}

static char *
put_time(char *at)
{
	struct timespec now;

	clock_gettime(CLOCK_REALTIME, &now);
	line_time_iso(at, &now);
	return at + LINE_TIME_ISO;
}

/* `before`, the value made safe, and the quote that ends it. */
static char *
put_value(char *at, const char *before, const char *value, size_t max)
{
	at = put(at, before);
	at += line_text(at, max, true, "%s", value);
	return put(at, "\"");
}

static char *
put_pid(char *at, const char *before)
{
	at = put(at, before);
	return at + snprintf(at, FORMAT_TAIL_MAX, "%d", (int)getpid());
}

static size_t
json_head(char *line, const struct format_facts *facts)
{
	char *at = put_time(put(line, "{\"time\":\""));

	at = put(put(at, "\",\"level\":\""), format_level(facts->level));
	at = put_pid(at, "\",\"pid\":");
	at = put_value(at, ",\"server\":\"", facts->server, SERVER_MAX);
	if (facts->client != NULL)
		at = put_value(at, ",\"client\":\"", facts->client, CLIENT_MAX);
	return (size_t)(put(at, ",\"message\":\"") - line);
}

static size_t
json_tail(char *at)
{
	return (size_t)(put(at, "\"}") - at);
}

static size_t
logfmt_head(char *line, const struct format_facts *facts)
{
	char *at = put_time(put(line, "time="));

	at = put(put(at, " level="), format_level(facts->level));
	at = put_pid(at, " pid=");
	at = put_value(at, " server=\"", facts->server, SERVER_MAX);
	if (facts->client != NULL)
		at = put_value(at, " client=\"", facts->client, CLIENT_MAX);
	return (size_t)(put(at, " message=\"") - line);
}

static size_t
logfmt_tail(char *at)
{
	return (size_t)(put(at, "\"") - at);
}

/* ---- the table ---- */

const struct format format_text = { .name = "text", .head = text_head, .tail = text_tail };

/* For sinks that tell time and process in ways of their own. */
const struct format format_bare = { .name = "bare" };

static const struct format format_json = {
	.name = "json", .quoted = true, .asks = true, .head = json_head, .tail = json_tail,
};

static const struct format format_logfmt = {
	.name = "logfmt", .quoted = true, .asks = true, .head = logfmt_head, .tail = logfmt_tail,
};

const struct format *
format_find(const char *name)
{
	static const struct format *const all[] = { &format_text, &format_json, &format_logfmt };
	size_t i;

	for (i = 0; i < sizeof(all) / sizeof(all[0]); i++)
		if (strcasecmp(name, all[i]->name) == 0)
			return all[i];
	return NULL;
}
