/* SPDX-License-Identifier: MIT */
/*
 * The user's own lines: "nic0.page_size" = "16K".  They win over the policy;
 * what cannot be is a blocker, what is nonsense is -EINVAL.  Pure.
 */
#include "plan/plan_priv.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/error.h"

struct choice {
	const char *word;
	int value;
};

static const struct choice trackers[] = {
	{ "device", SPOOR_TRACKER_DEVICE }, { "iommu", SPOOR_TRACKER_IOMMU },
	{ "pinned", SPOOR_TRACKER_PINNED }, { "all", SPOOR_TRACKER_ALL },
	{ "none", SPOOR_TRACKER_NONE },	    { NULL, 0 },
};

static const struct choice whens[] = {
	{ "together", SPOOR_SUSPEND_TOGETHER },
	{ "before-bulk", SPOOR_SUSPEND_BEFORE_BULK },
	{ "after-bulk", SPOOR_SUSPEND_AFTER_BULK },
	{ NULL, 0 },
};

static const struct choice hows[] = {
	{ "stop", SPOOR_SUSPEND_STOP },
	{ "quiet", SPOOR_SUSPEND_QUIET },
	{ NULL, 0 },
};

const char *spoor_override_key(const char *key, const char *device)
{
	size_t len = strlen(device);

	return !strncmp(key, device, len) && key[len] == '.' ? key + len + 1
							     : NULL;
}

static int choose(const struct spoor_plan_override *o,
		  const struct choice *choices, int *ret)
{
	char allowed[96] = "";

	for (const struct choice *c = choices; c->word; c++) {
		size_t len = strlen(allowed);

		if (!strcmp(c->word, o->value)) {
			*ret = c->value;
			return 0;
		}
		snprintf(allowed + len, sizeof(allowed) - len, "%s%s",
			 len ? ", " : "", c->word);
	}
	return spoor_fail(EINVAL, "%s: \"%s\": must be one of %s", o->key,
			  o->value, allowed);
}

static int parse_page_size(const struct spoor_plan_override *o, uint64_t *ret)
{
	static const char units[] = "KMGT";
	unsigned long long n;
	const char *unit;
	char *end;

	errno = 0;
	n = strtoull(o->value, &end, 10);
	unit = *end ? strchr(units, *end) : NULL;
	if (unit) {
		unsigned int shift = 10u * (unsigned int)(unit - units + 1);

		if (n > UINT64_MAX >> shift)
			errno = ERANGE;
		n <<= shift;
		end++;
	}
	if (errno || *end || o->value[0] == '-' || n < 4096 || (n & (n - 1)))
		return spoor_fail(
			EINVAL,
			"%s: \"%s\": must be a power of two of at least 4K",
			o->key, o->value);
	*ret = n;
	return 0;
}

int spoor_override_check(const struct spoor_plan_input *input)
{
	static const char *const keys[] = { "tracker", "page_size", "suspend",
					    "how", "space" };

	for (size_t i = 0; i < input->nr_overrides; i++) {
		const char *key = NULL;
		bool known = false;

		for (size_t d = 0; d < input->nr_devices && !key; d++)
			key = spoor_override_key(input->overrides[i].key,
						 input->devices[d].name);
		if (!key)
			return spoor_fail(EINVAL,
					  "%s: names no device of this machine",
					  input->overrides[i].key);
		for (size_t k = 0; k < sizeof(keys) / sizeof(keys[0]); k++)
			known |= !strcmp(key, keys[k]);
		if (!known)
			return spoor_fail(
				EINVAL,
				"%s: must be tracker, page_size, suspend, how "
				"or space",
				input->overrides[i].key);
	}
	return 0;
}

void spoor_override_reason(char *buf, size_t len,
			   const struct spoor_plan_override *o)
{
	static const char planned[] = "as planned: ";
	const bool again =
		o->reason && !strncmp(o->reason, planned, sizeof(planned) - 1);

	if (o->reason)
		snprintf(buf, len, "%s%s", again ? "" : planned, o->reason);
	else
		snprintf(buf, len, "set by the user: %s=%s", o->key, o->value);
}

static void say_reason(struct spoor_plan_line *line,
		       const struct spoor_plan_override *o)
{
	spoor_override_reason(line->reason, sizeof(line->reason), o);
}

static int override_tracker(struct spoor_plan *plan,
			    struct spoor_plan_line *line,
			    const struct spoor_plan_override *o,
			    const struct spoor_device_fact *dev,
			    enum spoor_tracker_kind kind)
{
	const struct spoor_tracker_fact *fact = spoor_plan_fact(dev, kind);
	size_t used;

