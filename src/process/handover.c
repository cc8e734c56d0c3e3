/*
 * The text of a handover: one item a line, its words separated by one blank, bytes that are not plain
 * written as %XX, "-" for a text that is empty. The first line names the version, the last says that
 * nothing is missing.
 */
#include "process/handover.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/buf.h"
#include "base/str.h"

#define FIRST_LINE "tend-handover 1"
#define LAST_LINE "end"
#define WORDS_MAX 12
#define FD_MAX (1 << 24)
#define COUNT(array) (sizeof(array) / sizeof((array)[0]))

void
handover_init(struct handover *h)
{
	*h = (struct handover){
		.image = -1, .log = -1, .pid_file = -1, .pid_file_directory = -1,
		.lifeline = { -1, -1 }, .conf = -1,
	};
}

static void
listener_done(struct handed_listener *l)
{
	free(l->proto);
	free(l->host);
	free(l->port);
	free(l->configured_port);
}

void
handover_done(struct handover *h)
{
	size_t i;

	for (i = 0; i < h->listener_count; i++)
		listener_done(&h->listeners[i]);
	free(h->listeners);
	free(h->children);
	free(h->program);
	free(h->reason);
	free(h->log_path);
	free(h->pid_file_path);
	free(h->conf_path);
	handover_init(h);
}

/* An array whose size is the next power of two, never less than four. */
static int
make_room(void **list, size_t count, size_t size)
{
	void *more;

	if (count >= 4 && (count & (count - 1)) != 0)
		return 0;
	if (count > 0 && count < 4)
		return 0;
	more = realloc(*list, (count > 0 ? 2 * count : 4) * size);
	if (more == NULL)
		return -ENOMEM;
	*list = more;
	return 0;
}

int
handover_add_listener(struct handover *h, const struct handed_listener *l)
{
	struct handed_listener copy = *l;
	void *list = h->listeners;
	int r = make_room(&list, h->listener_count, sizeof(*l));

	h->listeners = list;
	copy.proto = strdup(l->proto);
	copy.host = strdup(l->host);
	copy.port = strdup(l->port);
	copy.configured_port = strdup(l->configured_port);
	if (r < 0 || copy.proto == NULL || copy.host == NULL || copy.port == NULL ||
	    copy.configured_port == NULL) {
		listener_done(&copy);
		return -ENOMEM;
	}
	h->listeners[h->listener_count++] = copy;
	return 0;
}

int
handover_add_child(struct handover *h, pid_t pid, unsigned kind)
{
	void *list = h->children;
	int r = make_room(&list, h->child_count, sizeof(*h->children));

	h->children = list;
	if (r == 0)
		h->children[h->child_count++] = (struct handed_child){ .pid = pid, .kind = kind };
	return r;
}

/* ---- writing ---- */

static bool
is_plain(unsigned char c)
{
	return c > ' ' && c < 0x7f && c != '%';
}

static int
put_word(struct buf *b, const char *text)
{
	const unsigned char *p = (const unsigned char *)text;
	int r = buf_append_text(b, " ");

	if (*p == '\0')
		return r < 0 ? r : buf_append_text(b, "-");
	/* A text that begins so must not look like an empty one. */
	if (*p == '-' && r == 0) {
		r = buf_append_text(b, "%2D");
		p++;
	}
	for (; *p != '\0' && r == 0; p++)
		r = is_plain(*p) ? buf_append(b, p, 1) : buf_printf(b, "%%%02X", *p);
	return r;
}

static int
put_listener(struct buf *b, const struct handed_listener *l)
{
	int r = buf_printf(b, "listener %d %d %llu %llu %d %u", l->fd, l->directory,
	    (unsigned long long)l->device, (unsigned long long)l->inode, l->ours, l->ipv);

	if (r == 0)
		r = put_word(b, l->proto);
	if (r == 0)
		r = put_word(b, l->host);
	if (r == 0)
		r = put_word(b, l->port);
	if (r == 0)
		r = put_word(b, l->configured_port);
	return r < 0 ? r : buf_append_text(b, "\n");
}

/* A line of numbers and one text; nothing when the text is not there. */
static int
put_text(struct buf *b, const char *numbers, const char *text)
{
	int r = text != NULL ? buf_append_text(b, numbers) : 0;

	if (r == 0 && text != NULL)
		r = put_word(b, text);
	if (r == 0 && text != NULL)
		r = buf_append_text(b, "\n");
	return r;
}

static int
put_named(struct buf *b, const char *name, int fd, const char *text)
{
	char start[48];

	snprintf(start, sizeof(start), "%s %d", name, fd);
	return fd >= 0 ? put_text(b, start, text) : 0;
}

