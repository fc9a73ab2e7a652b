/* SPDX-License-Identifier: MIT */
/*
 * The progression in simulated time, step for step as migrate/precopy.c and
 * migrate/stopcopy.c have it: what costs time there costs time here, devices
 * and trackers take theirs one after the other, and when to stop is decided by
 * the same function.
 *
 * Pure; any thread.
 */
#include "plan/predict_priv.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/cleanup.h"
#include "base/error.h"

/* What is read of a device's state at once: SPOOR_STATE_BUF of a source. */
#define CHUNK (256.0 * 1024)

static double device_figure(struct spoor_sim *sim, size_t i, size_t offset,
			    const char *what)
{
	const char *name = sim->plan->lines[i].name;
	const struct spoor_profile_device *d =
		spoor_figures_device(sim->profile, name);
	const struct spoor_figure *f =
		d ? (const void *)((const char *)d + offset) : NULL;

	return spoor_figure_use(sim, f, name, what);
}

#define DEVICE_FIGURE(sim, i, member, what)                                    \
	device_figure((sim), (i),                                              \
		      offsetof(struct spoor_profile_device, member), (what))

static double state_bytes(struct spoor_sim *sim, size_t i)
{
	const struct spoor_device_fact *fact = &sim->input->devices[i];
	const struct spoor_profile_device *d =
		spoor_figures_device(sim->profile, sim->plan->lines[i].name);

	if ((!d || d->state_bytes.origin == SPOOR_UNMEASURED) &&
	    fact->state_bytes)
		return (double)fact->state_bytes;
	return DEVICE_FIGURE(sim, i, state_bytes, "its state's size");
}

static void suspend(struct spoor_sim *sim, size_t i)
{
	sim->suspended_at[i] = sim->now;
	spoor_spend(sim, DEVICE_FIGURE(sim, i, stop_ns,
				       "how long it takes to stop"));
}

/* Trackers whose devices are all suspended report nothing new. */
static void note_quiet(struct spoor_sim *sim)
{
	for (size_t k = 0; k < sim->nr_trackers; k++) {
		struct spoor_sim_tracker *t = &sim->trackers[k];
		bool quiet = t->kind != SPOOR_TRACKER_PROCESS;

		for (size_t i = 0; quiet && i < sim->plan->nr_lines; i++)
			quiet = sim->tracker_of[i] != k ||
				sim->suspended_at[i] >= 0;
		if (quiet && t->quiet_at > sim->now)
			t->quiet_at = sim->now;
	}
}

/* What lines that @pick reach: what one space maps counts once. */
static double reach(struct spoor_sim *sim,
		    bool (*pick)(const struct spoor_plan_line *line))
{
	const struct spoor_plan_input *input = sim->input;
	double sum = 0;

	for (size_t s = 0; s < input->nr_spaces; s++)
		sim->space_reach[s] = 0;
	for (size_t i = 0; i < sim->plan->nr_lines; i++) {
		const struct spoor_device_fact *dev = &input->devices[i];

		if (pick(&sim->plan->lines[i]))
			sim->space_reach[dev->space] =
				spoor_most(sim->space_reach[dev->space],
					   (double)dev->reach_bytes);
	}
	for (size_t s = 0; s < input->nr_spaces; s++)
		sum += sim->space_reach[s];
	return spoor_least(sum, sim->memory);
}

static bool suspended_after_bulk(const struct spoor_plan_line *line)
{
	return line->when == SPOOR_SUSPEND_AFTER_BULK;
}

static bool all_dirty(const struct spoor_plan_line *line)
{
	return line->tracker == SPOOR_TRACKER_ALL &&
	       line->when == SPOOR_SUSPEND_TOGETHER;
}

/* For the devices' own figures. */
static void account(struct spoor_sim *sim,
		    bool (*pick)(const struct spoor_plan_line *line))
{
	for (size_t i = 0; i < sim->plan->nr_lines; i++) {
		if (pick(&sim->plan->lines[i]))
			sim->out->devices[i].dirty_bytes +=
				sim->input->devices[i].reach_bytes;
	}
}

static double state_left(struct spoor_sim *sim)
{
	double left = 0;

	for (size_t i = 0; i < sim->plan->nr_lines; i++)
		left += state_bytes(sim, i);
	return left;
}

