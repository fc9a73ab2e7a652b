/* SPDX-License-Identifier: MIT */
/*
 * A device's own descriptors, in a process that is somebody else's: the host
 * may keep them from a program that closes what it finds.
 * Invariant: what model_keep_fd() gave is closed by model_end_fd().
 * Threads: no state.
 */
#include <unistd.h>

#include "models/model_priv.h"

int model_keep_fd(struct model *m, int fd)
{
	if (fd < 0 || !m->host_ops->keep_fd)
		return fd;
	return m->host_ops->keep_fd(m->host, fd);
}

void model_end_fd(struct model *m, int fd)
{
	if (m->host_ops->end_fd)
		m->host_ops->end_fd(m->host, fd);
	else
		close(fd);
}
