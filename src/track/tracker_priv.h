/* SPDX-License-Identifier: MIT */
/*
 * What every tracker is, and what a backend fills in.  tracker.c and collect.c
 * hold the promises common to all (argument checks, late mappings, unmapped
 * ranges, granules that reach past what was asked, the whole range dirty on
 * failure); a backend holds only its source.
 *
 * A backend embeds struct spoor_tracker as its first member.
 */
#ifndef SPOOR_TRACK_TRACKER_PRIV_H
#define SPOOR_TRACK_TRACKER_PRIV_H

#include <spoor/tracker.h>

#include "base/range.h"

struct spoor_tracker_ops {
	enum spoor_tracker_kind kind;
	/* Memory mapped after START is tracked without a restart. */
	bool follows_map;
	void (*caps)(struct spoor_tracker *t, struct spoor_tracker_caps *ret);
	bool (*covers)(const struct spoor_tracker *t,
		       const struct spoor_device *dev);
	/* Arguments are checked.  On failure nothing is started. */
	int (*start)(struct spoor_tracker *t, const struct spoor_range *ranges,
		     size_t nr_ranges, uint64_t page_size,
		     uint64_t *ret_page_size);
	/*
	 * OR what is dirty in @range, which lies in one tracked range, into
	 * @into, and forget it.  What the source forgets outside @range goes
	 * to spoor_tracker_spill().  -EAGAIN: not quiet, nothing forgotten.
	 * Any other failure: tracker.c sets the whole range and says -EIO.
	 */
	int (*collect)(struct spoor_tracker *t, const struct spoor_range *range,
		       struct spoor_bitmap *into);
	int (*stop)(struct spoor_tracker *t);
	void (*free)(struct spoor_tracker *t); /* stopped; frees the struct */

	/*
	 * Optional.  probe: instead of start, read a little, stop; arguments
	 * are checked, the tracker is stopped, before and after.  Without it
	 * -EAGAIN from the read is taken for QUIET_READ.  map, unmap: be told
	 * as well; on failure as if not told.
	 */
	int (*probe)(struct spoor_tracker *t, const struct spoor_range *ranges,
		     size_t nr_ranges, struct spoor_tracker_caps *ret);
	int (*map)(struct spoor_tracker *t, const struct spoor_range *range);
	int (*unmap)(struct spoor_tracker *t, const struct spoor_range *range);
};

struct spoor_tracker {
	const struct spoor_tracker_ops *ops;
	bool started;
	uint64_t page_size; /* the source's real granule, once started */
	struct spoor_range_list tracked; /* by the source */
	struct spoor_range_list late; /* mapped since: dirty at every collect */
	struct spoor_range_list owed; /* dirty once, when asked for */
	/* All that was ever tracked since start, what is unmapped included:
	 * what collect may be asked about. */
	struct spoor_range_list known;
	bool owes_all; /* owed could not grow: all that is known is owed */
};

/* Called by backends' open functions. */
void spoor_tracker_init(struct spoor_tracker *t,
			const struct spoor_tracker_ops *ops);

/*
 * The source forgot that @range was dirty, but nobody asked for it yet: report
 * it when somebody does.  Cannot fail: if memory is out, everything tracked is
 * owed.
 */
void spoor_tracker_spill(struct spoor_tracker *t,
			 const struct spoor_range *range);

/*
 * Sort out what a source reported: bits of @got that lie in @range go into
 * @into, the others are spilled.
 */
void spoor_tracker_deliver(struct spoor_tracker *t,
			   const struct spoor_range *range,
			   const struct spoor_bitmap *got,
			   struct spoor_bitmap *into);

/* Spill what of @wide lies outside @range, which lies inside @wide. */
void spoor_tracker_spill_around(struct spoor_tracker *t,
				const struct spoor_range *wide,
				const struct spoor_range *range);

#endif /* SPOOR_TRACK_TRACKER_PRIV_H */
