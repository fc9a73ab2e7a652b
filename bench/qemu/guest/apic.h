/* SPDX-License-Identifier: MIT */
/*
 * Interrupts: devices' messages, and a timer to wait by.
 *
 * Invariant: handlers count and end; all work is done by the one loop outside.
 */
#ifndef BENCH_QEMU_GUEST_APIC_H
#define BENCH_QEMU_GUEST_APIC_H

#include <stdint.h>

/* After clock_init(): the timer is measured by it.  Interrupts are on then. */
void apic_init(void);
/* The message of work @index, for an MSI-X table. */
uint32_t apic_message_address(void);
uint32_t apic_message_data(unsigned int index);
/* Until that time, or a device's message since the last wait: halted. */
void apic_wait_until(uint64_t ns);

#endif /* BENCH_QEMU_GUEST_APIC_H */
