/* SPDX-License-Identifier: MIT */
/*
 * softvfio's open files.  Each is behind a real placeholder descriptor, so
 * that close, dup, poll and fork treat it as any other; the table here says
 * what a descriptor means.  Like the kernel's struct file: dup shares it, the
 * last close releases it; an operation in flight keeps it alive.
 *
 * Threads: everything here may be called from any thread.  Operations of one
 * file may run concurrently; each file locks for itself.
 */
#ifndef SOFTVFIO_FILE_H
#define SOFTVFIO_FILE_H

#include <stdatomic.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

struct sv_file;

/* Like the kernel's: results are >= 0 or -errno.  NULL: -EINVAL/-ENOTTY. */
struct sv_file_ops {
	const char *name;
	long (*ioctl)(struct sv_file *f, unsigned long request, void *arg);
	ssize_t (*read)(struct sv_file *f, void *buf, size_t len);
	ssize_t (*write)(struct sv_file *f, const void *buf, size_t len);
	ssize_t (*pread)(struct sv_file *f, void *buf, size_t len, off_t off);
	ssize_t (*pwrite)(struct sv_file *f, const void *buf, size_t len,
			  off_t off);
	/*
	 * What to map instead: a borrowed fd and the offset in it.  The shim
	 * then asks sv_device_mapped_bar() which BAR that is.
	 */
	int (*mmap)(struct sv_file *f, size_t len, int prot, int flags,
		    off_t off, int *ret_fd, off_t *ret_off);
	/* The kernel unmapped or the process closed: for the BAR map list. */
	void (*release)(struct sv_file *f);
};

struct sv_file {
	const struct sv_file_ops *ops;
	void *priv;
	atomic_uint refs; /* descriptors and operations in flight */
};

/* A file with one reference, the caller's; -ENOMEM gives NULL. */
struct sv_file *sv_file_new(const struct sv_file_ops *ops, void *priv);
/*
 * Give it a descriptor (a placeholder with @oflags' access mode and
 * O_NONBLOCK, always close-on-exec: an open() that did not ask for that takes
 * it off again); takes the caller's reference.  -errno: the reference is still
 * the caller's.
 */
int sv_file_install(struct sv_file *f, int oflags);
/* The file behind a descriptor, with a reference; NULL if it is not ours. */
struct sv_file *sv_file_get(int fd);
void sv_file_put(struct sv_file *f);
struct sv_file *sv_file_ref(struct sv_file *f);

/*
 * A descriptor of softvfio's own becomes one that the program can neither
 * close nor replace; returns its new number, which sv_fd_end() closes.  -1 is
 * passed through.
 */
int sv_fd_keep(int fd);
void sv_fd_end(int fd);

/*
 * A program's pointers, which may be bad: -EFAULT instead of a signal, as the
 * kernel answers.
 */
int sv_copy_in(void *dst, const void *user, size_t len);
int sv_copy_out(void *user, const void *src, size_t len);

/* Is the program root?  Capabilities may be missing, as in a container. */
int sv_privileged(void);

/*
 * The bytes [va, va+len) of this process, mapped a second time: same pages,
 * other addresses (what pinning is to the kernel).  Private memory cannot be
 * mapped twice: then *ret is va itself and *ret_alias false.
 * -EFAULT: part of it is not mapped, or not writable and @write.
 */
int sv_alias_map(const void *va, size_t len, int write, void **ret,
		 int *ret_alias);
void sv_alias_unmap(void *alias, size_t len);
/*
 * Room for a mapping of ours of @len bytes that look like those at @like, far
 * from the program's: PROT_NONE, to be mapped over.  MAP_FAILED with errno.
 */
void *sv_reserve(const void *like, size_t len);

/* Is all of [va, va+len) a program's mapping of one device's BAR?  0 and *ret,
 * or -ENOENT. */
struct sv_device;
struct sv_bar_mapping {
	struct sv_device *dev;
	unsigned int bar;
	uint64_t offset; /* of va in the BAR */
};
int sv_find_bar_mapping(const void *va, size_t len, struct sv_bar_mapping *ret);
/* The shim's mmap does this itself; for what else makes such mappings. */
void sv_note_bar_mapping(void *va, size_t len, const struct sv_bar_mapping *b);

#endif /* SOFTVFIO_FILE_H */
