/* The sentence of a failure. No policy: who shows it and when is the server's business. */
#include "base/error.h"

#include <ctype.h>
#include <errno.h>
#include <stdio.h>
#include <string.h>

int
error_vset(struct error *e, int status, int code, const char *format, va_list args)
{
	if (e != NULL) {
		e->code = code;
		e->status = status;
		vsnprintf(e->text, sizeof(e->text), format, args);
	}
	return code;
}

int
error_set(struct error *e, int status, int code, const char *format, ...)
{
	va_list args;

	va_start(args, format);
	error_vset(e, status, code, format, args);
	va_end(args);
	return code;
}

void
error_clear(struct error *e)
{
	e->code = 0;
	e->status = 0;
	e->text[0] = '\0';
}

const char *
error_reason(int code)
{
	static _Thread_local char text[128];

	/* The sentences around it are in lower case; names such as "RPC" are left alone. */
	snprintf(text, sizeof(text), "%s", strerror(code < 0 ? -code : code));
	if (text[0] != '\0' && islower((unsigned char)text[1]))
		text[0] = (char)tolower((unsigned char)text[0]);
	return text;
}

int
error_status_of(int code)
{
	switch (-code) {
	case EACCES:
	case EPERM:
		return EX_NOPERM;
	case ENOENT:
	case ENOTDIR:
		return EX_NOINPUT;
	case EADDRINUSE:
	case EADDRNOTAVAIL:
	case EAFNOSUPPORT:
		return EX_UNAVAILABLE;
	case EINVAL:
		return EX_CONFIG;
	case EAGAIN:
		return EX_TEMPFAIL;
	default:
		return EX_OSERR;
	}
}
