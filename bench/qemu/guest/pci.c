/* SPDX-License-Identifier: MIT */
/* See pci.h. */
#include "bench/qemu/guest/pci.h"

#include "bench/qemu/guest/apic.h"
#include "bench/qemu/guest/fail.h"
#include "bench/qemu/guest/hw.h"

#define CONFIG_ADDRESS 0xcf8u
#define CONFIG_DATA    0xcfcu
#define CONFIG_ENABLE  0x80000000u

#define PCI_ID		0x00u
#define PCI_COMMAND	0x04u /* and status above it */
#define PCI_BAR		0x10u
#define PCI_CAPS	0x34u
#define COMMAND_MEMORY	0x0002u
#define COMMAND_MASTER	0x0004u
#define COMMAND_NO_INTX 0x0400u
#define STATUS_CAPS	(0x10u << 16)
#define BAR_IO		0x1u
#define BAR_WIDE	0x4u
#define BAR_FLAGS	0xfu

#define CAP_MSIX      0x11u
#define MSIX_ENABLE   0x80000000u
#define MSIX_TABLE    4u
#define MSIX_BAR_MASK 7u
/* Of an entry of the table. */
#define ENTRY_ADDRESS 0u
#define ENTRY_DATA    8u
#define ENTRY_MASK    12u

static uint32_t read_config(uint32_t slot, uint32_t at)
{
	hw_out32(CONFIG_ADDRESS, CONFIG_ENABLE | slot << 11 | at);
	return hw_in32(CONFIG_DATA);
}

static void write_config(uint32_t slot, uint32_t at, uint32_t v)
{
	hw_out32(CONFIG_ADDRESS, CONFIG_ENABLE | slot << 11 | at);
	hw_out32(CONFIG_DATA, v);
}

static uint32_t bar_address(uint32_t slot, uint32_t bar)
{
	uint32_t low = read_config(slot, PCI_BAR + 4 * bar);

	if (low & BAR_IO || !(low & ~BAR_FLAGS))
		fail_slot(slot, "no memory at BAR ", bar);
	if (low & BAR_WIDE && read_config(slot, PCI_BAR + 4 * (bar + 1)))
		fail_slot(slot, "above 4 GiB is BAR ", bar);
	return low & ~BAR_FLAGS;
}

static void find_msix(struct pci_device *d)
{
	uint32_t at = 0, table;

	if (read_config(d->slot, PCI_COMMAND) & STATUS_CAPS)
		at = read_config(d->slot, PCI_CAPS) & 0xfc;
	/* A list that does not end is longer than there is room for. */
	for (unsigned int i = 0; at; i++) {
		uint32_t head = read_config(d->slot, at);

		if (i == 48)
			fail_slot(d->slot, "capabilities without end at ", at);
		if ((head & 0xff) == CAP_MSIX)
			break;
		at = head >> 8 & 0xfc;
	}
	if (!at)
		fail_slot(d->slot, "has no capability ", CAP_MSIX);
	table = read_config(d->slot, at + MSIX_TABLE);
	d->msix = at;
	d->table = bar_address(d->slot, table & MSIX_BAR_MASK) +
		   (table & ~MSIX_BAR_MASK);
}

static void enable(const struct pci_device *d)
{
	uint32_t command = read_config(d->slot, PCI_COMMAND) & 0xffff;

	write_config(d->slot, PCI_COMMAND,
		     command | COMMAND_MEMORY | COMMAND_MASTER |
			     COMMAND_NO_INTX);
}

struct pci_device pci_find(uint32_t slot, uint32_t magic, bool has_message)
{
	struct pci_device d = { .slot = slot };
	uint32_t id = read_config(slot, PCI_ID);

	if (id == ~0u)
		fail_slot(slot, "no device there, it reads ", id);
	d.regs = bar_address(slot, 0);
	if (has_message)
		find_msix(&d);
	enable(&d);
	if (hw_read32(d.regs) != magic)
		fail_slot(slot, "another kind of device, by its magic ",
			  hw_read32(d.regs));
	return d;
}

void pci_set_up(const struct pci_device *d, unsigned int index)
{
	uint32_t control;

	enable(d);
	if (!d->msix)
		return;
	/* Off and on: a device that was reset has no vector any more. */
	control = read_config(d->slot, d->msix) & ~MSIX_ENABLE;
	write_config(d->slot, d->msix, control);
	hw_write32(d->table + ENTRY_ADDRESS, apic_message_address());
	hw_write32(d->table + ENTRY_ADDRESS + 4, 0);
	hw_write32(d->table + ENTRY_DATA, apic_message_data(index));
	hw_write32(d->table + ENTRY_MASK, 0);
	write_config(d->slot, d->msix, control | MSIX_ENABLE);
}
