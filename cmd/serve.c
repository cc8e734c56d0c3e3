/*
 * tend serve: a service compiled to a shared object, which exports its description:
 *
 *	const struct tend_service tend_service = { ... };
 */
#include "tend.h"

#include <dlfcn.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

/* dlopen() searches its path for a name without a slash; a file is meant here. */
static void *
open_object(const char *name)
{
	char *path = NULL;
	void *object;

	if (strchr(name, '/') == NULL && asprintf(&path, "./%s", name) < 0)
		return NULL;
	object = dlopen(path != NULL ? path : name, RTLD_NOW | RTLD_LOCAL);
	free(path);
	return object;
}

int
command_serve(int argc, char **argv)
{
	const struct tend_service *service;
	void *object;
	char *file = argc > 1 ? argv[1] : NULL;

	if (file == NULL || file[0] == '-')
		return complain(EX_USAGE, "serve: which service? Say: tend serve SERVICE.so [options]");
	if (access(file, R_OK) < 0)
		return complain(EX_NOINPUT, "serve: cannot read %s", file);
	object = open_object(file);
	if (object == NULL)
		return complain(EX_DATAERR, "serve: %s", dlerror());
	service = dlsym(object, "tend_service");
	if (service == NULL)
		return complain(EX_DATAERR,
		    "serve: %s exports no `const struct tend_service tend_service`", file);
	argv[1] = argv[0];
	/* Never closed: the service is in use until the process ends. */
	return tend_main(argc - 1, argv + 1, service);
}
