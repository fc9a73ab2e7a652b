/* SPDX-License-Identifier: MIT */
/* See clock.h. */
#include "bench/qemu/guest/clock.h"

#include "bench/qemu/guest/fail.h"
#include "bench/qemu/guest/hw.h"

#define HPET_BASE    0xfed00000u
#define HPET_CAPS    (HPET_BASE + 0x00u)
#define HPET_PERIOD  (HPET_BASE + 0x04u) /* fs */
#define HPET_CONFIG  (HPET_BASE + 0x10u)
#define HPET_COUNTER (HPET_BASE + 0xf0u)

#define HPET_WIDE    (1u << 13) /* the counter has 64 bits */
#define HPET_ENABLE  1u
#define HPET_SLOWEST 100000000u /* fs, by its specification */
#define FS_OF_A_NS   1000000u

static uint32_t period_ns;

void clock_init(void)
{
	uint32_t fs = hw_read32(HPET_PERIOD);

	if (!fs || fs > HPET_SLOWEST || !(hw_read32(HPET_CAPS) & HPET_WIDE))
		fail("no HPET: give QEMU -machine hpet=on");
	if (fs % FS_OF_A_NS)
		fail_hex("the HPET's period is no whole ns, but fs ", fs);
	period_ns = fs / FS_OF_A_NS;
	hw_write32(HPET_CONFIG, hw_read32(HPET_CONFIG) | HPET_ENABLE);
}

uint64_t clock_now(void)
{
	uint32_t high = hw_read32(HPET_COUNTER + 4), low, again;

	for (;;) {
		low = hw_read32(HPET_COUNTER);
		again = hw_read32(HPET_COUNTER + 4);
		if (again == high)
			break;
		high = again;
	}
	return ((uint64_t)high << 32 | low) * period_ns;
}
