/* SPDX-License-Identifier: MIT */
/* Spaces and discovery on the fake kernel: who goes where, and what a failure
 * leaves behind, which is nothing. */
#include "backend_cases.h"

#include <errno.h>
#include <sys/mman.h>

#include <spoor/error.h>
#include <spoor/memory.h>

#include "base/uapi_iommufd.h"
#include "base/uapi_vfio.h"
#include "device/device_priv.h"
#include "fake_kernel.h"
#include "fake_priv.h"
#include "iommu/space_priv.h"

#define PAGE 4096u

static char mem[16 * PAGE] __attribute__((aligned(4096)));
static struct spoor_device *dev[2];

static int up(void **state)
{
	(void)state;
	fake_kernel_up();
	assert_int_equal(spoor_device_open(&dev[0], fake_sysfs(0), NULL), 0);
	assert_int_equal(spoor_device_open(&dev[1], fake_sysfs(1), NULL), 0);
	return 0;
}

static int down(void **state)
{
	(void)state;
	dev[0] = spoor_device_free(dev[0]);
	dev[1] = spoor_device_free(dev[1]);
	assert_int_equal(fake_kernel_down(), 0);
	return 0;
}

static struct spoor_space *open_space(enum spoor_space_backend backend)
{
	struct spoor_space_opts opts = { .size = sizeof(opts),
					 .backend = backend,
					 .dirty_tracking = true,
					 .iommu_page = 4096 };
	struct spoor_space *s = NULL;

	assert_int_equal(spoor_space_open(&s, "main", &opts), 0);
	return s;
}

static void discovery_tells_address_cdev_and_group(void **state)
{
	struct spoor_device_info info;

	(void)state;
	spoor_device_get_info(dev[1], &info);
	assert_string_equal(info.name, "0000:02:00.0");
	assert_string_equal(info.address, "0000:02:00.0");
	assert_string_equal(info.cdev, "/dev/vfio/devices/vfio1");
	assert_int_equal(info.group, 1);
	assert_false(info.attached);
	assert_false(info.noiommu);
}

static void what_is_no_device_is_refused(void **state)
{
	static const struct {
		const char *spec;
		int err;
	} bad[] = {
		{ "", -EINVAL },
		{ "nic0", -EINVAL },
		{ "03:00.0", -EINVAL },
		{ "0000:03:00.8", -EINVAL },
		{ "0000:03:00.0x", -EINVAL },
		{ "ffff:ff:1f.7", -ENODEV },
		{ "/dev/vfio/devices/null", -EINVAL },
		{ "/dev/vfio/devices/vfio", -EINVAL },
		{ "/dev/vfio/devices/vfio99", -ENODEV },
		{ "/nowhere", -ENODEV },
		{ "/etc/passwd", -EINVAL },
		{ "/", -EINVAL },
		{ "/proc", -ENODEV },
	};
	struct spoor_device *d = (void *)1;
	size_t i;

	(void)state;
	for (i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
		assert_int_equal(spoor_device_open(&d, bad[i].spec, NULL),
				 bad[i].err);
		assert_ptr_equal(d, (void *)1);
		assert_int_not_equal(strlen(spoor_errmsg()), 0);
	}
}

static void devices_share_a_page_table_where_it_suits_both(void **state)
{
	struct spoor_space *s = open_space(SPOOR_SPACE_IOMMUFD);

	(void)state;
	assert_int_equal(spoor_space_attach(s, dev[0]), 0);
	assert_int_equal(spoor_space_attach(s, dev[1]), 0);
	assert_int_equal(dev[0]->pt_id, dev[1]->pt_id);
	assert_int_equal(s->nr_hwpts, 1);
	assert_int_equal(spoor_space_attach(s, dev[0]), -EBUSY);
	assert_int_equal(fake_calls(IOMMU_OPTION), 1);
	dev[0] = spoor_device_free(dev[0]);
	dev[1] = spoor_device_free(dev[1]);
	spoor_space_free(s);
}

static void another_iommu_gets_a_page_table_of_its_own(void **state)
{
	struct spoor_space *s = open_space(SPOOR_SPACE_IOMMUFD);

	(void)state;
	fake.other_iommu = true;
	assert_int_equal(spoor_space_attach(s, dev[0]), 0);
	assert_int_equal(spoor_space_attach(s, dev[1]), 0);
	assert_int_not_equal(dev[0]->pt_id, dev[1]->pt_id);
	assert_int_equal(s->nr_hwpts, 2);
	dev[0] = spoor_device_free(dev[0]);
	dev[1] = spoor_device_free(dev[1]);
	spoor_space_free(s);
}

