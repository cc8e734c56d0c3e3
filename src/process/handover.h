/*
 * What one image of a server leaves to the next when the process executes itself: sockets, files,
 * children, and what is needed to go back. It travels as text in a file without a name, whose number
 * stands in one variable of the environment. Here is the text; reexec.h has the way it goes.
 */
#ifndef TEND_PROCESS_HANDOVER_H
#define TEND_PROCESS_HANDOVER_H

#include <stdint.h>
#include <sys/types.h>

#include "base/error.h"

enum handover_kind {
	HANDOVER_TRIAL,   /* to a child: would you start? */
	HANDOVER_RESTART, /* to the next image */
	HANDOVER_RETURN,  /* from an image that could not start, back to the one before it */
};

struct handed_listener {
	int      fd;
	int      directory; /* of a socket file; -1: none */
	uint64_t device, inode;
	bool     ours;      /* the socket file is ours to remove */
	unsigned ipv;
	char    *proto, *host, *port, *configured_port;
};

struct handed_child {
	pid_t    pid;
	unsigned kind; /* enum tend_child_kind */
};

/* Descriptors are -1 and texts NULL where there is nothing. Texts and arrays are owned. */
struct handover {
	enum handover_kind kind;
	pid_t    pid;        /* of the process that it is for; of its parent for a trial */
	uint64_t blocked;    /* signals that were blocked at the start, bit signo - 1 */
	char    *program;    /* the path that is executed */
	char    *reason;     /* of a return */
	int      image;      /* the file of the image before */
	int      log;
	char    *log_path;
	int      pid_file, pid_file_directory;
	char    *pid_file_path;
	int      lifeline[2]; /* of the children */
	int      conf;        /* what the conf file said to the image before */
	char    *conf_path;
	struct handed_listener *listeners;
	size_t                  listener_count;
	struct handed_child    *children;
	size_t                  child_count;
};

void handover_init(struct handover *h);
/* Frees; closes nothing. */
void handover_done(struct handover *h);

/* Copies the texts. 0 or -ENOMEM. */
int handover_add_listener(struct handover *h, const struct handed_listener *l);
int handover_add_child(struct handover *h, pid_t pid, unsigned kind);

/* The text, which the caller frees; NULL: out of memory. */
char *handover_format(const struct handover *h);

/*
 * Takes the text to pieces. -EINVAL with the line that is wrong, and nothing in `h`: all of it is
 * understood or none.
 */
int handover_parse(struct handover *h, const char *text, struct error *e);

#endif
