/* SPDX-License-Identifier: MIT */
/*
 * What the guest says: in its status page, and on the serial port.
 */
#ifndef BENCH_QEMU_GUEST_FAIL_H
#define BENCH_QEMU_GUEST_FAIL_H

#include <stdint.h>

#include "bench/qemu/guest/status.h"
#include "bench/qemu/guest/text.h"

/* As others read it, whenever they like. */
static inline volatile struct guest_status *guest_status(void)
{
	return (volatile struct guest_status *)(uintptr_t)GUEST_STATUS_AT;
}

/* One line on the serial port. */
void say(const char *text);

/* Says why, and halts for good. */
_Noreturn void fail(const char *why);
_Noreturn void fail_hex(const char *why, uint64_t value);
/* The same, of the work that is at @slot. */
_Noreturn void fail_slot(uint32_t slot, const char *why, uint64_t value);

#endif /* BENCH_QEMU_GUEST_FAIL_H */
