// SPDX-License-Identifier: GPL-2.0-only
/*
 * vfio-edu: a VFIO variant driver for QEMU's edu device (1234:11e8).
 *
 * It gives edu what costly hardware has: a log of the pages that its DMA
 * wrote, kept by the driver, which sees every doorbell; and live migration
 * with STOP_COPY, P2P and PRE_COPY. This file holds the device's life.
 */
#include <linux/delay.h>
#include <linux/module.h>
#include <linux/pci.h>
#include <linux/pm_runtime.h>

#include "vfio_edu.h"

static uint migflags = EDU_MIGRATION_FLAGS;
module_param(migflags, uint, 0644);
MODULE_PARM_DESC(migflags, "VFIO_MIGRATION_ flags of devices bound from now on: 1 STOP_COPY, 2 P2P, 4 PRE_COPY; 0: no migration");

static bool logging = true;
module_param(logging, bool, 0644);
MODULE_PARM_DESC(logging, "devices bound from now on log their DMA");

/*
 * Make a step fail, for testing who must survive it: a parameter set to N
 * makes the Nth time from now fail, and counts down to 0.
 */
bool edu_fail(int *countdown)
{
	int left = READ_ONCE(*countdown);

	/* Two at once may count as one: a test takes one step at a time. */
	if (left <= 0)
		return false;
	WRITE_ONCE(*countdown, left - 1);
	return left == 1;
}

/*
 * For the driver's own access to the device: whatever the user has in
 * PCI_COMMAND, the bits in @command are set until edu_hw_end().
 *
 * memory_lock, held for reading, keeps out who would write PCI_COMMAND or
 * reset the device. Others who read or write BAR0 are kept out by hw_lock,
 * and would not profit from the memory enabled here: what counts for them is
 * the user's PCI_COMMAND.
 */
static void edu_command_lend(struct edu_device *edu, u16 command)
{
	struct pci_dev *pdev = edu->core.pdev;

	pci_read_config_word(pdev, PCI_COMMAND, &edu->command);
	edu->command_lent = (edu->command & command) != command;
	if (edu->command_lent)
		pci_write_config_word(pdev, PCI_COMMAND,
				      edu->command | command);
}

static void edu_command_return(struct edu_device *edu)
{
	if (edu->command_lent)
		pci_write_config_word(edu->core.pdev, PCI_COMMAND,
				      edu->command);
	edu->command_lent = false;
}

/* -EIO: the device does not wake up. -ENODEV: it is not open. */
int edu_hw_begin(struct edu_device *edu, u16 command)
{
	struct device *dev = &edu->core.pdev->dev;

	/* Suspending takes memory_lock: so wake the device before it. */
	if (pm_runtime_resume_and_get(dev) < 0)
		return -EIO;
	down_read(&edu->core.memory_lock);
	mutex_lock(&edu->hw_lock);
	if (!edu->bar0) {
		mutex_unlock(&edu->hw_lock);
		up_read(&edu->core.memory_lock);
		pm_runtime_put(dev);
		return -ENODEV;
	}
	edu_command_lend(edu, command);
	return 0;
}

void edu_hw_end(struct edu_device *edu)
{
	edu_command_return(edu);
	mutex_unlock(&edu->hw_lock);
	up_read(&edu->core.memory_lock);
	pm_runtime_put(&edu->core.pdev->dev);
}

static int edu_open(struct vfio_device *vdev)
{
	struct edu_device *edu = edu_from_vfio(vdev);
	struct pci_dev *pdev = edu->core.pdev;
	void __iomem *bar0;
	int ret;

	ret = vfio_pci_core_enable(&edu->core);
	if (ret)
		return ret;

	bar0 = pci_iomap(pdev, 0, 0);
	if (!bar0) {
		ret = -ENOMEM;
		goto disable;
	}

	mutex_lock(&edu->hw_lock);
	edu->bar0 = bar0;
	edu_command_lend(edu, PCI_COMMAND_MEMORY);
	if ((readl(bar0 + EDU_REG_ID) & EDU_ID_MASK) != EDU_ID) {
		pci_err(pdev, "no edu device answers at BAR 0\n");
		ret = -ENODEV;
	} else {
		/* Whoever had it before may have left a DMA behind. */
		ret = edu_dma_wait_idle(edu);
	}
	if (!ret)
		edu_image_reset(edu);
	else
		edu->bar0 = NULL;
	edu->life++;
	edu_command_return(edu);
	mutex_unlock(&edu->hw_lock);
	if (ret)
		goto unmap;

	edu_migration_open(edu);
	vfio_pci_core_finish_enable(&edu->core);
	/*
	 * After finish_enable(), which looks for itself what can be mapped: a
	 * doorbell rung through a mapping would pass the log by. It also means
	 * that no peer's DMA can reach this device.
	 */
	edu->core.bar_mmap_supported[VFIO_PCI_BAR0_REGION_INDEX] = false;
	return 0;

unmap:
	pci_iounmap(pdev, bar0);
disable:
	vfio_pci_core_disable(&edu->core);
	return ret;
}

