/* SPDX-License-Identifier: MIT */
/*
 * The library's events, plans and results as the JSON that scripts see.
 */
#include <inttypes.h>
#include <stdio.h>

#include "child.h"

static double ms(uint64_t ns)
{
	return (double)ns / 1e6;
}

/* Times of events count from the migration's begin. */
static double since(const struct child *c, uint64_t ns)
{
	return ns > c->t0 ? ms(ns - c->t0) : 0;
}

static json_t *line_json(const struct spoor_plan_line *l)
{
	static const char *const whens[] = { "together", "before-bulk",
					     "after-bulk" };

	return json_pack(
		"{s:s, s:s, s:I, s:s, s:b, s:{s:s, s:s}, s:s, s:s}", "name",
		l->name, "tracker", spoor_tracker_kind_name(l->tracker),
		"page_size", (json_int_t)l->page_size, "space", l->space,
		"quiet_read", l->quiet_read, "suspend", "when", whens[l->when],
		"how", l->how == SPOOR_SUSPEND_QUIET ? "quiet" : "stop",
		"covered_by", l->covered_by, "reason", l->reason);
}

json_t *child_plan_json(const struct spoor_plan *plan)
{
	json_t *devices = json_array(), *coverage = json_array();
	json_t *blockers = json_array();

	for (size_t i = 0; i < plan->nr_lines; i++) {
		const struct spoor_plan_line *l = &plan->lines[i];

		json_array_append_new(devices, line_json(l));
		json_array_append_new(coverage,
				      json_pack("{s:s, s:s}", "device", l->name,
						"by", l->covered_by));
	}
	for (size_t i = 0; i < plan->nr_blockers; i++)
		json_array_append_new(blockers, json_string(plan->blockers[i]));
	return json_pack("{s:s, s:s, s:b, s:o, s:o, s:o}", "event", "plan",
			 "policy", plan->policy, "stop_copy", plan->stop_copy,
			 "devices", devices, "coverage", coverage, "blockers",
			 blockers);
}

static json_t *map_json(const struct spoor_event *e)
{
	json_t *map = json_array();

	for (size_t i = 0; i < e->nr_areas; i++) {
		const struct spoor_event_area *a = &e->areas[i];
		json_t *pages = json_array();
		char iova[24];

		for (size_t k = 0; k < a->nr; k++)
			json_array_append_new(
				pages, json_integer((json_int_t)a->pages[k]));
		snprintf(iova, sizeof(iova), "0x%" PRIx64, a->range.iova);
		json_array_append_new(
			map,
			json_pack("{s:s, s:I, s:I, s:o}", "iova", iova, "len",
				  (json_int_t)a->range.len, "bucket",
				  (json_int_t)a->bucket_bytes, "pages", pages));
	}
	return map;
}

static json_t *round_json(const struct child *c, const struct spoor_event *e)
{
	json_t *dirty = json_array();
	double rate = e->duration_ns
			      ? (double)e->bytes * 1e9 / (double)e->duration_ns
			      : 0;

	for (size_t i = 0; i < e->nr_reads; i++)
		json_array_append_new(
			dirty, json_pack("{s:s, s:I, s:f}", "tracker",
					 e->reads[i].tracker, "pages",
					 (json_int_t)e->reads[i].pages,
					 "read_ms", ms(e->reads[i].read_ns)));
	return json_pack("{s:s, s:i, s:f, s:I, s:I, s:o, s:f, s:b, s:o}",
			 "event", "round", "n", (int)e->round, "ms",
			 ms(e->duration_ns), "bytes", (json_int_t)e->bytes,
			 "rate", (json_int_t)rate, "dirty", dirty, "begin_ms",
			 since(c, e->time_ns - e->duration_ns), "stopped",
			 e->stopped, "map", map_json(e));
}

static json_t *mark_json(const struct child *c, const struct spoor_event *e,
			 const char *what)
{
	return json_pack("{s:s, s:s, s:s, s:I}", "event", "_mark", "side",
			 c->side, "what", what, "ns", (json_int_t)e->time_ns);
}

