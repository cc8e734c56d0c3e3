/* A thread for each client, what the personality Thread is held against. */
#ifndef BENCH_BARE_THREADS_H
#define BENCH_BARE_THREADS_H

/* Serves one client in a thread of its own; the descriptor is closed afterwards. */
typedef void (*bare_thread_fn)(int fd);

/* Listens as the command line says, and starts a detached thread for every client. */
_Noreturn void bare_threads(int argc, char **argv, bare_thread_fn serve);

#endif
