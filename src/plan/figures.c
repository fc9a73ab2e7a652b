/* SPDX-License-Identifier: MIT */
/*
 * Figures of a profile, by name, and where those that were used came from.
 * Pure.
 */
#include "plan/predict_priv.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "base/error.h"
#include "plan/plan_priv.h"

double spoor_figure_use(struct spoor_sim *sim, const struct spoor_figure *f,
			const char *of, const char *what)
{
	struct spoor_prediction *out = sim->out;

	if (f && f->origin != SPOOR_UNMEASURED) {
		if (out->origin == SPOOR_UNMEASURED || f->origin < out->origin)
			out->origin = f->origin;
		return f->median > 0 ? f->median : 0;
	}
	if (what && !out->missing[0])
		snprintf(out->missing, sizeof(out->missing), "%s%s%s", of,
			 of[0] ? ": " : "", what);
	return 0;
}

const struct spoor_profile_device *
spoor_figures_device(const struct spoor_profile *profile, const char *name)
{
	for (size_t i = 0; i < profile->nr_devices; i++) {
		if (!strcmp(profile->devices[i].name, name))
			return &profile->devices[i];
	}
	return NULL;
}

const struct spoor_profile_tracker *
spoor_figures_tracker(const struct spoor_profile *profile, const char *name)
{
	for (size_t i = 0; i < profile->nr_trackers; i++) {
		if (!strcmp(profile->trackers[i].name, name))
			return &profile->trackers[i];
	}
	return NULL;
}

int spoor_figures_page(const struct spoor_profile_page **ret,
		       const struct spoor_profile *profile, const char *name,
		       uint64_t page_size)
{
	const struct spoor_profile_tracker *t =
		spoor_figures_tracker(profile, name);
	char size[24];

	if (!t)
		return spoor_fail(ENOENT,
				  "profile: it has no figures of tracker %s",
				  name);
	for (size_t i = 0; i < t->nr_pages; i++) {
		const struct spoor_profile_page *page = &t->pages[i];

		if (page->page_size != page_size)
			continue;
		for (size_t k = 0; k < page->nr_dirty; k++) {
			if (page->dirty[k].bytes.origin == SPOOR_UNMEASURED)
				return spoor_fail(
					ENOENT,
					"profile: %s at %s: point %zu of what "
					"is dirty has no figure",
					name, spoor_plan_size(size, page_size),
					k);
		}
		if (page->nr_dirty) {
			*ret = page;
			return 0;
		}
	}
	return spoor_fail(ENOENT,
			  "profile: it does not say how much %s reports dirty "
			  "at pages of %s",
			  name, spoor_plan_size(size, page_size));
}
