/* SPDX-License-Identifier: MIT */
/* A real device through libspoor: found, opened, read, reset, interrupting. */
#include <poll.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include "rig.h"

#define MSI 1u

static void device_is_found_as_sysfs_has_it(struct rig_device *r, bool cdev)
{
	struct spoor_device_info info;

	spoor_device_get_info(r->dev, &info);
	CHECK(!strcmp(info.address, EDU0));
	CHECK(info.group >= 0);
	CHECK(info.attached && !info.noiommu);
	/* 6.12 shows its cdev whichever way it is opened. */
	if (cdev)
		CHECK(!strncmp(info.cdev, "/dev/vfio/devices/vfio", 22));
	CHECK(info.nr_regions >= 8 && info.nr_irqs >= 5);
}

static void regions_answer(struct rig_device *r)
{
	struct spoor_device_region region;
	uint32_t id;

	OK(spoor_device_region(r->dev, 0, &region));
	CHECK(region.size == 1u << 20);
	CHECK(region.read && region.write);
	OK(spoor_device_region(r->dev, 1, &region));
	CHECK(!region.size);
	FAILS(spoor_device_region(r->dev, 1000, &region), EINVAL);
	OK(spoor_device_region_read(r->dev, 7, 0, &id, 4));
	CHECK(id == 0x11e81234);
	CHECK(edu_read(r->dev, EDU_ID) == 0x010000ed);
	edu_write(r->dev, EDU_LIVENESS, 0x12345678);
	CHECK(edu_read(r->dev, EDU_LIVENESS) == ~0x12345678u);
	/* All or nothing: past the end there is nothing. */
	CHECK(spoor_device_region_read(r->dev, 0, (1u << 20) - 2, &id, 4) < 0);
	CHECK(spoor_device_region_read(r->dev, 0, 1u << 20, &id, 4) < 0);
}

static void interrupts_arrive_until_taken_away(struct rig_device *r)
{
	int fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
	struct pollfd p = { .fd = fd, .events = POLLIN };
	uint64_t nr;

	CHECK(fd >= 0);
	FAILS(spoor_device_set_irq(r->dev, MSI, 99, fd), EINVAL);
	OK(spoor_device_set_irq(r->dev, MSI, 0, fd));
	edu_write(r->dev, EDU_RAISE, 1);
	CHECK(poll(&p, 1, 5000) == 1);
	CHECK(read(fd, &nr, 8) == 8 && nr == 1);
	edu_write(r->dev, EDU_ACK, 1);
	OK(spoor_device_set_irq(r->dev, MSI, 0, -1));
	edu_write(r->dev, EDU_RAISE, 1);
	CHECK(poll(&p, 1, 100) == 0);
	edu_write(r->dev, EDU_ACK, 1);
	close(fd);
}

static void reset_leaves_it_usable(struct rig_device *r)
{
	struct spoor_device_info info;

	spoor_device_get_info(r->dev, &info);
	CHECK(info.can_reset);
	OK(spoor_device_reset(r->dev));
	rig_enable(r->dev);
	CHECK(edu_read(r->dev, EDU_ID) == 0x010000ed);
}

static void others_are_refused(enum spoor_space_backend backend)
{
	const struct spoor_space_opts opts = { .size = sizeof(opts),
					       .backend = backend };
	struct spoor_space *space;
	struct spoor_device *dev = NULL;

	OK(spoor_space_open(&space, "second", &opts));
	OK(spoor_device_open(&dev, EDU0, NULL));
	CHECK(spoor_space_attach(space, dev) < 0);
	dev = spoor_device_free(dev);
	space = spoor_space_free(space);
	FAILS(spoor_device_open(&dev, "0000:00:1e.7", NULL), ENODEV);
	FAILS(spoor_device_open(&dev, "edu", NULL), EINVAL);
}

int main(int argc, char **argv)
{
	enum spoor_space_backend backend = rig_backend(argc, argv);
	struct rig_device r;

	for (int turn = 0; turn < 2; turn++) {
		rig_up(&r, backend, EDU0);
		device_is_found_as_sysfs_has_it(&r,
						backend == SPOOR_SPACE_IOMMUFD);
		regions_answer(&r);
		interrupts_arrive_until_taken_away(&r);
		reset_leaves_it_usable(&r);
		others_are_refused(backend);
		rig_down(&r);
	}
	return 0;
}
