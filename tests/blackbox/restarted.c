/* restarting.c as its next version: the same protocol, another answer to `version`. */
#define VERSION "two"
#include "restarting.c"
