// SPDX-License-Identifier: GPL-2.0-only
/*
 * vfio-edu: the whole device as an image, and back.
 *
 * edu was not made to be saved. Its buffer is reached by its DMA engine only,
 * which is borrowed for that (100 ms, in which the user's accesses wait). Its
 * factorial register cannot be written: it is given the argument that has
 * the result wanted. All results there are, modulo 2^32, are those of 0 to 34.
 */
#include <linux/delay.h>
#include <linux/gfp.h>
#include <linux/io.h>

#include "vfio_edu.h"

static int fail_save;
module_param(fail_save, int, 0644);
MODULE_PARM_DESC(fail_save, "the Nth image to be taken from now fails");

static int fail_load;
module_param(fail_load, int, 0644);
MODULE_PARM_DESC(fail_load, "the Nth image to be loaded from now fails");

/* the first n whose factorial is 0, modulo 2^32 */
#define EDU_FACT_ZERO	34

/* A number of 2^32 keeps a slow host busy for several seconds. */
#define EDU_FACT_TIMEOUT_MS	60000

static u32 edu_factorial(u32 n)
{
	u32 result = 1;

	while (n)
		result *= n--;
	return result;
}

/* The n with n! = @result, or -1. */
static int edu_fact_argument(u32 result)
{
	int n;

	for (n = 0; n <= EDU_FACT_ZERO; n++)
		if (edu_factorial(n) == result)
			return n;
	return -1;
}

static bool edu_computing(struct edu_device *edu)
{
	return readl(edu->bar0 + EDU_REG_STATUS) & EDU_STATUS_COMPUTING;
}

static int edu_wait_computed(struct edu_device *edu)
{
	ulong end = jiffies + msecs_to_jiffies(EDU_FACT_TIMEOUT_MS);

	while (edu_computing(edu)) {
		if (time_after(jiffies, end))
			return -EBUSY;
		usleep_range(100, 1000);
	}
	return 0;
}

/* hw_lock held, memory enabled, gate shut or nobody there: as after power-on */
void edu_image_reset(struct edu_device *edu)
{
	edu_dma_reset(edu);
	edu->irqfact = false;
	edu->fact_due = false;
	edu->irq_due = 0;
	writel(0, edu->bar0 + EDU_REG_STATUS);
	writel(~0u, edu->bar0 + EDU_REG_IRQ_ACK);
	writel(~0u, edu->bar0 + EDU_REG_ADDR4);
	/* One under way is not to be stopped, and ends in silence. */
	if (!edu_computing(edu)) {
		edu->fact_input = EDU_FACT_ZERO;
		writel(EDU_FACT_ZERO, edu->bar0 + EDU_REG_FACT);
		edu_wait_computed(edu);
	}
	edu->generation++;
	edu->gate = EDU_GATE_OPEN;
}

static void edu_save_fact(struct edu_device *edu, struct edu_image *image,
			  u32 *flags)
{
	bool irqfact = edu->irqfact;
	u32 fact, status;

	/* Result before COMPUTING is cleared, so status is read first. */
	status = readl(edu->bar0 + EDU_REG_STATUS);
	fact = readl(edu->bar0 + EDU_REG_FACT);
	if (status & EDU_STATUS_COMPUTING) {
		*flags |= EDU_IMAGE_COMPUTING;
		/* by now it may be the result */
		fact = edu->fact_input;
	}
	if (status & EDU_STATUS_IRQFACT)
		irqfact = true;
	if (irqfact)
		*flags |= EDU_IMAGE_IRQFACT;
	if (edu->fact_due)
		*flags |= EDU_IMAGE_FACT_DUE;
	image->fact = cpu_to_le32(fact);
}

/*
 * Take an image of the device as it is now, of the @life it was asked in;
 * @generation says of which contents of the buffer.
 */
