/* SPDX-License-Identifier: MIT */
/*
 * Tracking without migrating: every tracker that the plan names is read by
 * itself, at intervals, while the machine runs.
 *
 * Threads: the process's main thread.
 */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <spoor/error.h>

#include "child.h"
#include "cmd.h"

#define TRACKERS_MAX (MF_DEVICES_MAX + 1)
#define BOOT_NS	     5000000000ull

struct tracked {
	char name[160];
	struct spoor_tracker *t;
	uint64_t page_size;
};

struct tracking {
	struct child *c;
	struct tracked list[TRACKERS_MAX];
	size_t nr;
	struct spoor_bitmap_set *set;
	uint64_t reads;
};

static void note(struct child *c, const char *name, const char *text)
{
	char buf[600];

	snprintf(buf, sizeof(buf), "%s: %s", name, text);
	child_tell(c, json_pack("{s:s, s:s, s:s}", "event", "note", "level",
				"warning", "text", buf));
}

static bool seen(const struct tracking *t, enum spoor_tracker_kind kind,
		 const struct spoor_device *dev)
{
	for (size_t i = 0; i < t->nr; i++)
		if (spoor_tracker_kind(t->list[i].t) == kind &&
		    spoor_tracker_covers(t->list[i].t, dev))
			return true;
	return false;
}

/* One of a page table or container counts for all its devices. */
static int add(struct tracking *t, const struct spoor_plan_line *line, size_t i)
{
	struct machine *m = &t->c->m;
	struct spoor_device *dev = m->devices[i];
	struct spoor_space *space = m->spaces[m->mf->devices[i].space];
	struct tracked *out = &t->list[t->nr];
	const char *owner = line->name;
	int r;

	if (seen(t, line->tracker, dev))
		return 0;
	switch (line->tracker) {
	case SPOOR_TRACKER_DEVICE:
		r = spoor_tracker_open_device(&out->t, dev);
		break;
	case SPOOR_TRACKER_IOMMU:
		owner = line->space;
		r = spoor_tracker_open_iommu(&out->t, space, dev);
		break;
	case SPOOR_TRACKER_PINNED:
		owner = line->space;
		r = spoor_tracker_open_pinned(&out->t, space);
		break;
	default:
		note(t->c, line->name,
		     "nobody tracks it: all it may write counts as dirty");
		return 0;
	}
	if (r)
		return r;
	snprintf(out->name, sizeof(out->name), "%s.%s", owner,
		 spoor_tracker_kind_name(line->tracker));
	out->page_size = line->page_size;
	t->nr++;
	return 0;
}

static int add_cpu(struct tracking *t)
{
	struct spoor_run_opts opts;
	struct tracked *out = &t->list[t->nr];
	int r;

	child_run_opts(t->c, &opts);
	if (opts.no_cpu)
		return 0;
	r = spoor_tracker_open_process(&out->t, t->c->m.memory,
				       opts.cpu_tracker);
	if (r)
		return r;
	snprintf(out->name, sizeof(out->name), "cpu.process");
	out->page_size = MF_PAGE;
	t->nr++;
	return 0;
}

static int start(struct tracking *t, const struct spoor_plan *plan)
{
	const struct spoor_region *regions;
	size_t nr = spoor_memory_regions(t->c->m.memory, &regions);
	struct spoor_range *ranges = calloc(nr + 1, sizeof(*ranges));
	int r = ranges ? 0 : -ENOMEM;

	for (size_t i = 0; i < nr && !r; i++)
		ranges[i] = regions[i].range;
	if (!r)
		r = spoor_bitmap_set_alloc(&t->set, ranges, nr, 12);
	for (size_t i = 0; i < plan->nr_lines && !r; i++)
		r = add(t, &plan->lines[i], i);
	if (!r)
		r = add_cpu(t);
	for (size_t i = 0; i < t->nr && !r; i++)
		r = spoor_tracker_start(
			t->list[i].t, ranges, nr,
			t->list[i].page_size ? t->list[i].page_size : MF_PAGE,
			&t->list[i].page_size);
	free(ranges);
	return r;
}

static void read_all(struct tracking *t, uint64_t begun, double seconds)
{
	json_t *list = json_array();
	bool first = !t->reads++;

	for (size_t i = 0; i < t->nr; i++) {
		struct tracked *k = &t->list[i];
		uint64_t before = guest_now(), pages = 0;
		int r;

		spoor_bitmap_set_clear(t->set);
		r = spoor_tracker_collect_set(k->t, t->set, &pages);
		if (r == -EAGAIN) {
			if (first)
				note(t->c, k->name,
				     "can be read only while its device is "
				     "quiet");
			continue;
		}
		if (r)
			note(t->c, k->name, spoor_errmsg());
		json_array_append_new(
			list,
			json_pack("{s:s, s:I, s:I, s:f, s:f}", "tracker",
				  k->name, "page_size",
				  (json_int_t)k->page_size, "pages",
				  (json_int_t)pages, "pages_per_s",
				  seconds > 0 ? (double)pages / seconds : 0,
				  "read_ms",
				  (double)(guest_now() - before) / 1e6));
	}
	child_tell(t->c, json_pack("{s:s, s:f, s:o}", "event", "track", "ms",
				   (double)(guest_now() - begun) / 1e6, "dirty",
				   list));
}

static void track(struct tracking *t)
{
	uint64_t begun = guest_now(), last = begun;
	uint64_t end = t->c->o->for_ms ? begun + t->c->o->for_ms * 1000000u
				       : UINT64_MAX;

	for (;;) {
		uint64_t next = last + t->c->o->interval_ms * 1000000u;
		uint64_t now = guest_now();

		if (next > end)
			next = end;
		if (next > now && child_wait(t->c, next - now) == ORDER_QUIT)
			return;
		now = guest_now();
		read_all(t, begun, (double)(now - last) / 1e9);
		last = now;
		if (now >= end)
			return;
	}
}

int child_track(const struct opts *o)
{
	struct tracking t = { .nr = 0 };
	struct spoor_plan *plan = NULL;
	struct child c;
	int r;

	t.c = &c;
	if (!child_start(&c, o, "source", true, true))
		goto end;
	/* Tracking goes where migrating may not: blockers do not stop it. */
	if (child_boot_and_plan(&c, &plan, false))
		goto end;
	r = start(&t, plan);
	if (r) {
		child_tell_failed(&c, 1, spoor_errmsg());
		goto end;
	}
	child_tell(&c,
		   json_pack("{s:s, s:s}", "event", "_ready", "side", c.side));
	track(&t);
	child_tell(&c, json_pack("{s:s, s:I}", "event", "_tracked", "reads",
				 (json_int_t)t.reads));
end:
	for (size_t i = 0; i < t.nr; i++)
		spoor_tracker_free(t.list[i].t);
	spoor_bitmap_set_free(t.set);
	spoor_plan_free(plan);
	child_end(&c);
	return EXIT_DONE;
}
