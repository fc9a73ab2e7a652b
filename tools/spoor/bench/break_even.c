/* SPDX-License-Identifier: MIT */
/*
 * Devices' own trackers against their page table's or container's, where one
 * can stand for the other: how much a device may be slowed by its own before
 * the other costs it less.
 *
 * A device that is slowed by a part X loses X of the bulk copy's time.  The
 * other tracker makes it stop for longer, by the bytes that it reports beyond
 * its own.  Both times are bytes through the same link, which cancels out:
 *
 *	X = bytes more at the stop / bytes of the bulk copy
 *
 * What is left at the stop depends on the rounds before; here it is what is
 * written in the longest interval that both were measured at.  So it is told
 * with that interval, and rounds between are left out of it.
 */
#include <stdio.h>
#include <string.h>

#include "bench.h"
#include "tools/spoor/units.h"

static const struct spoor_profile_page *finest(const struct spoor_profile *p,
					       const char *owner,
					       enum spoor_tracker_kind kind)
{
	char name[160];

	snprintf(name, sizeof(name), "%s.%s", owner,
		 spoor_tracker_kind_name(kind));
	for (size_t i = 0; i < p->nr_trackers; i++)
		if (!strcmp(p->trackers[i].name, name) &&
		    !p->trackers[i].nr_attached && p->trackers[i].nr_pages)
			return &p->trackers[i].pages[0];
	return NULL;
}

/* false: that interval was not measured. */
static bool bytes_after(const struct spoor_profile_page *p, uint64_t ns,
			double *sum)
{
	for (size_t i = 0; p && i < p->nr_dirty; i++)
		if (p->dirty[i].interval_ns == ns) {
			*sum += p->dirty[i].bytes.median;
			return true;
		}
	return false;
}

/* All devices of a space by their own trackers; false: not all have one. */
static bool own_bytes(const struct spoor_profile *p,
		      const struct machine_file *mf, size_t space, uint64_t ns,
		      double *sum, size_t *ret_nr)
{
	for (size_t i = 0; i < mf->nr_devices; i++) {
		if (mf->devices[i].space != space)
			continue;
		if (!bytes_after(finest(p, mf->devices[i].name,
					SPOOR_TRACKER_DEVICE),
				 ns, sum))
			return false;
		++*ret_nr;
	}
	return *ret_nr > 0;
}

static void show(const struct spoor_profile *p, const struct machine_file *mf,
		 size_t space, enum spoor_tracker_kind kind, bool *said)
{
	const char *name = mf->spaces[space].name;
	const struct spoor_profile_page *other = finest(p, name, kind);
	double bulk = (double)p->memory_bytes * (1 - p->zero_share.median);
	double own = 0, all = 0;
	char page[16], more[24];
	uint64_t ns = 0;
	size_t nr = 0, i = other ? other->nr_dirty : 0;
	bool both = false;

	/* What dirties much was followed for longer than the rest. */
	while (i-- && !both) {
		ns = other->dirty[i].interval_ns;
		all = other->dirty[i].bytes.median;
		own = 0;
		nr = 0;
		both = own_bytes(p, mf, space, ns, &own, &nr);
	}
	if (!both || bulk <= 0)
		return;
	if (!*said)
		puts("\nBreak-even, in work that devices lose by one bulk copy "
		     "and the stop after it:");
	*said = true;
	printf("  %s: own tracker%s against %s (%s): ", name, nr > 1 ? "s" : "",
	       spoor_tracker_kind_name(kind),
	       units_format_page(page, sizeof(page), other->page_size));
	/* Two reads of the same load are not the same. */
	if (all <= own * 1.1)
		printf("no fewer bytes after %.0f ms, so it wins only where "
		       "it slows nothing\n",
		       (double)ns / 1e6);
	else if (all - own >= bulk)
		printf("%s fewer after %.0f ms, more than the bulk copy: it "
		       "wins however much it slows\n",
		       units_format_bytes(more, sizeof(more),
					  (uint64_t)(all - own)),
		       (double)ns / 1e6);
	else
		printf("%s fewer after %.0f ms, so it wins while it slows "
		       "by less than %.2g %%\n",
		       units_format_bytes(more, sizeof(more),
					  (uint64_t)(all - own)),
		       (double)ns / 1e6, (all - own) / bulk * 100);
}

void bench_break_even(const struct spoor_profile *p,
		      const struct machine_file *mf)
{
	bool said = false;

	for (size_t i = 0; i < mf->nr_spaces; i++) {
		show(p, mf, i, SPOOR_TRACKER_IOMMU, &said);
		show(p, mf, i, SPOOR_TRACKER_PINNED, &said);
	}
}
