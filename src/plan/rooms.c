/* SPDX-License-Identifier: MIT */
/*
 * Ways to put devices into spaces, and what each device may have there.
 *
 * Unasked, a device is moved to eligible places only, and not if the user said
 * where it is to be.
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

/* More than any choice in its own space. */
#define MOVED_RANK 10000ul

static struct spoor_room *room_free(struct spoor_room *r)
{
	if (!r)
		return NULL;
	for (size_t i = 0; r->s.devices && i < r->nr; i++)
		free(r->s.devices[i].list);
	free(r->s.devices);
	spoor_plan_free(r->plan);
	spoor_plan_free(r->stop_copy);
	spoor_arranged_clear(&r->arranged);
	free(r->best.chosen);
	free(r->trial.chosen);
	free(r->space_of);
	free(r);
	return NULL;
}

static int set_up(struct spoor_room *r, const struct spoor_hunt *h,
		  const size_t *space_of)
{
	const size_t nr = h->input->nr_devices;
	int err;

	r->nr = nr;
	r->space_of = calloc(nr + 1, sizeof(*r->space_of));
	r->s.devices = calloc(nr + 1, sizeof(*r->s.devices));
	r->best.chosen = calloc(nr + 1, sizeof(*r->best.chosen));
	r->trial.chosen = calloc(nr + 1, sizeof(*r->trial.chosen));
	r->plan = calloc(1, sizeof(*r->plan));
	if (r->plan)
		r->plan->lines = calloc(nr + 1, sizeof(*r->plan->lines));
	if (!r->space_of || !r->s.devices || !r->best.chosen ||
	    !r->trial.chosen || !r->plan || !r->plan->lines)
		return spoor_fail(ENOMEM, "plan: out of memory");
	r->plan->nr_lines = nr;
	snprintf(r->plan->policy, sizeof(r->plan->policy), "auto");
	memcpy(r->space_of, space_of, nr * sizeof(*space_of));
	for (size_t i = 0; i < nr; i++)
		r->rank += space_of[i] != h->home[i] ? MOVED_RANK : 0;
	err = spoor_arrange(&r->arranged, h->input, h->profile, space_of);
	r->s.input = &r->arranged.input;
	r->s.profile = &r->arranged.profile;
	r->s.link = h->link;
	r->s.target = h->target;
	return err;
}

/* Of all; at home, what could be tracked is not given up for want of figures. */
static int find_candidates(struct spoor_room *r, const struct spoor_room *home)
{
	for (size_t i = 0; i < r->nr && !r->blocked; i++) {
		struct spoor_candidates *c = &r->s.devices[i];
		int err;

		r->s.lacks[0] = '\0';
		err = spoor_candidates_find(&r->s, i);
		if (err)
			return err;
		if (!home && r->s.lacks[0] && !c->predictable)
			return spoor_fail(ENOENT, "%s", r->s.lacks);
		/* Where nobody moves it, nobody tracks it: that it waits is
		 * the price that was asked for. */
		if (home)
			c->trackable = home->s.devices[i].trackable;
		r->nr_served += c->predictable;
		r->unmeasured |= r->s.lacks[0] && !c->predictable;
		r->blocked = !c->nr;
	}
	return 0;
}

static int keep_room(struct spoor_hunt *h, struct spoor_room *r)
{
	struct spoor_room **more;

	more = reallocarray(h->rooms, h->nr_rooms + 1, sizeof(*more));
	if (!more)
		return spoor_fail(ENOMEM, "plan: out of memory");
	h->rooms = more;
	more[h->nr_rooms++] = r;
	return 0;
}

int spoor_room_add(struct spoor_hunt *h, const size_t *space_of)
{
	struct spoor_room *r = calloc(1, sizeof(*r));
	int err;

	if (!r)
		return spoor_fail(ENOMEM, "plan: out of memory");
	err = set_up(r, h, space_of);
	if (!err)
		err = find_candidates(r, h->nr_rooms ? h->rooms[0] : NULL);
	if (!err)
		err = keep_room(h, r);
	if (err)
		room_free(r);
	return err;
}

void spoor_rooms_drop(struct spoor_hunt *h)
{
	while (h->nr_rooms > 1)
		room_free(h->rooms[--h->nr_rooms]);
}

int spoor_hunt_begin(struct spoor_hunt *h)
{
	const struct spoor_plan_input *input = h->input;
	const size_t nr = input->nr_devices;
	int err;

	h->home = calloc(nr + 1, sizeof(*h->home));
	h->fixed = calloc(nr + 1, sizeof(*h->fixed));
	if (!h->home || !h->fixed)
		return spoor_fail(ENOMEM, "plan: out of memory");
	for (size_t i = 0; i < nr; i++) {
		for (size_t k = 0; k < input->nr_overrides; k++) {
			const char *key =
				spoor_override_key(input->overrides[k].key,
						   input->devices[i].name);

			h->fixed[i] |= key && !strcmp(key, "space");
		}
	}
	err = spoor_place_wishes(h->home, input);
	return err ? err : spoor_room_add(h, h->home);
}

void spoor_hunt_end(struct spoor_hunt *h)
{
	while (h->nr_rooms)
		room_free(h->rooms[--h->nr_rooms]);
	free(h->rooms);
	free(h->home);
	free(h->fixed);
}

