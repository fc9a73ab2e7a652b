/* SPDX-License-Identifier: MIT */
/*
 * Ports and registers of the bare machine: one CPU, flat memory, no paging, so
 * that an address is a pointer.
 */
#ifndef BENCH_QEMU_GUEST_HW_H
#define BENCH_QEMU_GUEST_HW_H

#include <stdint.h>

static inline void hw_out8(uint16_t port, uint8_t v)
{
	__asm__ volatile("outb %0, %1" : : "a"(v), "Nd"(port));
}

static inline uint8_t hw_in8(uint16_t port)
{
	uint8_t v;

	__asm__ volatile("inb %1, %0" : "=a"(v) : "Nd"(port));
	return v;
}

static inline void hw_out32(uint16_t port, uint32_t v)
{
	__asm__ volatile("outl %0, %1" : : "a"(v), "Nd"(port) : "memory");
}

static inline uint32_t hw_in32(uint16_t port)
{
	uint32_t v;

	__asm__ volatile("inl %1, %0" : "=a"(v) : "Nd"(port));
	return v;
}

/* Memory that devices read and write meanwhile, and their registers. */
static inline volatile void *hw_at(uint32_t address)
{
	return (volatile void *)(uintptr_t)address;
}

static inline uint32_t hw_read32(uint32_t address)
{
	return *(volatile uint32_t *)hw_at(address);
}

static inline void hw_write32(uint32_t address, uint32_t v)
{
	__asm__ volatile("" : : : "memory");
	*(volatile uint32_t *)hw_at(address) = v;
}

static inline uint64_t hw_read64(uint32_t address)
{
	uint32_t low = hw_read32(address);

	return (uint64_t)hw_read32(address + 4) << 32 | low;
}

/* A doorbell rings with the last byte: the low half goes first. */
static inline void hw_write64(uint32_t address, uint64_t v)
{
	hw_write32(address, (uint32_t)v);
	hw_write32(address + 4, (uint32_t)(v >> 32));
}

#endif /* BENCH_QEMU_GUEST_HW_H */
