/* SPDX-License-Identifier: MIT */
/*
 * The CPU's tracker on a real kernel: asynchronous where it has PAGEMAP_SCAN
 * (6.7), by faults before; exact, and blind to real DMA.
 *
 * usage: process async|sync
 */
#include "rig.h"

#include <fcntl.h>
#include <sys/mman.h>
#include <unistd.h>

#include <spoor/bitmap.h>
#include <spoor/memory.h>
#include <spoor/tracker.h>

#define NR   4200u
#define LEN  ((uint64_t)NR * PAGE)
#define IOVA 0x10000000ull

static const struct spoor_range all = { .iova = IOVA, .len = LEN };
static unsigned char *mem;
static uint64_t words[NR / 64 + 1];

/* What was written, and nothing else. */
static void collect_and_compare(struct spoor_tracker *t, const uint64_t *pages,
				size_t nr)
{
	struct spoor_bitmap b;
	uint64_t new;

	memset(words, 0, sizeof(words));
	OK(spoor_bitmap_init(&b, words, &all, 12));
	OK(spoor_tracker_collect(t, &all, &b, 0, &new));
	if (new != nr)
		printf("%llu pages, not %zu\n", (unsigned long long)new, nr);
	CHECK(new == nr);
	for (size_t i = 0; i < nr; i++)
		CHECK(spoor_bitmap_test(&b, IOVA + pages[i] * PAGE));
}

static void stores_are_seen_exactly_once(struct spoor_tracker *t)
{
	static const uint64_t pages[] = { 0,   1,   62,	 63,   64,  65,
					  254, 255, 256, 4096, 4199 };
	const size_t nr = sizeof(pages) / sizeof(pages[0]);

	for (size_t i = 0; i < nr; i++)
		*(volatile unsigned char *)(mem + pages[i] * PAGE + i) = 1;
	collect_and_compare(t, pages, nr);
	collect_and_compare(t, NULL, 0);
	/* Armed again: seen again. */
	for (size_t i = 0; i < nr; i++)
		*(volatile unsigned char *)(mem + pages[i] * PAGE) = 2;
	collect_and_compare(t, pages, nr);
}

static void loads_are_not_seen(struct spoor_tracker *t)
{
	unsigned int sum = 0;

	for (size_t i = 0; i < NR; i++)
		sum += *(volatile unsigned char *)(mem + i * PAGE);
	CHECK(sum);
	collect_and_compare(t, NULL, 0);
}

static void the_kernels_own_copies_are_seen(struct spoor_tracker *t)
{
	static const uint64_t pages[] = { 700, 701 };
	int fd = open("/proc/self/exe", O_RDONLY | O_CLOEXEC);

	CHECK(fd >= 0);
	CHECK(read(fd, mem + 701 * PAGE - 8, 16) == 16);
	close(fd);
	collect_and_compare(t, pages, 2);
}

static void dma_is_not_seen(struct spoor_tracker *t, struct rig_device *r)
{
	edu_dma(r->dev, false, IOVA + 901 * PAGE, 0, PAGE);
	edu_dma(r->dev, true, IOVA + 900 * PAGE, 0, PAGE);
	collect_and_compare(t, NULL, 0);
	CHECK(!memcmp(mem + 900 * PAGE, mem + 901 * PAGE, PAGE));
}

/* Mapped first: type1 cannot pin what is write protected already (EFAULT). */
static void run(struct spoor_memory *m, enum spoor_process_mode mode)
{
	struct spoor_tracker *t;
	struct rig_device r;
	uint64_t page;

	memset(mem + 900 * PAGE, 2, PAGE);
	rig_up(&r, SPOOR_SPACE_TYPE1, EDU0);
	OK(spoor_space_map_memory(r.space, m));
	OK(spoor_tracker_open_process(&t, m, mode));
	OK(spoor_tracker_start(t, &all, 1, PAGE, &page));
	CHECK(page == PAGE);
	stores_are_seen_exactly_once(t);
	loads_are_not_seen(t);
	the_kernels_own_copies_are_seen(t);
	dma_is_not_seen(t, &r);
	t = spoor_tracker_free(t);
	rig_down(&r);
}

int main(int argc, char **argv)
{
	const bool async = argc > 1 && !strcmp(argv[1], "async");
	int fd = memfd_create("memory", MFD_CLOEXEC);
	struct spoor_region region = { .range = all, .fd = fd };
	struct spoor_tracker *t = NULL;
	struct spoor_memory *m;

	CHECK(fd >= 0 && !ftruncate(fd, (off_t)LEN));
	mem = mmap(NULL, LEN, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
	CHECK(mem != MAP_FAILED);
	/* Present before it is tracked, as a guest's memory is. */
	memset(mem, 1, LEN);
	region.hva = mem;
	OK(spoor_memory_new(&m));
	OK(spoor_memory_add(m, &region));
	if (async)
		run(m, SPOOR_PROCESS_ASYNC);
	else
		FAILS(spoor_tracker_open_process(&t, m, SPOOR_PROCESS_ASYNC),
		      EOPNOTSUPP);
	run(m, SPOOR_PROCESS_SYNC);
	run(m, SPOOR_PROCESS_AUTO);
	m = spoor_memory_free(m);
	return 0;
}
