// SPDX-License-Identifier: GPL-2.0-only
/*
 * vfio-edu: the DMA engine. It does one DMA at a time, of at most 4096 bytes,
 * and takes 100 ms for it. All of this runs under hw_lock.
 *
 * When is a page marked? Not with the doorbell: a report taken between it and
 * the write would clear the mark, and the write would be lost. But when the
 * engine was seen idle: edu writes memory first and clears RUN after, so what
 * is marked then has been written. A write that landed and is not yet seen to
 * have is not lost either: whoever reports, stops, saves or resets settles
 * first. So does whoever looks at the registers: by the time the user learns
 * from them that its DMA is done, it is in the log.
 */
#include <linux/delay.h>
#include <linux/io.h>
#include <linux/iommu.h>
#include <linux/ioport.h>
#include <linux/mm.h>
#include <linux/slab.h>

#include "vfio_edu.h"

static ulong dma_mask;
module_param(dma_mask, ulong, 0444);
MODULE_PARM_DESC(dma_mask, "the edu device's property of that name; 0: not known, but of at least 28 bits");

static ulong bounce_iova;
module_param(bounce_iova, ulong, 0644);
MODULE_PARM_DESC(bounce_iova, "where to map the page that carries the device's buffer; 0: the highest page free");

static bool p2p_all;
module_param(p2p_all, bool, 0644);
MODULE_PARM_DESC(p2p_all, "in P2P states hold back all DMA, not only that to peers");

/* A hundred times what it takes: for a host with little time to spare. */
#define EDU_DMA_TIMEOUT_MS	10000

/* the least that an edu device has, unless told otherwise */
#define EDU_DMA_BITS	28

/*
 * edu drops the address bits that it does not have, and says nothing. Not
 * knowing which those are, a DMA above 2^28 may go to any of the addresses
 * that are left with one high bit after the other dropped: all of them count.
 * edu_dma_clamp() gives the first and edu_dma_alias() the next of them.
 */
static u64 edu_dma_clamp(u64 iova)
{
	return dma_mask ? iova & dma_mask : iova;
}

static bool edu_dma_alias(u64 *iova)
{
	if (dma_mask || !(*iova >> EDU_DMA_BITS))
		return false;
	*iova &= ~(1ull << (fls64(*iova) - 1));
	return true;
}

static bool edu_dma_busy(struct edu_device *edu)
{
	return readl(edu->bar0 + EDU_REG_DMA_CMD) & EDU_CMD_RUN;
}

/* Whatever the engine does, be it the user's DMA or not. */
int edu_dma_wait_idle(struct edu_device *edu)
{
	ulong end = jiffies + msecs_to_jiffies(EDU_DMA_TIMEOUT_MS);

	while (edu_dma_busy(edu)) {
		if (time_after(jiffies, end)) {
			pci_err(edu->core.pdev, "the DMA engine hangs\n");
			return -EIO;
		}
		usleep_range(2000, 4000);
	}
	return 0;
}

static void edu_dma_kick(struct edu_device *edu, u64 src, u64 dst, u64 cnt,
			 u64 cmd)
{
	writeq(src, edu->bar0 + EDU_REG_DMA_SRC);
	writeq(dst, edu->bar0 + EDU_REG_DMA_DST);
	writeq(cnt, edu->bar0 + EDU_REG_DMA_CNT);
	writel(cmd, edu->bar0 + EDU_REG_DMA_CMD);
}

static void edu_dma_account(struct edu_device *edu)
{
	struct edu_dma_regs *regs = &edu->regs;

	edu->running = false;
	regs->cmd &= ~(u64)EDU_CMD_RUN;
	if (regs->cmd & EDU_CMD_TO_MEMORY) {
		u64 iova = edu_dma_clamp(regs->dst);

		edu->stats.dma_writes++;
		do {
			edu_log_mark(edu, iova, regs->cnt);
		} while (edu_dma_alias(&iova));
	} else {
		edu->stats.dma_reads++;
		edu->generation++;
	}
}

