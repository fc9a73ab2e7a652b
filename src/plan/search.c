/* SPDX-License-Identifier: MIT */
/*
 * The best plan for a target.
 *
 * Few combinations are all tried.  Of many, one device is bettered after the
 * other, and all devices of a space at once: a tracker that several share
 * changes its page size only if all of them ask for it.
 *
 * Pure; any thread.
 */
#include "plan/search_priv.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/cleanup.h"
#include "base/error.h"
#include "plan/plan_priv.h"
#include "plan/predict_priv.h"

#define EXACT_MAX      4096u
#define SWEEPS_MAX     20u
#define STOP_COPY_RANK 1000000ul

struct descent {
	struct spoor_pick at; /* how far it is */
	struct spoor_pick trial; /* a step from there */
	struct spoor_pick seen; /* the best so far */
	struct spoor_price least; /* what may not be exceeded to refine */
	bool changed;
};

static struct spoor_plan *plan_of(struct spoor_room *r,
				  const struct spoor_pick *p)
{
	if (p->stop_copy)
		return r->stop_copy;
	for (size_t i = 0; i < r->nr; i++)
		r->plan->lines[i] = r->s.devices[i].list[p->chosen[i]].line;
	return r->plan;
}

static int predict(struct spoor_room *r, const struct spoor_pick *p,
		   struct spoor_prediction *ret)
{
	return spoor_predict(ret, plan_of(r, p), r->s.input, r->s.profile,
			     r->s.link, r->s.target);
}

int spoor_pick_price(struct spoor_room *r, struct spoor_pick *p)
{
	struct spoor_prediction pred;
	int err = predict(r, p, &pred);

	if (err)
		return err;
	spoor_price_of(&p->price, &r->s, plan_of(r, p), &pred);
	p->price.rank = STOP_COPY_RANK;
	for (size_t i = 0; i < r->nr && !p->stop_copy; i++)
		p->price.rank = (i ? p->price.rank : 0) +
				r->s.devices[i].list[p->chosen[i]].rank;
	if (!r->nr && !p->stop_copy)
		p->price.rank = 0;
	spoor_prediction_clear(&pred);
	return 0;
}

bool spoor_price_better(const struct spoor_price *a,
			const struct spoor_price *b)
{
	if (a->miss < b->miss || a->miss > b->miss)
		return a->miss < b->miss;
	return a->value < b->value;
}

/* As good as the best, as far as can be told. */
static bool equal(const struct spoor_search *s, const struct spoor_price *a,
		  const struct spoor_price *best)
{
	/* Who keeps within the limits is not equal to who nearly does. */
	const double late =
		best->miss > 0 ? best->miss + spoor_price_tie(best->miss) : 0;

	return a->miss <= late &&
	       a->value <= best->value + spoor_price_tolerance(s, best->value);
}

/* Which of equals. */
static bool nicer(const struct spoor_price *a, const struct spoor_price *b)
{
	const unsigned long x = spoor_price_class(a->second),
			    y = spoor_price_class(b->second);

	if (x != y)
		return x < y;
	return a->rank < b->rank ||
	       (a->rank == b->rank && spoor_price_better(a, b));
}

void spoor_pick_copy(const struct spoor_room *r, struct spoor_pick *to,
		     const struct spoor_pick *from)
{
	if (r->nr)
		memcpy(to->chosen, from->chosen, r->nr * sizeof(*to->chosen));
	to->stop_copy = from->stop_copy;
	to->price = from->price;
}

/* The number of combinations; EXACT_MAX + 1: more than that. */
static size_t combinations(const struct spoor_room *r)
{
	size_t nr = 1;

	for (size_t i = 0; i < r->nr; i++) {
		nr *= r->s.devices[i].nr;
		if (nr > EXACT_MAX)
			return EXACT_MAX + 1;
	}
	return nr;
}

