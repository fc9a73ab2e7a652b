/* SPDX-License-Identifier: MIT */
/*
 * Stands for the kernel's header of the same name, and for its mock domain:
 * a mock device is one of softvfio's, bound and attached, so what the program
 * then asks of iommufd is answered by softvfio.  The ids come in the kernel's
 * order: the "selftest device" is a placeholder, an IOAS that nobody uses.
 *
 * What cannot be had here (pages of 2 KiB, an aperture from 16M to 2G,
 * reserved ranges, looking into the page table) is the mock's own.
 *
 * Included once, by oracle_iommu.c, after everything that declares ioctl().
 */
#ifndef ORACLE_IOMMUFD_TEST_H
#define ORACLE_IOMMUFD_TEST_H

#define MOCK_APERTURE_START (16u << 20)

enum {
	IOMMU_TEST_OP_ADD_RESERVED,
	IOMMU_TEST_OP_DIRTY,
	IOMMU_TEST_OP_MD_CHECK_MAP,
	IOMMU_TEST_OP_MD_CHECK_REFS,
	IOMMU_TEST_OP_MOCK_DOMAIN_FLAGS,
	IOMMU_TEST_OP_MOCK_DOMAIN_REPLACE,
};

#define IOMMU_TEST_CMD _IO(';', 0xa0)

struct iommu_test_cmd {
	__u32 size, op, id, pad;
	union {
		struct {
			__u32 dev_flags, out_stdev_id, out_idev_id, out_hwpt_id;
		} mock_domain_flags;
		struct {
			__u32 pt_id;
		} mock_domain_replace;
		struct {
			__u64 start, length;
		} add_reserved;
		struct {
			__u64 iova, length, page_size, uptr, out_nr_dirty;
		} dirty;
		struct {
			__u64 iova, length, uptr;
		} check_map;
		struct {
			__u64 length, uptr;
			__u32 refs;
		} check_refs;
	};
};

/* softvfio.h's; absent where the program runs without it. */
extern int softvfio_dma_write(const char *device, uint64_t iova,
			      const void *buf, size_t len)
	__attribute__((weak));

#define MOCK_NR_DEVICES 4
#define MOCK_NO_DIRTY	3 /* the last device's IOMMU has no dirty bits */

static struct {
	__u32 stdev, hwpt; /* 0: free */
	int fd;
} mock[MOCK_NR_DEVICES];

static int mock_find(__u32 stdev)
{
	for (int i = 0; i < MOCK_NR_DEVICES; i++)
		if (stdev && mock[i].stdev == stdev)
			return i;
	errno = ENOENT;
	return -1;
}

static int mock_attach(int i, __u32 *pt_id)
{
	struct vfio_device_attach_iommufd_pt at = { .argsz = 12,
						    .pt_id = *pt_id };

	if (ioctl(mock[i].fd, VFIO_DEVICE_ATTACH_IOMMUFD_PT, &at))
		return -1;
	*pt_id = mock[i].hwpt = at.pt_id;
	return 0;
}

static int mock_new(int iommufd, struct iommu_test_cmd *c)
{
	struct vfio_device_bind_iommufd bind = { .argsz = sizeof(bind),
						 .iommufd = iommufd };
	struct iommu_ioas_alloc place = { .size = sizeof(place) };
	struct iommu_destroy undo = { .size = sizeof(undo) };
	int i = c->mock_domain_flags.dev_flags & 1 ? MOCK_NO_DIRTY : 0;
	char path[64];
	int saved;

	if (c->mock_domain_flags.dev_flags & ~3u) {
		errno = EOPNOTSUPP;
		return -1;
	}
	while (mock[i].stdev)
		i++;
	if (ioctl(iommufd, IOMMU_IOAS_ALLOC, &place))
		return -1;
	snprintf(path, sizeof(path), "/dev/vfio/devices/vfio%d", i);
	mock[i].fd = open(path, O_RDWR);
	c->mock_domain_flags.out_hwpt_id = c->id;
	if (ioctl(mock[i].fd, VFIO_DEVICE_BIND_IOMMUFD, &bind) ||
	    mock_attach(i, &c->mock_domain_flags.out_hwpt_id)) {
		saved = errno;
		close(mock[i].fd);
		undo.id = place.out_ioas_id;
		ioctl(iommufd, IOMMU_DESTROY, &undo);
		errno = saved;
		return -1;
	}
	/* Memory and bus master, or it writes nothing. */
	pwrite(mock[i].fd, "\6", 1,
	       ((off_t)VFIO_PCI_CONFIG_REGION_INDEX << 40) + 4);
	mock[i].stdev = place.out_ioas_id;
	c->mock_domain_flags.out_stdev_id = mock[i].stdev;
	c->mock_domain_flags.out_idev_id = bind.out_devid;
	return 0;
}

/* A page whose bit is set is written by the device that has the page table. */
static int mock_write(struct iommu_test_cmd *c)
{
	const unsigned char *bits = (const void *)(uintptr_t)c->dirty.uptr;
	__u64 nr = c->dirty.length / c->dirty.page_size;
	char name[8];
	int i = 0;

	while (i < MOCK_NR_DEVICES && !(mock[i].stdev && mock[i].hwpt == c->id))
		i++;
	if (i == MOCK_NR_DEVICES || !softvfio_dma_write) {
		errno = ENOENT;
		return -1;
	}
	snprintf(name, sizeof(name), "d%d", i);
	for (__u64 bit = 0; bit < nr; bit++)
		if (bits[bit / 8] >> (bit % 8) & 1 &&
		    !softvfio_dma_write(
			    name, c->dirty.iova + bit * c->dirty.page_size, "",
			    1))
			c->dirty.out_nr_dirty++;
	return 0;
}

static int mock_test(int iommufd, struct iommu_test_cmd *c)
{
	int i;

	switch (c->op) {
	case IOMMU_TEST_OP_MOCK_DOMAIN_FLAGS:
		return mock_new(iommufd, c);
	case IOMMU_TEST_OP_MOCK_DOMAIN_REPLACE:
		i = mock_find(c->id);
		return i < 0 ? -1
			     : mock_attach(i, &c->mock_domain_replace.pt_id);
	case IOMMU_TEST_OP_DIRTY:
		return mock_write(c);
	default:
		return 0;
	}
}

/* The program's page of arguments: what else it passes may be no memory. */
#define MOCK_ARGUMENTS ((void *)0x100080000000)

static int mock_ioctl(int fd, unsigned long request, ...)
{
	struct iommu_destroy *d;
	va_list ap;
	void *arg;
	int i;

	va_start(ap, request);
	d = arg = va_arg(ap, void *);
	va_end(ap);

	if (request == IOMMU_TEST_CMD)
		return mock_test(fd, arg);
	i = request == IOMMU_DESTROY && arg == MOCK_ARGUMENTS ? mock_find(d->id)
							      : -1;
	if (i >= 0) {
		close(mock[i].fd);
		mock[i].stdev = 0;
	}
	return ioctl(fd, request, arg);
}

#define ioctl(...) mock_ioctl(__VA_ARGS__)

#endif /* ORACLE_IOMMUFD_TEST_H */
