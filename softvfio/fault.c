/* SPDX-License-Identifier: MIT */
/*
 * Fault queues.  Our page tables are never nested, so nothing is ever queued:
 * a program finds one empty, and no response it gives is awaited.
 *
 * The file keeps the iommufd's, and the object cannot be destroyed while the
 * file is open.  Threads: the context's lock guards the object.
 */
#include "softvfio/iommufd.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <unistd.h>

/* A record to be read, and a response to be written, in bytes. */
#define RECORD	 40u
#define RESPONSE 8u

struct iommufd_fault {
	struct iommufd_object obj;
	struct sv_file *ctx_file; /* a reference, of the open file */
};

static struct iommufd_ctx *ctx_of(const struct iommufd_fault *fault)
{
	return iommufd_ctx_of(fault->ctx_file);
}

static ssize_t fault_read(struct sv_file *f, void *buf, size_t len)
{
	(void)f;
	(void)buf;
	return len % RECORD ? -ESPIPE : 0;
}

static ssize_t fault_write(struct sv_file *f, const void *buf, size_t len)
{
	uint8_t response[RESPONSE];

	(void)f;
	if (len % RESPONSE)
		return -ESPIPE;
	if (!len)
		return 0;
	return sv_copy_in(response, buf, sizeof(response)) ? -EFAULT : -EINVAL;
}

static void fault_release(struct sv_file *f)
{
	struct iommufd_fault *fault = f->priv;
	struct sv_file *ctx_file = fault->ctx_file;
	struct iommufd_ctx *ctx = ctx_of(fault);

	pthread_mutex_lock(&ctx->lock);
	fault->obj.users--;
	pthread_mutex_unlock(&ctx->lock);
	sv_file_put(ctx_file);
}

static const struct sv_file_ops fault_ops = {
	.name = "iommufd-fault",
	.read = fault_read,
	.write = fault_write,
	.release = fault_release,
};

void iommufd_fault_free(struct iommufd_ctx *ctx, struct iommufd_object *obj)
{
	iommufd_object_remove(ctx, obj);
	free(IOMMUFD_OBJECT(iommufd_fault, obj));
}

/* Its descriptor, or -errno; then there is no object. */
static int open_fault(struct iommufd_cmd *cmd, struct iommufd_fault *fault)
{
	struct sv_file *f = sv_file_new(&fault_ops, fault);
	int fd;

	if (!f)
		return -ENOMEM;
	fault->ctx_file = sv_file_ref(cmd->file);
	fault->obj.users = 1;
	fd = sv_file_install(f, O_RDWR);
	if (fd < 0) {
		/* Its release takes the lock. */
		pthread_mutex_unlock(&cmd->ctx->lock);
		sv_file_put(f);
		pthread_mutex_lock(&cmd->ctx->lock);
	}
	return fd;
}

int iommufd_fault_alloc(struct iommufd_cmd *cmd)
{
	struct iommu_fault_alloc *arg = &cmd->u.fault_alloc;
	struct iommufd_fault *fault;
	int fd, err;

	if (arg->flags)
		return -EOPNOTSUPP;
	fault = calloc(1, sizeof(*fault));
	if (!fault)
		return -ENOMEM;
	err = iommufd_object_add(cmd->ctx, &fault->obj, IOMMUFD_FAULT);
	if (err) {
		free(fault);
		return err;
	}
	fd = open_fault(cmd, fault);
	if (fd < 0) {
		iommufd_fault_free(cmd->ctx, &fault->obj);
		return fd;
	}
	arg->out_fault_id = fault->obj.id;
	arg->out_fault_fd = (uint32_t)fd;
	err = iommufd_respond(cmd);
	if (err) {
		pthread_mutex_unlock(&cmd->ctx->lock);
		close(fd);
		pthread_mutex_lock(&cmd->ctx->lock);
		iommufd_fault_free(cmd->ctx, &fault->obj);
	}
	return err;
}

/* Only nested page tables keep what user space would have to invalidate. */
int iommufd_hwpt_invalidate(struct iommufd_cmd *cmd)
{
	struct iommu_hwpt_invalidate *arg = &cmd->u.invalidate;
	int err = -ENOENT;

	if (arg->__reserved)
		err = -EOPNOTSUPP;
	else if (arg->entry_num && (!arg->data_uptr || !arg->entry_len))
		err = -EINVAL;
	arg->entry_num = 0; /* so many were done */
	return iommufd_respond(cmd) ? -EFAULT : err;
}