static void nth(const struct spoor_room *r, struct spoor_pick *p, size_t n)
{
	for (size_t i = 0; i < r->nr; i++) {
		p->chosen[i] = n % r->s.devices[i].nr;
		n /= r->s.devices[i].nr;
	}
}

static int exact(struct spoor_room *r, struct spoor_pick *best,
		 struct spoor_pick *trial, size_t nr)
{
	SPOOR_AUTO_HEAP struct spoor_price *prices = NULL;
	struct spoor_price least = { 0 };
	bool found = false;

	prices = calloc(nr, sizeof(*prices));
	if (!prices)
		return spoor_fail(ENOMEM, "plan: out of memory");
	for (size_t n = 0; n < nr; n++) {
		int err;

		nth(r, trial, n);
		err = spoor_pick_price(r, trial);
		if (err)
			return err;
		prices[n] = trial->price;
		if (!n || spoor_price_better(&prices[n], &least))
			least = prices[n];
	}
	for (size_t n = 0; n < nr; n++) {
		if (!equal(&r->s, &prices[n], &least) ||
		    (found && !nicer(&prices[n], &best->price)))
			continue;
		nth(r, best, n);
		best->price = prices[n];
		found = true;
	}
	return 0;
}

/*
 * Take @trial if it leads on, or, to refine, if it is as good as @least and
 * nicer.  The best of all that were seen is kept beside.
 */
static int consider(struct spoor_room *r, struct descent *d, bool refine)
{
	int err = spoor_pick_price(r, &d->trial);

	if (err)
		return err;
	if (spoor_price_better(&d->trial.price, &d->seen.price))
		spoor_pick_copy(r, &d->seen, &d->trial);
	if (refine ? !equal(&r->s, &d->trial.price, &d->least) ||
			     !nicer(&d->trial.price, &d->at.price)
		   : d->trial.price.guide >= d->at.price.guide)
		return 0;
	spoor_pick_copy(r, &d->at, &d->trial);
	d->changed = true;
	return 0;
}

static int sweep_devices(struct spoor_room *r, struct descent *d, bool refine)
{
	int err = 0;

	for (size_t i = 0; i < r->nr; i++) {
		for (size_t c = 0; !err && c < r->s.devices[i].nr; c++) {
			spoor_pick_copy(r, &d->trial, &d->at);
			if (d->trial.chosen[i] == c)
				continue;
			d->trial.chosen[i] = c;
			err = consider(r, d, refine);
		}
	}
	return err;
}

bool spoor_line_like(const struct spoor_plan_line *a,
		     const struct spoor_plan_line *b)
{
	return !strcmp(a->space, b->space) && a->tracker == b->tracker &&
	       a->page_size == b->page_size && a->when == b->when &&
	       a->how == b->how;
}

/* Everybody in its space who can, as device @i with candidate @c. */
static void follow(const struct spoor_room *r, struct spoor_pick *p, size_t i,
		   size_t c)
{
	const struct spoor_plan_line *lead = &r->s.devices[i].list[c].line;

	for (size_t d = 0; d < r->nr; d++) {
		for (size_t k = 0; k < r->s.devices[d].nr; k++) {
			if (spoor_line_like(&r->s.devices[d].list[k].line,
					    lead))
				p->chosen[d] = k;
		}
	}
}

static int sweep_spaces(struct spoor_room *r, struct descent *d, bool refine)
{
	int err = 0;

	for (size_t i = 0; i < r->nr; i++) {
		for (size_t c = 0; !err && c < r->s.devices[i].nr; c++) {
			spoor_pick_copy(r, &d->trial, &d->at);
			follow(r, &d->trial, i, c);
			if (!memcmp(d->trial.chosen, d->at.chosen,
				    r->nr * sizeof(*d->at.chosen)))
				continue;
			err = consider(r, d, refine);
		}
	}
	return err;
}

