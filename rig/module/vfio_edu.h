/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * vfio-edu: what its files share.
 *
 *	main.c		life of the device: probe, open, reset, close
 *	mmio.c		BAR0: every access of the user passes here
 *	dma.c		the DMA engine: start, wait, hold back, borrow
 *	log.c		which pages it wrote: vfio_log_ops
 *	image.c		the whole device as bytes, and back
 *	file.c		the data files of migration
 *	migration.c	its states: vfio_migration_ops
 *
 * Locks, outermost first:
 *
 *	state_mutex	the migration state, and the arcs between states
 *	  file->lock	one data file; may fault user pages in
 *	    open_sem	read: a data file uses the device; write: it closes
 *	      core.memory_lock	vfio-pci's: held for reading while BAR0 is
 *			used; for writing by resets and writes to PCI_COMMAND
 *		hw_lock	the registers and the engine
 *		  domain_lock	the IOMMU domain stays attached
 *		  log.lock	the dirty granules
 *	log.report_lock	one START, STOP or REPORT at a time; outside of
 *			memory_lock; may fault user pages in
 *	reset_lock	spinlock: deferred_reset, see edu_state_unlock()
 *
 * Nothing touches user memory below memory_lock: the fault handler of other
 * vfio-pci devices takes it under mmap_lock. And nothing takes state_mutex or
 * file->lock below memory_lock, which VFIO holds across a reset.
 */
#ifndef VFIO_EDU_H
#define VFIO_EDU_H

#include <linux/mutex.h>
#include <linux/rwsem.h>
#include <linux/spinlock.h>
#include <linux/xarray.h>
#include <linux/vfio_pci_core.h>

#include "compat.h"
#include "stream.h"

#define EDU_REG_ID		0x00
#define EDU_REG_ADDR4		0x04
#define EDU_REG_FACT		0x08
#define EDU_REG_STATUS		0x20
#define EDU_REG_IRQ_STATUS	0x24
#define EDU_REG_IRQ_RAISE	0x60
#define EDU_REG_IRQ_ACK		0x64
#define EDU_REG_DMA_SRC		0x80
#define EDU_REG_DMA_DST		0x88
#define EDU_REG_DMA_CNT		0x90
#define EDU_REG_DMA_CMD		0x98
#define EDU_REG_DMA_END		0xa0

#define EDU_ID_MASK		0x0000ffff
#define EDU_ID			0x000000ed
#define EDU_STATUS_COMPUTING	0x01
#define EDU_STATUS_IRQFACT	0x80
#define EDU_IRQ_FACT		0x00000001
#define EDU_CMD_RUN		0x1
#define EDU_CMD_TO_MEMORY	0x2
#define EDU_CMD_IRQ		0x4

/* where the device's own buffer lies, as its DMA engine sees it */
#define EDU_BUFFER		0x40000ull

/* What doorbells do. Protected by hw_lock. */
enum edu_gate {
	/* they start DMA */
	EDU_GATE_OPEN,
	/* P2P states: those which would reach a peer are held back */
	EDU_GATE_P2P,
	/* STOP and beyond: they are dropped; the user must not ring them */
	EDU_GATE_SHUT,
};

struct edu_dma_regs {
	u64 src;
	u64 dst;
	u64 cnt;
	u64 cmd;
};

struct edu_range {
	u64 first;
	u64 last;
};

struct edu_log {
	struct mutex report_lock;
	/* protects what follows */
	struct mutex lock;
	bool on;
	unsigned int shift;
	unsigned int nr_ranges;
	struct edu_range *ranges;
	/* granule index -> how many 4 KiB of it were reported, from its start */
	struct xarray dirty;
};

/* Shown in sysfs; protected by hw_lock and log.lock, read without. */
struct edu_stats {
	u64 dma_writes;
	u64 dma_reads;
	/* granules that went from clean to dirty */
	u64 marks;
	u64 reports;
	u64 granules_reported;
	/* doorbells that named memory outside of the device's buffer */
	u64 refused;
	/* actions asked of a stopped device, which the uAPI leaves undefined */
	u64 strays;
	/* doorbells held back in a P2P state */
	u64 held;
};

