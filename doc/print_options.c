/* Prints the table of options in the language of scdoc; the build puts it into tend.conf(5). */
#include <stdio.h>

#include "config/options.h"

int
main(void)
{
	options_manual(stdout);
	return fflush(stdout) == 0 ? 0 : 1;
}