	say_reason(line, o);
	if (fact && !fact->usable)
		return spoor_plan_block(
			plan,
			"%s=%s, but %s; choose another tracker or suspend it",
			o->key, o->value, fact->why);
	line->tracker = kind;
	line->page_size = kind == SPOOR_TRACKER_NONE ? 0
			  : fact ? spoor_plan_finest(&fact->caps)
				 : 4096;
	line->quiet_read =
		fact && (fact->caps.flags & SPOOR_TRACKER_QUIET_READ);
	if (kind != SPOOR_TRACKER_NONE)
		line->when = SPOOR_SUSPEND_TOGETHER;
	if (fact && (fact->caps.flags & SPOOR_TRACKER_EVERYTHING)) {
		line->tracker = SPOOR_TRACKER_ALL;
		used = strlen(line->reason);
		snprintf(line->reason + used, sizeof(line->reason) - used,
			 "; that container reports everything mapped, which is "
			 "all-dirty");
	}
	return 0;
}

static void override_suspend(struct spoor_plan_line *line,
			     const struct spoor_plan_override *o,
			     enum spoor_suspend_when when, bool own_tracker)
{
	line->when = when;
	say_reason(line, o);
	if (own_tracker)
		return;
	if (when != SPOOR_SUSPEND_TOGETHER) {
		line->tracker = SPOOR_TRACKER_NONE;
		line->page_size = 0;
		line->quiet_read = false;
	} else if (line->tracker == SPOOR_TRACKER_NONE) {
		line->tracker = SPOOR_TRACKER_ALL;
		line->page_size = 4096;
	}
}

/* What the tracker makes of a wish: the largest page below it, or its least. */
static void override_page(struct spoor_plan_line *line,
			  const struct spoor_plan_override *o,
			  const struct spoor_device_fact *dev, uint64_t page)
{
	const struct spoor_tracker_fact *fact =
		spoor_plan_fact(dev, line->tracker);
	const size_t len = strlen(line->reason);
	uint64_t below;
	char real[24];

	/* Without a tracker nothing has a page size. */
	if (!fact)
		return;
	below = fact->caps.page_sizes & (page | (page - 1));
	if (below)
		line->page_size = UINT64_C(1) << (63 - __builtin_clzll(below));
	else if (fact->caps.page_sizes)
		line->page_size = spoor_plan_finest(&fact->caps);
	else
		line->page_size = page;
	if (line->page_size != page)
		snprintf(line->reason + len, sizeof(line->reason) - len,
			 "; %s=%s: its tracker has no such page, %s is nearest",
			 o->key, o->value,
			 spoor_plan_size(real, line->page_size));
}

/* Where it is was settled before: place.c.  This says who wanted it. */
static void override_space(struct spoor_plan_line *line,
			   const struct spoor_plan_override *o)
{
	const size_t len = strlen(line->reason);

	/* A plan's line says why as a whole. */
	if (o->reason && !strstr(line->reason, o->reason))
		say_reason(line, o);
	else if (!o->reason)
		snprintf(line->reason + len, sizeof(line->reason) - len,
			 "%sset by the user: %s=%s", len ? "; " : "", o->key,
			 o->value);
}

static int apply(struct spoor_plan *plan, struct spoor_plan_line *line,
		 const struct spoor_plan_override *o, const char *key,
		 const struct spoor_device_fact *dev, bool tracker_set)
{
	uint64_t page = 0;
	int value = 0, ret;

	if (!strcmp(key, "tracker")) {
		ret = choose(o, trackers, &value);
		if (!ret && !plan->stop_copy)
			ret = override_tracker(plan, line, o, dev, value);
	} else if (!strcmp(key, "suspend")) {
		ret = choose(o, whens, &value);
		if (!ret && !plan->stop_copy)
			override_suspend(line, o, value, tracker_set);
	} else if (!strcmp(key, "how")) {
		ret = choose(o, hows, &value);
		if (!ret)
			line->how = value;
	} else if (!strcmp(key, "space")) {
		override_space(line, o);
		ret = 0;
	} else {
		ret = parse_page_size(o, &page);
		if (!ret)
			override_page(line, o, dev, page);
	}
	return ret;
}

/* Trackers first: a suspension without one knows which was asked. */
static int pass_of(const char *key)
{
	return !strcmp(key, "tracker") ? 0 : strcmp(key, "space") ? 1 : 2;
}

int spoor_override_apply(struct spoor_plan *plan, struct spoor_plan_line *line,
			 const struct spoor_plan_input *input,
			 const struct spoor_device_fact *dev)
{
	bool tracker_set = false;

	for (int pass = 0; pass < 3; pass++) {
		for (size_t i = 0; i < input->nr_overrides; i++) {
			const struct spoor_plan_override *o =
				&input->overrides[i];
			const char *key = spoor_override_key(o->key, dev->name);
			int ret;

			if (!key || pass != pass_of(key))
				continue;
			tracker_set |= pass == 0;
			ret = apply(plan, line, o, key, dev, tracker_set);
			if (ret)
				return ret;
		}
	}
	return 0;
}
