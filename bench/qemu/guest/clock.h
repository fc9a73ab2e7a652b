/* SPDX-License-Identifier: MIT */
/*
 * The time, by the HPET: it stands still while QEMU is paused, and goes on at
 * a migration's destination.
 */
#ifndef BENCH_QEMU_GUEST_CLOCK_H
#define BENCH_QEMU_GUEST_CLOCK_H

#include <stdint.h>

void clock_init(void);
/* ns since about the machine's start. */
uint64_t clock_now(void);

#endif /* BENCH_QEMU_GUEST_CLOCK_H */
