/* SPDX-License-Identifier: MIT */
/*
 * DPDK drivers for the accelerator and the network card.  The accelerator fills
 * memory of DPDK's, and the card's BAR, by DMA; one fill's end is told by
 * interrupt, the others' are polled for, and every byte is looked at.  They
 * know DPDK and the devices' registers, and nothing of softvfio.
 *
 *   dma EAL-ARGUMENTS...
 *
 * Prints a line a device; 0 if there was an accelerator and all went well.
 *
 * Threads: the interrupt comes in EAL's own.
 */
#include <inttypes.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <rte_cycles.h>
#include <rte_eal.h>
#include <rte_interrupts.h>
#include <rte_malloc.h>
#include <rte_vfio.h>

#include "models/dsa_regs.h"
#include "models/nic_regs.h"
#include "pci_driver.h"

#define VENDOR	    0x1d55
#define CARD	    0x5001
#define ACCELERATOR 0x5002
#define LEN	    65536u
#define CHUNK	    4096u /* each begins with the device's stamp */
#define LIMIT_MS    30000u
#define CONTAINER   RTE_VFIO_DEFAULT_CONTAINER_FD

/* In memory that the device reaches. */
struct work {
	uint8_t filled[LEN];
	struct dsa_descriptor descriptor;
	_Alignas(64) struct dsa_completion done;
};

struct accelerator {
	struct rte_pci_device *dev;
	struct rte_pci_ioport regs;
	struct work *work;
	rte_iova_t iova;
	atomic_uint interrupts;
};

static unsigned int nr_accelerators, nr_used, nr_bad, nr_closed;
/* The card's BAR, if there is one; devices reach it where we do. */
static uint8_t *window;

static bool is_done(struct accelerator *a, uint64_t id)
{
	return __atomic_load_n(&a->work->done.id, __ATOMIC_ACQUIRE) == id;
}

static bool was_interrupted(struct accelerator *a, uint64_t id)
{
	(void)id;
	return atomic_load(&a->interrupts);
}

static const char *check(const struct work *w, const uint8_t *filled,
			 uint64_t id, uint64_t pattern)
{
	uint64_t word;

	if (w->done.id != id || w->done.status != DSA_STATUS_OK)
		return "the completion record is another's, or of a failure";
	for (size_t i = 0; i < LEN; i += sizeof(word)) {
		memcpy(&word, filled + i, sizeof(word));
		if (i % CHUNK ? word != pattern : !word)
			return "not all was filled";
	}
	return NULL;
}

/* Fills @dst, which the device knows as @iova; NULL, or what went wrong. */
static const char *fill(struct accelerator *a, uint8_t *dst, rte_iova_t iova,
			uint64_t id,
			bool (*over)(struct accelerator *a, uint64_t id))
{
	uint64_t doorbell = a->iova + offsetof(struct work, descriptor);
	uint64_t pattern = id * 0x1111111111111111;
	struct work *w = a->work;

	memset(w, 0, sizeof(*w));
	memset(dst, 0, LEN);
	w->descriptor = (struct dsa_descriptor){
		.op = DSA_OP_FILL,
		.dst = iova,
		.len = LEN,
		.completion = a->iova + offsetof(struct work, done),
		.pattern = pattern,
		.id = id,
	};
	rte_pci_ioport_write(&a->regs, &doorbell, sizeof(doorbell),
			     DSA_REG_DOORBELL);
	for (unsigned int ms = 0; !over(a, id); ms++) {
		if (ms == LIMIT_MS)
			return "nothing came";
		rte_delay_us_sleep(1000);
	}
	return check(w, dst, id, pattern);
}

static void on_interrupt(void *arg)
{
	struct accelerator *a = arg;

	atomic_fetch_add(&a->interrupts, 1);
}

static const char *fill_by_interrupt(struct accelerator *a)
{
	const struct rte_intr_handle *intr = a->dev->intr_handle;
	const char *why;

	if (rte_intr_callback_register(intr, on_interrupt, a))
		return "no callback";
	if (rte_intr_enable(intr))
		return "no interrupt to enable";
	why = fill(a, a->work->filled, a->iova, 1, was_interrupted);
	if (!why && atomic_load(&a->interrupts) != 1)
		why = "more than one interrupt";
	if (rte_intr_disable(intr) && !why)
		why = "the interrupt cannot be disabled";
	/* -EAGAIN: EAL's thread is in it. */
	while (rte_intr_callback_unregister(intr, on_interrupt, a) == -EAGAIN)
		rte_delay_us_sleep(1000);
	return why;
}

