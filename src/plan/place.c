/* SPDX-License-Identifier: MIT */
/*
 * Which space each device is in, and what it has there.
 *
 * A page table's dirty bits are there or not, whoever else uses it.  What a
 * container has pinned is told only if all in it pin: so whoever comes or goes
 * changes the facts of those that stay.
 *
 * Pure; any thread.
 */
#include "plan/plan_priv.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "base/error.h"

ssize_t spoor_place_find(const struct spoor_plan_input *input,
			 const char *space)
{
	for (size_t s = 0; s < input->nr_spaces; s++) {
		if (!strcmp(input->spaces[s].name, space))
			return (ssize_t)s;
	}
	return -1;
}

static const struct spoor_place_fact *
find_place(const struct spoor_plan_input *input, size_t device, size_t space)
{
	for (size_t i = 0; i < input->nr_places; i++) {
		const struct spoor_place_fact *p = &input->places[i];

		if (p->device == device && p->space == space)
			return p;
	}
	return NULL;
}

static int obey(size_t *ret, const struct spoor_plan_input *input,
		size_t device, const struct spoor_plan_override *o)
{
	const size_t now = input->devices[device].space;
	const ssize_t space = spoor_place_find(input, o->value);

	if (space < 0)
		return spoor_fail(EINVAL, "%s: \"%s\": no such space", o->key,
				  o->value);
	if ((size_t)space != now && !find_place(input, device, (size_t)space))
		return spoor_fail(EINVAL,
				  "%s: \"%s\": it is attached to space %s; "
				  "attach it there first",
				  o->key, o->value, input->spaces[now].name);
	*ret = (size_t)space;
	return 0;
}

int spoor_place_wishes(size_t *ret, const struct spoor_plan_input *input)
{
	int err = 0;

	for (size_t i = 0; i < input->nr_devices && !err; i++) {
		ret[i] = input->devices[i].space;
		for (size_t k = 0; k < input->nr_overrides && !err; k++) {
			const struct spoor_plan_override *o =
				&input->overrides[k];
			const char *key = spoor_override_key(
				o->key, input->devices[i].name);

			if (key && !strcmp(key, "space"))
				err = obey(&ret[i], input, i, o);
		}
	}
	return err;
}

static int move(struct spoor_device_fact *dev,
		const struct spoor_plan_input *input, size_t i, size_t space)
{
	const struct spoor_place_fact *p;

	if (dev->space == space)
		return 0;
	p = find_place(input, i, space);
	if (!p)
		return spoor_fail(EINVAL, "plan: nothing is known of %s in %s",
				  dev->name, input->spaces[space].name);
	dev->space = space;
	dev->reach_bytes = p->reach_bytes;
	dev->reaches_peer = p->reaches_peer;
	dev->iommu = p->iommu;
	dev->pinned = p->pinned;
	return 0;
}

/* Somebody came to it, or left. */
static void judge_container(struct spoor_device_fact *facts, size_t nr,
			    size_t space)
{
	bool all_pin = true;

	for (size_t i = 0; i < nr; i++)
		all_pin &= facts[i].space != space || facts[i].pins;
	for (size_t i = 0; i < nr; i++) {
		struct spoor_tracker_caps *caps = &facts[i].pinned.caps;

		if (facts[i].space != space || !facts[i].pinned.usable)
			continue;
		caps->flags &= ~SPOOR_TRACKER_EVERYTHING;
		if (!all_pin)
			caps->flags |= SPOOR_TRACKER_EVERYTHING;
	}
}

int spoor_place_facts(struct spoor_device_fact **ret,
		      const struct spoor_plan_input *input,
		      const size_t *space_of)
{
	const size_t nr = input->nr_devices;
	struct spoor_device_fact *facts = calloc(nr + 1, sizeof(*facts));
	int err = 0;

	if (!facts)
		return spoor_fail(ENOMEM, "plan: out of memory");
	for (size_t i = 0; i < nr && !err; i++) {
		facts[i] = input->devices[i];
		err = move(&facts[i], input, i, space_of[i]);
	}
	if (err) {
		free(facts);
		return err;
	}
	for (size_t i = 0; i < nr; i++) {
		if (space_of[i] == input->devices[i].space)
			continue;
		judge_container(facts, nr, space_of[i]);
		judge_container(facts, nr, input->devices[i].space);
	}
	*ret = facts;
	return 0;
}