static int sweep(struct spoor_room *r, struct descent *d, bool refine)
{
	int err = sweep_spaces(r, d, refine);

	return err ? err : sweep_devices(r, d, refine);
}

/* Begin with the plan by rule, where it can be predicted. */
static void begin(const struct spoor_room *r, const struct spoor_plan *rule,
		  struct spoor_pick *p)
{
	for (size_t i = 0; i < r->nr; i++) {
		p->chosen[i] = 0;
		for (size_t c = 0; c < r->s.devices[i].nr; c++) {
			if (spoor_line_like(&r->s.devices[i].list[c].line,
					    &rule->lines[i]))
				p->chosen[i] = c;
		}
	}
}

static int lead_on(struct spoor_room *r, struct descent *d)
{
	int err = 0;

	d->changed = true;
	for (unsigned int n = 0; !err && d->changed && n < SWEEPS_MAX; n++) {
		d->changed = false;
		err = sweep(r, d, false);
	}
	return err;
}

/* What is nicer may have better neighbours: then on from there. */
static int descend(struct spoor_room *r, const struct spoor_plan *rule,
		   struct spoor_pick *best, struct descent *d)
{
	int err;

	begin(r, rule, &d->at);
	err = spoor_pick_price(r, &d->at);
	spoor_pick_copy(r, &d->seen, &d->at);
	for (unsigned int n = 0; !err && n < SWEEPS_MAX; n++) {
		err = lead_on(r, d);
		if (err)
			break;
		spoor_pick_copy(r, &d->at, &d->seen);
		d->least = d->seen.price;
		err = sweep(r, d, true);
		spoor_pick_copy(r, best, &d->at);
		if (!spoor_price_better(&d->seen.price, &d->least))
			break;
		spoor_pick_copy(r, &d->at, &d->seen);
	}
	return err;
}

/* Tracking given up altogether: against the best that tracks. */
static int try_stop_copy(struct spoor_room *r, struct spoor_pick *best)
{
	struct spoor_pick p = { .stop_copy = true };
	int err;

	if (!r->stop_copy)
		return 0;
	err = spoor_pick_price(r, &p);
	if (err || !spoor_price_better(&p.price, &best->price) ||
	    equal(&r->s, &best->price, &p.price))
		return err;
	best->stop_copy = true;
	best->price = p.price;
	return 0;
}

static int finish(struct spoor_room *r, const struct spoor_pick *best,
		  struct spoor_pick *trial, struct spoor_plan **ret,
		  struct spoor_prediction *ret_pred)
{
	SPOOR_AUTO_HEAP struct spoor_plan_line *lines = NULL;
	struct spoor_plan *plan;
	int err;

	lines = calloc(r->nr + 1, sizeof(*lines));
	if (!lines)
		return spoor_fail(ENOMEM, "plan: out of memory");
	for (size_t i = 0; i < r->nr; i++)
		lines[i] = plan_of(r, best)->lines[i];
	for (size_t i = 0; i < r->nr; i++) {
		err = spoor_reason_line(r, best, trial, i, &lines[i]);
		if (err)
			return err;
	}
	err = predict(r, best, ret_pred);
	if (err)
		return err;
	plan = plan_of(r, best);
	if (r->nr)
		memcpy(plan->lines, lines, r->nr * sizeof(*lines));
	*ret = plan;
	if (best->stop_copy)
		r->stop_copy = NULL;
	else
		r->plan = NULL;
	return 0;
}

/* Overrides ask for tracking, or for suspensions: giving up obeys none. */
static int offer_stop_copy(struct spoor_room *r)
{
	struct spoor_plan_input input = *r->s.input;
	int err;

	if (input.nr_overrides)
		return 0;
	input.policy = "stop-copy";
	err = spoor_plan_make(&r->stop_copy, &input);
	if (!err)
		snprintf(r->stop_copy->policy, sizeof(r->stop_copy->policy),
			 "auto");
	return err;
}

