/* SPDX-License-Identifier: MIT */
/*
 * The rooms of prediction: attached.c puts devices where the plan has them and
 * finds the figures of just that, curve.c tells how much is dirty, figures.c
 * takes figures from a profile and remembers where they came from, lineup.c
 * finds the trackers of a plan, predict_round.c sends one round, predict.c lets
 * time pass.
 *
 * Times are ns and amounts bytes, both as double: a machine of 12 TiB behind
 * a slow link must not overflow them.
 */
#ifndef SPOOR_PLAN_PREDICT_PRIV_H
#define SPOOR_PLAN_PREDICT_PRIV_H

#include <stdarg.h>
#include <sys/types.h>

#include <spoor/predict.h>

#include "plan/converge.h"

#define SPOOR_NO_TRACKER ((size_t)-1)

/* One tracker of the plan; several devices may be on it. */
struct spoor_sim_tracker {
	char name[160];
	enum spoor_tracker_kind kind;
	size_t space;
	uint64_t page_size;
	const struct spoor_profile_page *page; /* NULL: everything is dirty */
	double reach; /* bytes that it may report */
	bool everything; /* nobody tracks */
	bool quiet_read, can_quiesce;
	double read_at; /* last read, or start */
	double quiet_at; /* since then nothing it covers writes */
	double last_bytes, last_runs, last_ns; /* of the last collect */
	/*
	 * Reported and not sent yet.  A page that is reported twice is sent
	 * once: so it is what one read since then would have reported.
	 */
	double since, unsent, unsent_runs, unsent_zero;
};

struct spoor_sim {
	const struct spoor_plan *plan;
	const struct spoor_plan_input *input;
	const struct spoor_profile *profile;
	struct spoor_prediction *out;
	struct spoor_converge converge;

	struct spoor_sim_tracker *trackers;
	size_t nr_trackers;
	size_t *tracker_of; /* a line's, or SPOOR_NO_TRACKER */
	double *suspended_at; /* a line's, negative: it runs */
	double *paused; /* a line's longest pause for a read */
	double *space_reach; /* scratch, one a space */

	double memory;
	double scale; /* this memory to the profile's */
	double link, send, resend, zero; /* bytes a ns; 0: no limit */
	double run_ns; /* a run of pages */
	double latency;

	double now;
	double marked; /* counted dirty without being read */
	double still_at; /* since then memory fills no more; negative: it does */
	double read_ns; /* the last collect */
	double bytes, tracking;
};

/*
 * Bytes that are dirty @interval_ns after a read.  @stands: what was dirty
 * once is so at every read (pinned pages), however soon.
 */
double spoor_curve_bytes(const struct spoor_dirty_point *points, size_t nr,
			 double reach, double interval_ns, bool stands);
/* The pieces that it lies in; negative: nobody counted them. */
double spoor_curve_runs(const struct spoor_dirty_point *points, size_t nr,
			double interval_ns, bool stands);
/* Of those bytes, the part in pages of zeroes; of nobody's figure, none. */
double spoor_curve_zero(const struct spoor_dirty_point *points, size_t nr,
			double interval_ns);

/*
 * A figure's value, 0 if it is not there.  With @what, of @of, it is named as
 * missing then; without, it is one that can be done without in silence.
 */
double spoor_figure_use(struct spoor_sim *sim, const struct spoor_figure *f,
			const char *of, const char *what);
const struct spoor_profile_device *
spoor_figures_device(const struct spoor_profile *profile, const char *name);
/* -ENOENT names what is not there. */
int spoor_figures_page(const struct spoor_profile_page **ret,
		       const struct spoor_profile *profile, const char *name,
		       uint64_t page_size);
/* NULL if there is no such tracker. */
const struct spoor_profile_tracker *
spoor_figures_tracker(const struct spoor_profile *profile, const char *name);

/* "nic0.device", "main.iommu": as trackers of a migration are called. */
void spoor_tracker_name(char buf[160], const struct spoor_plan_line *line,
			enum spoor_tracker_kind kind);

/*
 * attached.c: devices where they are put, and of each space's tracker the
 * figures with just those attached.  Borrows from what it was made of.
 */
struct spoor_arranged {
	struct spoor_plan_input input; /* no places */
	struct spoor_profile profile; /* each name once */
	struct spoor_device_fact *facts;
	struct spoor_profile_tracker *trackers;
};
/* Clear it, whatever is returned: -EINVAL, -ENOMEM. */
int spoor_arrange(struct spoor_arranged *ret,
		  const struct spoor_plan_input *input,
		  const struct spoor_profile *profile, const size_t *space_of);
void spoor_arranged_clear(struct spoor_arranged *a);
/* "nic0, dsa0": who is in a space. */
void spoor_attached_say(char *buf, size_t len,
			const struct spoor_plan_input *input,
			const size_t *space_of, size_t space);
/* Was that device attached when it was measured? */
bool spoor_attached_then(const struct spoor_plan_input *input,
			 const struct spoor_profile_tracker *t, size_t space,
			 size_t device);
/* Were just those that @space_of puts into its space? */
bool spoor_attached_now(const struct spoor_plan_input *input,
			const struct spoor_profile_tracker *t, size_t space,
			const size_t *space_of);
/* The space that a tracker is of; -1: it is a device's, or of none here. */
ssize_t spoor_attached_space(const struct spoor_plan_input *input,
			     const struct spoor_profile_tracker *t);

/* As spoor_predict(), devices being where @input has them. */
int spoor_predict_there(struct spoor_prediction *ret,
			const struct spoor_plan *plan,
			const struct spoor_plan_input *input,
			const struct spoor_profile *profile,
			const struct spoor_link_fact *link,
			const struct spoor_target *target);

/* The trackers of the plan, each once; -ENOENT, -ENOMEM. */
int spoor_sim_lineup(struct spoor_sim *sim);

/* predict_round.c */

/* A figure that grows with memory: ours, not that of the profile's machine. */
double spoor_sim_cost(struct spoor_sim *sim, const struct spoor_sim_tracker *t,
		      const struct spoor_figure *f, const char *what);
/* Bytes that were written, and do not count dirty anyway. */
double spoor_sim_written(const struct spoor_sim *sim);
/* The part of memory that is not zero, so long after the beginning. */
double spoor_sim_data(const struct spoor_sim *sim, double after_ns);
/* The thread that sends waits for the link only if that is the slower. */
double spoor_sim_send_ns(const struct spoor_sim *sim, double wire,
			 double own_ns);
/* All that is dirty goes, as one round; -ENOMEM. */
int spoor_sim_send(struct spoor_sim *sim);
/* One round's reads; @stopped: the last. */
void spoor_sim_collect(struct spoor_sim *sim, bool stopped);

static inline double spoor_least(double a, double b)
{
	return a < b ? a : b;
}

static inline double spoor_most(double a, double b)
{
	return a > b ? a : b;
}

static inline uint64_t spoor_whole(double v)
{
	return v <= 0	    ? 0
	       : v < 0x1p63 ? (uint64_t)(v + 0.5)
			    : UINT64_C(1) << 63;
}

static inline void spoor_spend(struct spoor_sim *sim, double ns)
{
	sim->now += ns;
}

#endif /* SPOOR_PLAN_PREDICT_PRIV_H */
