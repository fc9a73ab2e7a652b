/* SPDX-License-Identifier: MIT */
/*
 * What is predicted of a policy, by the same process that `spoor plan` asks.
 */
#include <stdio.h>
#include <string.h>

#include "tools/spoor/cmd.h"
#include "tools/spoor/session.h"

#include "compare.h"

static bool finished(const struct session *s)
{
	return s->source.done || s->source.failed || !s->source.open ||
	       s->out.broken;
}

/* auto is what the profile says it should be: its plan is run, not its rule. */
static void keep_plan(struct compared *p, const json_t *event)
{
	json_t *plan = json_copy((json_t *)event);

	json_object_set_new(plan, "spoor_plan", json_integer(1));
	json_object_del(plan, "event");
	json_object_del(plan, "blockers");
	compare_file_make(&p->plan, plan);
	json_decref(plan);
}

/* Its devices are in the spaces that the plan has them in. */
static void place_devices(const struct comparison *c, struct compared *p)
{
	struct machine_file *mf = NULL;
	struct opts o = *c->o;

	o.policy = p->plan.path;
	if (p->plan.fd < 0 || cmd_load(&mf, o.args[0], &o, true))
		return;
	machine_file_free(p->mf);
	p->mf = mf;
}

static void take(struct compared *p, const struct session *s)
{
	const json_t *failed = s->source.failed;
	const char *why = json_string_value(json_object_get(failed, "error"));
	json_t *note;

	if (s->source.done && json_object_get(s->plan, "predicted")) {
		p->predicted = json_incref(s->plan);
		if (!strcmp(p->policy, "auto"))
			keep_plan(p, s->plan);
	}
	if (json_integer_value(json_object_get(failed, "exit")) ==
	    EXIT_REFUSED) {
		compare_refuse(p, s->plan, why ? why : "refused");
		return;
	}
	if (s->source.done || s->interrupts || s->out.broken)
		return;
	note = json_sprintf("not predicted: %s",
			    why ? why : "its process has ended");
	json_array_append_new(p->notes, note);
}

void compare_predict(struct comparison *c, struct compared *p)
{
	struct opts o = *c->o;
	json_t *tags = json_pack("{s:s}", "policy", p->policy);
	struct session s;
	int r;

	o.policy = p->policy;
	o.profile = c->measured.fd >= 0 ? c->measured.path : c->o->profile;
	r = session_open(&s, &o, p->mf);
	s.out.tags = tags;
	s.out.report = c->out.report;
	if (!r)
		r = side_spawn(&s.source, "source", "machine-plan", &o,
			       o.args[0], p->mf, s.stamps_fd, 0);
	if (!r) {
		s.has_source = true;
		session_wait(&s, finished, UINT64_MAX, true);
		take(p, &s);
	}
	compare_take_notes(p, s.warnings);
	c->interrupted = s.interrupts > 0;
	c->broken = s.out.broken;
	session_close(&s);
	place_devices(c, p);
	json_decref(tags);
}
