/* SPDX-License-Identifier: MIT */
/* Addresses of migrations; see address.h.  Threads: no state. */
#include "transport/address.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/error.h"

static int parse_unix(const char *path, struct spoor_address *ret)
{
	struct spoor_address a = { .is_unix = true };
	size_t len = strlen(path);

	if (!len || len >= sizeof(a.un.sun_path))
		return spoor_fail(EINVAL,
				  "address \"unix:%.120s\": a path of 1 to %zu "
				  "bytes is needed",
				  path, sizeof(a.un.sun_path) - 1);
	a.un.sun_family = AF_UNIX;
	memcpy(a.un.sun_path, path, len + 1);
	*ret = a;
	return 0;
}

static int bad_tcp(const char *rest, const char *why)
{
	return spoor_fail(EINVAL, "address \"tcp:%.200s\": %s", rest, why);
}

static int parse_tcp(const char *rest, struct spoor_address *ret)
{
	struct spoor_address a = { .is_unix = false };
	const char *host = rest, *colon = strrchr(rest, ':'), *digits;
	size_t len;

	if (!colon)
		return bad_tcp(rest, "tcp:HOST:PORT is needed");
	len = (size_t)(colon - host);
	if (len >= 2 && host[0] == '[' && host[len - 1] == ']') {
		host++;
		len -= 2;
	} else if (memchr(host, ':', len)) {
		return bad_tcp(rest, "an IPv6 address goes in brackets");
	}
	if (!len || len >= sizeof(a.host))
		return bad_tcp(rest, "no host, or one too long");
	digits = colon + 1;
	if (!*digits || strlen(digits) > 5 ||
	    strspn(digits, "0123456789") != strlen(digits) ||
	    strtoul(digits, NULL, 10) > 65535)
		return bad_tcp(rest, "the port is a number from 0 to 65535");
	memcpy(a.host, host, len);
	snprintf(a.port, sizeof(a.port), "%s", digits);
	*ret = a;
	return 0;
}

int spoor_address_parse(const char *text, struct spoor_address *ret)
{
	if (!text)
		return spoor_fail(EINVAL, "no address given");
	if (!strncmp(text, "unix:", 5))
		return parse_unix(text + 5, ret);
	if (!strncmp(text, "tcp:", 4))
		return parse_tcp(text + 4, ret);
	return spoor_fail(
		EINVAL,
		"address \"%.200s\": neither tcp:HOST:PORT nor unix:PATH",
		text);
}
