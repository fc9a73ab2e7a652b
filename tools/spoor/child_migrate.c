/* SPDX-License-Identifier: MIT */
/*
 * The two sides of a migration, each in its process.
 *
 * Threads: the process's main thread.
 */
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include <spoor/error.h>

#include "child.h"
#include "cmd.h"

static void tell_ready(struct child *c)
{
	child_tell(c,
		   json_pack("{s:s, s:s}", "event", "_ready", "side", c->side));
}

/* Held, stopped, until somebody knows which side runs. */
static void hold(struct child *c)
{
	struct spoor_run_opts opts;
	enum child_order order;

	child_run_opts(c, &opts);
	while ((order = child_wait(c, 0)) != ORDER_QUIT) {
		int r;

		if (order == ORDER_DISCARD) {
			child_tell(c, json_pack("{s:s, s:s}", "event",
						"_discarded", "side", c->side));
			return;
		}
		if (order != ORDER_RESUME)
			continue;
		r = spoor_machine_resume(c->m.machine, &opts);
		child_tell(c, json_pack("{s:s, s:s, s:s}", "event", "_resumed",
					"side", c->side, "error",
					r ? spoor_errmsg() : ""));
		return;
	}
}

/* Until the parent has seen enough. */
static void run_on(struct child *c)
{
	while (child_wait(c, 0) != ORDER_QUIT)
		;
}

static void migrate(struct child *c, bool source, const struct spoor_plan *plan)
{
	struct spoor_run_opts opts;
	struct spoor_result result;
	bool held;

	child_run_opts(c, &opts);
	memset(&result, 0, sizeof(result));
	if (source)
		spoor_source_run(c->m.machine, plan, &opts, &result);
	else
		spoor_destination_run(c->m.machine, &opts, &result);
	/* Our own refusal says more than the errno it became. */
	if (c->m.error[0] && result.outcome != SPOOR_MOVED)
		snprintf(result.error, sizeof(result.error), "%s", c->m.error);
	child_tell_result(c, &result);
	held = result.outcome == SPOOR_UNKNOWN;
	spoor_result_clear(&result);
	close(c->connection);
	c->connection = -1;
	if (held)
		hold(c);
	run_on(c);
}

int child_source(const struct opts *o)
{
	struct spoor_plan *plan = NULL;
	struct child c;

	if (child_start(&c, o, "source", true, true) &&
	    !child_boot_and_plan(&c, &plan, true)) {
		tell_ready(&c);
		if (child_wait(&c, 0) == ORDER_GO)
			migrate(&c, true, plan);
	}
	spoor_plan_free(plan);
	child_end(&c);
	return EXIT_DONE;
}

int child_destination(const struct opts *o)
{
	struct child c;

	if (child_start(&c, o, "destination", false, true)) {
		tell_ready(&c);
		if (child_wait(&c, 0) == ORDER_GO)
			migrate(&c, false, NULL);
	}
	child_end(&c);
	return EXIT_DONE;
}
