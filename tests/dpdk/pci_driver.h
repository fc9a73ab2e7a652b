/* SPDX-License-Identifier: MIT */
/*
 * What a PCI driver sees of DPDK.  Its own header of this is not installed by
 * distributions, which build no drivers outside of DPDK; the library exports
 * the calls all the same.
 *
 * Invariant: field for field the layout of DPDK 22.11 to 23.07, whose shared
 * libraries are one ABI, librte_*.so.23: the build takes no other.
 */
#ifndef TESTS_DPDK_PCI_DRIVER_H
#define TESTS_DPDK_PCI_DRIVER_H

#include <stdint.h>
#include <sys/queue.h>

#include <rte_bus_pci.h>
#include <rte_dev.h>

struct rte_bus;
struct rte_devargs;
struct rte_pci_driver;

struct rte_driver {
	TAILQ_ENTRY(rte_driver) next;
	const char *name, *alias;
};

struct rte_device {
	TAILQ_ENTRY(rte_device) next;
	const char *name, *bus_info;
	const struct rte_driver *driver;
	const struct rte_bus *bus;
	int numa_node;
	struct rte_devargs *devargs;
};

/* Its last fields are left out: the library makes it. */
struct rte_pci_device {
	TAILQ_ENTRY(rte_pci_device) next;
	struct rte_device device;
	struct rte_pci_addr addr;
	struct rte_pci_id id;
	struct rte_mem_resource mem_resource[PCI_MAX_RESOURCE];
	struct rte_intr_handle *intr_handle;
};

struct rte_pci_ioport {
	struct rte_pci_device *dev;
	uint64_t base, len;
};

struct rte_pci_driver {
	TAILQ_ENTRY(rte_pci_driver) next;
	struct rte_driver driver;
	/* Positive: not for this driver. */
	int (*probe)(struct rte_pci_driver *drv, struct rte_pci_device *dev);
	int (*remove)(struct rte_pci_device *dev);
	int (*dma_map)(struct rte_pci_device *dev, void *addr, uint64_t iova,
		       size_t len);
	int (*dma_unmap)(struct rte_pci_device *dev, void *addr, uint64_t iova,
			 size_t len);
	const struct rte_pci_id *id_table; /* ends with zeros */
	uint32_t drv_flags;
};

#define RTE_PCI_DRV_NEED_MAPPING 1u

void rte_pci_register(struct rte_pci_driver *driver);

#endif /* TESTS_DPDK_PCI_DRIVER_H */
