/* SPDX-License-Identifier: MIT */
/* A real address space: what is mapped is reached by DMA, what is not is not. */
#include "rig.h"

#include <sys/mman.h>

#define IOVA 0x10000000ull
#define LEN  (64ull * PAGE)

static void fill(unsigned char *p, size_t len, unsigned int seed)
{
	for (size_t i = 0; i < len; i++)
		p[i] = (unsigned char)(seed + i * 7);
}

static void dma_reaches_what_is_mapped(struct rig_device *r, unsigned char *mem)
{
	fill(mem, PAGE, 3);
	edu_dma(r->dev, false, IOVA, 0, PAGE);
	edu_dma(r->dev, true, IOVA + 5 * PAGE, 0, PAGE);
	CHECK(!memcmp(mem, mem + 5 * PAGE, PAGE));
	/* Not a page more, on either side. */
	for (size_t i = 0; i < PAGE; i++)
		CHECK(!mem[4 * PAGE + i] && !mem[6 * PAGE + i]);
}

static void dma_does_not_reach_what_is_unmapped(struct rig_device *r,
						unsigned char *mem)
{
	const struct spoor_range all = { .iova = IOVA, .len = LEN };

	OK(spoor_space_unmap(r->space, &all));
	memset(mem + 7 * PAGE, 0, PAGE);
	edu_dma(r->dev, true, IOVA + 7 * PAGE, 0, PAGE);
	for (size_t i = 0; i < PAGE; i++)
		CHECK(!mem[7 * PAGE + i]);
	FAILS(spoor_space_unmap(r->space, &all), ENOENT);
}

static void read_only_memory_is_not_written(struct rig_device *r,
					    unsigned char *mem)
{
	const struct spoor_range all = { .iova = IOVA, .len = LEN };

	OK(spoor_space_map(r->space, &all, mem, SPOOR_REGION_READONLY));
	memset(mem + 8 * PAGE, 0, PAGE);
	edu_dma(r->dev, true, IOVA + 8 * PAGE, 0, PAGE);
	for (size_t i = 0; i < PAGE; i++)
		CHECK(!mem[8 * PAGE + i]);
	OK(spoor_space_unmap(r->space, &all));
}

static void bad_ranges_are_refused(struct rig_device *r, unsigned char *mem)
{
	const struct spoor_range all = { .iova = IOVA, .len = LEN };
	struct spoor_range part = { .iova = IOVA + PAGE, .len = PAGE };

	OK(spoor_space_map(r->space, &all, mem, 0));
	FAILS(spoor_space_map(r->space, &part, mem, 0), EEXIST);
	FAILS(spoor_space_unmap(r->space, &part), EINVAL);
	/* Nothing was unmapped by that. */
	edu_dma(r->dev, true, IOVA + 9 * PAGE, 0, PAGE);
	CHECK(!memcmp(mem, mem + 9 * PAGE, PAGE));
	part = (struct spoor_range){ .iova = IOVA - 1, .len = PAGE };
	CHECK(spoor_space_map(r->space, &part, mem, 0) < 0);
	part = (struct spoor_range){ .iova = UINT64_MAX - PAGE + 1,
				     .len = PAGE };
	/* The IOMMU of this machine does not reach as far. */
	CHECK(spoor_space_map(r->space, &part, mem, 0) < 0);
	OK(spoor_space_unmap(r->space, &all));
}

/* Two devices in one space reach the same memory. */
static void devices_share_a_space(struct rig_device *r, unsigned char *mem)
{
	const struct spoor_range all = { .iova = IOVA, .len = LEN };
	struct spoor_device *peer;

	OK(spoor_device_open(&peer, EDU1, NULL));
	OK(spoor_space_map(r->space, &all, mem, 0));
	OK(spoor_space_attach(r->space, peer));
	rig_enable(peer);
	fill(mem + 10 * PAGE, PAGE, 77);
	edu_dma(peer, false, IOVA + 10 * PAGE, 0, PAGE);
	edu_dma(peer, true, IOVA + 11 * PAGE, 0, PAGE);
	CHECK(!memcmp(mem + 10 * PAGE, mem + 11 * PAGE, PAGE));
	edu_dma(r->dev, false, IOVA + 11 * PAGE, 0, PAGE);
	peer = spoor_device_free(peer);
	edu_dma(r->dev, true, IOVA + 12 * PAGE, 0, PAGE);
	CHECK(!memcmp(mem + 10 * PAGE, mem + 12 * PAGE, PAGE));
	OK(spoor_space_unmap(r->space, &all));
}

int main(int argc, char **argv)
{
	const struct spoor_range all = { .iova = IOVA, .len = LEN };
	struct rig_device r;
	unsigned char *mem = rig_memory(LEN);

	rig_up(&r, rig_backend(argc, argv), EDU0);
	OK(spoor_space_map(r.space, &all, mem, 0));
	dma_reaches_what_is_mapped(&r, mem);
	dma_does_not_reach_what_is_unmapped(&r, mem);
	read_only_memory_is_not_written(&r, mem);
	bad_ranges_are_refused(&r, mem);
	devices_share_a_space(&r, mem);
	rig_down(&r);
	munmap(mem, LEN);
	return 0;
}
