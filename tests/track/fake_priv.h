/* SPDX-License-Identifier: MIT */
/* The fake kernel's insides.  Threads: everything under fake_lock. */
#ifndef TESTS_TRACK_FAKE_PRIV_H
#define TESTS_TRACK_FAKE_PRIV_H

#include "fake_kernel.h"

#include <pthread.h>

#define FAKE_MAX_FD	    1024
#define FAKE_MAX_HWPTS	    4
#define FAKE_IOAS	    1u
#define FAKE_HWPT(i)	    (10u + (uint32_t)(i))
#define FAKE_DEVID(i)	    (20u + (uint32_t)(i))
/* What fake_fail() and fake_calls() call a feature. */
#define FAKE_FEATURE(flags) (0xf0000000ul | ((flags)&0xffff))

enum fake_kind {
	FAKE_NONE,
	FAKE_IOMMUFD,
	FAKE_CONTAINER,
	FAKE_GROUP,
	FAKE_CDEV,
	FAKE_DEVICE, /* from a group */
};

struct fake_map {
	uint64_t iova, len;
	char *hva;
	bool read_only;
	uint8_t *dirty[FAKE_MAX_HWPTS]; /* a byte a 4 KiB page */
};

struct fake_hwpt {
	bool exists, tracking;
	unsigned int iommu; /* whose devices it takes */
};

/* An IOAS or a container. */
struct fake_space {
	unsigned int refs;
	bool huge, ioas;
	bool typed, tracking; /* container */
	unsigned int groups;
	struct fake_map *maps;
	size_t nr_maps;
	struct fake_hwpt hwpts[FAKE_MAX_HWPTS];
};

struct fake_file {
	enum fake_kind kind;
	unsigned int index; /* device or group */
	struct fake_space *space;
	bool bound;
};

struct fake_device {
	bool bound, group_open;
	struct fake_space *space;
	struct fake_hwpt *hwpt;
	bool logging;
	uint64_t log_page;
	uint64_t *log_ranges; /* pairs */
	uint32_t nr_log_ranges;
	uint64_t *log_dirty; /* granule addresses */
	size_t nr_log_dirty, room_log_dirty;
};

extern struct fake_file fake_files[FAKE_MAX_FD];
extern struct fake_device fake_devices[2];
extern pthread_mutex_t fake_lock;

int fake_install(enum fake_kind kind, unsigned int index);
void fake_put(struct fake_space *s);
void fake_attach(struct fake_device *d, struct fake_space *s,
		 struct fake_hwpt *pt);
struct fake_map *fake_find(struct fake_space *s, uint64_t iova, uint64_t len);
void fake_mark(struct fake_device *d, struct fake_map *m, uint64_t iova,
	       uint64_t len);
void fake_log_stop(struct fake_device *d);
/* The request's result or -errno. */
long fake_ioctl(struct fake_file *f, unsigned long request, void *arg);
/* VFIO_DEVICE_FEATURE of the log. */
long fake_log_feature(struct fake_device *d, uint32_t flags, void *data);

#endif /* TESTS_TRACK_FAKE_PRIV_H */
