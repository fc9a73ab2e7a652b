/* SPDX-License-Identifier: MIT */
/*
 * Planning for people; see planner.h.
 */
#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/utsname.h>
#include <time.h>

#include <spoor/error.h>
#include <spoor/predict.h>

#include "child.h"
#include "cmd.h"
#include "plan_facts.h"
#include "plan_figures.h"
#include "planner.h"
#include "profile_file.h"

#define DAY_S	   86400u
#define STALE_DAYS 30u
#define NS_PER_MS  1000000u

/* What is asked of the library, and what it answered. */
struct asked {
	struct spoor_plan_input input;
	struct spoor_plan_override *overrides;
	struct spoor_space_fact *spaces;
	struct spoor_place_fact *places;
	struct spoor_profile profile; /* fitted */
	struct spoor_link_fact link;
	struct spoor_target target;
	const char **names; /* of the target's devices */
	struct spoor_plan *plan;
	struct spoor_prediction predicted;
	bool is_predicted;
};

static void note(struct planner *p, const char *level, const char *fmt, ...)
	__attribute__((format(printf, 3, 4)));

static void note(struct planner *p, const char *level, const char *fmt, ...)
{
	char text[512];
	va_list ap;

	va_start(ap, fmt);
	vsnprintf(text, sizeof(text), fmt, ap);
	va_end(ap);
	p->tell(p->opaque, json_pack("{s:s, s:s, s:s}", "event", "note",
				     "level", level, "text", text));
}

/* Figures of another host, or of long ago, may not be this one's. */
static void judge_profile(struct planner *p)
{
	const struct spoor_profile *f = p->profile;
	const uint64_t now = (uint64_t)time(NULL);
	struct utsname here;

	if (!uname(&here) && f->host[0] && strcmp(f->host, here.nodename) != 0)
		note(p, "warning",
		     "the profile was measured on another host, %s; this is "
		     "%s",
		     f->host, here.nodename);
	if (f->taken_s && now > f->taken_s &&
	    (now - f->taken_s) / DAY_S >= STALE_DAYS)
		note(p, "warning", "the profile is %llu days old",
		     (unsigned long long)((now - f->taken_s) / DAY_S));
}

static enum spoor_objective objective_of(unsigned int word)
{
	/* As "objective" of a machine file. */
	static const enum spoor_objective of[] = {
		SPOOR_LEAST_DOWNTIME,
		SPOOR_LEAST_TOTAL,
		SPOOR_LEAST_BYTES,
		SPOOR_LEAST_GAP,
	};

	return of[word];
}

static int fill_target(struct planner *p, struct asked *a)
{
	const struct mf_policy *m = &p->mf->policy;
	struct spoor_target *t = &a->target;

	a->names = calloc(m->nr_gap_devices + 1, sizeof(*a->names));
	if (!a->names)
		return -ENOMEM;
	for (size_t i = 0; i < m->nr_gap_devices; i++)
		a->names[i] = m->gap_devices[i];
	*t = (struct spoor_target){
		.objective = objective_of(m->objective),
		.downtime_ns = m->downtime_ms * NS_PER_MS,
		.max_rounds = (unsigned int)m->max_rounds,
		.strict_downtime = m->strict_downtime,
		.devices = a->names,
		.nr_devices = m->nr_gap_devices,
		.limit_downtime_ns = m->limit_downtime_ms * NS_PER_MS,
		.limit_total_ns = m->limit_total_ms * NS_PER_MS,
		.limit_gap_ns = m->limit_gap_ms * NS_PER_MS,
	};
	/* Of what serves another objective, none may forget the target. */
	if (t->objective != SPOOR_LEAST_DOWNTIME && !t->limit_downtime_ns)
		t->limit_downtime_ns = t->downtime_ns;
	return 0;
}

