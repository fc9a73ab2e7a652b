/* SPDX-License-Identifier: MIT */
/*
 * From the lines of a plan to trackers.  Invariant: every line that is not
 * suspended early without a tracker is in the list of exactly one entry, and
 * so is the CPU unless the caller said that there is none.
 *
 * Threads: the caller's.
 */
#include "migrate/trackers.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>

#include "base/cleanup.h"
#include "base/error.h"

int spoor_tracked_ranges(const struct spoor_machine *machine,
			 const struct spoor_tracked *tracked,
			 struct spoor_range_list *ret)
{
	if (tracked->space == SPOOR_NO_SPACE)
		return spoor_machine_ranges(machine, ret);
	for (size_t i = 0; i < tracked->nr_devices; i++) {
		if (machine->devices[tracked->devices[i]].elsewhere)
			return spoor_machine_ranges(machine, ret);
	}
	return spoor_machine_mapped(machine, tracked->space, ret);
}

static int open_tracker(struct spoor_tracker **ret,
			const struct spoor_machine_device *d,
			enum spoor_tracker_kind kind)
{
	switch (kind) {
	case SPOOR_TRACKER_DEVICE:
		return spoor_tracker_open_device(ret, d->dev);
	case SPOOR_TRACKER_IOMMU:
		return spoor_tracker_open_iommu(ret, d->space, d->dev);
	case SPOOR_TRACKER_PINNED:
		return spoor_tracker_open_pinned(ret, d->space);
	default:
		return spoor_fail(EINVAL, "%s: no tracker of kind %d", d->name,
				  (int)kind);
	}
}

/* An entry that already answers for this device by this kind. */
static struct spoor_tracked *find(struct spoor_trackers *trackers,
				  const struct spoor_machine_device *d,
				  enum spoor_tracker_kind kind)
{
	for (size_t i = 0; i < trackers->nr; i++) {
		struct spoor_tracked *t = &trackers->list[i];

		if (t->kind != kind || t->space != d->space_index)
			continue;
		if (t->t ? spoor_tracker_covers(t->t, d->dev)
			 : kind == SPOOR_TRACKER_ALL)
			return t;
	}
	return NULL;
}

static struct spoor_tracked *add(struct spoor_trackers *trackers)
{
	struct spoor_tracked *grown =
		reallocarray(trackers->list, trackers->nr + 1, sizeof(*grown));

	if (!grown)
		return NULL;
	trackers->list = grown;
	grown[trackers->nr] = (struct spoor_tracked){ 0 };
	return &grown[trackers->nr++];
}

static int join(struct spoor_tracked *t, size_t device,
		const struct spoor_plan_line *line)
{
	size_t *grown =
		reallocarray(t->devices, t->nr_devices + 1, sizeof(*grown));

	if (!grown)
		return spoor_fail(ENOMEM, "trackers: out of memory");
	t->devices = grown;
	grown[t->nr_devices++] = device;
	t->quiet_read |= line->quiet_read;
	if (line->page_size && line->page_size < t->page_size)
		t->page_size = line->page_size;
	return 0;
}

static int add_line(struct spoor_trackers *trackers,
		    struct spoor_machine *machine, size_t device,
		    const struct spoor_plan_line *line,
		    spoor_fallback_fn fallback, void *opaque)
{
	const struct spoor_machine_device *d = &machine->devices[device];
	struct spoor_tracked *t = find(trackers, d, line->tracker);
	struct spoor_space_info space;
	int err;

	if (t)
		return join(t, device, line);
	t = add(trackers);
	if (!t)
		return spoor_fail(ENOMEM, "trackers: out of memory");
	spoor_space_get_info(d->space, &space);
	t->kind = line->tracker;
	t->space = d->space_index;
	t->page_size = line->page_size ? line->page_size : 4096;
	snprintf(t->name, sizeof(t->name), "%s.%s",
		 t->kind == SPOOR_TRACKER_DEVICE ? d->name : space.name,
		 spoor_tracker_kind_name(t->kind));
	err = join(t, device, line);
	if (err)
		return err;
	if (t->kind == SPOOR_TRACKER_ALL) {
		t->everything = true;
		return 0;
	}
	err = open_tracker(&t->t, d, t->kind);
	if (!err)
		return 0;
	if (!fallback)
		return spoor_fail_context(err, "%s", t->name);
	t->everything = true;
	fallback(opaque, t->name, spoor_errmsg());
	return 0;
}

