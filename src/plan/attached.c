/* SPDX-License-Identifier: MIT */
/*
 * A machine with its devices put into spaces, and the figures that hold then.
 *
 * What a page table or container reports is written by all that are attached to
 * it, whoever asked for it to be tracked: so its figures are of one set of
 * devices, and say nothing of another.  Without its figures it is no choice.
 *
 * Pure; any thread.
 */
#include "plan/predict_priv.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/cleanup.h"
#include "base/error.h"
#include "plan/plan_priv.h"

static bool of_space(const struct spoor_profile_tracker *t, const char *space)
{
	const size_t len = strlen(space);

	return !strncmp(t->name, space, len) && t->name[len] == '.' &&
	       !strcmp(t->name + len + 1, spoor_tracker_kind_name(t->kind));
}

ssize_t spoor_attached_space(const struct spoor_plan_input *input,
			     const struct spoor_profile_tracker *t)
{
	if (t->kind != SPOOR_TRACKER_IOMMU && t->kind != SPOOR_TRACKER_PINNED)
		return -1;
	for (size_t s = 0; s < input->nr_spaces; s++) {
		if (of_space(t, input->spaces[s].name))
			return (ssize_t)s;
	}
	return -1;
}

static bool listed(const struct spoor_profile_tracker *t, const char *name)
{
	for (size_t i = 0; i < t->nr_attached; i++) {
		if (!strcmp(t->attached[i], name))
			return true;
	}
	return false;
}

bool spoor_attached_then(const struct spoor_plan_input *input,
			 const struct spoor_profile_tracker *t, size_t space,
			 size_t device)
{
	const struct spoor_device_fact *dev = &input->devices[device];

	return t->nr_attached ? listed(t, dev->name) : dev->space == space;
}

bool spoor_attached_now(const struct spoor_plan_input *input,
			const struct spoor_profile_tracker *t, size_t space,
			const size_t *space_of)
{
	size_t nr = 0;

	for (size_t i = 0; i < input->nr_devices; i++) {
		const bool there = space_of[i] == space;

		if (there != spoor_attached_then(input, t, space, i))
			return false;
		nr += there;
	}
	return !t->nr_attached || nr == t->nr_attached;
}

static int choose_figures(struct spoor_arranged *a,
			  const struct spoor_plan_input *input,
			  const struct spoor_profile *profile,
			  const size_t *space_of)
{
	a->profile = *profile;
	a->trackers = calloc(profile->nr_trackers + 1, sizeof(*a->trackers));
	if (!a->trackers)
		return spoor_fail(ENOMEM, "plan: out of memory");
	a->profile.trackers = a->trackers;
	a->profile.nr_trackers = 0;
	for (size_t i = 0; i < profile->nr_trackers; i++) {
		const struct spoor_profile_tracker *t = &profile->trackers[i];
		const ssize_t space = spoor_attached_space(input, t);
		struct spoor_profile_tracker *to;

		if (space >= 0 &&
		    !spoor_attached_now(input, t, (size_t)space, space_of))
			continue;
		to = &a->trackers[a->profile.nr_trackers++];
		*to = *t;
		to->attached = NULL;
		to->nr_attached = 0;
	}
	return 0;
}

int spoor_arrange(struct spoor_arranged *ret,
		  const struct spoor_plan_input *input,
		  const struct spoor_profile *profile, const size_t *space_of)
{
	struct spoor_arranged a = { .input = *input };
	int err = spoor_place_facts(&a.facts, input, space_of);

	if (!err)
		err = choose_figures(&a, input, profile, space_of);
	a.input.devices = a.facts;
	a.input.places = NULL;
	a.input.nr_places = 0;
	*ret = a;
	return err;
}

void spoor_arranged_clear(struct spoor_arranged *a)
{
	free(a->facts);
	free(a->trackers);
	*a = (struct spoor_arranged){ .facts = NULL };
}

void spoor_attached_say(char *buf, size_t len,
			const struct spoor_plan_input *input,
			const size_t *space_of, size_t space)
{
	size_t used = 0;

	buf[0] = '\0';
	for (size_t i = 0; i < input->nr_devices && used < len; i++) {
		if (space_of[i] == space)
			used += (size_t)snprintf(buf + used, len - used, "%s%s",
						 used ? ", " : "",
						 input->devices[i].name);
	}
}

int spoor_predict(struct spoor_prediction *ret, const struct spoor_plan *plan,
		  const struct spoor_plan_input *input,
		  const struct spoor_profile *profile,
		  const struct spoor_link_fact *link,
		  const struct spoor_target *target)
{
	const size_t nr = input->nr_devices;
	SPOOR_AUTO_HEAP size_t *space_of = calloc(nr + 1, sizeof(*space_of));
	struct spoor_arranged a;
	int err;

	if (!space_of)
		return spoor_fail(ENOMEM, "predict: out of memory");
	for (size_t i = 0; i < nr && plan->nr_lines == nr; i++) {
		const ssize_t space =
			spoor_place_find(input, plan->lines[i].space);

		if (space < 0)
			return spoor_fail(EINVAL,
					  "predict: %s: the machine has no "
					  "space \"%s\"",
					  plan->lines[i].name,
					  plan->lines[i].space);
		space_of[i] = (size_t)space;
	}
	if (plan->nr_lines != nr)
		return spoor_fail(EINVAL, "predict: a plan of another machine");
	err = spoor_arrange(&a, input, profile, space_of);
	if (!err)
		err = spoor_predict_there(ret, plan, &a.input, &a.profile, link,
					  target);
	spoor_arranged_clear(&a);
	return err;
}
