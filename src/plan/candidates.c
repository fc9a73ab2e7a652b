/* SPDX-License-Identifier: MIT */
/*
 * What one device may have: every combination of tracker, page size and
 * suspension goes through the planner as if a user had asked for it, so that
 * what is refused there is no candidate here.  Lines that the user did set are
 * not varied.
 *
 * Pure.
 */
#include "plan/search_priv.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/error.h"
#include "plan/plan_priv.h"
#include "plan/predict_priv.h"

enum key { TRACKER, PAGE_SIZE, SUSPEND, HOW, NR_KEYS };

static const char *const key_names[NR_KEYS] = { "tracker", "page_size",
						"suspend", "how" };
static const char *const trackers[] = { "device", "iommu", "pinned", "all",
					"none" };
static const enum spoor_tracker_kind kinds[] = {
	SPOOR_TRACKER_DEVICE, SPOOR_TRACKER_IOMMU, SPOOR_TRACKER_PINNED,
	SPOOR_TRACKER_ALL,    SPOOR_TRACKER_NONE,
};
static const char *const whens[] = { "together", "after-bulk", "before-bulk" };
static const char *const hows[] = { "stop", "quiet" };

#define NR(a) (sizeof(a) / sizeof((a)[0]))

struct asking {
	struct spoor_search *search;
	struct spoor_candidates *found;
	const struct spoor_device_fact *dev;
	struct spoor_plan_input input; /* of this device alone */
	struct spoor_plan_override *lines; /* ours, then the user's */
	bool set[NR_KEYS]; /* by the user */
	char keys[NR_KEYS][96];
};

/* Ours go first: of two lines for one key the later holds. */
static int ask_user(struct asking *a, const struct spoor_plan_input *input)
{
	size_t nr = NR_KEYS;

	a->lines = calloc(input->nr_overrides + NR_KEYS, sizeof(*a->lines));
	if (!a->lines)
		return spoor_fail(ENOMEM, "plan: out of memory");
	for (size_t i = 0; i < input->nr_overrides; i++) {
		const char *key = spoor_override_key(input->overrides[i].key,
						     a->dev->name);

		if (!key)
			continue;
		a->lines[nr++] = input->overrides[i];
		for (size_t k = 0; k < NR_KEYS; k++)
			a->set[k] |= !strcmp(key, key_names[k]);
	}
	a->input.nr_overrides = nr;
	return 0;
}

static bool same(const struct spoor_plan_line *a,
		 const struct spoor_plan_line *b)
{
	return a->tracker == b->tracker && a->page_size == b->page_size &&
	       a->when == b->when && a->how == b->how;
}

/* Own tracker, finest page, together: then by how much that changes. */
static unsigned long rank_of(const struct spoor_plan_line *line)
{
	unsigned long rank = 0;

	for (size_t k = 0; k < NR(kinds); k++) {
		if (kinds[k] == line->tracker)
			rank = (unsigned long)k * 1000;
	}
	if (line->page_size)
		rank += 10ul * (unsigned long)__builtin_ctzll(line->page_size);
	rank += line->when == SPOOR_SUSPEND_BEFORE_BULK	 ? 4
		: line->when == SPOOR_SUSPEND_AFTER_BULK ? 2
							 : 0;
	return rank + (line->how == SPOOR_SUSPEND_QUIET);
}

/* Can it be predicted?  The first that cannot is remembered. */
static bool figures_for(struct asking *a, const struct spoor_plan_line *line)
{
	const struct spoor_profile_page *page;
	char name[160];

	if (line->tracker == SPOOR_TRACKER_NONE ||
	    line->tracker == SPOOR_TRACKER_ALL)
		return true;
	spoor_tracker_name(name, line, line->tracker);
	if (!spoor_figures_page(&page, a->search->profile, name,
				line->page_size)) {
		a->found->predictable = true;
		return true;
	}
	if (!a->search->lacks[0])
		snprintf(a->search->lacks, sizeof(a->search->lacks), "%.159s",
			 spoor_errmsg());
	return false;
}

static int keep(struct asking *a, const struct spoor_plan_line *line)
{
	struct spoor_candidates *found = a->found;
	struct spoor_candidate *grown;
	size_t at;

	if (!figures_for(a, line))
		return 0;
	for (size_t i = 0; i < found->nr; i++) {
		if (same(&found->list[i].line, line))
			return 0;
	}
	grown = reallocarray(found->list, found->nr + 1, sizeof(*grown));
	if (!grown)
		return spoor_fail(ENOMEM, "plan: out of memory");
	found->list = grown;
	for (at = found->nr; at && grown[at - 1].rank > rank_of(line); at--)
		grown[at] = grown[at - 1];
	grown[at] = (struct spoor_candidate){ .line = *line,
					      .rank = rank_of(line) };
	found->nr++;
	return 0;
}

