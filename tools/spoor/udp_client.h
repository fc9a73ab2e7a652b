/* SPDX-License-Identifier: MIT */
/*
 * A nic's client outside the machine: requests by UDP at a rate, each answered
 * or not.  It does not wait for one answer before it asks again, so its gap is
 * known to one request's interval.
 *
 * Threads: one of its own; it stamps successes, anyone may count them.
 */
#ifndef SPOOR_TOOL_UDP_CLIENT_H
#define SPOOR_TOOL_UDP_CLIENT_H

#include <stdint.h>

#include "stamps.h"

struct udp_client;

struct udp_counts {
	uint64_t sent, answered, late;
};

/* @address: IPv4 or IPv6 literal.  0 or -errno. */
int udp_client_start(struct udp_client **ret, const char *address,
		     uint16_t port, uint64_t rate, uint64_t timeout_ms,
		     struct stamps *stamps);
void udp_client_counts(const struct udp_client *c, struct udp_counts *ret);
struct udp_client *udp_client_stop(struct udp_client *c);

#endif /* SPOOR_TOOL_UDP_CLIENT_H */
