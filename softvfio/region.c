/* SPDX-License-Identifier: MIT */
/*
 * The regions of a device's file: what they are, reading, writing, mapping.
 *
 * Invariant: an access past the end of a BAR is cut, one that begins there is
 * EINVAL; with memory disabled it is EIO, after the program's buffer was read
 * and before it is written, as with Linux.  A stopped device is accessed all
 * the same: the model records it.
 *
 * Threads: accesses of one file run concurrently; models lock for themselves.
 */
#include "softvfio/device_priv.h"

#include <errno.h>
#include <string.h>
#include <sys/mman.h>

#include "base/cleanup.h"

#define PAGE 4096u

static uint64_t region_offset(uint32_t index)
{
	return (uint64_t)index << SV_REGION_SHIFT;
}

/* The memory of a BAR; false: registers, the MSI-X table, or no such BAR. */
static bool memory_bar(struct sv_device_state *st, unsigned int index,
		       struct model_bar *ret)
{
	if (index >= MODEL_NR_BARS || (int)index == st->config.msix_bar)
		return false;
	model_bar(sv_model(st->dev), index, ret);
	return ret->size && ret->memory && ret->fd >= 0;
}

long sv_region_info(struct sv_device_state *st, void *arg)
{
	struct vfio_region_info info;
	struct model_bar bar;

	if (sv_copy_in(&info, arg, sizeof(info)))
		return -EFAULT;
	if (info.argsz < sizeof(info))
		return -EINVAL;
	if (info.index > VFIO_PCI_CONFIG_REGION_INDEX)
		return -EINVAL;
	info.offset = region_offset(info.index);
	info.size = 0;
	info.flags = 0;
	if (info.index == VFIO_PCI_CONFIG_REGION_INDEX)
		info.size = SV_CONFIG_LEN;
	else if (info.index < MODEL_NR_BARS)
		info.size = sv_bar_len(st, info.index);
	if (info.size)
		info.flags = VFIO_REGION_INFO_FLAG_READ |
			     VFIO_REGION_INFO_FLAG_WRITE;
	if (memory_bar(st, info.index, &bar))
		info.flags |= VFIO_REGION_INFO_FLAG_MMAP;
	return sv_copy_out(arg, &info, sizeof(info)) ? -EFAULT : 0;
}

/*
 * The host's own BAR: through VFIO nobody writes the table, and it reads as
 * ones; what is behind it, the pending bits among it, reads as zeros.
 */
static void read_msix_bar(struct sv_device_state *st, uint8_t *buf, size_t len,
			  uint64_t pos)
{
	uint64_t end = (uint64_t)st->irqs.nr_vectors * SV_MSIX_ENTRY_LEN;
	size_t i;

	for (i = 0; i < len; i++)
		buf[i] = pos + i < end ? 0xff : 0;
}

/* Largest access of a register, as the CPU would make it. */
static size_t access_len(uint64_t pos, size_t len)
{
	size_t n;

	for (n = 8; n > 1; n /= 2) {
		if (len >= n && pos % n == 0)
			break;
	}
	return n;
}

static int bar_chunk(struct sv_device_state *st, unsigned int bar, uint8_t *buf,
		     size_t len, uint64_t pos, bool write)
{
	struct model *m = sv_model(st->dev);
	struct model_bar b;
	ssize_t n;

	if (!atomic_load(&st->config.memory))
		return -EIO;
	if ((int)bar == st->config.msix_bar) {
		if (!write)
			read_msix_bar(st, buf, len, pos);
		return 0;
	}
	/* Past the model's registers, where a BAR's length is rounded up. */
	if (!write)
		memset(buf, 0xff, len);
	model_bar(m, bar, &b);
	if (pos >= b.size)
		return 0;
	n = write ? model_bar_write(m, bar, pos, buf, len)
		  : model_bar_read(m, bar, pos, buf, len);
	return n < 0 ? (int)n : 0;
}

int sv_bar_store(struct sv_device_state *st, unsigned int bar, const void *buf,
		 size_t len, uint64_t pos)
{
	uint8_t bytes[8];
	size_t done, n;
	int r = 0;

	for (done = 0; done < len && !r; done += n) {
		n = access_len(pos + done, len - done);
		memcpy(bytes, (const uint8_t *)buf + done, n);
		r = bar_chunk(st, bar, bytes, n, pos + done, true);
	}
	return r;
}