/* One wish; a value of NULL leaves a key to the user, or to the planner. */
static int ask(struct asking *a, const char *const values[NR_KEYS])
{
	struct spoor_plan_input input = a->input;
	struct spoor_plan *plan = NULL;
	size_t nr = 0;
	int err;

	for (size_t k = 0; k < NR_KEYS; k++) {
		if (values[k] && !a->set[k])
			a->lines[NR_KEYS - ++nr] = (struct spoor_plan_override){
				.key = a->keys[k], .value = values[k]
			};
	}
	input.overrides = a->lines + NR_KEYS - nr;
	input.nr_overrides = a->input.nr_overrides - NR_KEYS + nr;
	err = spoor_plan_make(&plan, &input);
	if (!err)
		err = keep(a, &plan->lines[0]);
	spoor_plan_free(plan);
	return err == -EPERM ? 0 : err;
}

static int ask_suspensions(struct asking *a, const char *tracker,
			   const char *page, bool tracked)
{
	const char *values[NR_KEYS] = {
		[TRACKER] = tracker, [PAGE_SIZE] = page
	};
	int err = 0;

	for (size_t w = 0; !err && w < NR(whens); w++) {
		/*
		 * Tracked or not, a device that is suspended early writes no
		 * more: it needs no tracker, unless the user wants both.
		 */
		if (!a->set[SUSPEND] && tracked != (w == 0))
			continue;
		for (size_t h = 0; !err && h < NR(hows); h++) {
			if (h && w == 0 && !a->set[SUSPEND])
				continue;
			values[SUSPEND] = whens[w];
			values[HOW] = hows[h];
			err = ask(a, values);
		}
	}
	return err;
}

static int ask_pages(struct asking *a, size_t k)
{
	const struct spoor_tracker_fact *fact =
		spoor_plan_fact(a->dev, kinds[k]);
	const struct spoor_profile_tracker *t;
	struct spoor_plan_line line = { .reason = "" };
	char name[160], page[24];
	int err = 0;

	if (!fact)
		return ask_suspensions(a, trackers[k], NULL,
				       kinds[k] == SPOOR_TRACKER_ALL);
	/* Unset by the user, all of memory dirty is a choice of its own. */
	if (!a->set[TRACKER] && !spoor_plan_serves(fact))
		return 0;
	snprintf(line.name, sizeof(line.name), "%s", a->dev->name);
	snprintf(line.space, sizeof(line.space), "%s",
		 a->input.spaces[a->dev->space].name);
	spoor_tracker_name(name, &line, kinds[k]);
	t = spoor_figures_tracker(a->search->profile, name);
	/* As the planner would have it, which also tells what is lacking. */
	err = ask_suspensions(a, trackers[k], NULL, true);
	for (size_t i = 0; t && !err && i < t->nr_pages; i++) {
		if (!(t->pages[i].page_size & fact->caps.page_sizes))
			continue;
		spoor_plan_size(page, t->pages[i].page_size);
		err = ask_suspensions(a, trackers[k], page, true);
	}
	return err;
}

int spoor_candidates_find(struct spoor_search *search, size_t device)
{
	struct asking a = { .search = search,
			    .found = &search->devices[device],
			    .dev = &search->input->devices[device],
			    .input = *search->input };
	int err;

	a.input.devices = a.dev;
	a.input.nr_devices = 1;
	a.input.places = NULL;
	a.input.nr_places = 0;
	a.input.policy = "auto";
	err = ask_user(&a, search->input);
	for (size_t k = 0; k < NR_KEYS; k++)
		snprintf(a.keys[k], sizeof(a.keys[k]), "%s.%s", a.dev->name,
			 key_names[k]);
	for (size_t k = 0; !err && k < NR(kinds); k++)
		err = ask_pages(&a, k);
	free(a.lines);
	a.found->fixed = a.set[SUSPEND];
	a.found->trackable = spoor_plan_serves(&a.dev->own) ||
			     spoor_plan_serves(&a.dev->iommu) ||
			     spoor_plan_serves(&a.dev->pinned);
	return err;
}
