/* SPDX-License-Identifier: MIT */
/*
 * PCI identity by kind of model, of what the model does not know itself.
 */
#ifndef SOFTVFIO_IDS_H
#define SOFTVFIO_IDS_H

#include <stdint.h>

uint16_t sv_pci_subsystem_vendor_id(const char *model);
uint16_t sv_pci_subsystem_id(const char *model);
uint8_t sv_pci_revision(const char *model);
/* Class, subclass, programming interface. */
uint32_t sv_pci_class(const char *model);

#endif /* SOFTVFIO_IDS_H */