/* As a migration names who keeps it from converging. */
static void name_slowest(struct spoor_sim *sim, double memory, double state)
{
	const struct spoor_sim_tracker *slowest = NULL;

	for (size_t k = 0; k < sim->nr_trackers; k++) {
		const struct spoor_sim_tracker *t = &sim->trackers[k];

		if (!slowest || (t->everything && !slowest->everything) ||
		    (t->everything == slowest->everything &&
		     t->last_bytes > slowest->last_bytes))
			slowest = t;
	}
	snprintf(sim->out->slowest, sizeof(sim->out->slowest), "%s",
		 memory < state ? "the devices' state"
		 : slowest	? slowest->name
				: "nobody");
}

/* Reach of trackers that are read at the stop only. */
static double unread(const struct spoor_sim *sim)
{
	double sum = 0;

	for (size_t k = 0; k < sim->nr_trackers; k++) {
		const struct spoor_sim_tracker *t = &sim->trackers[k];

		if (!t->everything && t->quiet_read && !t->can_quiesce)
			sum += t->reach;
	}
	return sum;
}

static int rounds(struct spoor_sim *sim)
{
	for (;;) {
		double dirty, certain, state;
		struct spoor_remains left;
		int err;

		spoor_sim_collect(sim, false);
		dirty = spoor_sim_written(sim) + sim->marked;
		certain = reach(sim, all_dirty);
		if (sim->converge.cautious)
			certain =
				spoor_least(certain + unread(sim), sim->memory);
		state = state_left(sim);
		left = (struct spoor_remains){ .dirty = spoor_whole(dirty),
					       .certain = spoor_whole(certain),
					       .state = spoor_whole(state) };
		switch (spoor_converge_ask(&sim->converge, &left,
					   spoor_whole(sim->read_ns),
					   sim->out->rounds)) {
		case SPOOR_CONVERGE_STOP:
			sim->out->converges = true;
			return 0;
		case SPOOR_CONVERGE_GIVE_IN:
			name_slowest(sim, dirty + certain, state);
			return 0;
		case SPOOR_CONVERGE_ROUND:
			break;
		}
		err = spoor_sim_send(sim);
		if (err)
			return err;
	}
}

static void suspend_early(struct spoor_sim *sim, enum spoor_suspend_when when)
{
	for (size_t i = 0; i < sim->plan->nr_lines; i++) {
		if (sim->plan->lines[i].when == when)
			suspend(sim, i);
	}
	note_quiet(sim);
}

static void start_trackers(struct spoor_sim *sim)
{
	for (size_t k = 0; k < sim->nr_trackers; k++) {
		struct spoor_sim_tracker *t = &sim->trackers[k];
		double ns;

		if (t->everything)
			continue;
		for (size_t p = 0; p < t->page->nr_dirty; p++)
			(void)spoor_figure_use(sim, &t->page->dirty[p].bytes,
					       t->name, NULL);
		ns = spoor_sim_cost(sim, t, &t->page->start_ns,
				    "what its start costs");
		spoor_spend(sim, ns);
		sim->tracking += ns;
		t->read_at = sim->now;
	}
}

static int precopy(struct spoor_sim *sim)
{
	int err;

	/* HELLO; the destination's devices leave RUNNING; WELCOME */
	spoor_spend(sim, 2 * sim->latency);
	for (size_t i = 0; i < sim->plan->nr_lines; i++)
		spoor_spend(sim, DEVICE_FIGURE(sim, i, stop_ns, NULL));
	sim->marked = sim->memory;
	if (sim->plan->stop_copy) {
		sim->out->converges = true;
		return 0;
	}
	start_trackers(sim);
	suspend_early(sim, SPOOR_SUSPEND_BEFORE_BULK);
	err = spoor_sim_send(sim);
	if (err)
		return err;
	suspend_early(sim, SPOOR_SUSPEND_AFTER_BULK);
	sim->marked = reach(sim, suspended_after_bulk);
	account(sim, suspended_after_bulk);
	return rounds(sim);
}

