/* SPDX-License-Identifier: MIT */
/*
 * How long a stream waits, and what ends it: a deadline, always, and a cancel.
 * Times are those of spoor_now_ns(); one past the end of time is its end.
 *
 * Threads: one per stream; the cancel flag may be set by others.
 */
#ifndef SPOOR_MIGRATE_STREAM_WAIT_H
#define SPOOR_MIGRATE_STREAM_WAIT_H

#include "migrate/stream_io.h"

bool spoor_wait_cancelled(const struct spoor_stream *s);
uint64_t spoor_wait_ns(uint64_t ns);
/* The end of a wait that nothing but what is waited for prolongs. */
uint64_t spoor_wait_patience(const struct spoor_stream *s);
/* The end of the silence allowed from now on, not later than @limit. */
uint64_t spoor_wait_silence(const struct spoor_stream *s, uint64_t limit);
/*
 * Wait for the socket.  Return: the events, or -ETIMEDOUT at @deadline, or
 * -EINTR if it was cancelled meanwhile.
 */
int spoor_wait_for(struct spoor_stream *s, short events, uint64_t deadline,
		   bool may_cancel);

#endif /* SPOOR_MIGRATE_STREAM_WAIT_H */