static bool may_choose(const struct spoor_hunt *h,
		       const struct spoor_place_fact *p, size_t device)
{
	return p->device == device && p->eligible && !h->fixed[device] &&
	       p->space != h->home[device];
}

/* Its home, then its places. */
static size_t nr_choices(const struct spoor_hunt *h, size_t device)
{
	size_t nr = 1;

	for (size_t i = 0; i < h->input->nr_places; i++)
		nr += may_choose(h, &h->input->places[i], device);
	return nr;
}

static size_t choice(const struct spoor_hunt *h, size_t device, size_t n)
{
	for (size_t i = 0; n && i < h->input->nr_places; i++) {
		const struct spoor_place_fact *p = &h->input->places[i];

		if (may_choose(h, p, device) && !--n)
			return p->space;
	}
	return h->home[device];
}

size_t spoor_rooms_count(const struct spoor_hunt *h, size_t most)
{
	size_t nr = 1;

	for (size_t i = 0; i < h->input->nr_devices; i++) {
		nr *= nr_choices(h, i);
		if (nr > most)
			return most + 1;
	}
	return nr;
}

void spoor_rooms_nth(const struct spoor_hunt *h, size_t *space_of, size_t n)
{
	for (size_t i = 0; i < h->input->nr_devices; i++) {
		const size_t nr = nr_choices(h, i);

		space_of[i] = choice(h, i, n % nr);
		n /= nr;
	}
}

static bool can_be(const struct spoor_hunt *h, size_t device, size_t space)
{
	for (size_t n = nr_choices(h, device); n--;) {
		if (choice(h, device, n) == space)
			return true;
	}
	return false;
}

static bool looked_at(const struct spoor_hunt *h, const size_t *space_of)
{
	for (size_t k = 0; k < h->nr_rooms; k++) {
		if (!memcmp(h->rooms[k]->space_of, space_of,
			    h->input->nr_devices * sizeof(*space_of)))
			return true;
	}
	return false;
}

bool spoor_rooms_suggest(const struct spoor_hunt *h, const size_t *at, size_t k,
			 size_t to, size_t *space_of)
{
	const struct spoor_profile_tracker *t = &h->profile->trackers[k];
	const ssize_t space = spoor_attached_space(h->input, t);

	if (space < 0 || to == (size_t)space)
		return false;
	for (size_t i = 0; i < h->input->nr_devices; i++) {
		const bool then =
			spoor_attached_then(h->input, t, (size_t)space, i);

		space_of[i] = at[i];
		if (then)
			space_of[i] = (size_t)space;
		else if (at[i] == (size_t)space)
			space_of[i] = to;
		if (space_of[i] != at[i] && !can_be(h, i, space_of[i]))
			return false;
	}
	return !looked_at(h, space_of);
}

static bool has_figures(const struct spoor_hunt *h, const char *name,
			size_t space, const size_t *space_of)
{
	for (size_t k = 0; k < h->profile->nr_trackers; k++) {
		const struct spoor_profile_tracker *t =
			&h->profile->trackers[k];

		if (!strcmp(t->name, name) &&
		    spoor_attached_now(h->input, t, space, space_of))
			return true;
	}
	return false;
}

static int say_unmeasured(const struct spoor_hunt *h, size_t device,
			  const size_t *space_of, char *buf, size_t len)
{
	static const enum spoor_tracker_kind kinds[] = { SPOOR_TRACKER_IOMMU,
							 SPOOR_TRACKER_PINNED };
	SPOOR_AUTO_HEAP struct spoor_device_fact *facts = NULL;
	const size_t space = space_of[device];
	int err = spoor_place_facts(&facts, h->input, space_of);

	for (size_t k = 0; k < 2 && !err && !buf[0]; k++) {
		char name[160], who[64];

		snprintf(name, sizeof(name), "%s.%s",
			 h->input->spaces[space].name,
			 spoor_tracker_kind_name(kinds[k]));
		if (!spoor_plan_serves(
			    spoor_plan_fact(&facts[device], kinds[k])) ||
		    has_figures(h, name, space, space_of))
			continue;
		spoor_attached_say(who, sizeof(who), h->input, space_of, space);
		snprintf(buf, len, "%s in space %s: no figures of %s with %s",
			 facts[device].name, h->input->spaces[space].name, name,
			 who);
	}
	return err;
}

int spoor_rooms_unmeasured(const struct spoor_hunt *h,
			   const struct spoor_plan_line *line, size_t device,
			   char *buf, size_t len)
{
	const size_t nr = h->input->nr_devices;
	SPOOR_AUTO_HEAP size_t *space_of = calloc(nr + 1, sizeof(*space_of));
	int err = 0;

	buf[0] = '\0';
	if (h->rooms[0]->s.devices[device].trackable ||
	    spoor_plan_fact(&h->input->devices[device], line->tracker))
		return 0;
	if (!space_of)
		return spoor_fail(ENOMEM, "plan: out of memory");
	memcpy(space_of, h->home, nr * sizeof(*space_of));
	for (size_t n = 1; n < nr_choices(h, device) && !buf[0] && !err; n++) {
		space_of[device] = choice(h, device, n);
		err = say_unmeasured(h, device, space_of, buf, len);
	}
	return err;
}
