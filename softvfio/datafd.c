/* SPDX-License-Identifier: MIT */
/*
 * Migration data files: a save session is read, a load session is written.
 *
 * Invariant: a session ends when the device leaves its states, whoever still
 * has the file; from then on the file answers ENODEV.  Bytes taken from the
 * model and not yet delivered (the program's buffer was bad) are kept: none is
 * lost and none comes twice.
 *
 * Threads: a session is guarded by its device's `lock`, which its file takes;
 * the device and the file each hold a reference.
 */
#include "softvfio/device_priv.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "base/cleanup.h"
#include "softvfio/inject.h"

#define CHUNK 65536u

struct sv_session {
	struct sv_device_state *st;
	unsigned int refs;
	bool dead;
	bool pre_copy; /* not yet final */
	bool touched; /* loading: something was written */
	struct model_stream *stream;
	size_t start, end; /* of what is in buf */
	uint8_t buf[CHUNK];
};

static void put_session(struct sv_session *s)
{
	if (--s->refs)
		return;
	model_stream_free(s->stream);
	free(s);
}

struct sv_session *sv_session_end(struct sv_session *s)
{
	if (!s)
		return NULL;
	s->dead = !(s->st->dev->config->model.faults & MODEL_FAULT_OLD_DATA_FD);
	s->stream = model_stream_free(s->stream);
	put_session(s);
	return NULL;
}

static void release_session(struct sv_file *f)
{
	struct sv_session *s = f->priv;
	struct sv_device_state *st = s->st;

	pthread_mutex_lock(&st->lock);
	put_session(s);
	pthread_mutex_unlock(&st->lock);
}

/* Bytes now in the buffer, 0 at the end, or the model's -errno. */
static ssize_t fill(struct sv_session *s, size_t len)
{
	ssize_t n;

	if (s->start < s->end)
		return (ssize_t)(s->end - s->start);
	if (!s->stream)
		return 0;
	n = model_stream_read(s->stream, s->buf, len < CHUNK ? len : CHUNK);
	s->start = 0;
	s->end = n > 0 ? (size_t)n : 0;
	return n;
}

/* Nothing was asked for: only whether there will be more. */
static ssize_t read_nothing(struct sv_session *s)
{
	uint64_t initial, dirty;

	if (!s->stream || !s->pre_copy || s->start < s->end ||
	    model_stream_precopy_info(s->stream, &initial, &dirty))
		return 0;
	return initial || dirty ? 0 : -ENOMSG;
}

static ssize_t read_session(struct sv_file *f, void *buf, size_t len)
{
	struct sv_session *s = f->priv;
	size_t done = 0;
	ssize_t n = 0;
	SPOOR_LOCKED(&s->st->lock);

	if (s->dead)
		return -ENODEV;
	if (!len)
		return read_nothing(s);
	if (sv_inject_call(s->st->dev, SV_CALL_STATE_READ))
		return -EIO;
	while (done < len) {
		n = fill(s, len - done);
		if (n <= 0)
			break;
		if ((size_t)n > len - done)
			n = (ssize_t)(len - done);
		if (sv_copy_out(sv_user_at(buf, done), s->buf + s->start,
				(size_t)n)) {
			n = -EFAULT;
			break;
		}
		s->start += (size_t)n;
		done += (size_t)n;
	}
	s->st->state_saved += done;
	return done ? (ssize_t)done : n;
}

static ssize_t write_session(struct sv_file *f, const void *buf, size_t len)
{
	struct sv_session *s = f->priv;
	size_t done = 0;
	ssize_t n = 0;
	SPOOR_LOCKED(&s->st->lock);

	if (s->dead)
		return -ENODEV;
	if (sv_inject_call(s->st->dev, SV_CALL_STATE_WRITE))
		return -EIO;
	while (done < len) {
		size_t chunk = len - done < CHUNK ? len - done : CHUNK;

		if (sv_copy_in(s->buf, sv_user_at(buf, done), chunk)) {
			n = -EFAULT;
			break;
		}
		s->touched = true;
		n = s->stream ? model_stream_write(s->stream, s->buf, chunk)
			      : (ssize_t)chunk;
		if (n <= 0)
			break;
		done += (size_t)n;
	}
	s->st->state_loaded += done;
	return done ? (ssize_t)done : n;
}

