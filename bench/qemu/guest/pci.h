/* SPDX-License-Identifier: MIT */
/*
 * Devices on PCI bus 0, with BARs where the firmware put them.
 */
#ifndef BENCH_QEMU_GUEST_PCI_H
#define BENCH_QEMU_GUEST_PCI_H

#include <stdbool.h>
#include <stdint.h>

struct pci_device {
	uint32_t slot;
	uint32_t regs; /* address of BAR 0 */
	uint32_t msix; /* offset of its capability, 0: none */
	uint32_t table; /* address of its MSI-X table */
};

/* The device at @slot, or the end: with @magic in its first register. */
struct pci_device pci_find(uint32_t slot, uint32_t magic, bool has_message);
/*
 * Memory and bus mastering on, vector 0 to work @index: at first, and again
 * when the device was reset.
 */
void pci_set_up(const struct pci_device *d, unsigned int index);

#endif /* BENCH_QEMU_GUEST_PCI_H */
