/* SPDX-License-Identifier: MIT */
/*
 * Why a line is as it is: what the plan comes to, and what the nearest other
 * choices for this device would come to.  Pure.
 */
#include "plan/search_priv.h"

#include <stdio.h>
#include <string.h>

#include "plan/plan_priv.h"

/* What the alternatives of one line come to. */
struct rival {
	bool found;
	struct spoor_price price;
	const struct spoor_plan_line *line;
};

static void challenge(struct rival *rival, const struct spoor_pick *p,
		      const struct spoor_plan_line *line)
{
	if (rival->found && !spoor_price_better(&p->price, &rival->price))
		return;
	*rival = (struct rival){ true, p->price, line };
}

static void say(const struct spoor_room *r, const struct spoor_price *best,
		const struct rival *rival, char *buf, size_t len)
{
	const double more = rival->price.value - best->value;
	const double late = rival->price.miss - best->miss;
	const double tie = spoor_price_tolerance(&r->s, best->value);
	const size_t used = strlen(buf);
	char name[96], cost[64];

	if (!rival->found || used >= len)
		return;
	spoor_price_name(name, sizeof(name), rival->line);
	spoor_price_text(cost, sizeof(cost), &r->s, more);
	if (late > 0)
		snprintf(
			buf + used, len - used,
			"; %s would go past what was asked for by %.1f ms more",
			name, late / 1e6);
	else if (more <= tie && spoor_price_class(rival->price.second) >
					spoor_price_class(best->second))
		snprintf(buf + used, len - used,
			 "; %s would cost the same, and %.1f ms of %s", name,
			 (rival->price.second - best->second) / 1e6,
			 r->s.target->objective == SPOOR_LEAST_TOTAL
				 ? "downtime"
				 : "total time");
	else if (more <= tie)
		snprintf(buf + used, len - used, "; %s would cost the same",
			 name);
	else
		snprintf(buf + used, len - used, "; %s would add %s", name,
			 cost);
}

/* Others on a shared tracker go along, else its page size stays theirs. */
static void vary(const struct spoor_room *r, struct spoor_pick *p, size_t i,
		 size_t c)
{
	const struct spoor_candidate *now = &r->s.devices[i].list[p->chosen[i]];
	const struct spoor_candidate *then = &r->s.devices[i].list[c];

	p->chosen[i] = c;
	if (then->line.tracker != now->line.tracker ||
	    (then->line.tracker != SPOOR_TRACKER_IOMMU &&
	     then->line.tracker != SPOOR_TRACKER_PINNED))
		return;
	for (size_t d = 0; d < r->nr; d++) {
		if (!spoor_line_like(&r->s.devices[d].list[p->chosen[d]].line,
				     &now->line))
			continue;
		for (size_t k = 0; k < r->s.devices[d].nr; k++) {
			if (spoor_line_like(&r->s.devices[d].list[k].line,
					    &then->line))
				p->chosen[d] = k;
		}
	}
}

/* The user's own lines are named as the reason before ours. */
static void keep_wishes(const struct spoor_room *r,
			struct spoor_plan_line *line)
{
	char text[sizeof(line->reason)] = "";

	for (size_t i = 0; i < r->s.input->nr_overrides; i++) {
		const struct spoor_plan_override *o = &r->s.input->overrides[i];
		const size_t used = strlen(text);

		if (!spoor_override_key(o->key, line->name))
			continue;
		/* A plan's line says why as a whole. */
		if (!used || o->reason)
			spoor_override_reason(text, sizeof(text), o);
		else
			snprintf(text + used, sizeof(text) - used, ", %s=%s",
				 o->key, o->value);
	}
	memcpy(line->reason, text, sizeof(text));
}

int spoor_reason_line(struct spoor_room *r, const struct spoor_pick *best,
		      struct spoor_pick *trial, size_t i,
		      struct spoor_plan_line *line)
{
	const struct spoor_candidates *c = &r->s.devices[i];
	struct rival near = { 0 }, far = { 0 };
	char text[sizeof(line->reason)] = "", name[96], cost[64];
	int err = 0;

	keep_wishes(r, line);
	for (size_t k = 0; !err && k < c->nr; k++) {
		spoor_pick_copy(r, trial, best);
		trial->stop_copy = false;
		if (k == best->chosen[i] && !best->stop_copy)
			continue;
		vary(r, trial, i, k);
		err = spoor_pick_price(r, trial);
		if (!err)
			challenge(c->list[k].line.tracker == line->tracker &&
						  !best->stop_copy
					  ? &near
					  : &far,
				  trial, &c->list[k].line);
	}
	if (err)
		return err;
	spoor_price_name(name, sizeof(name), line);
	spoor_price_text(cost, sizeof(cost), &r->s, best->price.value);
	if (line->reason[0])
		snprintf(text, sizeof(text), "%.200s; ", line->reason);
	snprintf(text + strlen(text), sizeof(text) - strlen(text),
		 "%s%s: %s in all", c->trackable ? "" : "nobody tracks it; ",
		 name, cost);
	say(r, &best->price, &near, text, sizeof(text));
	say(r, &best->price, &far, text, sizeof(text));
	if (!near.found && !far.found)
		snprintf(text + strlen(text), sizeof(text) - strlen(text),
			 "; there is no other choice");
	memcpy(line->reason, text, sizeof(text));
	return 0;
}