static int add_cpu(struct spoor_trackers *trackers,
		   struct spoor_machine *machine,
		   const struct spoor_run_opts *opts,
		   spoor_fallback_fn fallback, void *opaque)
{
	struct spoor_tracked *t = add(trackers);
	int err;

	if (!t)
		return spoor_fail(ENOMEM, "trackers: out of memory");
	t->kind = SPOOR_TRACKER_PROCESS;
	t->space = SPOOR_NO_SPACE;
	t->page_size = 4096;
	snprintf(t->name, sizeof(t->name), "cpu.process");
	err = spoor_tracker_open_process(&t->t, machine->memory,
					 opts->cpu_tracker);
	if (!err)
		return 0;
	if (!fallback)
		return spoor_fail_context(err, "%s", t->name);
	t->everything = true;
	fallback(opaque, t->name, spoor_errmsg());
	return 0;
}

/* Suspended early and nobody's: sent once it is quiet, never tracked. */
static bool untracked(const struct spoor_plan_line *line)
{
	if (line->tracker == SPOOR_TRACKER_NONE)
		return true;
	return line->tracker == SPOOR_TRACKER_ALL &&
	       line->when != SPOOR_SUSPEND_TOGETHER;
}

int spoor_trackers_open(struct spoor_trackers *ret,
			struct spoor_machine *machine,
			const struct spoor_plan *plan,
			const struct spoor_run_opts *opts,
			spoor_fallback_fn fallback, void *opaque)
{
	struct spoor_trackers trackers = { 0 };
	int err = 0;

	for (size_t i = 0; !err && i < plan->nr_lines; i++) {
		if (!untracked(&plan->lines[i]))
			err = add_line(&trackers, machine, i, &plan->lines[i],
				       fallback, opaque);
	}
	if (!err && !opts->no_cpu)
		err = add_cpu(&trackers, machine, opts, fallback, opaque);
	if (err) {
		spoor_trackers_close(&trackers);
		return err;
	}
	*ret = trackers;
	return 0;
}

void spoor_trackers_close(struct spoor_trackers *trackers)
{
	for (size_t i = 0; i < trackers->nr; i++) {
		spoor_tracker_free(trackers->list[i].t);
		free(trackers->list[i].devices);
	}
	free(trackers->list);
	*trackers = (struct spoor_trackers){ 0 };
}

static int take_parts(struct spoor_trackers *trackers,
		      struct spoor_tracker **parts, size_t *ret_nr)
{
	size_t nr = 0;
	int err;

	for (size_t i = 0; i < trackers->nr; i++) {
		struct spoor_tracked *t = &trackers->list[i];

		if (!t->t) {
			err = spoor_tracker_open_all(&t->t);
			if (err)
				return err;
		}
		parts[nr++] = t->t;
	}
	*ret_nr = nr;
	return 0;
}

int spoor_machine_tracker(struct spoor_machine *machine,
			  const struct spoor_plan *plan,
			  const struct spoor_run_opts *opts,
			  struct spoor_tracker **ret)
{
	SPOOR_AUTO_HEAP struct spoor_tracker **parts = NULL;
	struct spoor_trackers trackers;
	size_t nr = 0;
	int err;

	if (plan->nr_lines != machine->nr_devices)
		return spoor_fail(EINVAL, "plan: %zu lines for %zu devices",
				  plan->nr_lines, machine->nr_devices);
	err = spoor_trackers_open(&trackers, machine, plan, opts, NULL, NULL);
	if (err)
		return err;
	parts = calloc(trackers.nr ? trackers.nr : 1, sizeof(*parts));
	err = parts ? take_parts(&trackers, parts, &nr)
		    : spoor_fail(ENOMEM, "trackers: out of memory");
	if (!err)
		err = spoor_tracker_open_merged(ret, parts, nr);
	/* Taken: the merged one frees them. */
	for (size_t i = 0; !err && i < trackers.nr; i++)
		trackers.list[i].t = NULL;
	spoor_trackers_close(&trackers);
	return err;
}
