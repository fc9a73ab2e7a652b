/* SPDX-License-Identifier: MIT */
/*
 * From facts to a plan: for each device, in the space that it is to be in, the
 * policy's preference, then the user's overrides, then the proof that none of its writes can be missed.
 *
 * Invariant: a plan returned with 0 has no blockers, and each line says what
 * covers the device and why.  Pure; any thread.
 */
#include "plan/plan_priv.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/cleanup.h"
#include "base/error.h"

/* What no choice of tracker can mend. */
static int block_device(struct spoor_plan *plan,
			const struct spoor_plan_input *input,
			const struct spoor_device_fact *dev)
{
	if (dev->noiommu)
		return spoor_plan_block(
			plan,
			"%s: it is in a No-IOMMU group, where nothing tracks "
			"and nothing migrates; put it behind an IOMMU, or "
			"unplug it first",
			dev->name);
	if (!(dev->migration & SPOOR_MIGRATION_STOP_COPY))
		return spoor_plan_block(
			plan,
			"%s: it has no migration states, so its state cannot "
			"be moved; use a driver that supports migration, or "
			"unplug it first",
			dev->name);
	if (dev->reaches_peer && !(dev->migration & SPOOR_MIGRATION_P2P) &&
	    !input->allow_unsafe_p2p)
		return spoor_plan_block(
			plan,
			"%s: it has no P2P states, yet its space maps a BAR of "
			"%s, which may be stopped before it; give it a space "
			"with \"p2p\": false",
			dev->name, dev->reaches_peer);
	return 0;
}

static int make_line(struct spoor_plan *plan, struct spoor_plan_line *line,
		     const struct spoor_policy *policy, bool strict,
		     const struct spoor_plan_input *input,
		     const struct spoor_device_fact *dev)
{
	int ret;

	snprintf(line->name, sizeof(line->name), "%s", dev->name);
	snprintf(line->space, sizeof(line->space), "%s",
		 input->spaces[dev->space].name);
	ret = block_device(plan, input, dev);
	if (ret)
		return ret;
	if (policy->stop_copy) {
		snprintf(line->reason, sizeof(line->reason),
			 "policy %s gives tracking up: everything is stopped, "
			 "then copied once",
			 policy->name);
	} else {
		ret = spoor_policy_apply(plan, line, policy, strict, input,
					 dev);
		if (ret)
			return ret;
	}
	ret = spoor_override_apply(plan, line, input, dev);
	if (ret)
		return ret;
	return spoor_coverage_prove(plan, line, dev);
}

/* Told without trying: it says so. */
static void say_moved(struct spoor_plan_line *line, const char *from)
{
	const size_t len = strlen(line->reason);

	if (strcmp(line->space, from) != 0)
		snprintf(line->reason + len, sizeof(line->reason) - len,
			 "%sin space %s by the machine file, not tried there",
			 len ? "; " : "", line->space);
}

static int make_lines(struct spoor_plan *plan,
		      const struct spoor_policy *policy, bool strict,
		      const struct spoor_plan_input *input)
{
	const size_t nr = input->nr_devices;
	SPOOR_AUTO_HEAP struct spoor_device_fact *facts = NULL;
	SPOOR_AUTO_HEAP size_t *space_of = calloc(nr + 1, sizeof(*space_of));
	int err;

	plan->lines = calloc(nr + 1, sizeof(*plan->lines));
	if (!plan->lines || !space_of)
		return spoor_fail(ENOMEM, "plan: out of memory");
	plan->nr_lines = nr;
	err = spoor_place_wishes(space_of, input);
	if (!err)
		err = spoor_place_facts(&facts, input, space_of);
	for (size_t i = 0; i < nr && !err; i++) {
		const struct spoor_device_fact *was = &input->devices[i];

		err = make_line(plan, &plan->lines[i], policy, strict, input,
				&facts[i]);
		say_moved(&plan->lines[i], input->spaces[was->space].name);
	}
	return err;
}

static int check_input(const struct spoor_plan_input *input)
{
	for (size_t i = 0; i < input->nr_devices; i++) {
		if (input->devices[i].space >= input->nr_spaces)
			return spoor_fail(
				EINVAL,
				"plan: device %s names space %zu of %zu",
				input->devices[i].name, input->devices[i].space,
				input->nr_spaces);
	}
	for (size_t i = 0; i < input->nr_places; i++) {
		const struct spoor_place_fact *p = &input->places[i];

		if (p->device >= input->nr_devices ||
		    p->space >= input->nr_spaces)
			return spoor_fail(EINVAL,
					  "plan: place %zu is of device %zu in "
					  "space %zu: one is not there",
					  i, p->device, p->space);
	}
	return spoor_override_check(input);
}

int spoor_plan_make(struct spoor_plan **ret,
		    const struct spoor_plan_input *input)
{
	const char *name = input->policy ? input->policy : "auto";
	const struct spoor_policy *policy;
	struct spoor_plan *plan;
	bool strict;
	int err;

	policy = spoor_policy_find(name, &strict);
	if (!policy)
		return spoor_fail(EINVAL, "plan: no policy is called \"%s\"",
				  name);
	err = check_input(input);
	if (err)
		return err;

	plan = calloc(1, sizeof(*plan));
	if (!plan)
		return spoor_fail(ENOMEM, "plan: out of memory");
	snprintf(plan->policy, sizeof(plan->policy), "%s", name);
	plan->stop_copy = policy->stop_copy;
	err = make_lines(plan, policy, strict, input);
	if (err) {
		spoor_plan_free(plan);
		return err;
	}
	*ret = plan;
	if (plan->nr_blockers)
		return spoor_fail(EPERM, "refused: %s", plan->blockers[0]);
	return 0;
}

struct spoor_plan *spoor_plan_free(struct spoor_plan *plan)
{
	if (!plan)
		return NULL;
	for (size_t i = 0; i < plan->nr_blockers; i++)
		free(plan->blockers[i]);
	free(plan->blockers);
	free(plan->lines);
	free(plan);
	return NULL;
}