void child_event(void *child, const struct spoor_event *e)
{
	struct child *c = child;

	switch (e->type) {
	case SPOOR_EVENT_PLAN:
		/* Told when it was made, before the machine was touched. */
		return;
	case SPOOR_EVENT_ROUND:
		child_tell(c, round_json(c, e));
		return;
	case SPOOR_EVENT_STATE:
		child_tell(c, json_pack("{s:s, s:s, s:s, s:s, s:s, s:f}",
					"event", "state", "side", c->side,
					"device", e->device, "from",
					spoor_device_state_name(e->from), "to",
					spoor_device_state_name(e->to), "ms",
					since(c, e->time_ns)));
		return;
	case SPOOR_EVENT_NOTE:
		child_tell(c, json_pack("{s:s, s:s, s:s, s:s}", "event", "note",
					"level", e->level ? e->level : "info",
					"text", e->text ? e->text : "", "side",
					c->side));
		return;
	case SPOOR_EVENT_PROGRESS:
		child_tell(c, json_pack("{s:s, s:I, s:I}", "event", "_progress",
					"bytes", (json_int_t)e->bytes, "left",
					(json_int_t)e->bytes_left));
		return;
	case SPOOR_EVENT_PAUSED:
		child_tell(c, mark_json(c, e, "paused"));
		return;
	case SPOOR_EVENT_VERIFY_BEGIN:
		child_tell(c, mark_json(c, e, "verify-begin"));
		return;
	case SPOOR_EVENT_VERIFY_END:
		child_tell(c, mark_json(c, e, "verify-end"));
		return;
	case SPOOR_EVENT_RUNNING:
		child_tell(c, mark_json(c, e, "running"));
		return;
	}
}

static json_t *devices_json(const struct spoor_result *r)
{
	json_t *devices = json_array();

	for (size_t i = 0; i < r->nr_devices; i++) {
		const struct spoor_device_result *d = &r->devices[i];
		json_t *line = json_pack(
			"{s:s, s:I, s:I, s:b, s:b}", "name", d->name,
			"dirty_pages", (json_int_t)d->dirty_pages,
			"state_bytes", (json_int_t)d->state_bytes, "failed",
			d->failed, "all_dirty", d->all_dirty);

		/* The plan's is a wish. */
		if (d->page_size)
			json_object_set_new(
				line, "page_size",
				json_integer((json_int_t)d->page_size));
		json_array_append_new(devices, line);
	}
	return devices;
}

static json_t *lost_json(const struct spoor_result *r)
{
	json_t *lost = json_array();

	for (size_t i = 0; i < r->nr_lost; i++) {
		char iova[24];

		snprintf(iova, sizeof(iova), "0x%" PRIx64,
			 r->lost[i].range.iova);
		json_array_append_new(
			lost, json_pack("{s:s, s:I, s:s}", "iova", iova, "len",
					(json_int_t)r->lost[i].range.len,
					"writer", r->lost[i].writer));
	}
	return lost;
}

void child_tell_result(struct child *c, const struct spoor_result *r)
{
	json_t *line = json_pack(
		"{s:s, s:i, s:s, s:b, s:b, s:I, s:I, s:I, s:i, s:f, s:f, s:f, "
		"s:f, s:s, s:o, s:o}",
		"event", "_result", "outcome", (int)r->outcome, "running",
		r->running ? r->running : "unknown", "verified", r->verified,
		"converged", r->converged, "memory_bytes",
		(json_int_t)r->memory_bytes, "bytes_sent",
		(json_int_t)r->bytes_sent, "pages_sent",
		(json_int_t)r->pages_sent, "rounds", (int)r->rounds, "total_ms",
		ms(r->total_ns), "downtime_ms", ms(r->downtime_ns), "verify_ms",
		ms(r->verify_ns), "tracking_cpu_ms", ms(r->tracking_cpu_ns),
		"error", r->error, "devices", devices_json(r), "lost",
		lost_json(r));

	child_tell(c, line);
}