static void no_dirty_bits_means_a_plain_page_table_and_says_so(void **state)
{
	struct spoor_space *s = open_space(SPOOR_SPACE_IOMMUFD);
	struct spoor_tracker *t = NULL;

	(void)state;
	fake.no_dirty_bits[0] = true;
	assert_int_equal(spoor_space_attach(s, dev[0]), 0);
	assert_int_equal(s->nr_hwpts, 0);
	assert_int_equal(spoor_tracker_open_iommu(&t, s, dev[0]), -EOPNOTSUPP);
	assert_non_null(strstr(spoor_errmsg(), "dirty bits"));
	/* Promised, then refused: plain all the same. */
	fake_fail(IOMMU_HWPT_ALLOC, 1, EOPNOTSUPP);
	assert_int_equal(spoor_space_attach(s, dev[1]), 0);
	assert_int_equal(s->nr_hwpts, 0);
	dev[0] = spoor_device_free(dev[0]);
	dev[1] = spoor_device_free(dev[1]);
	spoor_space_free(s);
}

/* Fail each call in turn: nothing attached, no descriptor more than before. */
static void sweep(enum spoor_space_backend backend,
		  const unsigned long *requests, size_t nr)
{
	struct spoor_range r = { .iova = 0, .len = PAGE };
	struct spoor_space *s = open_space(backend);
	size_t i;

	assert_int_equal(spoor_space_map(s, &r, mem, 0), 0);
	for (i = 0; i < nr; i++) {
		unsigned int fds = fake_open_fds();

		fake_fail(requests[i], 1, EIO);
		assert_int_equal(spoor_space_attach(s, dev[0]), -EIO);
		assert_int_equal(fake_open_fds(), fds);
		assert_int_equal(dev[0]->fd, -1);
		assert_null(dev[0]->space);
		assert_int_equal(s->nr_devices, 0);
		assert_int_equal(s->nr_hwpts, 0);
		assert_int_equal(s->nr_groups, 0);
		assert_non_null(strstr(spoor_errmsg(), "0000:01:00.0"));
		/* And it can be had again. */
		assert_int_equal(spoor_space_attach(s, dev[0]), 0);
		/* No page table was left behind either: ids are the lowest. */
		if (backend == SPOOR_SPACE_IOMMUFD)
			assert_int_equal(dev[0]->pt_id, FAKE_HWPT(0));
		assert_int_equal(fake_dma(0, 8, "x", 1, false), 0);
		spoor_device_free(dev[0]);
		assert_int_equal(
			spoor_device_open(&dev[0], fake_sysfs(0), NULL), 0);
		spoor_space_free(s);
		s = open_space(backend);
		assert_int_equal(spoor_space_map(s, &r, mem, 0), 0);
	}
	spoor_space_free(s);
}

static void failed_attach_leaves_nothing_iommufd(void **state)
{
	static const unsigned long requests[] = {
		VFIO_DEVICE_BIND_IOMMUFD,
		IOMMU_HWPT_ALLOC,
		VFIO_DEVICE_ATTACH_IOMMUFD_PT,
	};

	(void)state;
	sweep(SPOOR_SPACE_IOMMUFD, requests, 3);
}

static void failed_attach_leaves_nothing_type1(void **state)
{
	static const unsigned long requests[] = {
		VFIO_GROUP_GET_STATUS,
		VFIO_GROUP_SET_CONTAINER,
		VFIO_SET_IOMMU,
		VFIO_GROUP_GET_DEVICE_FD,
	};

	(void)state;
	sweep(SPOOR_SPACE_TYPE1, requests, 4);
}

static void groups_that_cannot_be_had_say_why(void **state)
{
	struct spoor_space *s = open_space(SPOOR_SPACE_TYPE1);
	struct spoor_space *other = open_space(SPOOR_SPACE_TYPE1);

	(void)state;
	fake.not_viable = true;
	assert_int_equal(spoor_space_attach(s, dev[0]), -EPERM);
	assert_non_null(strstr(spoor_errmsg(), "viable"));
	fake.not_viable = false;
	dev[0]->noiommu = true;
	assert_int_equal(spoor_space_attach(s, dev[0]), -EOPNOTSUPP);
	assert_non_null(strstr(spoor_errmsg(), "No-IOMMU"));
	dev[0]->noiommu = false;
	dev[0]->group = -1;
	assert_int_equal(spoor_space_attach(s, dev[0]), -ENODEV);
	dev[0]->group = 0;
	assert_int_equal(spoor_space_attach(s, dev[0]), 0);
	/* The same group for another: in use. */
	dev[1]->group = 0;
	assert_int_equal(spoor_space_attach(other, dev[1]), -EBUSY);
	dev[1]->cdev[0] = '\0';
	dev[0] = spoor_device_free(dev[0]);
	spoor_space_free(s);
	spoor_space_free(other);
	s = open_space(SPOOR_SPACE_IOMMUFD);
	assert_int_equal(spoor_space_attach(s, dev[1]), -ENODEV);
	spoor_space_free(s);
}

