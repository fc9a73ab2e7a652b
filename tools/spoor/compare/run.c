/* SPDX-License-Identifier: MIT */
/*
 * One run of one policy.
 */
#include <stdio.h>
#include <string.h>

#include "tools/spoor/cmd.h"
#include "tools/spoor/migrate.h"
#include "tools/spoor/session.h"

#include "compare.h"

/* The library says so when it stops all the same. */
static const char not_converged[] = "stopping now costs about";

static bool has(const json_t *list, const json_t *text)
{
	size_t i;
	json_t *t;

	json_array_foreach((json_t *)list, i,
			   t) if (json_equal(t, text)) return true;
	return false;
}

void compare_take_notes(struct compared *p, const json_t *warnings)
{
	size_t i;
	json_t *t;

	json_array_foreach((json_t *)warnings, i, t)
	{
		const char *text = json_string_value(t);

		if (text && strstr(text, not_converged))
			snprintf(p->too_fast, sizeof(p->too_fast), "%s", text);
		else if (!has(p->notes, t))
			json_array_append(p->notes, t);
	}
}

static void failed(struct compared *p, const char *why)
{
	p->failed = true;
	snprintf(p->why, sizeof(p->why), "%s", why);
}

void compare_refuse(struct compared *p, const json_t *plan, const char *error)
{
	size_t i, used = 0;
	json_t *b;

	p->refused = true;
	json_array_foreach(json_object_get(plan, "blockers"), i, b)
	{
		if (used < sizeof(p->why))
			used += (size_t)snprintf(
				p->why + used, sizeof(p->why) - used, "%s%s",
				i ? "; " : "", json_string_value(b));
	}
	if (!used)
		snprintf(p->why, sizeof(p->why), "%s", error);
}

static void take(struct compared *p, unsigned int repetition,
		 const struct session *s, const struct verdict *v,
		 json_t *result)
{
	switch (v->exit) {
	case EXIT_DONE:
		if (repetition)
			json_array_append(p->timed, result);
		else
			p->checked = json_incref(result);
		return;
	case EXIT_INTERRUPTED:
		return;
	case EXIT_REFUSED:
		compare_refuse(p, s->plan, v->error);
		return;
	case EXIT_LOST:
		json_decref(p->lost);
		p->lost = json_incref(json_object_get(result, "lost"));
		if (!p->lost)
			p->lost = json_array();
		failed(p, v->error);
		return;
	default:
		failed(p, v->error);
	}
}

static void tell_begun(const struct comparison *c, const struct compared *p,
		       unsigned int repetition)
{
	size_t nr = 0, all = 0;

	if (c->o->quiet)
		return;
	for (size_t i = 0; i < c->nr; i++) {
		const struct compared *q = &c->of[i];

		nr += q->nr_begun;
		all += q->refused || q->failed ? q->nr_begun
					       : (size_t)c->o->repeat + 1;
	}
	fprintf(stderr, "run %zu of %zu: %s, ", nr, all, p->policy);
	if (repetition)
		fprintf(stderr, "repetition %u of %llu\n", repetition,
			(unsigned long long)c->o->repeat);
	else
		fputs("verified in full\n", stderr);
}

void compare_run(struct comparison *c, struct compared *p,
		 unsigned int repetition)
{
	struct opts o = *c->o;
	json_t *tags, *result;
	struct session s;
	struct verdict v;
	int r;

	/* What came of it would come of it again. */
	if (p->refused || p->failed)
		return;
	p->nr_begun++;
	tell_begun(c, p, repetition);
	o.policy = p->plan.fd >= 0 ? p->plan.path : p->policy;
	o.no_verify = repetition > 0;
	o.profile = NULL;
	tags = json_pack("{s:s, s:i}", "policy", p->policy, "repetition",
			 (int)repetition);
	r = session_open(&s, &o, p->mf);
	s.unattended = true;
	s.out.tags = tags;
	s.out.report = c->out.report;
	if (!r)
		r = migrate_run(&s, NULL, &v);
	if (!r) {
		result = migrate_conclude(&s, &v);
		if (result)
			output_event(&s.out, result);
		take(p, repetition, &s, &v, result);
		json_decref(result);
	} else {
		failed(p, "its processes cannot be started");
	}
	compare_take_notes(p, s.warnings);
	c->interrupted = s.interrupts > 0;
	c->broken = s.out.broken;
	output_clear_bar(&s.out);
	session_close(&s);
	json_decref(tags);
}
