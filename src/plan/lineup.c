/* SPDX-License-Identifier: MIT */
/*
 * The trackers of a plan as a migration would open them (migrate/trackers.c):
 * devices of one page table or container share one, and are counted once; the
 * finest page that a line asks for is what it is started with.
 *
 * Pure.
 */
#include "plan/predict_priv.h"

#include <float.h>
#include <stdio.h>
#include <string.h>

#define CPU_NAME "cpu.process"
#define CPU_PAGE 4096u

void spoor_tracker_name(char buf[160], const struct spoor_plan_line *line,
			enum spoor_tracker_kind kind)
{
	snprintf(buf, 160, "%s.%s",
		 kind == SPOOR_TRACKER_DEVICE ? line->name : line->space,
		 spoor_tracker_kind_name(kind));
}

/* Suspended early and nobody's: sent once it is quiet, never tracked. */
static bool untracked(const struct spoor_plan_line *line)
{
	return line->tracker == SPOOR_TRACKER_NONE ||
	       (line->tracker == SPOOR_TRACKER_ALL &&
		line->when != SPOOR_SUSPEND_TOGETHER);
}

static struct spoor_sim_tracker *find(struct spoor_sim *sim, const char *name)
{
	for (size_t i = 0; i < sim->nr_trackers; i++) {
		if (!strcmp(sim->trackers[i].name, name))
			return &sim->trackers[i];
	}
	return NULL;
}

static struct spoor_sim_tracker *add(struct spoor_sim *sim, const char *name,
				     enum spoor_tracker_kind kind)
{
	struct spoor_sim_tracker *t = &sim->trackers[sim->nr_trackers++];

	snprintf(t->name, sizeof(t->name), "%s", name);
	t->kind = kind;
	t->everything = kind == SPOOR_TRACKER_ALL;
	t->quiet_at = DBL_MAX;
	return t;
}

static bool can_quiesce(const struct spoor_device_fact *dev)
{
	return dev->p2p_stops_all && (dev->migration & SPOOR_MIGRATION_P2P);
}

static void join(struct spoor_sim *sim, size_t i)
{
	const struct spoor_plan_line *line = &sim->plan->lines[i];
	const struct spoor_device_fact *dev = &sim->input->devices[i];
	struct spoor_sim_tracker *t;
	char name[160];

	spoor_tracker_name(name, line, line->tracker);
	t = find(sim, name);
	if (!t) {
		t = add(sim, name, line->tracker);
		t->space = dev->space;
		t->page_size = line->page_size ? line->page_size : CPU_PAGE;
		t->can_quiesce = true;
	}
	sim->tracker_of[i] = (size_t)(t - sim->trackers);
	if (line->page_size && line->page_size < t->page_size)
		t->page_size = line->page_size;
	t->quiet_read |= line->quiet_read;
	t->can_quiesce &= can_quiesce(dev);
	if ((double)dev->reach_bytes > t->reach)
		t->reach = (double)dev->reach_bytes;
}

int spoor_sim_lineup(struct spoor_sim *sim)
{
	int err = 0;

	for (size_t i = 0; i < sim->plan->nr_lines; i++) {
		sim->tracker_of[i] = SPOOR_NO_TRACKER;
		if (!sim->plan->stop_copy && !untracked(&sim->plan->lines[i]))
			join(sim, i);
	}
	if (!sim->plan->stop_copy &&
	    spoor_figures_tracker(sim->profile, CPU_NAME)) {
		struct spoor_sim_tracker *cpu =
			add(sim, CPU_NAME, SPOOR_TRACKER_PROCESS);

		cpu->page_size = CPU_PAGE;
		cpu->reach = sim->memory;
	}
	for (size_t i = 0; !err && i < sim->nr_trackers; i++) {
		struct spoor_sim_tracker *t = &sim->trackers[i];

		if (!t->everything)
			err = spoor_figures_page(&t->page, sim->profile,
						 t->name, t->page_size);
	}
	return err;
}