static const char *use(struct accelerator *a)
{
	uint32_t ids = 0, magic = 0;
	const char *why;

	if (rte_pci_read_config(a->dev, &ids, sizeof(ids), 0) != sizeof(ids) ||
	    ids != (ACCELERATOR << 16 | VENDOR))
		return "configuration space is another's";
	if (rte_pci_ioport_map(a->dev, 0, &a->regs))
		return "no registers";
	rte_pci_ioport_read(&a->regs, &magic, sizeof(magic), DSA_REG_MAGIC);
	if (magic != DSA_MAGIC)
		return "registers are another's";
	/* First: what is polled for may interrupt later than it is seen. */
	why = fill_by_interrupt(a);
	if (!why)
		why = fill(a, a->work->filled, a->iova, 2, is_done);
	if (!why && window)
		why = fill(a, window, (uintptr_t)window, 3, is_done);
	return why;
}

static int end_probe(const struct rte_pci_device *dev, const char *why,
		     const char *done)
{
	printf("%s: %s\n", dev->device.name, why ? why : done);
	*(why ? &nr_bad : &nr_used) += 1;
	return why ? -1 : 0;
}

static int probe_accelerator(struct rte_pci_driver *drv,
			     struct rte_pci_device *dev)
{
	struct accelerator a = { .dev = dev };
	const char *why = "no memory";

	(void)drv;
	nr_accelerators++;
	a.work = rte_zmalloc("dma", sizeof(*a.work), CHUNK);
	if (a.work) {
		a.iova = rte_malloc_virt2iova(a.work);
		why = use(&a);
	}
	rte_free(a.work);
	return end_probe(dev, why,
			 window ? "filled memory and the card's BAR"
				: "filled memory");
}

/* What is stored through the mapping is what a read of the device gives. */
static const char *use_window(struct rte_pci_device *dev, uint8_t *mapped)
{
	static const char text[] = "stored through the mapping";
	struct rte_pci_ioport bar;
	char got[sizeof(text)] = "";

	if (!mapped || dev->mem_resource[NIC_BAR_MEM].len != LEN)
		return "BAR 2 is not mapped";
	memcpy(mapped + CHUNK - 8, text, sizeof(text));
	if (rte_pci_ioport_map(dev, NIC_BAR_MEM, &bar))
		return "BAR 2 cannot be read";
	rte_pci_ioport_read(&bar, got, sizeof(got), CHUNK - 8);
	if (memcmp(got, text, sizeof(text)))
		return "the mapping is of something else";
	if (rte_vfio_container_dma_map(CONTAINER, (uintptr_t)mapped,
				       (uintptr_t)mapped, LEN))
		return "devices cannot reach BAR 2";
	window = mapped;
	return NULL;
}

static int probe_card(struct rte_pci_driver *drv, struct rte_pci_device *dev)
{
	(void)drv;
	return end_probe(dev,
			 use_window(dev, dev->mem_resource[NIC_BAR_MEM].addr),
			 "its BAR is mapped");
}

static int remove_accelerator(struct rte_pci_device *dev)
{
	(void)dev;
	nr_closed++;
	return 0;
}

static int remove_card(struct rte_pci_device *dev)
{
	if (rte_vfio_container_dma_unmap(CONTAINER, (uintptr_t)window,
					 (uintptr_t)window, LEN))
		return -1;
	window = NULL;
	return remove_accelerator(dev);
}

#define ID(id)                                                                 \
	{                                                                      \
		.class_id = RTE_CLASS_ANY_ID, .vendor_id = VENDOR,             \
		.device_id = (id), .subsystem_vendor_id = RTE_PCI_ANY_ID,      \
		.subsystem_device_id = RTE_PCI_ANY_ID                          \
	}
static const struct rte_pci_id cards[] = { ID(CARD), { .vendor_id = 0 } };
static const struct rte_pci_id accelerators[] = { ID(ACCELERATOR),
						  { .vendor_id = 0 } };

static struct rte_pci_driver drivers[] = {
	{ .driver = { .name = "example_card" },
	  .probe = probe_card,
	  .remove = remove_card,
	  .id_table = cards,
	  .drv_flags = RTE_PCI_DRV_NEED_MAPPING },
	{ .driver = { .name = "example_accelerator" },
	  .probe = probe_accelerator,
	  .remove = remove_accelerator,
	  .id_table = accelerators,
	  .drv_flags = RTE_PCI_DRV_NEED_MAPPING },
};

int main(int argc, char **argv)
{
	for (size_t i = 0; i < RTE_DIM(drivers); i++)
		rte_pci_register(&drivers[i]);
	if (rte_eal_init(argc, argv) < 0)
		return EXIT_FAILURE;
	if (rte_eal_cleanup()) {
		printf("EAL does not close what it opened\n");
		return EXIT_FAILURE;
	}
	printf("%u of %u devices closed\n", nr_closed, nr_used);
	return nr_accelerators && !nr_bad && nr_closed == nr_used
		       ? EXIT_SUCCESS
		       : EXIT_FAILURE;
}
