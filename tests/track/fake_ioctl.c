/* SPDX-License-Identifier: MIT */
/* The fake's ioctls of spaces and devices.  Threads: under fake_lock. */
#include "fake_priv.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "base/uapi_iommufd.h"
#include "base/uapi_vfio.h"

static void drop_map(struct fake_space *s, size_t i)
{
	size_t k;

	for (k = 0; k < FAKE_MAX_HWPTS; k++)
		free(s->maps[i].dirty[k]);
	s->maps[i] = s->maps[--s->nr_maps];
}

void fake_put(struct fake_space *s)
{
	if (--s->refs)
		return;
	while (s->nr_maps)
		drop_map(s, 0);
	free(s->maps);
	free(s);
}

void fake_attach(struct fake_device *d, struct fake_space *s,
		 struct fake_hwpt *pt)
{
	if (s)
		s->refs++;
	if (d->space)
		fake_put(d->space);
	d->space = s;
	d->hwpt = pt;
}

struct fake_map *fake_find(struct fake_space *s, uint64_t iova, uint64_t len)
{
	size_t i;

	for (i = 0; s && i < s->nr_maps; i++) {
		struct fake_map *m = &s->maps[i];

		if (iova >= m->iova && iova - m->iova <= m->len - len &&
		    len <= m->len)
			return m;
	}
	return NULL;
}

static bool overlap(const struct fake_map *m, uint64_t iova, uint64_t len)
{
	return iova <= m->iova + (m->len - 1) && m->iova <= iova + (len - 1);
}

static long add_map(struct fake_space *s, uint64_t iova, uint64_t len,
		    uint64_t hva, bool read_only)
{
	struct fake_map *m;
	size_t i;

	for (i = 0; i < s->nr_maps; i++)
		if (overlap(&s->maps[i], iova, len))
			return -EEXIST;
	s->maps = realloc(s->maps, (s->nr_maps + 1) * sizeof(*s->maps));
	if (!s->maps)
		abort();
	m = &s->maps[s->nr_maps++];
	*m = (struct fake_map){ .iova = iova,
				.len = len,
				.hva = (char *)(uintptr_t)hva,
				.read_only = read_only };
	for (i = 0; i < FAKE_MAX_HWPTS; i++) {
		m->dirty[i] = calloc(1, len / 4096);
		if (!m->dirty[i])
			abort();
	}
	return 0;
}

/* Whole mappings inside the range; bytes removed. */
static uint64_t remove_maps(struct fake_space *s, uint64_t iova, uint64_t len)
{
	uint64_t sum = 0;
	size_t i = 0;

	while (i < s->nr_maps) {
		if (!overlap(&s->maps[i], iova, len)) {
			i++;
			continue;
		}
		sum += s->maps[i].len;
		drop_map(s, i);
	}
	return sum;
}

static void set_bit(uint8_t *bitmap, uint64_t bit)
{
	bitmap[bit / 8] |= (uint8_t)(1u << (bit % 8));
}

/* Walks mappings in order and stops at the first hole, always with 0. */
static long get_dirty(struct fake_space *s,
		      const struct iommu_hwpt_get_dirty_bitmap *g)
{
	unsigned int k = g->hwpt_id - 10;
	uint64_t at = g->iova, last = g->iova + (g->length - 1);
	uint64_t entry = s->huge ? fake.entry : 4096;
	uint8_t *bitmap = (uint8_t *)(uintptr_t)g->data;
	/* What lies behind the request in the bitmap's last page. */
	uint64_t bits = ((g->length / g->page_size + 32767) & ~32767ull);

	if (k >= FAKE_MAX_HWPTS || !s->hwpts[k].exists)
		return -ENOENT;
	for (;;) {
		struct fake_map *m = fake_find(s, at, 1);
		uint64_t p, end;

		if (!m || !s->hwpts[k].tracking)
			return 0;
		end = m->iova + (m->len - 1);
		for (p = at & ~(entry - 1);; p += entry) {
			uint64_t q = p < m->iova ? m->iova : p;
			bool hit = m->dirty[k][(q - m->iova) / 4096];

			for (; q <= end && q - p < entry; q += 4096) {
				m->dirty[k][(q - m->iova) / 4096] = 0;
				if (hit && q >= g->iova &&
				    (q - g->iova) / g->page_size < bits)
					set_bit(bitmap,
						(q - g->iova) / g->page_size);
				if (end - q < 4096)
					break;
			}
			if (p + (entry - 1) >= last || p + (entry - 1) >= end)
				break;
		}
		if (end >= last)
			return 0;
		at = end + 1;
	}
}

