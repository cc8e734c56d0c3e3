/* The journal of systemd, in its native protocol, so that fields stay fields. */
#ifndef TEND_LOG_JOURNAL_H
#define TEND_LOG_JOURNAL_H

#include <tend/base.h>

#define JOURNAL_SOCKET "/run/systemd/journal/socket"

/*
 * True when standard error leads to the journal, which listens at the path `socket`: what
 * JOURNAL_STREAM says is still so, and of this machine.
 */
bool journal_is_stderr(const char *socket);

/*
 * Writes a field, "NAME=value\n", or with its length in front where the value holds newlines. The
 * value is cut so that `size` bytes are enough. Returns what was written.
 */
size_t journal_field(char *at, size_t size, const char *name, const char *value);

#endif
