/* The command: a client of the public headers, like any other. */
#ifndef CMD_TEND_H
#define CMD_TEND_H

#include <sysexits.h>

#include <tend/tend.h>

/* Each takes the words from its own name on and returns an exit status. */
typedef int (*command_fn)(int argc, char **argv);
int command_echo(int argc, char **argv);
int command_run(int argc, char **argv);
int command_serve(int argc, char **argv);
int command_check(int argc, char **argv);
int command_dump(int argc, char **argv);
int command_status(int argc, char **argv);
int command_top(int argc, char **argv);
int command_ctl(int argc, char **argv);

/* The talkative echo under the personality that is the first word (net-server's way). */
int command_talk(int argc, char **argv);

/* The command of that name; NULL: none. */
command_fn command_find(const char *name);

/* One of net-server's words for a way of serving, any case; MultiType among them. */
bool is_personality(const char *word);

/* The description of the talkative echo. */
extern const struct tend_service talk_service;

/* One line on standard error. Returns `status`. */
int complain(int status, const char *format, ...) TEND_PRINTF(2, 3);

#endif
