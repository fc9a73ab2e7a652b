/* SPDX-License-Identifier: MIT */
/*
 * See apic.h.  The PIC is masked; everything comes through the local APIC.
 */
#include "bench/qemu/guest/apic.h"

#include "bench/qemu/guest/clock.h"
#include "bench/qemu/guest/fail.h"
#include "bench/qemu/guest/hw.h"

#define APIC_BASE     0xfee00000u
#define APIC_ID	      (APIC_BASE + 0x020u)
#define APIC_PRIORITY (APIC_BASE + 0x080u)
#define APIC_EOI      (APIC_BASE + 0x0b0u)
#define APIC_SPURIOUS (APIC_BASE + 0x0f0u)
#define APIC_TIMER    (APIC_BASE + 0x320u)
#define APIC_COUNT    (APIC_BASE + 0x380u)
#define APIC_LEFT     (APIC_BASE + 0x390u)
#define APIC_DIVIDE   (APIC_BASE + 0x3e0u)

#define APIC_ENABLE    0x100u
#define APIC_MASKED    0x10000u
#define APIC_DIVIDE_16 0x3u

/* entry.S has a stub for each of 64 vectors. */
#define VECTORS		64u
#define VECTOR_TIMER	0x20u
#define VECTOR_WORK	0x28u
#define VECTOR_SPURIOUS 0x3fu
_Static_assert(VECTOR_WORK + GUEST_WORKS_MAX <= VECTOR_SPURIOUS, "vectors");

#define MEASURE_NS  1000000u
#define WAIT_NS_MAX 100000000u

/* As entry.S pushes it, and the CPU before. */
struct apic_frame {
	uint32_t edx, ecx, eax;
	uint32_t vector, error;
	uint32_t eip, cs, eflags;
};

struct gate {
	uint16_t low, selector, type, high;
};

struct __attribute__((packed)) table_at {
	uint16_t limit;
	uint32_t base;
};

extern const uint8_t guest_stubs[]; /* 16 bytes each */
void apic_interrupt(const struct apic_frame *f);

static struct gate gates[VECTORS];
static uint32_t ticks_per_ms;
static volatile uint32_t messages; /* since the last wait */

void apic_interrupt(const struct apic_frame *f)
{
	uint32_t index = f->vector - VECTOR_WORK;

	if (f->vector < 32) {
		char buf[GUEST_ERROR_MAX];
		struct text t = { buf, sizeof(buf) };

		text_put(&t, "exception ");
		text_hex(&t, f->vector);
		text_put(&t, ", error ");
		text_hex(&t, f->error);
		text_put(&t, ", at ");
		text_hex(&t, f->eip);
		fail(buf);
	}
	if (f->vector == VECTOR_SPURIOUS)
		return;
	if (index < GUEST_WORKS_MAX) {
		guest_status()->work[index].irqs++;
		messages++;
	}
	hw_write32(APIC_EOI, 0);
}

static void load_gates(void)
{
	struct table_at at = { sizeof(gates) - 1, (uint32_t)(uintptr_t)gates };

	for (unsigned int i = 0; i < VECTORS; i++) {
		uint32_t stub = (uint32_t)(uintptr_t)&guest_stubs[16 * i];

		gates[i] = (struct gate){ (uint16_t)stub, 0x08, 0x8e00,
					  (uint16_t)(stub >> 16) };
	}
	__asm__ volatile("lidt %0" : : "m"(at), "m"(gates));
}

static void measure_timer(void)
{
	uint64_t end;

	hw_write32(APIC_DIVIDE, APIC_DIVIDE_16);
	hw_write32(APIC_TIMER, APIC_MASKED | VECTOR_TIMER);
	end = clock_now() + MEASURE_NS;
	hw_write32(APIC_COUNT, ~0u);
	while (clock_now() < end)
		;
	ticks_per_ms = ~0u - hw_read32(APIC_LEFT);
	if (ticks_per_ms < 16)
		fail("the APIC's timer stands still");
	hw_write32(APIC_COUNT, 0);
	hw_write32(APIC_TIMER, VECTOR_TIMER);
}

void apic_init(void)
{
	hw_out8(0x21, 0xff);
	hw_out8(0xa1, 0xff);
	load_gates();
	hw_write32(APIC_PRIORITY, 0);
	hw_write32(APIC_SPURIOUS, APIC_ENABLE | VECTOR_SPURIOUS);
	measure_timer();
	__asm__ volatile("sti");
}

uint32_t apic_message_address(void)
{
	return APIC_BASE | (hw_read32(APIC_ID) >> 24) << 12;
}

uint32_t apic_message_data(unsigned int index)
{
	return VECTOR_WORK + index;
}

void apic_wait_until(uint64_t ns)
{
	uint64_t now = clock_now(), wait = ns > now ? ns - now : 0;

	if (!wait)
		return;
	if (wait > WAIT_NS_MAX)
		wait = WAIT_NS_MAX;
	/* Neither the timer nor a message comes between here and the halt. */
	__asm__ volatile("cli" : : : "memory");
	hw_write32(APIC_COUNT, (uint32_t)(wait * ticks_per_ms / 1000000u) + 1);
	if (messages)
		__asm__ volatile("sti" : : : "memory");
	else
		__asm__ volatile("sti; hlt" : : : "memory");
	messages = 0;
}
