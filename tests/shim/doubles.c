/* SPDX-License-Identifier: MIT */
/* See doubles.h.  Threads: counters are atomic; the BAR is a memfd. */
#include "doubles.h"

#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "softvfio/config.h"
#include "softvfio/device.h"
#include "softvfio/iommu.h"

/* From the shim's side of the interface; the device side defines it. */
extern const struct model_host_ops sv_model_host;

struct file_state {
	unsigned int who;
	size_t pos;
	struct sv_device *dev;
};

struct model {
	uint64_t poked;
};

static struct sv_device devices[16];
static struct model models[16];
static int bar_fd = -1;
static pthread_once_t once = PTHREAD_ONCE_INIT;
static atomic_int live, blocked, forced_errors;
static atomic_bool unblock;

int double_live(void)
{
	return live;
}

int double_blocked(void)
{
	return blocked;
}

void double_unblock(void)
{
	unblock = true;
}

int double_forced_errors(void)
{
	return forced_errors;
}

int double_find_bar(const void *va, uint64_t len, unsigned int *bar,
		    uint64_t *offset)
{
	struct sv_bar_mapping m;
	int r = sv_find_bar_mapping(va, len, &m);

	if (r)
		return r;
	*bar = m.bar;
	*offset = m.offset;
	return 0;
}

static const struct sv_file_ops file_ops, data_ops;

static int make(unsigned int who, struct sv_device *dev,
		const struct sv_file_ops *ops, struct sv_file **ret)
{
	struct file_state *s = calloc(1, sizeof(*s));

	if (!s)
		return -ENOMEM;
	s->who = who;
	s->dev = dev;
	*ret = sv_file_new(ops, s);
	if (!*ret) {
		free(s);
		return -ENOMEM;
	}
	live++;
	return 0;
}

static void release(struct sv_file *f)
{
	free(f->priv);
	live--;
}

static long block(void)
{
	blocked++;
	while (!unblock)
		usleep(1000);
	blocked--;
	return 7;
}

static long data_fd(void)
{
	struct sv_file *f;
	int r = make(DOUBLE_DATA, NULL, &data_ops, &f);

	if (r)
		return r;
	r = sv_file_install(f, O_RDONLY);
	if (r < 0)
		sv_file_put(f);
	return r;
}

static long on_ioctl(struct sv_file *f, unsigned long request, void *arg)
{
	struct file_state *s = f->priv;
	uint32_t n;

	switch (request) {
	case DOUBLE_WHO:
		return s->who;
	case DOUBLE_ADD_ONE:
		if (sv_copy_in(&n, arg, sizeof(n)))
			return -EFAULT;
		n++;
		return sv_copy_out(arg, &n, sizeof(n));
	case DOUBLE_DATA_FD:
		return data_fd();
	case DOUBLE_BLOCK:
		return block();
	case DOUBLE_HIGH:
		return 8;
	default:
		return -ENOTTY;
	}
}

/* A device's bytes are their own offsets' low bytes; writing checks them. */
static ssize_t on_pread(struct sv_file *f, void *buf, size_t len, off_t off)
{
	uint8_t byte;

	(void)f;
	for (size_t i = 0; i < len; i++) {
		byte = (uint8_t)(off + (off_t)i);
		if (sv_copy_out((uint8_t *)buf + i, &byte, 1))
			return i ? (ssize_t)i : -EFAULT;
	}
	return (ssize_t)len;
}

static ssize_t on_pwrite(struct sv_file *f, const void *buf, size_t len,
			 off_t off)
{
	uint8_t byte;

	(void)f;
	for (size_t i = 0; i < len; i++) {
		if (sv_copy_in(&byte, (const uint8_t *)buf + i, 1))
			return i ? (ssize_t)i : -EFAULT;
		if (byte != (uint8_t)(off + (off_t)i))
			return -EILSEQ;
	}
	return (ssize_t)len;
}

static ssize_t on_read(struct sv_file *f, void *buf, size_t len)
{
	struct file_state *s = f->priv;
	size_t left = 10 - s->pos;
	ssize_t n = on_pread(f, buf, len < left ? len : left, (off_t)s->pos);

	if (n > 0)
		s->pos += (size_t)n;
	return n;
}

static ssize_t on_write(struct sv_file *f, const void *buf, size_t len)
{
	(void)f;
	(void)buf;
	return (ssize_t)len;
}

static int on_mmap(struct sv_file *f, size_t len, int prot, int flags,
		   off_t off, int *ret_fd, off_t *ret_off)
{
	(void)f;
	(void)prot;
	if (!(flags & MAP_SHARED) || off < DOUBLE_BAR_OFFSET ||
	    off + (off_t)len > DOUBLE_BAR_OFFSET + DOUBLE_BAR_SIZE)
		return -EINVAL;
	*ret_fd = bar_fd;
	*ret_off = off - DOUBLE_BAR_OFFSET;
	return 0;
}

int sv_device_mapped_bar(struct sv_file *f, size_t len, off_t off,
			 struct sv_bar_mapping *ret)
{
	struct file_state *s = f->priv;

	(void)len;
	*ret = (struct sv_bar_mapping){
		.dev = s->dev,
		.bar = 2,
		.offset = (uint64_t)(off - DOUBLE_BAR_OFFSET),
	};
	return 0;
}

static const struct sv_file_ops file_ops = {
	.name = "double",
	.ioctl = on_ioctl,
	.pread = on_pread,
	.pwrite = on_pwrite,
	.mmap = on_mmap,
	.release = release,
};