static long iommufd_ioctl(struct fake_file *f, unsigned long request, void *arg)
{
	struct fake_space *s = f->space;
	struct iommu_ioas_map *map = arg;
	struct iommu_ioas_unmap *unmap = arg;
	struct iommu_hwpt_alloc *alloc = arg;
	struct iommu_hwpt_set_dirty_tracking *set = arg;
	unsigned int i;
	size_t n;

	switch (request) {
	case IOMMU_IOAS_ALLOC:
		s->ioas = true;
		((struct iommu_ioas_alloc *)arg)->out_ioas_id = FAKE_IOAS;
		return 0;
	case IOMMU_OPTION:
		s->huge = ((struct iommu_option *)arg)->val64;
		return 0;
	case IOMMU_IOAS_MAP:
		if (map->iova + (map->length - 1) < map->iova)
			return -EOVERFLOW;
		return add_map(s, map->iova, map->length, map->user_va,
			       !(map->flags & IOMMU_IOAS_MAP_WRITEABLE));
	case IOMMU_IOAS_UNMAP:
		unmap->length = remove_maps(s, unmap->iova, unmap->length);
		return unmap->length ? 0 : -ENOENT;
	case IOMMU_GET_HW_INFO:
		i = ((struct iommu_hw_info *)arg)->dev_id - 20;
		((struct iommu_hw_info *)arg)->out_capabilities =
			i < 2 && fake.no_dirty_bits[i]
				? 0
				: IOMMU_HW_CAP_DIRTY_TRACKING;
		return 0;
	case IOMMU_HWPT_ALLOC:
		for (i = 0; i < FAKE_MAX_HWPTS && s->hwpts[i].exists; i++)
			;
		if (i == FAKE_MAX_HWPTS)
			return -ENOSPC;
		s->hwpts[i] = (struct fake_hwpt){
			.exists = true,
			.iommu = fake.other_iommu ? alloc->dev_id - 20 : 0,
		};
		alloc->out_hwpt_id = FAKE_HWPT(i);
		return 0;
	case IOMMU_DESTROY:
		i = ((struct iommu_destroy *)arg)->id - 10;
		if (i >= FAKE_MAX_HWPTS || !s->hwpts[i].exists)
			return -ENOENT;
		s->hwpts[i].exists = false;
		return 0;
	case IOMMU_HWPT_SET_DIRTY_TRACKING:
		i = set->hwpt_id - 10;
		if (i >= FAKE_MAX_HWPTS || !s->hwpts[i].exists)
			return -ENOENT;
		s->hwpts[i].tracking = set->flags;
		for (n = 0; set->flags && n < s->nr_maps; n++)
			memset(s->maps[n].dirty[i], 0, s->maps[n].len / 4096);
		return 0;
	case IOMMU_HWPT_GET_DIRTY_BITMAP:
		return get_dirty(s, arg);
	}
	return -ENOTTY;
}

