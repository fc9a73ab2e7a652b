// SPDX-License-Identifier: GPL-2.0-only
/*
 * vfio-edu: BAR0. Every access of the user comes through here, and is one at
 * a time with the driver's own (hw_lock). The DMA registers are the driver's:
 * the user's writes reach the device with the doorbell, so that the engine
 * can be borrowed between two of the user's DMAs without leaving a trace.
 *
 * The command is taken from a copy: were it looked at in user memory and then
 * passed on from there, it could be changed in between, and DMA go unseen.
 */
#include <linux/io.h>
#include <linux/pm_runtime.h>
#include <linux/uaccess.h>

#include "vfio_edu.h"

/* As vfio-pci decides it, which does not export its own. */
static bool edu_memory_enabled(struct edu_device *edu)
{
	u16 command = le16_to_cpu(*(__le16 *)&edu->core.vconfig[PCI_COMMAND]);

	return edu->core.pdev->current_state < PCI_D3hot &&
	       (edu->core.pdev->no_command_memory ||
		command & PCI_COMMAND_MEMORY);
}

static u64 *edu_dma_reg(struct edu_device *edu, u64 offset)
{
	switch (offset) {
	case EDU_REG_DMA_SRC:
		return &edu->regs.src;
	case EDU_REG_DMA_DST:
		return &edu->regs.dst;
	case EDU_REG_DMA_CNT:
		return &edu->regs.cnt;
	case EDU_REG_DMA_CMD:
		return &edu->regs.cmd;
	}
	return NULL;
}

static u64 edu_reg_read(struct edu_device *edu, u64 offset, size_t width)
{
	void __iomem *io = edu->bar0 + offset;
	u64 *reg = edu_dma_reg(edu, offset);

	if (reg && width >= 4) {
		edu_dma_settle(edu);
		return *reg;
	}
	switch (width) {
	case 8:
		return readq(io);
	case 4:
		return readl(io);
	case 2:
		return readw(io);
	default:
		return readb(io);
	}
}

static void edu_reg_write_raw(struct edu_device *edu, u64 offset, size_t width,
			      u64 value)
{
	void __iomem *io = edu->bar0 + offset;

	switch (width) {
	case 8:
		writeq(value, io);
		break;
	case 4:
		writel(value, io);
		break;
	case 2:
		writew(value, io);
		break;
	default:
		writeb(value, io);
	}
}

static void edu_reg_write(struct edu_device *edu, u64 offset, size_t width,
			  u64 value)
{
	u64 *reg = edu_dma_reg(edu, offset);

	/* edu ignores what is narrower than four bytes; none of ours is. */
	if (reg && width >= 4) {
		edu_dma_settle(edu);
		if (offset == EDU_REG_DMA_CMD)
			edu_dma_ring(edu, value);
		else if (!(edu->regs.cmd & EDU_CMD_RUN))
			*reg = value;
		return;
	}

	if (width == 4) {
		switch (offset) {
		case EDU_REG_FACT:
		case EDU_REG_STATUS:
		case EDU_REG_IRQ_RAISE:
		case EDU_REG_IRQ_ACK:
			/* These act, and a stopped device does not. */
			if (edu->gate == EDU_GATE_SHUT) {
				edu->stats.strays++;
				return;
			}
			break;
		}
		if (offset == EDU_REG_FACT) {
			/* edu ignores it while it computes. */
			if (readl(edu->bar0 + EDU_REG_STATUS) &
			    EDU_STATUS_COMPUTING)
				return;
			edu->fact_input = value;
		}
	}
	edu_reg_write_raw(edu, offset, width, value);
}

static int edu_reg_access(struct edu_device *edu, u64 offset, size_t width,
			  u64 *value, bool is_write)
{
	int ret = 0;

	down_read(&edu->core.memory_lock);
	mutex_lock(&edu->hw_lock);
	if (!edu->bar0 || !edu_memory_enabled(edu))
		ret = -EIO;
	else if (is_write)
		edu_reg_write(edu, offset, width, *value);
	else
		*value = edu_reg_read(edu, offset, width);
	mutex_unlock(&edu->hw_lock);
	up_read(&edu->core.memory_lock);
	return ret;
}

