/* SPDX-License-Identifier: MIT */
/*
 * The rules tried on one device, in a process of its own: software devices
 * live in the process that opens them, and a device that hangs, hangs there.
 *
 * Threads: the process's main thread.
 */
#include <errno.h>
#include <poll.h>
#include <stdlib.h>
#include <string.h>

#include "check/check.h"
#include "child.h"
#include "cmd.h"

static const char *const verdicts[] = {
	[CHECK_HOLDS] = "holds",
	[CHECK_BROKEN] = "broken",
	[CHECK_NOT_APPLICABLE] = "not-applicable",
};

static json_t *calls_json(const struct check *c)
{
	size_t nr = c->nr_calls < CHECK_NR_CALLS ? c->nr_calls : CHECK_NR_CALLS;
	json_t *calls = json_array();

	for (size_t i = c->nr_calls - nr; i < c->nr_calls; i++)
		json_array_append_new(
			calls, json_string(c->calls[i % CHECK_NR_CALLS]));
	return calls;
}

static void tell_rule(struct child *child, const struct check *c,
		      const struct check_rule *rule, enum check_verdict v)
{
	json_t *line =
		json_pack("{s:s, s:s, s:s, s:s, s:s, s:s}", "event", "rule",
			  "id", rule->id, "verdict", verdicts[v], "why", c->why,
			  "rule", rule->text, "from", rule->from);

	if (line && v == CHECK_BROKEN)
		json_object_set_new(line, "calls", calls_json(c));
	child_tell(child, line);
}

/* The parent has something to say: it is going, or gone. */
static bool parent_wants(const struct child *child)
{
	struct pollfd p = { .fd = child->control, .events = POLLIN };

	return poll(&p, 1, 0) > 0;
}

static void run_all(struct child *child, struct check *c)
{
	size_t nr[3] = { 0 };

	for (size_t i = 0; i < check_nr_rules; i++) {
		enum check_verdict v;

		if (parent_wants(child))
			return;
		v = check_run(c, &check_rules[i]);
		tell_rule(child, c, &check_rules[i], v);
		nr[v]++;
	}
	child_tell(child,
		   json_pack("{s:s, s:I, s:I, s:I}", "event", "_checked",
			     "holds", (json_int_t)nr[CHECK_HOLDS], "broken",
			     (json_int_t)nr[CHECK_BROKEN], "not_applicable",
			     (json_int_t)nr[CHECK_NOT_APPLICABLE]));
}

static void tell_device(struct child *child, const struct check *c)
{
	struct spoor_device_info info;

	spoor_device_get_info(c->dev, &info);
	child_tell(
		child,
		json_pack("{s:s, s:s, s:s, s:b, s:b, s:b, s:s, s:b}", "event",
			  "checking", "address", info.address, "backend",
			  c->backend == SPOOR_SPACE_TYPE1 ? "type1" : "iommufd",
			  "migrates", c->caps != 0, "logs", c->has_log,
			  "resets", c->can_reset, "exercised_as",
			  c->ex ? c->ex->name : "", "peer", c->peer != NULL));
}

int child_check(const struct opts *o)
{
	struct check c = { .spec = o->args[0], .peer_spec = o->peer };
	struct child child;
	int r;

	if (!child_begin(&child, o))
		return EXIT_FAILED;
	if (o->backend) {
		c.have_backend = true;
		c.backend = !strcmp(o->backend, "type1") ? SPOOR_SPACE_TYPE1
							 : SPOOR_SPACE_IOMMUFD;
	}
	r = check_open(&c);
	if (r) {
		child_tell_failed(&child,
				  r == -EINVAL	? EXIT_USAGE
				  : r == -EBUSY ? EXIT_FAILED
						: EXIT_MISSING,
				  c.why);
	} else {
		tell_device(&child, &c);
		run_all(&child, &c);
	}
	check_close(&c);
	return EXIT_DONE;
}