static void stop_all(struct spoor_sim *sim)
{
	const double paused = sim->now;

	sim->still_at = paused;
	sim->out->paused_ns = spoor_whole(paused);
	spoor_spend(sim, spoor_figure_use(sim, &sim->profile->pause_ns, "",
					  "how long CPUs take to pause"));
	for (size_t k = 0; k < sim->nr_trackers; k++) {
		if (sim->trackers[k].kind == SPOOR_TRACKER_PROCESS)
			sim->trackers[k].quiet_at = sim->now;
	}
	for (size_t i = 0; i < sim->plan->nr_lines; i++) {
		if (sim->suspended_at[i] >= 0)
			continue;
		suspend(sim, i);
		/* Nobody reaches it since the pause. */
		sim->suspended_at[i] = paused;
	}
	note_quiet(sim);
}

/*
 * A device's state is loaded while it still comes, and while the next one's is
 * saved; only what came last is left to be loaded after that.
 */
static void move_states(struct spoor_sim *sim)
{
	double loaded = sim->now;

	for (size_t i = 0; i < sim->plan->nr_lines; i++) {
		const double bytes = state_bytes(sim, i);
		const double save = DEVICE_FIGURE(
			sim, i, save_ns, "how long its state takes to save");
		const double load = DEVICE_FIGURE(
			sim, i, load_ns, "how long its state takes to load");
		const double begun = sim->now;
		const double last = load / spoor_most(bytes / CHUNK, 1);

		spoor_spend(sim, spoor_sim_send_ns(sim, bytes, save));
		sim->bytes += bytes;
		loaded = spoor_most(spoor_most(loaded, begun) + load,
				    sim->now + last);
	}
	sim->now = spoor_most(sim->now, loaded);
}

/* The last bytes arrive, READY comes back, COMMIT goes: then it runs. */
static void hand_over(struct spoor_sim *sim)
{
	spoor_spend(sim,
		    3 * sim->latency +
			    spoor_figure_use(sim, &sim->profile->handover_ns,
					     "", "how long a hand-over takes"));
	for (size_t i = 0; i < sim->plan->nr_lines; i++)
		spoor_spend(sim, DEVICE_FIGURE(sim, i, run_ns,
					       "how long it takes to run"));
	spoor_spend(sim, spoor_figure_use(sim, &sim->profile->resume_ns, "",
					  "how long CPUs take to resume"));
	sim->out->running_ns = spoor_whole(sim->now);
}

static void say_devices(struct spoor_sim *sim)
{
	for (size_t i = 0; i < sim->plan->nr_lines; i++) {
		struct spoor_predicted_device *d = &sim->out->devices[i];
		const double period = DEVICE_FIGURE(sim, i, period_ns, NULL);
		const double gap = spoor_most(sim->now - sim->suspended_at[i],
					      sim->paused[i]);
		const size_t k = sim->tracker_of[i];

		d->gap_ns = spoor_whole(gap - period);
		if (k != SPOOR_NO_TRACKER && sim->trackers[k].page)
			d->slowdown = spoor_figure_use(
				sim, &sim->trackers[k].page->slowdown, "",
				NULL);
	}
}

static int stopcopy(struct spoor_sim *sim)
{
	struct spoor_prediction *out = sim->out;
	double certain;
	int err;

	stop_all(sim);
	spoor_sim_collect(sim, true);
	/* Where what was marked before lies in it, who knows. */
	certain = reach(sim, all_dirty);
	if (sim->memory > 0)
		sim->marked += certain * (1 - sim->marked / sim->memory);
	account(sim, all_dirty);
	err = spoor_sim_send(sim);
	if (err)
		return err;
	move_states(sim);
	hand_over(sim);
	say_devices(sim);
	/* DONE */
	spoor_spend(sim, sim->latency);
	out->downtime_ns = spoor_whole(sim->now) - out->paused_ns;
	for (size_t k = 0; k < sim->nr_trackers; k++) {
		const struct spoor_sim_tracker *t = &sim->trackers[k];
		double ns = 0;

		if (t->page)
			ns = spoor_sim_cost(sim, t, &t->page->stop_ns, NULL);
		sim->tracking += ns;
		spoor_spend(sim, ns);
	}
	out->total_ns = spoor_whole(sim->now);
	out->bytes = spoor_whole(sim->bytes);
	out->tracking_ns = spoor_whole(sim->tracking);
	return 0;
}

