/* SPDX-License-Identifier: MIT */
/* See fail.h. */
#include "bench/qemu/guest/fail.h"

#include "bench/qemu/guest/hw.h"

#define SERIAL	     0x3f8u
#define SERIAL_STATE (SERIAL + 5u)
#define SERIAL_READY 0x20u

/* Without a port the state reads as ready: nothing waits. */
static void put(char c)
{
	while (!(hw_in8(SERIAL_STATE) & SERIAL_READY))
		;
	hw_out8(SERIAL, (uint8_t)c);
}

void say(const char *text)
{
	for (const char *prefix = "guest: "; *prefix; prefix++)
		put(*prefix);
	while (*text)
		put(*text++);
	put('\r');
	put('\n');
}

void fail(const char *why)
{
	volatile struct guest_status *s = guest_status();
	unsigned int i = 0;

	__asm__ volatile("cli");
	for (; why[i] && i < GUEST_ERROR_MAX - 1; i++)
		s->error[i] = why[i];
	s->error[i] = '\0';
	s->phase = GUEST_FAILED;
	say(why);
	for (;;)
		__asm__ volatile("hlt");
}

void fail_hex(const char *why, uint64_t value)
{
	char buf[GUEST_ERROR_MAX];
	struct text t = { buf, sizeof(buf) };

	text_put(&t, why);
	text_hex(&t, value);
	fail(buf);
}

void fail_slot(uint32_t slot, const char *why, uint64_t value)
{
	char buf[GUEST_ERROR_MAX];
	struct text t = { buf, sizeof(buf) };

	text_put(&t, "slot ");
	text_hex(&t, slot);
	text_put(&t, ": ");
	text_put(&t, why);
	text_hex(&t, value);
	fail(buf);
}
