/*
 * The conf file: a key and a value a line, as Net::Server reads them. Read once, in a buffer of
 * fixed size, whatever the file turns out to be.
 */
#include "config/file.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "config/values.h"

#define BLANKS " \t\r\f\v"
#define LINE_SIZE 65536               /* bytes of a line, without its newline */
#define FILE_SIZE (16L * 1024 * 1024) /* so that /dev/urandom ends some time */

struct conf_reader {
	struct options *o;
	struct error   *e;
	const char     *path;
	int             fd;
	bool            strict;
	bool            at_end;
	unsigned        line; /* number of the current one, from 1 */
	size_t          start, end; /* what is read and not yet taken */
	long            total;
	char            data[LINE_SIZE + 2]; /* a line, its newline, a NUL for the last */
};

/* ---- a line ---- */

/* Ends the line before its comment; "\#" becomes "#" (NS-CNF-02). */
static void
strip_comment(char *line)
{
	char *to = line;
	const char *from;

	for (from = line; *from != '\0'; from++) {
		if (*from == '#') {
			if (from == line || from[-1] != '\\')
				break;
			to--;
		}
		*to++ = *from;
	}
	*to = '\0';
}

static void
strip_blanks_behind(char *line)
{
	size_t n = strlen(line);

	while (n > 0 && strchr(BLANKS, line[n - 1]) != NULL)
		n--;
	line[n] = '\0';
}

/* Past the separator: "=" or ":" with blanks around, or blanks. NULL: there is none. */
static char *
after_separator(char *p)
{
	char *q = p + strspn(p, BLANKS);

	if (*q == '=' || *q == ':')
		return q + 1 + strspn(q + 1, BLANKS);
	return q > p ? q : NULL;
}

enum conf_line_kind
conf_parse_line(char *line, struct conf_line *into)
{
	char *key, *rest, *value;
	size_t size;

	strip_comment(line);
	strip_blanks_behind(line);
	key = line + strspn(line, BLANKS);
	if (*key == '\0' || *key == '[' || *key == ';')
		return CONF_NOTHING;
	into->key = key;
	into->value = "1"; /* a key alone is a flag (NS-CNF-09) */
	if (strncmp(key, "--", 2) == 0)
		key += 2;
	size = strspn(key, NAME_CHARACTERS);
	rest = key + size;
	value = after_separator(rest);
	if (size == 0 || (value == NULL && *rest != '\0'))
		return CONF_STRANGE;
	into->key = key;
	if (value == NULL)
		return CONF_SETTING;
	*rest = '\0';
	into->value = value;
	return *value != '\0' ? CONF_SETTING : CONF_NO_VALUE;
}

static int
refuse_line(struct conf_reader *r, const char *text)
{
	return error_set(r->e, EX_CONFIG, -EINVAL, "%.200s:%u: %s", r->path, r->line, text);
}

/* A line that says nothing we know how to read; only the strict mind. */
static int
refuse_strange(struct conf_reader *r, const char *text)
{
	char sentence[200], quoted[128], name[64];
	const char *meant;

	/* "log-level 3" is the usual slip. */
	snprintf(name, sizeof(name), "%.*s", (int)strcspn(text, "=: \t"), text);
	meant = options_nearest(r->o, name);
	value_quote(quoted, sizeof(quoted), text);
	if (meant != NULL)
		snprintf(sentence, sizeof(sentence), "cannot read %s; did you mean %s?", quoted,
			meant);
	else
		snprintf(sentence, sizeof(sentence), "cannot read %s: write a key and a value",
			quoted);
	return refuse_line(r, sentence);
}

static int
take_setting(struct conf_reader *r, const struct conf_line *line)
{
	struct entry *entry = options_find(r->o, line->key, strlen(line->key));
	char *where;
	int result;

	if (entry == NULL && !r->strict)
		return 0;
	/* Files do not name files (NS-OPT-06). */
	if (entry != NULL && strcmp(entry->row->name, "conf_file") == 0)
		return 0;
	if (asprintf(&where, "%s:%u", r->path, r->line) < 0)
		return options_no_memory(r->e);
	if (entry == NULL)
		result = options_refuse_name(r->o, where, line->key, EX_CONFIG, r->e);
	else if (entry_give(r->o, entry, SOURCE_FILE, where, line->value) < 0)
		result = options_no_memory(r->e);
	else
		result = 0;
	free(where);
	return result;
}

