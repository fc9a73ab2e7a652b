/* SPDX-License-Identifier: MIT */
/*
 * The files of the search: rooms.c puts devices into spaces, candidates.c lists
 * what each may have there, search.c finds the best combination, descent.c
 * where they are too many to try, price.c says what a plan is worth, reason.c
 * why it was chosen.
 */
#ifndef SPOOR_PLAN_SEARCH_PRIV_H
#define SPOOR_PLAN_SEARCH_PRIV_H

#include <spoor/predict.h>

#include "plan/predict_priv.h"

/* What one device may have; its line is complete, but for the reason. */
struct spoor_candidate {
	struct spoor_plan_line line;
	unsigned long rank; /* the less, the simpler */
};

struct spoor_candidates {
	struct spoor_candidate *list; /* simplest first */
	size_t nr;
	bool fixed; /* when it is suspended was set by the user */
	bool trackable; /* some tracker serves it where it is */
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

/* Devices in spaces, and what is best while they are there. */
struct spoor_room {
	size_t *space_of; /* one a device */
	struct spoor_arranged arranged;
	struct spoor_search s; /* of that */
	struct spoor_plan *plan; /* scratch, one line a device */
	struct spoor_plan *stop_copy; /* NULL: not to be chosen */
	size_t nr; /* devices */
	unsigned long rank; /* for those that are not where they were */
	size_t nr_served; /* devices that have a tracker with figures */
	bool unmeasured; /* what could track one has no figures */
	bool blocked; /* one has no candidate, whatever is known of it */
	bool priced; /* its best is */
	struct spoor_pick best;
	struct spoor_pick trial; /* scratch */
};

struct spoor_hunt {
	const struct spoor_plan_input *input;
	const struct spoor_profile *profile;
	const struct spoor_link_fact *link;
	const struct spoor_target *target;
	size_t *home; /* a device's space, before any is moved */
	bool *fixed; /* ... and it is the user's word */
	struct spoor_room **rooms; /* [0]: home */
	size_t nr_rooms;
};

/* rooms.c */
int spoor_hunt_begin(struct spoor_hunt *h);
void spoor_hunt_end(struct spoor_hunt *h);
/* Adds one; -ENOENT: not at home, where @h has no room yet. */
int spoor_room_add(struct spoor_hunt *h, const size_t *space_of);
/* All but the first are gone again. */
void spoor_rooms_drop(struct spoor_hunt *h);
/* Ways to put devices into spaces; @most + 1: more than that. */
size_t spoor_rooms_count(const struct spoor_hunt *h, size_t most);
/* The n-th of them: 0 is home. */
void spoor_rooms_nth(const struct spoor_hunt *h, size_t *space_of, size_t n);
/*
 * From @at on, that one space holds what it held when figure @k was taken; who
 * has to leave it goes to @to.  false: that cannot be, or was looked at.
 */
bool spoor_rooms_suggest(const struct spoor_hunt *h, const size_t *at, size_t k,
			 size_t to, size_t *space_of);
/*
 * What a device that nobody tracks, nor would by @line, could have elsewhere,
 * had the profile its figures; or "".
 */
int spoor_rooms_unmeasured(const struct spoor_hunt *h,
			   const struct spoor_plan_line *line, size_t device,
			   char *buf, size_t len);

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
int spoor_price_check(const struct spoor_plan_input *input,
		      const struct spoor_target *target);

/* search.c */
struct spoor_plan *spoor_pick_plan(struct spoor_room *r,
				   const struct spoor_pick *p);
int spoor_pick_price(struct spoor_room *r, struct spoor_pick *p);
void spoor_pick_copy(const struct spoor_room *r, struct spoor_pick *to,
		     const struct spoor_pick *from);
bool spoor_price_better(const struct spoor_price *a,
			const struct spoor_price *b);
/* As good as the best, as far as can be told. */
bool spoor_price_equal(const struct spoor_search *s,
		       const struct spoor_price *a,
		       const struct spoor_price *best);
/* Which of equals. */
bool spoor_price_nicer(const struct spoor_price *a,
		       const struct spoor_price *b);
/* The same choice, of a device of the same space. */
bool spoor_line_like(const struct spoor_plan_line *a,
		     const struct spoor_plan_line *b);

/* descent.c: the room's best, or near to it. */
int spoor_descend(struct spoor_room *r);

/* reason.c: @line's, device @i of the best of @r. */
int spoor_reason_line(const struct spoor_hunt *h, struct spoor_room *r,
		      size_t i, struct spoor_plan_line *line);

#endif /* SPOOR_PLAN_SEARCH_PRIV_H */
