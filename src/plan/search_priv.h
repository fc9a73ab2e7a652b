/* SPDX-License-Identifier: MIT */
/*
 * The rooms of the search: candidates.c lists what each device may have,
 * search.c finds the best combination, price.c says what a plan is worth,
 * reason.c why it was chosen.
 */
#ifndef SPOOR_PLAN_SEARCH_PRIV_H
#define SPOOR_PLAN_SEARCH_PRIV_H

#include <spoor/predict.h>

/* What one device may have; its line is complete, but for the reason. */
struct spoor_candidate {
	struct spoor_plan_line line;
	unsigned long rank; /* the less, the simpler */
};

struct spoor_candidates {
	struct spoor_candidate *list; /* simplest first */
	size_t nr;
	bool fixed; /* when it is suspended was set by the user */
	bool trackable; /* some tracker serves it */
	bool predictable; /* one that does, or may, is in the profile */
};

struct spoor_search {
	const struct spoor_plan_input *input;
	const struct spoor_profile *profile;
	const struct spoor_link_fact *link;
	const struct spoor_target *target;
	struct spoor_candidates *devices; /* one each */
	char lacks[160]; /* the first figure that ruled a candidate out */
};

/* What a plan is worth; less is better, what misses a limit is worse. */
struct spoor_price {
	double miss; /* ns past the limits, all together */
	double value; /* ns or bytes, by the objective */
	double second; /* ns: of equals, the total time, or else the downtime */
	unsigned long rank;
	/*
	 * The way there: of the worst of several gaps, no single device betters
	 * anything, so all of them count a little, and limits very much.
	 */
	double guide;
};

/* A choice for each device, and what it is worth. */
struct spoor_pick {
	size_t *chosen; /* of its candidates, one a device */
	bool stop_copy; /* none of them */
	struct spoor_price price;
};

struct spoor_room {
	struct spoor_search s;
	struct spoor_plan *plan; /* scratch, one line a device */
	struct spoor_plan *stop_copy; /* NULL: not to be chosen */
	size_t nr;
};

/* candidates.c: -EINVAL, -ENOMEM; none at all is no error. */
int spoor_candidates_find(struct spoor_search *search, size_t device);

/* price.c */
void spoor_price_of(struct spoor_price *ret, const struct spoor_search *search,
		    const struct spoor_plan *plan,
		    const struct spoor_prediction *pred);
/* So near that it counts as equal: of times, and by the objective. */
double spoor_price_tie(double ns);
double spoor_price_tolerance(const struct spoor_search *search, double value);
/* "device tracker at 16K" */
void spoor_price_name(char *buf, size_t len,
		      const struct spoor_plan_line *line);
/* Of equals by value, the lesser is the better; equal too if it is near. */
unsigned long spoor_price_class(double second);
/* "12.3 ms of downtime" */
void spoor_price_text(char *buf, size_t len, const struct spoor_search *search,
		      double value);
/* Names in the target must be devices: -EINVAL. */
int spoor_price_check(const struct spoor_search *search);

/* search.c */
int spoor_pick_price(struct spoor_room *r, struct spoor_pick *p);
void spoor_pick_copy(const struct spoor_room *r, struct spoor_pick *to,
		     const struct spoor_pick *from);
bool spoor_price_better(const struct spoor_price *a,
			const struct spoor_price *b);
/* The same choice, of a device of the same space. */
bool spoor_line_like(const struct spoor_plan_line *a,
		     const struct spoor_plan_line *b);

/* reason.c: @line's, device @i of @best; @trial is scratch. */
int spoor_reason_line(struct spoor_room *r, const struct spoor_pick *best,
		      struct spoor_pick *trial, size_t i,
		      struct spoor_plan_line *line);

#endif /* SPOOR_PLAN_SEARCH_PRIV_H */