/* A container forgets with its last group; the space does not. */
static void type1_mappings_outlive_the_last_group(void **state)
{
	struct spoor_range r = { .iova = 1 << 20, .len = 2 * PAGE };
	struct spoor_space *s = open_space(SPOOR_SPACE_TYPE1);

	(void)state;
	assert_int_equal(spoor_space_map(s, &r, mem, 0), 0);
	assert_int_equal(spoor_space_attach(s, dev[0]), 0);
	assert_int_equal(fake_dma(0, r.iova, "a", 1, false), 0);
	dev[0] = spoor_device_free(dev[0]);
	assert_false(s->iommu_set);
	assert_int_equal(spoor_space_attach(s, dev[1]), 0);
	assert_int_equal(fake_dma(1, r.iova + PAGE, "b", 1, false), 0);
	assert_int_equal(mem[0], 'a');
	assert_int_equal(mem[PAGE], 'b');
	assert_int_equal(spoor_space_unmap(s, &r), 0);
	assert_int_equal(fake_dma(1, r.iova, "c", 1, false), -EFAULT);
	dev[1] = spoor_device_free(dev[1]);
	spoor_space_free(s);
}

static void maps_neither_overlap_nor_are_cut(void **state)
{
	struct spoor_range a = { 0, 4 * PAGE }, b = { 4 * PAGE, 4 * PAGE };
	struct spoor_range mid = { 2 * PAGE, 4 * PAGE };
	struct spoor_range both = { 0, 8 * PAGE }, far = { 1 << 30, PAGE };
	struct spoor_range odd = { 1, PAGE };
	struct spoor_range top = { -(uint64_t)PAGE, 2 * PAGE };
	struct spoor_space *s = open_space(SPOOR_SPACE_IOMMUFD);

	(void)state;
	assert_int_equal(spoor_space_map(s, &b, mem + b.iova, 0), 0);
	assert_int_equal(spoor_space_map(s, &a, mem, SPOOR_REGION_READONLY), 0);
	assert_int_equal(spoor_space_map(s, &mid, mem, 0), -EEXIST);
	assert_int_equal(spoor_space_map(s, &odd, mem, 0), -EINVAL);
	assert_int_equal(spoor_space_map(s, &top, mem, 0), -EINVAL);
	assert_int_equal(spoor_space_map(s, &far, mem, 8), -EINVAL);
	assert_int_equal(spoor_space_unmap(s, &mid), -EINVAL);
	assert_int_equal(spoor_space_unmap(s, &far), -ENOENT);
	assert_int_equal(s->nr_mappings, 2);
	assert_int_equal(spoor_space_attach(s, dev[0]), 0);
	assert_int_equal(fake_dma(0, 0, "x", 1, false), -EFAULT);
	assert_int_equal(fake_dma(0, b.iova, "x", 1, false), 0);
	assert_int_equal(spoor_space_unmap(s, &both), 0);
	assert_int_equal(s->nr_mappings, 0);
	assert_int_equal(spoor_space_unmap(s, &both), -ENOENT);
	dev[0] = spoor_device_free(dev[0]);
	spoor_space_free(s);
}

static void memory_is_mapped_whole_or_not_at_all(void **state)
{
	struct spoor_space *s = open_space(SPOOR_SPACE_IOMMUFD);
	struct spoor_memory *m = NULL;
	size_t i;

	(void)state;
	assert_int_equal(spoor_memory_new(&m), 0);
	for (i = 0; i < 3; i++) {
		struct spoor_region region = {
			.range = { i << 20, PAGE },
			.hva = mem + i * PAGE,
			.fd = -1,
		};

		assert_int_equal(spoor_memory_add(m, &region), 0);
	}
	fake_fail(IOMMU_IOAS_MAP, 3, ENOMEM);
	assert_int_equal(spoor_space_map_memory(s, m), -ENOMEM);
	assert_non_null(strstr(spoor_errmsg(), "IOMMU_IOAS_MAP"));
	assert_int_equal(s->nr_mappings, 0);
	assert_int_equal(fake_calls(IOMMU_IOAS_UNMAP), 2);
	assert_int_equal(spoor_space_map_memory(s, m), 0);
	assert_int_equal(s->nr_mappings, 3);
	spoor_memory_free(m);
	spoor_space_free(s);
}

