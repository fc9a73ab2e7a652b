/* SPDX-License-Identifier: MIT */
/*
 * A machine file made real, in this process: memory, spaces, devices, and the
 * library's machine with hooks on the guest.
 *
 * Threads: made and freed by one thread; see guest.h for what runs in it.
 */
#ifndef SPOOR_TOOL_MACHINE_H
#define SPOOR_TOOL_MACHINE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <spoor/migration.h>

#include "machine_file.h"

struct guest;

/* VFIO_PCI_CONFIG_REGION_INDEX; PCI_COMMAND, its memory and master bits */
#define CONFIG_REGION	  7u
#define CONFIG_COMMAND	  4u
#define CONFIG_CMD_MEMORY 0x2u
#define CONFIG_CMD_MASTER 0x4u

struct machine_region {
	uint64_t iova, len;
	void *hva;
	int fd;
};

struct machine {
	const struct machine_file *mf;
	struct machine_region *regions;
	size_t nr_regions;
	struct spoor_memory *memory;
	struct spoor_space **spaces; /* as the machine file's */
	struct spoor_device **devices;
	int *irqs; /* eventfds of vector 0, -1: none */
	struct spoor_machine *machine;
	struct guest *guest; /* set by whoever runs one */
	char *layout; /* compared at the hand-over; set with the guest */
	char error[512];
	/* Of the failure: 1, 3 for a blocker, 77 where VFIO is missing. */
	int exit_code;
};

/*
 * @contents: fill memory as the file says; a destination starts empty.
 * 0, or -errno with m->error and m->exit_code set; free it in either case.
 */
int machine_open(struct machine *m, const struct machine_file *mf,
		 bool contents);
void machine_close(struct machine *m);

/* machine_memory.c */
int machine_memory_open(struct machine *m, bool contents);
void machine_memory_close(struct machine *m);
/*
 * Can this machine hold @sides of it at all?  Without the answer the kernel
 * would end processes for it.  false: @why says so.
 */
bool machine_memory_fits(const struct machine_file *mf, unsigned int sides,
			 char *why, size_t len);

/* machine_hooks.c */
extern const struct spoor_hooks machine_hooks;

/* Formats m->error; returns @r. */
int machine_fail(struct machine *m, int exit_code, int r, const char *fmt, ...)
	__attribute__((format(printf, 4, 5)));

#endif /* SPOOR_TOOL_MACHINE_H */
