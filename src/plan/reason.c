/* SPDX-License-Identifier: MIT */
/*
 * Why a line is as it is: what the plan comes to, and what the nearest other
 * choices for this device would come to.  Pure.
 */
#include "plan/search_priv.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "plan/plan_priv.h"

/* What the alternatives of one line come to. */
struct rival {
	bool found;
	struct spoor_price price;
	const struct spoor_plan_line *line;
	const char *space; /* NULL: where it is */
};

static void challenge(struct rival *rival, const struct spoor_pick *p,
		      const struct spoor_plan_line *line)
{
	if (rival->found && !spoor_price_better(&p->price, &rival->price))
		return;
	*rival = (struct rival){ true, p->price, line, NULL };
}

static void say(const struct spoor_room *r, const struct spoor_price *best,
		const struct rival *rival, char *buf, size_t len)
{
	const double more = rival->price.value - best->value;
	const double late = rival->price.miss - best->miss;
	const double tie = spoor_price_tolerance(&r->s, best->value);
	const size_t used = strlen(buf);
	char name[192] = "", cost[64];
	size_t named;

	if (!rival->found || used >= len)
		return;
	if (rival->space)
		snprintf(name, sizeof(name), "in space %s: ", rival->space);
	named = strlen(name);
	spoor_price_name(name + named, sizeof(name) - named, rival->line);
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

/*
 * The best with this device elsewhere, and all others where they are.  Where
 * figures of one are not there, the best says nothing of this one.
 */
static void look_elsewhere(const struct spoor_hunt *h,
			   const struct spoor_room *r, size_t i,
			   struct rival *rival)
{
	for (size_t k = 0; k < h->nr_rooms; k++) {
		const struct spoor_room *o = h->rooms[k];
		const struct spoor_plan_line *line;
		bool alike = o->priced && !o->unmeasured && !o->best.stop_copy;

		for (size_t d = 0; alike && d < r->nr; d++)
			alike = (o->space_of[d] == r->space_of[d]) == (d != i);
		if (!alike)
			continue;
		line = &o->s.devices[i].list[o->best.chosen[i]].line;
		challenge(rival, &o->best, line);
		if (rival->line == line)
			rival->space = line->space;
	}
}

static int find_rivals(struct spoor_room *r, size_t i,
		       const struct spoor_plan_line *line, struct rival *near,
		       struct rival *far)
{
	const struct spoor_candidates *c = &r->s.devices[i];
	const struct spoor_pick *best = &r->best;
	struct spoor_pick *trial = &r->trial;

	for (size_t k = 0; k < c->nr; k++) {
		const bool akin = c->list[k].line.tracker == line->tracker &&
				  !best->stop_copy;
		int err;

		spoor_pick_copy(r, trial, best);
		trial->stop_copy = false;
		if (k == best->chosen[i] && !best->stop_copy)
			continue;
		vary(r, trial, i, k);
		err = spoor_pick_price(r, trial);
		if (err)
			return err;
		challenge(akin ? near : far, trial, &c->list[k].line);
	}
	return 0;
}

static void add(char *text, size_t len, const char *fmt, ...)
	__attribute__((format(printf, 3, 4)));

static void add(char *text, size_t len, const char *fmt, ...)
{
	const size_t used = strlen(text);
	va_list ap;

	va_start(ap, fmt);
	vsnprintf(text + used, len - used, fmt, ap);
	va_end(ap);
}

/* It is tracked for others have left. */
static void say_left(const struct spoor_hunt *h, const struct spoor_room *r,
		     size_t space, char *text, size_t len)
{
	const char *with = "with ";

	for (size_t i = 0; i < r->nr; i++) {
		if (h->home[i] != space || r->space_of[i] == space)
			continue;
		add(text, len, "%s%s", with, r->s.input->devices[i].name);
		with = ", ";
	}
	add(text, len, " in another space: ");
}

/* What comes before the choice: whose wish it was, and why it is special. */
static void begin(const struct spoor_hunt *h, const struct spoor_room *r,
		  size_t i, const struct spoor_plan_line *line, char *text,
		  size_t len)
{
	if (line->reason[0])
		add(text, len, "%.200s; ", line->reason);
	if (r->space_of[i] != h->input->devices[i].space)
		add(text, len,
		    "in space %s by the machine file, not tried there: ",
		    line->space);
	else if (r->s.devices[i].trackable)
		return;
	else if (line->tracker == SPOOR_TRACKER_PINNED)
		say_left(h, r, r->space_of[i], text, len);
	else
		add(text, len, "nobody tracks it; ");
}

int spoor_reason_line(const struct spoor_hunt *h, struct spoor_room *r,
		      size_t i, struct spoor_plan_line *line)
{
	struct rival near = { 0 }, far = { 0 }, elsewhere = { 0 };
	char text[sizeof(line->reason)] = "", name[96], cost[64], lacks[160];
	int err;

	keep_wishes(r, line);
	err = find_rivals(r, i, line, &near, &far);
	if (err)
		return err;
	look_elsewhere(h, r, i, &elsewhere);
	begin(h, r, i, line, text, sizeof(text));
	spoor_price_name(name, sizeof(name), line);
	spoor_price_text(cost, sizeof(cost), &r->s, r->best.price.value);
	add(text, sizeof(text), "%s: %s in all", name, cost);
	say(r, &r->best.price, &near, text, sizeof(text));
	say(r, &r->best.price, &far, text, sizeof(text));
	say(r, &r->best.price, &elsewhere, text, sizeof(text));
	if (!near.found && !far.found && !elsewhere.found)
		add(text, sizeof(text), "; there is no other choice");
	err = spoor_rooms_unmeasured(h, line, i, lacks, sizeof(lacks));
	if (!err && lacks[0])
		add(text, sizeof(text), "; %s", lacks);
	memcpy(line->reason, text, sizeof(text));
	return err;
}
