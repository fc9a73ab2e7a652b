/* SPDX-License-Identifier: MIT */
/*
 * What each page size of a profile's trackers costs on links of different
 * rates, by the model that plans by: predicted for a machine whose only writer
 * is what that tracker covers.  What is the same for all page sizes (stopping
 * devices, their states, the hand-over) is left out of it, so what remains is
 * the last round: reading, walking the bitmap, sending.
 *
 * Which size is marked as chosen, the planner itself was asked.
 *
 * Threads: none shared.
 */
#include <errno.h>
#include <stdio.h>
#include <string.h>

#include <spoor/error.h>
#include <spoor/predict.h>

#include "profile_file.h"
#include "report_costs.h"
#include "units.h"

#define OWNER "it"

struct alone {
	struct spoor_profile_tracker tracker;
	struct spoor_profile profile;
	struct spoor_device_fact device;
	struct spoor_space_fact space;
	struct spoor_plan_override lines[3];
	struct spoor_plan_input input;
	struct spoor_target target;
};

static struct spoor_tracker_fact *fact_of(struct spoor_device_fact *d,
					  enum spoor_tracker_kind kind)
{
	if (kind == SPOOR_TRACKER_DEVICE)
		return &d->own;
	return kind == SPOOR_TRACKER_IOMMU ? &d->iommu : &d->pinned;
}

static uint64_t reach_of(const struct spoor_profile *p,
			 const struct spoor_profile_tracker *t)
{
	char own[sizeof(t->name)];

	for (size_t i = 0; i < p->nr_devices; i++) {
		snprintf(own, sizeof(own), "%s.device", p->devices[i].name);
		if (p->devices[i].reach_bytes && !strcmp(own, t->name))
			return p->devices[i].reach_bytes;
	}
	return p->memory_bytes;
}

/* One device with one tracker, of which @p has the figures. */
static void set_up(struct alone *a, const struct spoor_profile *p,
		   const struct spoor_profile_tracker *t, uint64_t downtime_ns)
{
	const char *kind = spoor_tracker_kind_name(t->kind);
	struct spoor_tracker_fact *fact;

	*a = (struct alone){ .tracker = *t, .profile = *p };
	a->tracker.attached = NULL;
	a->tracker.nr_attached = 0;
	snprintf(a->tracker.name, sizeof(a->tracker.name), OWNER ".%s", kind);
	a->profile.trackers = &a->tracker;
	a->profile.nr_trackers = 1;
	a->profile.nr_devices = 0;
	a->profile.pause_ns = a->profile.resume_ns = a->profile.handover_ns =
		(struct spoor_figure){ .origin = SPOOR_UNMEASURED };
	a->device = (struct spoor_device_fact){
		.name = OWNER,
		.migration = SPOOR_MIGRATION_STOP_COPY,
		.reach_bytes = reach_of(p, t),
	};
	fact = fact_of(&a->device, t->kind);
	fact->usable = true;
	fact->caps.kind = t->kind;
	for (size_t i = 0; i < t->nr_pages; i++)
		if (t->pages[i].nr_dirty)
			fact->caps.page_sizes |= t->pages[i].page_size;
	a->space = (struct spoor_space_fact){
		.name = OWNER,
		.backend = t->kind == SPOOR_TRACKER_PINNED
				   ? SPOOR_SPACE_TYPE1
				   : SPOOR_SPACE_IOMMUFD,
	};
	a->lines[0] = (struct spoor_plan_override){ .key = OWNER ".tracker",
						    .value = kind };
	a->lines[1] = (struct spoor_plan_override){ .key = OWNER ".suspend",
						    .value = "together" };
	a->input = (struct spoor_plan_input){
		.size = sizeof(a->input),
		.devices = &a->device,
		.nr_devices = 1,
		.spaces = &a->space,
		.nr_spaces = 1,
		.overrides = a->lines,
		.nr_overrides = 2,
		.memory_bytes = p->memory_bytes,
	};
	a->target.downtime_ns = downtime_ns;
}

static json_t *page_json(uint64_t page_size, const struct spoor_prediction *p)
{
	const size_t last = p->rounds - 1;
	const struct spoor_predicted_read *read =
		&p->reads[last * p->nr_trackers];

	return json_pack(
		"{s:I, s:f, s:f, s:I, s:f, s:I, s:i, s:b, s:s}", "page_size",
		(json_int_t)page_size, "last_ms", (double)p->downtime_ns / 1e6,
		"read_ms", (double)read->read_ns / 1e6, "last_bytes",
		(json_int_t)p->timeline[last].bytes, "total_ms",
		(double)p->total_ns / 1e6, "bytes_sent", (json_int_t)p->bytes,
		"rounds", (int)p->rounds, "converged", p->converges, "origin",
		profile_origin_name(p->origin));
}