static void edu_close(struct vfio_device *vdev)
{
	struct edu_device *edu = edu_from_vfio(vdev);
	void __iomem *bar0;

	/* Waits for data files in the middle of a read; later ones see it. */
	down_write(&edu->open_sem);
	/* Memory is unmapped and given back next: no DMA may be under way. */
	if (!edu_hw_begin(edu, PCI_COMMAND_MEMORY)) {
		edu_dma_gate(edu, EDU_GATE_SHUT);
		edu->life++;
		edu_hw_end(edu);
	}
	mutex_lock(&edu->hw_lock);
	bar0 = edu->bar0;
	edu->bar0 = NULL;
	mutex_unlock(&edu->hw_lock);
	up_write(&edu->open_sem);

	edu_migration_close(edu);
	edu_log_ops.log_stop(vdev);
	if (bar0)
		pci_iounmap(edu->core.pdev, bar0);
	vfio_pci_core_close_device(vdev);
}

/*
 * Before a reset. edu forgets nothing and finishes what it began, even
 * across a reset of its bus: so wait for a DMA under way, and log what it
 * wrote. VFIO's callers hold memory_lock for writing, sysfs' do not: hw_lock
 * is all that is taken here, and keeps doorbells out in both cases.
 */
static void edu_reset_prepare(struct pci_dev *pdev)
{
	struct edu_device *edu = container_of(dev_get_drvdata(&pdev->dev),
					      struct edu_device, core);

	mutex_lock(&edu->hw_lock);
	if (edu->bar0) {
		edu_command_lend(edu, PCI_COMMAND_MEMORY);
		edu_dma_gate(edu, EDU_GATE_SHUT);
		edu_command_return(edu);
	}
	mutex_unlock(&edu->hw_lock);
}

static void edu_reset_done(struct pci_dev *pdev)
{
	struct edu_device *edu = container_of(dev_get_drvdata(&pdev->dev),
					      struct edu_device, core);
	bool open;

	mutex_lock(&edu->hw_lock);
	open = edu->bar0;
	if (open) {
		edu_command_lend(edu, PCI_COMMAND_MEMORY);
		edu_image_reset(edu);
		edu_command_return(edu);
		/* Data files end here, without a lock that a reader holds. */
		edu->life++;
	}
	mutex_unlock(&edu->hw_lock);
	if (open)
		edu_migration_reset_done(edu);
}

static int __maybe_unused edu_attach_ioas(struct vfio_device *vdev, u32 *pt_id)
{
	struct edu_device *edu = edu_from_vfio(vdev);
	int ret;

	/* Not while the engine is borrowed: it has a page in the old one. */
	mutex_lock(&edu->domain_lock);
	ret = vfio_iommufd_physical_attach_ioas(vdev, pt_id);
	mutex_unlock(&edu->domain_lock);
	return ret;
}

static void __maybe_unused edu_detach_ioas(struct vfio_device *vdev)
{
	struct edu_device *edu = edu_from_vfio(vdev);

	mutex_lock(&edu->domain_lock);
	vfio_iommufd_physical_detach_ioas(vdev);
	mutex_unlock(&edu->domain_lock);
}

static int edu_init(struct vfio_device *vdev)
{
	struct edu_device *edu = edu_from_vfio(vdev);
	uint flags = READ_ONCE(migflags);
	int ret;

	if (flags & ~EDU_MIGRATION_FLAGS ||
	    (flags && !(flags & VFIO_MIGRATION_STOP_COPY))) {
		dev_err(vdev->dev, "migflags=%u: not offered by this kernel\n",
			flags);
		return -EINVAL;
	}
	ret = vfio_pci_core_init_dev(vdev);
	if (ret)
		return ret;

	init_rwsem(&edu->open_sem);
	mutex_init(&edu->hw_lock);
	mutex_init(&edu->domain_lock);
	edu_log_init(&edu->log);
	edu_migration_init(edu);
	if (flags) {
		vdev->migration_flags = flags;
		vdev->mig_ops = &edu_migration_ops;
	}
	if (READ_ONCE(logging))
		vdev->log_ops = &edu_log_ops;
	return 0;
}

