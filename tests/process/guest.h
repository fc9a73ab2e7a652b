/* SPDX-License-Identifier: MIT */
/*
 * A small guest memory of one kind, tracked in one mode: the same cases run
 * over all of them.
 */
#ifndef SPOOR_TEST_PROCESS_GUEST_H
#define SPOOR_TEST_PROCESS_GUEST_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <spoor/bitmap.h>
#include <spoor/memory.h>
#include <spoor/tracker.h>

#define PAGE UINT64_C(4096)

struct flavour {
	const char *name;
	enum spoor_process_mode mode;
	bool memfd;
	bool huge; /* transparent huge pages are asked for */
	bool old; /* as on a kernel without WP_UNPOPULATED */
};

struct guest {
	struct spoor_range range;
	uint64_t nr_pages;
	int fd;
	char *hva;
	struct spoor_memory *memory;
	struct spoor_tracker *tracker;
	struct spoor_bitmap dirty; /* what collect gave */
};

extern const struct flavour *flavour; /* under test */

/* Run the tests over every flavour that can be tracked here; main()'s answer:
 * 77, and the reasons printed, if none can. */
struct CMUnitTest;
int run_flavours(const struct CMUnitTest *tests, size_t nr);

/* One region of @nr_pages fresh pages at @iova; opens the tracker too. */
void guest_open(struct guest *g, uint64_t iova, uint64_t nr_pages);
void guest_start(struct guest *g);
/* Clear `dirty`, collect everything into it; the number of pages. */
uint64_t guest_collect(struct guest *g);
bool guest_is_dirty(const struct guest *g, uint64_t page);
void guest_close(struct guest *g);

/* How many there are in this process now. */
unsigned int count_fds(void);
unsigned int count_threads(void);

#endif /* SPOOR_TEST_PROCESS_GUEST_H */
