/* SPDX-License-Identifier: MIT */
/*
 * Which pages a container reports: scopes, pins and their switches, by way of
 * real devices' registers.
 */
#include "tests/type1/rig.h"

#include <sys/ioctl.h>

#include "base/uapi_vfio.h"
#include "models/mdev_regs.h"
#include "models/nic_regs.h"
#include "softvfio/softvfio.h"

#define START VFIO_IOMMU_DIRTY_PAGES_FLAG_START

static void emulated_group_has_scope_from_its_attach(void **state)
{
	int g, c = typed(MDEV, &g);

	(void)state;
	assert_int_equal(track(c, START), 0);
	assert_int_equal(dirty(c), 0);
	close_all(2, g, c);
}

static void iommu_backed_group_dirties_all_at_every_read(void **state)
{
	int g, c = typed(DSA, &g);

	(void)state;
	assert_int_equal(track(c, START), 0);
	assert_int_equal(dirty(c), UINT64_MAX);
	assert_int_equal(dirty(c), UINT64_MAX);
	close_all(2, g, c);
}

static void leaving_without_scope_dirties_all_once_more(void **state)
{
	int g2, g, c = typed(MDEV, &g);

	(void)state;
	assert_int_equal(track(c, START), 0);
	assert_int_equal(dirty(c), 0);
	g2 = join(c, DSA);
	assert_int_equal(dirty(c), UINT64_MAX);
	assert_int_equal(ioctl(g2, VFIO_GROUP_UNSET_CONTAINER), 0);
	assert_int_equal(dirty(c), UINT64_MAX);
	assert_int_equal(dirty(c), 0);
	close_all(3, g2, g, c);
}

static void iommu_backed_group_gains_scope_at_its_first_pin(void **state)
{
	int g2, dev, g, c = typed(NIC, &g);

	(void)state;
	dev = device(g, NIC);
	assert_int_equal(track(c, START), 0);
	assert_int_equal(dirty(c), UINT64_MAX);
	reg64(dev, NIC_REG_RX_BASE, IOVA + 8 * PAGE);
	reg32(dev, NIC_REG_RX_SLOTS, 4); /* two pages */
	reg64(dev, NIC_REG_TX_BASE, IOVA + 12 * PAGE);
	reg32(dev, NIC_REG_TX_SLOTS, 4);
	reg32(dev, NIC_REG_ENABLE, 1);
	dirty(c); /* what was set before stays until it is read */
	assert_int_equal(dirty(c), BIT(8) | BIT(9));
	assert_int_equal(dirty(c), BIT(8) | BIT(9));
	/* One that has not pinned is enough. */
	g2 = join(c, DSA);
	assert_int_equal(dirty(c), UINT64_MAX);
	close_all(4, g2, dev, g, c);
}

static void ring_of_two_pages(int dev)
{
	reg64(dev, NIC_REG_RX_BASE, IOVA + 8 * PAGE);
	reg32(dev, NIC_REG_RX_SLOTS, 4);
	reg32(dev, NIC_REG_ENABLE, 1);
}

/* The device knows nothing of the unmap, and goes on writing. */
static void pins_lost_with_their_mapping_take_the_scope_along(void **state)
{
	int dev, g, c = typed(NIC, &g);

	(void)state;
	dev = device(g, NIC);
	assert_int_equal(track(c, START), 0);
	ring_of_two_pages(dev);
	dirty(c);
	assert_int_equal(dirty(c), BIT(8) | BIT(9));
	assert_int_equal(unmap(c, IOVA, LEN), 0);
	assert_int_equal(map(c, guest, LEN, IOVA), 0);
	assert_int_equal(softvfio_dma_write("nic", IOVA + 9 * PAGE, "x", 1), 0);
	assert_int_equal(dirty(c), UINT64_MAX);
	assert_int_equal(dirty(c), UINT64_MAX);
	/* It has it back from its next pin on. */
	reg32(dev, NIC_REG_ENABLE, 0);
	assert_int_equal(dirty(c), UINT64_MAX);
	reg32(dev, NIC_REG_ENABLE, 1);
	assert_int_equal(dirty(c), BIT(8) | BIT(9));
	close_all(3, dev, g, c);
}

static void unmapping_what_was_not_pinned_leaves_the_scope(void **state)
{
	int dev, g, c = typed(NIC, &g);

	(void)state;
	dev = device(g, NIC);
	assert_int_equal(map(c, guest, LEN, IOVA + LEN), 0);
	assert_int_equal(track(c, START), 0);
	ring_of_two_pages(dev);
	dirty(c);
	assert_int_equal(unmap(c, IOVA + LEN, LEN), 0);
	assert_int_equal(dirty(c), BIT(8) | BIT(9));
	close_all(3, dev, g, c);
}

/* An unpin of what went with its mapping is not another device's. */
static void late_unpin_leaves_the_pins_of_others(void **state)
{
	int g2, dev2, dev, g, c = typed(NIC, &g);

	(void)state;
	dev = device(g, NIC);
	g2 = join(c, MDEV);
	dev2 = device(g2, MDEV);
	reg64(dev, NIC_REG_RX_BASE, IOVA + 2 * PAGE);
	reg32(dev, NIC_REG_RX_SLOTS, 4);
	reg32(dev, NIC_REG_ENABLE, 1);
	assert_int_equal(unmap(c, IOVA, LEN), 0);
	assert_int_equal(map(c, guest, LEN, IOVA), 0);
	mdev_enable(dev2);
	reg32(dev, NIC_REG_ENABLE, 0);
	reg64(dev, NIC_REG_RX_BASE, IOVA + 8 * PAGE);
	reg32(dev, NIC_REG_ENABLE, 1);
	assert_int_equal(track(c, START), 0);
	assert_int_equal(dirty(c), PIN_READ | PIN_WRITE | BIT(8) | BIT(9));
	close_all(5, dev2, dev, g2, g, c);
}

