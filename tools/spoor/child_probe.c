/* SPDX-License-Identifier: MIT */
/*
 * What tracks and migrates each device: found out by trying, in a process of
 * its own (software devices live in the process that opens them).
 *
 * Threads: the process's main thread.
 */
#include <stdlib.h>

#include <spoor/error.h>

#include "child.h"
#include "cmd.h"
#include "units.h"

static json_t *tracker_json(const char *kind,
			    const struct spoor_tracker_fact *f)
{
	json_t *sizes = json_array();
	const char *why = f->why;

	for (unsigned int shift = 12; f->usable && shift < 63; shift++) {
		char text[16];

		if (!(f->caps.page_sizes >> shift & 1))
			continue;
		json_array_append_new(
			sizes, json_string(units_format_page(text, sizeof(text),
							     1ull << shift)));
	}
	if (f->usable && (f->caps.flags & SPOOR_TRACKER_EVERYTHING))
		why = "reports everything that is mapped";
	else if (f->usable && (f->caps.flags & SPOOR_TRACKER_QUIET_READ))
		why = "can be read only while the device is quiet";
	else if (f->usable)
		why = f->caps.flags & SPOOR_TRACKER_EXACT
			      ? "tried: exact"
			      : "tried: works, may report more than was "
				"written";
	return json_pack("{s:s, s:o, s:b, s:s}", "kind", kind, "page_sizes",
			 sizes, "usable", f->usable, "why", why);
}

static json_t *states_json(unsigned int migration)
{
	json_t *states = json_array();
	static const struct {
		const char *name;
		unsigned int needs;
	} all[] = {
		{ "RUNNING", 0 },
		{ "STOP", SPOOR_MIGRATION_STOP_COPY },
		{ "STOP_COPY", SPOOR_MIGRATION_STOP_COPY },
		{ "RESUMING", SPOOR_MIGRATION_STOP_COPY },
		{ "RUNNING_P2P", SPOOR_MIGRATION_P2P },
		{ "PRE_COPY", SPOOR_MIGRATION_PRE_COPY },
		{ "PRE_COPY_P2P",
		  SPOOR_MIGRATION_PRE_COPY | SPOOR_MIGRATION_P2P },
	};

	for (size_t i = 0; i < sizeof(all) / sizeof(all[0]); i++)
		if ((migration & all[i].needs) == all[i].needs)
			json_array_append_new(states, json_string(all[i].name));
	return states;
}

static void tell_device(struct child *c, size_t i,
			const struct spoor_device_fact *f)
{
	struct spoor_device_info info;
	const char *missing = "";

	spoor_device_get_info(c->m.devices[i], &info);
	if (f->noiommu)
		missing = "it has no IOMMU: nothing tracks it, and it cannot "
			  "migrate";
	else if (!f->migration)
		missing = "its driver does not migrate it";
	child_tell(c,
		   json_pack("{s:s, s:s, s:s, s:s, s:[o,o,o], s:o, s:b, s:b, "
			     "s:I, s:s}",
			     "event", "device", "name", f->name, "address",
			     info.address, "space",
			     c->mf->spaces[c->mf->devices[i].space].name,
			     "trackers", tracker_json("device", &f->own),
			     tracker_json("iommu", &f->iommu),
			     tracker_json("pinned", &f->pinned), "states",
			     states_json(f->migration), "p2p",
			     (f->migration & SPOOR_MIGRATION_P2P) != 0,
			     "pre_copy",
			     (f->migration & SPOOR_MIGRATION_PRE_COPY) != 0,
			     "state_bytes", (json_int_t)f->state_bytes,
			     "missing", missing));
}

int child_probe(const struct opts *o)
{
	struct spoor_device_fact *facts = NULL;
	struct child c;
	size_t nr = 0;

	if (!child_start(&c, o, "source", false, true))
		goto end;
	if (child_boot(&c))
		goto end;
	if (spoor_machine_facts(c.m.machine, &facts, &nr))
		child_tell_failed(&c, 1, spoor_errmsg());
	for (size_t i = 0; i < nr; i++)
		tell_device(&c, i, &facts[i]);
	if (facts)
		child_tell(&c, json_pack("{s:s}", "event", "_probed"));
end:
	free(facts);
	child_end(&c);
	return EXIT_DONE;
}
