/* SPDX-License-Identifier: MIT */
/*
 * A link between source and destination: what a machine file's "link" says of
 * rate and latency.  Made only where there is something to limit.
 */
#ifndef SPOOR_TOOL_LINK_H
#define SPOOR_TOOL_LINK_H

#include <stdint.h>

struct link;

/*
 * Relays between two stream sockets, both taken (also on failure), with
 * @bytes_per_s (0: unlimited) and @latency_ns each way.  0 or -errno.
 */
int link_start(struct link **ret, int a, int b, uint64_t bytes_per_s,
	       uint64_t latency_ns);
/*
 * Two ends that are joined: by a link, or, with neither rate nor latency,
 * directly, with *ret NULL.  0 or -errno.
 */
int link_pair(struct link **ret, int ends[2], uint64_t bytes_per_s,
	      uint64_t latency_ns);
struct link *link_stop(struct link *l);

#endif /* SPOOR_TOOL_LINK_H */
