/* SPDX-License-Identifier: MIT */
/* Double of the shim's descriptors: a table, and /dev/null as placeholder. */
#include "../harness.h"

#include <pthread.h>
#include <sys/uio.h>

#define NR_FDS 1024

static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static struct sv_file *files[NR_FDS];

int __real_close(int fd);
int __wrap_close(int fd);

struct sv_file *sv_file_new(const struct sv_file_ops *ops, void *priv)
{
	struct sv_file *f = calloc(1, sizeof(*f));

	if (!f)
		return NULL;
	f->ops = ops;
	f->priv = priv;
	atomic_init(&f->refs, 1);
	return f;
}

int sv_file_install(struct sv_file *f, int oflags)
{
	int fd = open("/dev/null", oflags | O_CLOEXEC);

	if (fd < 0)
		return -errno;
	if (fd >= NR_FDS) {
		__real_close(fd);
		return -EMFILE;
	}
	pthread_mutex_lock(&lock);
	files[fd] = f;
	pthread_mutex_unlock(&lock);
	return fd;
}

struct sv_file *sv_file_get(int fd)
{
	struct sv_file *f = NULL;

	pthread_mutex_lock(&lock);
	if (fd >= 0 && fd < NR_FDS && files[fd])
		f = sv_file_ref(files[fd]);
	pthread_mutex_unlock(&lock);
	return f;
}

struct sv_file *sv_file_ref(struct sv_file *f)
{
	atomic_fetch_add(&f->refs, 1);
	return f;
}

void sv_file_put(struct sv_file *f)
{
	if (atomic_fetch_sub(&f->refs, 1) != 1)
		return;
	f->ops->release(f);
	free(f);
}

int __wrap_close(int fd)
{
	struct sv_file *f = NULL;
	int r;

	pthread_mutex_lock(&lock);
	if (fd >= 0 && fd < NR_FDS) {
		f = files[fd];
		files[fd] = NULL;
	}
	r = __real_close(fd);
	pthread_mutex_unlock(&lock);
	if (f)
		sv_file_put(f);
	return r;
}

int open_files(void)
{
	int fd, nr = 0;

	pthread_mutex_lock(&lock);
	for (fd = 0; fd < NR_FDS; fd++)
		nr += files[fd] != NULL;
	pthread_mutex_unlock(&lock);
	return nr;
}

int sv_copy_in(void *dst, const void *user, size_t len)
{
	struct iovec to = { dst, len };
	struct iovec from = { (void *)(uintptr_t)user, len };

	return process_vm_readv(getpid(), &to, 1, &from, 1, 0) == (ssize_t)len
		       ? 0
		       : -EFAULT;
}

int sv_copy_out(void *user, const void *src, size_t len)
{
	struct iovec from = { (void *)(uintptr_t)src, len };
	struct iovec to = { user, len };

	return process_vm_writev(getpid(), &from, 1, &to, 1, 0) == (ssize_t)len
		       ? 0
		       : -EFAULT;
}