static int ask(struct planner *p, struct asked *a)
{
	const struct machine_file *mf = p->mf;
	const struct mf_policy *m = &mf->policy;
	size_t nr_places = 0;

	a->overrides = calloc(m->nr_overrides + 1, sizeof(*a->overrides));
	a->spaces = calloc(mf->nr_spaces + 1, sizeof(*a->spaces));
	a->places = plan_places(mf, p->profile, &nr_places);
	if (!a->overrides || !a->spaces || !a->places || fill_target(p, a))
		return -ENOMEM;
	for (size_t i = 0; i < m->nr_overrides; i++) {
		a->overrides[i].key = m->overrides[i].key;
		a->overrides[i].value = m->overrides[i].value;
		if (m->overrides[i].reason[0])
			a->overrides[i].reason = m->overrides[i].reason;
	}
	for (size_t i = 0; i < mf->nr_spaces; i++) {
		a->spaces[i].name = mf->spaces[i].name;
		a->spaces[i].backend = mf->spaces[i].backend == MF_TYPE1
					       ? SPOOR_SPACE_TYPE1
					       : SPOOR_SPACE_IOMMUFD;
	}
	a->link = (struct spoor_link_fact){
		.bytes_per_s = mf->link_rate,
		.latency_ns = mf->link_latency_us * 1000,
	};
	a->input = (struct spoor_plan_input){
		.size = sizeof(a->input),
		.devices = p->facts,
		.nr_devices = mf->nr_devices,
		.spaces = a->spaces,
		.nr_spaces = mf->nr_spaces,
		.policy = m->name,
		.overrides = a->overrides,
		.nr_overrides = m->nr_overrides,
		.memory_bytes = p->memory_bytes,
		.link_bytes_per_s = mf->link_rate,
		.allow_unsafe_p2p = m->allow_unsafe_p2p,
		.places = a->places,
		.nr_places = nr_places,
	};
	return 0;
}

static int fit(struct planner *p, struct asked *a)
{
	size_t nr_lent = 0;
	int r = plan_profile_fit(&a->profile, p->mf, p->profile, &nr_lent);

	if (!r && nr_lent)
		note(p, "info",
		     "the profile has no figures of %zu of %zu devices by "
		     "name: those of their model or of \"*\" stand for them",
		     nr_lent, p->mf->nr_devices);
	return r;
}

/* Without figures, or of any policy but auto: by rule, then predicted. */
static int by_rule(struct planner *p, struct asked *a, bool predict)
{
	int r = spoor_plan_make(&a->plan, &a->input);

	if (r || !predict)
		return r;
	r = spoor_predict(&a->predicted, a->plan, &a->input, &a->profile,
			  &a->link, &a->target);
	a->is_predicted = !r;
	if (r == -ENOENT) {
		note(p, "warning", "cannot be predicted: %s", spoor_errmsg());
		return 0;
	}
	return r;
}

static int decide(struct planner *p, struct asked *a)
{
	int r;

	if (!p->profile) {
		note(p, "info",
		     "no profile: planned by rule, not predicted; `spoor bench "
		     "%s -o FILE` measures one, --profile FILE takes it",
		     p->mf->path);
		return by_rule(p, a, false);
	}
	judge_profile(p);
	r = fit(p, a);
	if (r || strcmp(p->mf->policy.name, "auto") != 0)
		return r ? r : by_rule(p, a, true);
	r = spoor_plan_search(&a->plan, &a->predicted, &a->input, &a->profile,
			      &a->link, &a->target);
	a->is_predicted = !r;
	if (r != -ENOENT)
		return r;
	note(p, "warning", "planned by rule: %s", spoor_errmsg());
	return by_rule(p, a, true);
}

static json_t *ms(uint64_t ns)
{
	return json_real((double)ns / 1e6);
}

static json_t *predicted_json(const struct spoor_prediction *p)
{
	return json_pack("{s:s, s:b, s:i, s:I, s:o, s:o, s:o, s:s, s:s, s:s}",
			 "origin", profile_origin_name(p->origin), "converged",
			 p->converges, "rounds", (int)p->rounds, "bytes_sent",
			 (json_int_t)p->bytes, "total_ms", ms(p->total_ns),
			 "downtime_ms", ms(p->downtime_ns), "tracking_cpu_ms",
			 ms(p->tracking_ns), "slowest", p->slowest, "missing",
			 p->missing, "unmeasured", p->unmeasured);
}

