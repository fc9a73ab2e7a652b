/* SPDX-License-Identifier: MIT */
/*
 * Random figures, and the plan that is found held against every plan there is,
 * each asked for as a user would.
 */
#ifndef SPOOR_TESTS_PLAN_BRUTE_H
#define SPOOR_TESTS_PLAN_BRUTE_H

#include "tests/plan/figures.h"

double some(unsigned int *seed, double low, double high);
/* One in so many. */
bool maybe(unsigned int *seed, unsigned int of);
/* 4K, 64K and 1M: the larger, the more they report. */
void any_pages(struct world *w, struct spoor_profile_tracker *t,
	       unsigned int *seed);
/* A device's states and clients. */
void any_figures(struct spoor_profile_device *f, unsigned int *seed);
/* Link, objective and limits. */
void any_target(struct world *w, unsigned int *seed);

/* What a plan is worth, from the description in the header. */
struct worth {
	double miss, value, second;
};
struct worth worth_of(const struct world *w, const struct spoor_plan *plan,
		      const struct spoor_prediction *p);
/* What counts as equal. */
double tie(const struct world *w, double value);

/* What is found; a plan whose every line says why. */
struct spoor_plan *found(struct world *w, struct spoor_prediction *p);
/* No plan is better. */
void hold_against_all(struct world *w);

#endif /* SPOOR_TESTS_PLAN_BRUTE_H */
