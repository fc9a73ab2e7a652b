/* SPDX-License-Identifier: MIT */
/*
 * What a plan costs on a link, from a profile; and the cheapest plan.
 *
 * Pure functions: no I/O, no clock, the same input gives the same answer.
 */
#ifndef SPOOR_PREDICT_H
#define SPOOR_PREDICT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <spoor/common.h>
#include <spoor/plan.h>
#include <spoor/profile.h>

#ifdef __cplusplus
extern "C" {
#endif

struct spoor_link_fact {
	uint64_t bytes_per_s; /* 0: as fast as memory is sent */
	uint64_t latency_ns; /* one way */
};

enum spoor_objective {
	/*
	 * A device that could be tracked and is suspended early is as good as
	 * down: then its gap counts, if it is longer.
	 */
	SPOOR_LEAST_DOWNTIME = 0,
	SPOOR_LEAST_TOTAL = 1,
	SPOOR_LEAST_GAP = 2, /* of the named devices, the worst of them */
	SPOOR_LEAST_BYTES = 3, /* sent */
};

/* What is asked of a plan. */
struct spoor_target {
	enum spoor_objective objective;
	uint64_t downtime_ns; /* as in spoor_run_opts; 0: its default */
	unsigned int max_rounds; /* the same */
	bool strict_downtime; /* the same: it reckons with the worst */
	const char *const *devices; /* SPOOR_LEAST_GAP: these; none: all */
	size_t nr_devices;
	/* A plan predicted to miss one of these loses to any that does not. */
	uint64_t limit_downtime_ns, limit_total_ns, limit_gap_ns; /* 0: none */
};

struct spoor_predicted_device {
	uint64_t gap_ns; /* as its clients notice it */
	double slowdown; /* of its work while it is tracked */
	uint64_t dirty_bytes; /* reported by its tracker, or marked for it */
};

/* What one tracker reports before a round. */
struct spoor_predicted_read {
	uint64_t bytes, read_ns;
};

struct spoor_predicted_round {
	uint64_t begin_ns, duration_ns; /* since it all began; of sending */
	uint64_t bytes; /* on the link */
};

struct spoor_prediction {
	enum spoor_origin origin; /* the weakest of the figures it rests on */
	bool converges; /* the target can be expected when it is stopped */
	unsigned int rounds; /* the one after the stop included */
	/* Without verification; tracking: starting, reading, stopping. */
	uint64_t bytes, total_ns, downtime_ns, tracking_ns;
	uint64_t paused_ns, running_ns; /* when CPUs stop, and run there */
	struct spoor_predicted_device *devices; /* one a line of the plan */
	size_t nr_devices;
	struct spoor_predicted_round *timeline; /* one a round */
	char (*trackers)[160]; /* names, as in a profile */
	size_t nr_trackers;
	/* reads[round * nr_trackers + tracker], of those before the round. */
	struct spoor_predicted_read *reads;
	char slowest[160]; /* if it does not converge: who is too fast, or "" */
	char missing[160]; /* a figure that the profile lacks, or "" */
	/* A space's tracker that was no choice for want of figures, or "". */
	char unmeasured[160];
};

/**
 * spoor_predict() - the whole progression, in simulated time
 * @ret:     on success, filled in; release with spoor_prediction_clear().
 * @plan:    a plan without blockers for @input.
 * @input:   the facts that it was made from.
 * @profile: figures; devices and trackers are found by name.
 * @link:    what it is sent through.
 * @target:  when it is stopped.
 *
 * A plan may put devices into other spaces than @input has them in; what a
 * space's tracker reports depends on who is attached, so its figures must be of
 * just those devices.
 *
 * The decision when to stop is the one that a real source takes.  A profile
 * without a tracker "cpu.process" is of a machine whose CPUs write nothing.
 *
 * What cannot be done without: how fast memory is sent, or a link's rate; and
 * for each tracker of the plan, how much it reports dirty at its page size.
 * Other figures that are not there count as 0; the first is named in missing.
 *
 * Return: 0, or
 *   -ENOENT  the profile lacks a figure that cannot be done without; the
 *            text names it
 *   -EINVAL  @plan has blockers, or is not one for @input
 *   -ENOMEM  out of memory
 */
SPOOR_API SPOOR_NODISCARD int
spoor_predict(struct spoor_prediction *ret, const struct spoor_plan *plan,
	      const struct spoor_plan_input *input,
	      const struct spoor_profile *profile,
	      const struct spoor_link_fact *link,
	      const struct spoor_target *target);

/**
 * spoor_plan_search() - the best plan for a target
 * @ret:      as spoor_plan_make(); each line's reason says what the runner-up
 *            would have been and what it costs more.
 * @ret_pred: on success, its prediction.
 * @input:    facts and overrides, which are obeyed; its policy is "auto".
 * @profile:  figures.
 * @link:     what it is sent through.
 * @target:   what is asked of it.
 *
 * Chooses for each device its tracker and page size, of those that it has and
 * that @profile knows, and when and how it is suspended; or stop-copy, unless
 * overrides ask for something else; and its space, of its eligible places and
 * the one that it is in.  Tries every combination where there are at most 4096
 * of them.  Of more, it begins with the spaces that devices are in and with the
 * plan by rule, if that can be predicted, and betters one device after the
 * other until none improves; then it puts devices into spaces as they were when
 * @profile's figures were taken, one space at a time, as long as that helps and
 * at most 32 times.
 *
 * What is within a hundredth, or a tenth of a millisecond, of the best counts
 * as equal.  Of equals those with the least total time (the least downtime,
 * where total time is the objective) are left, give or take a sixteenth, and
 * of them the simplest is chosen (its own space, own tracker, finest page,
 * suspended together).
 *
 * Return: 0, or
 *   -EPERM   blockers: @ret says which, @ret_pred is untouched
 *   -EINVAL  an override that names no device, no such key or no such value
 *   -ENOENT  a device can be tracked, but @profile has no figures of any of
 *            its trackers, or none of how fast memory is sent; the text names
 *            the first that is missing
 *   -ENOMEM  out of memory
 */
SPOOR_API SPOOR_NODISCARD int
spoor_plan_search(struct spoor_plan **ret, struct spoor_prediction *ret_pred,
		  const struct spoor_plan_input *input,
		  const struct spoor_profile *profile,
		  const struct spoor_link_fact *link,
		  const struct spoor_target *target);

/**
 * spoor_prediction_clear() - release what a prediction owns
 * @p: prediction, or NULL.
 */
SPOOR_API void spoor_prediction_clear(struct spoor_prediction *p);

#ifdef __cplusplus
}
#endif

#endif /* SPOOR_PREDICT_H */
