/* SPDX-License-Identifier: MIT */
/*
 * One round in simulated time: what trackers report and what asking them
 * costs, and how long it takes to send.
 *
 * What is dirty is the sum of what trackers report, at most all of memory.
 * What counts dirty without being read (all that a device reaches) holds zero
 * pages as the rest of memory does; of what was reported the profile tells.
 *
 * Pure; any thread.
 */
#include "plan/predict_priv.h"

#include <errno.h>
#include <stdlib.h>

#include "base/error.h"

#define PAGE 4096.0

double spoor_sim_cost(struct spoor_sim *sim, const struct spoor_sim_tracker *t,
		      const struct spoor_figure *f, const char *what)
{
	return spoor_figure_use(sim, f, t->name, what) * sim->scale;
}

double spoor_sim_written(const struct spoor_sim *sim)
{
	double sum = 0;

	for (size_t k = 0; k < sim->nr_trackers; k++)
		sum += sim->trackers[k].unsent;
	if (sim->memory <= 0)
		return 0;
	return spoor_least(sum, sim->memory) * (1 - sim->marked / sim->memory);
}

/* The part of it that is zero. */
static double written_zero(const struct spoor_sim *sim)
{
	double sum = 0, zero = 0;

	for (size_t k = 0; k < sim->nr_trackers; k++) {
		sum += sim->trackers[k].unsent;
		zero += sim->trackers[k].unsent_zero;
	}
	return sum > 0 ? spoor_least(zero / sum, 1) : 0;
}

double spoor_sim_data(const struct spoor_sim *sim, double after_ns)
{
	const struct spoor_profile *p = sim->profile;
	double at = 0, zero = p->zero_share.median;

	if (sim->still_at >= 0)
		after_ns = spoor_least(after_ns, sim->still_at);
	for (size_t i = 0; i < p->nr_zero_later; i++) {
		const struct spoor_zero_point *next = &p->zero_later[i];
		const double then = (double)next->after_ns;

		if (after_ns <= then) {
			zero += (next->share.median - zero) * (after_ns - at) /
				(then - at);
			break;
		}
		at = then;
		zero = next->share.median;
	}
	return 1 - spoor_least(spoor_most(zero, 0), 1);
}

/*
 * Of what is to be sent: what goes on the link, what reading zeroes costs that
 * lie between it, and zeroes that lie together: meanwhile the link is idle.
 */
struct load {
	double wire, own_ns, idle_ns;
};

static struct load load_of(const struct spoor_sim *sim, double apart,
			   double after_ns)
{
	const double data = spoor_sim_data(sim, after_ns);
	const double between = apart * written_zero(sim);
	const double together = sim->marked * (1 - data);
	struct load load = {
		.wire = spoor_most(apart + sim->marked - between - together, 0)
	};

	if (sim->zero > 0) {
		load.own_ns = between / sim->zero;
		load.idle_ns = together / sim->zero;
	}
	return load;
}

static int log_round(struct spoor_sim *sim, double ns, double wire)
{
	struct spoor_prediction *out = sim->out;
	const size_t n = out->rounds, nr = sim->nr_trackers;
	struct spoor_predicted_round *rounds;
	struct spoor_predicted_read *reads;

	rounds = reallocarray(out->timeline, n + 1, sizeof(*rounds));
	if (!rounds)
		return spoor_fail(ENOMEM, "predict: out of memory");
	out->timeline = rounds;
	reads = reallocarray(out->reads, (n + 1) * nr + 1, sizeof(*reads));
	if (!reads)
		return spoor_fail(ENOMEM, "predict: out of memory");
	out->reads = reads;
	rounds[n] =
		(struct spoor_predicted_round){ .begin_ns =
							spoor_whole(sim->now),
						.duration_ns = spoor_whole(ns),
						.bytes = spoor_whole(wire) };
	for (size_t k = 0; k < nr; k++) {
		struct spoor_sim_tracker *t = &sim->trackers[k];

		reads[n * nr + k] = (struct spoor_predicted_read){
			.bytes = spoor_whole(t->last_bytes),
			.read_ns = spoor_whole(t->last_ns),
		};
	}
	out->rounds++;
	return 0;
}

double spoor_sim_send_ns(const struct spoor_sim *sim, double wire,
			 double own_ns)
{
	if (sim->send > 0)
		own_ns += wire / sim->send;
	return sim->link > 0 ? spoor_most(own_ns, wire / sim->link) : own_ns;
}

