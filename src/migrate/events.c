/* SPDX-License-Identifier: MIT */
/*
 * What a run tells its caller while it goes on, and the clocks it uses.
 *
 * Events carry CLOCK_MONOTONIC, which all processes of a host share: whoever
 * sees both sides can lay them on one time line.
 *
 * Threads: the run's own.
 */
#include "migrate/machine_priv.h"

#include <stdarg.h>
#include <stdio.h>
#include <time.h>

static uint64_t clock_ns(clockid_t id)
{
	struct timespec ts;

	clock_gettime(id, &ts);
	return (uint64_t)ts.tv_sec * 1000000000u + (uint64_t)ts.tv_nsec;
}

uint64_t spoor_now_ns(void)
{
	return clock_ns(CLOCK_MONOTONIC);
}

uint64_t spoor_thread_cpu_ns(void)
{
	return clock_ns(CLOCK_THREAD_CPUTIME_ID);
}

void spoor_run_event(const struct spoor_run *run, struct spoor_event *event)
{
	event->side = run->side;
	if (!event->time_ns)
		event->time_ns = spoor_now_ns();
	if (run->opts.event)
		run->opts.event(run->opts.event_opaque, event);
}

void spoor_run_note(const struct spoor_run *run, const char *level,
		    const char *fmt, ...)
{
	char text[640];
	struct spoor_event event = { .type = SPOOR_EVENT_NOTE,
				     .level = level,
				     .text = text };
	va_list ap;

	va_start(ap, fmt);
	vsnprintf(text, sizeof(text), fmt, ap);
	va_end(ap);
	spoor_run_event(run, &event);
}

void spoor_run_mark(struct spoor_run *run, enum spoor_event_type type)
{
	struct spoor_event event = { .type = type };

	spoor_run_event(run, &event);
}

void spoor_run_verify_begin(struct spoor_run *run)
{
	struct spoor_event event = { .type = SPOOR_EVENT_VERIFY_BEGIN,
				     .time_ns = spoor_now_ns() };

	run->verify_begun_ns = event.time_ns;
	spoor_run_event(run, &event);
}

void spoor_run_verify_end(struct spoor_run *run)
{
	struct spoor_event event = { .type = SPOOR_EVENT_VERIFY_END,
				     .time_ns = spoor_now_ns() };

	if (!run->verify_begun_ns)
		return;
	run->result->verify_ns += event.time_ns - run->verify_begun_ns;
	run->verify_begun_ns = 0;
	spoor_run_event(run, &event);
}
