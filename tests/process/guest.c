/* SPDX-License-Identifier: MIT */
/* See guest.h. */
#include "tests/process/guest.h"

#include <dirent.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <unistd.h>

#include <cmocka.h>

#include <spoor/error.h>

#include "base/uapi_mm.h"
#include "track/process.h"
#include "tests/threads.h"

static const struct flavour flavours[] = {
	{ .name = "async-memfd", .mode = SPOOR_PROCESS_ASYNC, .memfd = true },
	{ .name = "async-anonymous", .mode = SPOOR_PROCESS_ASYNC },
	{ .name = "async-huge", .mode = SPOOR_PROCESS_ASYNC, .huge = true },
	{ .name = "sync-memfd", .mode = SPOOR_PROCESS_SYNC, .memfd = true },
	{ .name = "sync-memfd-old",
	  .mode = SPOOR_PROCESS_SYNC,
	  .memfd = true,
	  .old = true },
	{ .name = "sync-anonymous", .mode = SPOOR_PROCESS_SYNC },
	{ .name = "sync-anonymous-old",
	  .mode = SPOOR_PROCESS_SYNC,
	  .old = true },
	{ .name = "sync-huge", .mode = SPOOR_PROCESS_SYNC, .huge = true },
	{ .name = "sync-huge-old",
	  .mode = SPOOR_PROCESS_SYNC,
	  .huge = true,
	  .old = true },
};
const struct flavour *flavour;

static bool can_run(void)
{
	struct spoor_memory *memory = NULL;
	struct spoor_tracker *t = NULL;
	int ret;

	assert_int_equal(spoor_memory_new(&memory), 0);
	ret = spoor_tracker_open_process(&t, memory, flavour->mode);
	if (ret)
		printf("SKIP %s: %s\n", flavour->name, spoor_errmsg());
	spoor_tracker_free(t);
	spoor_memory_free(memory);
	return !ret;
}

int run_flavours(const struct CMUnitTest *tests, size_t nr)
{
	size_t i, ran = 0;
	int failed = 0;

	for (i = 0; i < sizeof(flavours) / sizeof(flavours[0]); i++) {
		flavour = &flavours[i];
		if (!can_run())
			continue;
		ran++;
		failed += _cmocka_run_group_tests(flavour->name, tests, nr,
						  NULL, NULL);
	}
	return failed ? 1 : ran ? 0 : 77;
}

/* Huge pages form only where a whole one fits. */
static char *map(struct guest *g, size_t len)
{
	const size_t huge = 2u << 20;
	char *p;

	if (!flavour->huge)
		return mmap(NULL, len, PROT_READ | PROT_WRITE,
			    g->fd >= 0 ? MAP_SHARED
				       : MAP_PRIVATE | MAP_ANONYMOUS,
			    g->fd, 0);
	p = mmap(NULL, len + huge, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS, -1,
		 0);
	assert_ptr_not_equal(p, MAP_FAILED);
	munmap(p, len + huge);
	p += -(uintptr_t)p & (huge - 1);
	p = mmap(p, len, PROT_READ | PROT_WRITE,
		 MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED_NOREPLACE, -1, 0);
	if (p != MAP_FAILED) {
		assert_int_equal(madvise(p, len, MADV_HUGEPAGE), 0);
		/* Fill it with huge pages before it is tracked. */
		assert_int_equal(madvise(p, len, MADV_POPULATE_WRITE), 0);
	}
	return p;
}

void guest_open(struct guest *g, uint64_t iova, uint64_t nr_pages)
{
	struct spoor_region region;
	size_t len = nr_pages * PAGE;
	uint64_t *words;

	*g = (struct guest){
		.range = { iova, len },
		.nr_pages = nr_pages,
		.fd = -1,
	};
	if (flavour->memfd) {
		g->fd = memfd_create("spoor-test", MFD_CLOEXEC);
		assert_true(g->fd >= 0);
		assert_int_equal(ftruncate(g->fd, (off_t)len), 0);
	}
	g->hva = map(g, len);
	assert_ptr_not_equal(g->hva, MAP_FAILED);

	assert_int_equal(spoor_memory_new(&g->memory), 0);
	region = (struct spoor_region){
		.range = g->range,
		.hva = g->hva,
		.fd = g->fd,
	};
	assert_int_equal(spoor_memory_add(g->memory, &region), 0);
	assert_int_equal(spoor_tracker_open_process(&g->tracker, g->memory,
						    flavour->mode),
			 0);
	if (flavour->old)
		((struct process_tracker *)g->tracker)->features &=
			~(uint64_t)UFFD_FEATURE_WP_UNPOPULATED;

	words = calloc(spoor_bitmap_words(nr_pages), sizeof(*words));
	assert_non_null(words);
	assert_int_equal(spoor_bitmap_init(&g->dirty, words, &g->range, 12), 0);
}

void guest_start(struct guest *g)
{
	uint64_t page_size = 0;

	assert_int_equal(spoor_tracker_start(g->tracker, &g->range, 1, 65536,
					     &page_size),
			 0);
	assert_int_equal(page_size, PAGE);
}

uint64_t guest_collect(struct guest *g)
{
	uint64_t new = 42;

	spoor_bitmap_clear(&g->dirty);
	assert_int_equal(spoor_tracker_collect(g->tracker, &g->range, &g->dirty,
					       0, &new),
			 0);
	assert_int_equal(new, spoor_bitmap_count(&g->dirty));
	return new;
}

bool guest_is_dirty(const struct guest *g, uint64_t page)
{
	return spoor_bitmap_test(&g->dirty, g->range.iova + page * PAGE);
}

void guest_close(struct guest *g)
{
	spoor_tracker_free(g->tracker);
	spoor_memory_free(g->memory);
	munmap(g->hva, g->nr_pages * PAGE);
	if (g->fd >= 0)
		close(g->fd);
	free(g->dirty.words);
}

static unsigned int count_entries(const char *path)
{
	DIR *dir = opendir(path);
	unsigned int nr = 0;

	assert_non_null(dir);
	while (readdir(dir))
		nr++;
	closedir(dir);
	return nr;
}

unsigned int count_fds(void)
{
	return count_entries("/proc/self/fd");
}

unsigned int count_threads(void)
{
	return threads_alive();
}
