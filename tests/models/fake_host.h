/* SPDX-License-Identifier: MIT */
/*
 * A host for models under test: memory [0, size), a window of peers' BARs
 * behind it, holes that fault, and a record of what the model did.
 *
 * Threads: any; memory is copied with atomics, so that a test may read what a
 * device writes and TSan only sees the order that the models promise.
 */
#ifndef TESTS_MODELS_FAKE_HOST_H
#define TESTS_MODELS_FAKE_HOST_H

#include <pthread.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "models/model.h"

#define PAGE	  4096u
#define PEER_BASE UINT64_C(0x100000000)
#define PEER_LEN  65536u
#define NO_PAGE	  UINT64_MAX
#define MAX_PINS  8

struct fake_pin {
	uint64_t iova, nr_pages;
	bool write;
};

struct fake_host {
	uint64_t size;
	uint8_t *mem;
	struct model *peer; /* whose BAR2 the window leads to; may be NULL */
	_Atomic(uint64_t) hole; /* a page that faults */
	bool top; /* the last page of all exists; writes to it vanish */
	_Atomic(bool) forbid; /* DMA is an error of the model from here on */
	_Atomic(uint64_t) forbidden, writes, reads, peer_writes, irqs;
	_Atomic(int) pin_error; /* what pin() answers */
	/* Before the data of a write is put down, and after; may be NULL. */
	void (*before_write)(struct fake_host *h, uint64_t iova, size_t len);
	void (*after_write)(struct fake_host *h, uint64_t iova, size_t len);
	void *opaque;

	pthread_mutex_t lock; /* below */
	struct fake_pin pins[MAX_PINS];
	unsigned int nr_pins;
	char note[128];
};

extern const struct model_host_ops fake_host_ops;

struct fake_host *fake_host_new(uint64_t size);
struct fake_host *fake_host_free(struct fake_host *h);

void fake_put(struct fake_host *h, uint64_t iova, const void *buf, size_t len);
void fake_get(struct fake_host *h, uint64_t iova, void *buf, size_t len);
uint64_t fake_get64(struct fake_host *h, uint64_t iova);

/* A device on this host, or the test fails. */
struct model *fake_model(struct fake_host *h, const struct model_config *c);
/* "nic", with a log of 4K to 16M pages; change what a test is about. */
struct model_config fake_config(const char *model);

uint32_t get32(struct model *m, uint64_t offset);
uint64_t get64(struct model *m, uint64_t offset);
void set32(struct model *m, uint64_t offset, uint32_t value);
void set64(struct model *m, uint64_t offset, uint64_t value);
struct model_counters counters(struct model *m);

/* The whole state of a STOPPED device; free() it. */
uint8_t *save_all(struct model *m, size_t *ret_len);
/* Load into a STOPPED device: 0 or what write or commit answered. */
int load_all(struct model *m, const uint8_t *state, size_t len, size_t piece);

/* A set callback that keeps a byte a 4K page; ctx is struct page_set. */
struct page_set {
	uint8_t pages[4096];
	uint64_t nr_calls, len;
};
int page_set_add(void *ctx, uint64_t iova, uint64_t len);
/* A lost callback that counts; ctx is struct lost_set. */
struct lost_set {
	unsigned int nr;
	uint64_t last;
};
void lost_add(void *ctx, uint64_t iova);

void sleep_us(unsigned int us);
/* Wait for what a device's thread will do; fails the test after 10 s. */
#define wait_until(cond)                                                       \
	do {                                                                   \
		unsigned int tries_ = 0;                                       \
		while (!(cond)) {                                              \
			assert_true(tries_++ < 20000);                         \
			sleep_us(500);                                         \
		}                                                              \
	} while (0)

#endif /* TESTS_MODELS_FAKE_HOST_H */
