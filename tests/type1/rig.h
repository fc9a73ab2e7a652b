/* SPDX-License-Identifier: MIT */
/*
 * What the tests of type1 share: a machine, 64 pages of guest memory, and
 * calls as a program makes them, through the real shim.
 */
#ifndef TESTS_TYPE1_RIG_H
#define TESTS_TYPE1_RIG_H

#include <setjmp.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#define PAGE	 4096ull
#define NR_PAGES 64u
#define LEN	 (NR_PAGES * PAGE)
#define IOVA	 0x40000000ull

/* The devices of the configuration in meson.build, by group. */
enum {
	MDEV, /* pins as Linux has them */
	MDEV_LATE, /* at-unpin */
	MDEV_ONCE, /* mark-once */
	MDEV_ONCE2,
	MDEV_CLEAN, /* read_pins_clean */
	DSA,
	DSA2,
	NIC, /* pins gratuitously */
	NOIOMMU,
	NR_DEVICES,
};

extern const char *const device_names[NR_DEVICES];
extern uint8_t *guest; /* NR_PAGES, shared memory */

int make_guest(void **state);
int free_guest(void **state);

int container(void);
int group_open(unsigned int n); /* -errno */
/* The group, in the container. */
int join(int c, unsigned int n);
int set_container(int g, int c); /* 0, -errno */
int set_iommu(int c, unsigned long type);
/* The device's descriptor, bus mastering on. */
int device(int g, unsigned int n);
/* A typed container with guest memory at IOVA, the group in it. */
int typed(unsigned int n, int *ret_group);
void close_all(int n, ...); /* descriptors, in this order */

int map(int c, const void *va, uint64_t len, uint64_t iova);
int unmap(int c, uint64_t iova, uint64_t len);
int unmap_bitmap(int c, uint64_t iova, uint64_t len, void *bitmap);
int track(int c, uint32_t flag);
int get_bitmap(int c, uint64_t iova, uint64_t len, void *bitmap);
/* All of guest memory at IOVA. */
uint64_t dirty(int c);

void reg32(int dev, uint64_t offset, uint32_t value);
void reg64(int dev, uint64_t offset, uint64_t value);
void set_state(int dev, uint32_t state);
/* mdev: page 1 for reading, 2 and 3 for writing, 5 for completions. */
void mdev_enable(int dev);
/* One operation, done when this returns. */
void mdev_operate(int dev, uint64_t id);

#define BIT(n)	  (1ull << (n))
#define PIN_READ  BIT(1)
#define PIN_WRITE (BIT(2) | BIT(3) | BIT(5))

#endif /* TESTS_TYPE1_RIG_H */
