/* SPDX-License-Identifier: MIT */
/*
 * What there is to decide from: facts found by trying.
 *
 * Capabilities alone do not tell whether a tracker works here (a kernel may
 * take START and refuse every REPORT), so each is started, read and stopped.
 * Nothing is tracked before or after.
 *
 * Threads: the caller's; the machine's lock is held while spaces are read.
 */
#include "migrate/machine_priv.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>

#include "base/cleanup.h"
#include "base/error.h"
#include "iommu/space_priv.h"

int spoor_machine_ranges(const struct spoor_machine *machine,
			 struct spoor_range_list *ret)
{
	const struct spoor_region *regions;
	const size_t nr = spoor_memory_regions(machine->memory, &regions);

	for (size_t i = 0; i < nr; i++) {
		if (spoor_range_list_add(ret, &regions[i].range))
			return spoor_fail(ENOMEM, "machine: out of memory");
	}
	return 0;
}

int spoor_machine_mapped(const struct spoor_machine *machine, size_t space,
			 struct spoor_range_list *ret)
{
	const struct spoor_space *s = machine->spaces[space];
	const struct spoor_region *regions;
	const size_t nr = spoor_memory_regions(machine->memory, &regions);
	struct spoor_range common;

	for (size_t i = 0; i < s->nr_mappings; i++) {
		for (size_t j = 0; j < nr; j++) {
			if (!spoor_range_intersect(&s->mappings[i].range,
						   &regions[j].range, &common))
				continue;
			if (spoor_range_list_add(ret, &common))
				return spoor_fail(ENOMEM,
						  "machine: out of memory");
		}
	}
	return 0;
}

int spoor_machine_reach(const struct spoor_machine *machine,
			const struct spoor_machine_device *d,
			struct spoor_range_list *ret)
{
	if (d->elsewhere)
		return spoor_machine_ranges(machine, ret);
	return spoor_machine_mapped(machine, d->space_index, ret);
}

static void try_tracker(struct spoor_tracker_fact *fact, int err,
			struct spoor_tracker *t,
			const struct spoor_range_list *mapped)
{
	if (!err && !mapped->nr)
		err = spoor_fail(ENXIO, "nothing is mapped for it yet");
	if (!err)
		err = spoor_tracker_probe(t, mapped->ranges, mapped->nr,
					  &fact->caps);
	fact->usable = !err;
	if (err)
		snprintf(fact->why, sizeof(fact->why), "%.159s",
			 spoor_errmsg());
	spoor_tracker_free(t);
}

static int learn_device(struct spoor_machine *machine,
			const struct spoor_machine_device *d,
			struct spoor_device_fact *fact)
{
	struct spoor_range_list mapped = { 0 };
	struct spoor_device_info info;
	struct spoor_device *peer;
	struct spoor_tracker *t;
	int err;

	SPOOR_LOCKED(&machine->lock);
	err = spoor_machine_reach(machine, d, &mapped);
	if (err)
		goto clear_ranges;
	for (size_t i = 0; i < mapped.nr; i++)
		fact->reach_bytes += mapped.ranges[i].len;
	spoor_device_get_info(d->dev, &info);
	fact->name = info.name;
	fact->space = d->space_index;
	fact->migration = info.migration;
	fact->p2p_stops_all = info.p2p_stops_all;
	fact->noiommu = info.noiommu;
	peer = spoor_space_reaches_peer(d->space, d->dev);
	if (peer) {
		spoor_device_get_info(peer, &info);
		fact->reaches_peer = info.name;
	}
	t = NULL;
	err = spoor_tracker_open_device(&t, d->dev);
	try_tracker(&fact->own, err, t, &mapped);
	t = NULL;
	err = spoor_tracker_open_iommu(&t, d->space, d->dev);
	try_tracker(&fact->iommu, err, t, &mapped);
	t = NULL;
	err = d->elsewhere ? spoor_fail(EINVAL, "%s: not attached to its space",
					d->name)
			   : spoor_tracker_open_pinned(&t, d->space);
	try_tracker(&fact->pinned, err, t, &mapped);
	/* It does not tell of everything: then all that are in it pin. */
	fact->pins = fact->pinned.usable &&
		     !(fact->pinned.caps.flags & SPOOR_TRACKER_EVERYTHING);
	if (spoor_device_state_size(d->dev, &fact->state_bytes))
		fact->state_bytes = 0;
	err = 0;
clear_ranges:
	spoor_range_list_clear(&mapped);
	return err;
}

int spoor_machine_facts(struct spoor_machine *machine,
			struct spoor_device_fact **ret_devices, size_t *ret_nr)
{
	SPOOR_AUTO_HEAP struct spoor_device_fact *facts = NULL;
	int err;

	facts = calloc(machine->nr_devices ? machine->nr_devices : 1,
		       sizeof(*facts));
	if (!facts)
		return spoor_fail(ENOMEM, "machine: out of memory");
	for (size_t i = 0; i < machine->nr_devices; i++) {
		err = learn_device(machine, &machine->devices[i], &facts[i]);
		if (err)
			return err;
	}
	*ret_devices = SPOOR_STEAL(facts);
	*ret_nr = machine->nr_devices;
	return 0;
}

static void learn_spaces(const struct spoor_machine *machine,
			 struct spoor_space_fact *facts)
{
	for (size_t i = 0; i < machine->nr_spaces; i++) {
		struct spoor_space_info info;

		spoor_space_get_info(machine->spaces[i], &info);
		facts[i].name = info.name;
		facts[i].backend = info.backend;
	}
}

int spoor_machine_plan(struct spoor_machine *machine,
		       const struct spoor_plan_input *wishes,
		       struct spoor_plan **ret)
{
	SPOOR_AUTO_HEAP struct spoor_device_fact *devices = NULL;
	SPOOR_AUTO_HEAP struct spoor_space_fact *spaces = NULL;
	struct spoor_plan_input input = { .size = sizeof(input) };
	int err;

	if (wishes && wishes->size != sizeof(*wishes))
		return spoor_fail(EINVAL, "plan: wishes of another size");
	if (wishes)
		input = *wishes;
	err = spoor_machine_facts(machine, &devices, &input.nr_devices);
	if (err)
		return err;
	spaces = calloc(machine->nr_spaces ? machine->nr_spaces : 1,
			sizeof(*spaces));
	if (!spaces)
		return spoor_fail(ENOMEM, "machine: out of memory");
	learn_spaces(machine, spaces);
	input.devices = devices;
	input.spaces = spaces;
	input.nr_spaces = machine->nr_spaces;
	input.memory_bytes = spoor_memory_size(machine->memory);
	return spoor_plan_make(ret, &input);
}
