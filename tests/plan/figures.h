/* SPDX-License-Identifier: MIT */
/* Machines and profiles for the tests of plan. */
#ifndef SPOOR_TESTS_PLAN_FIGURES_H
#define SPOOR_TESTS_PLAN_FIGURES_H

#include <spoor/predict.h>

#define K  1024ull
#define M  (1ull << 20)
#define G  (1ull << 30)
#define MS 1000000ull

#define MAX_DEVICES  6
#define MAX_PAGES    4
#define MAX_POINTS   4
#define MAX_TRACKERS (2 * MAX_DEVICES + 16)

/* Everything a prediction needs, in one place that the stack holds. */
struct world {
	struct spoor_device_fact devices[MAX_DEVICES];
	struct spoor_space_fact spaces[3];
	struct spoor_place_fact places[2 * MAX_DEVICES];
	struct spoor_plan_override overrides[8];
	struct spoor_plan_input input;
	struct spoor_profile profile;
	struct spoor_profile_device figures[MAX_DEVICES];
	struct spoor_profile_tracker trackers[MAX_TRACKERS];
	struct spoor_profile_page pages[MAX_TRACKERS][MAX_PAGES];
	struct spoor_dirty_point points[MAX_TRACKERS][MAX_PAGES][MAX_POINTS];
	char attached[MAX_TRACKERS][MAX_DEVICES][64];
	char names[MAX_DEVICES][8];
	struct spoor_link_fact link;
	struct spoor_target target;
};

static inline struct spoor_figure measured(double v)
{
	return (struct spoor_figure){ .median = v,
				      .min = v,
				      .max = v,
				      .samples = 1,
				      .origin = SPOOR_MEASURED_SW };
}

/* 2 GiB, 1 GiB/s, no devices yet, nothing costs anything. */
static inline void world_init(struct world *w)
{
	*w = (struct world){
		.spaces = { { .name = "main", .backend = SPOOR_SPACE_IOMMUFD },
			    { .name = "lone", .backend = SPOOR_SPACE_TYPE1 },
			    { .name = "accel",
			      .backend = SPOOR_SPACE_IOMMUFD } },
		.target = { .downtime_ns = 50 * MS },
	};
	w->input = (struct spoor_plan_input){ .size = sizeof(w->input),
					      .devices = w->devices,
					      .spaces = w->spaces,
					      .nr_spaces = 3,
					      .places = w->places,
					      .overrides = w->overrides,
					      .memory_bytes = 2 * G };
	w->profile = (struct spoor_profile){
		.memory_bytes = 2 * G,
		.send_bytes_per_s = measured((double)G),
		.handover_ns = measured(0),
		.pause_ns = measured(0),
		.resume_ns = measured(0),
		.trackers = w->trackers,
		.devices = w->figures,
	};
}

static inline struct spoor_device_fact *world_device(struct world *w)
{
	const size_t i = w->input.nr_devices++;
	const struct spoor_tracker_fact absent = { .why = "there is none" };

	w->names[i][0] = 'd';
	w->names[i][1] = (char)('0' + i);
	w->devices[i] = (struct spoor_device_fact){
		.name = w->names[i],
		.migration = SPOOR_MIGRATION_STOP_COPY | SPOOR_MIGRATION_P2P,
		.reach_bytes = 2 * G,
		.own = absent,
		.iommu = absent,
		.pinned = absent,
	};
	w->figures[i] = (struct spoor_profile_device){
		.reach_bytes = 2 * G,
		.state_bytes = measured(0),
		.stop_ns = measured(0),
		.save_ns = measured(0),
		.load_ns = measured(0),
		.run_ns = measured(0),
		.period_ns = measured(0),
	};
	w->figures[i].name[0] = 'd';
	w->figures[i].name[1] = (char)('0' + i);
	w->profile.nr_devices = w->input.nr_devices;
	return &w->devices[i];
}

/* A space that the last device could be moved to; nothing tracks it there. */
static inline struct spoor_place_fact *world_place(struct world *w,
						   size_t space)
{
	const size_t device = w->input.nr_devices - 1;
	struct spoor_place_fact *p = &w->places[w->input.nr_places++];

	*p = (struct spoor_place_fact){
		.device = device,
		.space = space,
		.eligible = true,
		.reach_bytes = w->devices[device].reach_bytes,
		.iommu = { .why = "there is none" },
		.pinned = { .why = "there is none" },
	};
	return p;
}

/* The last tracker's figures are with these devices attached, by bits. */
static inline void world_attached(struct world *w, unsigned int devices)
{
	const size_t t = w->profile.nr_trackers - 1;
	size_t nr = 0;

	w->trackers[t].attached = w->attached[t];
	for (size_t i = 0; i < MAX_DEVICES; i++) {
		if (!(devices >> i & 1))
			continue;
		w->attached[t][nr][0] = 'd';
		w->attached[t][nr++][1] = (char)('0' + i);
	}
	w->trackers[t].nr_attached = nr;
}

/* A tracker in the profile that reports @rate bytes a second, up to @set. */
static inline struct spoor_profile_tracker *
world_tracker(struct world *w, const char *name, enum spoor_tracker_kind kind)
{
	const size_t t = w->profile.nr_trackers++;

	w->trackers[t] = (struct spoor_profile_tracker){ .kind = kind,
							 .pages = w->pages[t] };
	for (size_t i = 0; name[i]; i++)
		w->trackers[t].name[i] = name[i];
	return &w->trackers[t];
}

static inline struct spoor_profile_page *
world_page(struct world *w, struct spoor_profile_tracker *t, uint64_t page_size,
	   double rate, double set)
{
	struct spoor_profile_page *page = &t->pages[t->nr_pages];
	struct spoor_dirty_point *points =
		w->points[t - w->trackers][t->nr_pages++];

	*page = (struct spoor_profile_page){ .page_size = page_size,
					     .start_ns = measured(0),
					     .stop_ns = measured(0),
					     .read_clean_ns = measured(0),
					     .read_page_ns = measured(0),
					     .read_run_ns = measured(0),
					     .digest_ns = measured(0),
					     .dirty = points,
					     .nr_dirty = MAX_POINTS };
	for (size_t i = 0; i < MAX_POINTS; i++) {
		const double s = i ? (double)(i * i) / 4 : 0.01;
		const double bytes = rate * s;

		points[i] = (struct spoor_dirty_point){
			.interval_ns = (uint64_t)(s * 1e9),
			.bytes = measured(bytes < set ? bytes : set),
		};
	}
	return page;
}

static inline void world_offers(struct spoor_tracker_fact *fact,
				enum spoor_tracker_kind kind,
				uint64_t page_sizes)
{
	*fact = (struct spoor_tracker_fact){
		.usable = true,
		.caps = { .kind = kind,
			  .page_sizes = page_sizes,
			  .flags = SPOOR_TRACKER_EXACT },
	};
}

#endif /* SPOOR_TESTS_PLAN_FIGURES_H */
