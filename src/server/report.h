/*
 * Named values and lists of records, written as lines or as one line of JSON: whoever tells them does
 * not know which. As lines, a value stands behind its name, a record is a line of its own, begun with
 * what it is, and what is not there is "-".
 */
#ifndef TEND_SERVER_REPORT_H
#define TEND_SERVER_REPORT_H

#include "base/buf.h"

struct report {
	struct buf *into;
	bool        json;
	bool        in_record;
	bool        begun; /* the object or list has a member already */
	int         r;     /* the first failure */
};

void report_begin(struct report *rep, struct buf *into, bool json);
/* 0 or -ENOMEM, of all that was told. */
int  report_end(struct report *rep);

/* NULL: not there. */
void report_text(struct report *rep, const char *name, const char *text);
void report_number(struct report *rep, const char *name, uint64_t number);
void report_seconds(struct report *rep, const char *name, double seconds);
/* True, or why not: "yes" or "no WHY"; in JSON the answer, and why in a member of its own. */
void report_answer(struct report *rep, const char *name, const char *why_name, const char *why);

/* A list, and its records, which have values only. */
void report_list(struct report *rep, const char *name);
void report_record(struct report *rep, const char *what);
void report_record_end(struct report *rep);
void report_list_end(struct report *rep);

#endif
