/*
 * One failure, told once. The place that knows the circumstances writes the sentence and the exit
 * status that fits; everyone above passes the code on untouched (style.md, 5).
 */
#ifndef TEND_BASE_ERROR_H
#define TEND_BASE_ERROR_H

#include <stdarg.h>
#include <sysexits.h>

#include <tend/base.h>

struct error {
	int  code;   /* negative errno, 0: nothing has failed */
	int  status; /* of sysexits.h */
	char text[480];
};

/* Records the failure and returns `code`. `e` may be NULL. Long sentences are cut. */
int error_set(struct error *e, int status, int code, const char *format, ...) TEND_PRINTF(4, 5);
int error_vset(struct error *e, int status, int code, const char *format, va_list args)
	TEND_PRINTF(4, 0);
void error_clear(struct error *e);

/* "permission denied": the text of a negative errno, in lower case, static per thread. */
const char *error_reason(int code);

/* The exit status that fits a failed system call: EX_NOPERM for -EACCES, EX_OSERR, ... */
int error_status_of(int code);

#endif