/* If the user's DMA has ended: account for it. */
void edu_dma_settle(struct edu_device *edu)
{
	if (edu->running && !edu_dma_busy(edu))
		edu_dma_account(edu);
}

/*
 * All registers to zero. The engine is idle, unless it hangs: then account
 * for what it may still do, as there will be no other time.
 */
void edu_dma_reset(struct edu_device *edu)
{
	if (edu->running)
		edu_dma_account(edu);
	edu->regs = (struct edu_dma_regs){};
	edu->held = false;
}

/* Until the user's DMA has ended, and is accounted for. */
int edu_dma_drain(struct edu_device *edu)
{
	int ret;

	if (edu->running) {
		ret = edu_dma_wait_idle(edu);
		if (ret)
			return ret;
		edu_dma_settle(edu);
	}
	return 0;
}

static void edu_dma_start(struct edu_device *edu)
{
	const struct edu_dma_regs *regs = &edu->regs;
	bool to_memory = regs->cmd & EDU_CMD_TO_MEMORY;

	/* edu clamps as well, but to a mask that we have only been told. */
	edu_dma_kick(edu, to_memory ? regs->src : edu_dma_clamp(regs->src),
		     to_memory ? edu_dma_clamp(regs->dst) : regs->dst,
		     regs->cnt, regs->cmd);
	edu->held = false;
	edu->running = true;
}

/*
 * The domain that the user's mappings are in. With domain_lock held it stays
 * attached: iommufd's come and go through attach_ioas, and a type1 container
 * keeps its own as long as the device is open.
 */
static struct iommu_domain *edu_domain(struct edu_device *edu)
{
	struct iommu_domain *domain;

	lockdep_assert_held(&edu->domain_lock);
	domain = iommu_get_domain_for_dev(&edu->core.pdev->dev);
	if (!domain || !(domain->type & __IOMMU_DOMAIN_PAGING))
		return NULL;
	return domain;
}

/*
 * Does the DMA reach anything but memory? Unmapped addresses reach nothing.
 * edu cannot tell; the IOMMU's page table can.
 */
static bool edu_dma_reaches_peer(struct edu_device *edu)
{
	const struct edu_dma_regs *regs = &edu->regs;
	bool to_memory = regs->cmd & EDU_CMD_TO_MEMORY;
	u64 iova = edu_dma_clamp(to_memory ? regs->dst : regs->src);
	struct iommu_domain *domain;
	bool peer = false;
	phys_addr_t phys;
	u64 page;

	mutex_lock(&edu->domain_lock);
	domain = edu_domain(edu);
	if (!domain)
		goto unlock;
	do {
		for (page = iova & PAGE_MASK; page < iova + regs->cnt;
		     page += PAGE_SIZE) {
			phys = iommu_iova_to_phys(domain, page);
			if (phys && !page_is_ram(PHYS_PFN(phys)))
				peer = true;
		}
	} while (edu_dma_alias(&iova));
unlock:
	mutex_unlock(&edu->domain_lock);
	return peer;
}

static bool edu_dma_may_start(struct edu_device *edu)
{
	switch (edu->gate) {
	case EDU_GATE_OPEN:
		return true;
	case EDU_GATE_P2P:
		return !READ_ONCE(p2p_all) && !edu_dma_reaches_peer(edu);
	default:
		return false;
	}
}

/*
 * Within the device's own buffer? edu does not refuse what is not: it writes
 * from, or to, QEMU's memory beside it.
 */
bool edu_dma_valid(const struct edu_dma_regs *regs, u64 cmd)
{
	u64 buffer = cmd & EDU_CMD_TO_MEMORY ? regs->src : regs->dst;

	return regs->cnt <= EDU_BUFFER_SIZE && buffer >= EDU_BUFFER &&
	       buffer - EDU_BUFFER <= EDU_BUFFER_SIZE - regs->cnt;
}

