/* SPDX-License-Identifier: MIT */
/* See ids.h.  No state. */
#include "softvfio/ids.h"

#include <stddef.h>
#include <string.h>

struct ids {
	const char *model;
	uint16_t subsystem_vendor, subsystem;
	uint32_t pci_class;
	uint8_t revision;
};

static const struct ids all[] = {
	{ "nic", 0x1d55, 0x5001, 0x020000, 0 },
	{ "dsa", 0x1d55, 0x5002, 0x120000, 0 },
	{ "mdev", 0x1d55, 0x5003, 0x120000, 0 },
	{ "plain", 0x1d55, 0x5004, 0x120000, 0 },
	/* QEMU's, for a device that is QEMU's. */
	{ "edu", 0x1af4, 0x1100, 0x00ff00, 0x10 },
};

static const struct ids *find(const char *model)
{
	static const struct ids none = { .subsystem_vendor = 0x1d55,
					 .pci_class = 0x120000 };

	for (size_t i = 0; i < sizeof(all) / sizeof(all[0]); i++)
		if (!strcmp(all[i].model, model))
			return &all[i];
	return &none;
}

uint16_t sv_pci_subsystem_vendor_id(const char *model)
{
	return find(model)->subsystem_vendor;
}

uint16_t sv_pci_subsystem_id(const char *model)
{
	return find(model)->subsystem;
}

uint32_t sv_pci_class(const char *model)
{
	return find(model)->pci_class;
}

uint8_t sv_pci_revision(const char *model)
{
	return find(model)->revision;
}