static json_t *event_of(const struct asked *a)
{
	json_t *event = child_plan_json(a->plan);
	json_t *devices = json_object_get(event, "devices"), *d;
	size_t i;

	if (!a->is_predicted)
		return event;
	json_object_set_new(event, "predicted", predicted_json(&a->predicted));
	json_array_foreach(devices, i, d)
	{
		const struct spoor_predicted_device *p =
			&a->predicted.devices[i];

		json_object_set_new(d, "predicted_service_gap_ms",
				    ms(p->gap_ns));
		json_object_set_new(d, "predicted_slowdown",
				    json_real(p->slowdown));
		json_object_set_new(d, "predicted_dirty_bytes",
				    json_integer((json_int_t)p->dirty_bytes));
	}
	return event;
}

static json_t *reads_json(const struct spoor_prediction *p, size_t n)
{
	json_t *dirty = json_array();

	for (size_t k = 0; k < p->nr_trackers; k++) {
		const struct spoor_predicted_read *r =
			&p->reads[n * p->nr_trackers + k];

		json_array_append_new(
			dirty,
			json_pack("{s:s, s:I, s:o}", "tracker", p->trackers[k],
				  "pages", (json_int_t)(r->bytes / MF_PAGE),
				  "read_ms", ms(r->read_ns)));
	}
	return dirty;
}

/* As a migration would tell them, in its own time. */
static void tell_rounds(struct planner *p, const struct spoor_prediction *pred)
{
	for (size_t n = 0; n < pred->rounds; n++) {
		const struct spoor_predicted_round *r = &pred->timeline[n];
		const double rate = r->duration_ns
					    ? (double)r->bytes * 1e9 /
						      (double)r->duration_ns
					    : 0;

		p->tell(p->opaque,
			json_pack("{s:s, s:i, s:b, s:o, s:o, s:I, s:I, s:o}",
				  "event", "round", "n", (int)n + 1,
				  "simulated", 1, "at_ms", ms(r->begin_ns),
				  "ms", ms(r->duration_ns), "bytes",
				  (json_int_t)r->bytes, "rate",
				  (json_int_t)rate, "dirty",
				  reads_json(pred, n)));
	}
}

static int conclude(struct planner *p, struct asked *a, int r)
{
	if (a->plan)
		p->tell(p->opaque, event_of(a));
	if (r == -EPERM && a->plan && a->plan->nr_blockers) {
		snprintf(p->error, sizeof(p->error), "refused by plan: %s%s",
			 a->plan->blockers[0],
			 a->plan->nr_blockers > 1 ? " (and more, see the plan)"
						  : "");
		return EXIT_REFUSED;
	}
	if (r) {
		snprintf(p->error, sizeof(p->error), "%s",
			 r == -ENOMEM ? "out of memory" : spoor_errmsg());
		return r == -EINVAL ? EXIT_USAGE : EXIT_FAILED;
	}
	if (a->is_predicted && p->o->simulate)
		tell_rounds(p, &a->predicted);
	if (a->is_predicted && a->predicted.missing[0])
		note(p, "warning",
		     "the profile lacks a figure, which counts as 0: %s",
		     a->predicted.missing);
	if (a->is_predicted && a->predicted.unmeasured[0])
		note(p, "info", "not a choice: %s; `spoor bench` measures that",
		     a->predicted.unmeasured);
	if (a->is_predicted && !a->predicted.converges)
		note(p, "warning",
		     "the downtime of %llu ms that was asked for cannot be "
		     "expected: %s",
		     (unsigned long long)p->mf->policy.downtime_ms,
		     a->predicted.slowest);
	return EXIT_DONE;
}

int planner_run(struct planner *p)
{
	struct asked a = { .is_predicted = false };
	int r = ask(p, &a);

	if (!r)
		r = decide(p, &a);
	r = conclude(p, &a, r);
	if (a.is_predicted)
		spoor_prediction_clear(&a.predicted);
	spoor_plan_free(a.plan);
	plan_profile_clear(&a.profile);
	free(a.names);
	free(a.places);
	free(a.spaces);
	free(a.overrides);
	return r;
}