int edu_image_save(struct edu_device *edu, u32 life, struct edu_image *image,
		   u32 sequence, bool final, u64 *generation)
{
	u32 flags = final ? EDU_IMAGE_FINAL : 0;
	struct page *page;
	int ret;

	page = alloc_page(GFP_KERNEL);
	if (!page)
		return -ENOMEM;
	ret = edu_hw_begin(edu, PCI_COMMAND_MEMORY | PCI_COMMAND_MASTER);
	if (ret)
		goto free;
	if (life != edu->life)
		ret = -ENODEV;
	else if (edu_fail(&fail_save))
		ret = -EIO;
	else
		ret = edu_dma_drain(edu);
	if (!ret)
		ret = edu_dma_borrow(edu, page, true);
	if (ret)
		goto end;

	memset(image, 0, sizeof(*image));
	image->magic = cpu_to_le32(EDU_IMAGE_MAGIC);
	image->sequence = cpu_to_le32(sequence);
	image->src = cpu_to_le64(edu->regs.src);
	image->dst = cpu_to_le64(edu->regs.dst);
	image->cnt = cpu_to_le64(edu->regs.cnt);
	image->cmd = cpu_to_le32(edu->regs.cmd);
	image->addr4 = cpu_to_le32(~readl(edu->bar0 + EDU_REG_ADDR4));
	image->irq_status = cpu_to_le32(edu->irq_due |
					readl(edu->bar0 + EDU_REG_IRQ_STATUS));
	edu_save_fact(edu, image, &flags);
	image->flags = cpu_to_le32(flags);
	memcpy(image->buffer, page_address(page), EDU_BUFFER_SIZE);
	image->crc = cpu_to_le32(edu_image_crc(image));
	*generation = edu->generation;
end:
	edu_hw_end(edu);
free:
	__free_page(page);
	return ret;
}

static struct edu_dma_regs edu_image_regs(const struct edu_image *image)
{
	return (struct edu_dma_regs){
		.src = le64_to_cpu(image->src),
		.dst = le64_to_cpu(image->dst),
		.cnt = le64_to_cpu(image->cnt),
		.cmd = le32_to_cpu(image->cmd),
	};
}

/* Is it one that edu_image_load() can load? It comes from anywhere. */
int edu_image_check(const struct edu_image *image, u32 sequence)
{
	struct edu_dma_regs regs = edu_image_regs(image);
	u32 flags = le32_to_cpu(image->flags);

	if (le32_to_cpu(image->magic) != EDU_IMAGE_MAGIC ||
	    le32_to_cpu(image->sequence) != sequence ||
	    le32_to_cpu(image->crc) != edu_image_crc(image))
		return -EINVAL;
	if (flags & ~EDU_IMAGE_FLAGS)
		return -EINVAL;
	/* It would be rung here without further looks. */
	if (regs.cmd & EDU_CMD_RUN && !edu_dma_valid(&regs, regs.cmd))
		return -EINVAL;
	if (flags & EDU_IMAGE_FACT_DUE && !(flags & EDU_IMAGE_IRQFACT))
		return -EINVAL;
	if (!(flags & EDU_IMAGE_COMPUTING) &&
	    edu_fact_argument(le32_to_cpu(image->fact)) < 0)
		return -EINVAL;
	return 0;
}

static int edu_load_fact(struct edu_device *edu, const struct edu_image *image)
{
	u32 flags = le32_to_cpu(image->flags);
	u32 fact = le32_to_cpu(image->fact);
	int ret;

	edu->irqfact = flags & EDU_IMAGE_IRQFACT;
	edu->fact_due = flags & EDU_IMAGE_FACT_DUE;
	ret = edu_wait_computed(edu);
	if (ret)
		return ret;
	edu->fact_input = flags & EDU_IMAGE_COMPUTING ?
			  fact : edu_fact_argument(fact);
	writel(edu->fact_input, edu->bar0 + EDU_REG_FACT);
	/* Begun again, its interrupt still due; or already there. */
	return flags & EDU_IMAGE_COMPUTING ? 0 : edu_wait_computed(edu);
}

/* The device is in RESUMING: its gate is shut and its engine idle. */
int edu_image_load(struct edu_device *edu, const struct edu_image *image)
{
	struct page *page;
	int ret;

	page = alloc_page(GFP_KERNEL);
	if (!page)
		return -ENOMEM;
	memcpy(page_address(page), image->buffer, EDU_BUFFER_SIZE);
	ret = edu_hw_begin(edu, PCI_COMMAND_MEMORY | PCI_COMMAND_MASTER);
	if (ret)
		goto free;
	/* A reset may have come in between, and opened it. */
	if (edu->gate != EDU_GATE_SHUT)
		ret = -ENODEV;
	else if (edu_fail(&fail_load))
		ret = -EIO;
	else
		ret = edu_dma_borrow(edu, page, false);
	if (!ret)
		ret = edu_load_fact(edu, image);
	if (ret)
		goto end;

	edu->generation++;
	edu->regs = edu_image_regs(image);
	edu->held = edu->regs.cmd & EDU_CMD_RUN;
	writel(le32_to_cpu(image->addr4), edu->bar0 + EDU_REG_ADDR4);
	writel(~0u, edu->bar0 + EDU_REG_IRQ_ACK);
	/* Raised, as a stopped device may not, when it runs. */
	edu->irq_due = le32_to_cpu(image->irq_status);
end:
	edu_hw_end(edu);
free:
	__free_page(page);
	return ret;
}