static int precopy_info(struct sv_session *s, struct vfio_precopy_info *info)
{
	uint64_t initial, dirty;
	int r;
	SPOOR_LOCKED(&s->st->lock);

	if (s->dead)
		return -ENODEV;
	if (!s->stream || (!s->pre_copy && !(s->st->dev->config->model.faults &
					     MODEL_FAULT_PRECOPY_INFO)))
		return -EINVAL;
	r = model_stream_precopy_info(s->stream, &initial, &dirty);
	if (r)
		return r;
	/* What waits in the buffer is still to be read, too. */
	if (initial)
		initial += s->end - s->start;
	else
		dirty += s->end - s->start;
	info->initial_bytes = initial;
	info->dirty_bytes = dirty;
	return 0;
}

static long ioctl_save(struct sv_file *f, unsigned long request, void *arg)
{
	struct vfio_precopy_info info;
	int r;

	if (request != VFIO_MIG_GET_PRECOPY_INFO || sv_kernel_is_6_1())
		return -ENOTTY;
	if (sv_copy_in(&info, arg, sizeof(info)))
		return -EFAULT;
	if (info.argsz < sizeof(info))
		return -EINVAL;
	r = precopy_info(f->priv, &info);
	if (r)
		return r;
	return sv_copy_out(arg, &info, sizeof(info)) ? -EFAULT : 0;
}

static long no_ioctl(struct sv_file *f, unsigned long request, void *arg)
{
	(void)f;
	(void)request;
	(void)arg;
	return -ENOTTY;
}

static ssize_t no_read(struct sv_file *f, void *buf, size_t len)
{
	(void)f;
	(void)buf;
	(void)len;
	return -EBADF;
}

static ssize_t no_write(struct sv_file *f, const void *buf, size_t len)
{
	(void)f;
	(void)buf;
	(void)len;
	return -EBADF;
}

static ssize_t no_pread(struct sv_file *f, void *buf, size_t len, off_t off)
{
	(void)f;
	(void)buf;
	(void)len;
	(void)off;
	return -ESPIPE;
}

static ssize_t no_pwrite(struct sv_file *f, const void *buf, size_t len,
			 off_t off)
{
	(void)f;
	(void)buf;
	(void)len;
	(void)off;
	return -ESPIPE;
}

static int no_mmap(struct sv_file *f, size_t len, int prot, int flags,
		   off_t off, int *ret_fd, off_t *ret_off)
{
	(void)f;
	(void)len;
	(void)prot;
	(void)flags;
	(void)off;
	(void)ret_fd;
	(void)ret_off;
	return -ENODEV;
}

static const struct sv_file_ops save_ops = {
	.name = "vfio-save",
	.ioctl = ioctl_save,
	.read = read_session,
	.write = no_write,
	.pread = no_pread,
	.pwrite = no_pwrite,
	.mmap = no_mmap,
	.release = release_session,
};

static const struct sv_file_ops load_ops = {
	.name = "vfio-load",
	.ioctl = no_ioctl,
	.read = no_read,
	.write = write_session,
	.pread = no_pread,
	.pwrite = no_pwrite,
	.mmap = no_mmap,
	.release = release_session,
};

/* Takes the stream. */
static int new_session(struct sv_device_state *st, struct model_stream *stream,
		       const struct sv_file_ops *ops, bool pre_copy,
		       struct sv_session **ret, struct sv_file **ret_file)
{
	struct sv_session *s = calloc(1, sizeof(*s));
	struct sv_file *f = s ? sv_file_new(ops, s) : NULL;

	if (!f) {
		free(s);
		model_stream_free(stream);
		return -ENOMEM;
	}
	s->st = st;
	s->refs = 2;
	s->pre_copy = pre_copy;
	s->stream = stream;
	*ret = s;
	*ret_file = f;
	return 0;
}

int sv_session_save(struct sv_device_state *st, bool pre_copy,
		    struct sv_session **ret, struct sv_file **ret_file)
{
	struct model_stream *stream;
	int r;

	r = model_stream_save(sv_model(st->dev), pre_copy, &stream);
	if (r)
		return r;
	st->state_saved = 0;
	return new_session(st, stream, &save_ops, pre_copy, ret, ret_file);
}

int sv_session_load(struct sv_device_state *st, struct sv_session **ret,
		    struct sv_file **ret_file)
{
	struct model_stream *stream;
	int r;

	r = model_stream_load(sv_model(st->dev), &stream);
	if (r)
		return r;
	st->state_loaded = 0;
	return new_session(st, stream, &load_ops, false, ret, ret_file);
}

int sv_session_final(struct sv_session *s)
{
	int r = model_stream_final(s->stream);

	if (!r)
		s->pre_copy = false;
	return r;
}

int sv_session_commit(struct sv_session *s)
{
	/* Not the model's to refuse: it would stay refused. */
	if (!s->touched)
		return -EINVAL;
	return model_stream_commit(s->stream);
}

bool sv_session_touched(struct sv_session *s)
{
	return s->touched;
}