static void edu_release(struct vfio_device *vdev)
{
	struct edu_device *edu = edu_from_vfio(vdev);

	edu_log_fini(&edu->log);
	mutex_destroy(&edu->state_mutex);
	mutex_destroy(&edu->domain_lock);
	mutex_destroy(&edu->hw_lock);
	vfio_pci_core_release_dev(vdev);
}

static const struct vfio_device_ops edu_ops = {
	.name = "vfio-edu",
	.init = edu_init,
	.release = edu_release,
	.open_device = edu_open,
	.close_device = edu_close,
	.read = edu_read,
	.write = edu_write,
	.ioctl = edu_ioctl,
	.device_feature = vfio_pci_core_ioctl_feature,
	.mmap = vfio_pci_core_mmap,
	.request = vfio_pci_core_request,
	.match = vfio_pci_core_match,
	EDU_TOKEN_OP
	EDU_REGION_OP
	EDU_IOMMUFD_OPS(edu_attach_ioas, edu_detach_ioas)
};

static int edu_probe(struct pci_dev *pdev, const struct pci_device_id *id)
{
	struct edu_device *edu;
	int ret;

	edu = vfio_alloc_device(edu_device, core.vdev, &pdev->dev, &edu_ops);
	if (IS_ERR(edu))
		return PTR_ERR(edu);

	dev_set_drvdata(&pdev->dev, &edu->core);
	ret = vfio_pci_core_register_device(&edu->core);
	if (ret)
		vfio_put_device(&edu->core.vdev);
	return ret;
}

static void edu_remove(struct pci_dev *pdev)
{
	struct edu_device *edu = container_of(dev_get_drvdata(&pdev->dev),
					      struct edu_device, core);

	vfio_pci_core_unregister_device(&edu->core);
	vfio_put_device(&edu->core.vdev);
}

#define EDU_STAT(name)							\
static ssize_t name##_show(struct device *dev,				\
			   struct device_attribute *attr, char *buf)	\
{									\
	struct edu_device *edu = container_of(dev_get_drvdata(dev),	\
					      struct edu_device, core);	\
									\
	return sysfs_emit(buf, "%llu\n", READ_ONCE(edu->stats.name));	\
}									\
static DEVICE_ATTR_RO(name)

EDU_STAT(dma_writes);
EDU_STAT(dma_reads);
EDU_STAT(marks);
EDU_STAT(reports);
EDU_STAT(granules_reported);
EDU_STAT(refused);
EDU_STAT(strays);
EDU_STAT(held);

static struct attribute *edu_stats_attrs[] = {
	&dev_attr_dma_writes.attr,
	&dev_attr_dma_reads.attr,
	&dev_attr_marks.attr,
	&dev_attr_reports.attr,
	&dev_attr_granules_reported.attr,
	&dev_attr_refused.attr,
	&dev_attr_strays.attr,
	&dev_attr_held.attr,
	NULL
};

static const struct attribute_group edu_stats_group = {
	.name = "edu",
	.attrs = edu_stats_attrs,
};

static const struct attribute_group *edu_groups[] = {
	&edu_stats_group,
	NULL
};

static const struct pci_device_id edu_table[] = {
	{ PCI_DRIVER_OVERRIDE_DEVICE_VFIO(0x1234, 0x11e8) },
	{}
};
MODULE_DEVICE_TABLE(pci, edu_table);

static const struct pci_error_handlers edu_err_handlers = {
	.reset_prepare = edu_reset_prepare,
	.reset_done = edu_reset_done,
	.error_detected = vfio_pci_core_aer_err_detected,
};

static struct pci_driver edu_driver = {
	.name = "vfio-edu",
	.id_table = edu_table,
	.probe = edu_probe,
	.remove = edu_remove,
	.err_handler = &edu_err_handlers,
	.driver_managed_dma = true,
	.dev_groups = edu_groups,
};
module_pci_driver(edu_driver);

EDU_IMPORT_IOMMUFD;
MODULE_LICENSE("GPL");
MODULE_AUTHOR("The spoor authors");
MODULE_DESCRIPTION("VFIO variant driver for QEMU's edu device: DMA logging and migration");
