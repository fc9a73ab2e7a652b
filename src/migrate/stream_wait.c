/* SPDX-License-Identifier: MIT */
/*
 * Waits of a stream; see the header.
 *
 * Threads: one per stream.
 */
#include "migrate/stream_wait.h"

#include <errno.h>
#include <poll.h>
#include <time.h>
#include <unistd.h>

#include "base/error.h"
#include "migrate/machine_priv.h"

/* PINGs alone, or single bytes, keep a wait alive for so many silences. */
#define PATIENCE 20u

bool spoor_wait_cancelled(const struct spoor_stream *s)
{
	return s->cancelled && atomic_load(s->cancelled);
}

uint64_t spoor_wait_ns(uint64_t ns)
{
	const uint64_t now = spoor_now_ns();

	return ns < UINT64_MAX - now ? now + ns : UINT64_MAX;
}

uint64_t spoor_wait_patience(const struct spoor_stream *s)
{
	const uint64_t times = s->no_pings ? 1 : PATIENCE;
	const uint64_t limit = spoor_wait_ns(s->silence_ns < UINT64_MAX / times
						     ? s->silence_ns * times
						     : UINT64_MAX);

	return limit < s->end_ns ? limit : s->end_ns;
}

uint64_t spoor_wait_silence(const struct spoor_stream *s, uint64_t limit)
{
	const uint64_t deadline = spoor_wait_ns(s->silence_ns);

	return deadline < limit ? deadline : limit;
}

/*
 * The flag is set before the eventfd is written.  Readable without the flag it
 * is what a cancel left that came as its run ended.
 */
static void forget_stale_cancel(const struct spoor_stream *s)
{
	uint64_t count;

	if (!spoor_wait_cancelled(s))
		(void)!read(s->cancel_fd, &count, sizeof(count));
}

int spoor_wait_for(struct spoor_stream *s, short events, uint64_t deadline,
		   bool may_cancel)
{
	for (;;) {
		struct pollfd fds[2] = {
			{ .fd = s->fd, .events = events },
			{ .fd = may_cancel ? s->cancel_fd : -1,
			  .events = POLLIN },
		};
		const uint64_t now = spoor_now_ns();
		struct timespec left = { 0 };
		int nr;

		if (may_cancel && spoor_wait_cancelled(s))
			return -EINTR;
		if (now < deadline) {
			left.tv_sec = (time_t)((deadline - now) / 1000000000u);
			left.tv_nsec = (long)((deadline - now) % 1000000000u);
		}
		nr = ppoll(fds, 2, &left, NULL);
		if (nr < 0 && errno != EINTR)
			return spoor_fail_errno("stream: poll");
		if (nr > 0 && fds[0].revents)
			return fds[0].revents;
		if (now >= deadline)
			return -ETIMEDOUT;
		if (nr > 0 && fds[1].revents)
			forget_stale_cancel(s);
	}
}
