/* SPDX-License-Identifier: MIT */
/*
 * A migration, as its source runs it: check the plan, agree with the
 * destination, move, and say truly where the machine is in the end.
 *
 * Invariant: unless COMMIT was sent, the machine runs here when this returns.
 *
 * Threads: the calling one.
 */
#include "migrate/source_priv.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "base/error.h"
#include "migrate/handover.h"
#include "migrate/opening.h"
#include "migrate/states.h"

static int check_line(const struct spoor_machine_device *d,
		      const struct spoor_plan_line *line, bool stop_copy)
{
	struct spoor_space_info space;

	if (strcmp(line->name, d->name))
		return spoor_fail(EPERM, "plan: a line for %s where %s was due",
				  line->name, d->name);
	/* What was proven of one space need not hold in another. */
	spoor_space_get_info(d->space, &space);
	if (line->space[0] && strcmp(line->space, space.name) != 0)
		return spoor_fail(EPERM,
				  "plan: %s is to be in space %s, but it is "
				  "attached to %s",
				  d->name, line->space, space.name);
	if (!(d->migration & SPOOR_MIGRATION_STOP_COPY))
		return spoor_fail(EPERM, "plan: %s cannot migrate", d->name);
	if (line->tracker == SPOOR_TRACKER_NONE && !stop_copy &&
	    line->when == SPOOR_SUSPEND_TOGETHER)
		return spoor_fail(EPERM,
				  "plan: nothing covers the writes of %s",
				  d->name);
	if (line->when != SPOOR_SUSPEND_TOGETHER &&
	    line->how == SPOOR_SUSPEND_QUIET &&
	    (!d->p2p_stops_all || !(d->migration & SPOOR_MIGRATION_P2P)))
		return spoor_fail(EPERM,
				  "plan: no P2P state is known to quiet %s",
				  d->name);
	return 0;
}

static int check_plan(const struct spoor_machine *machine,
		      const struct spoor_plan *plan)
{
	int err = 0;

	if (plan->nr_blockers)
		return spoor_fail(EPERM, "plan: %s", plan->blockers[0]);
	if (plan->nr_lines != machine->nr_devices)
		return spoor_fail(EPERM, "plan: %zu lines for %zu devices",
				  plan->nr_lines, machine->nr_devices);
	for (size_t i = 0; !err && i < plan->nr_lines; i++)
		err = check_line(&machine->devices[i], &plan->lines[i],
				 plan->stop_copy);
	return err;
}

static int prepare(struct spoor_source *s, bool *ret_refused)
{
	struct spoor_run *run = s->run;
	struct spoor_range *ranges;
	const struct spoor_region *regions;
	const size_t nr = spoor_memory_regions(run->machine->memory, &regions);
	int err;

	ranges = calloc(nr + 1, sizeof(*ranges));
	s->state_buf = malloc(SPOOR_STATE_BUF);
	if (!ranges || !s->state_buf) {
		free(ranges);
		return spoor_fail(ENOMEM, "source: out of memory");
	}
	for (size_t i = 0; i < nr; i++)
		ranges[i] = regions[i].range;
	err = spoor_bitmap_set_alloc(&s->sending, ranges, nr, 12);
	free(ranges);
	if (!err)
		err = spoor_sender_init(&s->sender, run);
	if (!err)
		err = spoor_heat_init(&s->sender.heat, s->sending);
	if (!err)
		err = spoor_tracking_new(&s->tracking, run, s->plan,
					 ret_refused);
	return err;
}

static void release(struct spoor_source *s)
{
	spoor_tracking_free(s->tracking);
	spoor_sender_clear(&s->sender);
	spoor_bitmap_set_free(s->sending);
	free(s->state_buf);
}

/* COMMIT was not sent: it runs here, and the other side is told. */
static enum spoor_outcome run_on(struct spoor_source *s, int err, bool refused,
				 enum spoor_handover how)
{
	struct spoor_run *run = s->run;
	struct spoor_result *r = run->result;

	spoor_run_error(run);
	spoor_stream_abort(&run->io, err, r->error);
	if (spoor_states_run(run, true))
		spoor_run_note(run, "warning", "not all of it runs: %s",
			       spoor_errmsg());
	if (run->paused_ns) {
		r->downtime_ns = spoor_now_ns() - run->paused_ns - r->verify_ns;
		spoor_run_mark(run, SPOOR_EVENT_RUNNING);
	}
	if (refused)
		return SPOOR_REFUSED;
	if (how == SPOOR_HANDOVER_LOST || err == -EILSEQ)
		return SPOOR_LOST;
	return err == -ECANCELED ? SPOOR_CANCELLED : SPOOR_FAILED;
}

static enum spoor_outcome moved(struct spoor_run *run)
{
	struct spoor_result *r = run->result;

	r->downtime_ns = spoor_now_ns() - run->paused_ns - r->verify_ns;
	/* Data sessions end; devices here have nothing more to say. */
	for (size_t i = 0; i < run->machine->nr_devices; i++)
		(void)!spoor_device_set_state(run->machine->devices[i].dev,
					      SPOOR_STATE_STOP);
	return run->broken ? SPOOR_MOVED_BROKEN : SPOOR_MOVED;
}

static int migrate(struct spoor_source *s, bool *ret_refused,
		   enum spoor_handover *ret_how)
{
	struct spoor_event event = { .type = SPOOR_EVENT_PLAN,
				     .plan = s->plan };
	int err;

	err = check_plan(s->run->machine, s->plan);
	if (err) {
		*ret_refused = true;
		return err;
	}
	spoor_run_event(s->run, &event);
	err = spoor_states_learn(s->run);
	if (!err)
		err = spoor_opening_offer(s->run, ret_refused);
	if (!err)
		err = prepare(s, ret_refused);
	if (!err)
		err = spoor_precopy(s);
	if (err == -EPERM && s->tracking && s->tracking->refused)
		*ret_refused = true;
	if (!err)
		err = spoor_stopcopy(s);
	if (!err)
		err = spoor_handover_give(s->run, ret_how);
	return err;
}

int spoor_source_run(struct spoor_machine *machine,
		     const struct spoor_plan *plan,
		     const struct spoor_run_opts *opts,
		     struct spoor_result *ret)
{
	enum spoor_handover how = SPOOR_HANDOVER_NOT;
	struct spoor_run run;
	struct spoor_source s = { .run = &run, .plan = plan };
	bool refused = false;
	int err;

	err = spoor_run_begin(&run, machine, opts, "source", ret);
	if (err) {
		spoor_run_finish(&run, SPOOR_FAILED, "source");
		return err;
	}
	err = migrate(&s, &refused, &how);
	switch (how) {
	case SPOOR_HANDOVER_NOT:
	case SPOOR_HANDOVER_LOST:
		ret->outcome = run_on(&s, err, refused, how);
		ret->running = "source";
		break;
	case SPOOR_HANDOVER_SENT:
		spoor_run_error(&run);
		ret->outcome = SPOOR_UNKNOWN;
		ret->running = "unknown";
		break;
	case SPOOR_HANDOVER_DONE:
		ret->outcome = moved(&run);
		ret->running = "destination";
		break;
	}
	release(&s);
	spoor_run_finish(&run, ret->outcome, ret->running);
	return err;
}
