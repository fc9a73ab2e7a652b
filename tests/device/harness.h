/* SPDX-License-Identifier: MIT */
/*
 * What the tests of the device side share: a machine of eight devices, calls
 * through descriptors as a program makes them, and doubles to look into.
 */
#ifndef TESTS_DEVICE_HARNESS_H
#define TESTS_DEVICE_HARNESS_H

#include <errno.h>
#include <fcntl.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

#include "softvfio/device_priv.h"
#include "softvfio/inject.h"

/* Devices, by what they can migrate. */
#define DEV_ALL	    0u
#define DEV_STOP    1u
#define DEV_P2P	    2u
#define DEV_PRE	    3u
#define DEV_PLAIN   4u /* neither migration nor log */
#define DEV_PEER    5u
#define DEV_MDEV    6u
#define DEV_NOIOMMU 7u
#define NR_DEVICES  8u

#define PAGE  4096ull
#define BASE  0x100000ull /* where the doubles' memory is mapped */
#define PAGES 256u
#define PEER  0x40000000ull /* where DEV_PEER's BAR 2 is mapped */

/* The machine's kernel may change between tests. */
extern struct sv_config machine;

/* A device of its own descriptor, attached, bus mastering on. */
int open_device(unsigned int index);
int dev_ioctl(int fd, unsigned long request, void *arg);
ssize_t dev_read(int fd, void *buf, size_t len);
ssize_t dev_write(int fd, const void *buf, size_t len);
ssize_t dev_pread(int fd, void *buf, size_t len, uint64_t off);
ssize_t dev_pwrite(int fd, const void *buf, size_t len, uint64_t off);
/* Descriptors that stand for files of softvfio. */
int open_files(void);

#define REGION(i) ((uint64_t)(i) << SV_REGION_SHIFT)
#define CONFIG	  REGION(VFIO_PCI_CONFIG_REGION_INDEX)

/* FEATURE: the frame, with @len bytes of payload in and out. */
int feature(int fd, uint32_t argsz, uint32_t flags, void *payload, size_t len);
/* *ret_fd: -1, or the new data file. */
int set_state(int fd, uint32_t state, int *ret_fd);
int get_state(int fd);
int log_start(int fd, uint64_t page_size, uint32_t nr, const void *ranges);
int log_report(int fd, uint64_t iova, uint64_t len, uint64_t page_size,
	       void *bitmap);
int log_stop(int fd);
/* DMA of the device from this thread. */
int dma_write(unsigned int index, uint64_t iova, size_t len);

/* Two pages, of which the second is not mapped; and one that is read only. */
uint8_t *guard_page(void);
void *read_only(const void *data, size_t len);

/* The doubles. */
struct fake_attachment_state {
	uint8_t mem[PAGES * PAGE];
	bool dirty[PAGES];
	unsigned int in_flight; /* accesses now */
	unsigned int pins;
	void (*hook)(void); /* called within an access */
};
extern struct fake_attachment_state ram;
struct sv_attachment *attachment(void);

extern int inject_state_err; /* for the next change only */
extern bool inject_state_to_error, inject_call[SV_NR_CALLS];
extern unsigned int nr_state_asks, nr_stats_writes, nr_unbinds;
extern atomic_uint nr_group_closes;
extern int fail_bind, fail_attach;
extern enum model_level level_at_stats;
extern char last_note[256];

void fake_fail_level(unsigned int index, enum model_level level, int err);
void fake_fail_create(int err);
void fake_fail_final(int err);
void fake_fail_report(int err);
void fake_irq(unsigned int index, unsigned int vector);
int fake_pin(unsigned int index, bool pin);
bool fake_is_peer(unsigned int index, uint64_t iova);
int fake_peek(unsigned int index, uint64_t iova, void *buf, size_t len);
/* Of its truth @nr_lost pages are lost; it wrote to @wrote itself; 0: none. */
void fake_truth(unsigned int index, uint64_t nr_lost, uint64_t wrote);
enum model_level fake_level_at_check(unsigned int index);
unsigned int fake_nr_resets(unsigned int index);
unsigned int fake_nr_streams(void);

#endif /* TESTS_DEVICE_HARNESS_H */