/* Whole mappings only; whole words overwritten; stale bits behind the end. */
static long get_bitmap(struct fake_space *s, const void *data)
{
	struct vfio_iommu_type1_dirty_bitmap_get g;
	uint64_t n, words, *out;
	struct fake_map *m;

	memcpy(&g, data, sizeof(g));
	m = fake_find(s, g.iova, g.size);
	if (!s->tracking || g.bitmap.pgsize != 4096 || !m ||
	    m->iova != g.iova || m->len != g.size)
		return -EINVAL;
	words = (g.size / 4096 + 63) / 64;
	if (g.bitmap.size < words * 8 || g.bitmap.size > 256u << 20)
		return -EINVAL;
	out = (uint64_t *)(void *)g.bitmap.data;
	memset(out, 0, words * 8);
	for (n = 0; n < words * 64; n++)
		if (n >= g.size / 4096 || fake.no_scope || m->dirty[0][n])
			out[n / 64] |= UINT64_C(1) << (n % 64);
	memset(m->dirty[0], 0, m->len / 4096);
	return 0;
}

static long get_info(struct vfio_iommu_type1_info *info)
{
	struct vfio_iommu_type1_info_cap_migration cap = {
		.header = { .id = VFIO_IOMMU_TYPE1_INFO_CAP_MIGRATION,
			    .version = 1 },
		.pgsize_bitmap = 4096,
		.max_dirty_bitmap_size = 256u << 20,
	};

	info->flags = VFIO_IOMMU_INFO_PGSIZES | VFIO_IOMMU_INFO_CAPS;
	info->iova_pgsizes = 0x40201000;
	info->cap_offset = sizeof(*info);
	memcpy(info + 1, &cap, sizeof(cap));
	return 0;
}

static long dirty_pages(struct fake_space *s,
			const struct vfio_iommu_type1_dirty_bitmap *d)
{
	size_t i;

	switch (d->flags) {
	case VFIO_IOMMU_DIRTY_PAGES_FLAG_START:
		for (i = 0; i < s->nr_maps; i++)
			memset(s->maps[i].dirty[0], 0, s->maps[i].len / 4096);
		s->tracking = true;
		return 0;
	case VFIO_IOMMU_DIRTY_PAGES_FLAG_STOP:
		s->tracking = false;
		return 0;
	case VFIO_IOMMU_DIRTY_PAGES_FLAG_GET_BITMAP:
		return get_bitmap(s, d->data);
	}
	return -EINVAL;
}

static long container_ioctl(struct fake_file *f, unsigned long request,
			    void *arg)
{
	struct fake_space *s = f->space;
	struct vfio_iommu_type1_dma_map *map = arg;
	struct vfio_iommu_type1_dma_unmap *unmap = arg;

	switch (request) {
	case VFIO_GET_API_VERSION:
		return 0;
	case VFIO_CHECK_EXTENSION:
		return (uintptr_t)arg == VFIO_TYPE1v2_IOMMU;
	case VFIO_SET_IOMMU:
		if (!s->groups || s->typed)
			return -EINVAL;
		s->typed = true;
		return 0;
	}
	if (!s->typed)
		return -EINVAL;
	switch (request) {
	case VFIO_IOMMU_MAP_DMA:
		return add_map(s, map->iova, map->size, map->vaddr,
			       !(map->flags & VFIO_DMA_MAP_FLAG_WRITE));
	case VFIO_IOMMU_UNMAP_DMA:
		unmap->size = remove_maps(s, unmap->iova, unmap->size);
		return 0;
	case VFIO_IOMMU_GET_INFO:
		return get_info(arg);
	case VFIO_IOMMU_DIRTY_PAGES:
		return dirty_pages(s, arg);
	}
	return -ENOTTY;
}

static void leave_container(struct fake_file *f)
{
	struct fake_space *s = f->space;

	if (--s->groups == 0) {
		s->typed = s->tracking = false;
		while (s->nr_maps)
			drop_map(s, 0);
	}
	fake_put(s);
	f->space = NULL;
}