/* The user rings the doorbell; the engine has been settled. */
void edu_dma_ring(struct edu_device *edu, u64 cmd)
{
	/* As edu: neither stops a DMA, nor is heard while one is under way. */
	if (!(cmd & EDU_CMD_RUN) || edu->regs.cmd & EDU_CMD_RUN)
		return;
	if (edu->gate == EDU_GATE_SHUT) {
		edu->stats.strays++;
		return;
	}
	if (!edu_dma_valid(&edu->regs, cmd)) {
		edu->stats.refused++;
		return;
	}
	edu->regs.cmd = lower_32_bits(cmd);
	if (edu_dma_may_start(edu)) {
		edu_dma_start(edu);
	} else {
		edu->held = true;
		edu->stats.held++;
	}
}

/*
 * Interrupts of a stopped device. The end of a factorial would raise one at
 * any time: have edu compute on in silence, and remember that one is due.
 */
static void edu_irq_shut(struct edu_device *edu)
{
	u32 before, after;

	before = readl(edu->bar0 + EDU_REG_STATUS);
	writel(0, edu->bar0 + EDU_REG_STATUS);
	after = readl(edu->bar0 + EDU_REG_STATUS);
	edu->irqfact = before & EDU_STATUS_IRQFACT;
	/*
	 * Done between the two looks? Then it may, or may not, have been
	 * raised. Once more does no harm; not at all would.
	 */
	edu->fact_due = edu->irqfact && (before | after) & EDU_STATUS_COMPUTING;
}

static void edu_irq_open(struct edu_device *edu)
{
	if (edu->irqfact)
		writel(EDU_STATUS_IRQFACT, edu->bar0 + EDU_REG_STATUS);
	/* edu looks for IRQFACT after it has cleared COMPUTING. */
	if (edu->fact_due && !(readl(edu->bar0 + EDU_REG_STATUS) &
			       EDU_STATUS_COMPUTING))
		edu->irq_due |= EDU_IRQ_FACT;
	if (edu->irq_due)
		writel(edu->irq_due, edu->bar0 + EDU_REG_IRQ_RAISE);
	edu->irq_due = 0;
	edu->irqfact = false;
	edu->fact_due = false;
}

/*
 * Change what doorbells do. Closing it further waits for a DMA under way:
 * when this returns, the engine does nothing that the gate would not let
 * through. On failure the gate is shut, and the engine is not known to be
 * quiet.
 */
int edu_dma_gate(struct edu_device *edu, enum edu_gate gate)
{
	enum edu_gate old = edu->gate;
	int ret;

	/* hw_lock, held until we return, keeps further doorbells out. */
	if (gate > old) {
		ret = edu_dma_drain(edu);
		if (ret)
			gate = EDU_GATE_SHUT;
		edu->gate = gate;
		if (gate == EDU_GATE_SHUT)
			edu_irq_shut(edu);
		return ret;
	}

	edu->gate = gate;
	if (old == EDU_GATE_SHUT && gate != EDU_GATE_SHUT)
		edu_irq_open(edu);
	if (edu->held && edu_dma_may_start(edu))
		edu_dma_start(edu);
	return 0;
}

/*
 * A page that the user has not mapped, for one DMA. The user's IOMMU domain
 * is the only one that the device has. Nobody tells VFIO or iommufd about our
 * page; should the user map something there meanwhile, it fails for them.
 */
static bool edu_iova_usable(struct iommu_domain *domain,
			    struct list_head *reserved, u64 iova)
{
	struct iommu_resv_region *region;
	u64 last = iova + PAGE_SIZE - 1;

	if (domain->geometry.force_aperture &&
	    (iova < domain->geometry.aperture_start ||
	     last > domain->geometry.aperture_end))
		return false;
	list_for_each_entry(region, reserved, list)
		if (last >= region->start &&
		    iova <= region->start + region->length - 1)
			return false;
	return !iommu_iova_to_phys(domain, iova);
}

