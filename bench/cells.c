/* SPDX-License-Identifier: MIT */
/* What is measured; see cells.h. */
#include "bench/cells.h"

#include <string.h>

#define G (UINT64_C(1) << 30)

static const char *const most[] = {
	"split",	 "split-lean",	 "split-words", "funnel", "funnel-lean",
	"funnel-borrow", "funnel-words", "shared",	NULL,
};
static const char *const every[] = {
	"split",	"split-lean",	       "split-lean-copies",
	"split-words",	"split-words-copies",  "funnel",
	"funnel-lean",	"funnel-lean-copies",  "funnel-borrow",
	"funnel-words", "funnel-words-copies", "shared",
	NULL,
};
static const char *const with_container[] = {
	"split",	"funnel", "funnel-lean", "funnel-borrow",
	"funnel-words", "shared", NULL,
};
static const char *const with_pins[] = {
	"split", "funnel", "funnel-lean", "funnel-borrow", "funnel-words", NULL,
};
static const char *const of_marks[] = { "split-lean", "shared", NULL };
static const char *const with_untracked[] = {
	"split", "split-lean", "funnel", "funnel-tracked-only", "shared", NULL,
};

#define CELL(...)                                                              \
	{                                                                      \
		.layout = LAYOUT_NICS, .len = 16 * G, .nr_trackers = 2,        \
		.per_10000 = 100, .page_size = 4096, .repeats = 11,            \
		.designs = most, __VA_ARGS__                                   \
	}
#define SIZE(gib, n)                                                           \
	CELL(.sweep = "memory", .len = (gib)*G, .per_10000 = 10, .repeats = (n))
#define TRACKERS(n)                                                            \
	CELL(.sweep = "trackers", .nr_trackers = (n), .len = 4 * G,            \
	     .designs = every)
#define DENSITY(n, how, rep)                                                   \
	CELL(.sweep = "density", .per_10000 = (n), .clustered = (how),         \
	     .repeats = (rep))
#define MARKING(n)                                                             \
	CELL(.sweep = "marking", .marking = true, .nr_trackers = (n),          \
	     .per_10000 = 1000, .designs = of_marks)
#define PAGE(size) CELL(.sweep = "page", .page_size = (size))
#define SCENE(name, where, list)                                               \
	CELL(.sweep = (name), .layout = (where), .designs = (list))

/* NOLINTBEGIN(clang-diagnostic-initializer-overrides): defaults, overridden */
#pragma GCC diagnostic push
#pragma GCC diagnostic ignored "-Woverride-init"
const struct cell cells[] = {
	CELL(.sweep = "base", .designs = every),
	CELL(.sweep = "base, clustered", .designs = every, .clustered = true),
	SCENE("a", LAYOUT_A, with_container),
	SCENE("a, pins", LAYOUT_A_PINS, with_pins),
	CELL(.sweep = "b", .nr_trackers = 1),
	SCENE("c", LAYOUT_C, with_untracked),
	SCENE("two containers", LAYOUT_TWO, every),
	CELL(.sweep = "busy", .busy = true),
	SIZE(1, 11),
	SIZE(16, 11),
	SIZE(64, 11),
	SIZE(256, 5),
	SIZE(1024, 5),
	TRACKERS(1),
	TRACKERS(2),
	TRACKERS(4),
	TRACKERS(8),
	DENSITY(0, false, 11),
	DENSITY(10, false, 11),
	DENSITY(100, false, 11),
	DENSITY(1000, false, 5),
	DENSITY(5000, false, 5),
	DENSITY(10, true, 11),
	DENSITY(100, true, 11),
	DENSITY(1000, true, 5),
	DENSITY(5000, true, 5),
	PAGE(4096),
	PAGE(65536),
	PAGE(2u << 20),
	MARKING(1),
	MARKING(2),
};
#pragma GCC diagnostic pop
/* NOLINTEND(clang-diagnostic-initializer-overrides) */
const unsigned int nr_cells = sizeof(cells) / sizeof(cells[0]);

struct bench_spec cell_spec(const struct cell *c, const char *design)
{
	bool apart = !strcmp(design, "split");
	struct bench_spec s = { .len = c->len,
				.nr_devices = 2,
				.nr_spaces = 1 };

	switch (c->layout) {
	case LAYOUT_NICS:
		s.nr_devices = c->nr_trackers;
		for (unsigned int i = 0; i < c->nr_trackers; i++)
			s.devices[i].device = BENCH_NIC0 + i;
		break;
	case LAYOUT_A:
	case LAYOUT_A_PINS:
		s.devices[1].device =
			c->layout == LAYOUT_A ? BENCH_MDEV_ONCE : BENCH_MDEV;
		s.devices[1].space = apart;
		s.nr_spaces += apart;
		break;
	case LAYOUT_C:
		s.devices[1].device = BENCH_DSA;
		break;
	case LAYOUT_TWO:
		s.devices[1].device = BENCH_NIC0 + 1;
		s.devices[1].space = 1;
		s.nr_spaces = 2;
		break;
	}
	return s;
}

struct pattern cell_pattern(const struct cell *c, unsigned int tracker)
{
	uint64_t nr_pages = c->len / 4096;
	uint64_t dirty = nr_pages * c->per_10000 / 10000;
	struct pattern p = { .run = c->clustered ? 256 : 1 };

	p.nr = dirty / p.run;
	if (!p.nr)
		return p;
	/* Each tracker's between the others', as far as there is room. */
	p.step = nr_pages / p.nr;
	p.first = tracker * (p.step / c->nr_trackers);
	return p;
}