static long group_ioctl(struct fake_file *f, unsigned long request, void *arg)
{
	struct fake_device *d = &fake_devices[f->index];
	struct vfio_group_status *status = arg;
	char name[16];
	int fd;

	switch (request) {
	case VFIO_GROUP_GET_STATUS:
		status->flags =
			(fake.not_viable ? 0 : VFIO_GROUP_FLAGS_VIABLE) |
			(f->space ? VFIO_GROUP_FLAGS_CONTAINER_SET : 0);
		return 0;
	case VFIO_GROUP_SET_CONTAINER:
		f->space = fake_files[*(int *)arg].space;
		f->space->refs++;
		f->space->groups++;
		return 0;
	case VFIO_GROUP_UNSET_CONTAINER:
		if (d->bound)
			return -EBUSY;
		leave_container(f);
		return 0;
	case VFIO_GROUP_GET_DEVICE_FD:
		memcpy(name, "0000:0x:00.0", 13);
		name[6] = (char)('1' + f->index);
		if (!f->space || !f->space->typed)
			return -EINVAL;
		if (strcmp(arg, name) != 0)
			return -ENODEV;
		fd = fake_install(FAKE_DEVICE, f->index);
		fake_files[fd].bound = true;
		d->bound = true;
		fake_attach(d, f->space, NULL);
		return fd;
	}
	return -ENOTTY;
}

static long attach_pt(struct fake_file *f,
		      struct vfio_device_attach_iommufd_pt *at)
{
	struct fake_device *d = &fake_devices[f->index];
	unsigned int i = at->pt_id - 10;

	if (at->pt_id == FAKE_IOAS) {
		fake_attach(d, f->space, NULL);
		at->pt_id = 90;
		return 0;
	}
	if (i >= FAKE_MAX_HWPTS || !f->space->hwpts[i].exists)
		return -ENOENT;
	if ((fake.other_iommu && f->space->hwpts[i].iommu != f->index) ||
	    fake.no_dirty_bits[f->index])
		return -EINVAL;
	fake_attach(d, f->space, &f->space->hwpts[i]);
	return 0;
}

static long device_ioctl(struct fake_file *f, unsigned long request, void *arg)
{
	struct fake_device *d = &fake_devices[f->index];
	struct vfio_device_bind_iommufd *bind = arg;
	struct vfio_device_feature *feature = arg;
	struct vfio_region_info *region = arg;

	if (request == VFIO_DEVICE_BIND_IOMMUFD) {
		if (d->bound)
			return -EINVAL;
		d->bound = f->bound = true;
		f->space = fake_files[bind->iommufd].space;
		bind->out_devid = FAKE_DEVID(f->index);
		return 0;
	}
	if (!f->bound)
		return -EINVAL;
	switch (request) {
	case VFIO_DEVICE_ATTACH_IOMMUFD_PT:
		return attach_pt(f, arg);
	case VFIO_DEVICE_GET_INFO:
		((struct vfio_device_info *)arg)->num_regions = 9;
		((struct vfio_device_info *)arg)->num_irqs = 5;
		((struct vfio_device_info *)arg)->flags =
			VFIO_DEVICE_FLAGS_RESET;
		return 0;
	case VFIO_DEVICE_GET_REGION_INFO:
		region->size = region->index ? 0 : 4096;
		region->flags = region->index
					? 0
					: VFIO_REGION_INFO_FLAG_READ |
						  VFIO_REGION_INFO_FLAG_WRITE |
						  VFIO_REGION_INFO_FLAG_MMAP;
		return 0;
	}
	if (request >= FAKE_FEATURE(0))
		return fake_log_feature(d, feature->flags, feature->data);
	return -ENOTTY;
}

long fake_ioctl(struct fake_file *f, unsigned long request, void *arg)
{
	switch (f->kind) {
	case FAKE_IOMMUFD:
		return iommufd_ioctl(f, request, arg);
	case FAKE_CONTAINER:
		return container_ioctl(f, request, arg);
	case FAKE_GROUP:
		return group_ioctl(f, request, arg);
	case FAKE_CDEV:
	case FAKE_DEVICE:
		return device_ioctl(f, request, arg);
	case FAKE_NONE:
		break;
	}
	return -EBADF;
}
