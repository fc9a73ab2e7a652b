/* SPDX-License-Identifier: MIT */
/*
 * A machine for the designs: memory at one address, in one or two type1
 * containers with softvfio's devices.
 *
 * Threads: one at a time.
 */
#ifndef BENCH_MACHINE_H
#define BENCH_MACHINE_H

#include <spoor/device.h>
#include <spoor/space.h>

#define BENCH_IOVA	  0x100000000ull
#define BENCH_PAGE	  4096u
#define BENCH_MAX_DEVICES 9u
#define BENCH_MAX_SPACES  2u

/* softvfio's devices by index; machine.c configures them. */
enum bench_device {
	BENCH_NIC0, /* eight alike: own log, 4K to 16M */
	BENCH_NIC7 = BENCH_NIC0 + 7,
	BENCH_MDEV, /* emulated: dirty while pinned */
	BENCH_MDEV_ONCE, /* emulated: each write is marked once */
	BENCH_DSA, /* nobody tracks it */
	BENCH_NIC_COARSE, /* log from 64K on */
	BENCH_NIC_FINE, /* log up to 16K */
	BENCH_NIC_QUIET, /* log is read only while quiet */
	BENCH_NIC_FAILS, /* log fails at its second report */
};

struct bench_spec {
	uint64_t len; /* bytes of memory, sparse */
	uint64_t first; /* of these in a mapping of their own; 0: one for all */
	unsigned int nr_devices, nr_spaces;
	struct {
		enum bench_device device;
		unsigned int space;
	} devices[BENCH_MAX_DEVICES];
};

struct bench_machine {
	struct bench_spec spec;
	char *memory;
	struct spoor_space *spaces[BENCH_MAX_SPACES];
	struct spoor_device *devices[BENCH_MAX_DEVICES];
};

/*
 * First thing in main(): softvfio reads its devices when it is loaded, so
 * without them the program is executed again.
 */
void bench_need_devices(char **argv);

/* 0 or -errno, with spoor_errmsg(); then it wants to be closed all the same. */
int bench_machine_open(struct bench_machine *m, const struct bench_spec *spec);
void bench_machine_close(struct bench_machine *m);

/* softvfio's name for the nth device of the machine. */
const char *bench_device_name(const struct bench_machine *m, unsigned int n);
bool bench_device_emulated(const struct bench_machine *m, unsigned int n);
/* Its own tracker is used: all but emulated devices and dsa. */
bool bench_device_logs(const struct bench_machine *m, unsigned int n);
/* An emulated device pins the first @len bytes, from now on.  0 or -errno. */
int bench_device_pin(struct bench_machine *m, unsigned int n, uint64_t len);

#endif /* BENCH_MACHINE_H */
