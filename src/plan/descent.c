/* SPDX-License-Identifier: MIT */
/*
 * Of many combinations, one device is bettered after the other, and all devices
 * of a space at once: a tracker that several share changes its page size only
 * if all of them ask for it.
 *
 * Pure; any thread.
 */
#include "plan/search_priv.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "base/cleanup.h"
#include "base/error.h"

#define SWEEPS_MAX 20u

struct descent {
	struct spoor_pick at; /* how far it is */
	struct spoor_pick trial; /* a step from there */
	struct spoor_pick seen; /* the best so far */
	struct spoor_price least; /* what may not be exceeded to refine */
	bool changed;
};

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
	if (refine ? !spoor_price_equal(&r->s, &d->trial.price, &d->least) ||
			     !spoor_price_nicer(&d->trial.price, &d->at.price)
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
		   struct descent *d)
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
		spoor_pick_copy(r, &r->best, &d->at);
		if (!spoor_price_better(&d->seen.price, &d->least))
			break;
		spoor_pick_copy(r, &d->at, &d->seen);
	}
	return err;
}

int spoor_descend(struct spoor_room *r)
{
	SPOOR_AUTO_HEAP size_t *room = calloc(3 * r->nr + 1, sizeof(*room));
	struct spoor_plan *rule = NULL;
	struct descent d;
	int err;

	if (!room)
		return spoor_fail(ENOMEM, "plan: out of memory");
	d = (struct descent){ .at.chosen = room,
			      .trial.chosen = room + r->nr,
			      .seen.chosen = room + 2 * r->nr };
	err = spoor_plan_make(&rule, r->s.input);
	if (!err || err == -EPERM)
		err = descend(r, rule, &d);
	spoor_plan_free(rule);
	return err;
}