int spoor_sim_send(struct spoor_sim *sim)
{
	const double apart = spoor_sim_written(sim),
		     pages = apart + sim->marked;
	struct load load = load_of(sim, apart, sim->now);
	double wire, own, ns = 0;
	int err;

	/* Memory fills while it is sent: as it is halfway. */
	load = load_of(
		sim, apart,
		sim->now + spoor_sim_send_ns(sim, load.wire, load.own_ns) / 2);
	wire = load.wire;
	own = load.own_ns;
	ns = load.idle_ns;
	/* Taken and walked before anything is sent. */
	for (size_t k = 0; sim->out->rounds && k < sim->nr_trackers; k++) {
		const struct spoor_sim_tracker *t = &sim->trackers[k];
		double digest = 0;

		own += t->unsent_runs * sim->run_ns;
		if (t->page)
			digest = spoor_sim_cost(sim, t, &t->page->digest_ns,
						NULL);
		sim->tracking += digest;
		ns += digest;
	}
	ns += spoor_sim_send_ns(sim, wire, own);
	err = log_round(sim, ns, wire);
	if (err)
		return err;
	spoor_spend(sim, ns);
	/* From now on both sides know their memory. */
	sim->send = sim->resend;
	sim->bytes += wire;
	sim->marked = 0;
	for (size_t k = 0; k < sim->nr_trackers; k++)
		sim->trackers[k].unsent = sim->trackers[k].unsent_runs =
			sim->trackers[k].unsent_zero = 0;
	spoor_converge_learn(&sim->converge, spoor_whole(wire),
			     spoor_whole(pages / PAGE), spoor_whole(ns));
	return 0;
}

static double bytes_of(const struct spoor_sim_tracker *t, double interval)
{
	return spoor_curve_bytes(t->page->dirty, t->page->nr_dirty, t->reach,
				 interval, t->kind == SPOOR_TRACKER_PINNED);
}

/* Pieces that @bytes lie in; the denser, the fewer, if nobody counted. */
static double runs_of(const struct spoor_sim_tracker *t, double interval,
		      double bytes)
{
	const double pages = bytes / (double)t->page_size;
	const double dense = t->reach > 0 ? bytes / t->reach : 0;
	const double runs =
		spoor_curve_runs(t->page->dirty, t->page->nr_dirty, interval,
				 t->kind == SPOOR_TRACKER_PINNED);

	return runs < 0 ? pages * (1 - dense) : spoor_least(runs, pages);
}

static double zero_of(struct spoor_sim *sim, const struct spoor_sim_tracker *t,
		      double interval)
{
	for (size_t i = 0; i < t->page->nr_dirty; i++)
		(void)spoor_figure_use(sim, &t->page->dirty[i].zero_share,
				       t->name, NULL);
	return spoor_least(
		spoor_curve_zero(t->page->dirty, t->page->nr_dirty, interval),
		1);
}

static double read_cost(struct spoor_sim *sim,
			const struct spoor_sim_tracker *t)
{
	const struct spoor_profile_page *p = t->page;
	const double pages = t->last_bytes / (double)t->page_size;
	double apart = spoor_figure_use(sim, &p->read_page_ns, t->name, NULL);
	double along = spoor_figure_use(sim, &p->read_run_ns, t->name, NULL);

	if (p->read_page_ns.origin == SPOOR_UNMEASURED)
		apart = along;
	if (p->read_run_ns.origin == SPOOR_UNMEASURED)
		along = apart;
	return spoor_sim_cost(sim, t, &p->read_clean_ns,
			      "what a read costs with nothing dirty") +
	       along * (pages - t->last_runs) + apart * t->last_runs;
}

static void note_pause(struct spoor_sim *sim, size_t k, double ns)
{
	for (size_t i = 0; i < sim->plan->nr_lines; i++) {
		if (sim->tracker_of[i] == k && sim->suspended_at[i] < 0)
			sim->paused[i] = spoor_most(sim->paused[i], ns);
	}
}

static void read_tracker(struct spoor_sim *sim, size_t k, bool stopped)
{
	struct spoor_sim_tracker *t = &sim->trackers[k];
	const double until = spoor_least(sim->now, t->quiet_at);
	const double interval = spoor_most(until - t->read_at, 0);
	double ns, all;

	t->last_bytes = bytes_of(t, interval);
	t->last_runs = runs_of(t, interval, t->last_bytes);
	if (t->unsent <= 0)
		t->since = t->read_at;
	all = spoor_most(until - t->since, 0);
	t->unsent = spoor_most(bytes_of(t, all), t->unsent);
	if (stopped) {
		/* Pinned pages may count only now. */
		const double still = spoor_figure_use(
			sim, &t->page->still_bytes, t->name, NULL);

		t->last_bytes = spoor_most(t->last_bytes, still);
		t->unsent = spoor_most(t->unsent, still);
	}
	t->unsent_runs = runs_of(t, all, t->unsent);
	t->unsent_zero = t->unsent * zero_of(sim, t, all);
	ns = t->last_ns = read_cost(sim, t);
	t->read_at = sim->now;
	sim->read_ns += ns;
	sim->tracking += ns;
	if (t->quiet_read && !stopped)
		note_pause(sim, k, ns);
	spoor_spend(sim, ns);
	for (size_t i = 0; i < sim->plan->nr_lines; i++) {
		if (sim->tracker_of[i] == k)
			sim->out->devices[i].dirty_bytes +=
				spoor_whole(t->last_bytes);
	}
}

void spoor_sim_collect(struct spoor_sim *sim, bool stopped)
{
	sim->read_ns = 0;
	for (size_t k = 0; k < sim->nr_trackers; k++) {
		struct spoor_sim_tracker *t = &sim->trackers[k];

		t->last_bytes = t->last_runs = t->last_ns = 0;
		if (t->everything && stopped)
			t->last_bytes = t->reach;
		if (!t->everything &&
		    (stopped || !t->quiet_read || t->can_quiesce))
			read_tracker(sim, k, stopped);
	}
}
