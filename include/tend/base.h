/* What every header of tend needs: visibility, format checking, the words all parts share. */
#ifndef TEND_BASE_H
#define TEND_BASE_H

#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

#ifdef __cplusplus
#define TEND_BEGIN_DECLS extern "C" {
#define TEND_END_DECLS }
#else
#define TEND_BEGIN_DECLS
#define TEND_END_DECLS
#endif

#define TEND_API __attribute__((visibility("default")))
#define TEND_PRINTF(at, first) __attribute__((format(printf, at, first)))

/*
 * In struct tend_config zero means "the default". Where zero itself is wanted for a number
 * (no limit, no time-out, silence), say TEND_NONE.
 */
#define TEND_NONE (-1)

TEND_BEGIN_DECLS

struct tend_conn;
struct tend_loop;
struct tend_server;
struct tend_service;

/* The version of the library in use, "0.1.0". Static; valid for ever. */
TEND_API const char *tend_version(void);

/* The features that this build of the library has: "epoll poll pcre2 ...". Static. */
TEND_API const char *tend_features(void);

TEND_END_DECLS

#endif
