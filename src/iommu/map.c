/* SPDX-License-Identifier: MIT */
/*
 * Memory in a space.  The list of mappings is kept here, whatever the backend,
 * because two dirty trackers need the kernel's own boundaries: type1 reads
 * whole mappings only, and an I/O page table walk stops at the first hole.
 *
 * Invariant: mappings[] is sorted and disjoint, and is what the kernel has (or,
 * for a type1 container that has no group yet, will be given).
 * Threads: one at a time per space.
 */
#include "iommu/space_priv.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "base/error.h"

#define PAGE 4096u

#define R_FMT "[0x%llx, 0x%llx]"
#define R_ARG(r)                                                               \
	(unsigned long long)(r)->iova, (unsigned long long)spoor_range_last(r)

size_t spoor_space_find_mapping(const struct spoor_space *s, uint64_t iova)
{
	size_t low = 0, high = s->nr_mappings;

	while (low < high) {
		size_t mid = low + (high - low) / 2;

		if (spoor_range_last(&s->mappings[mid].range) < iova)
			low = mid + 1;
		else
			high = mid;
	}
	return low;
}

bool spoor_space_is_mapped(const struct spoor_space *s,
			   const struct spoor_range *r)
{
	size_t i = spoor_space_find_mapping(s, r->iova);

	if (i < s->nr_mappings &&
	    spoor_range_overlaps(&s->mappings[i].range, r))
		return true;
	for (i = 0; i < s->nr_peers; i++)
		if (spoor_range_overlaps(&s->peers[i].range, r))
			return true;
	return false;
}

static int make_room(struct spoor_space *s)
{
	size_t room = s->room_mappings ? 2 * s->room_mappings : 8;
	struct spoor_space_mapping *m;

	if (s->nr_mappings < s->room_mappings)
		return 0;
	m = realloc(s->mappings, room * sizeof(*m));
	if (!m)
		return spoor_fail(ENOMEM, "space %s: map: out of memory",
				  s->name);
	s->mappings = m;
	s->room_mappings = room;
	return 0;
}

int spoor_space_map(struct spoor_space *s, const struct spoor_range *range,
		    void *hva, unsigned int flags)
{
	size_t at;
	int err;

	if (!spoor_range_valid(range) || !spoor_range_aligned(range, PAGE) ||
	    ((uintptr_t)hva & (PAGE - 1)) || (flags & ~SPOOR_REGION_READONLY))
		return spoor_fail(
			EINVAL,
			"space %s: map 0x%llx+0x%llx of %p, flags 0x%x: empty, "
			"not 4 KiB aligned, past 2^64, or unknown flags",
			s->name, (unsigned long long)range->iova,
			(unsigned long long)range->len, hva, flags);
	if (spoor_space_is_mapped(s, range))
		return spoor_fail(EEXIST,
				  "space %s: map " R_FMT
				  ": part of it is mapped already",
				  s->name, R_ARG(range));
	err = make_room(s);
	if (err)
		return err;
	err = s->ops->map(s, range, hva, flags);
	if (err)
		return err;
	at = spoor_space_find_mapping(s, range->iova);
	memmove(&s->mappings[at + 1], &s->mappings[at],
		(s->nr_mappings - at) * sizeof(*s->mappings));
	s->mappings[at] = (struct spoor_space_mapping){
		.range = *range,
		.hva = hva,
		.flags = flags,
	};
	s->nr_mappings++;
	return 0;
}

/* Does unmapping @r cut a mapping in two? */
static const struct spoor_range *cut_by(const struct spoor_space *s,
					const struct spoor_range *r)
{
	size_t i;

	for (i = spoor_space_find_mapping(s, r->iova); i < s->nr_mappings;
	     i++) {
		const struct spoor_range *m = &s->mappings[i].range;

		if (!spoor_range_overlaps(m, r))
			break;
		if (!spoor_range_inside(m, r))
			return m;
	}
	for (i = 0; i < s->nr_peers; i++) {
		const struct spoor_range *m = &s->peers[i].range;

		if (spoor_range_overlaps(m, r) && !spoor_range_inside(m, r))
			return m;
	}
	return NULL;
}

int spoor_space_unmap(struct spoor_space *s, const struct spoor_range *range)
{
	const struct spoor_range *cut;
	size_t at;
	int err;

	if (!spoor_range_valid(range))
		return spoor_fail(
			EINVAL,
			"space %s: unmap 0x%llx+0x%llx: empty, or past 2^64",
			s->name, (unsigned long long)range->iova,
			(unsigned long long)range->len);
	if (!spoor_space_is_mapped(s, range))
		return spoor_fail(ENOENT,
				  "space %s: unmap " R_FMT
				  ": nothing is mapped there",
				  s->name, R_ARG(range));
	/* iommufd would remove what comes before the cut, then fail. */
	cut = cut_by(s, range);
	if (cut)
		return spoor_fail(EINVAL,
				  "space %s: unmap " R_FMT
				  " cuts the mapping " R_FMT,
				  s->name, R_ARG(range), R_ARG(cut));
	err = spoor_space_unmap_peers(s, range);
	if (err)
		return err;
	at = spoor_space_find_mapping(s, range->iova);
	while (at < s->nr_mappings &&
	       spoor_range_inside(&s->mappings[at].range, range)) {
		err = s->ops->unmap(s, &s->mappings[at].range);
		if (err)
			return err;
		s->nr_mappings--;
		memmove(&s->mappings[at], &s->mappings[at + 1],
			(s->nr_mappings - at) * sizeof(*s->mappings));
	}
	return 0;
}

int spoor_space_map_memory(struct spoor_space *s, const struct spoor_memory *m)
{
	const struct spoor_region *regions;
	size_t i, nr = spoor_memory_regions(m, &regions);

	for (i = 0; i < nr; i++) {
		int err = spoor_space_map(s, &regions[i].range, regions[i].hva,
					  regions[i].flags);

		if (!err)
			continue;
		while (i--) {
			/* Undoing what just worked; the text is the map's. */
			char text[512];
			int undo;

			strncpy(text, spoor_errmsg(), sizeof(text) - 1);
			text[sizeof(text) - 1] = '\0';
			undo = spoor_space_unmap(s, &regions[i].range);
			if (undo)
				return spoor_fail(
					-err, "%.300s; undoing it failed too",
					text);
			spoor_fail(-err, "%s", text);
		}
		return err;
	}
	return 0;
}