static void peers_are_reached_blocked_and_forgotten(void **state)
{
	struct spoor_space *s = open_space(SPOOR_SPACE_TYPE1);
	struct spoor_space *t = open_space(SPOOR_SPACE_TYPE1);
	struct spoor_range bar = { .iova = 1 << 30, .len = PAGE };
	struct spoor_space_info info;
	char got[4] = "";

	(void)state;
	assert_int_equal(spoor_space_map_peer(s, dev[1], 0, bar.iova), -ENODEV);
	assert_int_equal(spoor_space_attach(s, dev[0]), 0);
	assert_int_equal(spoor_space_attach(t, dev[1]), 0);
	assert_int_equal(spoor_space_map_peer(s, dev[1], 1, bar.iova),
			 -EOPNOTSUPP);
	assert_int_equal(spoor_space_map_peer(s, dev[1], 0, bar.iova), 0);
	assert_int_equal(spoor_space_map_peer(s, dev[1], 0, bar.iova), -EEXIST);
	assert_int_equal(spoor_space_map(s, &bar, mem, 0), -EEXIST);
	assert_int_equal(fake_dma(0, bar.iova + 8, "hi", 3, false), 0);
	assert_int_equal(spoor_device_region_read(dev[1], 0, 8, got, 3), 0);
	assert_string_equal(got, "hi");
	assert_ptr_equal(spoor_space_reaches_peer(s, dev[0]), dev[1]);
	assert_null(spoor_space_reaches_peer(s, dev[1]));
	assert_null(spoor_space_reaches_peer(t, dev[0]));

	assert_int_equal(spoor_space_block_peer(s, dev[1], true), 0);
	assert_int_equal(spoor_space_block_peer(s, dev[1], true), 0);
	assert_int_equal(spoor_space_block_peer(t, dev[1], true), 0);
	assert_null(spoor_space_reaches_peer(s, dev[0]));
	assert_int_equal(fake_dma(0, bar.iova, "x", 1, false), -EFAULT);
	/* Its place stays its own. */
	assert_int_equal(spoor_space_map(s, &bar, mem, 0), -EEXIST);
	assert_int_equal(spoor_space_block_peer(s, dev[1], false), 0);
	assert_int_equal(fake_dma(0, bar.iova, "x", 1, false), 0);

	/* The peer goes: its BAR goes with it. */
	dev[1] = spoor_device_free(dev[1]);
	assert_int_equal(fake_dma(0, bar.iova, "x", 1, false), -EFAULT);
	spoor_space_get_info(s, &info);
	assert_false(info.p2p);
	assert_int_equal(spoor_space_map(s, &bar, mem, 0), 0);
	dev[0] = spoor_device_free(dev[0]);
	spoor_space_free(s);
	spoor_space_free(t);
}

static void a_space_that_goes_forgets_its_peers(void **state)
{
	struct spoor_space *s = open_space(SPOOR_SPACE_IOMMUFD);
	struct spoor_space *t = open_space(SPOOR_SPACE_IOMMUFD);
	struct spoor_range bar = { .iova = 1 << 30, .len = PAGE };

	(void)state;
	assert_int_equal(spoor_space_attach(t, dev[1]), 0);
	fake_fail(IOMMU_IOAS_MAP, 1, EFAULT);
	assert_int_equal(spoor_space_map_peer(s, dev[1], 0, bar.iova),
			 -EOPNOTSUPP);
	assert_non_null(strstr(spoor_errmsg(), "type1"));
	assert_int_equal(dev[1]->nr_reached_by, 0);
	assert_int_equal(spoor_space_map_peer(s, dev[1], 0, bar.iova), 0);
	assert_int_equal(dev[1]->nr_reached_by, 1);
	assert_int_equal(spoor_space_unmap(s, &bar), 0);
	assert_int_equal(dev[1]->nr_reached_by, 0);
	assert_int_equal(spoor_space_map_peer(s, dev[1], 0, bar.iova), 0);
	spoor_space_free(s);
	assert_int_equal(dev[1]->nr_reached_by, 0);
	dev[1] = spoor_device_free(dev[1]);
	spoor_space_free(t);
}

#define ON(f) cmocka_unit_test_setup_teardown(f, up, down)

int main(void)
{
	const struct CMUnitTest cases[] = {
		ON(discovery_tells_address_cdev_and_group),
		ON(what_is_no_device_is_refused),
		ON(devices_share_a_page_table_where_it_suits_both),
		ON(another_iommu_gets_a_page_table_of_its_own),
		ON(no_dirty_bits_means_a_plain_page_table_and_says_so),
		ON(failed_attach_leaves_nothing_iommufd),
		ON(failed_attach_leaves_nothing_type1),
		ON(groups_that_cannot_be_had_say_why),
		ON(type1_mappings_outlive_the_last_group),
		ON(maps_neither_overlap_nor_are_cut),
		ON(memory_is_mapped_whole_or_not_at_all),
		ON(peers_are_reached_blocked_and_forgotten),
		ON(a_space_that_goes_forgets_its_peers),
	};

	return cmocka_run_group_tests_name("space", cases, NULL, NULL);
}