static int set_up(struct spoor_sim *sim, const struct spoor_link_fact *link)
{
	const struct spoor_profile *p = sim->profile;

	sim->memory = (double)sim->input->memory_bytes;
	sim->scale =
		p->memory_bytes ? sim->memory / (double)p->memory_bytes : 1;
	(void)spoor_figure_use(sim, &p->zero_share, "", NULL);
	for (size_t i = 0; i < p->nr_zero_later; i++)
		(void)spoor_figure_use(sim, &p->zero_later[i].share, "", NULL);
	sim->link = (double)link->bytes_per_s / 1e9;
	sim->latency = (double)link->latency_ns;
	sim->send = spoor_figure_use(sim, &p->send_bytes_per_s, "",
				     "how fast memory is sent") /
		    1e9;
	sim->resend =
		spoor_figure_use(sim, &p->resend_bytes_per_s, "", NULL) / 1e9;
	if (sim->resend <= 0)
		sim->resend = sim->send;
	sim->zero = spoor_figure_use(sim, &p->zero_bytes_per_s, "", NULL) / 1e9;
	sim->run_ns = spoor_figure_use(sim, &p->send_run_ns, "", NULL);
	if (sim->send <= 0 && sim->link <= 0)
		return spoor_fail(ENOENT, "profile: it does not say how fast "
					  "memory is sent, nor the link");
	sim->still_at = -1;
	for (size_t i = 0; i < sim->plan->nr_lines; i++)
		sim->suspended_at[i] = -1;
	return spoor_sim_lineup(sim);
}

static int name_trackers(struct spoor_sim *sim)
{
	struct spoor_prediction *out = sim->out;

	out->trackers = calloc(sim->nr_trackers + 1, sizeof(*out->trackers));
	if (!out->trackers)
		return spoor_fail(ENOMEM, "predict: out of memory");
	out->nr_trackers = sim->nr_trackers;
	for (size_t k = 0; k < sim->nr_trackers; k++)
		memcpy(out->trackers[k], sim->trackers[k].name,
		       sizeof(out->trackers[k]));
	return 0;
}

int spoor_predict_there(struct spoor_prediction *ret,
			const struct spoor_plan *plan,
			const struct spoor_plan_input *input,
			const struct spoor_profile *profile,
			const struct spoor_link_fact *link,
			const struct spoor_target *target)
{
	const size_t nr = plan->nr_lines;
	SPOOR_AUTO_HEAP struct spoor_sim_tracker *trackers = NULL;
	SPOOR_AUTO_HEAP size_t *tracker_of = NULL;
	SPOOR_AUTO_HEAP double *times = NULL;
	struct spoor_prediction out = { .nr_devices = nr };
	struct spoor_sim sim = {
		.plan = plan, .input = input, .profile = profile, .out = &out
	};
	int err;

	if (plan->nr_blockers || nr != input->nr_devices)
		return spoor_fail(EINVAL, "predict: %s",
				  plan->nr_blockers ? plan->blockers[0]
						    : "a plan of another "
						      "machine");
	sim.trackers = trackers = calloc(nr + 1, sizeof(*trackers));
	sim.tracker_of = tracker_of = calloc(nr + 1, sizeof(*tracker_of));
	times = calloc(2 * nr + input->nr_spaces + 1, sizeof(*times));
	out.devices = calloc(nr + 1, sizeof(*out.devices));
	if (!trackers || !tracker_of || !times || !out.devices) {
		free(out.devices);
		return spoor_fail(ENOMEM, "predict: out of memory");
	}
	sim.suspended_at = times;
	sim.paused = times + nr;
	sim.space_reach = times + 2 * nr;
	spoor_converge_init(&sim.converge,
			    target->downtime_ns ? target->downtime_ns
						: SPOOR_DEFAULT_DOWNTIME_NS,
			    target->max_rounds ? target->max_rounds
					       : SPOOR_DEFAULT_ROUNDS,
			    target->strict_downtime);
	err = set_up(&sim, link);
	if (!err)
		err = name_trackers(&sim);
	if (!err)
		err = precopy(&sim);
	if (!err)
		err = stopcopy(&sim);
	if (err) {
		spoor_prediction_clear(&out);
		return err;
	}
	*ret = out;
	return 0;
}

void spoor_prediction_clear(struct spoor_prediction *p)
{
	if (!p)
		return;
	free(p->devices);
	free(p->timeline);
	free(p->trackers);
	free(p->reads);
	*p = (struct spoor_prediction){ 0 };
}