static int look(struct spoor_room *r, struct spoor_plan *rule,
		struct spoor_plan **ret, struct spoor_prediction *ret_pred)
{
	SPOOR_AUTO_HEAP size_t *room = calloc(4 * r->nr + 1, sizeof(*room));
	struct spoor_pick best = { .chosen = room };
	struct descent d;
	size_t nr;
	int err;

	if (!room)
		return spoor_fail(ENOMEM, "plan: out of memory");
	d = (struct descent){ .at.chosen = room + r->nr,
			      .trial.chosen = room + 2 * r->nr,
			      .seen.chosen = room + 3 * r->nr };
	nr = combinations(r);
	err = nr <= EXACT_MAX ? exact(r, &best, &d.trial, nr)
			      : descend(r, rule, &best, &d);
	if (!err)
		err = try_stop_copy(r, &best);
	return err ? err : finish(r, &best, &d.trial, ret, ret_pred);
}

/* Candidates of all; *ret_blocked: one has none, whatever was known of it. */
static int find_all(struct spoor_room *r, bool *ret_blocked)
{
	*ret_blocked = false;
	for (size_t i = 0; i < r->nr; i++) {
		int err;

		r->s.lacks[0] = '\0';
		err = spoor_candidates_find(&r->s, i);
		if (err)
			return err;
		/* Nor is what could be tracked given up for want of figures. */
		if (r->s.lacks[0] && !r->s.devices[i].predictable)
			return spoor_fail(ENOENT, "%s", r->s.lacks);
		if (r->s.devices[i].nr)
			continue;
		*ret_blocked = true;
		return 0;
	}
	return 0;
}

static void release(struct spoor_room *r)
{
	for (size_t i = 0; r->s.devices && i < r->nr; i++)
		free(r->s.devices[i].list);
	free(r->s.devices);
	spoor_plan_free(r->plan);
	spoor_plan_free(r->stop_copy);
}

int spoor_plan_search(struct spoor_plan **ret,
		      struct spoor_prediction *ret_pred,
		      const struct spoor_plan_input *input,
		      const struct spoor_profile *profile,
		      const struct spoor_link_fact *link,
		      const struct spoor_target *target)
{
	struct spoor_plan_input by_rule = *input;
	struct spoor_room r = { .s = { .input = input,
				       .profile = profile,
				       .link = link,
				       .target = target },
				.nr = input->nr_devices };
	struct spoor_plan *rule = NULL;
	bool blocked = false;
	int err;

	by_rule.policy = "auto";
	r.s.input = &by_rule;
	err = spoor_price_check(&r.s);
	if (err)
		return err;
	err = spoor_plan_make(&rule, &by_rule);
	if (err && err != -EPERM)
		return err;
	r.s.devices = calloc(r.nr + 1, sizeof(*r.s.devices));
	r.plan = calloc(1, sizeof(*r.plan));
	if (r.plan)
		r.plan->lines = calloc(r.nr + 1, sizeof(*r.plan->lines));
	if (!r.s.devices || !r.plan || !r.plan->lines) {
		err = spoor_fail(ENOMEM, "plan: out of memory");
		goto release;
	}
	r.plan->nr_lines = r.nr;
	snprintf(r.plan->policy, sizeof(r.plan->policy), "auto");
	err = find_all(&r, &blocked);
	if (!err && blocked) {
		/* As the planner says it, with all that blocks. */
		spoor_plan_free(rule);
		rule = NULL;
		err = spoor_plan_make(&rule, &by_rule);
		if (!err)
			err = spoor_fail(ENOENT,
					 "profile: it leaves a device nothing "
					 "to choose from");
		if (err == -EPERM) {
			*ret = rule;
			rule = NULL;
		}
		goto release;
	}
	if (!err)
		err = offer_stop_copy(&r);
	if (!err)
		err = look(&r, rule, ret, ret_pred);
release:
	spoor_plan_free(rule);
	release(&r);
	return err;
}
