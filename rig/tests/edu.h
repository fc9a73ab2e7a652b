/* SPDX-License-Identifier: MIT */
/*
 * Tests of the variant driver for edu through the plain kernel interface: no
 * libspoor between, so that what fails is the driver. What Debian 12's headers
 * lack is declared here.
 */
#ifndef RIG_TESTS_EDU_H
#define RIG_TESTS_EDU_H

#include <errno.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "../module/stream.h"

#define PAGE	 4096ull
#define NR_PAGES 256u
#define IOVA	 0x100000ull

enum {
	REG_ID = 0x00,
	REG_ADDR4 = 0x04,
	REG_FACT = 0x08,
	REG_STATUS = 0x20,
	REG_IRQ = 0x24,
	REG_RAISE = 0x60,
	REG_ACK = 0x64,
	REG_SRC = 0x80,
	REG_DST = 0x88,
	REG_CNT = 0x90,
	REG_CMD = 0x98,
};

#define BUFFER	      0x40000ull
#define CMD_RUN	      1u
#define CMD_TO_MEMORY 2u
#define CMD_IRQ	      4u

enum state {
	ERROR,
	STOP,
	RUNNING,
	STOP_COPY,
	RESUMING,
	RUNNING_P2P,
	PRE_COPY,
	PRE_COPY_P2P,
	NR_STATES,
};

/* An open device, in a space of its own with NR_PAGES mapped at IOVA. */
struct edu {
	const char *address;
	int fd;
	int space;
	int group;
	uint32_t ioas;
	uint64_t bar0;
	uint64_t config;
	uint8_t *memory;
	bool log;
	/* VFIO_MIGRATION_ flags */
	uint64_t flags;
};

struct places {
	bool iommufd;
	const char *a;
	const char *b;
	/* behind a port of its own: it can be reset; or NULL */
	const char *resettable;
	/* bound to vfio-pci, with a BAR 2 to write to; or NULL */
	const char *peer;
};

extern struct places places;

_Noreturn void fail(const char *file, int line, const char *what);

#define CHECK(what)                                                            \
	do {                                                                   \
		if (!(what))                                                   \
			fail(__FILE__, __LINE__, #what);                       \
	} while (0)

/* A call that returns -errno is expected to fail with it. */
#define FAILS(call, errno_) CHECK((call) == -(errno_))

void edu_open(struct edu *e, const char *address);
void edu_close(struct edu *e);
int edu_map(struct edu *e, uint64_t iova, void *memory, uint64_t len);

uint64_t edu_get(struct edu *e, unsigned int reg, size_t width);
void edu_set(struct edu *e, unsigned int reg, uint64_t value, size_t width);
uint32_t get4(struct edu *e, unsigned int reg);
void set4(struct edu *e, unsigned int reg, uint32_t value);
void set8(struct edu *e, unsigned int reg, uint64_t value);

/* To memory from the buffer at @at, or the other way: only ring. */
void edu_ring(struct edu *e, bool to_memory, uint64_t iova, unsigned int at,
	      unsigned int len, unsigned int more);
bool edu_busy(struct edu *e);
void edu_wait(struct edu *e);
void edu_dma(struct edu *e, bool to_memory, uint64_t iova, unsigned int at,
	     unsigned int len);
/* Fill the device's buffer, by way of the first page. */
void edu_fill(struct edu *e, const uint8_t *bytes);
void edu_dump(struct edu *e, uint8_t *bytes);

int edu_irq(struct edu *e);
bool irq_seen(int fd, int ms);

/* All return 0 or -errno, and edu_state() the state. */
int edu_go(struct edu *e, enum state state, int *fd);
enum state edu_state(struct edu *e);
int edu_data_size(struct edu *e, uint64_t *size);
int edu_info(int fd, uint64_t *initial, uint64_t *dirty);
int edu_reset(struct edu *e);

struct range {
	uint64_t iova;
	uint64_t len;
};

int log_start(struct edu *e, uint64_t *page_size, const struct range *ranges,
	      unsigned int nr);
int log_start_all(struct edu *e, uint64_t page_size);
int log_stop(struct edu *e);
int log_report(struct edu *e, uint64_t iova, uint64_t len, uint64_t page_size,
	       uint8_t *bitmap);
/* Everything at 4 KiB, as a string of "first-last" of page numbers. */
const char *log_dirty(struct edu *e);
bool log_is(struct edu *e, const char *expected);

uint64_t edu_stat(struct edu *e, const char *name);
void edu_param(const char *name, const char *value);
/* To its driver, or away from it. */
void edu_bind(const char *address, bool bind);
double now(void);

/* A whole stream, from @fd until it ends; freed by the caller. */
uint8_t *stream_read(int fd, size_t piece, size_t *len);
int stream_write(int fd, const void *stream, size_t len, size_t piece);
/* From STOP_COPY at one to STOP at the other. */
void edu_move(struct edu *from, struct edu *to, size_t piece);
void image_seal(struct edu_image *image);

void log_tests(void);
void state_tests(void);
void move_tests(void);
void stream_tests(void);
void reset_tests(void);
void fail_tests(void);

#endif