static int
take_line(struct conf_reader *r, char *text)
{
	struct conf_line line;
	char sentence[200], quoted[128];

	switch (conf_parse_line(text, &line)) {
	case CONF_SETTING:
		return take_setting(r, &line);
	case CONF_STRANGE:
		return r->strict ? refuse_strange(r, line.key) : 0;
	case CONF_NO_VALUE:
		if (!r->strict)
			return 0;
		snprintf(sentence, sizeof(sentence), "%s has no value",
			value_quote(quoted, sizeof(quoted), line.key));
		return refuse_line(r, sentence);
	case CONF_NOTHING:
		break;
	}
	return 0;
}

/* ---- the file ---- */

static int
refuse_file(const char *path, int code, struct error *e)
{
	int status = EX_NOINPUT;

	if (code == -EACCES || code == -EPERM)
		status = EX_NOPERM;
	else if (code == -EMFILE || code == -ENFILE || code == -ENOMEM)
		status = EX_OSERR;
	return error_set(e, status, code, "cannot read the conf file %.300s: %s", path,
		error_reason(code));
}

/* Reads more behind what is there. 0 or -errno. */
static int
fill(struct conf_reader *r)
{
	ssize_t n;

	if (r->start > 0) {
		memmove(r->data, r->data + r->start, r->end - r->start);
		r->end -= r->start;
		r->start = 0;
	}
	if (r->end > LINE_SIZE) {
		r->line++;
		return refuse_line(r, "the line is longer than 65536 bytes");
	}
	do
		n = read(r->fd, r->data + r->end, LINE_SIZE + 1 - r->end);
	while (n < 0 && errno == EINTR);
	if (n < 0)
		return refuse_file(r->path, -errno, r->e);
	r->total += n;
	if (r->total > FILE_SIZE)
		return refuse_line(r, "the file is longer than 16 MiB; is this a conf file?");
	r->at_end = n == 0;
	r->end += (size_t)n;
	return 0;
}

/* The next line, ended by NUL. 1, 0 at the end of the file, or -errno. */
static int
next_line(struct conf_reader *r, char **line)
{
	char *newline;
	size_t size;
	int result;

	for (;;) {
		newline = memchr(r->data + r->start, '\n', r->end - r->start);
		if (newline != NULL || r->at_end)
			break;
		result = fill(r);
		if (result < 0)
			return result;
	}
	if (newline == NULL && r->start == r->end)
		return 0;
	*line = r->data + r->start;
	size = newline != NULL ? (size_t)(newline - *line) : r->end - r->start;
	(*line)[size] = '\0';
	r->start += size + (newline != NULL);
	r->line++;
	if (strlen(*line) < size)
		return refuse_line(r, "there is a binary zero; is this a text file?");
	return 1;
}

int
conf_read(struct options *o, int fd, const char *path, bool strict, struct error *e)
{
	struct conf_reader *r = malloc(sizeof(*r));
	char *line = NULL;
	int result;

	if (r == NULL)
		return options_no_memory(e);
	r->o = o;
	r->e = e;
	r->path = path;
	r->fd = fd;
	r->strict = strict;
	r->at_end = false;
	r->line = 0;
	r->start = r->end = 0;
	r->total = 0;
	while ((result = next_line(r, &line)) > 0) {
		/* Editors of another world begin a text file with a mark of its encoding. */
		if (r->line == 1 && strncmp(line, "\xef\xbb\xbf", 3) == 0)
			line += 3;
		result = take_line(r, line);
		if (result < 0)
			break;
	}
	free(r);
	return result;
}

int
options_from_file(struct options *o, const char *path, bool strict, struct error *e)
{
	struct stat st;
	int fd = open(path, O_RDONLY | O_CLOEXEC | O_NOCTTY), r;

	if (fd < 0)
		return refuse_file(path, -errno, e);
	if (fstat(fd, &st) == 0 && S_ISDIR(st.st_mode))
		r = refuse_file(path, -EISDIR, e);
	else
		r = conf_read(o, fd, path, strict, e);
	close(fd);
	return r;
}