static ssize_t bar_rw(struct sv_device_state *st, unsigned int bar, void *user,
		      size_t len, uint64_t pos, bool write)
{
	uint64_t size = sv_bar_len(st, bar);
	struct model_bar memory;
	uint8_t buf[PAGE];
	size_t done, n;
	bool bulk;
	int r;

	if (pos >= size)
		return -EINVAL;
	if (len > size - pos)
		len = size - pos;
	bulk = memory_bar(st, bar, &memory);
	for (done = 0; done < len; done += n) {
		n = bulk ? (len - done < PAGE ? len - done : PAGE)
			 : access_len(pos + done, len - done);
		if (write && sv_copy_in(buf, sv_user_at(user, done), n))
			return -EFAULT;
		r = bar_chunk(st, bar, buf, n, pos + done, write);
		if (r)
			return r;
		if (!write && sv_copy_out(sv_user_at(user, done), buf, n))
			return -EFAULT;
	}
	return (ssize_t)len;
}

static ssize_t rw(struct sv_open_device *od, void *buf, size_t len,
		  uint64_t off, bool write)
{
	struct sv_device_state *st = od->st;
	uint64_t index = off >> SV_REGION_SHIFT;
	uint64_t pos = off - (index << SV_REGION_SHIFT);

	if (!atomic_load(&od->granted))
		return -EINVAL;
	if (off > INT64_MAX)
		return -EINVAL;
	if (!len)
		return 0;
	if (index == VFIO_PCI_CONFIG_REGION_INDEX)
		return sv_config_rw(st, buf, len, pos, write);
	if (index >= MODEL_NR_BARS)
		return -EINVAL;
	return bar_rw(st, (unsigned int)index, buf, len, pos, write);
}

/* The file's position is one for all who share the file. */
static ssize_t rw_at_pos(struct sv_open_device *od, void *buf, size_t len,
			 bool write)
{
	ssize_t n;
	SPOOR_LOCKED(&od->pos_lock);

	n = rw(od, buf, len, od->pos, write);
	if (n > 0)
		od->pos += (uint64_t)n;
	return n;
}

ssize_t sv_device_read(struct sv_file *f, void *buf, size_t len)
{
	return rw_at_pos(f->priv, buf, len, false);
}

ssize_t sv_device_write(struct sv_file *f, const void *buf, size_t len)
{
	return rw_at_pos(f->priv, (void *)(uintptr_t)buf, len, true);
}

ssize_t sv_device_pread(struct sv_file *f, void *buf, size_t len, off_t off)
{
	return rw(f->priv, buf, len, (uint64_t)off, false);
}

ssize_t sv_device_pwrite(struct sv_file *f, const void *buf, size_t len,
			 off_t off)
{
	return rw(f->priv, (void *)(uintptr_t)buf, len, (uint64_t)off, true);
}

static int mapped_bar(struct sv_open_device *od, size_t len, off_t off,
		      struct sv_bar_mapping *ret, struct model_bar *bar)
{
	struct sv_device_state *st = od->st;
	uint64_t index = (uint64_t)off >> SV_REGION_SHIFT;
	uint64_t pos = (uint64_t)off - region_offset((uint32_t)index);
	uint64_t size;

	if (!atomic_load(&od->granted) || off < 0 || index >= MODEL_NR_BARS ||
	    !memory_bar(st, (unsigned int)index, bar))
		return -EINVAL;
	size = (bar->size + PAGE - 1) & ~(uint64_t)(PAGE - 1);
	if (!len || pos > size || len > size - pos)
		return -EINVAL;
	ret->dev = st->dev;
	ret->bar = (unsigned int)index;
	ret->offset = pos;
	return 0;
}

int sv_device_mmap(struct sv_file *f, size_t len, int prot, int flags,
		   off_t off, int *ret_fd, off_t *ret_off)
{
	struct sv_bar_mapping mapping;
	struct model_bar bar;
	int r;

	(void)prot;
	if ((flags & MAP_TYPE) == MAP_PRIVATE)
		return -EINVAL;
	r = mapped_bar(f->priv, len, off, &mapping, &bar);
	if (r)
		return r;
	*ret_fd = bar.fd;
	*ret_off = (off_t)mapping.offset;
	return 0;
}

int sv_device_mapped_bar(struct sv_file *f, size_t len, off_t off,
			 struct sv_bar_mapping *ret)
{
	struct model_bar bar;

	if (f->ops != &sv_device_file_ops)
		return -EINVAL;
	return mapped_bar(f->priv, len, off, ret, &bar);
}