static const struct sv_file_ops data_ops = {
	.name = "data",
	.read = on_read,
	.write = on_write,
	.release = release,
};

static void init(void)
{
	const struct sv_config *config = sv_config();

	bar_fd = memfd_create("bar", MFD_CLOEXEC);
	if (bar_fd < 0 || ftruncate(bar_fd, DOUBLE_BAR_SIZE))
		abort();
	for (unsigned int i = 0; config && i < config->nr_devices; i++) {
		devices[i].config = &config->devices[i];
		devices[i].model = &models[i];
		devices[i].state = &models[i];
	}
}

static unsigned int nr_devices(void)
{
	pthread_once(&once, init);
	return sv_config() ? sv_config()->nr_devices : 0;
}

struct sv_device *sv_device_by_index(unsigned int index)
{
	for (unsigned int i = 0; i < nr_devices(); i++)
		if (devices[i].config->index == index)
			return &devices[i];
	return NULL;
}

struct sv_device *sv_device_by_name(const char *name)
{
	for (unsigned int i = 0; i < nr_devices(); i++)
		if (!strcmp(devices[i].config->model.name, name))
			return &devices[i];
	return NULL;
}

int sv_device_open_cdev(struct sv_device *dev, struct sv_file **ret)
{
	return make(DOUBLE_CDEV + dev->config->index, dev, &file_ops, ret);
}

/* BARs of 4 KiB, 4 GiB and 64 KiB. */
void sv_pci_at_rest(const struct sv_config_device *dev,
		    struct sv_pci_at_rest *ret)
{
	static const uint8_t config[SV_CONFIG_LEN] = {
		0x55,	    0x1d,	0x01,	       0x50,
		[0x08] = 7, [0x0b] = 2, [0x18] = 0x0c, [0x2c] = 0x55,
		0x1d,	    0x02,	0x50,
	};

	(void)dev;
	*ret = (struct sv_pci_at_rest){ .bar_len = { 4096, 0, 4ull << 30, 0,
						     65536 } };
	memcpy(ret->config, config, sizeof(config));
}

void sv_device_force_error(struct sv_device *dev)
{
	(void)dev;
	forced_errors++;
}

size_t sv_device_states(struct sv_device *dev, struct sv_state_seen *ret,
			size_t cap)
{
	static const uint8_t seen[] = { 2, 6, 7, 3, 1, 4, 5, 0 };
	size_t nr = 200; /* more than a caller guesses at first */

	(void)dev;
	for (size_t i = 0; i < nr && i < cap; i++)
		ret[i] =
			(struct sv_state_seen){ .state = seen[i % sizeof(seen)],
						.ns = i };
	return nr;
}

int sv_iommufd_open(struct sv_file **ret)
{
	nr_devices();
	return make(DOUBLE_IOMMU, NULL, &file_ops, ret);
}

int sv_container_open(struct sv_file **ret)
{
	return make(DOUBLE_CONTAINER, NULL, &file_ops, ret);
}

int sv_group_open(struct sv_file **ret, unsigned int group)
{
	return make(DOUBLE_GROUP + group, NULL, &file_ops, ret);
}

void sv_spaces_each(void (*fn)(void *ctx, const struct sv_space_counters *c),
		    void *ctx)
{
	const struct sv_space_counters c = {
		.name = "ioas1.hwpt2",
		.marks = 11,
		.dirty_reads = 12,
		.pages_reported = 13,
		.discarded = 14,
		.write_faults = 15,
		.read_ns = 16,
	};

	fn(ctx, &c);
}

void model_counters(struct model *m, struct model_counters *ret)
{
	*ret = (struct model_counters){
		.dma_writes = 1 + m->poked,
		.dma_bytes = 2,
		.marks = 3,
		.reports = 4,
		.pages_reported = 5,
		.discarded = 10,
		.dropped = 6,
		.backlog_dropped = 7,
		.faults = 8,
		.violations = 9,
		.late_writes = 17,
		.pages_saved = 18,
	};
}

void sv_device_figures(struct sv_device *dev, struct sv_figures *ret)
{
	*ret = (struct sv_figures){
		.state_saved = 19,
		.state_loaded = 20,
		.report_ns = 21,
		.irqs = 22,
		.stopped = { .nr = 23, .at.dma_writes = 24 },
		.loaded = 25,
		.ran_on = true,
		.checks = 26,
		.checked = 27,
		.lost = 28,
		.overwritten = 29,
		.check_ns = 30,
		.check_at = 31,
		.nr_named = 2,
		.lost_at = { 0x1000, UINT64_C(0xfffffffffffff000) },
	};
	(void)dev;
}

uint64_t sv_truth_check(struct sv_device *dev,
			void (*lost)(void *ctx, uint64_t iova), void *ctx)
{
	for (uint64_t i = 0; i < dev->model->poked; i++)
		lost(ctx, i * 4096);
	return dev->model->poked;
}

int model_poke_dma(struct model *m, uint64_t iova, const void *buf, size_t len)
{
	(void)iova;
	(void)buf;
	(void)len;
	m->poked++;
	return 0;
}

/* Each byte read is its piece's length: shows where pieces were cut. */
static int dma_read(void *host, uint64_t iova, void *buf, size_t len)
{
	(void)host;
	memset(buf, (int)(len & 0xff), len);
	return iova >> 32 ? -EFAULT : 0;
}

const struct model_host_ops sv_model_host = { .dma_read = dma_read };
