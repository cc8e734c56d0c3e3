/*
 * The little of HTTP that the endpoint of the metrics understands: one request for one of its
 * pages, without a body, and then the connection ends.
 */
#ifndef TEND_SERVER_METRICS_REQUEST_H
#define TEND_SERVER_METRICS_REQUEST_H

#include <tend/base.h>

#define METRICS_PATH_MAX 64

struct metrics_request {
	int  status;    /* 200, or why not: 400, 404 (a path of ours is shorter), 405, 505 */
	bool head_only; /* HEAD: the answer has no body */
	char path[METRICS_PATH_MAX + 1]; /* without the query */
};

/*
 * Looks at what has come. 0: the request is not complete yet. Else the length of its head, and
 * `into` is filled.
 */
size_t metrics_request_parse(struct metrics_request *into, const char *bytes, size_t size);

#endif
