/* SPDX-License-Identifier: MIT */
/*
 * The rooms of plan: place.c says where devices are, policy.c prefers,
 * override.c obeys, coverage.c proves.  All are pure functions of the input.
 */
#ifndef SPOOR_PLAN_PLAN_PRIV_H
#define SPOOR_PLAN_PLAN_PRIV_H

#include <sys/types.h>

#include <spoor/plan.h>

/* What a policy name means. */
struct spoor_policy {
	const char *name;
	enum spoor_tracker_kind first; /* preferred; NONE: the finest page */
	bool suspend_untracked; /* nobody tracks: suspend early, not all-dirty */
	bool stop_copy;
};

/* "auto", "strict:iommu": NULL if there is no such policy. */
const struct spoor_policy *spoor_policy_find(const char *name,
					     bool *ret_strict);

/* The facts of one kind of tracker; NULL for kinds that need none. */
const struct spoor_tracker_fact *
spoor_plan_fact(const struct spoor_device_fact *dev,
		enum spoor_tracker_kind kind);

/* Usable, and does not report everything all the time. */
bool spoor_plan_serves(const struct spoor_tracker_fact *fact);

/* Smallest page size offered, bytes. */
uint64_t spoor_plan_finest(const struct spoor_tracker_caps *caps);

/* "16K", into buf. */
const char *spoor_plan_size(char buf[24], uint64_t bytes);

/*
 * place.c: the space of each device, in @ret: as facts and overrides have it.
 * -EINVAL for a space that there is not, or of which nothing is known.
 */
int spoor_place_wishes(size_t *ret, const struct spoor_plan_input *input);
/*
 * The facts of all devices where @space_of puts them; the caller frees them.
 * -EINVAL: one has no such place.  -ENOMEM.
 */
int spoor_place_facts(struct spoor_device_fact **ret,
		      const struct spoor_plan_input *input,
		      const size_t *space_of);
/* -1: there is no such space. */
ssize_t spoor_place_find(const struct spoor_plan_input *input,
			 const char *space);

/* Add a blocker; -ENOMEM. */
int spoor_plan_block(struct spoor_plan *plan, const char *fmt, ...)
	__attribute__((format(printf, 2, 3)));

/* Fill in a line as the policy prefers.  Adds blockers if strict. */
int spoor_policy_apply(struct spoor_plan *plan, struct spoor_plan_line *line,
		       const struct spoor_policy *policy, bool strict,
		       const struct spoor_plan_input *input,
		       const struct spoor_device_fact *dev);

/* Obey the overrides that name this line.  -EINVAL for nonsense. */
int spoor_override_apply(struct spoor_plan *plan, struct spoor_plan_line *line,
			 const struct spoor_plan_input *input,
			 const struct spoor_device_fact *dev);
/* The part after "DEVICE.", or NULL if the key is of another device. */
const char *spoor_override_key(const char *key, const char *device);
/* "set by the user: nic0.tracker=iommu", or what its plan says. */
void spoor_override_reason(char *buf, size_t len,
			   const struct spoor_plan_override *o);
/* Every override must name a device and a key: -EINVAL if not. */
int spoor_override_check(const struct spoor_plan_input *input);

/* Prove that no write of the device goes unseen, or add a blocker. */
int spoor_coverage_prove(struct spoor_plan *plan, struct spoor_plan_line *line,
			 const struct spoor_device_fact *dev);

#endif /* SPOOR_PLAN_PLAN_PRIV_H */