static int
put_all(struct buf *b, const struct handover *h)
{
	char pid_file[48];
	size_t i;
	int r;

	snprintf(pid_file, sizeof(pid_file), "pid_file %d %d", h->pid_file, h->pid_file_directory);
	if ((r = buf_printf(b, FIRST_LINE "\nkind %d\npid %ld\nblocked %llu\n", (int)h->kind, (long)h->pid,
	         (unsigned long long)h->blocked)) < 0 ||
	    (r = put_text(b, "program", h->program)) < 0 || (r = put_text(b, "reason", h->reason)) < 0 ||
	    (r = put_named(b, "log", h->log, h->log_path)) < 0 ||
	    (r = put_named(b, "conf", h->conf, h->conf_path)) < 0)
		return r;
	if (h->image >= 0 && (r = buf_printf(b, "image %d\n", h->image)) < 0)
		return r;
	if (h->pid_file >= 0 && (r = put_text(b, pid_file, h->pid_file_path)) < 0)
		return r;
	if (h->lifeline[0] >= 0 &&
	    (r = buf_printf(b, "lifeline %d %d\n", h->lifeline[0], h->lifeline[1])) < 0)
		return r;
	for (i = 0; r == 0 && i < h->listener_count; i++)
		r = put_listener(b, &h->listeners[i]);
	for (i = 0; r == 0 && i < h->child_count; i++)
		r = buf_printf(b, "child %ld %u\n", (long)h->children[i].pid, h->children[i].kind);
	return r < 0 ? r : buf_append_text(b, LAST_LINE "\n");
}

char *
handover_format(const struct handover *h)
{
	struct buf b = { 0 };
	char *text = put_all(&b, h) == 0 ? strdup(buf_data(&b)) : NULL;

	buf_done(&b);
	return text;
}

/* ---- reading ---- */

/* The words of one line, as they stand there; [0] is its name. */
struct line {
	char *words[WORDS_MAX];
	int   count;
	int   error; /* -EINVAL or -ENOMEM of the first word that was no good */
};

static long long
number(struct line *line, int i, long long min, long long max)
{
	const char *p = line->words[i];
	unsigned long long n = 0;
	bool negative = *p == '-';

	p += negative;
	if (*p == '\0' || strlen(p) > 19 || (*p == '0' && p[1] != '\0'))
		line->error = -EINVAL;
	for (; *p >= '0' && *p <= '9'; p++)
		n = n * 10 + (unsigned)(*p - '0');
	if (*p != '\0' || n > INT64_MAX || (negative && n == 0))
		line->error = -EINVAL;
	if (line->error == 0 && ((negative ? -(long long)n : (long long)n) < min ||
	        (negative ? -(long long)n : (long long)n) > max))
		line->error = -EINVAL;
	return line->error < 0 ? 0 : negative ? -(long long)n : (long long)n;
}

/* Numbers of the kernel that may use all 64 bits. */
static uint64_t
large_number(struct line *line, int i)
{
	const char *p = line->words[i];
	uint64_t n = 0;

	if (*p == '\0' || (*p == '0' && p[1] != '\0'))
		line->error = -EINVAL;
	for (; *p >= '0' && *p <= '9'; p++) {
		uint64_t digit = (uint64_t)(*p - '0');

		if (n > (UINT64_MAX - digit) / 10)
			line->error = -EINVAL;
		n = n * 10 + digit;
	}
	if (*p != '\0')
		line->error = -EINVAL;
	return n;
}

static int
descriptor(struct line *line, int i, bool may_be_none)
{
	long long fd = number(line, i, may_be_none ? -1 : 0, FD_MAX);

	/* Never one of the standard streams. */
	if (fd >= 0 && fd <= 2)
		line->error = -EINVAL;
	return (int)fd;
}

static int
hex_digit(char c)
{
	return c >= '0' && c <= '9' ? c - '0' : c >= 'A' && c <= 'F' ? c - 'A' + 10 : -1;
}

/* Undoes put_word() in place; -EINVAL for what it would not have written. */
static int
decode(char *word)
{
	char *to = word;

	if (strcmp(word, "-") == 0) {
		*word = '\0';
		return 0;
	}
	if (*word == '-' || *word == '\0')
		return -EINVAL;
	for (; *word != '\0'; word++, to++) {
		int high, low;

		*to = *word;
		if (*word != '%') {
			if (!is_plain((unsigned char)*word))
				return -EINVAL;
			continue;
		}
		high = hex_digit(word[1]);
		low = high >= 0 ? hex_digit(word[2]) : -1;
		if (low < 0 || high * 16 + low == 0)
			return -EINVAL;
		*to = (char)(high * 16 + low);
		word += 2;
	}
	*to = '\0';
	return 0;
}

static void
take_word(struct line *line, int i, char **into)
{
	free(*into);
	*into = NULL;
	if (decode(line->words[i]) < 0)
		line->error = -EINVAL;
	else if ((*into = strdup(line->words[i])) == NULL)
		line->error = -ENOMEM;
}

static void
take_kind(struct handover *h, struct line *line)
{
	h->kind = (enum handover_kind)number(line, 1, HANDOVER_TRIAL, HANDOVER_RETURN);
}

static void
take_pid(struct handover *h, struct line *line)
{
	h->pid = (pid_t)number(line, 1, 1, INT32_MAX);
}

static void
take_blocked(struct handover *h, struct line *line)
{
	h->blocked = large_number(line, 1);
}

