/*
 * Restarting in place (design.md, 2): the process asks a new image of the program whether it would
 * start, executes it with the listening sockets open, and what is left of the old image's children
 * leaves when the new ones have come. restart.c is the side that goes, inherit.c and inherit_children.c
 * the one that comes.
 */
#ifndef TEND_SERVER_RESTART_H
#define TEND_SERVER_RESTART_H

#include "process/reexec.h"
#include "server/server.h"

enum restart_how {
	RESTART_NOT,
	RESTART_RELOAD,  /* for a new configuration: HUP */
	RESTART_UPGRADE, /* for a new program: the same with another word in the log */
};

#define NO_MATCH SIZE_MAX

/* Fallen workers of a new generation after which it is given up, when none has come up. */
#define RESTART_TRIES 3

struct restart {
	/* restart.c: the next image */
	enum restart_how  wanted;  /* as soon as nothing else is under way */
	enum restart_how  how;     /* of the one that is under way */
	bool              due;     /* the next image would start: leave the loop and execute it */
	bool              back;    /* ours cannot serve: leave the loop and execute the one before */
	pid_t             trial;   /* the child that tries it; 0: none */
	int               answer, noise; /* of the trial; -1 */
	bool              late;    /* the trial was ended for taking too long */
	struct tend_timer limit;
	unsigned          run;     /* how many runs of this process came before this one */
	uint64_t          blocked; /* signals that were blocked when the process began */
	struct error      refusal; /* why the last one did not happen */

	/* What the conf file said: it may say something else when the way back is needed. */
	char  *conf_path, *conf_text;
	size_t conf_size;

	/* inherit.c: the image before */
	bool            restarted; /* there was one, and everything is counted anew */
	struct handover *from;    /* until this image is ready; NULL: nothing was handed over */
	size_t          *match;   /* for each endpoint: which of its listeners; NO_MATCH: none */
	bool            *taken;   /* for each of its listeners: for something else than an endpoint */
	bool             children_taken;
	bool             pid_file_kept; /* it is ours as well, and written */
	bool             old_pid_file;  /* it is not: to be removed when ready */
	unsigned         fallen;  /* workers that came to nothing */
};

int  restart_init(struct tend_server *srv);
void restart_done(struct tend_server *srv);

/* ---- restart.c ---- */

/*
 * Starts the server anew in place; under way when it returns 0, with the outcome in the log. While
 * another restart is under way it is remembered. -ENOTSUP, with a sentence in the log: this server
 * cannot be restarted so.
 * Context: parent, loop running.
 */
int server_restart(struct tend_server *srv, enum restart_how how);

/* The same for what was asked for meanwhile. */
void restart_next(struct tend_server *srv);

/* The loop is to end for restart_execute(): no client of this process is left, children stay. */
bool restart_is_due(const struct tend_server *srv);
/* Returns only when it is not to be: the server goes on. */
void restart_execute(struct tend_server *srv);

/* Looks whether the child that tries the new image has ended. */
void restart_reap(struct tend_server *srv);
/* The same, already reaped. True: it was that one. */
bool restart_child_ended(struct tend_server *srv, pid_t pid, int status);

/* Tells the log, early, what will keep HUP from working. After privileges are dropped. */
void restart_announce(struct tend_server *srv);

/* Keeps what the conf file says now, or what `kept` holds (-1: the file). Best effort. */
void restart_remember_conf(struct tend_server *srv, const char *path, int kept);

/* In a process that is only asked whether it would start: answers, and does not return. */
_Noreturn void restart_answer(struct tend_server *srv);

/* There is no image that could tell them to go: those that were not going already stay. */
void restart_keep_children(struct tend_server *srv);

/* In a child: closes what is not its business. */
void restart_forget(struct tend_server *srv);

/* The server ends: so does what is under way. */
void restart_close(struct tend_server *srv);

/* ---- inherit.c, inherit_children.c ---- */

/* First thing of a run: takes what the image before has left. */
void inherit_receive(struct tend_server *srv);

/* True from then on until this image is ready. */
static inline bool
inherit_is_pending(const struct tend_server *srv)
{
	return srv->restart->from != NULL;
}

/* The configuration of the image before, instead of the conf file at `path`; -1: read the file. */
int inherit_conf(struct tend_server *srv, const char *path);

/* Takes over the log when it cannot be opened any more. 0, or `code`. */
int inherit_log(struct tend_server *srv, const char *path, int code);
/* True: the pid file is ours already, and written. `path`: of this configuration; may be NULL. */
bool inherit_pid_file(struct tend_server *srv, const char *path);
/* Signals that waited during the change are let in. */
void inherit_signals(struct tend_server *srv);

/* The hook after_restart; which socket is for which endpoint. 0 or -ENOMEM. */
int inherit_match(struct tend_server *srv);
/* Adopts the socket of endpoint `i` into listener `i`. 1: done; 0: there is none; or -errno. */
int inherit_listener(struct tend_server *srv, size_t i);
/* The same for sockets that are not for clients: a descriptor to adopt, or -1. */
int inherit_socket(struct tend_server *srv, const struct endpoint *ep);
/* The address of endpoint `i` is in use: by a socket that is not configured any more? Then true: try
   again. */
bool inherit_make_room(struct tend_server *srv, size_t i);

/* Master, at the beginning of its loop: the children of the image before are its own. */
int  inherit_children(struct tend_server *srv);
/* The lifeline of those children, for ours as well. False: there is none. */
bool inherit_lifeline(struct tend_server *srv, int lifeline[2]);
/* Master, in every turn: is this generation up? Ends old children that take too long. Returns when
   it wants to look again. */
int64_t inherit_look(struct tend_server *srv, int64_t now);
/* A worker died young. True: this generation comes to nothing, the one before is to go on. */
void inherit_worker_fell(struct tend_server *srv);

/* Between inherit.c and inherit_children.c. The children of before are told to finish. */
void inherit_dismiss_children(struct tend_server *srv);
/* Without a master of our own: workers see their lifeline end, others finish by themselves. */
void inherit_tell_orphans(const struct handover *h, int signo);
/* TERM, then KILL after so many seconds (0: never), and waits until they are gone. */
void inherit_end_orphans(const struct handover *h, double grace);

/* This image serves: what is left of the one before is told to leave, or closed. */
void inherit_settle(struct tend_server *srv);

/* The start has failed: back to the image before. Returns when there is none. */
void inherit_go_back(struct tend_server *srv, const char *reason);

/* The server ends before its master took the old children: they are told to. */
void inherit_close(struct tend_server *srv);

#endif
