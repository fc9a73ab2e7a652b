/* SPDX-License-Identifier: MIT */
/* The fake's files, faults and DMA; its ioctls are in fake_ioctl.c. */
#include "fake_priv.h"

#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <sched.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/uapi_vfio.h"

struct fake_config fake;
struct fake_file fake_files[FAKE_MAX_FD];
struct fake_device fake_devices[2];
pthread_mutex_t fake_lock = PTHREAD_MUTEX_INITIALIZER;

static char root[64], sysfs[2][96];

static struct {
	unsigned long request;
	unsigned int countdown;
	int err;
} fault;

static struct {
	unsigned long request;
	unsigned int n;
} calls[64];

void fake_fail(unsigned long request, unsigned int nth, int err)
{
	fault.request = request;
	fault.countdown = nth;
	fault.err = err;
}

unsigned int fake_calls(unsigned long request)
{
	size_t i;

	for (i = 0; i < 64 && calls[i].n; i++)
		if (calls[i].request == request)
			return calls[i].n;
	return 0;
}

static void count_call(unsigned long request)
{
	size_t i;

	for (i = 0; i < 63 && calls[i].n; i++)
		if (calls[i].request == request)
			break;
	calls[i].request = request;
	calls[i].n++;
}

static void make(const char *path)
{
	if (mkdir(path, 0700) != 0)
		abort();
}

void fake_kernel_up(void)
{
	unsigned int i;
	char path[256], target[64];

	memset(&fake, 0, sizeof(fake));
	memset(&fault, 0, sizeof(fault));
	memset(calls, 0, sizeof(calls));
	memset(fake_files, 0, sizeof(fake_files));
	memset(fake_devices, 0, sizeof(fake_devices));
	fake.log_min_page = 4096;
	fake.log_max_page = 16 << 20;
	fake.log_max_ranges = 256;
	fake.log_last = UINT64_MAX - 4096;
	fake.entry = 2 << 20;
	snprintf(root, sizeof(root), "/tmp/fake-vfio-XXXXXX");
	if (!mkdtemp(root))
		abort();
	for (i = 0; i < 2; i++) {
		snprintf(sysfs[i], sizeof(sysfs[i]), "%s/0000:0%u:00.0", root,
			 i + 1);
		make(sysfs[i]);
		snprintf(path, sizeof(path), "%s/vfio-dev", sysfs[i]);
		make(path);
		snprintf(path, sizeof(path), "%s/vfio-dev/vfio%u", sysfs[i], i);
		make(path);
		snprintf(path, sizeof(path), "%s/iommu_group", sysfs[i]);
		snprintf(target, sizeof(target), "../kernel/iommu_groups/%u",
			 i);
		if (symlink(target, path) != 0)
			abort();
	}
}

unsigned int fake_kernel_down(void)
{
	static const char *const tail[] = { "/vfio-dev/vfio%u", "/vfio-dev",
					    "/iommu_group", "" };
	unsigned int i, open = fake_open_fds();
	char path[256], leaf[32];
	size_t t;

	for (i = 0; i < 2; i++)
		for (t = 0; t < 4; t++) {
			if (t)
				snprintf(leaf, sizeof(leaf), "%s", tail[t]);
			else
				snprintf(leaf, sizeof(leaf), "/vfio-dev/vfio%u",
					 i);
			snprintf(path, sizeof(path), "%s%s", sysfs[i], leaf);
			if (remove(path) != 0)
				abort();
		}
	if (rmdir(root) != 0)
		abort();
	for (i = 0; i < FAKE_MAX_FD; i++)
		if (fake_files[i].kind != FAKE_NONE)
			close((int)i);
	return open;
}

const char *fake_sysfs(unsigned int device)
{
	return sysfs[device];
}

unsigned int fake_open_fds(void)
{
	unsigned int i, n = 0;

	for (i = 0; i < FAKE_MAX_FD; i++)
		n += fake_files[i].kind != FAKE_NONE;
	return n;
}

int fake_install(enum fake_kind kind, unsigned int index)
{
	/* A device's file has one BAR, of a page. */
	int fd = kind >= FAKE_CDEV ? memfd_create("bar", MFD_CLOEXEC)
				   : eventfd(0, EFD_CLOEXEC);

	if (kind >= FAKE_CDEV && ftruncate(fd, 4096) != 0)
		abort();
	if (fd < 0 || fd >= FAKE_MAX_FD)
		abort();
	fake_files[fd] = (struct fake_file){ .kind = kind, .index = index };
	if (kind == FAKE_IOMMUFD || kind == FAKE_CONTAINER) {
		fake_files[fd].space = calloc(1, sizeof(struct fake_space));
		fake_files[fd].space->refs = 1;
		fake_files[fd].space->huge = true;
	}
	return fd;
}