static void
take_program(struct handover *h, struct line *line)
{
	take_word(line, 1, &h->program);
}

static void
take_reason(struct handover *h, struct line *line)
{
	take_word(line, 1, &h->reason);
}

static void
take_image(struct handover *h, struct line *line)
{
	h->image = descriptor(line, 1, false);
}

static void
take_log(struct handover *h, struct line *line)
{
	h->log = descriptor(line, 1, false);
	take_word(line, 2, &h->log_path);
}

static void
take_conf(struct handover *h, struct line *line)
{
	h->conf = descriptor(line, 1, false);
	take_word(line, 2, &h->conf_path);
}

static void
take_pid_file(struct handover *h, struct line *line)
{
	h->pid_file = descriptor(line, 1, false);
	h->pid_file_directory = descriptor(line, 2, false);
	take_word(line, 3, &h->pid_file_path);
}

static void
take_lifeline(struct handover *h, struct line *line)
{
	h->lifeline[0] = descriptor(line, 1, false);
	h->lifeline[1] = descriptor(line, 2, false);
}

static void
take_listener(struct handover *h, struct line *line)
{
	struct handed_listener l = {
		.fd = descriptor(line, 1, false),
		.directory = descriptor(line, 2, true),
		.device = large_number(line, 3),
		.inode = large_number(line, 4),
		.ours = number(line, 5, 0, 1) != 0,
		.ipv = (unsigned)number(line, 6, 0, 7),
		.proto = line->words[7],
		.host = line->words[8],
		.port = line->words[9],
		.configured_port = line->words[10],
	};
	int i;

	for (i = 7; i <= 10; i++)
		if (decode(line->words[i]) < 0)
			line->error = -EINVAL;
	if (line->error == 0)
		line->error = handover_add_listener(h, &l);
}

static void
take_child(struct handover *h, struct line *line)
{
	pid_t pid = (pid_t)number(line, 1, 2, INT32_MAX);
	unsigned kind = (unsigned)number(line, 2, 0, 2);

	if (line->error == 0)
		line->error = handover_add_child(h, pid, kind);
}

static const struct {
	const char *name;
	int         words; /* with the name */
	bool        many;
	void (*take)(struct handover *h, struct line *line);
} items[] = {
	{ "kind", 2, false, take_kind },
	{ "pid", 2, false, take_pid },
	{ "blocked", 2, false, take_blocked },
	{ "program", 2, false, take_program },
	{ "reason", 2, false, take_reason },
	{ "image", 2, false, take_image },
	{ "log", 3, false, take_log },
	{ "conf", 3, false, take_conf },
	{ "pid_file", 4, false, take_pid_file },
	{ "lifeline", 3, false, take_lifeline },
	{ "listener", 11, true, take_listener },
	{ "child", 3, true, take_child },
};

/* Splits at single blanks. -EINVAL: too many words. */
static int
split(struct line *line, char *text)
{
	*line = (struct line){ .count = 0 };
	for (;;) {
		char *blank = strchr(text, ' ');

		if (line->count == WORDS_MAX)
			return -EINVAL;
		line->words[line->count++] = text;
		if (blank == NULL)
			return 0;
		*blank = '\0';
		text = blank + 1;
	}
}

/* `seen` has a bit for each item that there was. */
static int
take_line(struct handover *h, char *text, unsigned *seen)
{
	struct line line;
	size_t i;

	if (split(&line, text) < 0)
		return -EINVAL;
	for (i = 0; i < COUNT(items); i++)
		if (strcmp(line.words[0], items[i].name) == 0)
			break;
	if (i == COUNT(items) || line.count != items[i].words ||
	    (!items[i].many && (*seen & 1u << i)))
		return -EINVAL;
	*seen |= 1u << i;
	items[i].take(h, &line);
	return line.error;
}

/* `text` is written to. `*at` is the number of the line that is looked at. */
static int
take_lines(struct handover *h, char *text, unsigned *at)
{
	unsigned seen = 0;
	char *end;

	for (*at = 1; (end = strchr(text, '\n')) != NULL; text = end + 1, ++*at) {
		int r = 0;

		*end = '\0';
		if (*at == 1 && strcmp(text, FIRST_LINE) != 0)
			return -EINVAL;
		/* Kind and pid stand in every one. */
		if (strcmp(text, LAST_LINE) == 0)
			return end[1] == '\0' && (seen & 3) == 3 ? 0 : -EINVAL;
		if (*at > 1)
			r = take_line(h, text, &seen);
		if (r < 0)
			return r;
	}
	return -EINVAL;
}

int
handover_parse(struct handover *h, const char *text, struct error *e)
{
	char *copy = strdup(text);
	unsigned at = 0;
	int r;

	handover_init(h);
	r = copy != NULL ? take_lines(h, copy, &at) : -ENOMEM;
	free(copy);
	if (r == 0)
		return 0;
	handover_done(h);
	if (r == -ENOMEM)
		return error_set(e, EX_OSERR, r, "out of memory");
	return error_set(e, EX_DATAERR, r, "line %u of the handover makes no sense", at);
}
