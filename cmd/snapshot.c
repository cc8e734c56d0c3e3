/* Lines "key value" become members. */
#include "snapshot.h"

#include <errno.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define TEXT(member) { #member, offsetof(struct snapshot, member) }

static const struct {
	const char *key;
	size_t      offset;
} texts[] = {
	TEXT(server), TEXT(version), TEXT(server_type), TEXT(state), TEXT(ready), TEXT(began_by),
}, numbers[] = {
	TEXT(max_servers), TEXT(waiting), TEXT(busy), TEXT(leaving), TEXT(dequeue),
	TEXT(threads_waiting), TEXT(threads_busy), TEXT(accepted), TEXT(active), TEXT(denied_rules),
	TEXT(denied_service), TEXT(handshake_failed), TEXT(refused_max_servers),
	TEXT(refused_max_connections), TEXT(refused_max_per_source), TEXT(refused_source_rate),
	TEXT(timed_out), TEXT(accept_errors), TEXT(bytes_received), TEXT(bytes_sent),
};

#define COUNT(array) (sizeof(array) / sizeof((array)[0]))

/* The next word of the line, ended; "" when there is none. */
static char *
word(char **line)
{
	char *start = *line, *end = start + strcspn(start, " ");

	*line = *end == '\0' ? end : end + 1;
	*end = '\0';
	return start;
}

static int
take_child(struct snapshot *s, char *line, bool is_thread)
{
	struct shown_child *c = realloc(s->children, (s->child_count + 1) * sizeof(*c));

	if (c == NULL)
		return -ENOMEM;
	s->children = c;
	c += s->child_count++;
	*c = (struct shown_child){ .pid = strtol(word(&line), NULL, 10), .thread = -1 };
	c->kind = word(&line);
	if (is_thread)
		c->thread = (int)strtol(c->kind, NULL, 10);
	c->state = word(&line);
	c->age = strtod(word(&line), NULL);
	c->since = strtod(word(&line), NULL);
	c->clients = (unsigned)strtoul(word(&line), NULL, 10);
	c->served = strtoull(word(&line), NULL, 10);
	c->client = word(&line);
	return 0;
}

static void
take_figure(struct snapshot *s, const char *key, const char *value)
{
	unsigned long long number = strtoull(value, NULL, 10);
	size_t i;

	for (i = 0; i < COUNT(texts); i++)
		if (strcmp(key, texts[i].key) == 0)
			memcpy((char *)s + texts[i].offset, &value, sizeof(value));
	for (i = 0; i < COUNT(numbers); i++)
		if (strcmp(key, numbers[i].key) == 0)
			memcpy((char *)s + numbers[i].offset, &number, sizeof(number));
	if (strcmp(key, "pid") == 0)
		s->pid = strtol(value, NULL, 10);
	if (strcmp(key, "uptime") == 0)
		s->uptime = strtod(value, NULL);
	if (strcmp(key, "endpoint") == 0 && s->endpoint_count < SNAPSHOT_ENDPOINTS)
		s->endpoints[s->endpoint_count++] = value;
}

int
snapshot_take(struct snapshot *s, char *text)
{
	char *line, *rest = text;
	int r = 0;

	*s = (struct snapshot){
		.server = "", .version = "", .server_type = "", .state = "", .ready = "", .began_by = "",
	};
	while (r == 0 && (line = strsep(&rest, "\n")) != NULL) {
		char *key = word(&line);

		if (strcmp(key, "child") == 0 || strcmp(key, "thread") == 0)
			r = take_child(s, line, strcmp(key, "thread") == 0);
		else
			take_figure(s, key, line);
	}
	return r;
}

void
snapshot_done(struct snapshot *s)
{
	free(s->children);
	s->children = NULL;
	s->child_count = 0;
}

int
snapshot_rank(const struct shown_child *c)
{
	return strcmp(c->state, "busy") == 0 ? 0 : strcmp(c->state, "leaving") == 0 ? 1 : 2;
}

const char *
duration_text(char into[16], double seconds)
{
	unsigned long whole = seconds > 0 && seconds < 1e9 ? (unsigned long)seconds : 0;

	if (whole < 60)
		snprintf(into, 16, "%.1fs", seconds > 0 && seconds < 60 ? seconds : 0);
	else if (whole < 3600)
		snprintf(into, 16, "%lum%02lus", whole / 60, whole % 60);
	else if (whole < 86400)
		snprintf(into, 16, "%luh%02lum", whole / 3600, whole / 60 % 60);
	else
		snprintf(into, 16, "%lud%02luh", whole / 86400 % 10000, whole / 3600 % 24);
	return into;
}
