/* SPDX-License-Identifier: MIT */
/*
 * Making the tree's entries.  Paths are relative to its root; directories on
 * the way are made.
 *
 * Invariant: after the first failure, which is kept, nothing more is made.
 * Threads: the one that makes the tree.
 */
#ifndef SOFTVFIO_SYSFS_BUILD_H
#define SOFTVFIO_SYSFS_BUILD_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>
#include <sys/types.h>

#include "softvfio/config.h"
#include "softvfio/shim.h"

struct sv_builder {
	struct sv_tree *tree;
	const struct sv_config *config;
	int fd; /* of the root */
	int err; /* the first; nothing is made after it */
	uint64_t bar_end[2]; /* addresses given away, below 4 GiB and above */
};

#define SV_PATH_ARGS(at) __attribute__((format(printf, at, (at) + 1)))

void sv_add_dir(struct sv_builder *b, const char *fmt, ...) SV_PATH_ARGS(2);
/* A file of sysfs, read-only. */
#define sv_add_file(b, text, ...)                                              \
	sv_add_bytes(b, text, strlen(text), __VA_ARGS__)
void sv_add_bytes(struct sv_builder *b, const void *bytes, size_t len,
		  const char *fmt, ...) SV_PATH_ARGS(4);
/* A link that is there already stays: devices of a group have some in common. */
void sv_add_link(struct sv_builder *b, const char *target, const char *fmt, ...)
	SV_PATH_ARGS(3);
/* A file that stands for /dev/@name. */
void sv_add_node(struct sv_builder *b, enum sv_node_kind kind, unsigned int nr,
		 dev_t rdev, mode_t mode, const char *name);

/* sysfs_pci.c: what a PCI device's directory says of it. */
void sv_add_pci_files(struct sv_builder *b, const struct sv_config_device *dev,
		      const char *dir);

#endif /* SOFTVFIO_SYSFS_BUILD_H */
