/* SPDX-License-Identifier: MIT */
/*
 * While the machine runs: track, copy everything, copy again what changed, and
 * decide when stopping costs no more than was asked for.
 *
 * Trackers are started before the first byte is read, so what is written while
 * the bulk copy goes on is dirty in the round after it.
 *
 * Threads: the run's own.
 */
#include "migrate/source_priv.h"

#include <errno.h>

#include "base/error.h"
#include "migrate/states.h"

/* Pre-copy data of one device in one round, at most. */
#define PRECOPY_DATA_MAX (64u << 20)

int spoor_source_device_data(struct spoor_source *s, size_t device,
			     bool *ret_end)
{
	struct spoor_machine_device *d = &s->run->machine->devices[device];
	uint8_t head[SPOOR_DEVICE_DATA_HEADER];
	const bool stopped = d->state == SPOOR_STATE_STOP_COPY;
	uint64_t bytes = 0;

	*ret_end = false;
	spoor_device_data_encode((uint32_t)device, head);
	while (stopped || bytes < PRECOPY_DATA_MAX) {
		const long n = spoor_device_read_state(d->dev, s->state_buf,
						       SPOOR_STATE_BUF);
		struct iovec iov[2] = {
			{ .iov_base = head, .iov_len = sizeof(head) },
			{ .iov_base = s->state_buf, .iov_len = (size_t)n },
		};
		int err;

		if (n == -ENOMSG && !stopped)
			return 0;
		if (n < 0)
			return spoor_fail_context((int)n, "%s: read its state",
						  d->name);
		if (!n) {
			*ret_end = stopped;
			return 0;
		}
		bytes += (uint64_t)n;
		d->state_bytes += (uint64_t)n;
		err = spoor_stream_send(&s->run->io, SPOOR_FRAME_DEVICE_DATA, 0,
					iov, 2);
		if (err)
			return err;
	}
	return 0;
}

static int suspend(struct spoor_source *s, struct spoor_machine_device *d,
		   const struct spoor_plan_line *line)
{
	struct spoor_run *run = s->run;
	int err = spoor_states_block(run, d, true);

	/*
	 * Quiet, it could still be reached by a peer, whose write would be
	 * held or lost: so nobody maps its BARs until it runs again.
	 */
	if (!err)
		err = spoor_states_block_peers(run, d, true);
	if (!err && line->how == SPOOR_SUSPEND_QUIET)
		err = spoor_states_quiesce(run, d);
	else if (!err)
		err = spoor_states_set(run, d, SPOOR_STATE_STOP);
	if (err)
		return err;
	d->suspended = true;
	d->suspended_ns = spoor_now_ns();
	spoor_run_note(run, "info", "%s: suspended early (%s)", d->name,
		       line->how == SPOOR_SUSPEND_QUIET ? "quiet" : "stop");
	return 0;
}

int spoor_precopy_suspend(struct spoor_source *s, enum spoor_suspend_when when)
{
	struct spoor_machine *machine = s->run->machine;

	for (size_t i = 0; i < machine->nr_devices; i++) {
		struct spoor_machine_device *d = &machine->devices[i];
		int err;

		if (s->plan->lines[i].when != when)
			continue;
		err = suspend(s, d, &s->plan->lines[i]);
		if (err)
			return err;
		/* Whatever it wrote during the bulk copy, nobody saw. */
		if (when == SPOOR_SUSPEND_AFTER_BULK)
			spoor_tracking_mark_device(s->tracking, d);
	}
	return 0;
}

static int begin_precopy_states(struct spoor_source *s)
{
	struct spoor_machine *machine = s->run->machine;
	int err = 0;

	/*
	 * One that will be suspended early is not asked: on its way to STOP it
	 * would end a session whose beginning had been sent.
	 */
	for (size_t i = 0; !err && i < machine->nr_devices; i++) {
		struct spoor_machine_device *d = &machine->devices[i];

		if ((d->migration & SPOOR_MIGRATION_PRE_COPY) &&
		    s->plan->lines[i].when == SPOOR_SUSPEND_TOGETHER)
			err = spoor_states_set(s->run, d, SPOOR_STATE_PRE_COPY);
	}
	return err;
}

static int send_precopy_data(struct spoor_source *s)
{
	struct spoor_machine *machine = s->run->machine;
	int err = 0;
	bool end;

	for (size_t i = 0; !err && i < machine->nr_devices; i++) {
		if (machine->devices[i].state == SPOOR_STATE_PRE_COPY)
			err = spoor_source_device_data(s, i, &end);
	}
	return err;
}

