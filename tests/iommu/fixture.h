/* SPDX-License-Identifier: MIT */
/*
 * iommufd by itself: the shim's memory calls are the real ones, descriptors
 * are a small table, devices are nothing but an attachment and its lock.
 */
#ifndef TESTS_IOMMU_FIXTURE_H
#define TESTS_IOMMU_FIXTURE_H

#include <pthread.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include "softvfio/config.h"
#include "softvfio/device.h"
#include "softvfio/iommu.h"
#include "base/uapi_iommufd.h"

#define PAGE  4096ull
#define MIB   (1ull << 20)
#define GIB   (1ull << 30)
#define RW    (IOMMU_IOAS_MAP_READABLE | IOMMU_IOAS_MAP_WRITEABLE)
#define FIXED IOMMU_IOAS_MAP_FIXED_IOVA

struct test_device {
	struct sv_device dev; /* first */
	struct sv_config_device config;
	pthread_rwlock_t lock;
};

/* Which kernel sv_config() says. */
void test_set_kernel(enum sv_kernel kernel);
/* Files that were not released, descriptors that were not closed. */
unsigned int test_open_files(void);

int test_open(void); /* /dev/iommu */
int test_install(struct sv_file *f);
void test_close(int fd);
long test_ioctl(int fd, unsigned long request, void *arg);

void test_device_init(struct test_device *d, bool dirty, uint64_t page);
/* Devices from now on are behind an IOMMU that tracks by write faults. */
void test_by_faults(bool faults);
void test_device_fini(struct test_device *d); /* unbinds */

/* The device writes through its attachment. */
int test_dma(struct test_device *d, uint64_t iova, const void *buf, size_t len,
	     bool mark_first);
int test_dma_read(struct test_device *d, uint64_t iova, void *buf, size_t len);
int test_dma_call(struct test_device *d, uint64_t iova, bool mark_first,
		  int (*fn)(void *ctx, const struct sv_target *t), void *ctx);

/* Shared memory at an address that is a multiple of @align. */
uint8_t *test_memory(size_t len, size_t align);

/* Calls that must work; they return the new id, or what was unmapped. */
uint32_t test_ioas(int fd);
uint32_t test_hwpt(int fd, uint32_t dev, uint32_t ioas, uint32_t flags);
uint32_t test_bind(int fd, struct test_device *d);
void test_attach(struct test_device *d, uint32_t pt);
void test_map(int fd, uint32_t ioas, const void *va, uint64_t len,
	      uint64_t iova);
void test_tracking(int fd, uint32_t hwpt, bool on);
/* Calls whose answer is the test's. */
long try_map(int fd, uint32_t ioas, uint32_t flags, const void *va,
	     uint64_t len, uint64_t *iova);
long try_unmap(int fd, uint32_t ioas, uint64_t iova, uint64_t *len);
long try_copy(int fd, uint32_t dst, uint32_t src, uint32_t flags, uint64_t len,
	      uint64_t *dst_iova, uint64_t src_iova);
long try_destroy(int fd, uint32_t id);
long try_dirty(int fd, uint32_t hwpt, uint32_t flags, uint64_t iova,
	       uint64_t len, uint64_t page_size, void *bitmap);
long try_option(int fd, uint32_t id, uint16_t op, uint64_t *val);

#endif /* TESTS_IOMMU_FIXTURE_H */
