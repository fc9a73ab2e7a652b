/* SPDX-License-Identifier: MIT */
/*
 * type1's own bitmap with a physical device: everything mapped is dirty, at
 * every read, and libspoor says so instead of trusting it.
 */
#include "rig.h"

#include <sys/mman.h>

#include <spoor/bitmap.h>
#include <spoor/tracker.h>

#define NR   257u
#define LEN  ((uint64_t)NR * PAGE)
#define IOVA 0x10000000ull

static const struct spoor_range all = { .iova = IOVA, .len = LEN };

static void probe_says_everything(struct spoor_tracker *t)
{
	struct spoor_tracker_caps caps;

	OK(spoor_tracker_probe(t, &all, 1, &caps));
	CHECK(caps.kind == SPOOR_TRACKER_PINNED);
	CHECK(caps.flags & SPOOR_TRACKER_EVERYTHING);
	CHECK(!(caps.flags & SPOOR_TRACKER_EXACT));
}

static void every_read_is_full(struct spoor_tracker *t)
{
	uint64_t words[NR / 64 + 1], page, new;
	struct spoor_bitmap b;

	OK(spoor_tracker_start(t, &all, 1, PAGE, &page));
	CHECK(page == PAGE);
	for (int turn = 0; turn < 3; turn++) {
		memset(words, 0, sizeof(words));
		OK(spoor_bitmap_init(&b, words, &all, 12));
		OK(spoor_tracker_collect(t, &all, &b, 0, &new));
		CHECK(new == NR);
	}
	OK(spoor_tracker_stop(t));
}

int main(void)
{
	void *mem = rig_memory(LEN);
	struct spoor_tracker *t;
	struct rig_device r;

	rig_up(&r, SPOOR_SPACE_TYPE1, EDU0);
	OK(spoor_space_map(r.space, &all, mem, 0));
	OK(spoor_tracker_open_pinned(&t, r.space));
	CHECK(spoor_tracker_covers(t, r.dev));
	probe_says_everything(t);
	every_read_is_full(t);
	t = spoor_tracker_free(t);
	rig_down(&r);
	munmap(mem, LEN);
	return 0;
}
