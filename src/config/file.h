/* The conf file below its opening: for options_from_file(), its test and its fuzz target. */
#ifndef TEND_CONFIG_FILE_H
#define TEND_CONFIG_FILE_H

#include "base/error.h"
#include "config/options.h"

enum conf_line_kind {
	CONF_NOTHING,  /* empty, a comment, [section] or "; remark" */
	CONF_SETTING,
	CONF_NO_VALUE, /* "user =": passed over unless strict */
	CONF_STRANGE,  /* no key, or something between key and value: likewise; key is the text */
};

struct conf_line {
	const char *key;
	const char *value;
};

/* Takes a line apart, in place; without its newline. Key and value point into it. */
enum conf_line_kind conf_parse_line(char *line, struct conf_line *into);

/* Reads to the end of `fd`, which stays open. `path` is for messages. */
int conf_read(struct options *o, int fd, const char *path, bool strict, struct error *e);

#endif
