/*
 * Options of your own. A row each: command line, conf file, --help, `dump` and the checks that go
 * with them follow from the row.
 *
 *	static struct { char *motd; unsigned rooms; double patience; } chat;
 *
 *	static const struct tend_option chat_options[] = {
 *		{ "motd",     TEND_INTO(&chat.motd),     .value = "welcome", .help = "greeting" },
 *		{ "rooms",    TEND_INTO(&chat.rooms),    .value = "16",      .help = "rooms allowed" },
 *		{ "patience", TEND_INTO(&chat.patience), .value = "30",      .help = "silence, seconds" },
 *		TEND_END
 *	};
 */
#ifndef TEND_OPTIONS_H
#define TEND_OPTIONS_H

#include <tend/base.h>

TEND_BEGIN_DECLS

/* What an option's value may be, and the type of the variable it is stored into. */
enum tend_option_type {
	TEND_OPTION_NONE,
	TEND_OPTION_TEXT,     /* char * or const char * */
	TEND_OPTION_LIST,     /* struct tend_list: the option may be given several times */
	TEND_OPTION_BOOL,     /* bool: 1 yes true on; 0 no false off and the empty text */
	TEND_OPTION_INT,      /* int */
	TEND_OPTION_UNSIGNED, /* unsigned int */
	TEND_OPTION_LONG,     /* long */
	TEND_OPTION_DOUBLE,   /* double; fractions allowed */
};

/* The values of an option that may be given several times, in the order given. */
struct tend_list {
	size_t             count;
	const char *const *items;
};

struct tend_option {
	const char           *name;  /* letters, digits and underscores */
	enum tend_option_type type;  /* set by TEND_INTO */
	void                 *into;  /* where the value goes; written before `configured` runs */
	const char           *value; /* the default, as text; NULL leaves *into alone */
	const char           *help;  /* one line for --help */
	const char           *alias; /* a second name, or NULL */
	void                 *reserved[2];
};

#define TEND_END { NULL, TEND_OPTION_NONE, NULL, NULL, NULL, NULL, { NULL, NULL } }

/*
 * The two members `type` and `into`, the type taken from the variable itself: a variable of a type
 * that no option can have is a compile error. Text stored this way belongs to the server and is
 * valid until tend_server_free().
 */
#ifndef __cplusplus
#define TEND_INTO(variable)                                                                   \
	.type = _Generic((variable),                                                          \
		char **: TEND_OPTION_TEXT,                                                    \
		const char **: TEND_OPTION_TEXT,                                              \
		struct tend_list *: TEND_OPTION_LIST,                                         \
		bool *: TEND_OPTION_BOOL,                                                     \
		int *: TEND_OPTION_INT,                                                       \
		unsigned int *: TEND_OPTION_UNSIGNED,                                         \
		long *: TEND_OPTION_LONG,                                                     \
		double *: TEND_OPTION_DOUBLE),                                                \
	.into = (variable)
#endif

TEND_END_DECLS

#ifdef __cplusplus
/* In C++ the two members are written by position: { "rooms", TEND_INTO(&rooms), "16", "help" }. */
static inline enum tend_option_type tend_option_type_of(char **) { return TEND_OPTION_TEXT; }
static inline enum tend_option_type tend_option_type_of(const char **) { return TEND_OPTION_TEXT; }
static inline enum tend_option_type tend_option_type_of(struct tend_list *) { return TEND_OPTION_LIST; }
static inline enum tend_option_type tend_option_type_of(bool *) { return TEND_OPTION_BOOL; }
static inline enum tend_option_type tend_option_type_of(int *) { return TEND_OPTION_INT; }
static inline enum tend_option_type tend_option_type_of(unsigned int *) { return TEND_OPTION_UNSIGNED; }
static inline enum tend_option_type tend_option_type_of(long *) { return TEND_OPTION_LONG; }
static inline enum tend_option_type tend_option_type_of(double *) { return TEND_OPTION_DOUBLE; }
#define TEND_INTO(variable) tend_option_type_of(variable), (variable)
#endif

#endif