int spoor_source_round(struct spoor_source *s, bool stopped)
{
	struct spoor_run *run = s->run;
	const struct spoor_round round = { .round = run->result->rounds + 1,
					   .stopped = stopped };
	const uint64_t begun = spoor_now_ns(), bytes = run->io.bytes_sent;
	uint64_t queued = spoor_stream_queued(&run->io), sent;
	uint64_t pages = s->sender.data_pages + s->sender.zero_pages;
	struct spoor_event event = { .type = SPOOR_EVENT_ROUND,
				     .stopped = stopped,
				     .areas = s->sender.heat.areas,
				     .nr_areas = s->sender.heat.nr_areas };
	SPOOR_AUTO_WBUF b = { 0 };
	int err;

	spoor_heat_cool(&s->sender.heat);
	spoor_tracking_take(s->tracking, s->sending);
	spoor_round_encode(&round, &b);
	err = spoor_stream_send_buf(&run->io, SPOOR_FRAME_ROUND, 0, &b);
	if (!err)
		err = spoor_sender_send(&s->sender, s->sending);
	/* A round that was cut short has sent what it has. */
	pages = s->sender.data_pages + s->sender.zero_pages - pages;
	run->result->pages_sent += pages;
	if (err)
		return err;
	spoor_bitmap_set_clear(s->sending);
	run->result->rounds++;
	event.round = round.round;
	event.duration_ns = spoor_now_ns() - begun;
	event.bytes = run->io.bytes_sent - bytes;
	event.reads = s->tracking->reads;
	event.nr_reads = s->tracking->trackers.nr;
	spoor_run_event(run, &event);
	spoor_tracking_forget_reads(s->tracking);
	/* What left in that time: less than was sent, or more. */
	sent = event.bytes + queued;
	queued = spoor_stream_queued(&run->io);
	spoor_converge_learn(&s->converge, sent > queued ? sent - queued : 0,
			     pages, event.duration_ns);
	return 0;
}

/* What the devices still have to send once they are stopped. */
static uint64_t state_left(struct spoor_source *s)
{
	struct spoor_machine *machine = s->run->machine;
	uint64_t left = 0, size, initial, dirty;

	for (size_t i = 0; i < machine->nr_devices; i++) {
		struct spoor_machine_device *d = &machine->devices[i];

		if (!spoor_device_state_size(d->dev, &size))
			left += size;
		else if (d->state == SPOOR_STATE_PRE_COPY &&
			 !spoor_device_precopy_info(d->dev, &initial, &dirty))
			left += initial + dirty;
	}
	return left;
}

/* On to the stop all the same, or not at all if that was asked. */
static int give_in(struct spoor_source *s, uint64_t downtime_ns,
		   const struct spoor_remains *left)
{
	struct spoor_run *run = s->run;
	const unsigned long long target = run->opts.downtime_ns / 1000000u;
	/* Of what is left, is most of it memory? */
	const bool memory = left->dirty + left->certain >= left->state;
	const char *who = memory ? spoor_tracking_busiest(s->tracking)
				 : "the devices' state";
	const char *how = memory ? "is too fast" : "is too large";

	if (run->result->rounds >= run->opts.max_rounds)
		spoor_run_note(run, "warning",
			       "all %u rounds that are allowed were sent: "
			       "stopping now costs about %llu ms, %llu were "
			       "asked for; most is left of %s",
			       run->opts.max_rounds,
			       (unsigned long long)(downtime_ns / 1000000u),
			       target, who);
	else
		spoor_run_note(
			run, "warning",
			"rounds no longer shrink, after %u of %u: %s %s, "
			"stopping now costs about %llu ms, %llu were "
			"asked for",
			run->result->rounds, run->opts.max_rounds, who, how,
			(unsigned long long)(downtime_ns / 1000000u), target);
	if (!run->opts.strict_downtime)
		return 0;
	return spoor_fail(ETIME, "the downtime of %llu ms cannot be met: %s %s",
			  target, who, how);
}

static int rounds(struct spoor_source *s)
{
	struct spoor_run *run = s->run;

	for (;;) {
		struct spoor_remains r;
		int err = send_precopy_data(s);

		if (!err)
			err = spoor_tracking_collect(s->tracking, false);
		if (err)
			return err;
		/* Who must not miss the target reckons with the worst. */
		r.dirty = spoor_tracking_dirty_bytes(s->tracking);
		r.certain = spoor_tracking_certain_bytes(
			s->tracking, run->opts.strict_downtime);
		r.state = state_left(s);
		r.queued = spoor_stream_queued(&run->io);
		switch (spoor_converge_ask(&s->converge, &r,
					   s->tracking->read_ns,
					   run->result->rounds)) {
		case SPOOR_CONVERGE_STOP:
			run->result->converged = true;
			return 0;
		case SPOOR_CONVERGE_GIVE_IN:
			return give_in(s, s->converge.expected_ns, &r);
		case SPOOR_CONVERGE_ROUND:
			break;
		}
		err = spoor_source_round(s, false);
		if (err)
			return err;
	}
}

int spoor_precopy(struct spoor_source *s)
{
	const struct spoor_range low = { .iova = 0, .len = UINT64_MAX };
	const struct spoor_range top = { .iova = UINT64_MAX, .len = 1 };
	int err = 0;

	spoor_converge_init(&s->converge, s->run->opts.downtime_ns,
			    s->run->opts.max_rounds,
			    s->run->opts.strict_downtime);
	/* The bulk copy: everything counts dirty once. */
	(void)spoor_bitmap_set_mark(s->sending, &low);
	(void)spoor_bitmap_set_mark(s->sending, &top);
	/* Tracking given up: it is all copied once it is stopped. */
	if (s->plan->stop_copy) {
		s->run->result->converged = true;
		return 0;
	}
	err = spoor_tracking_start(s->tracking);
	if (!err)
		err = begin_precopy_states(s);
	if (!err)
		err = spoor_precopy_suspend(s, SPOOR_SUSPEND_BEFORE_BULK);
	if (!err)
		err = spoor_source_round(s, false);
	if (!err)
		err = spoor_precopy_suspend(s, SPOOR_SUSPEND_AFTER_BULK);
	return err ? err : rounds(s);
}
