/*
 * The effective configuration of a server: every option as a typed value, defaults filled in. In
 * here zero means zero, and a text that was given empty or not at all is NULL. The texts belong to
 * the struct options they came from.
 */
#ifndef TEND_CONFIG_SETTINGS_H
#define TEND_CONFIG_SETTINGS_H

#include <tend/options.h>
#include <tend/service.h>

struct settings {
	/* Every option that has one value, and listen_at. Members of the lists below are NULL. */
	struct tend_config value;

	struct tend_list port, host, proto, ipv;
	struct tend_list server_type;
	struct tend_list sig_passthrough;
	struct tend_list allow, deny, cidr_allow, cidr_deny;
	struct tend_list limit_exempt;
};

#endif
