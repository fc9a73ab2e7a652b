/* SPDX-License-Identifier: MIT */
/*
 * A machine's policy: names, lines for devices, lines that contradict each
 * other; and the spaces that lines put devices into.
 */
#include <errno.h>
#include <stdio.h>
#include <string.h>

#include <spoor/plan.h>

#include "machine_file.h"
#include "units.h"

static const char *override_of(const struct machine_file *mf,
			       const char *device, const char *what)
{
	char key[96];

	snprintf(key, sizeof(key), "%s.%s", device, what);
	for (size_t i = 0; i < mf->policy.nr_overrides; i++)
		if (!strcmp(mf->policy.overrides[i].key, key))
			return mf->policy.overrides[i].value;
	return NULL;
}

static bool one_of(const char *value, const char *const *words)
{
	for (; *words; words++)
		if (!strcmp(value, *words))
			return true;
	return false;
}

static int check_override(const struct machine_file *mf,
			  const struct mf_override *o, struct jp_error *error)
{
	static const char *const trackers[] = { "device", "iommu", "pinned",
						"all",	  "none",  NULL };
	static const char *const whens[] = { "together", "before-bulk",
					     "after-bulk", NULL };
	static const char *const hows[] = { "stop", "quiet", NULL };
	const char *dot = strchr(o->key, '.');
	uint64_t size;
	size_t space;

	if (!dot || !mf_find_device(mf, o->key, (size_t)(dot - o->key)))
		return jp_error_set(error, "policy.%s: no such device", o->key);
	if (!strcmp(dot, ".tracker"))
		return one_of(o->value, trackers)
			       ? 0
			       : jp_error_set(
					 error,
					 "policy.%s: \"%s\": must be "
					 "\"device\", \"iommu\", \"pinned\", "
					 "\"all\" or \"none\"",
					 o->key, o->value);
	if (!strcmp(dot, ".suspend"))
		return one_of(o->value, whens)
			       ? 0
			       : jp_error_set(
					 error,
					 "policy.%s: \"%s\": must be "
					 "\"together\", \"before-bulk\" or "
					 "\"after-bulk\"",
					 o->key, o->value);
	if (!strcmp(dot, ".how"))
		return one_of(o->value, hows)
			       ? 0
			       : jp_error_set(
					 error,
					 "policy.%s: \"%s\": must be \"stop\" "
					 "or \"quiet\"",
					 o->key, o->value);
	if (!strcmp(dot, ".space"))
		return mf_find_space(mf, o->value, &space)
			       ? 0
			       : jp_error_set(
					 error,
					 "policy.%s: \"%s\": no such space",
					 o->key, o->value);
	if (strcmp(dot, ".page_size") != 0)
		return jp_error_set(
			error,
			"policy.%s: unknown key; known are "
			"NAME.tracker, NAME.page_size, NAME.suspend, "
			"NAME.how and NAME.space",
			o->key);
	if (units_size(o->value, &size) || size < MF_PAGE ||
	    (size & (size - 1)))
		return jp_error_set(error,
				    "policy.%s: \"%s\": must be a power of two "
				    "of at least 4K",
				    o->key, o->value);
	return 0;
}

/* Lines that cannot both hold, whatever the hardware. */
static int check_contradictions(const struct machine_file *mf,
				struct jp_error *error)
{
	const char *name = mf->policy.name;
	bool stop_copy =
		!strcmp(name, "stop-copy") || !strcmp(name, "strict:stop-copy");

	for (size_t i = 0; i < mf->nr_devices; i++) {
		const char *dev = mf->devices[i].name;
		const char *tracker = override_of(mf, dev, "tracker");
		const char *page = override_of(mf, dev, "page_size");

		if (page && tracker &&
		    (!strcmp(tracker, "none") || !strcmp(tracker, "all")))
			return jp_error_set(error,
					    "policy.%s.page_size: \"%s\": "
					    "contradicts policy.%s.tracker, "
					    "\"%s\", which has no page size",
					    dev, page, dev, tracker);
		if (stop_copy && tracker && strcmp(tracker, "none") != 0)
			return jp_error_set(error,
					    "policy.%s.tracker: \"%s\": "
					    "contradicts policy.name, \"%s\", "
					    "which tracks nothing",
					    dev, tracker, name);
	}
	return 0;
}

int machine_check_policy(const struct machine_file *mf, struct jp_error *error)
{
	const char *name = mf->policy.name;
	const char *const *known = spoor_plan_policies();
	int r = 0;

	if (!strncmp(name, "strict:", 7))
		name += 7;
	if (!one_of(name, known)) {
		char text[200] = "";
		size_t used = 0;

		for (size_t i = 0; known[i] && used < sizeof(text); i++)
			used += (size_t)snprintf(text + used,
						 sizeof(text) - used, "%s%s",
						 i ? ", " : "", known[i]);
		return jp_error_set(
			error,
			"policy.name: \"%s\": must be one of %s, or "
			"\"strict:\" and one",
			mf->policy.name, text);
	}
	for (size_t i = 0; i < mf->policy.nr_gap_devices; i++) {
		const char *device = mf->policy.gap_devices[i];

		if (!mf_find_device(mf, device, strlen(device)))
			return jp_error_set(error,
					    "policy.gap_devices[%zu]: \"%s\": "
					    "no such device",
					    i, device);
	}
	for (size_t i = 0; i < mf->policy.nr_overrides && !r; i++)
		r = check_override(mf, &mf->policy.overrides[i], error);
	return r ? r : check_contradictions(mf, error);
}

bool machine_can_be_in(const struct machine_file *mf, size_t device,
		       size_t space, char *why, size_t len)
{
	const struct mf_device *d = &mf->devices[device];
	const struct mf_space *s = &mf->spaces[space];

	if (d->work.p2p[0] && !s->p2p) {
		snprintf(
			why, len,
			"it maps no peers (\"p2p\"), and devices[%zu].work.p2p "
			"is \"%s\"",
			device, d->work.p2p);
		return false;
	}
	if (d->model == MF_NIC && d->pins.gratuitous &&
	    s->backend != MF_TYPE1) {
		snprintf(why, len,
			 "devices[%zu].pins.gratuitous needs a \"type1\" "
			 "space, it is \"iommufd\"",
			 device);
		return false;
	}
	return true;
}

int machine_place(struct machine_file *mf, struct jp_error *error)
{
	char why[160];

	for (size_t i = 0; i < mf->nr_devices; i++) {
		struct mf_device *d = &mf->devices[i];
		const char *name = override_of(mf, d->name, "space");

		d->space = d->home;
		if (!name)
			continue;
		/* That there is one was checked. */
		if (!mf_find_space(mf, name, &d->space) ||
		    !machine_can_be_in(mf, i, d->space, why, sizeof(why)))
			return jp_error_set(error,
					    "policy.%s.space: \"%s\": %s",
					    d->name, name, why);
	}
	return 0;
}
