/* SPDX-License-Identifier: MIT */
/* iommufd's mock IOMMU; see mock.h. */
#include "mock.h"

#include <sys/ioctl.h>

#define OP_MOCK_DOMAIN_REPLACE 10u
#define OP_MOCK_DOMAIN_FLAGS   12u
#define OP_DIRTY	       13u
#define HALF_PAGE	       2048u

/* Of drivers/iommu/iommufd/iommufd_test.h, Linux 6.12. */
struct test_cmd {
	uint32_t size;
	uint32_t op;
	uint32_t id;
	uint32_t reserved;
	union {
		struct {
			uint32_t out_stdev, out_hwpt, out_idev, flags;
		} domain;
		struct {
			uint32_t pt_id;
		} replace;
		struct {
			uint32_t flags;
			__aligned_u64 iova, length, page_size, uptr, out_nr;
		} dirty;
	};
	uint32_t last;
};

#define IOMMU_TEST_CMD _IO(IOMMUFD_TYPE, 0x80 + 32)

static void test_ioctl(struct mock *m, struct test_cmd *cmd)
{
	cmd->size = sizeof(*cmd);
	CHECK(!ioctl(m->space->fd, IOMMU_TEST_CMD, cmd));
}

void mock_up(struct mock *m, uint32_t flags, uint64_t iommu_page)
{
	const struct spoor_space_opts opts = { .size = sizeof(opts),
					       .backend = SPOOR_SPACE_IOMMUFD,
					       .dirty_tracking = true,
					       .iommu_page = iommu_page };
	struct test_cmd cmd = { .op = OP_MOCK_DOMAIN_FLAGS,
				.domain.flags = flags };
	struct iommu_hwpt_alloc alloc = {
		.size = sizeof(alloc), .flags = IOMMU_HWPT_ALLOC_DIRTY_TRACKING
	};

	OK(spoor_space_open(&m->space, "mock", &opts));
	cmd.id = m->space->ioas_id;
	test_ioctl(m, &cmd);
	m->stdev = cmd.domain.out_stdev;
	m->idev = cmd.domain.out_idev;

	alloc.dev_id = m->idev;
	alloc.pt_id = m->space->ioas_id;
	CHECK(!ioctl(m->space->fd, IOMMU_HWPT_ALLOC, &alloc));
	cmd = (struct test_cmd){ .op = OP_MOCK_DOMAIN_REPLACE,
				 .id = m->stdev,
				 .replace.pt_id = alloc.out_hwpt_id };
	test_ioctl(m, &cmd);

	/* As attaching a VFIO device would leave them. */
	m->space->hwpts = calloc(1, sizeof(*m->space->hwpts));
	CHECK(m->space->hwpts);
	m->space->hwpts[0].id = alloc.out_hwpt_id;
	m->space->nr_hwpts = 1;
	m->dev = (struct spoor_device){ .name = "mock",
					.fd = -1,
					.data_fd = -1,
					.space = m->space,
					.pt_id = alloc.out_hwpt_id };
}

void mock_down(struct mock *m)
{
	m->space = spoor_space_free(m->space);
}

uint64_t mock_dirty(struct mock *m, uint64_t iova)
{
	const uint64_t bit = 1;
	struct test_cmd cmd = { .op = OP_DIRTY,
				.id = m->dev.pt_id,
				.dirty = { .iova = iova & -(uint64_t)HALF_PAGE,
					   .length = HALF_PAGE,
					   .page_size = HALF_PAGE,
					   .uptr = (uintptr_t)&bit } };

	test_ioctl(m, &cmd);
	return cmd.dirty.out_nr;
}
