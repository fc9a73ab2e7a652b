/* SPDX-License-Identifier: MIT */
/*
 * Planning for a machine that is there: its devices are set up and tried, as
 * for a migration, but nothing is at work.
 *
 * Threads: the process's main thread.
 */
#include <stdlib.h>

#include <spoor/error.h>

#include "child.h"
#include "cmd.h"
#include "plan_facts.h"
#include "planner.h"
#include "profile_file.h"

static void tell(void *child, json_t *event)
{
	child_tell(child, event);
}

static void plan(struct child *c, struct spoor_device_fact *facts)
{
	struct spoor_profile *profile = NULL;
	struct jp_error error = { "" };
	struct planner p = { .mf = c->mf,
			     .o = c->o,
			     .facts = facts,
			     .memory_bytes = spoor_memory_size(c->m.memory),
			     .tell = tell,
			     .opaque = c };
	int r = 0;

	if (c->o->profile)
		r = profile_file_load(&profile, c->o->profile, &error);
	if (r) {
		child_tell_failed(c, EXIT_USAGE, error.text);
		return;
	}
	plan_facts_survey(facts, c->mf, profile);
	p.profile = profile;
	r = planner_run(&p);
	if (r)
		child_tell_failed(c, r, p.error);
	else
		child_tell(c, json_pack("{s:s}", "event", "_planned"));
	profile_file_free(profile);
}

int child_planner(const struct opts *o)
{
	struct spoor_device_fact *facts = NULL;
	struct child c;
	size_t nr = 0;

	if (child_start(&c, o, "source", false, true) && !child_boot(&c)) {
		if (spoor_machine_facts(c.m.machine, &facts, &nr))
			child_tell_failed(&c, EXIT_FAILED, spoor_errmsg());
		else
			plan(&c, facts);
	}
	free(facts);
	child_end(&c);
	return EXIT_DONE;
}
