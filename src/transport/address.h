/* SPDX-License-Identifier: MIT */
/* "tcp:HOST:PORT" and "unix:PATH", taken apart.  Pure, no look-up. */
#ifndef SPOOR_TRANSPORT_ADDRESS_H
#define SPOOR_TRANSPORT_ADDRESS_H

#include <stdbool.h>
#include <sys/socket.h>
#include <sys/un.h>

struct spoor_address {
	bool is_unix;
	char host[256]; /* tcp, without brackets */
	char port[8]; /* tcp, decimal */
	struct sockaddr_un un;
};

/* 0, or -EINVAL with text: @ret is untouched. */
int spoor_address_parse(const char *text, struct spoor_address *ret);

#endif /* SPOOR_TRANSPORT_ADDRESS_H */
