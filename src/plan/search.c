/* SPDX-License-Identifier: MIT */
/*
 * The best plan for a target.
 *
 * Few combinations of spaces and what is chosen there are all tried.  Of many,
 * the best is looked for where devices are; then they are moved as the profile
 * has figures for, as long as it helps.
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
#define ROOMS_MAX      256u
#define CLIMB_MAX      32u
#define STOP_COPY_RANK 1000000ul
#define SECOND_TIE     (17.0 / 16) /* as wide as spoor_price_class() is */

struct spoor_plan *spoor_pick_plan(struct spoor_room *r,
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
	return spoor_predict_there(ret, spoor_pick_plan(r, p), r->s.input,
				   r->s.profile, r->s.link, r->s.target);
}

int spoor_pick_price(struct spoor_room *r, struct spoor_pick *p)
{
	struct spoor_prediction pred;
	int err = predict(r, p, &pred);

	if (err)
		return err;
	spoor_price_of(&p->price, &r->s, spoor_pick_plan(r, p), &pred);
	p->price.rank = p->stop_copy ? STOP_COPY_RANK : r->rank;
	for (size_t i = 0; i < r->nr && !p->stop_copy; i++)
		p->price.rank += r->s.devices[i].list[p->chosen[i]].rank;
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

bool spoor_price_equal(const struct spoor_search *s,
		       const struct spoor_price *a,
		       const struct spoor_price *best)
{
	/* Who keeps within the limits is not equal to who nearly does. */
	const double late =
		best->miss > 0 ? best->miss + spoor_price_tie(best->miss) : 0;

	return a->miss <= late &&
	       a->value <= best->value + spoor_price_tolerance(s, best->value);
}

static bool simpler(const struct spoor_price *a, const struct spoor_price *b)
{
	return a->rank < b->rank ||
	       (a->rank == b->rank && spoor_price_better(a, b));
}

bool spoor_price_nicer(const struct spoor_price *a, const struct spoor_price *b)
{
	const unsigned long x = spoor_price_class(a->second),
			    y = spoor_price_class(b->second);

	return x != y ? x < y : simpler(a, b);
}

void spoor_pick_copy(const struct spoor_room *r, struct spoor_pick *to,
		     const struct spoor_pick *from)
{
	if (r->nr)
		memcpy(to->chosen, from->chosen, r->nr * sizeof(*to->chosen));
	to->stop_copy = from->stop_copy;
	to->price = from->price;
}

bool spoor_line_like(const struct spoor_plan_line *a,
		     const struct spoor_plan_line *b)
{
	return !strcmp(a->space, b->space) && a->tracker == b->tracker &&
	       a->page_size == b->page_size && a->when == b->when &&
	       a->how == b->how;
}

/* Of a room; EXACT_MAX + 1: more than that. */
static size_t combinations(const struct spoor_room *r)
{
	size_t nr = 1;

	for (size_t i = 0; i < r->nr && !r->blocked; i++) {
		nr *= r->s.devices[i].nr;
		if (nr > EXACT_MAX)
			return EXACT_MAX + 1;
	}
	return r->blocked ? 0 : nr;
}

static void nth(const struct spoor_room *r, struct spoor_pick *p, size_t n)
{
	for (size_t i = 0; i < r->nr; i++) {
		p->chosen[i] = n % r->s.devices[i].nr;
		n /= r->s.devices[i].nr;
	}
}

/* Its best is then the best by value. */
static int price_all(struct spoor_room *r, struct spoor_price *prices)
{
	const size_t nr = combinations(r);

	for (size_t n = 0; n < nr; n++) {
		int err;

		nth(r, &r->trial, n);
		err = spoor_pick_price(r, &r->trial);
		if (err)
			return err;
		prices[n] = r->trial.price;
		if (!n || spoor_price_better(&prices[n], &r->best.price))
			spoor_pick_copy(r, &r->best, &r->trial);
	}
	r->priced = nr > 0;
	return 0;
}

/* Of all that are as good as the best, the least of what comes second. */
static double least_second(struct spoor_room *const *rooms, size_t nr_rooms,
			   const struct spoor_price *p,
			   const struct spoor_price *best)
{
	double least = -1;

	for (size_t k = 0; k < nr_rooms; p += combinations(rooms[k++])) {
		for (size_t n = 0; n < combinations(rooms[k]); n++) {
			if (spoor_price_equal(&rooms[k]->s, &p[n], best) &&
			    (least < 0 || p[n].second < least))
				least = p[n].second;
		}
	}
	return least;
}

/*
 * The simplest of all in these rooms that are as good as the best, and about as
 * quick as the quickest of those.
 */
static int exact(struct spoor_room *const *rooms, size_t nr_rooms, size_t nr,
		 struct spoor_room **ret)
{
	SPOOR_AUTO_HEAP struct spoor_price *prices = NULL;
	struct spoor_price *p, least = { 0 };
	struct spoor_price simplest = { 0 };
	struct spoor_room *found = NULL;
	double slowest;
	size_t at = 0;

	prices = p = calloc(nr + 1, sizeof(*prices));
	if (!prices)
		return spoor_fail(ENOMEM, "plan: out of memory");
	for (size_t k = 0; k < nr_rooms; k++) {
		struct spoor_room *r = rooms[k];
		const int err = price_all(r, p);

		if (err)
			return err;
		p += combinations(r);
		if (!k ||
		    (r->priced && spoor_price_better(&r->best.price, &least)))
			least = r->best.price;
	}
	p = prices;
	slowest = least_second(rooms, nr_rooms, p, &least) * SECOND_TIE;
	for (size_t k = 0; k < nr_rooms; p += combinations(rooms[k++])) {
		for (size_t n = 0; n < combinations(rooms[k]); n++) {
			if (!spoor_price_equal(&rooms[k]->s, &p[n], &least) ||
			    p[n].second > slowest ||
			    (found && !simpler(&p[n], &simplest)))
				continue;
			found = rooms[k];
			simplest = p[n];
			at = n;
		}
	}
	/* Home is one of them. */
	if (found) {
		nth(found, &found->best, at);
		found->best.price = simplest;
		*ret = found;
	}
	return 0;
}

static int search_room(struct spoor_room *r)
{
	const size_t nr = combinations(r);
	struct spoor_room *same;
	int err;

	if (nr <= EXACT_MAX)
		return nr ? exact(&r, 1, nr, &same) : 0;
	err = spoor_descend(r);
	r->priced = !err;
	return err;
}

static bool preferred(const struct spoor_room *a, const struct spoor_room *b)
{
	const struct spoor_price *x = &a->best.price, *y = &b->best.price;

	if (spoor_price_equal(&a->s, x, y) && spoor_price_equal(&a->s, y, x))
		return spoor_price_nicer(x, y);
	return spoor_price_better(x, y);
}

/* Where it climbs on from, and the best that was seen. */
struct climb {
	struct spoor_room *at, *best;
};

/*
 * One more room, as figure @k suggests.  While others are not served yet, it
 * may make no difference that one more is: then it does later.
 */
static int try_room(struct spoor_hunt *h, struct climb *c, size_t k, size_t to,
		    size_t *space_of)
{
	struct spoor_room *r;
	int err;

	if (h->nr_rooms > CLIMB_MAX ||
	    !spoor_rooms_suggest(h, c->at->space_of, k, to, space_of))
		return 0;
	err = spoor_room_add(h, space_of);
	if (err)
		return err;
	r = h->rooms[h->nr_rooms - 1];
	err = search_room(r);
	if (err || !r->priced)
		return err;
	if (preferred(r, c->at) ||
	    (r->nr_served > c->at->nr_served &&
	     spoor_price_equal(&r->s, &r->best.price, &c->at->best.price)))
		c->at = r;
	if (preferred(r, c->best))
		c->best = r;
	return 0;
}

static int climb(struct spoor_hunt *h, size_t *space_of,
		 struct spoor_room **ret)
{
	struct climb c = { h->rooms[0], h->rooms[0] };
	const struct spoor_room *before = NULL;
	int err = search_room(c.at);

	while (!err && c.at != before) {
		before = c.at;
		for (size_t k = 0; k < h->profile->nr_trackers && !err; k++) {
			for (size_t t = 0; t < h->input->nr_spaces && !err; t++)
				err = try_room(h, &c, k, t, space_of);
		}
	}
	*ret = c.best;
	return err;
}

/* All ways to put devices into spaces, if those have few combinations. */
static int add_rooms(struct spoor_hunt *h, size_t *space_of, size_t *ret_nr)
{
	const size_t nr_ways = spoor_rooms_count(h, ROOMS_MAX);
	size_t nr = combinations(h->rooms[0]);
	int err = 0;

	if (nr_ways > ROOMS_MAX)
		nr = EXACT_MAX + 1;
	for (size_t n = 1; n < nr_ways && nr <= EXACT_MAX && !err; n++) {
		spoor_rooms_nth(h, space_of, n);
		err = spoor_room_add(h, space_of);
		if (!err)
			nr += combinations(h->rooms[n]);
	}
	if (nr > EXACT_MAX)
		spoor_rooms_drop(h);
	*ret_nr = nr;
	return err;
}

/* Tracking given up altogether: against the best that tracks. */
static int try_stop_copy(struct spoor_hunt *h, struct spoor_room **best)
{
	struct spoor_room *r = h->rooms[0];
	struct spoor_pick p = { .stop_copy = true };
	const struct spoor_price *least = &(*best)->best.price;
	int err;

	if (!r->stop_copy)
		return 0;
	err = spoor_pick_price(r, &p);
	if (err || !spoor_price_better(&p.price, least) ||
	    spoor_price_equal(&r->s, least, &p.price))
		return err;
	r->best.stop_copy = true;
	r->best.price = p.price;
	*best = r;
	return 0;
}

static int look(struct spoor_hunt *h, struct spoor_room **ret)
{
	SPOOR_AUTO_HEAP size_t *space_of =
		calloc(h->input->nr_devices + 1, sizeof(*space_of));
	size_t nr = 0;
	int err;

	*ret = h->rooms[0];
	if (!space_of)
		return spoor_fail(ENOMEM, "plan: out of memory");
	err = add_rooms(h, space_of, &nr);
	if (!err)
		err = nr <= EXACT_MAX ? exact(h->rooms, h->nr_rooms, nr, ret)
				      : climb(h, space_of, ret);
	return err ? err : try_stop_copy(h, ret);
}

/* The first of all. */
static int say_unmeasured(const struct spoor_hunt *h,
			  const struct spoor_plan_line *lines,
			  struct spoor_prediction *pred)
{
	int err = 0;

	for (size_t i = 0; i < h->input->nr_devices && !err; i++) {
		if (!pred->unmeasured[0])
			err = spoor_rooms_unmeasured(h, &lines[i], i,
						     pred->unmeasured,
						     sizeof(pred->unmeasured));
	}
	return err;
}

static int finish(struct spoor_hunt *h, struct spoor_room *r,
		  struct spoor_plan **ret, struct spoor_prediction *ret_pred)
{
	SPOOR_AUTO_HEAP struct spoor_plan_line *lines = NULL;
	struct spoor_prediction pred;
	struct spoor_plan *plan;
	int err;

	lines = calloc(r->nr + 1, sizeof(*lines));
	if (!lines)
		return spoor_fail(ENOMEM, "plan: out of memory");
	for (size_t i = 0; i < r->nr; i++)
		lines[i] = spoor_pick_plan(r, &r->best)->lines[i];
	for (size_t i = 0; i < r->nr; i++) {
		err = spoor_reason_line(h, r, i, &lines[i]);
		if (err)
			return err;
	}
	err = predict(r, &r->best, &pred);
	if (err)
		return err;
	err = say_unmeasured(h, lines, &pred);
	if (err) {
		spoor_prediction_clear(&pred);
		return err;
	}
	plan = spoor_pick_plan(r, &r->best);
	if (r->nr)
		memcpy(plan->lines, lines, r->nr * sizeof(*lines));
	*ret = plan;
	*ret_pred = pred;
	if (r->best.stop_copy)
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

/* As the planner says it, with all that blocks. */
static int say_blocked(const struct spoor_hunt *h, struct spoor_plan **ret)
{
	struct spoor_plan *rule = NULL;
	int err = spoor_plan_make(&rule, h->input);

	if (!err)
		err = spoor_fail(ENOENT, "profile: it leaves a device nothing "
					 "to choose from");
	if (err == -EPERM)
		*ret = rule;
	else
		spoor_plan_free(rule);
	return err;
}

int spoor_plan_search(struct spoor_plan **ret,
		      struct spoor_prediction *ret_pred,
		      const struct spoor_plan_input *input,
		      const struct spoor_profile *profile,
		      const struct spoor_link_fact *link,
		      const struct spoor_target *target)
{
	struct spoor_plan_input by_rule = *input;
	struct spoor_hunt h = { .input = &by_rule,
				.profile = profile,
				.link = link,
				.target = target };
	struct spoor_plan *rule = NULL;
	struct spoor_room *best = NULL;
	int err;

	by_rule.policy = "auto";
	err = spoor_price_check(&by_rule, target);
	if (err)
		return err;
	/* What is no plan at all. */
	err = spoor_plan_make(&rule, &by_rule);
	spoor_plan_free(rule);
	if (err && err != -EPERM)
		return err;
	err = spoor_hunt_begin(&h);
	if (!err && h.rooms[0]->blocked) {
		err = say_blocked(&h, ret);
	} else {
		if (!err)
			err = offer_stop_copy(h.rooms[0]);
		if (!err)
			err = look(&h, &best);
		if (!err && best)
			err = finish(&h, best, ret, ret_pred);
	}
	spoor_hunt_end(&h);
	return err;
}