/* 0, or the planner's reason why not, in spoor_errmsg(). */
static int predict(struct alone *a, const struct spoor_link_fact *link,
		   uint64_t page_size, json_t *pages)
{
	struct spoor_plan *plan = NULL;
	struct spoor_prediction pred;
	char size[24];
	int r;

	a->lines[2] = (struct spoor_plan_override){
		.key = OWNER ".page_size",
		.value = units_format_page(size, sizeof(size), page_size),
	};
	a->input.nr_overrides = 3;
	r = spoor_plan_make(&plan, &a->input);
	a->input.nr_overrides = 2;
	if (!r)
		r = spoor_predict(&pred, plan, &a->input, &a->profile, link,
				  &a->target);
	spoor_plan_free(plan);
	if (r)
		return r;
	json_array_append_new(pages, page_json(page_size, &pred));
	spoor_prediction_clear(&pred);
	return 0;
}

static int choose(const struct alone *a, const struct spoor_link_fact *link,
		  uint64_t *ret)
{
	struct spoor_plan *plan = NULL;
	struct spoor_prediction pred;
	int r = spoor_plan_search(&plan, &pred, &a->input, &a->profile, link,
				  &a->target);

	if (!r) {
		*ret = plan->lines[0].page_size;
		spoor_prediction_clear(&pred);
	}
	spoor_plan_free(plan);
	return r;
}

static int on_link(json_t *into, struct alone *a, const char *name,
		   const struct spoor_link_fact *link)
{
	json_t *pages = json_array();
	uint64_t chosen = 0;
	int r;

	a->input.link_bytes_per_s = link->bytes_per_s;
	r = choose(a, link, &chosen);
	for (size_t i = 0; i < a->tracker.nr_pages && !r; i++)
		if (a->tracker.pages[i].nr_dirty)
			r = predict(a, link, a->tracker.pages[i].page_size,
				    pages);
	if (r) {
		json_decref(pages);
		return r;
	}
	json_array_append_new(
		into,
		json_pack("{s:s, s:I, s:f, s:I, s:o}", "tracker", name,
			  "link_bytes_per_s", (json_int_t)link->bytes_per_s,
			  "latency_ms", (double)link->latency_ns / 1e6,
			  "chosen", (json_int_t)chosen, "pages", pages));
	return 0;
}

/* Where there is one size, and where there are none, nothing is chosen. */
static bool shown(const struct spoor_profile_tracker *t)
{
	if (t->kind != SPOOR_TRACKER_DEVICE && t->kind != SPOOR_TRACKER_IOMMU &&
	    t->kind != SPOOR_TRACKER_PINNED)
		return false;
	for (size_t i = 0; i < t->nr_pages; i++)
		if (t->pages[i].nr_dirty)
			return true;
	return false;
}

void report_costs(json_t *into, const struct spoor_profile *p,
		  const struct report_links *links)
{
	struct alone a;

	for (size_t i = 0; i < p->nr_trackers; i++) {
		const struct spoor_profile_tracker *t = &p->trackers[i];
		char name[PROFILE_LABEL_MAX];
		int r = 0;

		profile_tracker_say(name, sizeof(name), t->name, t->attached,
				    t->nr_attached);
		if (!shown(&p->trackers[i]))
			continue;
		set_up(&a, p, &p->trackers[i], links->downtime_ns);
		for (size_t k = 0; k < links->nr && !r; k++)
			r = on_link(into, &a, name, &links->of[k]);
		if (r)
			json_array_append_new(
				into, json_pack("{s:s, s:s}", "tracker", name,
						"missing", spoor_errmsg()));
	}
}

static bool has(const struct report_links *l, uint64_t bytes_per_s)
{
	for (size_t i = 0; i < l->nr; i++)
		if (l->of[i].bytes_per_s == bytes_per_s)
			return true;
	return false;
}

int report_links_add(struct report_links *l, uint64_t bytes_per_s,
		     uint64_t latency_ns)
{
	size_t at = l->nr;

	if (has(l, bytes_per_s))
		return 0;
	if (at == REPORT_LINKS_MAX)
		return -E2BIG;
	for (; at && l->of[at - 1].bytes_per_s > bytes_per_s; at--)
		l->of[at] = l->of[at - 1];
	l->of[at] = (struct spoor_link_fact){ bytes_per_s, latency_ns };
	l->nr++;
	return 0;
}

int report_links_parse(struct report_links *l, const char *list)
{
	struct report_links found = { .downtime_ns = l->downtime_ns };
	char rate[32];

	for (const char *s = list;; s++) {
		const size_t len = strcspn(s, ",");
		uint64_t bytes_per_s;

		if (len >= sizeof(rate))
			return -EINVAL;
		memcpy(rate, s, len);
		rate[len] = 0;
		if (units_link_rate(rate, &bytes_per_s) || !bytes_per_s ||
		    report_links_add(&found, bytes_per_s, 0))
			return -EINVAL;
		s += len;
		if (!*s)
			break;
	}
	*l = found;
	return 0;
}