static void pinned_pages_are_dirty_at_every_read(void **state)
{
	int dev, g, c = typed(MDEV, &g);

	(void)state;
	dev = device(g, MDEV);
	mdev_enable(dev);
	assert_int_equal(track(c, START), 0);
	assert_int_equal(dirty(c), PIN_READ | PIN_WRITE);
	assert_int_equal(dirty(c), PIN_READ | PIN_WRITE);
	reg32(dev, MDEV_REG_ENABLE, 0);
	assert_int_equal(dirty(c), PIN_READ | PIN_WRITE);
	assert_int_equal(dirty(c), 0);
	close_all(3, dev, g, c);
}

static void writes_through_the_driver_are_reported_once(void **state)
{
	int dev, g, c = typed(MDEV, &g);

	(void)state;
	dev = device(g, MDEV);
	assert_int_equal(track(c, START), 0);
	assert_int_equal(softvfio_dma_write("mdev", IOVA + 9 * PAGE, "x", 1),
			 0);
	assert_int_equal(dirty(c), BIT(9));
	assert_int_equal(dirty(c), 0);
	close_all(3, dev, g, c);
}

static void read_pins_stay_clean_if_asked(void **state)
{
	int dev, g, c = typed(MDEV_CLEAN, &g);

	(void)state;
	dev = device(g, MDEV_CLEAN);
	mdev_enable(dev);
	assert_int_equal(track(c, START), 0);
	assert_int_equal(dirty(c), PIN_WRITE);
	reg32(dev, MDEV_REG_ENABLE, 0);
	assert_int_equal(dirty(c), PIN_WRITE);
	assert_int_equal(dirty(c), 0);
	close_all(3, dev, g, c);
}

static void late_pins_are_dirty_when_they_end(void **state)
{
	int dev, g, c = typed(MDEV_LATE, &g);

	(void)state;
	dev = device(g, MDEV_LATE);
	assert_int_equal(track(c, START), 0);
	mdev_enable(dev);
	mdev_operate(dev, 100);
	assert_int_equal(dirty(c), 0);
	reg32(dev, MDEV_REG_ENABLE, 0);
	assert_int_equal(dirty(c), PIN_READ | PIN_WRITE);
	assert_int_equal(dirty(c), 0);
	close_all(3, dev, g, c);
}

static void late_pins_are_dirty_at_reads_of_a_device_not_running(void **state)
{
	int dev, g, c = typed(MDEV_LATE, &g);

	(void)state;
	dev = device(g, MDEV_LATE);
	assert_int_equal(track(c, START), 0);
	mdev_enable(dev);
	assert_int_equal(dirty(c), 0);
	set_state(dev, VFIO_DEVICE_STATE_RUNNING_P2P);
	assert_int_equal(dirty(c), PIN_READ | PIN_WRITE);
	set_state(dev, VFIO_DEVICE_STATE_STOP);
	assert_int_equal(dirty(c), PIN_READ | PIN_WRITE);
	assert_int_equal(dirty(c), PIN_READ | PIN_WRITE);
	close_all(3, dev, g, c);
}

static void late_pins_end_with_the_mapping(void **state)
{
	int dev, g, c = typed(MDEV_LATE, &g);
	uint64_t bits = 0;

	(void)state;
	dev = device(g, MDEV_LATE);
	assert_int_equal(track(c, START), 0);
	mdev_enable(dev);
	assert_int_equal(unmap_bitmap(c, IOVA, LEN, &bits), 0);
	assert_int_equal(bits, PIN_READ | PIN_WRITE);
	close_all(3, dev, g, c);
}

static void mark_once_reports_each_write_once(void **state)
{
	int dev, g, c = typed(MDEV_ONCE, &g);

	(void)state;
	dev = device(g, MDEV_ONCE);
	mdev_enable(dev);
	assert_int_equal(track(c, START), 0);
	assert_int_equal(dirty(c), 0);
	mdev_operate(dev, 200);
	assert_int_equal(dirty(c), BIT(2) | BIT(5));
	assert_int_equal(dirty(c), 0);
	mdev_operate(dev, 201);
	assert_int_equal(dirty(c), BIT(3) | BIT(5));
	close_all(3, dev, g, c);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(emulated_group_has_scope_from_its_attach),
		cmocka_unit_test(iommu_backed_group_dirties_all_at_every_read),
		cmocka_unit_test(leaving_without_scope_dirties_all_once_more),
		cmocka_unit_test(
			iommu_backed_group_gains_scope_at_its_first_pin),
		cmocka_unit_test(
			pins_lost_with_their_mapping_take_the_scope_along),
		cmocka_unit_test(
			unmapping_what_was_not_pinned_leaves_the_scope),
		cmocka_unit_test(late_unpin_leaves_the_pins_of_others),
		cmocka_unit_test(pinned_pages_are_dirty_at_every_read),
		cmocka_unit_test(writes_through_the_driver_are_reported_once),
		cmocka_unit_test(read_pins_stay_clean_if_asked),
		cmocka_unit_test(late_pins_are_dirty_when_they_end),
		cmocka_unit_test(
			late_pins_are_dirty_at_reads_of_a_device_not_running),
		cmocka_unit_test(late_pins_end_with_the_mapping),
		cmocka_unit_test(mark_once_reports_each_write_once),
	};

	return cmocka_run_group_tests(tests, make_guest, free_guest);
}
