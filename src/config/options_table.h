/* The rows of all options that every server has. What a row says is all there is to know. */
#ifndef TEND_CONFIG_OPTIONS_TABLE_H
#define TEND_CONFIG_OPTIONS_TABLE_H

#include <tend/options.h>

/* In the order of --help. */
enum row_group {
	GROUP_SERVICE, /* the service's own */
	GROUP_WHERE_TO_LISTEN,
	GROUP_HOW_TO_SERVE,
	GROUP_WHAT_A_CLIENT_MAY_DO,
	GROUP_HOW_MANY_MAY_COME,
	GROUP_WHO_MAY_COME,
	GROUP_AS_WHOM_AND_WHERE,
	GROUP_LOOKED_AT,
	GROUP_LOG,
	GROUP_STOPPING,
	GROUP_DIFFERENCES,
	GROUP_WAITER,
	GROUP_COUNT,
};

enum {
	ROW_SPLIT = 1,      /* text of any source is several values, at commas and blanks */
	ROW_CODE_SPLIT = 2, /* text of struct tend_config is several values, at commas */
	ROW_LEVEL = 4,      /* anything but a whole number is the default (NS-OPT-41) */
	ROW_RESERVED = 8,   /* known, but this build cannot do it: any true value is an error */
	ROW_IGNORED = 16,   /* accepted and without effect */
	ROW_YIELDS = 32,    /* an option of the service may take the name */
	ROW_SIGNED = 64,    /* below zero means something: TEND_NONE does not stand for zero */
	ROW_LIVE = 128,     /* may change while the server runs: the parent looks at it */
	ROW_LIVE_WORKERS = 256, /* the same for children that are born afterwards */
};

#define ROW_NOWHERE ((size_t)-1)

struct row {
	const char           *name;
	const char           *alias;
	enum tend_option_type type;
	unsigned              flags;
	enum row_group        group;
	size_t                code;    /* offset in struct tend_config, or ROW_NOWHERE */
	size_t                setting; /* offset in struct settings, or ROW_NOWHERE */
	void                 *into;    /* the variable of the service's own option */
	const char           *value;   /* the default; NULL: none */
	double                min, max;
	const char *const    *words;    /* the only values allowed, any case; NULL: any. Of a
	                                   reserved option: values that ask for nothing */
	const char *const    *reserved; /* values that this build cannot honour; NULL: none */
	const char           *unit;     /* the word for the value in --help; NULL: a flag */
	const char           *help;
	const char           *standard; /* the default in words, where `value` does not tell */
	const char           *reason;   /* why a reserved option cannot be had; a note on an ignored
	                                   one, or NULL */
};

extern const struct row option_rows[];
extern const size_t     option_row_count;

/* The heading of a group, "Where to listen". */
const char *row_group_title(enum row_group group);

#endif