static void edu_resv_regions(struct edu_device *edu, struct list_head *list)
{
	struct iommu_group *group = iommu_group_get(&edu->core.pdev->dev);

	if (group) {
		iommu_get_group_resv_regions(group, list);
		iommu_group_put(group);
	}
}

static int edu_find_iova(struct edu_device *edu, struct iommu_domain *domain,
			 u64 *ret_iova)
{
	u64 iova = READ_ONCE(bounce_iova) & PAGE_MASK;
	u64 lowest = iova ?: PAGE_SIZE;
	struct iommu_resv_region *region, *next;
	LIST_HEAD(reserved);
	int i, ret = -ENOSPC;
	u64 top;

	if (!iova) {
		top = dma_mask ?: (1ull << EDU_DMA_BITS) - 1;
		if (domain->geometry.force_aperture)
			top = min_t(u64, top, domain->geometry.aperture_end);
		/* the last page that ends at @top or below */
		iova = (top - ~PAGE_MASK) & PAGE_MASK;
	}
	edu_resv_regions(edu, &reserved);
	/* However much is mapped: a million looks take long enough. */
	for (i = 0; i < 1 << 20 && iova >= lowest; i++, iova -= PAGE_SIZE) {
		if (edu_iova_usable(domain, &reserved, iova)) {
			*ret_iova = iova;
			ret = 0;
			break;
		}
		cond_resched();
	}
	list_for_each_entry_safe(region, next, &reserved, list)
		kfree(region);
	return ret;
}

static int edu_dma_page(struct edu_device *edu, u64 iova, bool to_memory)
{
	/* without EDU_CMD_IRQ: the user is not to hear of it */
	if (to_memory)
		edu_dma_kick(edu, EDU_BUFFER, iova, EDU_BUFFER_SIZE,
			     EDU_CMD_RUN | EDU_CMD_TO_MEMORY);
	else
		edu_dma_kick(edu, iova, EDU_BUFFER, EDU_BUFFER_SIZE,
			     EDU_CMD_RUN);
	return edu_dma_wait_idle(edu);
}

/*
 * Move the device's buffer to, or from, a page of ours: DMA is the only way
 * to it. The engine is idle and the device a bus master. The user's registers
 * are with us, not in the device, so nothing is to be put back.
 *
 * -ENODEV: nothing is attached, or nothing that can be mapped into.
 * -ENOSPC: no address that the device reaches is free.
 * -EIO: the engine hangs, or its writes do not arrive.
 */
int edu_dma_borrow(struct edu_device *edu, struct page *page, bool to_memory)
{
	struct iommu_domain *domain;
	u64 iova;
	int ret;

	mutex_lock(&edu->domain_lock);
	domain = edu_domain(edu);
	ret = domain ? edu_find_iova(edu, domain, &iova) : -ENODEV;
	if (ret)
		goto unlock;
	ret = edu_iommu_map(domain, iova, page_to_phys(page), PAGE_SIZE,
			    IOMMU_READ | IOMMU_WRITE | IOMMU_CACHE);
	if (ret)
		goto unlock;

	if (!to_memory) {
		ret = edu_dma_page(edu, iova, false);
		goto unmap;
	}
	/* Nobody reports a DMA that the IOMMU refused: look for its traces. */
	memset(page_address(page), 0xff, EDU_BUFFER_SIZE);
	ret = edu_dma_page(edu, iova, true);
	if (ret || memchr_inv(page_address(page), 0xff, EDU_BUFFER_SIZE))
		goto unmap;
	memset(page_address(page), 0, EDU_BUFFER_SIZE);
	ret = edu_dma_page(edu, iova, true);
	if (!ret && !memchr_inv(page_address(page), 0, EDU_BUFFER_SIZE))
		ret = -EIO;
unmap:
	iommu_unmap(domain, iova, PAGE_SIZE);
unlock:
	mutex_unlock(&edu->domain_lock);
	return ret;
}