struct edu_file;

struct edu_device {
	/* drvdata points to it */
	struct vfio_pci_core_device core;

	struct mutex state_mutex;
	enum vfio_device_mig_state mig_state;
	struct edu_file *saving;
	struct edu_file *resuming;
	spinlock_t reset_lock;
	bool deferred_reset;

	struct rw_semaphore open_sem;

	struct mutex hw_lock;
	/* NULL unless open */
	void __iomem *bar0;
	/*
	 * Bumped by open, close and reset: what was made in an earlier life
	 * (a data file, an arc under way) must not touch this one.
	 */
	u32 life;
	enum edu_gate gate;
	/* what the user reads and writes at 0x80 to 0x9f */
	struct edu_dma_regs regs;
	/* the engine executes @regs, whose RUN bit is set */
	bool running;
	/* RUN is set, but the doorbell waits for the gate to open */
	bool held;
	/* counts changes of the device's buffer */
	u64 generation;
	/* the argument of the last factorial */
	u32 fact_input;
	/* status bit 7, while the gate is shut (the device has it clear then) */
	bool irqfact;
	bool fact_due;
	/* raised at the source, and not yet here */
	u32 irq_due;
	/* PCI_COMMAND as the user has it, while more is enabled */
	u16 command;
	bool command_lent;

	struct mutex domain_lock;
	struct edu_log log;
	struct edu_stats stats;
};

static inline struct edu_device *edu_from_vfio(struct vfio_device *vdev)
{
	return container_of(vdev, struct edu_device, core.vdev);
}

/* main.c */
int edu_hw_begin(struct edu_device *edu, u16 command);
void edu_hw_end(struct edu_device *edu);
bool edu_fail(int *countdown);

/* mmio.c */
ssize_t edu_read(struct vfio_device *vdev, char __user *buf, size_t count,
		 loff_t *ppos);
ssize_t edu_write(struct vfio_device *vdev, const char __user *buf,
		  size_t count, loff_t *ppos);
long edu_ioctl(struct vfio_device *vdev, unsigned int cmd, unsigned long arg);

/* dma.c: hw_lock held, and the device's memory enabled */
bool edu_dma_valid(const struct edu_dma_regs *regs, u64 cmd);
void edu_dma_ring(struct edu_device *edu, u64 cmd);
void edu_dma_settle(struct edu_device *edu);
void edu_dma_reset(struct edu_device *edu);
int edu_dma_drain(struct edu_device *edu);
int edu_dma_gate(struct edu_device *edu, enum edu_gate gate);
int edu_dma_borrow(struct edu_device *edu, struct page *page, bool to_memory);
int edu_dma_wait_idle(struct edu_device *edu);

/* log.c */
void edu_log_init(struct edu_log *log);
void edu_log_fini(struct edu_log *log);
void edu_log_mark(struct edu_device *edu, u64 iova, u64 len);
extern const struct vfio_log_ops edu_log_ops;

/* image.c */
int edu_image_save(struct edu_device *edu, u32 life, struct edu_image *image,
		   u32 sequence, bool final, u64 *generation);
int edu_image_check(const struct edu_image *image, u32 sequence);
int edu_image_load(struct edu_device *edu, const struct edu_image *image);
void edu_image_reset(struct edu_device *edu);

/* file.c: state_mutex held. The files end by themselves with edu->life. */
struct file *edu_begin_saving(struct edu_device *edu, u32 life, bool final);
int edu_finish_saving(struct edu_device *edu);
struct file *edu_begin_resuming(struct edu_device *edu, u32 life);
int edu_finish_resuming(struct edu_device *edu);
void edu_file_end(struct edu_file **pfile);
void edu_file_put(struct edu_file **pfile);

/* migration.c */
void edu_migration_init(struct edu_device *edu);
void edu_migration_open(struct edu_device *edu);
void edu_migration_close(struct edu_device *edu);
void edu_migration_reset_done(struct edu_device *edu);
extern const struct vfio_migration_ops edu_migration_ops;

#endif