static int open_path(const char *path)
{
	unsigned int i;
	char want[64];

	if (!strcmp(path, "/dev/iommu"))
		return fake_install(FAKE_IOMMUFD, 0);
	if (!strcmp(path, "/dev/vfio/vfio"))
		return fake_install(FAKE_CONTAINER, 0);
	for (i = 0; i < 2; i++) {
		snprintf(want, sizeof(want), "/dev/vfio/devices/vfio%u", i);
		if (!strcmp(path, want))
			return fake_install(FAKE_CDEV, i);
		snprintf(want, sizeof(want), "/dev/vfio/%u", i);
		if (strcmp(path, want) != 0)
			continue;
		if (fake_devices[i].group_open) {
			errno = EBUSY;
			return -1;
		}
		fake_devices[i].group_open = true;
		return fake_install(FAKE_GROUP, i);
	}
	errno = ENOENT;
	return -1;
}

static bool is_ours(const char *path)
{
	return !strncmp(path, "/dev/vfio", 9) || !strcmp(path, "/dev/iommu");
}

int open(const char *path, int flags, ...)
{
	int (*real)(const char *, int, ...) = dlsym(RTLD_NEXT, "open64");
	mode_t mode = 0;
	va_list ap;

	if (is_ours(path))
		return open_path(path);
	va_start(ap, flags);
	if (flags & (O_CREAT | O_TMPFILE))
		mode = va_arg(ap, mode_t);
	va_end(ap);
	return real(path, flags, mode);
}

int access(const char *path, int mode)
{
	int (*real)(const char *, int) = dlsym(RTLD_NEXT, "access");

	if (!is_ours(path))
		return real(path, mode);
	if (strstr(path, "/devices/vfio0") || strstr(path, "/devices/vfio1"))
		return 0;
	errno = ENOENT;
	return -1;
}

static void release(struct fake_file *f)
{
	struct fake_device *d = &fake_devices[f->index];

	switch (f->kind) {
	case FAKE_CDEV:
	case FAKE_DEVICE:
		if (!f->bound)
			break;
		d->bound = false;
		fake_attach(d, NULL, NULL);
		fake_log_stop(d);
		break;
	case FAKE_GROUP:
		d->group_open = false;
		if (f->space)
			fake_put(f->space);
		break;
	case FAKE_IOMMUFD:
	case FAKE_CONTAINER:
		fake_put(f->space);
		break;
	case FAKE_NONE:
		break;
	}
	*f = (struct fake_file){ 0 };
}

int close(int fd)
{
	int (*real)(int) = dlsym(RTLD_NEXT, "close");

	if (fd >= 0 && fd < FAKE_MAX_FD && fake_files[fd].kind != FAKE_NONE) {
		pthread_mutex_lock(&fake_lock);
		release(&fake_files[fd]);
		pthread_mutex_unlock(&fake_lock);
	}
	return real(fd);
}

int ioctl(int fd, unsigned long request, ...)
{
	int (*real)(int, unsigned long, ...) = dlsym(RTLD_NEXT, "ioctl");
	unsigned int flags;
	va_list ap;
	void *arg;
	long ret;

	va_start(ap, request);
	arg = va_arg(ap, void *);
	va_end(ap);
	if (fd < 0 || fd >= FAKE_MAX_FD || fake_files[fd].kind == FAKE_NONE)
		return real(fd, request, arg);
	pthread_mutex_lock(&fake_lock);
	/* Features are told apart by their number; containers give the same
	 * request another meaning. */
	if (request == VFIO_DEVICE_FEATURE &&
	    fake_files[fd].kind >= FAKE_CDEV) {
		flags = ((struct vfio_device_feature *)arg)->flags;
		request = FAKE_FEATURE(flags);
	}
	count_call(request);
	if (fault.request == request && fault.countdown && !--fault.countdown)
		ret = -fault.err;
	else
		ret = fake_ioctl(&fake_files[fd], request, arg);
	pthread_mutex_unlock(&fake_lock);
	if (ret < 0) {
		errno = (int)-ret;
		return -1;
	}
	return (int)ret;
}

int fake_dma(unsigned int device, uint64_t iova, const void *buf, size_t len,
	     bool mark_first)
{
	struct fake_device *d = &fake_devices[device];
	struct fake_map *m;
	uint64_t word;
	char *to;

	pthread_mutex_lock(&fake_lock);
	m = fake_find(d->space, iova, len);
	if (!m || m->read_only) {
		pthread_mutex_unlock(&fake_lock);
		return -EFAULT;
	}
	if (mark_first) {
		fake_mark(d, m, iova, len);
		/* Give a reader the time to read and clear. */
		pthread_mutex_unlock(&fake_lock);
		sched_yield();
		pthread_mutex_lock(&fake_lock);
	}
	to = m->hva + (iova - m->iova);
	/* Whole words at once, as a bus does: readers see old or new. */
	if (len == 8 && iova % 8 == 0) {
		memcpy(&word, buf, 8);
		__atomic_store_n((uint64_t *)(void *)to, word,
				 __ATOMIC_RELEASE);
	} else {
		memcpy(to, buf, len);
	}
	if (!mark_first)
		fake_mark(d, m, iova, len);
	pthread_mutex_unlock(&fake_lock);
	return 0;
}
