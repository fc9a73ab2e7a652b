/* SPDX-License-Identifier: MIT */
/*
 * What oracle_vfio.c expects of its machine and softvfio's has not: edu's DMA
 * engine, over softvfio's own DMA by hand, and the driver's way into ERROR.
 * Linked with --wrap, so that the program stays as it ran on the real kernel.
 *
 * One thread; the engine is the device "a"'s.
 */
#include <fcntl.h>
#include <stdarg.h>
#include <stdint.h>
#include <string.h>
#include <sys/types.h>
#include <unistd.h>

#include "softvfio/softvfio.h"

/* edu's registers, and its buffer as the engine addresses it. */
#define REG_SRC	   0x80
#define REG_DST	   0x88
#define REG_COUNT  0x90
#define REG_CMD	   0x98
#define CMD_START  1u
#define CMD_TO_RAM 2u
#define BUFFER	   0x40000u

static uint64_t src, dst, count;
static uint8_t buffer[4096];

int __real_open(const char *path, int flags, ...);
int __wrap_open(const char *path, int flags, ...);
ssize_t __real_pwrite(int fd, const void *buf, size_t len, off_t off);
ssize_t __wrap_pwrite(int fd, const void *buf, size_t len, off_t off);

int __wrap_open(const char *path, int flags, ...)
{
	va_list ap;
	int mode;

	va_start(ap, flags);
	mode = flags & O_CREAT ? va_arg(ap, int) : 0;
	va_end(ap);
	if (strcmp(path, "force-error") != 0)
		return __real_open(path, flags, mode);
	/* Whichever is open now. */
	softvfio_fail_state("a", 0, 5, 1);
	softvfio_fail_state("r", 0, 5, 1);
	return __real_open("/dev/null", O_WRONLY);
}

static void run(uint32_t cmd)
{
	uint64_t at = cmd & CMD_TO_RAM ? dst : src;
	uint64_t off = (cmd & CMD_TO_RAM ? src : dst) - BUFFER;

	if (off > sizeof(buffer) || count > sizeof(buffer) - off)
		return;
	for (uint64_t n; count; at += n, off += n, count -= n) {
		n = 4096 - at % 4096;
		if (n > count)
			n = count;
		if (cmd & CMD_TO_RAM)
			softvfio_dma_write("a", at, buffer + off, n);
		else
			softvfio_dma_read("a", at, buffer + off, n);
	}
}

ssize_t __wrap_pwrite(int fd, const void *buf, size_t len, off_t off)
{
	ssize_t n = __real_pwrite(fd, buf, len, off);
	uint64_t value = 0;

	if (n != (ssize_t)len || len > sizeof(value) || off < REG_SRC)
		return n;
	memcpy(&value, buf, len);
	if (off == REG_SRC)
		src = value;
	else if (off == REG_DST)
		dst = value;
	else if (off == REG_COUNT)
		count = value;
	else if (off == REG_CMD && value & CMD_START)
		run((uint32_t)value);
	return n;
}