/* The widest access that is aligned and fits, as vfio-pci does it. */
static size_t edu_width(u64 offset, size_t left)
{
	size_t width = 8;

	while (width > left || offset % width)
		width /= 2;
	return width;
}

static ssize_t edu_bar0_rw(struct edu_device *edu, char __user *buf,
			   size_t count, loff_t *ppos, bool is_write)
{
	u64 offset = *ppos & VFIO_PCI_OFFSET_MASK;
	u64 size = pci_resource_len(edu->core.pdev, 0);
	size_t done, width;
	__le64 raw;
	u64 value;
	int ret;

	if (offset >= size)
		return -EINVAL;
	count = min_t(u64, count, size - offset);
	/* A doorbell is one access to one register, or a mistake. */
	if (is_write && offset <= EDU_REG_DMA_CMD &&
	    offset + count > EDU_REG_DMA_CMD &&
	    (offset != EDU_REG_DMA_CMD || (count != 4 && count != 8)))
		return -EINVAL;

	for (done = 0; done < count; done += width, offset += width) {
		width = edu_width(offset, count - done);
		raw = 0;
		if (is_write && copy_from_user(&raw, buf + done, width))
			return -EFAULT;
		value = le64_to_cpu(raw);
		ret = edu_reg_access(edu, offset, width, &value, is_write);
		if (ret)
			return ret;
		raw = cpu_to_le64(value);
		if (!is_write && copy_to_user(buf + done, &raw, width))
			return -EFAULT;
	}
	*ppos += done;
	return done;
}

static ssize_t edu_rw(struct vfio_device *vdev, char __user *buf, size_t count,
		      loff_t *ppos, bool is_write)
{
	struct edu_device *edu = edu_from_vfio(vdev);
	struct device *dev = &edu->core.pdev->dev;
	ssize_t ret;

	if (!count)
		return 0;
	if (pm_runtime_resume_and_get(dev) < 0)
		return -EIO;
	ret = edu_bar0_rw(edu, buf, count, ppos, is_write);
	pm_runtime_put(dev);
	return ret;
}

static bool edu_is_bar0(loff_t pos)
{
	return VFIO_PCI_OFFSET_TO_INDEX((u64)pos) == VFIO_PCI_BAR0_REGION_INDEX;
}

ssize_t edu_read(struct vfio_device *vdev, char __user *buf, size_t count,
		 loff_t *ppos)
{
	if (edu_is_bar0(*ppos))
		return edu_rw(vdev, buf, count, ppos, false);
	return vfio_pci_core_read(vdev, buf, count, ppos);
}

ssize_t edu_write(struct vfio_device *vdev, const char __user *buf,
		  size_t count, loff_t *ppos)
{
	if (edu_is_bar0(*ppos))
		return edu_rw(vdev, (char __user *)buf, count, ppos, true);
	return vfio_pci_core_write(vdev, buf, count, ppos);
}

/*
 * An ioeventfd writes from within vfio-pci, past this file: not to the DMA
 * registers. vfio-pci reads the argument a second time, so this stops
 * mistakes, not malice; and who wants to hide a write from the log hides it
 * from itself: the IOMMU still confines the device to the user's memory.
 */
long edu_ioctl(struct vfio_device *vdev, unsigned int cmd, unsigned long arg)
{
	struct vfio_device_ioeventfd ioeventfd;
	u64 offset, end;

	if (cmd == VFIO_DEVICE_IOEVENTFD) {
		if (copy_from_user(&ioeventfd, (void __user *)arg,
				   offsetofend(struct vfio_device_ioeventfd,
					       fd)))
			return -EFAULT;
		offset = ioeventfd.offset & VFIO_PCI_OFFSET_MASK;
		end = offset + (ioeventfd.flags &
				VFIO_DEVICE_IOEVENTFD_SIZE_MASK);
		if (edu_is_bar0(ioeventfd.offset) && offset < EDU_REG_DMA_END &&
		    end > EDU_REG_DMA_SRC)
			return -EINVAL;
	}
	return vfio_pci_core_ioctl(vdev, cmd, arg);
}
